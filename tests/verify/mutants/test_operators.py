"""What counts as a fault, on one line of source each."""

import ast
import types

import jax.numpy as jnp
import pytest

from simlift.verify.mutants import runtime
from simlift.verify.mutants.names import Scope, identifiers, other_sides
from simlift.verify.mutants.rewrite import rewrite

HEADER = """
import jax
import jax.numpy as jnp
LIMIT = 3
SMALL = 0.5
class Code:
    NONE = 0
class State:
    pass
def move(state, k): return state
def turn(state): return state
def f(state, score_l, score_r, a, b, key, tick):
"""


def changes(line: str) -> set[tuple[str, str]]:
    """(operator, after) of every mutant of a function of one line."""
    source = f"{HEADER}    {line}\n"
    module = types.ModuleType("toy.rules")
    vars(module)["__name__"] = "toy.rules"
    exec(compile(source, "toy", "exec"), vars(module))
    scope = Scope(module, "toy", identifiers(ast.parse(source)))
    _, mutants = rewrite(ast.parse(source), "toy.rules", scope, 1)
    assert [mutant.number for mutant in mutants] == list(range(1, len(mutants) + 1))
    return {(mutant.operator, mutant.after) for mutant in mutants}


@pytest.mark.parametrize(
    ("line", "operator", "after"),
    [
        ("return a < b", "tie broken the other way", "a <= b"),
        ("return a < b", "comparison", "a >= b"),
        ("return a + b", "arithmetic", "a - b"),
        ("return a & b", "logic", "a | b"),
        ("return a & b", "mask dropped", "a"),
        ("return -a", "unary dropped", "a"),
        ("return a + 7", "constant", "8"),
        ("return a + LIMIT", "constant", "2"),
        ("return a * SMALL", "constant", "0.55"),
        ("return a == Code.NONE", "constant", "1"),
        ("return tick + 1", "timer off by one", "tick - 1"),
        ("return jnp.where(a, state, b)", "branches swapped", "jnp.where(a, b, state)"),
        ("return jnp.where(a, state, b)", "mask dropped", "b"),
        ("return jnp.clip(a, 0, b)", "clip dropped", "a"),
        ("return jnp.clip(a, 0, b)", "clip dropped", "jnp.minimum(a, b)"),
        ("return jnp.maximum(a, b)", "clip dropped", "b"),
        ("return jnp.maximum(a, b)", "other function", "jnp.minimum(a, b)"),
        ("return jnp.argmax(a)", "tie broken the other way", "ties_reversed(jnp.argmax, a)"),
        ("return a.at[b].set(0)", "stale field", "a"),
        ("return state.replace(x=a, y=b)", "stale field", "not written"),
        ("return state.replace(reward=a)", "reward sign", "reward=-a"),
        ("return state.replace(reward=a)", "reward scale", "reward=scaled(a, 2)"),
        ("return state.replace(x=a)", "dtype narrowed", "x=narrowed(a)"),
        ("return state.replace(terminated=a)", "terminated/truncated", "terminated=never(a)"),
        ("return state.replace(tick=a)", "timer off by one", "tick=shifted(a, 1)"),
        ("return state.replace(l=a, r=b)", "wrong player", "l=b, r=a"),
        ("return score_l", "wrong player", "score_r"),
        ("return state.score_l", "wrong player", "state.score_r"),
        ("return jax.random.split(key)", "key reused", "reused(jax.random.split(key))"),
        ("return jax.random.fold_in(key, 1)", "key reused", "key"),
        ("return turn(move(state, a))", "phases swapped", "move(turn(state), a)"),
        ("a = a + b; a = a * b; return a", "phases swapped", "a = a * b; a = a + b"),
        ("a += b; return a", "arithmetic", "a -= b"),
        ("return a if b else key", "branches swapped", "key if b else a"),
    ],
)
def test_operator(line: str, operator: str, after: str) -> None:
    assert (operator, after) in changes(line)


def test_no_mutant_twice() -> None:
    source = f"{HEADER}    return jnp.maximum(a, a)\n"
    module = types.ModuleType("toy.rules")
    exec(compile(source, "toy", "exec"), vars(module))
    _, mutants = rewrite(ast.parse(source), "toy.rules", Scope(module, "toy", frozenset()), 1)
    afters = [(mutant.line, mutant.after) for mutant in mutants]
    assert len(afters) == len(set(afters))


def test_other_sides() -> None:
    assert "paddle_yr" in other_sides("paddle_yl")
    assert "foe_hp" in other_sides("me_hp")
    assert not list(other_sides("ball_x"))


def test_narrowed_loses_what_does_not_fit() -> None:
    assert runtime.narrowed(jnp.int32(70_000)) == 70_000 - 2**16
    assert runtime.narrowed(jnp.int32(7)) == 7
    with pytest.raises(runtime.NotAMutant):
        runtime.narrowed(jnp.bool_(True))


def test_ties_reversed_prefers_the_last() -> None:
    x = jnp.array([1, 3, 3, 0], jnp.int32)
    assert runtime.ties_reversed(jnp.argmax, x) == 2
    order = runtime.ties_reversed(jnp.argsort, x)
    assert order.tolist() == [3, 0, 2, 1]


def test_choice_refuses_what_no_array_can_be() -> None:
    with pytest.raises(runtime.CannotChoose):
        runtime._selected(jnp.bool_(True), "a", "b")
    with pytest.raises(runtime.CannotChoose, match="not int32"):
        runtime._selected(jnp.bool_(True), jnp.zeros(2, jnp.int32), jnp.zeros(3, jnp.int32))
