"""Rewrites of envs/pong: correct ones are proved, others refuted, and these become tests."""

import contextlib
import copy
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import pytest

pytest.importorskip("z3")

from simlift.envs.pong import dynamics
from simlift.verify.mutants.contract import fixed
from simlift.verify.prove.environments import Prover, domain_violations
from simlift.verify.prove.rewrite import RewriteError, prove_rewrite
from simlift.verify.prove.tapes import keep
from simlift.verify.record import record_policy
from simlift.verify.runner import replay
from simlift.verify.suites import get_suite

SUITE = get_suite("pong")
HEAD = "import jax\nimport jax.numpy as jnp\nfrom .dynamics import *\nfrom .state import Serve\n"

REWRITES = [
    ("overlaps", "return ~((ball_y + params.ball_height <= paddle_y)"
     " | (ball_y >= paddle_y + params.paddle_height))", True),
    ("overlaps", "return (ball_y + params.ball_height > paddle_y)"
     " & (ball_y <= paddle_y + params.paddle_height)", False),
    ("move_opponent", "gap = state.ball_y - (state.paddle_yl + params.paddle_height / 2)\n"
     "    step = jnp.maximum(-params.paddle_speed, jnp.minimum(gap, params.paddle_speed))\n"
     "    y = jnp.minimum(jnp.maximum(params.min_paddle_y, step + state.paddle_yl),"
     " params.max_paddle_y)\n"
     "    return state.replace(paddle_yl=y)", True),
    ("move_opponent", "gap = (state.ball_y - state.paddle_yl) - params.paddle_height / 2\n"
     "    step = jnp.clip(gap, -params.paddle_speed, params.paddle_speed)\n"
     "    y = jnp.clip(state.paddle_yl + step, params.min_paddle_y, params.max_paddle_y)\n"
     "    return state.replace(paddle_yl=y)", False),
    ("bounce_off_walls", "inside = (state.ball_y >= 0)"
     " & (params.height >= state.ball_y + params.ball_height)\n"
     "    return state.replace(ball_vy=jnp.where(inside, state.ball_vy, -state.ball_vy))", True),
    ("bounce_off_walls", "outside = (state.ball_y <= 0)"
     " | (state.ball_y + params.ball_height > params.height)\n"
     "    return state.replace(ball_vy=jnp.where(outside, -state.ball_vy, state.ball_vy))", False),
    ("direction", "return jnp.where(action == 1, 1.0, jnp.where(action == 2, -1.0, 0.0))", True),
    ("direction", "return (1 - action).astype(jnp.float32)", False),
    ("deliver_serve", "flat = state.serve > Serve.DOWN\n"
     "    served = serve_ball(flat, state.score_l, state.score_r, params)\n"
     "    due = state.serve > Serve.NONE\n"
     "    return jax.tree.map(lambda a, b: jnp.where(due, a, b), served, state)", True),
    ("deliver_serve", "served = serve_ball(state.serve == Serve.FLAT,"
     " state.score_r, state.score_l, params)\n"
     "    due = state.serve > Serve.NONE\n"
     "    return jax.tree.map(lambda a, b: jnp.where(due, a, b), served, state)", False),
]  # fmt: skip
ARGUMENTS = {
    "overlaps": "ball_y, paddle_y, params",
    "direction": "action, continuous",
    "move_opponent": "state, params",
    "bounce_off_walls": "state, params",
    "deliver_serve": "state, params",
}


@pytest.mark.parametrize("name, body, holds", REWRITES)
def test_rewrites_are_told_apart(name: str, body: str, holds: bool, tmp_path: Path) -> None:
    path = tmp_path / "faster.py"
    path.write_text(f"{HEAD}\n\ndef {name}({ARGUMENTS[name]}):\n    {body}\n")
    result = prove_rewrite(
        SUITE, "dynamics", name, str(path), variants=["discrete"], timeout_s=20,
        ranges=["paddle_y=state.paddle_yl"] if name == "overlaps" else [],
    )  # fmt: skip
    (row,) = result["variants"]
    assert result["holds"] is holds, row
    assert (row["inputs"] is None) == holds


def test_all_variants_are_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "faster.py"
    path.write_text(f"{HEAD}\n\ndef overlaps(ball_y, paddle_y, params):\n"
                    "    return (ball_y + 32 > paddle_y) & (ball_y < paddle_y + 70)\n")  # fmt: skip
    result = prove_rewrite(
        SUITE, "dynamics", "overlaps", f"{path}:overlaps", ranges=["paddle_y=0:500:float32"]
    )
    kinds = {row["variant"]: row["kind"] for row in result["variants"]}
    assert kinds["discrete"] == "proved" and kinds["continuous, other court"] == "refuted"
    assert result["holds"] is False


@pytest.mark.parametrize(
    "old, new, ranges, why",
    [
        ("overlap", "overlaps", [], "has no function 'overlap'; it has .*'overlaps'"),
        ("overlaps", "there_is_none.py", [], "no Python file"),
        ("overlaps", "overlaps", [], "'paddle_y' is unknown: .*--range paddle_y"),
        ("start", "start", [], "'serve' is one of .*draws.serve"),
        ("overlaps", "overlaps", ["paddle_y=1"], "cannot be read"),
        ("overlaps", "overlaps", ["paddle_z=1:2"], "no argument is called 'paddle_z'"),
    ],
)
def test_what_is_missing_is_told(old: str, new: str, ranges: list[str], why: str) -> None:
    with pytest.raises(RewriteError, match=why):
        prove_rewrite(SUITE, "dynamics", old, new, ranges=ranges)


def test_a_function_is_itself() -> None:
    result = prove_rewrite(
        SUITE, "dynamics", "keep_score", "keep_score", variants=["discrete"],
        ranges=["serve=draws.serve", "frame.won=0:1:bool", "frame.lost=0:1:bool",
                "frame.reward=-1:1:float32"],
    )  # fmt: skip
    assert result["holds"] is True


# -- whole environments


@contextlib.contextmanager
def changed(name: str, function: Callable[..., Any]) -> Iterator[None]:
    old = getattr(dynamics, name)
    setattr(dynamics, name, function)
    try:
        yield
    finally:
        setattr(dynamics, name, old)


def mutant(name: str, function: Callable[..., Any]) -> Any:
    def make(variant: Any) -> Any:
        env, params = SUITE.environment(variant)
        return fixed(env, lambda: changed(name, function)), params

    return make


DISCRETE = dataclasses.replace(SUITE, variants=SUITE.variants[:1])


def test_an_equivalent_mutant_is_proved() -> None:
    def move_agent(state: Any, paddle_dir: Any, params: Any) -> Any:
        step = params.paddle_speed * paddle_dir
        y = jnp.maximum(
            jnp.minimum(state.paddle_yr + step, params.max_paddle_y), params.min_paddle_y
        )
        return state.replace(paddle_yr=y)

    verdict = Prover(DISCRETE).compare(mutant("move_agent", move_agent), timeout_s=30).verdict
    assert verdict.kind == "proved", verdict.reason


def test_numbers_and_dice_are_compared_too() -> None:
    def make(variant: Any) -> Any:
        env, params = SUITE.environment(variant)
        return env, params.replace(width=params.width + 1)

    assert Prover(DISCRETE).compare(make).verdict.output == "declared.1.width"

    def swapped(variant: Any) -> Any:
        env, params = SUITE.environment(variant)
        sample_step, env = env.sample_step, copy.copy(env)
        env.sample_step = lambda *given: sample_step(*given)[::-1]
        return env, params

    found = Prover(DISCRETE).compare(swapped).verdict
    assert found.kind == "refuted" and found.output.startswith("sample_step")


def test_the_same_environment_costs_nothing() -> None:
    found = Prover(SUITE).compare(SUITE.environment)
    assert (found.verdict.kind, found.verdict.reason) == ("proved", "the same program")
    assert found.verdict.points == 0


def test_a_mutant_that_cannot_be_traced_is_refuted() -> None:
    found = Prover(DISCRETE).compare(mutant("move_ball", lambda state: state.ball_z)).verdict
    assert found.kind == "refuted" and "AttributeError" in found.reason


@pytest.mark.reference
def test_a_refuted_mutant_becomes_a_test(tmp_path: Path) -> None:
    def overlaps(ball_y: Any, paddle_y: Any, params: Any) -> Any:
        return (ball_y + params.ball_height > paddle_y) & (
            ball_y <= paddle_y + params.paddle_height
        )

    make = mutant("overlaps", overlaps)
    found = Prover(DISCRETE).compare(make, timeout_s=30)
    assert found.verdict.kind == "refuted" and found.verdict.output.startswith("step.")
    kept = keep(SUITE, found.variant, found.verdict, make, "overlaps", tmp_path)
    assert kept.path is not None, kept.reason
    assert kept.path.with_name(f"test_{kept.path.stem}.py").is_file()
    assert replay(kept.path)["mismatches"] == 0

    def refusing(variant: Any, num_envs: int) -> Any:
        reference = SUITE.reference(variant, num_envs)
        reference.step = refuse
        return reference

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise ValueError("no such action")

    other = dataclasses.replace(SUITE, reference=refusing)
    kept = keep(other, found.variant, found.verdict, make, "overlaps", tmp_path)
    assert kept.path is None and kept.reason == "the reference refuses that step: no such action"


@pytest.mark.reference
@pytest.mark.parametrize("variant", SUITE.variants, ids=lambda v: v.name)
def test_recorded_play_stays_in_the_domain(variant: Any) -> None:
    policies = SUITE.policies(variant)
    with SUITE.reference(variant, 16) as reference:
        for policy in (policies["random"], policies["edge"]):
            _, _, recording = next(record_policy(SUITE, reference, policy, 3, 128, 1))
            assert domain_violations(SUITE, variant, recording) == []
