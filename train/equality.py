"""Whether an accelerator computes what the processor computes."""

from typing import Any

import jax
import numpy as np

from ..envs.core import Environment


def compare_devices(
    env: Environment, params: Any, *, num_envs: int = 64, num_steps: int = 256, seed: int = 0
) -> dict[str, Any]:
    """The same keys and actions on the first processor device and on the last default device.

    Returns how many numbers were `compared` (observations, rewards, ends and states of every step)
    and how many of them are `mismatches`: speed is worth nothing where this is not 0. `devices`
    names the two; on a machine with one device both are the same.
    """
    keys = jax.random.split(jax.random.key(seed), (2, num_steps, num_envs))
    actions = jax.vmap(jax.vmap(env.action_space(params).sample))(keys[0])

    @jax.jit
    def play(keys: Any, actions: Any, params: Any) -> Any:
        def step(state: Any, inputs: Any) -> tuple[Any, Any]:
            key, action = inputs
            observation, state, reward, terminated, truncated, _ = jax.vmap(
                env.step, (0, 0, 0, None)
            )(key, state, action, params)
            return state, (observation, state, reward, terminated, truncated)

        first, state = jax.vmap(env.reset, (0, None))(keys[0], params)
        return first, jax.lax.scan(step, state, (keys, actions))[1]

    try:
        devices = (jax.devices("cpu")[0], jax.devices()[-1])
    except RuntimeError as error:
        platform = jax.default_backend()
        raise ValueError(
            f"results are compared with the processor's: set JAX_PLATFORMS={platform},cpu"
        ) from error
    here, there = (
        jax.device_get(play(*jax.device_put((keys[1], actions, params), device)))
        for device in devices
    )
    pairs = list(zip(jax.tree.leaves(here), jax.tree.leaves(there), strict=True))
    return {
        "devices": [str(device) for device in devices],
        "compared": sum(a.size for a, _ in pairs),
        "mismatches": sum(_count_different(a, b) for a, b in pairs),
    }


def _count_different(a: np.ndarray, b: np.ndarray) -> int:
    """Numbers that differ in any bit."""
    bits = np.dtype(f"u{a.dtype.itemsize}")
    return int(np.count_nonzero(a.view(bits) != b.view(bits)))
