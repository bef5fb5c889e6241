"""The bets: valid however often one looks, and quick where there is no difference."""

from collections.abc import Callable

import numpy as np
import pytest

from simlift.verify.transfer.betting import bet

MARGIN, LARGEST, ALPHA = 0.1, 1.0, 0.05

Sampler = Callable[[np.random.Generator, int], np.ndarray]


def jumps(generator: np.random.Generator, n: int) -> np.ndarray:
    """Mostly nothing, now and then all of it: a mean of the margin."""
    return np.where(generator.random(n) < MARGIN, LARGEST, 0.0)


def spread(generator: np.random.Generator, n: int) -> np.ndarray:
    return np.where(generator.random(n) < (1 + MARGIN) / 2, 1.0, -1.0)


def even(generator: np.random.Generator, n: int) -> np.ndarray:
    return generator.uniform(MARGIN - 0.5, MARGIN + 0.5, n)


@pytest.mark.parametrize("sampler", [jumps, spread, even])
@pytest.mark.parametrize("sign", [1, -1])
def test_at_the_margin_looking_after_every_pair_declares_no_more_often_than_alpha(
    sampler: Sampler, sign: int
) -> None:
    generator, repeats = np.random.default_rng(5), 600
    declared = [
        bet(sign * sampler(generator, 1500), MARGIN, LARGEST, ALPHA).equivalent
        for _ in range(repeats)
    ]
    assert np.mean(declared) < ALPHA + 3 * np.sqrt(ALPHA / repeats)


def test_twice_the_margin_is_never_declared() -> None:
    generator = np.random.default_rng(6)
    for _ in range(100):
        differences = generator.uniform(2 * MARGIN - 0.3, 2 * MARGIN + 0.3, 1500)
        assert not bet(differences, MARGIN, LARGEST, ALPHA).equivalent


def test_no_difference_is_declared_as_soon_as_the_rule_of_three_allows() -> None:
    result = bet(np.zeros(200), MARGIN, LARGEST, ALPHA)
    rule_of_three = np.log(ALPHA) / np.log(1 - MARGIN / LARGEST)
    assert result.declared_at is not None
    assert rule_of_three <= result.declared_at < 1.3 * rule_of_three
    assert np.all(np.diff(result.wealth) >= 0)
    assert result.wealth[result.declared_at - 1] >= np.log10(1 / ALPHA)


def test_small_noise_around_zero_is_declared() -> None:
    generator = np.random.default_rng(7)
    declared = [
        bet(generator.normal(0, 0.2, 1500).clip(-1, 1), MARGIN, LARGEST).declared_at
        for _ in range(50)
    ]
    assert all(n is not None and n < 700 for n in declared)


@pytest.mark.parametrize(
    ("differences", "margin"), [([2.0], 0.1), ([0.0], 0.0), ([0.0], 1.0), ([-1.5], 0.1)]
)
def test_what_makes_no_sense_is_refused(differences: list[float], margin: float) -> None:
    with pytest.raises(ValueError, match="margin="):
        bet(np.array(differences), margin, LARGEST)
