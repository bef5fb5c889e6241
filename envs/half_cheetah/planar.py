"""Kinematics, mass matrix and forces of a tree of links in the plane, on scalars of one instance.

The equations hold in *link coordinates*: velocities are those of the torso's origin and the
absolute turning speed of each link, (vx, vz, w0 .. w6). There the mass matrix depends on the angle
between two links alone, and there are no Coriolis terms but the centrifugal ones. MuJoCo's joint
coordinates take a link's turn relative to its parent; `to_links` and `to_joints` go between.

Vectors are lists of nine scalars; a symmetric matrix is a dict of its entries (i, j), j <= i, that
are not zero throughout. Scalars are float arrays, of shape [] for one instance, or Python's floats
where the model alone decides.
"""

import functools
import operator
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from .model import (
    ANCESTORS,
    ARMATURE,
    DAMPING,
    GEAR,
    GRAVITY,
    INERTIA,
    LEGS,
    MASS,
    MOMENT,
    NUM_LINKS,
    OFFSET,
    PARENT,
    STIFFNESS,
    Point,
)

Scalar = Array | float
Vector = list[Scalar]
Matrix = dict[tuple[int, int], Scalar]
Arrow = tuple[Scalar, Scalar]  # (x, z)

X, Z = 0, 1


def turn(link: int) -> int:
    """The index of a link's turn in a vector."""
    return link + 2


class Pose(NamedTuple):
    """How the links are turned; arrows in the world's axes."""

    cos: list[Scalar]
    sin: list[Scalar]
    offset: list[Arrow]  # from the parent's joint to the link's; of the torso zero
    moment: list[Arrow]  # MOMENT


def total(terms: Iterable[Scalar]) -> Scalar:
    """Their sum, of one term at least."""
    return functools.reduce(operator.add, terms)


def to_links(joints: Sequence[Scalar]) -> Vector:
    """Joint coordinates, positions or rates, as link coordinates."""
    links = list(joints)
    for b in LEGS:
        links[turn(b)] = links[turn(PARENT[b])] + links[turn(b)]
    return links


def to_joints(links: Sequence[Scalar]) -> Vector:
    """The inverse of `to_links`."""
    return [*links[:3], *(links[turn(b)] - links[turn(PARENT[b])] for b in LEGS)]


def rotate(pose: Pose, link: int, point: Point) -> Arrow:
    """A point in the link's axes, from its joint, in the world's axes."""
    return _rotate(pose.cos[link], pose.sin[link], point)


def _rotate(cos: Scalar, sin: Scalar, point: Point) -> Arrow:
    x, z = point
    if z == 0:
        return x * cos, -x * sin
    return x * cos + z * sin, z * cos - x * sin


def kinematics(qpos: Sequence[Scalar]) -> Pose:
    """qpos: joint positions."""
    angles = to_links(qpos)[2:]
    cos: list[Scalar] = [jnp.cos(angle) for angle in angles]
    sin: list[Scalar] = [jnp.sin(angle) for angle in angles]
    return Pose(
        cos=cos,
        sin=sin,
        offset=[(0.0, 0.0), *(_rotate(cos[PARENT[b]], sin[PARENT[b]], OFFSET[b]) for b in LEGS)],
        moment=[_rotate(cos[b], sin[b], MOMENT[b]) for b in range(NUM_LINKS)],
    )


def mass_matrix(pose: Pose) -> Matrix:
    """On link coordinates, the motors' armature included."""
    m: Matrix = {(X, X): MASS, (Z, Z): MASS}
    for b in range(NUM_LINKS):
        x, z = pose.moment[b]
        m[turn(b), X], m[turn(b), Z], m[turn(b), turn(b)] = z, -x, INERTIA[b]
        for ancestor, child in ANCESTORS[b]:
            offset_x, offset_z = pose.offset[child]
            m[turn(b), turn(ancestor)] = offset_x * x + offset_z * z
    return add_between(m, ARMATURE)


def add_between(matrix: Matrix, weights: Sequence[Scalar]) -> Matrix:
    """The matrix with `weights[b] * (w_b - w_parent)^2 / 2` added to its quadratic form, for the
    joints of LEGS."""
    m = dict(matrix)
    for b in LEGS:
        i, j = turn(b), turn(PARENT[b])
        m[i, i] = m[i, i] + weights[b]
        m[j, j] = m[j, j] + weights[b]
        m[i, j] = m[i, j] - weights[b]
    return m


def bias(pose: Pose, rates: Sequence[Scalar]) -> Vector:
    """Centrifugal forces and weight as they stand on the left side of the equations of motion, on
    link coordinates.  upstream: qfrc_bias

    rates: link rates.
    """
    square = [w * w for w in rates[2:]]
    x_terms: list[Scalar] = []
    z_terms: list[Scalar] = [GRAVITY * MASS]
    turns: list[list[Scalar]] = [[] for _ in range(NUM_LINKS)]
    for b in range(NUM_LINKS):
        x, z = pose.moment[b]
        x_terms.append(-(square[b] * x))
        z_terms.append(-(square[b] * z))
        turns[b].append(-GRAVITY * x)
        for ancestor, child in ANCESTORS[b]:
            offset_x, offset_z = pose.offset[child]
            cross = offset_z * x - offset_x * z
            turns[ancestor].append(-(square[b] * cross))
            turns[b].append(square[ancestor] * cross)
    return [total(x_terms), total(z_terms), *map(total, turns)]


def joint_torques(
    qpos: Sequence[Scalar], qvel: Sequence[Scalar], ctrl: Sequence[Scalar]
) -> list[Scalar]:
    """Torque of the motor, the spring and the damper at each link's joint, N m; none at the torso.

    upstream: qfrc_actuator + qfrc_passive
    """
    torques: list[Scalar] = [0.0]
    for b in LEGS:
        q, v = qpos[turn(b)], qvel[turn(b)]
        torques.append(GEAR[b] * ctrl[b - 1] - STIFFNESS[b] * q - DAMPING[b] * v)
    return torques


def smooth_force(
    pose: Pose, qpos: Sequence[Scalar], qvel: Sequence[Scalar], ctrl: Sequence[Scalar]
) -> Vector:
    """All forces but those of the constraints, on link coordinates.  upstream: qfrc_smooth"""
    force = [-f for f in bias(pose, to_links(qvel))]
    return add_torques(force, joint_torques(qpos, qvel, ctrl))


def add_torques(force: Sequence[Scalar], torques: Sequence[Scalar]) -> Vector:
    """The force with a torque at each joint of LEGS added, which turns its link, and the parent the
    other way."""
    added = list(force)
    for b in LEGS:
        added[turn(b)] = added[turn(b)] + torques[b]
        added[turn(PARENT[b])] = added[turn(PARENT[b])] - torques[b]
    return added
