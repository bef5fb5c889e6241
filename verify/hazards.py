"""L0: what goes wrong in JAX programs whatever they compute.

Each check takes an environment, its params and a `play` of it, and returns (number of cases looked
at, what is wrong).
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array
from jax.experimental import checkify

from ..envs.core import Environment
from ..envs.spaces import Discrete
from .suite import EXACT, Compare

Check = Callable[[Environment, Any, "Play"], tuple[int, list[str]]]

NUM_ENVS = 16
NUM_STEPS = 64
CALLBACKS = ("pure_callback", "io_callback", "debug_callback", "outside_call", "infeed", "outfeed")


def _equal(a: Any, b: Any) -> bool:
    """Bit by bit."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.asarray(x).tobytes() == np.asarray(y).tobytes() for x, y in pairs)


class Play(NamedTuple):
    """What random play went through; arrays [T, B, ...].

    same: whether two programs made of one step gave the same results.
    """

    action: Array
    key: Array
    state: Any  # before the step
    result: Any  # of env.step
    same: Callable[[Any, Any], bool]


def play(env: Environment, params: Any, recompiled: Compare = EXACT) -> Play:
    """NUM_STEPS random steps of NUM_ENVS instances, compiled as one scan. recompiled: how close
    floats have to be in another program of the same step."""

    def same(a: Any, b: Any) -> bool:
        pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
        return not any(
            np.any(recompiled.differs(np.asarray(x), np.asarray(y)))
            if np.asarray(x).dtype.kind == "f"
            else not _equal(x, y)
            for x, y in pairs
        )

    rolled = jax.jit(lambda params: _play(env, params))(params)
    action, key, state, result = rolled
    return Play(action, key, state, result, same if recompiled.kind == "close" else _equal)


def _play(env: Environment, params: Any) -> Any:
    """The first four of a Play."""
    keys = jax.random.split(jax.random.key(0), NUM_ENVS)
    state = jax.vmap(env.reset, in_axes=(0, None))(keys, params)[1]

    def body(state: Any, key: Array) -> tuple[Any, Any]:
        key_action, key_step = jax.random.split(key)
        actions = sampled_actions(env, params, jax.random.split(key_action, NUM_ENVS))
        keys = jax.random.split(key_step, NUM_ENVS)
        out = jax.vmap(env.step, in_axes=(0, 0, 0, None))(keys, state, actions, params)
        return out[1], (actions, keys, state, out)

    return jax.lax.scan(body, state, jax.random.split(jax.random.key(1), NUM_STEPS))[1]


def sampled_actions(env: Environment, params: Any, keys: Array) -> Array:
    """Random actions, [*B, *L, ...]: of a game, one for each player. keys: [*B]."""
    sample = env.action_space(params).sample
    each = keys if not env.leading_axes else _split(keys, int(np.prod(env.leading_axes)))
    flat = jax.vmap(sample)(each.reshape(-1))
    return flat.reshape(*keys.shape, *env.leading_axes, *flat.shape[1:])


def _split(keys: Array, count: int) -> Array:
    return jax.vmap(lambda key: jax.random.split(key, count))(keys.reshape(-1))


def same_avals(env: Environment, params: Any, play: Play | None = None) -> tuple[int, list[str]]:
    """`reset` and `step` return states and observations of the same shapes and dtypes, none of
    them weak."""
    key = jax.random.key(0)
    obs, state = jax.eval_shape(env.reset, key, params)
    action = sampled_actions(env, params, key)
    next_obs, next_state, *_ = jax.eval_shape(env.step, key, state, action, params)
    wrong = []
    before, after = jax.tree.leaves((obs, state)), jax.tree.leaves((next_obs, next_state))
    for a, b in zip(before, after, strict=True):
        if (a.shape, a.dtype) != (b.shape, b.dtype):
            wrong.append(f"reset gives {a.dtype}{list(a.shape)}, step {b.dtype}{list(b.shape)}")
        if a.weak_type or b.weak_type:
            wrong.append(f"a weak type: {a} after reset, {b} after step")
    return len(before), wrong


def strict_types(env: Environment, params: Any, play: Play) -> tuple[int, list[str]]:
    """Traces without any implicit promotion of dtypes or ranks."""
    key = jax.random.key(0)
    action = sampled_actions(env, params, key)
    try:
        with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
            state = jax.eval_shape(env.reset, key, params)[1]
            jax.eval_shape(env.step, key, state, action, params)
    except (TypeError, ValueError) as error:
        return 2, [str(error).splitlines()[0]]
    return 2, []


def single_equals_batched(env: Environment, params: Any, play: Play) -> tuple[int, list[str]]:
    """Instance by instance and step by step, the same as under `vmap` and `scan`."""
    actions, keys, states, out, same = play
    wrong = []
    cases = [(t, b) for t in range(0, NUM_STEPS, 7) for b in range(0, NUM_ENVS, 5)]
    for t, b in cases:
        state = jax.tree.map(lambda x: x[t, b], states)  # noqa: B023
        single = env.step(keys[t, b], state, actions[t, b], params)
        if not same(single, jax.tree.map(lambda x: x[t, b], out)):  # noqa: B023
            wrong.append(f"step {t} of instance {b} differs from the batch's")
    return len(cases), wrong


def jit_equals_eager(env: Environment, params: Any, play: Play) -> tuple[int, list[str]]:
    """The compiled step against the same operations run one by one."""
    key = jax.random.key(2)
    _, state = env.reset(key, params)
    wrong = []
    cases = 8
    for i in range(cases):
        key, key_action, key_step = jax.random.split(key, 3)
        action = sampled_actions(env, params, key_action)
        compiled = env.step(key_step, state, action, params)
        with jax.disable_jit():
            eager = env.step(key_step, state, action, params)
        if not play.same(compiled, eager):
            wrong.append(f"step {i} differs between jit and eager")
        state = compiled[1]
    return cases, wrong


def order_independent(env: Environment, params: Any, play: Play) -> tuple[int, list[str]]:
    """Permuting the batch permutes the results and changes nothing else."""
    actions, keys, states, out, same = play
    order = np.random.default_rng(0).permutation(NUM_ENVS)
    inputs = jax.tree.map(lambda x: x[-1][order], (keys, states, actions))
    step = jax.jit(jax.vmap(env.step, in_axes=(0, 0, 0, None)))
    permuted = step(*inputs, params)
    expected = jax.tree.map(lambda x: x[-1][order], out)
    return NUM_ENVS, [] if same(permuted, expected) else ["the result depends on the batch order"]


def compiles_once(env: Environment, params: Any, play: Play) -> tuple[int, list[str]]:
    """Four steps in a row, each fed by the last, are one compilation."""
    traces = 0

    def counted(*args: Any) -> Any:
        nonlocal traces
        traces += 1
        return env.step(*args)

    step = jax.jit(counted)
    key = jax.random.key(0)
    _, state = env.reset(key, params)
    action = sampled_actions(env, params, key)
    for _ in range(4):
        _, state, *_ = step(key, state, action, params)
    return 4, [] if traces == 1 else [f"four steps compiled {traces} times"]


def no_host_callback(env: Environment, params: Any, play: Play) -> tuple[int, list[str]]:
    """Nothing leaves the device: no callback, no infeed, in step or reset."""
    key = jax.random.key(0)
    _, state = env.reset(key, params)
    action = sampled_actions(env, params, key)
    jaxpr = jax.make_jaxpr(env.step)(key, state, action, params)
    found = sorted({p for p in _primitives(jaxpr.jaxpr) if p in CALLBACKS})
    return 1, [f"step calls the host through {name}" for name in found]


def _primitives(jaxpr: Any) -> list[str]:
    names = []
    for equation in jaxpr.eqns:
        names.append(equation.primitive.name)
        for value in jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda x: hasattr(x, "eqns")
        ):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                names += _primitives(inner)
    return names


def no_index_out_of_bounds(env: Environment, params: Any, play: Play) -> tuple[int, list[str]]:
    """No index that JAX would silently clamp or drop, over random play.

    A step that indexes nothing dynamically is shown to be safe by its program alone.
    """
    first = jax.tree.map(lambda x: x[0, 0], (play.key, play.state, play.action))
    primitives = set(_primitives(jax.make_jaxpr(env.step)(*first, params).jaxpr))
    if not primitives & {"gather", "scatter", "dynamic_slice", "dynamic_update_slice"}:
        return len(primitives), []

    def reset_and_step(played: tuple[Array, Any, Array]) -> Any:
        key, state, action = played
        return env.reset(key, params), env.step(key, state, action, params)

    # One after the other: checkify cannot follow a batched loop that ends where each state says.
    one_by_one = checkify.checkify(
        lambda played: jax.lax.map(reset_and_step, played), errors=checkify.index_checks
    )
    played = (play.key, play.state, play.action)
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), played)
    error, _ = jax.jit(one_by_one)(flat)
    message = error.get()
    return NUM_ENVS * NUM_STEPS, [] if message is None else [message.splitlines()[0]]


def no_key_reuse(env: Environment, params: Any, play: Play) -> tuple[int, list[str]]:
    """No random key is consumed twice, in reset or step."""
    key = jax.random.key(0)
    _, state = env.reset(key, params)
    action = sampled_actions(env, params, jax.random.key(1))
    try:
        with jax.debug_key_reuse(True):
            jax.make_jaxpr(lambda k: env.reset(k, params))(key)
            jax.jit(lambda k: env.step(k, state, action, params))(jax.random.key(2))
            jax.jit(lambda k: env.reset(k, params))(jax.random.key(3))
    except jax.errors.KeyReuseError as error:
        return 2, [str(error).splitlines()[0]]
    return 2, []


def spaces_hold(env: Environment, params: Any, play: Play) -> tuple[int, list[str]]:
    """Every observation of random play lies in the declared space; the mask is never all False."""
    states, out = play.state, play.result
    space = env.observation_space(params)
    seen = np.asarray(out[0]).reshape(-1, *space.shape)
    wrong = []
    inside = (seen >= np.asarray(space.low)) & (seen <= np.asarray(space.high))
    if seen.dtype != np.dtype(space.dtype) or not inside.all():
        wrong.append(f"an observation of {seen.dtype} is outside the declared space")
    if isinstance(env.action_space(params), Discrete):
        flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), states)
        legal = jax.vmap(env.legal_actions, in_axes=(0, None))(flat, params)
        if not np.asarray(legal).any(-1).all():
            wrong.append("a state has no legal action")
    return len(seen), wrong


def snapshots_restore(env: Environment, params: Any, play: Play) -> tuple[int, list[str]]:
    """restore(snapshot(state)) == state, for every state of random play."""
    states = play.state
    restored = env.restore({k: np.asarray(v) for k, v in env.snapshot(states).items()})
    wrong = [] if _equal(states, restored) else ["a restored state differs from the one saved"]
    return NUM_ENVS * NUM_STEPS, wrong


def step_is_its_parts(env: Environment, params: Any, play: Play) -> tuple[int, list[str]]:
    """What `step` does is what verification replays: `step_with_draws`, given the same draws."""

    def parts(key: Array, state: Any, action: Array) -> Any:
        draws, reset_draws = env.sample_step(key, state, action, params)
        *result, info = env.step_with_draws(state, action, draws, reset_draws, params)
        return (*result, {name: info[name] for name in play.result[-1]})

    if env.auto_reset != "select":
        return 0, []
    expected = jax.jit(jax.vmap(jax.vmap(parts)))(play.key, play.state, play.action)
    wrong = [] if play.same(expected, play.result) else ["`step` does not do what its parts do"]
    return NUM_ENVS * NUM_STEPS, wrong


def draws_are_all_randomness(env: Environment, params: Any, play: Play) -> tuple[int, list[str]]:
    """`transition` and `observe` take no key, so equal draws must give equal results, twice."""
    states = play.state
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), states)
    size = len(jax.tree.leaves(flat)[0])
    keys = jax.random.split(jax.random.key(3), size)
    actions = sampled_actions(env, params, keys)

    def once(state: Any, action: Array, key: Array) -> Any:
        draws = env.sample_draws(key, state, action, params)
        return env.transition(state, action, draws, params)

    step = jax.jit(jax.vmap(once))
    wrong = (
        [] if _equal(step(flat, actions, keys), step(flat, actions, keys)) else ["not repeatable"]
    )
    return size, wrong


def outcome_types(env: Environment, params: Any, play: Play) -> tuple[int, list[str]]:
    """What comes beside a state has the contract's types and shapes, so that no comparison is made
    at a lower precision."""
    seen, _, reward, terminated, truncated, info = play.result
    first = jax.tree.map(lambda x: x[0, 0], play.state)
    legal = jax.eval_shape(env.legal_actions, first, params)
    space = env.observation_space(params)
    batch, each = (NUM_STEPS, NUM_ENVS), env.leading_axes
    shape = (*batch, *each, *space.shape)
    cases = {
        "observation": (seen, shape, space.dtype),
        "final_observation": (info["final_observation"], shape, space.dtype),
        "reward": (reward, (*batch, *each), np.float32),
        "terminated": (terminated, batch, bool),
        "truncated": (truncated, batch, bool),
        "legal_actions": (legal, (*each, env.num_actions), bool),
    }
    wrong = [
        f"{name} is {value.dtype}{list(value.shape)}, expected {np.dtype(dtype)}{list(shape)}"
        for name, (value, shape, dtype) in cases.items()
        if (value.shape, value.dtype) != (shape, np.dtype(dtype))
    ]
    return len(cases), wrong


def leaves_inputs_alone(env: Environment, params: Any, play: Play) -> tuple[int, list[str]]:
    """Nothing is written into the arrays that a caller hands in, numpy's included."""
    key = play.key[0, 0]
    state, action = jax.tree.map(lambda x: np.array(x[0, 0]), (play.state, play.action))
    numbers = jax.tree.map(np.array, params)
    snapshot = {name: np.array(value) for name, value in env.snapshot(state).items()}
    handed = state, action, numbers, snapshot
    calls: Mapping[str, Callable[[], Any]] = {
        "reset": lambda: env.reset(key, numbers),
        "step": lambda: env.step(key, state, action, numbers),
        "restore": lambda: env.restore(snapshot),
    }
    wrong = []
    for name, call in calls.items():
        before = jax.tree.map(np.array, handed)
        jax.block_until_ready(call())
        if not _equal(before, handed):
            wrong.append(f"{name} writes into what it is handed")
    return len(calls) * len(jax.tree.leaves(handed)), wrong


def refuses_bad_input(env: Environment, params: Any, play: Play) -> tuple[int, list[str]]:
    """`step` and `restore` raise ValueError for what is no action, no state and no snapshot."""
    key = play.key[0, 0]
    state, action = jax.tree.map(lambda x: np.array(x[0, 0]), (play.state, play.action))
    space, snapshot = env.action_space(params), env.snapshot(state)
    high = space.n - 1 if isinstance(space, Discrete) else np.asarray(space.high)
    kind = np.float32 if isinstance(space, Discrete) else np.int32

    def step(state: Any = state, action: Any = action) -> Callable[[], Any]:
        return lambda: env.step(key, state, action, params)

    def restore(snapshot: Mapping[str, Any]) -> Callable[[], Any]:
        return lambda: env.restore(snapshot)

    calls = {
        "an action of another type": step(action=action.astype(kind)),
        "a batch of actions": step(action=np.stack([action, action])),
        "a batch of states": step(jax.tree.map(lambda x: np.stack([x, x]), state)),
        "a state of other types": step(jax.tree.map(_retyped, state)),
        "a snapshot for a state": step(snapshot),
        "a snapshot without its fields": restore({}),
        "a snapshot with one field more": restore({**snapshot, "unknown": np.zeros(())}),
        "a snapshot of other types": restore({k: _retyped(v) for k, v in snapshot.items()}),
    }
    if np.isfinite(high).all():
        beyond = np.full(space.shape, high + 1).astype(action.dtype)
        calls["an action outside the space"] = step(action=beyond)
    wrong = []
    for name, call in calls.items():
        try:
            call()
            wrong.append(f"{name} is taken without a word")
        except ValueError:
            pass
        except Exception as error:
            wrong.append(f"{name} raises {type(error).__name__}, expected ValueError")
    return len(calls), wrong


def _retyped(x: Any) -> np.ndarray:
    x = np.asarray(x)
    return x.astype(np.int8 if x.dtype == bool else bool)


CHECKS: Mapping[str, Check] = {
    check.__name__: check
    for check in (
        same_avals,
        strict_types,
        single_equals_batched,
        jit_equals_eager,
        order_independent,
        compiles_once,
        no_host_callback,
        no_index_out_of_bounds,
        no_key_reuse,
        spaces_hold,
        snapshots_restore,
        step_is_its_parts,
        draws_are_all_randomness,
        outcome_types,
        leaves_inputs_alone,
        refuses_bad_input,
    )
}
