"""What equality means between Gymnasium's HalfCheetah-v5 on MuJoCo and envs/half_cheetah.

MuJoCo computes in float64, and so does our side here (`Variant.x64`), in another order: all fields
are close, none equal bit by bit. Each step also compares every module of the physics, since the
reference keeps what MuJoCo computes of each state. The system is chaotic, so that steps are
compared one by one, and free runs by how fast they part.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
from jax import Array

from ...envs.core import Environment
from ...references.core import DrawLog
from ...references.half_cheetah.physics import MODULES, MUJOCO_VERSION, NAME, installed
from ...references.half_cheetah.reference import NUMBERS, reset_draws
from ..suite import Compare, Field, Part, Property, Suite, Transition, Variant, configured, ignored
from .half_cheetah_equivalent import EQUIVALENT
from .half_cheetah_floats import FLOATS
from .half_cheetah_policies import BLIND, policies
from .half_cheetah_scenarios import SCENARIOS
from .half_cheetah_sides import DEFAULT, OTHER, finished, reference
from .half_cheetah_transfer import PLAN

if TYPE_CHECKING:
    from ...envs.half_cheetah import Draws, Params, State

VARIANTS = (DEFAULT, OTHER)

CHAOTIC = (
    "errors grow e-fold in about 3.5 steps, those of MuJoCo's own program included: moved by 1e-12 "
    "at the start, it is somewhere else after 100 of 1000 steps"
)

# What the physics is made of, with the largest errors seen in single steps beside each bound.
POSITION = Compare("close", atol=1e-9)  # 3e-14 of up to 11 m or rad
SPEED = Compare("close", atol=1e-9)  # 2e-12 of up to 43 m/s or rad/s
LENGTH = Compare("close", atol=1e-12)  # 1e-14 of up to 0.4 m: a sum of a dozen terms of 1 m
MASS = Compare(
    "close", atol=1e-11
)  # 5e-14 of up to 14; MuJoCo computes around x = 0, 100s of m off
BIAS = Compare("close", atol=1e-10, rtol=1e-11)  # 1e-10 of up to 1,800 N: masses, squared speeds
# Impedance rises from 1e-4 by the square of the depth over 1 cm: there a row's stiffness, and all
# that is solved with it, is off by up to 13,000 times (per m) what the depth is off, so 1e-10.
ROW = Compare("close", atol=1e-9, rtol=1e-9)
# The same double but for what speeds may be off: of two float32 that are neighbours, either one.
REWARD = Compare("close", ulp=1, atol=1e-9)

COMPARE = {
    "qpos": POSITION,
    "qvel": SPEED,
    "qacc_warmstart": ROW,
    "mass_matrix": MASS,
    "qfrc_bias": BIAS,
    "contact_dist": LENGTH,
    "efc_aref": ROW,
    "efc_D": ROW,
    "efc_force": ROW,
    "qfrc_constraint": ROW,
    "qacc": ROW,
}
MODULE = {
    "mass_matrix": "planar.mass_matrix",
    "qfrc_bias": "planar.bias",
    "contact_dist": "contact.contacts",
    "efc_aref": "contact.contacts, contact.limits",
    "efc_D": "contact.impedance",
    "efc_force": "solver.constrained_acceleration",
    "qfrc_constraint": "solver.constrained_acceleration",
    "qacc": "solver.constrained_acceleration",
}


def environment(variant: Variant) -> tuple[Environment, Any]:
    from ...envs.half_cheetah import HalfCheetah

    return configured(HalfCheetah(**variant.config), variant)


# -- fields


def _modules(t: Transition) -> Mapping[str, Array]:
    """What follows from the state after a step and from the last action. A reset, the episode's or
    the one of a state that is bad from the start, switches the motors off."""
    from ...envs.half_cheetah.dynamics import MAX_VALUE
    from ...envs.half_cheetah.kernel import SEGMENT_SIZE
    from ...envs.half_cheetah.modules import modules
    from ...envs.half_cheetah.segments import once, segmented

    before = jnp.concatenate([t.before["qpos"], t.before["qvel"]])
    off = t.terminated | t.truncated | ~(jnp.max(jnp.abs(before)) <= MAX_VALUE)
    action = t.action.astype(t.state.qpos.dtype)
    ctrl = jnp.where(off, jnp.zeros_like(action), action)
    inputs = t.state.qpos, t.state.qvel, t.state.qacc_warmstart, ctrl
    found: Mapping[str, Array] = once(
        lambda taken: segmented(modules, taken, SEGMENT_SIZE)(*inputs)
    )
    return found


def _state(name: str) -> Field:
    return Field(lambda t: getattr(t.state, name), COMPARE[name], "dynamics.physics_step")


def _module(name: str) -> Field:
    return Field(lambda t: t.derived[name], COMPARE[name], MODULE[name])


def _param(name: str) -> Field:
    return Field(lambda t: getattr(t.params, name), module="state.Params")


def _fields() -> Mapping[str, Field]:
    return {
        **{name: _state(name) for name in ("qpos", "qvel", "qacc_warmstart")},
        **{name: _module(name) for name in MODULES},
        **{name: _param(name) for name in (*NUMBERS, "max_episode_steps")},
        "elapsed_steps": Field(lambda t: t.state.elapsed_steps, module="env.transition"),
        "time": Field(None, ignored("a clock that nothing reads")),
        "ctrl": Field(None, ignored("the last action; what it drives is compared")),
        "frame_skip": Field(None, ignored("given to both sides; its effect is compared")),
        "episode_seed": Field(
            None, ignored("seeds upstream's generator; its draws are compared instead")
        ),
    }


def state(before: Mapping[str, Array], params: "Params") -> "State":
    from ...envs.half_cheetah import State

    del params
    number = jnp.result_type(float)
    return State(
        qpos=before["qpos"].astype(number),
        qvel=before["qvel"].astype(number),
        qacc_warmstart=before["qacc_warmstart"].astype(number),
        elapsed_steps=before["elapsed_steps"].astype(jnp.int32),
    )


def draws(log: DrawLog) -> tuple[None, "Draws"]:
    """A step draws nothing. Where none was reset, its draws are zeros."""
    from ...envs.half_cheetah import Draws

    uniform, normal = reset_draws(log)
    number = jnp.result_type(float)
    return None, Draws(qpos=jnp.asarray(uniform, number), qvel=jnp.asarray(normal, number))


def _recompiled(variant: Variant) -> Compare:
    """XLA adds products without rounding them before or not, as it likes, in each program anew: two
    of them are as close as either is to the reference."""
    return SPEED if variant.x64 else Compare("close", atol=1e-3)


def properties() -> Sequence[Property]:
    from .half_cheetah_properties import PROPERTIES

    return PROPERTIES


def parts() -> Sequence[Part]:
    from .half_cheetah_parts import PARTS

    return PARTS


# Not modules.py, which shows what the others compute, nor the numbers of tables.py and model.py,
# which tests hold against MuJoCo's own.
TARGETS = ("planar", "contact", "solver", "dynamics", "env", "draws", "observe", "state")


@functools.cache
def suite() -> Suite:
    return Suite(
        name="half_cheetah",
        package="simlift.envs.half_cheetah",
        variants=VARIANTS,
        environment=environment,
        reference=reference,
        fields=_fields(),
        outcome={"outcome.observation": SPEED, "outcome.reward": REWARD},
        state=state,
        draws=draws,
        reset_draws_used={"qpos": 9, "qvel": 9},
        score=lambda snapshot, returns: returns,
        policies=policies,
        scenarios=SCENARIOS,
        properties=properties,
        targets=tuple(f"simlift.envs.half_cheetah.{name}" for name in TARGETS),
        parts=parts,
        equivalent=EQUIVALENT,
        floats=FLOATS,
        transfer=PLAN,
        chaotic=CHAOTIC,
        recompiled=_recompiled,
        finished=finished,
        blind=BLIND,
        derived=_modules,
        tallies={"solver_failures": lambda t: t.info["solver_failures"]},
        reference_name=NAME,
        reference_version=installed() or f"not installed (mujoco=={MUJOCO_VERSION})",
    )
