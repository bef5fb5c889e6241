"""L1: what each module of envs/half_cheetah promises for every input in its range, in float64.

That the numbers are MuJoCo's is shown by L2 and L3; here is what has to hold whatever they are.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jax import Array

from ...envs.core import Environment
from ...envs.half_cheetah import Draws, Params, State, contact, dynamics, modules, planar, solver
from ...envs.half_cheetah.model import CONTACT, GRAVITY, LIMIT, MASS, TIMESTEP
from ..suite import Property
from .half_cheetah_sides import DEFAULT, OTHER

ROUNDING = 1e-9
"""Of terms of up to 1e4, in a few hundred operations."""


def numbers(size: int, limit: float) -> st.SearchStrategy[np.ndarray]:
    """float64 [size], -limit .. limit, its ends often."""
    one = st.sampled_from([0.0, limit, -limit]) | st.floats(-limit, limit, allow_subnormal=False)
    return arrays(np.float64, size, elements=one)


def placed(height: float) -> st.SearchStrategy[np.ndarray]:
    """qpos: the torso within a metre of a height, any pitch, joints within and beyond limits."""
    scale = np.array([10.0, 1.0, 3.2, *[1.3] * 6])
    return numbers(9, 1.0).map(lambda x: x * scale + np.array([0.0, height, *[0.0] * 7]))


ENDS = st.sampled_from([81, 82, 998, 999, 2**15 - 1, 2**31 - 2])
"""Steps after which an episode may end, or a narrower count would."""


class Case(NamedTuple):
    """The inputs of one step."""

    state: State
    action: Array


def cases(height: float) -> st.SearchStrategy[Case]:
    states = st.builds(
        State,
        qpos=placed(height),
        qvel=numbers(9, 20.0),
        qacc_warmstart=numbers(9, 1e3),
        elapsed_steps=(ENDS | st.integers(0, 1001)).map(np.int32),
    )
    actions = numbers(6, 1.5).map(lambda x: x.astype(np.float32))
    return st.builds(Case, state=states, action=actions)


LOW, HIGH = cases(0.0), cases(5.0)
seeds = st.integers(0, 2**32 - 1).map(np.uint32)
draws = st.builds(Draws, qpos=arrays(np.float64, 9, elements=st.floats(0, 1)), qvel=numbers(9, 6))


def near(a: Any, b: Any, scale: Any = 1.0) -> Array:
    return jnp.all(jnp.abs(a - b) <= ROUNDING * scale)


def seen(case: Case) -> dict[str, Array]:
    state = case.state
    action = case.action.astype(state.qpos.dtype)
    return modules.modules(state.qpos, state.qvel, state.qacc_warmstart, action)


def mass_of(case: Case) -> tuple[planar.Pose, planar.Matrix]:
    pose = planar.kinematics(list(case.state.qpos))
    return pose, planar.mass_matrix(pose)


def times(matrix: planar.Matrix, x: Any) -> Array:
    """The product with a vector, float64 [9]."""
    rows: list[Any] = [0.0] * len(x)
    for (i, j), value in matrix.items():
        rows[i] = rows[i] + value * x[j]
        if i != j:
            rows[j] = rows[j] + value * x[i]
    return jnp.stack(rows)


def snapshot_is_lossless(env: Environment, params: Params, case: Case) -> Array:
    again, state = env.restore(env.snapshot(case.state)), case.state
    same = [jnp.all(getattr(again, n) == getattr(state, n)) for n in env.snapshot(state)]
    return jnp.stack(same).all()


def links_and_joints_are_inverse(env: Environment, params: Params, case: Case) -> Array:
    joints = list(case.state.qvel)
    return near(jnp.stack(planar.to_joints(planar.to_links(joints))), case.state.qvel)


def moving_takes_energy(env: Environment, params: Params, case: Case) -> Array:
    """The mass matrix is positive definite: so are all its pivots."""
    factors = solver.factor(mass_of(case)[1])
    return jnp.stack([jnp.asarray(pivot) > 0 for pivot in factors.inverse]).all()


def solutions_solve(env: Environment, params: Params, case: Case) -> Array:
    _, mass = mass_of(case)
    right = list(case.state.qacc_warmstart)
    back = times(mass, solver.solve(solver.factor(mass), right))
    return near(back, case.state.qacc_warmstart, 1e3)


def at_rest_there_is_only_weight(env: Environment, params: Params, case: Case) -> Array:
    """It acts on z and on the turns, never along x."""
    pose, _ = mass_of(case)
    still = planar.bias(pose, [jnp.zeros_like(v) for v in case.state.qvel])
    return near(still[0], 0.0) & near(jnp.asarray(still[1]), GRAVITY * MASS)


def impedance_rises_with_depth(env: Environment, params: Params, case: Case) -> Array:
    shallow, deep = jnp.sort(jnp.abs(case.state.qpos[3:5]) / 20)
    held = []
    for kind in (CONTACT, LIMIT):
        low, high = contact.impedance(kind, -shallow), contact.impedance(kind, -deep)
        held += [low <= high, low >= kind.low, high <= kind.high]
    return jnp.stack(held).all()


def contacts_push_and_never_pull(env: Environment, params: Params, case: Case) -> Array:
    """Only what touches the floor, or is beyond its limit, pushes."""
    found = seen(case)
    there = found["efc_D"] > 0
    return jnp.all(found["efc_force"] >= 0) & jnp.all(there | (found["efc_force"] == 0))


def forces_balance(env: Environment, params: Params, case: Case) -> Array:
    """M a = smooth forces + constraints', the latter summed over rows: the solver's minimum."""
    found = seen(case)
    q, v = list(case.state.qpos), list(case.state.qvel)
    pose, _ = mass_of(case)
    smooth = planar.smooth_force(pose, q, v, dynamics.clamp(list(case.action.astype(q[0].dtype))))
    on_joints = modules.LINKS_OF_JOINTS.T @ jnp.stack(smooth)
    left = found["mass_matrix"] @ found["qacc"]
    size = jnp.max(jnp.abs(found["qfrc_constraint"])) + jnp.max(jnp.abs(on_joints)) + 1
    return near(left, on_joints + found["qfrc_constraint"], size)


def in_the_air_only_weight_and_motion_push(env: Environment, params: Params, case: Case) -> Array:
    """M (v' - v) along x and z is what the bias forces give, motors and springs or not."""
    after, _ = env.transition(case.state, case.action, None, params)
    pose, mass = mass_of(case)
    bias = planar.bias(pose, planar.to_links(list(case.state.qvel)))
    change = times(mass, planar.to_links(list(after.qvel - case.state.qvel)))
    return near(change[:2], -TIMESTEP * jnp.stack(bias[:2]), 1e3)


def positions_follow_the_new_speeds(env: Environment, params: Params, case: Case) -> Array:
    after, _ = env.transition(case.state, case.action, None, params)
    return near(after.qpos, case.state.qpos + TIMESTEP * after.qvel)


def motors_take_no_more_than_1(env: Environment, params: Params, case: Case) -> Array:
    """Beyond, only the reward changes."""
    after, outcome = env.transition(case.state, case.action, None, params)
    clipped = jnp.clip(case.action, -1, 1)
    same, cheaper = env.transition(case.state, clipped, None, params)
    given, taken = (x.astype(after.qpos.dtype) for x in (case.action, clipped))
    more = jnp.sum(jnp.square(given) - jnp.square(taken))
    # Rewards are float32 of up to 100.
    saved = (cheaper.reward - outcome.reward).astype(more.dtype)
    paid = jnp.abs(saved - params.ctrl_cost_weight * more) <= 1e-5
    return near(after.qpos, same.qpos) & near(after.qvel, same.qvel) & paid


def one_nan_switches_all_motors_off(env: Environment, params: Params, case: Case) -> Array:
    which = jnp.arange(case.action.size) == case.state.elapsed_steps % case.action.size
    return jnp.all(jnp.stack(dynamics.clamp(list(jnp.where(which, jnp.nan, case.action)))) == 0)


def time_alone_ends_episodes(env: Environment, params: Params, case: Case) -> Array:
    after, outcome = env.transition(case.state, case.action, None, params)
    counted = after.elapsed_steps == case.state.elapsed_steps + 1
    ended = env.is_truncated(after, params) == (after.elapsed_steps >= params.max_episode_steps)
    return counted & ended & ~outcome.terminated


def info_is_of_this_step(env: Environment, params: Params, case: Case) -> Array:
    after, outcome = env.transition(case.state, case.action, None, params)
    info = outcome.info
    way = after.qpos[0] - case.state.qpos[0]
    earned = params.forward_reward_weight * info["x_velocity"]
    paid = -params.ctrl_cost_weight * jnp.sum(jnp.square(case.action)).astype(way.dtype)
    told = (info["reward_forward"] + info["reward_ctrl"]).astype(outcome.reward.dtype)
    return (
        (info["x_position"] == after.qpos[0])
        & near(TIMESTEP * info["x_velocity"], way)
        & near(info["reward_forward"], earned, 100)
        & (jnp.abs(info["reward_ctrl"] - paid) <= 1e-6 * -paid)  # squares of float32
        & (told == outcome.reward)
        & (info["solver_failures"] == 0)
    )


def resets_draw_numbers_of_their_own(env: Environment, params: Params, seed: Array) -> Array:
    """Nine of each kind, with all their bits, and the normal ones no image of the uniform ones."""
    drawn = env.sample_reset_draws(jax.random.key(seed), params)
    if drawn.qpos.shape != (9,) or drawn.qvel.shape != (9,):
        return jnp.zeros((), bool)
    image = jax.scipy.special.erf(drawn.qvel / np.sqrt(2))
    return (
        jnp.all((drawn.qpos >= 0) & (drawn.qpos < 1))
        & jnp.any(drawn.qpos.astype(jnp.float32) != drawn.qpos)
        & jnp.any(drawn.qvel.astype(jnp.float32) != drawn.qvel)
        & jnp.any(jnp.abs(image - (2 * drawn.qpos - 1)) > 0.01)
    )


def episodes_start_near_rest(env: Environment, params: Params, drawn: Draws) -> Array:
    state = env.initial(drawn, params)
    scale = params.reset_noise_scale
    inside = jnp.all(jnp.abs(state.qpos) <= scale)
    return inside & near(state.qvel, scale * drawn.qvel) & (state.elapsed_steps == 0)


def views_are_the_state(env: Environment, params: Params, case: Case) -> Array:
    view = env.observe(case.state, params)
    skipped = 18 - view.size
    shown = jnp.concatenate([case.state.qpos[skipped:], case.state.qvel])
    return jnp.all(view == shown)


def _property(holds: Callable[..., Array], module: str, inputs: Any, variant: Any = DEFAULT) -> Any:
    return Property(f"{holds.__name__}, {variant.name}", module, variant, inputs, holds)


_stepped = functools.partial(_property, variant=OTHER)  # of one physics step

PROPERTIES = (
    _property(snapshot_is_lossless, "core.restore", LOW),
    _property(links_and_joints_are_inverse, "planar.to_links", LOW),
    _property(moving_takes_energy, "planar.mass_matrix", LOW),
    _property(solutions_solve, "solver.factor, solver.solve", LOW),
    _property(at_rest_there_is_only_weight, "planar.bias", LOW),
    _property(impedance_rises_with_depth, "contact.impedance", LOW),
    _property(contacts_push_and_never_pull, "contact.residuals", LOW),
    _property(forces_balance, "solver.constrained_acceleration", LOW),
    _stepped(in_the_air_only_weight_and_motion_push, "dynamics.physics_step", HIGH),
    _stepped(positions_follow_the_new_speeds, "dynamics.physics_step", LOW),
    _stepped(motors_take_no_more_than_1, "dynamics.clamp", LOW),
    _property(one_nan_switches_all_motors_off, "dynamics.clamp", LOW),
    _stepped(time_alone_ends_episodes, "is_truncated", LOW),
    _stepped(info_is_of_this_step, "transition", LOW),
    _property(resets_draw_numbers_of_their_own, "draws.sample_reset_draws", seeds),
    _property(episodes_start_near_rest, "initial", draws),
    _property(views_are_the_state, "observe", LOW),
    _stepped(views_are_the_state, "observe", LOW),
)
