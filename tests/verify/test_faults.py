"""The verifier can fail: faults planted in a copy of envs/pong, and the level that finds each."""

import contextlib
import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest

from simlift.verify import session
from simlift.verify.host import Row
from simlift.verify.runner import Run
from simlift.verify.session import EXAMPLES, Options
from simlift.verify.suite import Suite

from .faulty import FAULTS, Fault, planted, table


class Found(Exception):
    """Ends a run at the first mismatch."""


def first_mismatch(suite: Suite, options: Options, monkeypatch: pytest.MonkeyPatch) -> Row | None:
    """The first row of a verification that has mismatches; nothing runs after it."""

    def stop(*args: object, **kwargs: object) -> None:
        if any(row.mismatches for row in run.rows):
            raise Found

    monkeypatch.setattr(session, "tell", stop)  # no shrinking: which level it is, is known
    run = Run(suite, options, stop)
    with contextlib.suppress(Found):
        run.result()
    return next((row for row in run.rows if row.mismatches), None)


def products_are_fused() -> bool:
    """Whether XLA computes a * b + c here without rounding the product."""
    a, b, c = np.random.default_rng(0).uniform(1, 2, (3, 1024)).astype(np.float32)
    return not np.array_equal(jax.jit(lambda a, b, c: a * b + c)(a, b, c), a * b + c)


def narrowed(suite: Suite, fault: Fault) -> Suite:
    """L0 and L3 in the fault's variant and policies only; every property and scenario stays."""
    policies = suite.policies
    return dataclasses.replace(
        suite,
        variants=[variant for variant in suite.variants if variant.name == fault.variant],
        policies=lambda variant: {name: policies(variant)[name] for name in fault.policies},
    )


@pytest.mark.reference
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(fault, id=fault.name, marks=[pytest.mark.slow] if fault.slow else [])
        for fault in FAULTS
    ],
)
def test_fault_is_found(fault: Fault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if fault.needs_fusion and not products_are_fused():
        pytest.skip("XLA rounds every product on this machine, so this fault changes nothing")
    examples = EXAMPLES if "L1" in fault.first else EXAMPLES // 4  # of what finds nothing, few do
    options = Options(episodes=fault.episodes, examples=examples, bank=tmp_path / "bank")
    with planted(tmp_path, fault.edits) as suite:
        row = first_mismatch(narrowed(suite, fault), options, monkeypatch)
    assert row is not None, "not found"
    assert row.level in fault.first, f"found by {row.policy}: {row.what}"


def test_every_level_finds_faults_that_no_earlier_one_does() -> None:
    certain = [fault.first[0] for fault in FAULTS if len(fault.first) == 1]
    assert set(certain) == {"L0", "L1", "L2", "L3 E2", "L3 E3"}
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) > 16
    print(table())


@pytest.mark.reference
def test_the_copy_without_a_fault_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = Options(episodes=4, examples=EXAMPLES // 4, bank=tmp_path / "bank")
    with planted(tmp_path, []) as suite:
        sound = narrowed(suite, Fault("none", [], []))
        assert first_mismatch(sound, options, monkeypatch) is None
