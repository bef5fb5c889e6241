"""What half-cheetah's mutants are put to: it agrees with MuJoCo, and sees small faults."""

import importlib

import jax
import numpy as np
import pytest

from simlift.verify.mutants.interpret import batched
from simlift.verify.suite import Part
from simlift.verify.suites import get_suite
from simlift.verify.suites.half_cheetah_parts import PARTS

pytestmark = pytest.mark.reference


def agreeing(part: Part) -> np.ndarray:
    """bool [N]"""
    with jax.enable_x64(part.variant.x64):
        env, params = get_suite("half_cheetah").environment(part.variant)
        found = batched(lambda case: part.agrees(env, params, case), part.cases(0))
    return np.asarray(found)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: f"{part.name}, {part.variant.name}")
def test_every_case_agrees(part: Part) -> None:
    agrees = agreeing(part)
    assert agrees.size > 500 and agrees.all()


def test_a_fault_of_a_billionth_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    contact = importlib.import_module("simlift.envs.half_cheetah.contact")
    monkeypatch.setattr(contact, "FRICTION", contact.FRICTION * (1 + 1e-9))
    step, modules = map(agreeing, PARTS[:2])
    assert not step.all() and not modules.all()


def test_mutants_are_of_every_module_that_holds_rules() -> None:
    targets = {name.rpartition(".")[2] for name in get_suite("half_cheetah").targets}
    assert {"planar", "contact", "solver", "dynamics", "env", "draws", "observe"} <= targets
