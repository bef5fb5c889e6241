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

    Where all of them are zero there is no spread to estimate, and t would claim certainty.
    Then the rule of three speaks: at level alpha at most a share 1 - alpha**(1/n) of all
    pairs differs, by `largest` at most.
    """
    _check(margin, alpha, len(differences))
    if np.any(np.abs(differences) > largest):
        raise ValueError(f"a difference exceeds {largest}, the largest one declared")
    n = len(differences)
    if not np.any(differences):
        return _all_zero(n, margin, alpha, largest)
    gap, spread = float(np.mean(differences)), float(np.std(differences, ddof=1))
    return _t_test("paired t", gap, spread / np.sqrt(n), n - 1, n, margin, alpha)


def welch(a: np.ndarray, b: np.ndarray, margin: float, alpha: float) -> Equivalence:
    """Of the means of two independent samples, float [n] and [m], of any two variances."""
    _check(margin, alpha, min(len(a), len(b)))
    parts = [np.var(x, ddof=1) / len(x) for x in (a, b)]
    gap, error = float(np.mean(a) - np.mean(b)), float(np.sqrt(sum(parts)))
    n = min(len(a), len(b))
    if error == 0:  # every value the same: nothing is known of the spread
        return _t_test("Welch", gap, np.inf, 1.0, n, margin, alpha)
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(x) - 1) for part, x in zip(parts, (a, b), strict=True)
    )
    return _t_test("Welch", gap, error, float(freedom), n, margin, alpha)


def power(gap: float, error: float, freedom: float, margin: float, alpha: float) -> float:
    """The probability that TOST shows equivalence, given the true gap and the true standard error.

    Exact (Owen's Q): the estimate is normal, its standard error independent of it, so that one sums
    over the error's distribution.
    """
    if not np.isfinite(error):
        return 0.0
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


def _all_zero(n: int, margin: float, alpha: float, largest: float) -> Equivalence:
    bound = (1 - alpha ** (1 / n)) * largest
    # A mean of `margin` needs at least this share of differing pairs; the chance to miss them all:
    p = float((1 - min(1.0, margin / largest)) ** n)
    shown = p < alpha
    return Equivalence(
        method="rule of three",
        gap=0.0,
        low=-bound,
        high=bound,
        margin=margin,
        n=n,
        alpha=alpha,
        p=p,
        power=1.0 if shown else 0.0,
        smallest_gap=margin if shown else 0.0,  # at most: few rare differences may pass below it
    )


def _check(margin: float, alpha: float, n: int) -> None:
    if not (margin > 0 and 0 < alpha < 0.5 and n >= 2):
        raise ValueError(
            f"margin={margin} must be above 0, alpha={alpha} between 0 and 0.5, n={n} at least 2"
        )
