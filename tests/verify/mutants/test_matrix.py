"""Mutants of a small game: chosen while the program runs, or alone; who kills them."""

import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simlift.envs.core import Environment
from simlift.verify.mutants import (
    AlreadyDiffers,
    Compiled,
    Instrumented,
    Log,
    MatrixOptions,
    instrument,
    matrix,
    measured,
    with_verdicts,
)
from simlift.verify.mutants.lockstep import Lockstep
from simlift.verify.suite import SuiteError

OPTIONS = MatrixOptions(num_examples=20, num_steps=40, num_envs=8)


@pytest.fixture(scope="module")
def found(instrumented: Instrumented) -> dict:
    return matrix(instrumented, options=OPTIONS)


def numbers(instrumented: Instrumented, operator: str, after: str) -> list[int]:
    return [m.number for m in instrumented.mutants if (m.operator, m.after) == (operator, after)]


def test_the_modules_of_everybody_else_stay(toy: str, instrumented: Instrumented) -> None:
    import countdown.dynamics

    before = countdown.dynamics
    with instrumented.active(0):
        assert sys.modules["countdown.dynamics"] is not before
    assert sys.modules["countdown.dynamics"] is before
    assert not hasattr(before, "_mutants")


def test_a_fixed_mutant_is_an_environment_of_its_own(instrumented: Instrumented) -> None:
    (number,) = numbers(instrumented, "timer off by one", "timer=shifted(state.timer + 1, 1)")
    variant = instrumented.suite.variants[0]
    for chosen, timer in ((0, 1), (number, 2)):
        env, params = instrumented.environment(variant, chosen)
        _, state = env.reset(jax.random.key(0), params)
        after = env.step(jax.random.key(1), state, jnp.int32(0), params)[1]
        assert after.timer == timer


def test_every_operator_of_the_game_is_killed(found: dict) -> None:
    open_rows = [(r["line"], r["change"]) for r in found["mutants"] if r["status"] == "open"]
    killed = {r["operator"] for r in found["mutants"] if r["status"] == "killed"}
    assert {"table", "auto-reset leak", "terminated/truncated", "timer off by one"} <= killed
    # What is left is equivalent: `left` is never below 0, an idle game is never narrow.
    assert found["score"] > 0.75, open_rows


def test_entries_of_a_table_are_mutants_each(found: dict) -> None:
    entries = [row for row in found["mutants"] if row["operator"] == "table"]
    assert len(entries) == 6 and all(row["status"] == "killed" for row in entries)


def test_levels_add_up(found: dict) -> None:
    rows, levels = found["mutants"], found["levels"]
    assert found["count"] == len(rows) and found["killed"] + len(found["survivors"]) == len(rows)
    assert sum(level["first"] for level in levels.values()) == found["killed"]
    for name, level in levels.items():
        assert level["killed"] == sum(name in row["killed_by"] for row in rows)
        assert level["unique"] == sum(row["killed_by"] == [name] for row in rows)
    assert found["mutant_transitions"] > found["transitions"] > 0


def test_chosen_while_running_is_the_same_as_compiled_alone(instrumented: Instrumented) -> None:
    side = Lockstep(instrumented, instrumented.suite.variants[1], 0, 20, 4)
    batch = side.policies(["random"])
    log = Log()
    killed = side.killed(batch, log)
    arguments = {**batch, "resets": np.bool_(False), "resynchronised": np.bool_(True)}

    @jax.jit
    def alone(batch: dict) -> jax.Array:
        return side.differs(batch)

    for mutant in instrumented.mutants[::5]:
        if mutant.number in log.applied:
            jax.clear_caches()
            with instrumented.active(mutant.number):
                assert bool(alone(arguments)) == (mutant.number in killed), mutant


def test_what_does_not_trace_is_never_called_killed(instrumented: Instrumented) -> None:
    one = instrumented.mutants[0].number

    def check(x: jax.Array) -> jax.Array:
        from simlift.verify.mutants import runtime

        return runtime.choose(lambda: x.sum() < 0, (one, lambda: x.nonsense()))

    log = Log()
    compiled = Compiled(instrumented, check, (jnp.ones(3),), log)
    assert compiled.killed(jnp.ones(3), transitions=0) == set()
    assert "AttributeError" in log.stillborn[one]


def test_a_python_decision_is_compiled_alone(instrumented: Instrumented) -> None:
    one = instrumented.mutants[0].number

    def check(x: jax.Array) -> jax.Array:
        from simlift.verify.mutants import runtime

        count = runtime.choose(lambda: 2, (one, lambda: 3))
        return x[: int(count)].sum() > 2

    log = Log()
    compiled = Compiled(instrumented, check, (jnp.ones(3),), log)
    assert compiled.killed(jnp.ones(3), transitions=0) == {one}
    assert one in log.alone and not log.stillborn


def test_a_difference_without_any_mutant_is_an_error(instrumented: Instrumented) -> None:
    compiled = Compiled(instrumented, lambda x: x > 0, (jnp.ones(()),), Log())
    with pytest.raises(AlreadyDiffers, match="simlift verify"):
        compiled.killed(jnp.ones(()), transitions=0)


def test_columns_of_other_levels_come_last(instrumented: Instrumented, found: dict) -> None:
    survivor = found["survivors"][0]
    options = MatrixOptions(num_examples=5, num_steps=4, num_envs=4)
    more = matrix(instrumented, options=options, columns={"L4": lambda *_: {survivor}})
    row = next(row for row in more["mutants"] if row["id"] == survivor)
    assert row["killed_by"] == ["L4"] and more["levels"]["L4"]["unique"] >= 1


def test_a_level_may_measure_and_judge_later(instrumented: Instrumented) -> None:
    (number,) = [m.number for m in instrumented.mutants if m.change == "START -> 11"]

    def start(env: Environment, params: Any) -> Any:
        state = env.initial(None, params)
        return {"left": state.left, "timer": state.timer}

    def judge(values: Any) -> np.ndarray:
        return values["left"] == 11

    kill = measured(instrumented.suite.variants[0], start, judge, transitions=1)
    assert kill(instrumented, Log()) == {number}


def test_verdicts_change_the_score(found: dict) -> None:
    survivor = found["survivors"][0]
    judged = with_verdicts(found, {survivor: ("proved", "equal for every input")})
    assert survivor not in judged["survivors"] and judged["score"] > found["score"]
    killed = next(row["id"] for row in found["mutants"] if row["status"] == "killed")
    with pytest.raises(ValueError, match="did not survive"):
        with_verdicts(found, {killed: ("proved", "")})


def test_a_suite_without_targets_says_so(toy: str) -> None:
    with pytest.raises(SuiteError, match=r"name modules in Suite\.targets"):
        instrument(toy, [])
