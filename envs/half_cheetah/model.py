"""The planar cheetah: what the equations need, derived from the compiled model.

Links are numbered 0..6: torso, back thigh, shin, foot, front thigh, shin, foot; link b is body
b + 1 of MuJoCo's, and its joint (of the torso: its origin) is the body's own origin. Points and
moments are (x, z) in a link's own axes: x forward, z up. Angles turn about +y, which takes x to
-z: positive pitches the nose down.
"""

import math
from typing import NamedTuple

from . import tables

Point = tuple[float, float]

NUM_LINKS = 7
PARENT = (-1, 0, 1, 2, 0, 4, 5)
"""Parent link of each link; the torso has none."""
LEGS = range(1, NUM_LINKS)
"""The links that hang on a joint with a motor, a spring, a damper and limits: joint b + 2."""

TIMESTEP = tables.TIMESTEP
GRAVITY = -tables.GRAVITY[2]


def _y_turn(quaternion: tuple[float, ...]) -> Point:
    """Where a turn takes the z axis, (x, z).  upstream: mju_quat2Mat"""
    w, x, y, z = quaternion
    return 2 * (x * z + w * y), w * w - x * x - y * y + z * z


def _inertia_about_y(body: int) -> float:
    """Of a body about its centre of mass: the sum of its principal inertias times the squares of
    the y components of their axes."""
    w, x, y, z = tables.BODY_IQUAT[body]
    axes = (2 * (x * y + w * z), w * w - x * x + y * y - z * z, 2 * (y * z - w * x))
    return math.fsum(i * axis**2 for i, axis in zip(tables.BODY_INERTIA[body], axes, strict=True))


def _subtree_masses() -> tuple[float, ...]:
    masses = list(tables.BODY_MASS[1:])
    for b in reversed(LEGS):
        masses[PARENT[b]] += masses[b]
    return tuple(masses)


def _augmented() -> tuple[tuple[Point, ...], tuple[float, ...]]:
    """First moments and inertias of the links about their joints, what hangs on a link counted as a
    point mass at its joint: a_b = m c + sum(M_child p_child), J_b = I + m c^2 + sum(M_child
    p_child^2)."""
    moments, inertias = [], []
    for b in range(NUM_LINKS):
        x, _, z = tables.BODY_IPOS[b + 1]
        points = [(tables.BODY_MASS[b + 1], x, z)]
        points += [(SUBTREE_MASS[c], *OFFSET[c]) for c in LEGS if PARENT[c] == b]
        moments.append(
            (math.fsum(m * x for m, x, _ in points), math.fsum(m * z for m, _, z in points))
        )
        inertias.append(
            math.fsum([_inertia_about_y(b + 1), *(m * (x * x + z * z) for m, x, z in points)])
        )
    return tuple(moments), tuple(inertias)


OFFSET: tuple[Point, ...] = tuple((x, z) for x, _, z in tables.BODY_POS[1:])
"""From the parent's joint to the link's, in the parent's axes; of the torso where x = z = 0."""
SUBTREE_MASS = _subtree_masses()
MASS = SUBTREE_MASS[0]
MOMENT, INERTIA = _augmented()

ANCESTORS: tuple[tuple[tuple[int, int], ...], ...] = (
    (),
    ((0, 1),),
    ((1, 2), (0, 1)),
    ((2, 3), (1, 2), (0, 1)),
    ((0, 4),),
    ((4, 5), (0, 4)),
    ((5, 6), (4, 5), (0, 4)),
)
"""Of each link, nearest first: (ancestor, the ancestor's child on the way to the link)."""

ARMATURE = tables.DOF_ARMATURE[2:]
DAMPING = tables.DOF_DAMPING[2:]
STIFFNESS = tables.JNT_STIFFNESS[2:]
GEAR = (0.0, *(gear[0] for gear in tables.ACTUATOR_GEAR))
"""Of each link's joint; the torso's has none of the four."""


class Impedance(NamedTuple):
    """How hard a constraint is at its depth, and what it strives for.  upstream: getimpedance,
    getKBIP, with midpoint 0.5 and power 2."""

    low: float  # at depth 0
    high: float  # from depth `width` on
    width: float
    spring: float  # K, 1/s^2
    damper: float  # B, 1/s


def _impedance(solref: tuple[float, ...], solimp: tuple[float, ...]) -> Impedance:
    time = max(solref[0], 2 * TIMESTEP)  # mjDSBL_REFSAFE is not set
    low, high = (min(max(d, 1e-4), 0.9999) for d in solimp[:2])  # mjMINIMP, mjMAXIMP
    return Impedance(
        low=low,
        high=high,
        width=solimp[2],
        spring=1 / (high * time * solref[1]) ** 2,
        damper=2 / (high * time),
    )


FRICTION = tables.GEOM_FRICTION[1][0]
CONTACT = _impedance(tables.GEOM_SOLREF[1], tables.GEOM_SOLIMP[1])
LIMIT = _impedance(tables.JNT_SOLREF[3], tables.JNT_SOLIMP[3])


class Sphere(NamedTuple):
    """One end of a capsule, all that touches the floor."""

    link: int
    center: Point
    radius: float
    softness: float
    """R of a row of the friction pyramid at (1 - impedance) / impedance = 1: the inverse weight of
    the body, (1 + mu^2) for the edge's length, 2 mu^2 for the pyramid.  upstream:
    mj_diagApprox, mj_makeImpedance"""


def _spheres() -> tuple[Sphere, ...]:
    spheres = []
    for geom in range(1, len(tables.GEOM_BODYID)):
        body = tables.GEOM_BODYID[geom]
        radius, half_length, _ = tables.GEOM_SIZE[geom]
        x, _, z = tables.GEOM_POS[geom]
        axis_x, axis_z = _y_turn(tables.GEOM_QUAT[geom])
        pyramid = (1 + FRICTION**2) * 2 * FRICTION**2
        for way in (half_length, -half_length):
            center = (x + way * axis_x, z + way * axis_z)
            softness = tables.BODY_INVWEIGHT0[body][0] * pyramid
            spheres.append(Sphere(body - 1, center, radius, softness))
    return tuple(spheres)


SPHERES = _spheres()
"""In the order of the geoms, the end at +half-length along the capsule's axis first."""


class Range(NamedTuple):
    """The limits of one joint."""

    low: float
    high: float
    softness: float  # R at (1 - impedance) / impedance = 1


RANGES = tuple(Range(*tables.JNT_RANGE[b + 2], softness=tables.DOF_INVWEIGHT0[b + 2]) for b in LEGS)
"""Of the joints of LEGS."""
