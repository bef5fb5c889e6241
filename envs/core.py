"""The contract of a fast environment: pure functions of one instance, all randomness on the table.

An environment supplies six functions of one instance, without a batch axis:

    sample_reset_draws(key, params)             all randomness of a reset, nothing else
    initial(draws, params)                      the first state, deterministic
    sample_draws(key, state, action, params)    all randomness of a step, nothing else
    transition(state, action, draws, params)    the dynamics, deterministic and total
    observe(state, params)                      what the agent sees
    legal_actions(state, params)                what the agent may do

and inherits from here the calls of gymnax 1.x (`reset`, `step`, `step_env`, spaces, default params), the auto-reset
policies, snapshots and the checks of what a caller hands in. Use it under `jax.jit`, `jax.vmap` and `jax.lax.scan`.
"""

import abc
import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, Generic, Literal, TypeVar, get_args

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array
from jax.custom_batching import custom_vmap

from .spaces import Box, Discrete, Space

StateT = TypeVar("StateT")
ParamsT = TypeVar("ParamsT")
DrawsT = TypeVar("DrawsT")

AutoReset = Literal["select", "pool", "none"]
POOL_FRACTION = (
    8  # a pool holds num_envs / 8 fresh states; more simultaneous ends fall back to a full reset
)


@functools.partial(struct.dataclass, frozen=True, kw_only=True)
class Outcome:
    """What a transition says besides the next state.

    reward: float32 []; terminated: bool [] (a time limit is not a termination, see `is_truncated`);
    draws_used: the number of draws consumed, int32 [] for each site; info: arrays, named.
    """

    reward: Array
    terminated: Array
    draws_used: Mapping[str, Array]
    info: Mapping[str, Array] = struct.field(default_factory=dict)


def select(condition: Array, on_true: Any, on_false: Any) -> Any:
    """`jnp.where` over two pytrees of the same structure, shapes and dtypes; condition: bool []."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), on_true, on_false)


class Environment(abc.ABC, Generic[StateT, ParamsT, DrawsT]):
    """One-agent environment with gymnax 1.x's calls. Instances compare and hash by configuration."""

    name: str
    version: int
    """Bumped whenever the behaviour changes; CHANGELOG.md says how."""

    def __init__(self, config: Any = None, *, auto_reset: AutoReset = "select") -> None:
        if auto_reset not in get_args(AutoReset):
            raise ValueError(
                f"auto_reset={auto_reset!r} is not a reset policy; choose one of {get_args(AutoReset)}"
            )
        self.config = config
        self.auto_reset: AutoReset = auto_reset

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._identity() == other._identity()  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[Any, ...]:
        return (type(self).__name__, self.config, self.auto_reset)

    # -- what an environment supplies ---------------------------------------------------------------------------------

    @property
    @abc.abstractmethod
    def default_params(self) -> ParamsT:
        """The numbers of the upstream program; every leaf may be vmapped over."""

    @abc.abstractmethod
    def sample_reset_draws(self, key: Array, params: ParamsT) -> DrawsT:
        """All randomness of a reset."""

    @abc.abstractmethod
    def initial(self, draws: DrawsT, params: ParamsT) -> StateT:
        """The first state of an episode, given its draws."""

    @abc.abstractmethod
    def sample_draws(self, key: Array, state: StateT, action: Array, params: ParamsT) -> DrawsT:
        """All randomness that one step may consume."""

    @abc.abstractmethod
    def transition(
        self, state: StateT, action: Array, draws: DrawsT, params: ParamsT
    ) -> tuple[StateT, Outcome]:
        """One step of the dynamics, given its draws. Neither resets nor observes."""

    @abc.abstractmethod
    def observe(self, state: StateT, params: ParamsT) -> Array:
        """The agent's view of a state."""

    @abc.abstractmethod
    def action_space(self, params: ParamsT | None = None) -> Space: ...

    @abc.abstractmethod
    def observation_space(self, params: ParamsT | None = None) -> Box: ...

    @abc.abstractmethod
    def render(self, state: StateT, params: ParamsT | None = None) -> np.ndarray:
        """A picture of one state, uint8 [H, W, 3]. Runs on the host."""

    def legal_actions(self, state: StateT, params: ParamsT) -> Array:
        """Mask of the actions that have an effect of their own, bool [num_actions]; all of them by default."""
        del state, params
        return jnp.ones(self.num_actions, bool)

    def is_truncated(self, state: StateT, params: ParamsT) -> Array:
        """Whether a time limit ends the episode here, bool []; never, by default."""
        del state, params
        return jnp.zeros((), bool)

    @property
    def num_actions(self) -> int:
        """Number of discrete actions, or length of a continuous action."""
        space = self.action_space(self.default_params)
        return space.n if isinstance(space, Discrete) else int(np.prod(space.shape))

    # -- gymnax's calls -----------------------------------------------------------------------------------------------

    def reset(self, key: Array, params: ParamsT | None = None) -> tuple[Array, StateT]:
        """Start an episode. Returns (observation, state)."""
        return self._reset(key, self.default_params if params is None else params)

    def step(
        self, key: Array, state: StateT, action: Any, params: ParamsT | None = None
    ) -> tuple[Array, StateT, Array, Array, Array, dict[str, Any]]:
        """One step, then the auto-reset policy.

        Returns (observation, state, reward float32 [], terminated bool [], truncated bool [], info).
        ``info["final_observation"]`` is the observation before any reset: bootstrap from it where `truncated`.
        Raises ValueError for an action or a state of the wrong shape or dtype, and for a concrete action outside the
        action space; under `jit` a value cannot be checked, and the environment's README says what it then means.
        """
        params = self.default_params if params is None else params
        return self._step(key, self._check_state(state), self.check_action(action), params)

    def step_env(
        self, key: Array, state: StateT, action: Any, params: ParamsT | None = None
    ) -> tuple[Array, StateT, Array, Array, dict[str, Any]]:
        """One step that never resets. Returns (observation, state, reward, terminated, info), as gymnax's does."""
        params = self.default_params if params is None else params
        return self._step_env(key, self._check_state(state), self.check_action(action), params)

    @functools.partial(jax.jit, static_argnums=0)
    def _reset(self, key: Array, params: ParamsT) -> tuple[Array, StateT]:
        state = self.initial(self.sample_reset_draws(key, params), params)
        return self.observe(state, params), state

    @functools.partial(jax.jit, static_argnums=0)
    def _step_env(self, key: Array, state: StateT, action: Array, params: ParamsT) -> Any:
        draws = self.sample_draws(key, state, action, params)
        state, outcome = self.transition(state, action, draws, params)
        return self.observe(state, params), state, outcome.reward, outcome.terminated, outcome.info

    @functools.partial(jax.jit, static_argnums=0)
    def _step(self, key: Array, state: StateT, action: Array, params: ParamsT) -> Any:
        key_draws, key_reset = jax.random.split(key)
        draws = self.sample_draws(key_draws, state, action, params)
        final_state, outcome = self.transition(state, action, draws, params)
        done = outcome.terminated | self.is_truncated(final_state, params)
        match self.auto_reset:
            case "select":
                fresh = self.initial(self.sample_reset_draws(key_reset, params), params)
                next_state = select(done, fresh, final_state)
            case "pool":
                next_state = self._pool_reset(key_reset, done, final_state, params)
            case _:
                next_state = final_state
        return self._conclude(final_state, outcome, next_state, params)

    def step_with_draws(
        self, state: StateT, action: Array, draws: DrawsT, reset_draws: DrawsT, params: ParamsT
    ) -> tuple[Array, StateT, Array, Array, Array, dict[str, Any]]:
        """`step` under auto_reset="select" with the dice on the table: what verification replays.

        ``info`` carries `final_state` and `draws_used` besides what `step` reports.
        """
        final_state, outcome = self.transition(state, action, draws, params)
        done = outcome.terminated | self.is_truncated(final_state, params)
        next_state = select(done, self.initial(reset_draws, params), final_state)
        *result, info = self._conclude(final_state, outcome, next_state, params)
        return (*result, info | {"final_state": final_state, "draws_used": outcome.draws_used})

    def _conclude(
        self, final_state: StateT, outcome: Outcome, next_state: StateT, params: ParamsT
    ) -> Any:
        truncated = self.is_truncated(final_state, params)
        info = {**outcome.info, "final_observation": self.observe(final_state, params)}
        observation = self.observe(next_state, params)
        return observation, next_state, outcome.reward, outcome.terminated, truncated, info

    def _pool_reset(self, key: Array, done: Array, state: StateT, params: ParamsT) -> StateT:
        """Replace finished episodes out of a small pool of fresh states.

        For one instance this is a select. `vmap` turns it into the batch rule: the n-th finished
        instance takes the n-th fresh state, each used at most once, so episodes stay independent;
        where more end at once than the pool holds, every instance gets its own reset.
        """

        def fresh(key: Array, params: ParamsT) -> StateT:
            return self.initial(self.sample_reset_draws(key, params), params)

        @custom_vmap
        def replace(key: Array, done: Array, state: StateT, params: ParamsT) -> StateT:
            return select(done, fresh(key, params), state)

        @replace.def_vmap
        def replace_batch(size: int, batched: Any, *operands: Any) -> Any:
            axes = jax.tree.map(lambda is_batched: 0 if is_batched else None, tuple(batched))
            key, done, state, params = operands
            all_batched = jax.tree.map(lambda _: True, state)
            if not all(jax.tree.leaves(batched[:3])) or any(jax.tree.leaves(batched[3])):
                # A fresh state belongs to the instance whose params made it: no sharing.
                def one(key: Array, done: Array, state: StateT, params: ParamsT) -> StateT:
                    return select(done, fresh(key, params), state)

                return jax.vmap(one, in_axes=axes, axis_size=size)(*operands), all_batched
            pool_size = max(1, size // POOL_FRACTION)
            rank = jnp.cumsum(done) - 1

            def from_pool() -> Any:
                pool = jax.vmap(fresh, in_axes=(0, None))(key[:pool_size], params)
                return jax.tree.map(lambda x: x[jnp.clip(rank, 0, pool_size - 1)], pool)

            def one_each() -> Any:
                return jax.vmap(fresh, in_axes=(0, None))(key, params)

            new = jax.lax.cond(rank[-1] < pool_size, from_pool, one_each)
            return jax.vmap(select)(done, new, state), all_batched

        return replace(key, done, state, params)

    # -- snapshots ----------------------------------------------------------------------------------------------------

    def snapshot(self, state: StateT) -> dict[str, Array]:
        """The state's fields by name, lossless; leading batch axes are kept."""
        return {f.name: getattr(state, f.name) for f in dataclasses.fields(state)}  # type: ignore[arg-type]

    def restore(self, snapshot: Mapping[str, Any]) -> StateT:
        """The inverse of `snapshot`. Raises ValueError when fields are missing, unknown or of another dtype."""
        template = self._state_template()
        fields = {f.name: getattr(template, f.name) for f in dataclasses.fields(template)}
        if wrong := fields.keys() ^ snapshot.keys():
            raise ValueError(
                f"{self.name}: a snapshot has exactly the fields {sorted(fields)}; missing or unknown: {sorted(wrong)}"
            )
        for name, aval in fields.items():
            if jnp.result_type(snapshot[name]) != aval.dtype:
                raise ValueError(
                    f"{self.name}: snapshot field {name} is {jnp.result_type(snapshot[name])}, expected {aval.dtype}"
                )
        return type(template)(**{name: jnp.asarray(snapshot[name]) for name in fields})

    # -- checks of what a caller hands in -----------------------------------------------------------------------------

    @functools.cached_property
    def _template(self) -> Any:
        return jax.eval_shape(self._reset, jax.random.key(0), self.default_params)[1]

    def _state_template(self) -> Any:
        """Shapes and dtypes of one state."""
        return self._template

    def check_action(self, action: Any) -> Array:
        """The action as an array of the space's dtype; ValueError with the remedy where that loses information."""
        space = self.action_space(self.default_params)
        kind = np.integer if isinstance(space, Discrete) else np.floating
        dtype = jnp.result_type(action)
        if not np.issubdtype(dtype, kind):
            raise ValueError(
                f"{self.name}: action has dtype {dtype}, expected {np.dtype(space.dtype)}; convert it with .astype"
            )
        if np.shape(action) != space.shape:
            raise ValueError(
                f"{self.name}: action has shape {np.shape(action)}, one instance takes {space.shape}; "
                "for a batch use jax.vmap(env.step, in_axes=(0, 0, 0, None))"
            )
        if not isinstance(action, jax.core.Tracer):
            low, high = (0, space.n - 1) if isinstance(space, Discrete) else (space.low, space.high)
            if not (np.all(np.asarray(action) >= low) and np.all(np.asarray(action) <= high)):
                raise ValueError(
                    f"{self.name}: action {action} is outside {low} .. {high}; see env.action_space(params)"
                )
        return jnp.asarray(action, space.dtype)

    def _check_state(self, state: StateT) -> StateT:
        expected = self._state_template()
        if jax.tree.structure(state) != jax.tree.structure(expected):
            raise ValueError(
                f"{self.name}: state is a {type(state).__name__}, expected the {type(expected).__name__} that reset returns"
            )
        for got, want in zip(jax.tree.leaves(state), jax.tree.leaves(expected), strict=True):
            if np.shape(got) != want.shape or jnp.result_type(got) != want.dtype:
                raise ValueError(
                    f"{self.name}: a state leaf is {jnp.result_type(got)}{list(np.shape(got))}, one instance has "
                    f"{want.dtype}{list(want.shape)}; for a batch use jax.vmap(env.step, in_axes=(0, 0, 0, None))"
                )
        return state


def state_bytes(state: Any) -> int:
    """Bytes of one instance's state, given one state (no batch axis) or its shapes."""
    return sum(int(np.prod(x.shape)) * np.dtype(x.dtype).itemsize for x in jax.tree.leaves(state))
