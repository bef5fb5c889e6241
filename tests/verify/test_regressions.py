"""Every divergence ever found stays mended."""

from pathlib import Path

import pytest

from simlift.verify.runner import BANK, replay

TAPES = sorted(BANK.glob("*/*.json")) or [
    pytest.param(None, marks=pytest.mark.skip(reason="the regression bank is empty"))
]


@pytest.mark.reference
@pytest.mark.parametrize("tape", TAPES, ids=lambda path: path and path.stem)
def test_divergence_stays_mended(tape: Path) -> None:
    assert tape.with_name(f"test_{tape.stem}.py").is_file()
    assert replay(tape)["mismatches"] == 0
