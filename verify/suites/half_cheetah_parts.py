"""What mutants of the cheetah are put to, without compiling: steps of MuJoCo, module by module.

A step of its own physics in XLA is some 10,000 operations, and several times that with all mutants
in it.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ...envs.core import Environment
from ...envs.half_cheetah import Params, dynamics, modules
from ...references.core import Outcome, Snapshot
from ...references.half_cheetah import VectorHalfCheetah
from ...references.half_cheetah.physics import MODULES
from ..candidate import LocalCandidate, Program
from ..compare import Comparison, inputs_of
from ..record import Recording, record, record_tape
from ..suite import Compare, Field, Part, Policy, Suite, Variant, derive_seed, ignored
from .half_cheetah_policies import policies
from .half_cheetah_scenarios import SCENARIOS
from .half_cheetah_sides import OTHER, finished

STEP = Variant("one physics step", {"frame_skip": 1, "kernel": "jnp"}, x64=True)
EPISODE = 9
SHORT = Variant(  # resets, and more than one physics step
    "short episodes",
    {**OTHER.config, "frame_skip": 2, "kernel": "jnp"},
    {**OTHER.parameters, "max_episode_steps": EPISODE},
    x64=True,
)
PLAIN = Variant("all defaults, jnp", {"kernel": "jnp"}, x64=True)
NUM_ENVS, NUM_STEPS, EVERY = 8, 200, 16
STATE = ("qpos", "qvel", "qacc_warmstart")
REWARD = "outcome.reward"

Case = Mapping[str, Any]


def _suite() -> Suite:
    from .half_cheetah import suite

    return suite()


def _played(variant: Variant, seed: int, num_steps: int, late: bool = False) -> list[Recording]:
    """Every policy, with MuJoCo's solver going on to the end. late: from EPISODE steps before the
    end of the episode on."""
    recordings = []
    for name, policy in policies(variant).items():
        derived = derive_seed(seed, "parts", variant.name, name)
        generator = np.random.default_rng(derived)
        with finished(variant, NUM_ENVS) as batch:
            last = [(batch.reset(derived), batch.snapshot())]
            if late:
                fields = batch.snapshot()
                fields["elapsed_steps"] = fields["max_episode_steps"] - EPISODE
                batch.restore(fields)
            act = functools.partial(_act, policy, generator, last)
            recordings.append(record(batch, num_steps, act, functools.partial(_note, last)))
    return recordings


def _act(policy: Policy, generator: np.random.Generator, last: list[Any]) -> np.ndarray:
    return policy(generator, *last[-1])


def _note(last: list[Any], outcome: Outcome, snapshot: Snapshot) -> None:
    last[:] = [(outcome, snapshot)]


def _placed(variant: Variant, seed: int) -> list[Recording]:
    """Every scenario with as many physics steps in one."""
    recordings = []
    with finished(variant, 1) as reference:
        for scenario in SCENARIOS:
            if scenario.variant.config.get("frame_skip") == variant.config.get("frame_skip"):
                reference.reset(derive_seed(seed, scenario.name))
                fields = reference.snapshot()
                for name, value in scenario.place.items():
                    fields[name] = np.full_like(fields[name], value)
                reference.restore(fields)
                tape = np.asarray(scenario.actions)[:, None]
                recordings.append(record_tape(reference, tape))
    return recordings


def _steps(recording: Recording, every: int) -> Case:
    """Some of its steps, [N]: before, action, reward and after, by MuJoCo's names."""
    chosen = np.arange(0, recording.num_steps, every)

    def flat(x: np.ndarray, at: np.ndarray = chosen) -> np.ndarray:
        return x[at].reshape(-1, *x.shape[2:])

    shown = recording.snapshots
    return {
        "before": {name: flat(shown[name]) for name in STATE},
        "action": flat(recording.action),
        "reward": flat(recording.outcome.reward),
        "after": {name: flat(shown[name], chosen + 1) for name in (*STATE, "ctrl", *MODULES)},
    }


@functools.cache
def physics_steps(seed: int) -> Case:
    played = [_steps(recording, EVERY) for recording in _played(STEP, seed, NUM_STEPS)]
    placed = [_steps(recording, 1) for recording in _placed(STEP, seed)]
    return _joined([*played, *placed])


def environment_steps(variant: Variant, seed: int) -> Case:
    """Steps around the end of an episode, [N]: before, inputs of our side, theirs."""
    suite = _without_modules()
    program = Program(suite, *suite.environment(variant), VectorHalfCheetah.draw_sites)
    candidate = LocalCandidate(suite, variant, program.draw_sites)
    judge = Comparison(suite, candidate, program.draw_sites)
    rows = []
    played = _played(variant, seed, 2 * EPISODE + 1, late=True)
    for recording in [*played, *_placed(variant, seed)]:
        before = {name: value[:-1] for name, value in recording.snapshots.items()}
        case = {
            "before": program.used(before),
            "inputs": program.prepared(inputs_of(recording)),
            "theirs": judge.theirs(recording, recording.action.shape),
        }
        rows.append(jax.tree.map(lambda x: np.reshape(x, (-1, *np.shape(x)[2:])), case))
    return _joined(rows)


def _joined(rows: Sequence[Case]) -> Case:
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *rows)


def _without_modules() -> Suite:
    """The suite, comparing what a step of the environment returns and nothing inside it."""
    suite = _suite()
    apart = dict.fromkeys(MODULES, Field(None, ignored("compared by a part of its own")))
    return dataclasses.replace(suite, fields={**suite.fields, **apart}, derived=None)


# -- what agrees


def _agree(ours: Mapping[str, Array], theirs: Mapping[str, Array]) -> Array:
    fields, exact = _suite().compared_fields(), Compare("exact")
    comparisons = {name: fields[name].compare if name in fields else exact for name in theirs}
    wrong = [compare.mismatch(ours[name], theirs[name]) for name, compare in comparisons.items()]
    return ~jnp.stack(wrong).any()


def physics_step_agrees(env: Environment, params: Params, case: Case) -> Array:
    qpos, qvel, qacc = (case["before"][name] for name in STATE)
    action = case["action"]
    *after, way, failures = dynamics.steps(qpos, qvel, qacc, action.astype(qpos.dtype), count=1)
    _, forward, cost = dynamics.rewards(way, action, 1, params)
    ours = {**dict(zip(STATE, after, strict=True)), REWARD: (forward + cost).astype(jnp.float32)}
    theirs = {**{name: case["after"][name] for name in STATE}, REWARD: case["reward"]}
    return _agree(ours, theirs) & (failures == 0)


def modules_agree(env: Environment, params: Params, case: Case) -> Array:
    after = case["after"]
    found = modules.computed(*(after[name] for name in (*STATE, "ctrl")))
    return _agree(found, {name: after[name] for name in MODULES})


def environment_step_agrees(env: Environment, params: Params, case: Case) -> Array:
    program = Program(_without_modules(), env, params, VectorHalfCheetah.draw_sites)
    ours = program.resynchronised(case["before"], case["inputs"])
    return _agree(ours, case["theirs"])


def _environment_step(variant: Variant) -> Part:
    cases = functools.partial(environment_steps, variant)
    return Part("E2 environment step", variant, cases, environment_step_agrees)


PARTS = (
    Part("E2 physics step", STEP, physics_steps, physics_step_agrees),
    Part("E2 modules", STEP, physics_steps, modules_agree),
    _environment_step(SHORT),
    _environment_step(PLAIN),
)
