"""L0: each check finds an environment that was built to have its hazard, and passes one without."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array
from jax.custom_batching import custom_vmap

from simlift.envs import Outcome
from simlift.verify import hazards

from ..envs.toys import STEP, Walk, WalkDraws, WalkParams, WalkState


class Small(Walk):
    """A `Walk` with numbers that fit the declared space; the hazards below change one thing."""


class Callback(Small):
    def is_truncated(self, state: WalkState, params: WalkParams) -> Array:
        jax.debug.callback(lambda time: None, state.time)
        return super().is_truncated(state, params)


class Weak(Small):
    def initial(self, draws: WalkDraws, params: WalkParams) -> WalkState:
        return super().initial(draws, params).replace(position=0)


class Promoting(Small):
    def observe(self, state: WalkState, params: WalkParams) -> Array:
        return super().observe(state, params) + state.time


class OutOfBounds(Small):
    def observe(self, state: WalkState, params: WalkParams) -> Array:
        seen = super().observe(state, params)
        return seen.at[0].set(state.start[state.position])  # there are 4 places, and more steps


class Searching(Small):
    """Its loop ends where the state says, at another trip in each instance."""

    def observe(self, state: WalkState, params: WalkParams) -> Array:
        last = state.start.shape[0] - 1
        end = jnp.minimum(state.position, last)
        found = jax.lax.while_loop(lambda i: i < end, lambda i: i + 1, jnp.zeros_like(end))
        return super().observe(state, params).at[0].set(state.start[found])


class KeyReuse(Small):
    def sample_reset_draws(self, key: Array, params: WalkParams) -> WalkDraws:
        draws = super().sample_reset_draws(key, params)
        return draws.replace(uniform=draws.uniform * jax.random.uniform(key))


@custom_vmap
def _neighbour(x: Array) -> Array:
    return x


@_neighbour.def_vmap
def _(size: int, batched: Any, x: Array) -> tuple[Array, bool]:
    return jnp.roll(x, 1, axis=0), True


class Neighbours(Small):
    def observe(self, state: WalkState, params: WalkParams) -> Array:
        return super().observe(state.replace(time=_neighbour(state.position)), params)


@custom_vmap
def _first(x: Array) -> Array:
    return x


@_first.def_vmap
def _(size: int, batched: Any, x: Array) -> tuple[Array, bool]:
    return jnp.where(jnp.arange(size) == 0, x, -x), True


class FirstIsSpecial(Small):
    def transition(
        self, state: WalkState, action: Array, draws: WalkDraws, params: WalkParams
    ) -> tuple[WalkState, Outcome]:
        state, outcome = super().transition(state, action, draws, params)
        return state, outcome.replace(reward=_first(outcome.reward))


class TracedOnly(Small):
    """Behaves otherwise where it is compiled."""

    def observe(self, state: WalkState, params: WalkParams) -> Array:
        seen = super().observe(state, params)
        return seen + 1 if isinstance(state.time, jax.core.Tracer) else seen


class OutOfSpace(Small):
    def observe(self, state: WalkState, params: WalkParams) -> Array:
        return super().observe(state, params) - 1


class NothingLegal(Small):
    def legal_actions(self, state: WalkState, params: WalkParams) -> Array:
        return super().legal_actions(state, params) & (state.time < 1)


class Forgetful(Small):
    def restore(self, snapshot: Any) -> WalkState:
        state = super().restore(snapshot)
        return state.replace(time=jnp.zeros_like(state.time))


class OwnStep(Small):
    """`step` is not made of the parts that verification replays."""

    def _step(self, key: Array, state: WalkState, action: Array, params: WalkParams) -> Any:
        seen, state, reward, *rest = super()._step(key, state, action, params)
        return seen, state, -reward, *rest


class Unrepeatable(Small):
    calls = 0

    def transition(
        self, state: WalkState, action: Array, draws: WalkDraws, params: WalkParams
    ) -> tuple[WalkState, Outcome]:
        def count(_: Any) -> np.ndarray:
            Unrepeatable.calls += 1
            return np.float32(Unrepeatable.calls)

        state, outcome = super().transition(state, action, draws, params)
        reward = jax.pure_callback(
            count, jax.ShapeDtypeStruct((), jnp.float32), action, vmap_method="sequential"
        )
        return state, outcome.replace(reward=reward)


class HalfPrecision(Small):
    def transition(
        self, state: WalkState, action: Array, draws: WalkDraws, params: WalkParams
    ) -> tuple[WalkState, Outcome]:
        state, outcome = super().transition(state, action, draws, params)
        return state, outcome.replace(reward=outcome.reward.astype(jnp.float16))


class InPlace(Small):
    def restore(self, snapshot: Any) -> WalkState:
        state = super().restore(snapshot)
        snapshot["time"][...] += 1
        return state


class Gullible(Small):
    """Plays on, whatever the action."""

    def check_action(self, action: Any, batch: tuple[int, ...] = ()) -> Array:
        space = self.action_space(self.default_params)
        return jnp.zeros((*batch, *space.shape), space.dtype)


HAZARDS = {
    "same_avals": (Weak, "weak type"),
    "strict_types": (Promoting, "promotion"),
    "single_equals_batched": (Neighbours, "differs from the batch's"),
    "jit_equals_eager": (TracedOnly, "between jit and eager"),
    "order_independent": (FirstIsSpecial, "batch order"),
    "compiles_once": (Weak, "compiled 2 times"),
    "no_host_callback": (Callback, "debug_callback"),
    "no_index_out_of_bounds": (OutOfBounds, "out-of-bounds"),
    "no_key_reuse": (KeyReuse, "already consumed"),
    "spaces_hold": (OutOfSpace, "outside the declared space"),
    "snapshots_restore": (Forgetful, "differs from the one saved"),
    "step_is_its_parts": (OwnStep, "parts"),
    "draws_are_all_randomness": (Unrepeatable, "not repeatable"),
    "outcome_types": (HalfPrecision, "reward is float16[64, 16], expected float32[64, 16]"),
    "leaves_inputs_alone": (InPlace, "restore writes into what it is handed"),
    "refuses_bad_input": (Gullible, "an action of another type is taken without a word"),
}
WITHOUT_PLAY = ("same_avals", "strict_types", "compiles_once", "no_host_callback", "no_key_reuse")


def run(check: str, kind: type[Walk]) -> tuple[int, list[str]]:
    env = kind()
    played: Any = None if check in WITHOUT_PLAY else hazards.play(env, env.default_params)
    return hazards.CHECKS[check](env, env.default_params, played)


def test_every_check_has_an_environment_that_it_finds() -> None:
    assert HAZARDS.keys() == hazards.CHECKS.keys()


@pytest.mark.parametrize("check", HAZARDS)
def test_check_finds_its_hazard(check: str) -> None:
    kind, words = HAZARDS[check]
    count, wrong = run(check, kind)
    assert count > 0 and wrong
    assert words in wrong[0]


def test_a_mask_that_allows_nothing_is_found() -> None:
    assert run("spaces_hold", NothingLegal)[1] == ["a state has no legal action"]


def test_an_index_out_of_a_loop_of_its_own_end_is_followed() -> None:
    count, wrong = run("no_index_out_of_bounds", Searching)
    assert count > 0 and wrong == []


def test_a_sound_environment_passes_every_check() -> None:
    env = Small()
    played = hazards.play(env, env.default_params)
    assert int((played.action == STEP).sum()) > 0
    for name, check in hazards.CHECKS.items():
        count, wrong = check(env, env.default_params, played)
        assert count > 0 and wrong == [], name
