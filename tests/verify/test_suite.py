"""What a suite refuses: fields that nobody compares, and reasons that nobody gave."""

import dataclasses

import numpy as np
import pytest

from simlift.verify.suite import Compare, SuiteError, derive_seed, ignored
from simlift.verify.suites import get_suite, list_suites


def test_every_listed_suite_can_be_had() -> None:
    for name in list_suites():
        assert get_suite(name).name == name


def test_unknown_suite_names_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"no suite for 'pnog'.*pong"):
        get_suite("pnog")


def test_ignoring_a_field_takes_a_reason() -> None:
    with pytest.raises(SuiteError, match="reason"):
        Compare("ignored")
    with pytest.raises(SuiteError, match="reason"):
        ignored("")
    assert ignored("an input").why == "an input"


def test_every_ignored_field_of_pong_says_why() -> None:
    suite = get_suite("pong")
    ignored_fields = suite.fields.keys() - suite.compared_fields().keys()
    assert ignored_fields and all(suite.fields[name].compare.why for name in ignored_fields)


def test_table_must_name_exactly_the_fields_of_the_reference() -> None:
    suite = get_suite("pong")
    snapshot = {name: np.zeros(1) for name in suite.fields}
    suite.check_total(snapshot)
    with pytest.raises(SuiteError, match=r"without a comparator: \['lives'\]"):
        suite.check_total({**snapshot, "lives": np.zeros(1)})
    with pytest.raises(SuiteError, match=r"not in the reference: \['tick'\]"):
        suite.check_total({name: value for name, value in snapshot.items() if name != "tick"})


@pytest.mark.reference
def test_table_of_pong_is_total() -> None:
    suite = get_suite("pong")
    reference = suite.reference(suite.variants[0], 1)
    suite.check_total(reference.snapshot())
    fields = dict(suite.fields)
    del fields["tick"]
    with pytest.raises(SuiteError, match=r"without a comparator: \['tick'\]"):
        dataclasses.replace(suite, fields=fields).check_total(reference.snapshot())


def test_seeds_of_named_parts_differ_and_repeat() -> None:
    seeds = {derive_seed(7, *names) for names in [("a",), ("b",), ("a", "b"), ("b", "a")]}
    assert len(seeds) == 4
    assert derive_seed(7, "a") == derive_seed(7, "a") != derive_seed(8, "a")
    assert all(0 <= seed < 2**32 for seed in seeds)
