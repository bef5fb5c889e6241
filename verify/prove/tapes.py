"""A refuting input as a tape of the regression bank: a test that the suite did not have."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ...envs.files import write_atomically
from ..compare import Comparison
from ..record import record_policy
from ..story import TEST
from ..suite import Suite, Variant, derive_seed
from ..tape import Player, Tape, save
from .domain import Layout
from .environments import Make
from .equivalence import Verdict

ALONE_STEPS = 512
STREAMS = 64
"""Games that are tried, each with random numbers of its own: the refutation may need some."""


@dataclasses.dataclass(frozen=True)
class Kept:
    """path: of the tape, None where there is none for the `reason`."""

    path: Path | None
    reason: str


def keep(
    suite: Suite, variant: Variant, verdict: Verdict, make: Make, name: str, bank: Path
) -> Kept:
    """Put the reference where a refuted mutant differs, and keep the step from there in `bank`.

    On the tape the suite's environment agrees with the reference and the mutant does not, or
    nothing is kept. make: the mutant's environment; name: what the test calls it.
    Raises ReferenceUnavailable.
    """
    if verdict.inputs is None:
        return Kept(None, f"no inputs to start from: {verdict.reason}")
    if suite.place is None:
        return Kept(None, "the suite cannot place a state: declare Suite.place")
    with jax.enable_x64(variant.x64):
        env, params = suite.environment(variant)
        layout = Layout(env, params)
        trees = layout.built(verdict.inputs)
        placed = suite.place(trees["state"], params)
        player = Player(suite, Comparison.local(suite, variant), variant)
        starts = _starts(player, placed)
        back = suite.state({k: v[0] for k, v in starts.items()}, params)
        if not _equal(back, trees["state"]):
            return Kept(None, "the reference has no such state between two steps")
        mutated = dataclasses.replace(suite, environment=make, **_converted(suite, variant, make))
        other = Player(mutated, Comparison.local(mutated, variant), variant)
        actions = np.repeat(np.asarray(trees["action"])[None, None], STREAMS, 1)
        try:
            ours, theirs = player.play(starts, actions)[1], other.play(starts, actions)[1]
        except ValueError as error:  # a domain is wider than what is legal
            return Kept(None, f"the reference refuses that step: {error}")
    telling = theirs.bad[0] & ~ours.bad[0]
    if not telling.any():
        agree = "agree" if not ours.count else "do not agree"
        return Kept(None, f"no step from there tells them apart; reference and suite {agree} there")
    at = int(np.argmax(telling))
    tape = Tape(
        suite=suite.name,
        variant=variant,
        start={k: v[at] for k, v in starts.items()},
        actions=actions[:, at],
        found={
            "level": "proof",
            "policy": name,
            "seed": 0,
            "step": 0,
            "field": next(iter(theirs.by_field)),
            "by_field": theirs.by_field,
        },
    )
    path = bank / suite.name / f"{tape.identity}.json"
    save(tape, path)
    write_atomically(
        path.with_name(f"test_{tape.identity}.py"),
        TEST.format(identity=tape.identity, file=path.name, suite=suite.name, **tape.found),
    )
    return Kept(path, "")


def differs_alone(suite: Suite, variant: Variant, make: Make, seed: int = 0) -> bool:
    """Whether a mutant, compiled by itself, differs from the reference over recorded play.

    For what is equal in IEEE 754 and rounds differently once compiled. Raises ReferenceUnavailable.
    """
    name, policy = next(iter(suite.policies(variant).items()))
    with suite.reference(variant, STREAMS) as reference:
        played = record_policy(suite, reference, policy, derive_seed(seed, name), ALONE_STEPS, 1)
        *_, recording = next(played)
    with jax.enable_x64(variant.x64):
        mutated = dataclasses.replace(suite, environment=make, **_converted(suite, variant, make))
        return Comparison.local(mutated, variant).resynchronised(recording).count > 0


def _starts(player: Player, placed: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The reference's fields [STREAMS, ...] after a reset, with these overwritten."""
    reference = player.reference(STREAMS)
    reference.reset(0)
    fields = dict(reference.snapshot())
    for name, value in placed.items():
        fields[name] = np.broadcast_to(np.asarray(value), fields[name].shape).astype(
            fields[name].dtype
        )
    return fields


def _converted(suite: Suite, variant: Variant, make: Make) -> dict[str, Any]:
    """The suite's `state` and `draws` as pytrees of the mutant, whose classes may be others."""
    layout = Layout(*make(variant))

    def as_theirs(group: str, tree: Any) -> Any:
        structure = jax.tree.structure(layout.trees[group])
        return jax.tree.unflatten(structure, jax.tree.leaves(tree))

    return {
        "state": lambda before, params: as_theirs("state", suite.state(before, params)),
        "draws": lambda log: tuple(map(as_theirs, ("draws", "reset_draws"), suite.draws(log))),
    }


def _equal(a: Any, b: Any) -> bool:
    """Whether two pytrees have the same leaves, bit by bit."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.asarray(x).tobytes() == np.asarray(y).tobytes() for x, y in pairs)
