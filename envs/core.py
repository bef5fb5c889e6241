"""The contract of a fast environment: pure functions of one instance, all randomness on the table.

A `Simulator` is what an `Environment` (one agent) and a `Game` (several players, game.py) have in
common. It supplies six functions of one instance, without a batch axis:

    sample_reset_draws(key, params)             all randomness of a reset, nothing else
    initial(draws, params)                      the first state, deterministic
    sample_draws(key, state, action, params)    all randomness of a step, nothing else
    transition(state, action, draws, params)    the dynamics, deterministic and total
    observe(state, params)                      what the agent sees
    legal_actions(state, params)                what the agent may do

and inherits from here the calls of gymnax 1.x (`reset`, `step`, `step_env`, spaces, default
params), the auto-reset policies, snapshots and the checks of what a caller hands in. Use it under
`jax.jit`, `jax.vmap` and `jax.lax.scan`.
"""

import abc
import functools
from collections.abc import Callable, Mapping
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
POOL_FRACTION = 8
"""A pool holds num_envs / 8 fresh states; more simultaneous ends fall back to a full reset."""


@struct.dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a transition says besides the next state.

    reward: float32 [], of a game float32 [P]; terminated: bool [] (a time limit is not a
    termination, see `is_truncated`); draws_used: the number of draws consumed, int32 [] for each
    site; info: arrays, named.
    """

    reward: Array
    terminated: Array
    draws_used: Mapping[str, Array]
    info: Mapping[str, Array] = struct.field(default_factory=dict)


def select(condition: Array, on_true: Any, on_false: Any) -> Any:
    """`jnp.where` over two pytrees of the same structure, shapes and dtypes; condition: bool []."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), on_true, on_false)


class Simulator(abc.ABC, Generic[StateT, ParamsT, DrawsT]):
    """What environments and games share. Instances compare and hash by configuration.

    `L` stands for the axes that come before those of one agent: none of an environment, `[P]` of a
    game of P players.
    """

    name: str
    version: int
    """Bumped whenever the behaviour changes; CHANGELOG.md says how."""

    def __init__(self, config: Any = None, *, auto_reset: AutoReset = "select") -> None:
        if auto_reset not in get_args(AutoReset):
            raise ValueError(
                f"auto_reset={auto_reset!r} is not a reset policy; "
                f"choose one of {get_args(AutoReset)}"
            )
        self.config = config
        self.auto_reset: AutoReset = auto_reset

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[Any, ...]:
        return (type(self).__name__, self.config, self.auto_reset)

    # -- what an environment supplies

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

    def sample_step(
        self, key: Array, state: StateT, action: Array, params: ParamsT
    ) -> tuple[DrawsT, DrawsT]:
        """The randomness of a step and, independent of it, of the reset that may follow.

        Override where both fit into fewer random words: those can cost more than the dynamics.
        """
        key_draws, key_reset = jax.random.split(key)
        draws = self.sample_draws(key_draws, state, action, params)
        return draws, self.sample_reset_draws(key_reset, params)

    @abc.abstractmethod
    def transition(
        self, state: StateT, action: Array, draws: DrawsT, params: ParamsT
    ) -> tuple[StateT, Outcome]:
        """One step of the dynamics, given its draws. Neither resets nor observes."""

    @abc.abstractmethod
    def observe(self, state: StateT, params: ParamsT) -> Array:
        """The view of a state, dtype and shape [*L, ...] of the observation space."""

    @abc.abstractmethod
    def action_space(self, params: ParamsT | None = None) -> Space:
        """What one agent may do."""

    @abc.abstractmethod
    def observation_space(self, params: ParamsT | None = None) -> Box:
        """What one agent may see."""

    @abc.abstractmethod
    def render(self, state: StateT, params: ParamsT | None = None) -> np.ndarray:
        """A picture of one state, uint8 [H, W, 3]. Runs on the host."""

    def legal_actions(self, state: StateT, params: ParamsT) -> Array:
        """Mask of the actions that have an effect of their own, bool [*L, num_actions].

        All of them by default; never none of them.
        """
        del state, params
        return jnp.ones((*self.leading_axes, self.num_actions), bool)

    def is_truncated(self, state: StateT, params: ParamsT) -> Array:
        """Whether a time limit ends the episode here, bool []; never, by default."""
        del state, params
        return jnp.zeros((), bool)

    @property
    def leading_axes(self) -> tuple[int, ...]:
        """`L`."""
        return ()

    @property
    def num_actions(self) -> int:
        """Number of discrete actions, or length of a continuous action."""
        space = self.action_space(self.default_params)
        return space.n if isinstance(space, Discrete) else int(np.prod(space.shape))

    # -- gymnax's calls

    def reset(self, key: Array, params: ParamsT | None = None) -> tuple[Array, StateT]:
        """Start an episode. Returns (observation, state)."""
        return self._reset(key, self.default_params if params is None else params)

    def step(
        self, key: Array, state: StateT, action: Any, params: ParamsT | None = None
    ) -> tuple[Array, StateT, Array, Array, Array, dict[str, Any]]:
        """One step, then the auto-reset policy.

        Returns (observation [*L, ...], state, reward float32 [*L], terminated bool [], truncated
        bool [], info). ``info["final_observation"]`` is the observation before any reset: bootstrap
        from it where `truncated`. Raises ValueError for an action or a state of the wrong shape or
        dtype, and for a concrete action outside the action space; under `jit` a value cannot be
        checked, and the environment's README says what it then means.
        """
        params = self.default_params if params is None else params
        return self._step(key, self._check_state(state), self.check_action(action), params)

    def step_env(
        self, key: Array, state: StateT, action: Any, params: ParamsT | None = None
    ) -> tuple[Array, StateT, Array, Array, dict[str, Any]]:
        """One step that never resets, as gymnax's.

        Returns (observation, state, reward, terminated, info), see `step`.
        """
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
        if self.auto_reset == "select":
            draws, reset_draws = self.sample_step(key, state, action, params)
        else:
            key_draws, key_reset = jax.random.split(key)
            draws = self.sample_draws(key_draws, state, action, params)

        def restart(done: Array, final_state: StateT) -> StateT:
            match self.auto_reset:
                case "select":
                    return select(done, self.initial(reset_draws, params), final_state)
                case "pool":
                    return self._pool_reset(key_reset, done, final_state, params)
                case _:
                    return final_state

        return self._advance(state, action, draws, params, restart)[0]

    def step_with_draws(
        self, state: StateT, action: Array, draws: DrawsT, reset_draws: DrawsT, params: ParamsT
    ) -> tuple[Array, StateT, Array, Array, Array, dict[str, Any]]:
        """`step` under auto_reset="select", the dice on the table: what verification replays.

        ``info`` carries `final_state` and `draws_used` besides what `step` reports.
        """

        def restart(done: Array, final_state: StateT) -> StateT:
            return select(done, self.initial(reset_draws, params), final_state)

        (*result, info), verified = self._advance(state, action, draws, params, restart)
        return (*result, info | verified)

    def _advance(
        self,
        state: StateT,
        action: Array,
        draws: DrawsT,
        params: ParamsT,
        restart: Callable[[Array, StateT], StateT],
    ) -> tuple[Any, dict[str, Any]]:
        """What every step does: transition, `restart(done, final_state)`, observe.

        Returns (the six values of `step`, what only verification asks for).
        """
        final_state, outcome = self.transition(state, action, draws, params)
        truncated = self.is_truncated(final_state, params)
        next_state = restart(outcome.terminated | truncated, final_state)
        info = {**outcome.info, "final_observation": self.observe(final_state, params)}
        observation = self.observe(next_state, params)
        result = observation, next_state, outcome.reward, outcome.terminated, truncated, info
        return result, {"final_state": final_state, "draws_used": outcome.draws_used}

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

    # -- snapshots

    def snapshot(self, state: StateT) -> dict[str, Array]:
        """The state's leaves by name, lossless; leading batch axes are kept.

        A nested field's name has dots: ``sides.hp``.
        """
        return _named_leaves(state)

    def restore(self, snapshot: Mapping[str, Any]) -> StateT:
        """The inverse of `snapshot`.

        Raises ValueError when fields are missing, unknown or of another dtype or shape.
        """
        fields = _named_leaves(self._state_avals)
        if wrong := fields.keys() ^ snapshot.keys():
            raise ValueError(
                f"{self.name}: a snapshot has exactly the fields {sorted(fields)}; "
                f"missing or unknown: {sorted(wrong)}"
            )
        batch = None
        for name, aval in fields.items():
            dtype, shape = jnp.result_type(snapshot[name]), np.shape(snapshot[name])
            ndim = len(shape) - len(aval.shape)
            batch = shape[:ndim] if batch is None else batch
            if dtype != aval.dtype or ndim < 0 or shape != batch + aval.shape:
                raise ValueError(
                    f"{self.name}: snapshot field {name} is {dtype}{list(shape)}, expected "
                    f"{aval.dtype}{list(aval.shape)}, after the same batch axes in every field"
                )
        leaves = [jnp.asarray(snapshot[name]) for name in fields]
        return jax.tree.unflatten(jax.tree.structure(self._state_avals), leaves)

    # -- checks of what a caller hands in

    @functools.cached_property
    def _state_avals(self) -> Any:
        """Shapes and dtypes of one state."""
        return jax.eval_shape(self._reset, jax.random.key(0), self.default_params)[1]

    def check_action(self, action: Any, batch: tuple[int, ...] = ()) -> Array:
        """The action as an array of the space's dtype, shape [*batch, *L, *space.shape].

        Raises ValueError with the remedy where that would lose information.
        """
        space = self.action_space(self.default_params)
        array = action if hasattr(action, "dtype") else np.asarray(action)
        kind = np.integer if isinstance(space, Discrete) else np.floating
        if not jnp.issubdtype(array.dtype, kind):
            raise ValueError(
                f"{self.name}: action has dtype {array.dtype}, expected {np.dtype(space.dtype)}; "
                "convert it with .astype"
            )
        shape = (*batch, *self.leading_axes, *space.shape)
        if array.shape != shape:
            raise ValueError(
                f"{self.name}: action has shape {array.shape}, expected {shape}; {_BATCH_REMEDY}"
            )
        if not isinstance(array, jax.core.Tracer):
            low, high = (0, space.n - 1) if isinstance(space, Discrete) else (space.low, space.high)
            if not (np.all(np.asarray(array) >= low) and np.all(np.asarray(array) <= high)):
                raise ValueError(
                    f"{self.name}: action {action} is outside {low} .. {high}; "
                    "see action_space(params)"
                )
        return jnp.asarray(array, space.dtype)

    def _check_state(self, state: StateT) -> StateT:
        wanted, given = _named_leaves(self._state_avals), _named_leaves(state)
        if type(state) is not type(self._state_avals) or given.keys() != wanted.keys():
            raise ValueError(
                f"{self.name}: state is a {type(state).__name__}, expected the "
                f"{type(self._state_avals).__name__} that reset returns"
            )
        for name, want in wanted.items():
            got = given[name]
            dtype, shape = jnp.result_type(got), np.shape(got)
            if shape != want.shape or dtype != want.dtype:
                raise ValueError(
                    f"{self.name}: state.{name} is {dtype}{list(shape)}, expected "
                    f"{want.dtype}{list(want.shape)}; {_BATCH_REMEDY}"
                )
        return state


class Environment(Simulator[StateT, ParamsT, DrawsT]):
    """One agent, with gymnax 1.x's calls: code written for gymnax runs unchanged."""


_BATCH_REMEDY = "for a batch use jax.vmap(env.step, in_axes=(0, 0, 0, None))"


def _named_leaves(tree: Any) -> dict[str, Any]:
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def state_bytes(state: Any) -> int:
    """Bytes of one instance's state, given one state (no batch axis) or its shapes."""
    return sum(int(np.prod(x.shape)) * np.dtype(x.dtype).itemsize for x in jax.tree.leaves(state))
