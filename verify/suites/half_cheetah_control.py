"""The control arm of half-cheetah's float32: single steps of ours and of MJX in float32, from the
same states of the reference.

    python -m simlift.verify.suites.half_cheetah_control

Needs the extras mujoco and mujoco-peers; takes a minute or two.
"""

import functools
import importlib
import json
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...references.core import Snapshot
from ...references.half_cheetah.physics import compiled_model
from ..budgets import rounded, share_at_most
from ..compare import Comparison, inputs_of
from ..one_step import step_from
from ..record import record_policy
from ..suite import derive_seed
from .half_cheetah import suite
from .half_cheetah_sides import FLOAT32, reference

NUM_ENVS, NUM_STEPS = 32, 256
PER_POLICY = 1000
CHUNK = 500  # states that MJX steps at once
FRAME_SKIP = 5
LIMIT = 1e-3


def control(seed: int = 0) -> dict[str, Any]:
    """{"ours", "mjx"}: of PER_POLICY steps of each policy, `count`, `over` LIMIT in an entry of the
    observation, `at_most` of all steps as so many show, and quantiles of the largest entry.

    Raises ReferenceUnavailable, and ImportError without mujoco-mjx.
    """
    side = suite()
    comparison = Comparison.local(side, FLOAT32)
    ours, mjx = [], []
    step = _mjx_step()
    for name, policy in side.policies(FLOAT32).items():
        policy_seed = derive_seed(seed, "control", name)
        with reference(FLOAT32, NUM_ENVS) as batch:
            played = record_policy(side, batch, policy, policy_seed, NUM_STEPS, 1)
            _, _, recording = next(iter(played))
            single = np.dtype(np.float32)
            before = {n: rounded(v[:-1], single) for n, v in recording.snapshots.items()}
            stepped = step_from(batch, recording.action, functools.partial(_at, before))
        said = comparison.candidate.resynchronised(before, inputs_of(stepped))
        generator = np.random.default_rng(policy_seed)
        chosen = generator.choice(recording.num_transitions, PER_POLICY, replace=False)
        t, b = np.divmod(chosen, NUM_ENVS)
        theirs = stepped.outcome.observation[t, b]
        ours.append(np.abs(said["outcome.observation"][t, b] - theirs).max(1))
        names = ("qpos", "qvel", "qacc_warmstart")
        state = [before[n][t, b].astype(np.float32) for n in names]
        inputs = [*state, recording.action[t, b].astype(np.float32)]
        chunks = range(0, PER_POLICY, CHUNK)
        seen = [np.asarray(step(*(x[i : i + CHUNK] for x in inputs))) for i in chunks]
        mjx.append(np.abs(np.concatenate(seen) - theirs).max(1))
    return {"ours": _told(np.concatenate(ours)), "mjx": _told(np.concatenate(mjx))}


def _at(fields: Snapshot, step: int) -> Snapshot:
    return {name: value[step] for name, value in fields.items()}


def _mjx_step() -> Any:
    """(qpos, qvel, qacc_warmstart, action) [B, ...] -> observation [B, 17], float32."""
    mjx = importlib.import_module("mujoco.mjx")
    model = mjx.put_model(compiled_model(), impl="jax")
    start = mjx.make_data(model, impl="jax")

    def step(qpos: Any, qvel: Any, warmstart: Any, action: Any) -> Any:
        data = start.replace(qpos=qpos, qvel=qvel, qacc_warmstart=warmstart, ctrl=action)
        data = jax.lax.fori_loop(0, FRAME_SKIP, lambda _, data: mjx.step(model, data), data)
        return jnp.concatenate([data.qpos[1:], data.qvel])

    return jax.jit(jax.vmap(step))


def _told(error: np.ndarray) -> dict[str, Any]:
    over = int((~(error <= LIMIT)).sum())
    quantiles = {f"p{100 * q:g}": float(np.quantile(error, q)) for q in (0.5, 0.99, 0.999, 1.0)}
    return {
        "count": error.size,
        "over": over,
        "at_most": share_at_most(over, error.size),
    } | quantiles


if __name__ == "__main__":
    sys.stdout.write(json.dumps(control(), indent=1) + "\n")
