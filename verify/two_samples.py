"""Tests of samples: one distribution or two, dependent or not, and the least effect that each would
have seen.

`n` draws of a reference, `m` of ours.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
from scipy import optimize, stats

SEEN = 0.9
"""The probability with which an `effect` would be seen."""
EXPECTED = 5.0
"""Of a cell, on either side; rarer neighbours are counted together."""
MAX_CELLS = 32
JOINT_CELLS = 6


@dataclasses.dataclass(frozen=True)
class Finding:
    """One test. effect: the smallest one that is seen with probability 0.9 at this n, in `unit`,
    were it the only fault."""

    test: str
    n: int
    m: int
    statistic: float
    p: float
    effect: Callable[[float], float]
    unit: str


def compare(theirs: np.ndarray, ours: np.ndarray) -> Finding:
    """Whether two samples come from one distribution."""
    if np.issubdtype(theirs.dtype, np.floating):
        result = stats.ks_2samp(theirs, ours, method="asymp")
        share = 1 / np.sqrt(_harmonic(len(theirs), len(ours)))

        def effect(alpha: float) -> float:
            # Where the distributions are `effect` apart, the difference of the two empirical ones
            # spreads by at most half of `share`.
            return float(share * (stats.kstwobign.isf(alpha) + stats.norm.ppf(SEEN) / 2))

        return Finding(
            "Kolmogorov-Smirnov", len(theirs), len(ours),
            float(result.statistic), float(result.pvalue), effect, "distance of distributions",
        )  # fmt: skip
    cells = _cells(theirs.astype(np.int64), ours.astype(np.int64), MAX_CELLS)
    return _homogeneous("chi-square", *cells)


def joint(theirs: np.ndarray, ours: np.ndarray) -> Finding:
    """Whether two samples of pairs, [n, 2] and [m, 2], come from one joint distribution."""
    size = len(theirs)
    both = [np.concatenate(_cells(theirs[:, i], ours[:, i], JOINT_CELLS)) for i in range(2)]
    cell = both[0] * JOINT_CELLS + both[1]
    return _homogeneous("chi-square, jointly", *_cells(cell[:size], cell[size:], JOINT_CELLS**2))


def within(theirs: np.ndarray, ours: np.ndarray) -> Finding:
    """Whether ours stay in the range of theirs, as far as so many of theirs show it."""
    n, m = len(theirs), len(ours)
    below, above = int((ours < theirs.min()).sum()), int((ours > theirs.max()).sum())
    most = max(below, above)
    log_share = np.log(m / (n + m))  # of the extreme values, any one is ours with this probability

    def effect(alpha: float) -> float:
        needed = np.ceil(np.log(alpha / 2) / log_share)
        return float(min(1.0, stats.chi2.ppf(SEEN, 2 * needed) / 2 / m))

    p = float(min(1.0, 2 * np.exp(most * log_share)))
    return Finding("range", n, m, float(most), p, effect, "share out of range")


def successive(ours: np.ndarray, here: np.ndarray) -> Finding:
    """Whether values of neighbours, with successive keys, are independent where both are due."""
    even = len(ours) // 2 * 2
    both = here[:even:2] & here[1:even:2]
    return independent(ours[:even:2][both], ours[1:even:2][both], "successive keys")


def independent(a: np.ndarray, b: np.ndarray, what: str) -> Finding:
    """Whether two columns [m] of our own are independent."""
    first, second = (_binned(x, JOINT_CELLS, len(x) / 2) for x in (a, b))
    return _contingency(f"independence of {what}", first, second, len(a), len(a), "association")


# -- chi-square


def _homogeneous(test: str, theirs: np.ndarray, ours: np.ndarray) -> Finding:
    n, m = len(theirs), len(ours)
    side = np.repeat([0, 1], [n, m])
    return _contingency(test, side, np.concatenate([theirs, ours]), n, m, "probability of a cell")


def _contingency(test: str, a: np.ndarray, b: np.ndarray, n: int, m: int, unit: str) -> Finding:
    """Chi-square of the table of two columns of cell numbers."""
    table = np.zeros((a.max(initial=0) + 1, b.max(initial=0) + 1))
    np.add.at(table, (a, b), 1)
    table = table[table.sum(1) > 0][:, table.sum(0) > 0]
    freedom = (table.shape[0] - 1) * (table.shape[1] - 1) if table.size else 0
    if not freedom:  # one value alone: nothing can differ
        return Finding(test, n, m, 0.0, 1.0, lambda alpha: 1.0, unit)
    result = stats.chi2_contingency(table, correction=False)
    shares = table.sum(0) / table.sum()
    size, scale = float(table.sum()), 1.0
    if unit != "association":  # the cell that shows a shift least
        size, scale = _harmonic(n, m), float(np.sqrt(np.max(shares * (1 - shares))))

    def effect(alpha: float) -> float:
        critical = stats.chi2.isf(alpha, freedom)
        high = 10.0
        while stats.ncx2.sf(critical, freedom, high) < SEEN:
            high *= 2
        least = optimize.brentq(lambda x: stats.ncx2.sf(critical, freedom, x) - SEEN, 1e-9, high)
        return float(min(1.0, scale * np.sqrt(least / size)))

    return Finding(test, n, m, float(result.statistic), float(result.pvalue), effect, unit)


def _harmonic(n: int, m: int) -> float:
    return n * m / (n + m)


def _cells(theirs: np.ndarray, ours: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Both samples as the numbers of at most `most` cells, none of them rare on either side."""
    n, m = len(theirs), len(ours)
    cells = _binned(np.concatenate([theirs, ours]), most, min(n, m))
    return cells[:n], cells[n:]


def _binned(values: np.ndarray, most: int, smaller: float) -> np.ndarray:
    """int [n]: which of at most `most` neighbourhoods of values each falls in, such that at least
    EXPECTED of `smaller` draws are to be expected in each."""
    unique, index, count = np.unique(values, return_inverse=True, return_counts=True)
    least = max(len(values) / most, EXPECTED * len(values) / max(smaller, 1))
    if len(unique) <= most:
        least = EXPECTED * len(values) / max(smaller, 1)
    cell, so_far, cells = 0, 0, np.zeros(len(unique), np.int64)
    for i, n in enumerate(count):
        if so_far >= least:
            cell, so_far = cell + 1, 0
        cells[i] = cell
        so_far += n
    if so_far < least and cell:  # what is left over joins its neighbour
        cells[cells == cell] = cell - 1
    return cells[index.reshape(values.shape)]
