"""An anytime-valid test of equivalence: bets on bounded paired differences (Waudby-Smith and Ramdas
2024, "Estimating means of bounded random variables by betting").

Against each of the two hypotheses "the mean is >= margin" and "the mean is <= -margin" a gambler
starts with 1 and bets before each pair; under the hypothesis the expected wealth never grows, so by
Ville's inequality it ever reaches 1 / alpha with probability at most alpha, however often one
looks. Equivalence is declared when both have. Both hypotheses cannot be true, so the chance of a
false declaration is at most alpha.
"""

import dataclasses

import numpy as np

CAUTION = 0.9
"""The largest bet as a share of the one that could lose everything."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Betting:
    """declared_at: pairs after which equivalence was declared, None where it never was; wealth:
    float [n], the smaller of the two gamblers' largest log10 wealth so far, after each pair."""

    declared_at: int | None
    wealth: np.ndarray
    alpha: float
    margin: float

    @property
    def equivalent(self) -> bool:
        return self.declared_at is not None


def bet(differences: np.ndarray, margin: float, largest: float, alpha: float = 0.05) -> Betting:
    """Of paired differences in the order in which they were seen, float [n].

    No |difference| exceeds `largest`. Raises ValueError where one does.
    """
    differences = np.asarray(differences, np.float64)
    if np.any(np.abs(differences) > largest) or not 0 < margin < largest:
        raise ValueError(
            f"differences within +-{largest} are wanted, and a margin={margin} between 0 and that"
        )
    # A gambler wins what a difference stays below the margin: payoffs in -(largest - margin) ..
    # largest + margin, with a mean of at most 0 under the hypothesis.
    best = np.minimum(
        *(
            np.maximum.accumulate(
                _log_wealth(margin - sign * differences, margin, largest - margin)
            )
            for sign in (1, -1)
        )
    )
    declared = np.flatnonzero(best >= -np.log(alpha))
    return Betting(
        declared_at=int(declared[0]) + 1 if len(declared) else None,
        wealth=best / np.log(10),
        alpha=alpha,
        margin=margin,
    )


def _log_wealth(payoffs: np.ndarray, margin: float, worst: float) -> np.ndarray:
    """float [n]: log of the wealth after each payoff, none of them below -worst.

    Each bet is Kelly's, mean / mean square, of the payoffs before it and an imagined one: no
    difference, hence a payoff of the margin, but as uncertain as makes the first bet a full one.
    """
    before = np.cumsum(payoffs) - payoffs + margin
    squares = np.cumsum(payoffs**2) - payoffs**2 + margin * worst
    bets = np.clip(before / squares, 0.0, CAUTION / worst)
    return np.cumsum(np.log1p(bets * payoffs))
