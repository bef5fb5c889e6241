"""Environments by name."""

import pytest

from simlift.envs import list_environments, make, register
from simlift.envs import registry as registry_module

from .toys import Walk


@pytest.fixture
def walk(monkeypatch):
    monkeypatch.setattr(registry_module, "_FACTORIES", dict(registry_module._FACTORIES))
    register("Walk-v0", Walk)
    return "Walk-v0"


def test_make_gives_environment_and_params(walk):
    env, params = make(walk, length=2, auto_reset="pool")
    assert env == Walk(length=2, auto_reset="pool")
    assert params == env.default_params
    assert walk in list_environments()
    assert list_environments() == sorted(list_environments())


def test_unknown_name_suggests_the_nearest(walk):
    with pytest.raises(ValueError, match=r"unknown environment 'walk-v0'; did you mean 'Walk-v0'"):
        make("walk-v0")
    with pytest.raises(ValueError, match=r"unknown environment 'xyz'; there are \[.*'Walk-v0'"):
        make("xyz")


def test_unknown_argument_is_named(walk):
    with pytest.raises(ValueError, match=r"Walk-v0: .*unexpected keyword argument 'lenght'"):
        make(walk, lenght=3)


def test_unknown_reset_policy_lists_them(walk):
    with pytest.raises(ValueError, match=r"'never' .*'select', 'pool', 'none'"):
        make(walk, auto_reset="never")


def test_a_name_is_registered_once(walk):
    with pytest.raises(ValueError, match=r"'Walk-v0' is already registered; choose another"):
        register("Walk-v0", Walk)
