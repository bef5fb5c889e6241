"""TOST, its power, and what it says of differences without spread."""

import numpy as np
import pytest
from scipy import stats

from simlift.verify.transfer.equivalence import paired, power, welch

ALPHA, MARGIN, LARGEST = 0.05, 0.5, 100.0


def test_power_is_that_of_simulated_experiments() -> None:
    generator = np.random.default_rng(0)
    n, gap, spread, repeats = 12, 0.1, 0.5, 500
    shown = np.mean(
        [
            paired(generator.normal(gap, spread, n), MARGIN, ALPHA, LARGEST).equivalent
            for _ in range(repeats)
        ]
    )
    expected = power(gap, spread / np.sqrt(n), n - 1, MARGIN, ALPHA)
    assert 0.5 < expected < 0.95
    assert shown == pytest.approx(expected, abs=4 * np.sqrt(0.25 / repeats))


def test_power_agrees_with_the_noncentral_t() -> None:
    n, spread = 80, 1.2
    error, freedom = spread / np.sqrt(n), n - 1
    t = stats.t.ppf(1 - ALPHA, freedom)
    approximate = stats.nct.cdf(-t, freedom, -MARGIN / error) - stats.nct.cdf(
        t, freedom, MARGIN / error
    )
    assert power(0.0, error, freedom, MARGIN, ALPHA) == pytest.approx(approximate, abs=2e-3)


def test_a_gap_of_the_margin_is_declared_equivalent_no_more_often_than_alpha() -> None:
    generator = np.random.default_rng(1)
    repeats = 500
    sides = generator.normal(0, 0.4, (repeats, 2, 15))
    shown = np.mean([welch(a + MARGIN, b, MARGIN, ALPHA, LARGEST).equivalent for a, b in sides])
    assert 0.01 < shown < ALPHA + 3 * np.sqrt(ALPHA / repeats)


def test_how_policies_differ_is_no_part_of_the_error() -> None:
    generator = np.random.default_rng(5)
    levels = np.array([0.0, 30.0, 80.0])[:, None]
    a, b = (levels + generator.normal(0, 0.5, (3, n)) for n in (20, 30))
    test = welch(a, b, MARGIN, ALPHA, LARGEST)
    assert test.equivalent and test.n == 60
    assert not welch(a.reshape(-1), b.reshape(-1), MARGIN, ALPHA, LARGEST).equivalent
    assert test.gap == pytest.approx(a.mean() - b.mean())
    plain = stats.ttest_ind(a[0], b[0], equal_var=False).confidence_interval(1 - 2 * ALPHA)
    alone = welch(a[:1], b[:1], MARGIN, ALPHA, LARGEST)
    assert (alone.low, alone.high) == pytest.approx((plain.low, plain.high))
    with pytest.raises(ValueError, match="n=1"):
        welch(a[:, :1], b, MARGIN, ALPHA, LARGEST)


def test_the_interval_and_the_verdict_say_the_same() -> None:
    generator = np.random.default_rng(2)
    verdicts = set()
    for gap in (0.0, 0.3, 0.45, 0.7):
        test = paired(generator.normal(gap, 0.5, 40), MARGIN, ALPHA, LARGEST)
        assert test.equivalent == (test.low > -MARGIN and test.high < MARGIN)
        verdicts.add(test.equivalent)
    assert verdicts == {True, False}


def test_the_smallest_gap_is_seen_with_probability_nine_tenths() -> None:
    test = paired(np.random.default_rng(3).normal(0, 0.5, 40), MARGIN, ALPHA, LARGEST)
    error = (test.high - test.low) / 2 / stats.t.ppf(1 - ALPHA, 39)
    assert power(test.smallest_gap, error, 39, MARGIN, ALPHA) == pytest.approx(0.1)
    assert 0 < test.smallest_gap < MARGIN


def test_too_few_pairs_have_no_power_and_show_nothing() -> None:
    test = paired(np.random.default_rng(4).normal(0, 5.0, 6), MARGIN, ALPHA, LARGEST)
    assert not test.equivalent
    assert test.power < 0.01
    assert test.smallest_gap == 0  # whatever the gap, it is not taken for equivalence


@pytest.mark.parametrize(("n", "shown"), [(500, False), (700, True)])
def test_no_difference_at_all_is_bounded_by_the_rule_of_three(n: int, shown: bool) -> None:
    test = paired(np.zeros(n), MARGIN, ALPHA, LARGEST)
    assert test.method == "rule of three"
    assert test.high == pytest.approx(3 / n * LARGEST, rel=0.01)
    assert test.equivalent == shown == (test.high < MARGIN)
    assert test.power == shown


@pytest.mark.parametrize("gap", [-0.4, 0.02, 0.4, 0.6])
def test_differences_that_are_all_alike_are_not_certain(gap: float) -> None:
    test = paired(np.full(1000, gap), MARGIN, ALPHA, LARGEST)
    assert test.low < gap < test.high
    assert test.equivalent == (abs(gap) == 0.02)


@pytest.mark.parametrize(("n", "shown"), [(3, False), (700, True)])
def test_values_without_any_spread_are_bounded_unpaired_too(n: int, shown: bool) -> None:
    test = welch(np.ones(n), np.ones(n + 5), MARGIN, ALPHA, LARGEST)
    assert test == paired(np.zeros(n), MARGIN, ALPHA, LARGEST)
    assert test.equivalent == shown
    assert not welch(np.ones(n), np.zeros(n), MARGIN, ALPHA, LARGEST).equivalent


@pytest.mark.parametrize(
    ("differences", "margin", "alpha"), [([0.0], 1, 0.05), ([0, 0], 0, 0.05), ([0, 0], 1, 0.7)]
)
def test_what_makes_no_sense_is_refused(
    differences: list[float], margin: float, alpha: float
) -> None:
    with pytest.raises(ValueError, match="margin="):
        paired(np.array(differences, float), margin, alpha, LARGEST)


def test_a_difference_beyond_the_declared_bound_is_refused() -> None:
    with pytest.raises(ValueError, match="exceeds"):
        paired(np.array([0.0, 2.0]), MARGIN, ALPHA, 1.0)
