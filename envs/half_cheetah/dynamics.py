"""HalfCheetah's physics step and what an environment step makes of it, in MuJoCo's order
(engine_forward.c: mj_step with the Euler integrator), on scalars of one instance.
"""

import functools
import operator
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from ..rounding import divide, rounded
from . import contact, planar, solver
from .model import DAMPING, GRAVITY, LEGS, TIMESTEP
from .planar import Scalar, Vector
from .state import Params

MAX_VALUE = 1e10
"""Beyond it a number is as bad as NaN.  upstream: mjMAXVAL"""

FALL = (0.0, -GRAVITY, *[0.0] * 7)
"""Accelerations of the joints at qpos = qvel = ctrl = 0, where nothing touches anything."""


class Body(NamedTuple):
    """What a physics step moves, by joint."""

    qpos: Vector
    qvel: Vector
    qacc: Vector  # without the damping's implicit part; the next solver's warm start
    ctrl: Vector  # of the motors, within -1 .. 1
    advance: Array  # of x since the environment step began


class Solution(NamedTuple):
    """The forward dynamics of one state, on link coordinates."""

    pose: planar.Pose
    mass: planar.Matrix
    constraints: contact.Constraints
    acc: Vector
    exact: Array  # bool


def forward(
    qpos: Sequence[Scalar], qvel: Sequence[Scalar], start: Sequence[Scalar], ctrl: Sequence[Scalar]
) -> Solution:
    """Accelerations from a state.  upstream: mj_forward

    start: accelerations of the joints that the solver starts from.
    """
    pose = planar.kinematics(qpos)
    mass = planar.mass_matrix(pose)
    force = planar.smooth_force(pose, qpos, qvel, ctrl)
    constraints = contact.Constraints(
        contact.contacts(pose, qpos[1], planar.to_links(qvel)), contact.limits(qpos, qvel)
    )
    acc, exact = solver.constrained_acceleration(
        mass, force, constraints, pose, planar.to_links(start)
    )
    return Solution(pose, mass, constraints, acc, exact)


def damped(mass: planar.Matrix, acc: Sequence[Scalar]) -> Vector:
    """Accelerations of the joints once their dampers act on the velocities after the step.

    upstream: mj_EulerSkip, which solves (M + h B) a' = f for all forces f. At the solver's minimum
    they are M a, so a' = a - (M + h B)^-1 h B a: in float32 small changes keep their digits.
    """
    weights = [TIMESTEP * damping for damping in DAMPING]
    joints = planar.to_joints(acc)
    drag = [0.0, *(-weights[b] * joints[planar.turn(b)] for b in LEGS)]
    force = planar.add_torques([0.0] * 9, drag)
    change = solver.solve(solver.factor(planar.add_between(mass, weights)), force)
    return [a + d for a, d in zip(joints, planar.to_joints(change), strict=True)]


def physics_step(body: Body) -> tuple[Body, Array]:
    """(the body 0.01 s later, bool [] whether the solver settled).  upstream: mj_step"""
    body = _reset_where(_is_bad(*body.qpos, *body.qvel), body)
    solution = forward(body.qpos, body.qvel, body.qacc, body.ctrl)
    qacc = planar.to_joints(solution.acc)
    final = damped(solution.mass, solution.acc)
    bad = _is_bad(*qacc)
    body = _reset_where(bad, body)
    # From rest in the air, all that upstream does after such a reset is to fall.
    qacc = _where(bad, FALL, qacc)
    final = _where(bad, FALL, final)
    qvel = [v + TIMESTEP * a for v, a in zip(body.qvel, final, strict=True)]
    qpos = [q + TIMESTEP * v for q, v in zip(body.qpos, qvel, strict=True)]
    advance = body.advance + TIMESTEP * qvel[0]
    return Body(qpos, qvel, qacc, body.ctrl, advance), solution.exact | bad


def clamp(action: Sequence[Scalar]) -> Vector:
    """Controls of the motors, all zero where one is NaN.  upstream: mj_fwdActuation"""
    nan = functools.reduce(operator.or_, [a != a for a in action])
    return [jnp.where(nan, 0.0, jnp.minimum(jnp.maximum(a, -1.0), 1.0)) for a in action]


def _is_bad(*numbers: Scalar) -> Array:
    """upstream: mju_isBad; a NaN is no less than anything."""
    return ~(functools.reduce(jnp.maximum, map(jnp.abs, numbers)) <= MAX_VALUE)


def _where(condition: Array, then: Sequence[Scalar], otherwise: Sequence[Scalar]) -> Vector:
    return [jnp.where(condition, a, b) for a, b in zip(then, otherwise, strict=True)]


def _reset_where(bad: Array, body: Body) -> Body:
    """The body at rest where `bad`, motors off.  upstream: mj_resetData"""
    zeros = [0.0] * 9
    return Body(
        qpos=_where(bad, zeros, body.qpos),
        qvel=_where(bad, zeros, body.qvel),
        qacc=_where(bad, zeros, body.qacc),
        ctrl=_where(bad, zeros[:6], body.ctrl),
        advance=jnp.where(bad, body.advance - body.qpos[0], body.advance),
    )


def steps(
    qpos: Array,
    qvel: Array,
    qacc: Array,
    action: Array,
    *,
    count: int,
    step: Callable[[Body], tuple[Body, Array]] = physics_step,
) -> tuple[Array, Array, Array, Array, Array]:
    """`count` physics steps.  upstream: do_simulation

    qpos, qvel, qacc: float [9], qacc being where the solver starts; action: float [6]. Returns the
    three after the steps, the way in x float [], and how many steps the solver did not settle,
    int32 [].
    """

    def advance(_: Array, carry: tuple[Body, Array]) -> tuple[Body, Array]:
        body, failures = carry
        body, exact = step(body)
        return body, failures + (~exact).astype(jnp.int32)

    still = jnp.zeros_like(qpos[0])
    body = Body(list(qpos), list(qvel), list(qacc), clamp(list(action)), still)
    none = jnp.zeros_like(still, jnp.int32)
    body, failures = lax.fori_loop(0, count, advance, (body, none))
    qpos, qvel, qacc = map(jnp.stack, body[:3])
    return qpos, qvel, qacc, body.advance, failures


def rewards(
    advance: Array, action: Array, count: int, params: Params
) -> tuple[Array, Array, Array]:
    """Velocity along x over `count` physics steps, the reward for it, and minus the cost of the
    action, unclamped; float [] each. As NumPy does it, the cost is computed in the precision in
    which the action is given.  upstream: control_cost, _get_rew
    """
    x_velocity = divide(advance, jnp.asarray(count * TIMESTEP, advance.dtype))
    forward = rounded(params.forward_reward_weight * x_velocity)
    squares = planar.total(rounded(a * a) for a in action)
    cost = rounded(params.ctrl_cost_weight.astype(action.dtype) * squares)
    return x_velocity, forward, -cost.astype(advance.dtype)
