"""`lift` as it is used: transformations, choice of the kernel, what goes wrong, environments."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from simlift.envs import make
from simlift.envs.kernels import Unsupported, build, lift


def spring(state: dict[str, Array], force: Array, stiffness: Array) -> dict[str, Array]:
    """A pytree in, one out; every operation is exactly rounded."""
    moved = state["x"] + state["v"]
    pull = force[0] + force[1] + force[2] - jnp.sqrt(stiffness)
    return {"x": moved, "v": jnp.where(moved > 1.0, -state["v"], state["v"] + pull)}


SPRING = lift(spring, name="spring", backend="c")


def springs(shape: tuple[int, ...]) -> tuple[dict[str, Array], Array]:
    rng = np.random.default_rng(0)
    x, v = jnp.asarray(rng.normal(size=(2, *shape, 2)), jnp.float32)
    return {"x": x, "v": v}, jnp.asarray(rng.normal(size=(*shape, 3)), jnp.float32)


def assert_same(ours: Any, theirs: Any) -> None:
    """Structure, types and every bit."""
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for mine, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert (mine.dtype, mine.weak_type) == (other.dtype, other.weak_type)
        np.testing.assert_array_equal(mine, other)


STIFFNESS = jnp.float32(0.25)


def test_one_instance() -> None:
    state, force = springs(())
    assert_same(SPRING(state, force, STIFFNESS), spring(state, force, STIFFNESS))


# The last is shared among threads, and leaves one instance over.
@pytest.mark.parametrize("size", [1, 2, 15, 16, 17, 1000, 4096, 400_001])
def test_any_batch_size(size: int) -> None:
    state, force = springs((size,))
    axes = (0, 0, None)
    ours = jax.jit(jax.vmap(SPRING, axes))(state, force, STIFFNESS)
    assert_same(ours, jax.vmap(spring, axes)(state, force, STIFFNESS))


def test_nested_vmap_with_arguments_shared_at_either_level() -> None:
    state, _ = springs((5,))
    _, force = springs((3,))
    stiffness = jnp.linspace(0.1, 1.0, 7, dtype=jnp.float32)

    def nested(function: Callable[..., Any]) -> Any:
        inner = jax.vmap(function, ({"x": 0, "v": None}, None, None))
        middle = jax.vmap(inner, (None, 0, None))
        one_v = {"x": state["x"], "v": state["v"][0]}
        return jax.vmap(middle, (None, None, 0), out_axes=1)(one_v, force, stiffness)

    assert_same(nested(SPRING), nested(spring))


def test_vmap_over_other_axes() -> None:
    state, force = springs((4,))
    moved = jax.tree.map(lambda x: jnp.moveaxis(x, 0, -1), state)
    ours = jax.vmap(SPRING, (-1, 0, None), out_axes=-1)(moved, force, STIFFNESS)
    assert_same(ours, jax.vmap(spring, (-1, 0, None), out_axes=-1)(moved, force, STIFFNESS))


def test_scan_carries_a_batch_and_keeps_its_type() -> None:
    state, force = springs((33,))

    def roll(function: Callable[..., Any]) -> Any:
        def step(carry: Any, _: None) -> Any:
            return jax.vmap(function, (0, 0, None))(carry, force, STIFFNESS), carry["x"]

        return jax.lax.scan(step, state, length=20)

    # Compiled, XLA rounds as it does one operation at a time: there is no product in a spring.
    assert_same(jax.jit(lambda: roll(SPRING))(), jax.jit(lambda: roll(spring))())


def test_runs_on_every_shard() -> None:
    mesh = jax.make_mesh((2,), ("b",), axis_types=(jax.sharding.AxisType.Auto,))
    state, force = springs((64,))
    specs = ({"x": P("b"), "v": P("b")}, P("b"), P())
    batch = jax.vmap(SPRING, (0, 0, None))
    mapped = jax.jit(jax.shard_map(batch, mesh=mesh, in_specs=specs, out_specs=specs[0]))
    theirs = jax.vmap(spring, (0, 0, None))(state, force, STIFFNESS)
    assert_same(mapped(state, force, STIFFNESS), theirs)
    placed = jax.device_put((state, force), NamedSharding(mesh, P("b")))
    assert_same(jax.jit(batch)(*placed, STIFFNESS), theirs)


def test_automatic_choice_is_the_kernel_of_the_platform(lowered: Callable[..., str]) -> None:
    state, force = springs(())
    lifted = lift(spring, name="spring")
    speeds = {
        platform: lifted.speed(state, force, STIFFNESS, platform=platform)
        for platform in ("cpu", "cuda", "tpu")
    }
    assert speeds == {"cpu": "c", "cuda": "pallas", "tpu": "jnp"}
    batch, forces = springs((40,))
    calls = {}
    for platform in speeds:
        text = lowered(platform, jax.vmap(lifted, (0, 0, None)), batch, forces, STIFFNESS)
        calls[platform] = [name for name in ("simlift_spring", "triton") if name in text]
    assert calls == {"cpu": ["simlift_spring"], "cuda": ["triton"], "tpu": []}


def test_a_cpu_beside_an_accelerator_runs_plain_jnp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    args = (*springs(()), STIFFNESS)
    assert lift(spring, name="spring").speed(*args) == "pallas"
    assert lift(spring, name="spring").speed(*args, platform="cpu") == "jnp"
    assert lift(spring, name="spring", backend="c").speed(*args, platform="cpu") == "c"


def test_plain_jnp_can_be_asked_for() -> None:
    state, force = springs((9,))
    plain = lift(spring, name="spring", backend="jnp")
    ours = jax.vmap(plain, (0, 0, None))(state, force, STIFFNESS)
    assert_same(ours, jax.vmap(spring, (0, 0, None))(state, force, STIFFNESS))
    assert plain.speed(*springs(()), STIFFNESS) == "jnp"


def test_float64_is_plain_jnp() -> None:
    with jax.enable_x64(True):
        x = jnp.arange(3, dtype=jnp.float64)
        lifted = lift(jnp.sin, name="sine")
        assert lifted.speed(x[0]) == "jnp"
        assert_same(jax.vmap(lifted)(x), jnp.sin(x))
        with pytest.raises(Unsupported, match="float64 is not among"):
            lift(jnp.sin, name="sine", backend="c")(x[0])


def test_without_gcc_it_is_plain_jnp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "compiler", lambda: None)
    x = jnp.float32(0.123)

    def twice(x: Array) -> Array:  # a program that no other test has compiled
        return x + x - 0.123

    assert lift(twice, name="twice").speed(x) == "jnp"
    assert_same(lift(twice, name="twice")(x), twice(x))
    with pytest.raises(Unsupported, match="install it"):
        lift(twice, name="twice", backend="c")(x)


def test_a_cache_that_cannot_be_made_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SIMLIFT_CACHE", str(tmp_path / "file"))
    with pytest.raises(Unsupported, match="set SIMLIFT_CACHE"):
        lift(lambda x: x - 0.321, name="nowhere", backend="c")(jnp.float32(0))


def test_kernels_are_compiled_once_for_all_processes(tmp_path: Path) -> None:
    code = (
        "import jax.numpy as jnp; from simlift.envs.kernels import lift; "
        "print(lift(lambda x: x + 4.5, name='kept', backend='c')(jnp.float32(1)))"
    )
    env = {**os.environ, "SIMLIFT_CACHE": str(tmp_path), "JAX_PLATFORMS": "cpu"}
    stamps = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
        )
        (library,) = (tmp_path / "kernels").iterdir()
        stamps.append((done.stdout, library.name, library.stat().st_mtime_ns))
    assert stamps[0] == stamps[1]
    assert stamps[0][0] == "5.5\n"


def test_contraction_skips_the_rounding_of_products() -> None:
    def multiply_add(a: Array, b: Array, c: Array) -> Array:
        return a * b + c

    one, tiny = jnp.float32(1), jnp.float32(2.0**-13)
    args = one + tiny, one - tiny, -one  # the product is 1 - 2^-26 and rounds to 1
    exact = lift(multiply_add, name="multiply_add", backend="c")(*args)
    fused = lift(multiply_add, name="multiply_add", backend="c", contract=True)(*args)
    assert exact == 0
    has_fma = "__FMA__" in (build.compiler() or ("", ""))[1]
    assert fused == (-(2.0**-26) if has_fma else 0)


def test_what_is_traced_is_handed_over_as_an_argument() -> None:
    def closes_over(x: Array) -> Array:
        return lift(lambda y: y + x, name="closure")(jnp.float32(1))

    with pytest.raises(ValueError, match="closes over a traced value"):
        jax.jit(closes_over)(jnp.float32(2))


def test_kernels_cannot_be_differentiated() -> None:
    with pytest.raises((ValueError, NotImplementedError, TypeError)):
        jax.grad(lift(jnp.sin, name="sine", backend="c"))(jnp.float32(1))


@pytest.mark.parametrize("name", ["", "two words", "a/b", "é"])
def test_a_name_is_an_identifier(name: str) -> None:
    with pytest.raises(ValueError, match="use letters"):
        lift(spring, name=name)


def test_an_unknown_backend_is_named() -> None:
    with pytest.raises(ValueError, match="choose one of"):
        lift(spring, name="spring", backend="cuda")  # type: ignore[arg-type]


def test_the_source_can_be_looked_at() -> None:
    source = SPRING.c_source(*springs(()), STIFFNESS)
    assert "simlift_block" in source
    assert "sqrt_F" in source


@pytest.mark.parametrize("name", ["PufferPong-v0", "CartPole-v1"])
def test_environments_step_the_same(name: str) -> None:
    env, params = make(name)
    kernel = lift(env.transition, name="transition", backend="c")
    axes = (0, 0, 0, None)

    def roll(transition: Callable[..., Any], states: Any, keys: Array) -> Any:
        actions = jax.vmap(env.action_space(params).sample)(keys)
        draws = jax.vmap(env.sample_draws, axes)(keys, states, actions, params)
        return jax.vmap(transition, axes)(states, actions, draws, params)

    keys = jax.random.split(jax.random.key(0), 300)
    _, states = jax.vmap(env.reset, (0, None))(keys, params)
    for step in range(20):
        keys = jax.vmap(jax.random.fold_in, (0, None))(keys, step)
        ours, theirs = (roll(f, states, keys) for f in (kernel, jax.jit(env.transition)))
        for mine, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
            if name == "PufferPong-v0":
                np.testing.assert_array_equal(mine, other)
            else:
                # XLA's sine and cosine, and its contractions, are a few roundings away, of numbers
                # up to about 10.
                np.testing.assert_allclose(
                    np.asarray(mine, np.float64), np.asarray(other, np.float64), atol=5e-6, rtol=0
                )
        states = theirs[0]
