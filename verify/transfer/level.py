"""L4: policies trained on either side earn the same on both."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from ...train.policy import Policy
from ..suite import Suite, SuiteError, derive_seed
from .arena import Arena, Pairs
from .betting import Betting, bet
from .equivalence import Equivalence, paired, welch
from .plan import TransferPlan
from .training import FAST, REFERENCE, RandomActor, Team, train_policies

CURVE_POINTS = 100
RANDOM_EPISODES = 64
PARTS = 4
"""How often playing may stop early, where it may."""

Progress = Callable[[str, float], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TransferOptions:
    """What a run may change of a suite's plan; None leaves the plan's."""

    seeds: int | None = None
    """Policies trained on each side, >= 2."""
    episodes: int | None = None
    """Pairs of episodes, over all policies; rounded up to equal shares of two or more."""
    total_steps: int | None = None
    """Of each training run."""
    alpha: float = 0.05
    early_stop: bool = False
    """Whether playing pairs ends as soon as the bets declare equivalence, which then judge."""

    def applied(self, plan: TransferPlan) -> TransferPlan:
        """The plan with these changes. Raises ValueError for one that makes no sense."""
        if not 0 < self.alpha < 0.5:
            raise ValueError(f"alpha={self.alpha} must lie between 0 and 0.5")
        given = {"seeds": self.seeds, "episodes": self.episodes}
        changes: dict[str, Any] = {k: v for k, v in given.items() if v is not None}
        if self.total_steps is not None:
            changes["config"] = dataclasses.replace(plan.config, total_steps=self.total_steps)
        return dataclasses.replace(plan, **changes)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """What a run has trained and played; mutants are judged by it too.

    team: the policies of both sides, trained_by: the side of each; pairs: one or more batches with
    the same draws; span: trained minus random return in the reference.
    """

    arena: Arena
    team: Team
    trained_by: Sequence[str]
    pairs: Sequence[Pairs]
    span: float
    alpha: float

    @property
    def plan(self) -> TransferPlan:
        return self.arena.plan

    @property
    def margin(self) -> float:
        """In units of the return."""
        return self.span * self.plan.margin

    @property
    def largest(self) -> float:
        """No two returns differ by more."""
        return self.plan.returns[1] - self.plan.returns[0]


def silent(what: str, done: float) -> None:
    """No progress shown."""


def transfer(
    suite: Suite,
    seed: int = 0,
    options: TransferOptions | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Train on both sides, play on both, and say whether the returns are equivalent.

    Returns holds; env, variant, seed; trained, random, span (returns in the reference); rows, one
    for each comparison: axis, what, counts (whether `holds` depends on it), equivalent, and all of
    `Equivalence`; bets: declared_at, alpha, margin, and the wealth (log10) after `at` pairs;
    played: mean, sd and n of each cell; unfinished: episodes that were cut off; margins: in units
    of the return, with the reason; seconds: train and play. Raises SuiteError where the suite
    declares no plan, ReferenceUnavailable, and ValueError for options that make no sense or a
    training that learned nothing.
    """
    return run(suite, seed, options or TransferOptions(), progress)[0]


def run(
    suite: Suite, seed: int, options: TransferOptions, progress: Progress = silent
) -> tuple[dict[str, Any], Stage]:
    """As `transfer`, and what a mutation score goes on with."""
    plan = planned(suite, options)
    started = time.perf_counter()
    progress("L4 training on both sides", 0.0)
    first = derive_seed(seed, "transfer", "train") // 2
    trained = train_policies(suite, plan, range(first, first + plan.seeds))
    seconds = time.perf_counter() - started
    result, stage = evaluate(suite, trained, seed, options, progress)
    result["seconds"] = {"train": seconds, **result["seconds"]}
    return result, stage


def planned(suite: Suite, options: TransferOptions) -> TransferPlan:
    """The suite's plan with the options' changes. Raises SuiteError where it declares none."""
    if suite.transfer is None:
        raise SuiteError(f"{suite.name}: the suite declares no transfer plan; see TransferPlan")
    return options.applied(suite.transfer)


def evaluate(
    suite: Suite,
    trained: Mapping[str, Sequence[Policy]],
    seed: int,
    options: TransferOptions,
    progress: Progress = silent,
) -> tuple[dict[str, Any], Stage]:
    """As `run`, of policies that were trained already: by the side that trained them."""
    plan = planned(suite, options)
    with jax.enable_x64(plan.variant.x64):
        return _evaluate(Arena(suite, plan, seed), trained, options, progress)


def _evaluate(
    arena: Arena,
    trained: Mapping[str, Sequence[Policy]],
    options: TransferOptions,
    progress: Progress,
) -> tuple[dict[str, Any], Stage]:
    plan = arena.plan
    started = time.perf_counter()
    progress("L4 playing in the reference", 0.6)
    team = Team.of([policy for policies in trained.values() for policy in policies])
    random = RandomActor(space=arena.env.action_space(arena.params))
    floor = arena.in_reference(random, RANDOM_EPISODES, "random")
    share = max(-(-plan.episodes // team.size), 2) * team.size
    again = arena.in_reference(team, share, "again")
    span = float(again.mean() - floor.mean())
    if span <= 0:
        raise ValueError(
            f"{arena.suite.name}: trained policies earn {again.mean():.4g} in the reference, no "
            "more than random ones: there is no learnable span to measure margins by; train longer"
        )
    progress("L4 playing with draws of our own", 0.7)
    own = arena.in_ours(team, share, "own")
    progress("L4 playing with the same draws", 0.8)
    trained_by = [side for side, policies in trained.items() for _ in policies]
    stage = Stage(
        arena=arena, team=team, trained_by=trained_by, pairs=[], span=span, alpha=options.alpha
    )
    stage, bets = _play_pairs(stage, options.early_stop)
    seconds = time.perf_counter() - started

    cells = {
        "reference": np.concatenate([pairs.theirs for pairs in stage.pairs]),
        "ours, same draws": np.concatenate([pairs.ours for pairs in stage.pairs]),
        "ours, own draws": own,
        "reference, other draws": again,
        "random in the reference": floor,
    }
    rows = _evaluation_rows(stage, bets if options.early_stop else None, own, again)
    if len(trained) > 1:
        rows += _training_rows(stage)
    result = {
        "holds": all(row["equivalent"] for row in rows if row["counts"]),
        "env": arena.suite.name,
        "variant": plan.variant.name,
        "seed": arena.seed,
        "trained": float(again.mean()),
        "random": float(floor.mean()),
        "span": span,
        "rows": rows,
        "bets": _curve(bets),
        "played": {
            name: {"mean": float(x.mean()), "sd": float(x.std(ddof=1)), "n": len(x)}
            for name, x in cells.items()
        },
        "unfinished": arena.unfinished,
        "margins": {
            "same draws": stage.margin,
            "own draws": span * plan.own_margin,
            "training": span * plan.training_margin,
            "why": plan.why,
        },
        "seconds": {"play": seconds},
    }
    return result, stage


def _play_pairs(stage: Stage, early_stop: bool) -> tuple[Stage, Betting]:
    """All pairs; with `early_stop` in parts, until the bets declare equivalence."""
    parts = PARTS if early_stop else 1
    size = stage.team.size
    share = max(-(-stage.plan.episodes // (size * parts)), 2) * size
    pairs: list[Pairs] = []
    for part in range(parts):
        pairs.append(stage.arena.pairs(stage.team, share, f"pairs {part}"))
        # In turns, so that every policy is heard early.
        in_turns = [batch.differences.reshape(size, -1).T.reshape(-1) for batch in pairs]
        bets = bet(np.concatenate(in_turns), stage.margin, stage.largest, stage.alpha)
        if early_stop and bets.equivalent:
            break
    return dataclasses.replace(stage, pairs=pairs), bets


def _evaluation_rows(
    stage: Stage, bets: Betting | None, own: np.ndarray, again: np.ndarray
) -> list[dict[str, Any]]:
    """bets: given where they judge instead of a test at a fixed number of pairs."""
    margin, alpha = stage.margin, stage.alpha
    wide = stage.span * stage.plan.own_margin
    differences = np.concatenate([pairs.differences for pairs in stage.pairs])
    size = stage.team.size
    own, again = own.reshape(size, -1), again.reshape(size, -1)
    theirs = np.concatenate([pairs.theirs.reshape(size, -1) for pairs in stage.pairs], axis=1)
    same = paired(differences, margin, alpha, stage.largest)
    rows = [_row("evaluation", "ours - reference, same policies, draws and action keys", same)]
    if bets is not None:
        rows[0] |= {"equivalent": bets.equivalent, "method": f"bets, then {same.method}"}
    what = "ours - reference, same policies, each side's own draws"
    rows.append(_row("evaluation", what, welch(own, theirs, wide, alpha, stage.largest)))
    what = "noise floor: reference - reference, other draws"
    rows.append(
        _row("evaluation", what, welch(again, theirs, wide, alpha, stage.largest), counts=False)
    )
    return rows


def _training_rows(stage: Stage) -> list[dict[str, Any]]:
    """By the side that trained, one mean return a policy, both playing on the same side."""
    rows = []
    margin = stage.span * stage.plan.training_margin
    by = np.array(stage.trained_by)
    for side in ("theirs", "ours"):
        returns = [getattr(pairs, side).reshape(stage.team.size, -1) for pairs in stage.pairs]
        means = np.concatenate(returns, axis=1).mean(1)
        where = "reference" if side == "theirs" else "ours"
        fast, slow = means[by == FAST], means[by == REFERENCE]
        test = welch(fast, slow, margin, stage.alpha, stage.largest)
        rows.append(
            _row("training", f"trained in ours - in the reference, played in {where}", test)
        )
    return rows


def _row(axis: str, what: str, test: Equivalence, counts: bool = True) -> dict[str, Any]:
    return {
        "axis": axis,
        "what": what,
        "counts": counts,
        "equivalent": test.equivalent,
        **dataclasses.asdict(test),
    }


def _curve(bets: Betting) -> dict[str, Any]:
    """The bets in numbers of JSON, thinned to a curve."""
    points = min(CURVE_POINTS, len(bets.wealth))
    at = np.unique(np.linspace(1, len(bets.wealth), points).astype(int))
    return {
        "declared_at": bets.declared_at,
        "alpha": bets.alpha,
        "margin": bets.margin,
        "at": at.tolist(),
        "wealth": bets.wealth[at - 1].tolist(),
    }
