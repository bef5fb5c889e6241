"""Whether an accelerator computes what the processor computes."""

from typing import Any

import jax
import numpy as np

from ..envs.core import Environment
from ..envs.game import Game
from .workloads import random_actions


def compare_devices(
    env: Environment | Game, params: Any, *, num_envs: int = 64, num_steps: int = 256, seed: int = 0
) -> dict[str, Any]:
    """The same keys, for random legal actions too, on the first processor device and on the last
    default device.

    Returns how many numbers were `compared` (observations, rewards, ends and states of every step)
    and how many of them are `mismatches`: speed is worth nothing where this is not 0, unless the
    dynamics are chaotic and round otherwise there. So `step_difference` is the largest one of an
    observation after a single step from the processor's own states. `devices` names the two; on a
    machine with one device both are the same.
    """
    key_actions, key_steps = jax.random.split(jax.random.key(seed))
    inputs = (
        jax.random.split(key_steps, (num_steps, num_envs)),
        jax.random.split(key_actions, num_steps),
        params,
    )

    def step(state: Any, drawn: Any, params: Any) -> tuple[Any, Any]:
        key, key_action = drawn
        action = random_actions(key_action, env, state, params, num_envs)
        observation, state, reward, terminated, truncated, _ = jax.vmap(env.step, (0, 0, 0, None))(
            key, state, action, params
        )
        return state, (observation, state, reward, terminated, truncated)

    @jax.jit
    def play(keys: Any, keys_action: Any, params: Any) -> Any:
        first = jax.vmap(env.reset, (0, None))(keys[0], params)
        drawn = (keys, keys_action)
        return first, jax.lax.scan(lambda s, x: step(s, x, params), first[1], drawn)[1]

    @jax.jit
    def play_from(states: Any, keys: Any, keys_action: Any, params: Any) -> Any:
        """The observation after each step, each from a state that is given."""
        return jax.lax.map(lambda x: step(x[0], x[1], params)[1][0], (states, (keys, keys_action)))

    try:
        devices = (jax.devices("cpu")[0], jax.devices()[-1])
    except RuntimeError as error:
        platform = jax.default_backend()
        raise ValueError(
            f"results are compared with the processor's: set JAX_PLATFORMS={platform},cpu"
        ) from error
    here, there = (jax.device_get(play(*jax.device_put(inputs, device))) for device in devices)
    pairs = list(zip(jax.tree.leaves(here), jax.tree.leaves(there), strict=True))
    mismatches, largest = sum(_count_different(a, b) for a, b in pairs), 0.0
    if mismatches:
        (_, first), (observations, after, *_) = here
        before = jax.tree.map(lambda a, b: np.concatenate([a[None], b[:-1]]), first, after)
        seen = jax.device_get(play_from(*jax.device_put((before, *inputs), devices[1])))
        largest = float(np.max(np.abs(seen.astype(np.float64) - observations)))
    return {
        "devices": [str(device) for device in devices],
        "compared": sum(a.size for a, _ in pairs),
        "mismatches": mismatches,
        "step_difference": largest,
    }


def _count_different(a: np.ndarray, b: np.ndarray) -> int:
    """Numbers that differ in any bit."""
    bits = np.dtype(f"u{a.dtype.itemsize}")
    return int(np.count_nonzero(a.view(bits) != b.view(bits)))
