"""L4 on Pong: faults planted in our side, judged by the same policies."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax import Array

from simlift.envs.core import Environment
from simlift.envs.core import Outcome as Result
from simlift.envs.pong import Draws, Params, Pong, State
from simlift.train.policy import Policy
from simlift.verify.suite import Suite
from simlift.verify.suites import get_suite
from simlift.verify.transfer import TransferOptions
from simlift.verify.transfer.level import evaluate
from simlift.verify.transfer.training import train_policies

pytestmark = [pytest.mark.slow, pytest.mark.reference]

CHEAP = TransferOptions(total_steps=500_000)
SAME, OWN = 0, 1  # rows


class Underpaid(Pong):
    def transition(
        self, state: State, action: Array, draws: Draws, params: Params
    ) -> tuple[State, Result]:
        state, result = super().transition(state, action, draws, params)
        return state, result.replace(reward=jnp.float32(0.98) * result.reward)


class Biased(Pong):
    def sample_step(
        self, key: Array, state: State, action: Array, params: Params
    ) -> tuple[Draws, Draws]:
        coins = jax.random.uniform(key, (2,)) < 0.51
        return Draws(serve=coins[0].astype(jnp.int32)), Draws(serve=coins[1].astype(jnp.int32))


class Hasty(Pong):
    """A game is over at 20 points."""

    def transition(
        self, state: State, action: Array, draws: Draws, params: Params
    ) -> tuple[State, Result]:
        return super().transition(
            state, action, draws, params.replace(max_score=params.max_score - 1)
        )


def with_environment(suite: Suite, kind: type[Pong]) -> Suite:
    def environment(variant: Any) -> tuple[Environment, Any]:
        return kind(**variant.config), Params()

    return dataclasses.replace(suite, environment=environment)


@pytest.fixture(scope="module")
def trained() -> Mapping[str, Sequence[Policy]]:
    suite = get_suite("pong")
    assert suite.transfer is not None
    plan = dataclasses.replace(CHEAP.applied(suite.transfer), train_in_reference=False)
    return train_policies(suite, plan, range(2))


def test_nothing_is_wrong(trained: Any) -> None:
    result, _ = evaluate(get_suite("pong"), trained, 0, CHEAP)
    assert result["rows"][SAME]["equivalent"]
    assert result["rows"][SAME]["gap"] == 0


@pytest.mark.parametrize("kind", [Underpaid, Hasty])
def test_a_fault_is_declared_not_equivalent(trained: Any, kind: type[Pong]) -> None:
    result, _ = evaluate(with_environment(get_suite("pong"), kind), trained, 0, CHEAP)
    assert not result["holds"]
    assert not result["rows"][SAME]["equivalent"]
    assert result["bets"]["declared_at"] is None


def test_a_slightly_biased_coin_is_below_what_returns_can_show(trained: Any) -> None:
    result, _ = evaluate(with_environment(get_suite("pong"), Biased), trained, 0, CHEAP)
    row = result["rows"][OWN]
    assert result["rows"][SAME]["gap"] == 0  # the draws were the reference's
    assert not row["equivalent"] or abs(row["gap"]) < row["smallest_gap"]
