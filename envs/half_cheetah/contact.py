"""What holds the cheetah up and its joints within their limits: 16 spheres against the floor, six
joints against their ranges, on scalars of one instance.

A constraint is a few rows. A row pushes along its direction J with the force D (aref - J a), where
that is positive, and not at all where it is not (a: accelerations). MuJoCo gives each contact a
friction pyramid of four rows, the edges normal +- mu tangent for two tangents. In the plane one
tangent points out of it, and its two edges are the normal itself, twice.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from .model import (
    ANCESTORS,
    CONTACT,
    FRICTION,
    LEGS,
    LIMIT,
    NUM_LINKS,
    OFFSET,
    PARENT,
    RANGES,
    SPHERES,
    Impedance,
)
from .planar import (
    Arrow,
    Matrix,
    Pose,
    Scalar,
    Vector,
    X,
    Z,
    add_between,
    rotate,
    total,
    turn,
)

NEVER = -1e30
"""The reference of rows that are not there: no acceleration is below it, so they never push."""


class Contact(NamedTuple):
    """One sphere against the floor."""

    link: int
    arm: Arrow  # from the link's joint to the point of contact
    dist: Scalar  # of the sphere to the floor, negative where they overlap
    stiffness: Scalar  # D of each of the four rows
    normal: Scalar  # aref of the normal, NEVER where they do not overlap
    tangent: Scalar  # what the edges normal +- mu tangent add to it, and take


class Limit(NamedTuple):
    """The nearer limit of one joint."""

    link: int
    side: Scalar  # 1 at the lower limit, -1 at the upper one: J of the joint's angle
    dist: Scalar  # to the limit, negative beyond it
    stiffness: Scalar  # D
    reference: Scalar  # aref, NEVER within the range


class Constraints(NamedTuple):
    """All that may push, in the order of SPHERES and of RANGES."""

    contacts: list[Contact]
    limits: list[Limit]


Active = Sequence[Array | bool]
"""Which rows push, in the order of `residuals`."""


class Load(NamedTuple):
    """What the active rows do to one link, about its joint: a force that is stiff against
    accelerations (x, z, t: along x, along z, turning)."""

    xx: Scalar
    xz: Scalar
    zz: Scalar
    xt: Scalar
    zt: Scalar
    tt: Scalar
    x: Scalar  # at zero acceleration
    z: Scalar
    t: Scalar


def impedance(kind: Impedance, dist: Scalar) -> Array:
    """How much of its reference a constraint enforces, 0 .. 1, by its depth.  upstream:
    getimpedance"""
    depth = jnp.minimum(jnp.abs(dist) * (1 / kind.width), 1.0)
    rest = 1 - depth
    bend = jnp.where(depth <= 0.5, 2 * depth * depth, 1 - 2 * rest * rest)
    return kind.low + (kind.high - kind.low) * bend


def joint_motions(pose: Pose, rates: Sequence[Scalar]) -> list[Arrow]:
    """How the joints move, or accelerate, with given rates of the links, or their change."""
    x, z, *turns = rates
    motions = [(x, z)]
    for b in LEGS:
        parent_x, parent_z = motions[PARENT[b]]
        offset_x, offset_z = pose.offset[b]
        w = turns[PARENT[b]]
        motions.append((parent_x + w * offset_z, parent_z - w * offset_x))
    return motions


def contacts(pose: Pose, height: Scalar, rates: Sequence[Scalar]) -> list[Contact]:
    """The 16 spheres. height: position z of the torso; rates: of the links.

    upstream: mjc_PlaneCapsule, mj_instantiateContact
    """
    heights = [height + OFFSET[0][1]]
    for b in LEGS:
        heights.append(heights[PARENT[b]] + pose.offset[b][1])
    motions = joint_motions(pose, rates)
    found = []
    for sphere in SPHERES:
        b = sphere.link
        arm_x, center_z = rotate(pose, b, sphere.center)
        dist = heights[b] + center_z - sphere.radius
        # The point of contact is halfway between the floor and the sphere's lowest point.
        arm_z = center_z - sphere.radius - 0.5 * dist
        speed_x = motions[b][0] + rates[turn(b)] * arm_z
        speed_z = motions[b][1] - rates[turn(b)] * arm_x
        strength = impedance(CONTACT, dist)
        normal = -CONTACT.damper * speed_z - CONTACT.spring * strength * dist
        found.append(
            Contact(
                link=b,
                arm=(arm_x, arm_z),
                dist=dist,
                stiffness=strength / ((1 - strength) * sphere.softness),
                normal=jnp.where(dist < 0, normal, NEVER),
                tangent=-CONTACT.damper * FRICTION * speed_x,
            )
        )
    return found


def limits(qpos: Sequence[Scalar], qvel: Sequence[Scalar]) -> list[Limit]:
    """The six joints' nearer limits; no joint is beyond both.  upstream: mj_instantiateLimit"""
    found = []
    for b, (low, high, softness) in zip(LEGS, RANGES, strict=True):
        above, below = qpos[turn(b)] - low, high - qpos[turn(b)]
        side = jnp.where(above < below, 1.0, -1.0)
        dist = jnp.minimum(above, below)
        strength = impedance(LIMIT, dist)
        reference = -LIMIT.damper * side * qvel[turn(b)] - LIMIT.spring * strength * dist
        found.append(
            Limit(
                link=b,
                side=side,
                dist=dist,
                stiffness=strength / ((1 - strength) * softness),
                reference=jnp.where(dist < 0, reference, NEVER),
            )
        )
    return found


def residuals(constraints: Constraints, pose: Pose, acc: Sequence[Scalar]) -> list[Scalar]:
    """J a - aref of each row at given accelerations of the links; where negative, a row pushes.

    Rows: of each contact the edges normal + mu tangent and normal - mu tangent, then the normal,
    which is two of MuJoCo's; then each limit.
    """
    motions = joint_motions(pose, acc)
    rows: list[Scalar] = []
    for c in constraints.contacts:
        t = FRICTION * (motions[c.link][0] + acc[turn(c.link)] * c.arm[1]) - c.tangent
        n = motions[c.link][1] - acc[turn(c.link)] * c.arm[0] - c.normal
        rows += [n + t, n - t, n]
    for limit in constraints.limits:
        bend = acc[turn(limit.link)] - acc[turn(PARENT[limit.link])]
        rows.append(limit.side * bend - limit.reference)
    return rows


def add_active_rows(
    matrix: Matrix, force: Sequence[Scalar], constraints: Constraints, pose: Pose, active: Active
) -> tuple[Matrix, Vector]:
    """(matrix + J^T D J, force + J^T D aref) over the active rows, on link coordinates.

    Like composite inertias, what pushes a link's children is felt at its own joint: 3 x 3 numbers a
    link, whatever the number of contacts.
    """
    loads: list[list[Load]] = [[] for _ in range(NUM_LINKS)]
    for i, contact in enumerate(constraints.contacts):
        loads[contact.link].append(_contact_load(contact, *active[3 * i : 3 * i + 3]))
    matrix, force = dict(matrix), list(force)
    for b in reversed(range(NUM_LINKS)):
        load = Load(*(total(terms) for terms in zip(*loads[b], strict=True)))
        t = turn(b)
        force[t] = force[t] + load.t
        matrix[t, t] = matrix[t, t] + load.tt
        matrix[t, X] = matrix[t, X] + load.xt
        matrix[t, Z] = matrix[t, Z] + load.zt
        for ancestor, child in ANCESTORS[b]:
            x, z = pose.offset[child]
            matrix[t, turn(ancestor)] = matrix[t, turn(ancestor)] + load.xt * z - load.zt * x
        if b:
            loads[PARENT[b]].append(_at_parent(load, pose.offset[b]))
        else:
            force[X], force[Z] = force[X] + load.x, force[Z] + load.z
            matrix[X, X] = matrix[X, X] + load.xx
            matrix[Z, X] = load.xz
            matrix[Z, Z] = matrix[Z, Z] + load.zz
    return _add_limits(matrix, force, constraints.limits, active[3 * len(SPHERES) :])


def _contact_load(
    contact: Contact, plus: Array | bool, minus: Array | bool, normal: Array | bool
) -> Load:
    x, z = contact.arm
    d_plus = jnp.where(plus, contact.stiffness, 0.0)
    d_minus = jnp.where(minus, contact.stiffness, 0.0)
    both, one_way = d_plus + d_minus, FRICTION * (d_plus - d_minus)
    xx, xz = FRICTION**2 * both, one_way
    zz = both + jnp.where(normal, 2 * contact.stiffness, 0.0)
    # A turn moves the point by (z, -x).
    xt, zt = xx * z - xz * x, xz * z - zz * x
    force_x = xz * contact.normal + FRICTION * both * contact.tangent
    force_z = zz * contact.normal + (d_plus - d_minus) * contact.tangent
    turning = z * force_x - x * force_z
    return Load(xx, xz, zz, xt, zt, xt * z - zt * x, force_x, force_z, turning)


def _at_parent(load: Load, offset: Arrow) -> Load:
    """What the parent's joint feels of it; the parent's turn moves the link's joint by (z, -x)."""
    x, z = offset
    xt, zt = load.xx * z - load.xz * x, load.xz * z - load.zz * x
    turning = z * load.x - x * load.z
    return Load(load.xx, load.xz, load.zz, xt, zt, xt * z - zt * x, load.x, load.z, turning)


def _add_limits(
    matrix: Matrix, force: Vector, found: Sequence[Limit], active: Active
) -> tuple[Matrix, Vector]:
    weights: list[Scalar] = [0.0]
    for limit, pushes in zip(found, active, strict=True):
        stiffness = jnp.where(pushes, limit.stiffness, 0.0)
        weights.append(stiffness)
        torque = stiffness * limit.reference * limit.side
        t, parent = turn(limit.link), turn(PARENT[limit.link])
        force[t], force[parent] = force[t] + torque, force[parent] - torque
    return add_between(matrix, weights), force
