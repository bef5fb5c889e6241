"""A batch made of single references, stepped together and reset when their episodes end."""

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from .core import (
    Draw,
    DrawLog,
    Outcome,
    Reference,
    Snapshot,
    SnapshotRefused,
    TapeError,
    VectorReference,
)
from .process import ProcessReference

SEED_BITS = 53  # what a JavaScript number holds exactly
EPISODE_SEED = "episode_seed"


def instance_seed(seed: int, index: int) -> int:
    """The seed of instance `index` of a batch that was reset with `seed`, 0 .. 2**53 - 1."""
    return _seed(np.random.SeedSequence(seed, spawn_key=(index,)))


def next_seed(seed: int) -> int:
    """The seed of the episode that follows the one seeded with `seed`, 0 .. 2**53 - 1."""
    return _seed(np.random.SeedSequence(seed))


def _seed(sequence: np.random.SeedSequence) -> int:
    return int(sequence.generate_state(1, np.uint64)[0]) >> (64 - SEED_BITS)


class SerialVector(VectorReference):
    """`num_envs` single references as a batch; programs of their own all compute at the same time.

    make: builds one instance, as `lambda: ProcessReference(["node", "simulator.mjs"])`.
    Where a single one does not reset itself, an instance whose episode ended is reset in the same
    call: `observation` and `legal` are the new episode's, `final_observation`, `reward`,
    `terminated` and `truncated` the old one's; the draws of the reset follow those of the step.
    The seed of an episode follows from that of the one before (`instance_seed`, `next_seed`), and
    a snapshot holds it in the field `episode_seed` (uint64 [B]) beside upstream's own.
    An exception leaves the batch half stepped: go on with `reset` or `restore`.
    """

    def __init__(self, make: Callable[[], Reference], num_envs: int) -> None:
        if num_envs < 1:
            raise ValueError(f"num_envs={num_envs}; a batch has at least one instance")
        self.num_envs = num_envs
        self._instances: list[Reference] = []
        try:
            for _ in range(num_envs):
                self._instances.append(make())
        except BaseException:
            self.close()
            raise
        first = self._instances[0]
        self.name, self.version = first.name, first.version
        self.draw_sites, self.draw_bounds = first.draw_sites, first.draw_bounds
        if len(self.draw_sites) > np.iinfo(np.int16).max:
            raise ValueError(f"{self.name}: {len(self.draw_sites)} draw sites; a log holds 127")
        self._seeds = np.zeros(num_envs, np.uint64)
        self._last: dict[int, Snapshot] = {}
        self._step_draws: list[list[Draw]] = [[] for _ in range(num_envs)]
        self._reset_draws: list[list[Draw]] = [[] for _ in range(num_envs)]
        self._tape: DrawLog | None = None

    def reset(self, seed: int) -> Outcome:
        """Start an episode in every instance; instance i with `instance_seed(seed, i)`."""
        self._seeds[:] = [instance_seed(seed, i) for i in range(self.num_envs)]
        for instance, tape in zip(self._instances, self._take_tapes(), strict=False):
            instance.force(tape)
        outcomes = self._call("reset", range(self.num_envs), self._seeds.tolist())
        self._step_draws = [[] for _ in self._instances]
        self._reset_draws = [instance.draws() for instance in self._instances]
        return _stack(outcomes)

    def step(self, actions: np.ndarray) -> Outcome:
        """One step of every instance, and a reset where the episode ended. actions: [B, ...]."""
        actions = self._check_actions(actions)
        self._last = {}
        splits = self._tape.step_count if self._tape is not None else None
        tapes = self._take_tapes()
        step_tapes, reset_tapes = tapes, [tape[len(tape) :] for tape in tapes]
        if splits is not None and not self._instances[0].auto_reset:
            step_tapes = [tape[:n] for tape, n in zip(tapes, splits, strict=True)]
            reset_tapes = [tape[n:] for tape, n in zip(tapes, splits, strict=True)]
        for instance, tape in zip(self._instances, step_tapes, strict=False):
            instance.force(tape)
        outcomes = self._call("step", range(self.num_envs), list(actions))
        self._step_draws = [instance.draws() for instance in self._instances]
        self._reset_draws = [[] for _ in self._instances]
        if self._instances[0].auto_reset:
            return _stack(outcomes)
        return self._reset_finished(outcomes, reset_tapes)

    def draws(self) -> DrawLog:
        """The draws of the last call; `step_count` says where those of the auto-reset begin.

        An instance that resets itself does not tell them apart; `step_count` is then None.
        """
        rows = [s + r for s, r in zip(self._step_draws, self._reset_draws, strict=True)]
        shape = (self.num_envs, max(map(len, rows)))
        site, value, bound = (
            np.zeros(shape, np.int16),
            np.zeros(shape, np.int64),
            np.zeros(shape, np.int64),
        )
        for i, row in enumerate(rows):
            site[i, : len(row)] = [self.draw_sites.index(draw.site) for draw in row]
            value[i, : len(row)] = [draw.value for draw in row]
            bound[i, : len(row)] = [draw.bound for draw in row]
        itself = self._instances[0].auto_reset
        return DrawLog(
            count=np.array([len(row) for row in rows], np.int32),
            site=site,
            value=value,
            bound=bound,
            step_count=None if itself else np.array([len(s) for s in self._step_draws], np.int32),
        )

    def force(self, draws: DrawLog) -> None:
        """Feed these draws to the next call: TapeError unless it consumes exactly these.

        A step after which an instance is reset here needs `step_count` too.
        """
        if draws.count.shape != (self.num_envs,):
            raise ValueError(
                f"{self.name}: count is {draws.count.shape}, expected ({self.num_envs},)"
            )
        self._tape = draws

    def snapshot(self) -> dict[str, np.ndarray]:
        """Every field stacked, [B, ...]. Raises SnapshotRefused where a field's shape varies."""
        return self._stacked(self._call("snapshot", range(self.num_envs)))

    def final_snapshot(self) -> dict[str, np.ndarray] | None:
        """The last state of the episodes that the last step ended; None where there are none, and
        where instances reset themselves or cannot be saved."""
        if not self._last:
            return None
        any_of_them = next(iter(self._last.values()))
        return self._stacked([self._last.get(i, any_of_them) for i in range(self.num_envs)])

    def _stacked(self, singles: Sequence[Snapshot]) -> dict[str, np.ndarray]:
        snapshot = {}
        for name in singles[0]:
            fields = [single[name] for single in singles]
            if len(shapes := {field.shape for field in fields}) > 1:
                raise SnapshotRefused(
                    f"{self.name}: field {name} has the shapes {sorted(shapes)} in one batch; "
                    "let the program pad it to one length"
                )
            snapshot[name] = np.stack(fields)
        if not self._instances[0].auto_reset:
            snapshot[EPISODE_SEED] = self._seeds.copy()
        return snapshot

    def restore(self, snapshot: Snapshot) -> None:
        """The inverse of `snapshot`; without `episode_seed` the present seeds stay."""
        for name, field in snapshot.items():
            if np.shape(field)[:1] != (self.num_envs,):
                raise ValueError(
                    f"{self.name}: snapshot field {name} is {np.shape(field)}, "
                    f"expected a leading axis of {self.num_envs}"
                )
        upstream = {name: field for name, field in snapshot.items() if name != EPISODE_SEED}
        singles = [
            {name: np.asarray(field[i]) for name, field in upstream.items()}
            for i in range(self.num_envs)
        ]
        self._call("restore", range(self.num_envs), singles)
        if EPISODE_SEED in snapshot:
            self._seeds[:] = snapshot[EPISODE_SEED]

    def close(self) -> None:
        for instance in self._instances:
            instance.close()

    def _check_actions(self, actions: Any) -> np.ndarray:
        first, actions = self._instances[0], np.asarray(actions)
        if isinstance(first, ProcessReference):
            return first.check_actions(actions, (self.num_envs,))
        if actions.shape[:1] != (self.num_envs,):
            raise ValueError(
                f"{self.name}: actions have shape {actions.shape}, expected ({self.num_envs}, ...)"
            )
        return actions

    def _take_tapes(self) -> list[list[Draw]]:
        """The forced draws of each instance; no lists where nothing is forced."""
        log, self._tape = self._tape, None
        if log is None:
            return []
        bounds = np.array(self.draw_bounds)[log.site] if log.bound is None else log.bound
        return [
            [
                Draw(site=self.draw_sites[site], bound=int(bound), value=int(value))
                for site, bound, value in zip(log.site[i], bounds[i], log.value[i], strict=True)
            ][:count]
            for i, count in enumerate(log.count)
        ]

    def _reset_finished(self, outcomes: list[Outcome], tapes: Sequence[Sequence[Draw]]) -> Outcome:
        final_observation = np.stack([outcome.observation for outcome in outcomes])
        finished = [i for i, o in enumerate(outcomes) if o.terminated.any() or o.truncated.any()]
        with contextlib.suppress(SnapshotRefused):  # then nobody can see them
            self._last = dict(zip(finished, self._call("snapshot", finished), strict=True))
        for i, tape in enumerate(tapes):
            if i in finished:
                self._instances[i].force(tape)
            elif tape:
                raise TapeError(
                    f"{self.name}: the draw at site {tape[0].site!r} was not consumed: "
                    f"it is for a reset, and the episode of instance {i} goes on"
                )
        for i in finished:
            self._seeds[i] = next_seed(int(self._seeds[i]))
        fresh = self._call("reset", finished, [int(self._seeds[i]) for i in finished])
        for i, start in zip(finished, fresh, strict=True):
            self._reset_draws[i] = self._instances[i].draws()
            outcomes[i] = dataclasses.replace(
                outcomes[i], observation=start.observation, legal=start.legal
            )
        return dataclasses.replace(_stack(outcomes), final_observation=final_observation)

    def _call(
        self,
        verb: Literal["reset", "step", "snapshot", "restore"],
        indices: Sequence[int],
        arguments: Sequence[Any] | None = None,
    ) -> list[Any]:
        """One call on each of these instances: ask all, then hear all."""
        asked, results, errors = [], [], []
        for n, i in enumerate(indices):
            instance, argument = self._instances[i], () if arguments is None else (arguments[n],)
            try:
                if isinstance(instance, ProcessReference):
                    instance.send(verb, *argument)
                    asked.append(instance)
                else:
                    results.append(getattr(instance, verb)(*argument))
            except Exception as error:  # the others still take their turn, so that none lags
                errors.append(error)
        for instance in asked:
            try:
                results.append(instance.receive())
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0]
        return results


def _stack(outcomes: Sequence[Outcome]) -> Outcome:
    """Single outcomes as a batch; `legal` is None where all of them leave it out."""
    names = [field.name for field in dataclasses.fields(Outcome)]
    columns = {name: [getattr(outcome, name) for outcome in outcomes] for name in names}
    stacked: dict[str, Any] = {
        name: None if column[0] is None else np.stack(column) for name, column in columns.items()
    }
    return Outcome(**stacked)
