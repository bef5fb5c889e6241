"""What the physics runs as: one source, dynamics.py, at several speeds."""

import functools
from collections.abc import Callable

import jax
from jax import Array
from jax.typing import DTypeLike

from ..kernels import Lifted, Speed, lift
from .dynamics import physics_step, steps
from .segments import once, segmented
from .state import Config, Kernel

SEGMENT_SIZE = 60
"""Operations of a segment, for XLA on CPUs; from 20 to 250 make no difference beyond noise."""

Moved = tuple[Array, Array, Array, Array, Array]
"""What `dynamics.steps` returns."""
Physics = Callable[[Array, Array, Array, Array], Moved]


def simulate(qpos: Array, qvel: Array, qacc: Array, action: Array, config: Config) -> Moved:
    """The physics of one environment step; arguments and results are those of `dynamics.steps`.

    config.kernel "c" and "pallas" are one kernel for the whole step, "auto" the one of the platform
    that the program runs on, see envs/kernels; "jnp", and "auto" where there is no kernel, is XLA,
    which gets its program in segments on CPUs.
    """
    args = qpos, qvel, qacc, action
    elsewhere: Physics = functools.partial(steps, count=config.frame_skip)
    if config.kernel != "jnp":
        elsewhere = kernel = _kernel(config.frame_skip, config.kernel)
        if kernel.speed(*args, platform="cpu") != "jnp":
            return kernel(*args)
    in_segments = functools.partial(_in_segments, count=config.frame_skip)
    return jax.lax.platform_dependent(*args, cpu=in_segments, default=elsewhere)


def _in_segments(*args: Array, count: int) -> Moved:
    def run(taken: Array) -> Moved:
        return steps(*args, count=count, step=segmented(physics_step, taken, SEGMENT_SIZE))

    return once(run)


@functools.cache
def _kernel(count: int, backend: Kernel) -> Lifted:
    return lift(functools.partial(steps, count=count), name="half_cheetah", backend=backend)


def speed(config: Config, dtype: DTypeLike) -> Speed:
    """What the physics of such numbers runs as on JAX's default platform."""
    joints = jax.ShapeDtypeStruct((9,), dtype)
    action = jax.ShapeDtypeStruct((6,), dtype)
    return _kernel(config.frame_skip, config.kernel).speed(joints, joints, joints, action)
