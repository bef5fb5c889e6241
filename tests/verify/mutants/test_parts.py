"""Programs run by numpy instead of being compiled, and mutants put to parts of a step that way."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simlift.verify.mutants import AlreadyDiffers, Instrumented, Log, MatrixOptions, matrix
from simlift.verify.mutants.interpret import EndlessLoop, batched
from simlift.verify.mutants.parts import by_parts
from simlift.verify.suite import Part, SuiteError

# -- programs


def arithmetic(x: Any, n: Any) -> Any:
    y = jnp.where(x > 0.5, jnp.cos(x), -x) * 2 + jnp.abs(x - 1) / 3
    return y, (n // 2) ^ 3, jnp.clip(x, 0, 0.5).astype(jnp.int32), n % 3 == 1


def arrays(x: Any, n: Any) -> Any:
    row = jnp.stack([x, x * x, n.astype(x.dtype)])
    table = jnp.asarray([3.0, 1.0, 2.0])
    joined = jnp.concatenate([row[1:], row[None, 0], table[::2]])
    return joined.reshape(1, 5), jnp.outer(row, row) @ table, table[n % 3], row.max(), row.sort()


def loops(x: Any, n: Any) -> Any:
    def halved(carry: Any) -> Any:
        return carry[0] / 2, carry[1] + 1

    small = jax.lax.while_loop(lambda carry: carry[0] > 0.1, halved, (jnp.abs(x), 0))
    summed = jax.lax.fori_loop(0, 5, lambda i, s: s + i * x, jnp.zeros_like(x))
    steps = jax.lax.scan(lambda s, y: (s + y, s * y), x, jnp.arange(4.0), reverse=True)
    known = jax.lax.cond(jnp.ones((), bool), jnp.sin, jnp.cos, x)
    return small, summed, steps, known, jax.lax.switch(n % 3, [jnp.sin, jnp.cos, jnp.abs], x)


def keys(x: Any, n: Any) -> Any:
    return jax.random.uniform(jax.random.fold_in(jax.random.key(0), n), (3,)) + x


def nothing_of_its_own(x: Any, n: Any) -> Any:
    return jnp.arange(3), jnp.sin(1.0)


@pytest.mark.parametrize(
    "function",
    [arithmetic, arrays, loops, keys, nothing_of_its_own],
    ids=lambda function: function.__name__,
)
def test_numpy_gives_what_vmap_gives(function: Callable[..., Any]) -> None:
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=7).astype(np.float32), np.arange(7, dtype=np.int32)
    ours, theirs = batched(function, *inputs), jax.vmap(function)(*inputs)
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_a_loop_without_end_is_told() -> None:
    with pytest.raises(EndlessLoop):
        batched(lambda x: jax.lax.while_loop(lambda y: y >= 0, lambda y: y + 0, x), np.ones(2))


# -- parts


def cases(seed: int) -> Any:
    left, timer = np.array([10, 3, 1], np.int32), np.array([0, 4, 11], np.int32)
    action = np.arange(3, dtype=np.int32)
    after = {"left": np.maximum(left - action - 1, 0), "timer": timer + 1}
    return {"left": left, "timer": timer, "action": action, "after": after}


def step_agrees(env: Any, params: Any, case: Any) -> Any:
    from countdown.dynamics import Draws, State

    state = State(left=case["left"], timer=case["timer"])
    after, _ = env.transition(state, case["action"], Draws(coin=jnp.int32(0)), params)
    return (after.left == case["after"]["left"]) & (after.timer == case["after"]["timer"])


def in_parts(instrumented: Instrumented, *agrees: Callable[..., Any]) -> Any:
    variant = instrumented.suite.variants[0]
    parts = [Part(f"part {i}", variant, cases, what) for i, what in enumerate(agrees)]
    return dataclasses.replace(instrumented.suite, parts=lambda: parts)


def test_mutants_are_put_to_parts_until_one_sees_them(
    instrumented: Instrumented, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = in_parts(instrumented, step_agrees, step_agrees)
    monkeypatch.setattr(instrumented, "suite", suite)
    found = matrix(instrumented, options=MatrixOptions(num_examples=20))
    assert list(found["levels"]) == ["part 0", "part 1", "L1"]
    killed = {row["change"]: row["killed_by"] for row in found["mutants"] if row["killed_by"]}
    assert killed["state.left - step -> state.left + step"] == ["part 0"]
    assert all(len(levels) == 1 for levels in killed.values())
    assert found["levels"]["part 1"]["killed"] == 0  # it sees nothing that part 0 does not
    rows = {row["change"]: row["reason"] for row in found["mutants"] if row["status"] == "open"}
    assert rows["state.left <= 0 -> state.left > 0"] == "no level sees a difference"
    assert "no level reaches it" in rows.values()


def test_what_no_longer_has_its_shape_is_seen(
    instrumented: Instrumented, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = instrumented.mutants[0].number

    def agrees(env: Any, params: Any, case: Any) -> Any:
        from simlift.verify.mutants import runtime

        def raising() -> Any:
            raise SuiteError("shapes differ")

        return runtime.choose(lambda: case["left"] > 0, (number, raising))

    monkeypatch.setattr(instrumented, "suite", in_parts(instrumented, agrees))
    assert by_parts(instrumented, 0, 5)["part 0"](instrumented, Log()) == {number}


def test_a_part_that_differs_without_any_mutant_is_an_error(
    instrumented: Instrumented, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = in_parts(instrumented, lambda env, params, case: case["left"] > 1)
    monkeypatch.setattr(instrumented, "suite", suite)
    with pytest.raises(AlreadyDiffers, match="part 0"):
        matrix(instrumented)
