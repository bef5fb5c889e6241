"""Two one-sided t-tests (TOST): is a difference of means smaller than a margin, and what could the
test have said?

"Equivalent" is what has to be shown here, at level alpha: a test that sees too little says "not
shown". So every result carries its power, the probability that it would have said "equivalent" had
there been no difference at all.
"""

import dataclasses
import functools

import numpy as np
from scipy import optimize, stats

SEEN = 0.9
"""The probability with which `smallest_gap` would be seen."""
ALIKE = 1e-6
"""Differences that differ by no more than this share of the largest one are rounding."""
_QUANTILES = 2048


@dataclasses.dataclass(frozen=True, kw_only=True)
class Equivalence:
    """One comparison of two means, in units of the return.

    gap: the estimated difference; low, high: its confidence interval of level 1 - 2 alpha, which
    lies within +-margin exactly where equivalence is shown; n: episodes or policies, of the
    smaller side; power: of showing equivalence if the true gap were zero; smallest_gap: the
    least true gap that is not taken for equivalence with probability 0.9 (vacuous where the power
    is small).
    """

    method: str
    gap: float
    low: float
    high: float
    margin: float
    n: int
    alpha: float
    p: float
    power: float
    smallest_gap: float

    @property
    def equivalent(self) -> bool:
        return self.p < self.alpha


def paired(differences: np.ndarray, margin: float, alpha: float, largest: float) -> Equivalence:
    """Of paired differences, float [n], n >= 2; no |difference| exceeds `largest`.

    Where all of them are alike, mostly zero, there is no spread to estimate and t would claim
    certainty. Then the rule of three speaks: at level alpha at most a share 1 - alpha**(1/n) of
    all pairs is otherwise, by `largest` at most.
    """
    _check(margin, alpha, len(differences))
    if np.any(np.abs(differences) > largest):
        raise ValueError(f"a difference exceeds {largest}, the largest one declared")
    n, gap = len(differences), float(np.mean(differences))
    if np.ptp(differences) <= ALIKE * largest:
        return _all_alike(gap, n, margin, alpha, largest)
    error = float(np.std(differences, ddof=1) / np.sqrt(n))
    return _t_test("paired t", gap, error, n - 1, n, margin, alpha)


def welch(a: np.ndarray, b: np.ndarray, margin: float, alpha: float, largest: float) -> Equivalence:
    """Of the means of two independent samples, float [n] and [m], of any variances; no two values
    differ by more than `largest`. Where each sample's are all alike, as in `paired`.

    Samples [P, n] and [P, m] are of P policies that both sides play: how the policies differ from
    one another then is no part of the error.
    """
    a, b = np.atleast_2d(a), np.atleast_2d(b)
    n = min(a.size, b.size)
    _check(margin, alpha, min(a.shape[1], b.shape[1]))
    gap = float(np.mean(a) - np.mean(b))
    if abs(gap) > largest:
        raise ValueError(f"a difference exceeds {largest}, the largest one declared")
    if max(np.ptp(x, axis=1).max() for x in (a, b)) <= ALIKE * largest:
        return _all_alike(gap, n, margin, alpha, largest)
    parts = [np.var(x, axis=1, ddof=1) / x.shape[1] / len(x) ** 2 for x in (a, b)]
    freedom = np.sum(parts) ** 2 / sum(
        np.sum(part**2) / (x.shape[1] - 1) for part, x in zip(parts, (a, b), strict=True)
    )
    error = float(np.sqrt(np.sum(parts)))
    return _t_test("Welch", gap, error, float(freedom), n, margin, alpha)


def power(gap: float, error: float, freedom: float, margin: float, alpha: float) -> float:
    """The probability that TOST shows equivalence, given the true gap and the true standard error.

    Exact (Owen's Q): the estimate is normal, its standard error independent of it, so that one sums
    over the error's distribution.
    """
    seen = error * _relative_errors(freedom)
    room = margin - stats.t.ppf(1 - alpha, freedom) * seen
    inside = stats.norm.cdf((room - gap) / error) - stats.norm.cdf((-room - gap) / error)
    return float(np.mean(np.where(room > 0, inside, 0.0)))


@functools.lru_cache(maxsize=64)
def _relative_errors(freedom: float) -> np.ndarray:
    """Estimated over true standard error at evenly spaced quantiles."""
    at = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    return np.sqrt(stats.chi2.ppf(at, freedom) / freedom)


def _t_test(
    method: str, gap: float, error: float, freedom: float, n: int, margin: float, alpha: float
) -> Equivalence:
    t = (margin - abs(gap)) / error
    half = stats.t.ppf(1 - alpha, freedom) * error
    shown = functools.partial(power, error=error, freedom=freedom, margin=margin, alpha=alpha)
    smallest = 0.0
    if shown(0.0) > 1 - SEEN:  # beyond the margin it is at most alpha, in between it falls
        smallest = optimize.brentq(lambda true: shown(true) - (1 - SEEN), 0.0, margin + 9 * error)
    return Equivalence(
        method=method,
        gap=gap,
        low=gap - half,
        high=gap + half,
        margin=margin,
        n=n,
        alpha=alpha,
        p=float(stats.t.sf(t, freedom)),
        power=shown(0.0),
        smallest_gap=float(smallest),
    )


def _all_alike(gap: float, n: int, margin: float, alpha: float, largest: float) -> Equivalence:
    otherwise = 1 - alpha ** (1 / n)
    far = largest + abs(gap)  # from the common difference to the farthest one there could be
    # The share of other pairs that a mean beyond the margin needs, and the chance to miss them.
    needed = min(max((margin - abs(gap)) / far, 0.0), 1.0)
    able = otherwise * largest < margin
    return Equivalence(
        method="rule of three",
        gap=gap,
        low=gap - otherwise * far,
        high=gap + otherwise * far,
        margin=margin,
        n=n,
        alpha=alpha,
        p=(1 - needed) ** n,
        power=float(able),
        smallest_gap=margin * able,  # at most; rare differences below it may pass
    )


def _check(margin: float, alpha: float, n: int) -> None:
    if not (margin > 0 and 0 < alpha < 0.5 and n >= 2):
        raise ValueError(
            f"margin={margin} must be above 0, alpha={alpha} between 0 and 0.5, n={n} at least 2"
        )
