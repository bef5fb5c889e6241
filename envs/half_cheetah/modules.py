"""What the physics goes through on its way, by MuJoCo's names: to be compared one by one."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array

from . import contact, dynamics, planar
from .kernel import SEGMENT_SIZE
from .planar import Matrix, Scalar
from .segments import once, segmented

NUM_JOINTS = 9
LINKS_OF_JOINTS = np.array([planar.to_links(unit) for unit in np.eye(NUM_JOINTS).tolist()]).T
"""[9, 9] joint rates -> link rates."""


def modules(qpos: Array, qvel: Array, qacc_warmstart: Array, ctrl: Array) -> dict[str, Array]:
    """What `mj_forward` computes of a state, in joint coordinates.

    qpos, qvel, qacc_warmstart: float [9]; ctrl: float [6], clamped here. All float:
    mass_matrix [9, 9], qfrc_bias [9]; contact_dist [16], in the order of model.SPHERES, 0 where
    nothing touches; efc_aref, efc_D and efc_force [70], of each sphere in turn the edges normal
    + mu x, normal - mu x, normal + mu y, normal - mu y, then the six limits, 0 where a row is not
    there; qacc [9], the solver's; qfrc_constraint [9].
    """
    args = qpos, qvel, qacc_warmstart, ctrl
    return once(lambda taken: segmented(computed, taken, SEGMENT_SIZE)(*args))


def computed(qpos: Array, qvel: Array, qacc_warmstart: Array, ctrl: Array) -> dict[str, Array]:
    """`modules` in one piece."""
    q, v, start = list(qpos), list(qvel), list(qacc_warmstart)
    solution = dynamics.forward(q, v, start, dynamics.clamp(list(ctrl)))
    pose, constraints = solution.pose, solution.constraints
    touching = [c.dist < 0 for c in constraints.contacts]
    beyond = [limit.dist < 0 for limit in constraints.limits]
    residuals = contact.residuals(constraints, pose, solution.acc)

    aref: list[Scalar] = []
    stiffness: list[Scalar] = []
    force: list[Scalar] = []
    for i, c in enumerate(constraints.contacts):
        plus, minus, normal = residuals[3 * i : 3 * i + 3]
        aref += [c.normal + c.tangent, c.normal - c.tangent, c.normal, c.normal]
        stiffness += [c.stiffness] * 4
        force += [-c.stiffness * jnp.minimum(row, 0.0) for row in (plus, minus, normal, normal)]
    for limit, row in zip(constraints.limits, residuals[3 * len(touching) :], strict=True):
        aref.append(limit.reference)
        stiffness.append(limit.stiffness)
        force.append(-limit.stiffness * jnp.minimum(row, 0.0))
    there = jnp.stack([c for c in touching for _ in range(4)] + beyond)

    # As the solver has them: what the active rows add on both sides of its equations.
    active = [row < 0 for row in residuals]
    nothing: Matrix = dict.fromkeys(solution.mass, 0.0)
    added, pushed = contact.add_active_rows(nothing, [0.0] * NUM_JOINTS, constraints, pose, active)
    like = qpos.dtype
    to_links = jnp.asarray(LINKS_OF_JOINTS, like)
    on_links = _vector(pushed, like) - _dense(added, like) @ _vector(solution.acc, like)
    bias = _vector(planar.bias(pose, planar.to_links(v)), like)
    return {
        "mass_matrix": to_links.T @ _dense(solution.mass, like) @ to_links,
        "qfrc_bias": to_links.T @ bias,
        "contact_dist": _vector([jnp.minimum(c.dist, 0.0) for c in constraints.contacts], like),
        "efc_aref": jnp.where(there, _vector(aref, like), 0.0),
        "efc_D": jnp.where(there, _vector(stiffness, like), 0.0),
        "efc_force": jnp.where(there, _vector(force, like), 0.0),
        "qacc": _vector(planar.to_joints(solution.acc), like),
        "qfrc_constraint": to_links.T @ on_links,
    }


def _vector(values: Sequence[Scalar], dtype: np.dtype) -> Array:
    return jnp.stack([jnp.asarray(value, dtype) for value in values])


def _dense(matrix: Matrix, dtype: np.dtype) -> Array:
    rows = [[matrix.get((max(i, j), min(i, j)), 0.0) for j in range(9)] for i in range(9)]
    return jnp.stack([_vector(row, dtype) for row in rows])
