"""Late in a chaotic episode: returns and observations of the two sides as distributions.

Both sides are given the same draws and actions of policies that look at nothing, and soon each
takes its own course. What still has to agree is how often they do what. The two samples share their
starts and actions, which makes them more alike, never less: a difference that is seen is one.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..references.core import DrawLog
from .candidate import Fields
from .compare import Comparison, inputs_of
from .divergence import ENDS, said
from .record import Recording
from .samplers import ALPHA, adjusted
from .two_samples import compare

STEPS = (100, 400, 999)
"""Of an episode, after which observations are compared."""
REWARD, OBSERVATION = "outcome.reward", "outcome.observation"


class Late:
    """The first episodes under one policy, our side running free."""

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison
        self.ours, self.theirs = _Episodes(), _Episodes()
        self._states: Any = None

    def add(self, recording: Recording, first_draws: DrawLog) -> None:
        """One recording after the other; first_draws: of the reset before the first."""
        if self._states is None:
            self._states = self.comparison.start(first_draws)[0]
        self._states, ours = self.comparison.candidate.free_running(
            self._states, recording.at(0), inputs_of(recording)
        )
        self.ours.add(ours)
        self.theirs.add(said(recording))


class _Episodes:
    """One side. returns: float64 [B], so far; seen: step -> observations [n, ...]."""

    def __init__(self) -> None:
        self.returns: Any = 0.0
        self.running: Any = True
        self.seen: dict[int, np.ndarray] = {}
        self._steps = 0

    def add(self, fields: Fields) -> None:
        ended = np.logical_or.accumulate(fields[ENDS[0]] | fields[ENDS[1]], 0)
        before = np.concatenate([np.zeros_like(ended[:1]), ended[:-1]])
        counted = self.running & ~before
        self.returns = self.returns + np.where(counted, fields[REWARD], 0).sum(0, np.float64)
        for step in STEPS:
            if 0 < (t := step - self._steps) <= len(ended):
                goes_on = self.running & ~ended[t - 1]
                if goes_on.any():
                    self.seen[step] = fields[OBSERVATION][t - 1, goes_on]
        self.running = self.running & ~ended[-1]
        self._steps += len(ended)

    def columns(self) -> dict[str, np.ndarray]:
        """What is compared, by name: samples [n]."""
        finished = np.asarray(self.returns)[~np.asarray(self.running)]
        columns = {"return": finished} if len(finished) else {}
        for step, seen in self.seen.items():
            for i, column in enumerate(seen.reshape(len(seen), -1).T):
                columns[f"observation[{i}] after {step} steps"] = column.astype(np.float64)
        return columns


def judge(policies: Mapping[str, Late]) -> dict[str, Any]:
    """Kolmogorov-Smirnov of what is seen late, all policies together in equal parts on both sides;
    Benjamini-Hochberg keeps the chance of a false alarm at ALPHA.

    holds; policies; count: episodes of either side; alpha; rows: column, n, m, statistic, p, q,
    effect (the smallest distance of distributions that is seen with probability 0.9), holds; what:
    a line for each column that differs.
    """
    ours, theirs = (
        _pooled([side.columns() for side in sides])
        for sides in zip(*((late.ours, late.theirs) for late in policies.values()), strict=True)
    )
    rows = adjusted(
        [
            {"column": name, **vars(compare(theirs[name], ours[name]))}
            for name in theirs
            if name in ours
        ]
    )
    wrong = [row for row in rows if not row["holds"]]
    return {
        "holds": not wrong,
        "policies": list(policies),
        "count": sum(np.size(late.theirs.returns) for late in policies.values()),
        "alpha": ALPHA,
        "rows": rows,
        "what": [f"{row['column']} is distributed otherwise, p = {row['p']:.1e}" for row in wrong],
    }


def _pooled(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: np.concatenate([part[name] for part in parts if name in part]) for name in names}
