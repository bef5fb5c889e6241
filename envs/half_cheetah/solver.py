"""Sparse linear algebra of the tree, and the accelerations under the constraints, on scalars of one
instance.
"""

import functools
import operator
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from .contact import Active, Constraints, add_active_rows, residuals
from .planar import Matrix, Pose, Scalar, Vector

ELIMINATED = (5, 8, 4, 7, 3, 6, 2, 1, 0)
"""From the feet to the torso: a leg's links couple with one another and the torso alone, so that no
entry fills that was zero between the legs."""
COUPLED = {
    5: (4, 3, 2, 1, 0),
    8: (7, 6, 2, 1, 0),
    4: (3, 2, 1, 0),
    7: (6, 2, 1, 0),
    3: (2, 1, 0),
    6: (2, 1, 0),
    2: (1, 0),
    1: (0,),
    0: (),
}
"""What each couples with of those eliminated later."""

MAX_ITERATIONS = 16
"""Where the solver gives up; it has been seen to need 11 at most."""


SAME = 64
"""Accelerations that differ by fewer units in the last place of the largest are the same: of the
order of what the solver's matrix, of condition 100 or so, makes of roundings."""


class Factors(NamedTuple):
    """L^T D L of a matrix: L's entries below the unit diagonal, and 1 / D."""

    lower: Matrix
    inverse: Vector


def factor(matrix: Matrix) -> Factors:
    """Of a positive definite matrix that couples no two legs."""
    rest, lower = dict(matrix), {}
    inverse: Vector = [0.0] * len(ELIMINATED)
    for i in ELIMINATED:
        inverse[i] = 1.0 / rest[i, i]
        for j in COUPLED[i]:
            lower[i, j] = rest[i, j] * inverse[i]
        for place, j in enumerate(COUPLED[i]):
            for k in COUPLED[i][place:]:
                fill = lower[i, j] * rest[i, k]
                rest[j, k] = rest[j, k] - fill if (j, k) in rest else -fill
    return Factors(lower, inverse)


def solve(factors: Factors, right: Sequence[Scalar]) -> Vector:
    """x of matrix x = right."""
    x = list(right)
    for i in ELIMINATED:
        for j in COUPLED[i]:
            x[j] = x[j] - factors.lower[i, j] * x[i]
    x = [value * inverse for value, inverse in zip(x, factors.inverse, strict=True)]
    for i in reversed(ELIMINATED):
        for j in COUPLED[i]:
            x[i] = x[i] - factors.lower[i, j] * x[j]
    return x


Search = tuple[Vector, Active, Array, Array]
"""Accelerations, their active rows, whether those changed, iterations done."""


def constrained_acceleration(
    mass: Matrix, force: Sequence[Scalar], constraints: Constraints, pose: Pose, start: Vector
) -> tuple[Vector, Array]:
    """(accelerations of the links, bool [] whether they are exact).

    They minimise MuJoCo's strictly convex, piecewise quadratic cost, as its Newton solver does:
    full steps, each to the minimum of the piece that the last one led to. Where the active rows
    stay as they were, that is the minimum of all; so it is where the accelerations do, and a row
    that neither pushes nor pulls comes and goes with their rounding. start: accelerations whose
    active rows are tried first.  upstream: mj_solNewton
    """
    same = SAME * float(np.finfo(jnp.result_type(start[0])).eps)

    def active_rows(acc: Vector) -> Active:
        return [row < 0 for row in residuals(constraints, pose, acc)]

    def unsettled(search: Search) -> Array:
        _, _, changed, iterations = search
        return changed & (iterations < MAX_ITERATIONS)

    def improve(search: Search) -> Search:
        before, active, _, iterations = search
        matrix, right = add_active_rows(mass, force, constraints, pose, active)
        acc = solve(factor(matrix), right)
        now = active_rows(acc)
        changed = functools.reduce(operator.or_, map(operator.xor, active, now))
        moved = _largest(a - b for a, b in zip(acc, before, strict=True))
        return acc, now, changed & (moved > same * _largest(acc)), iterations + 1

    active = active_rows(start)
    always, never = jnp.full_like(active[0], True), jnp.zeros_like(start[0], jnp.int32)
    acc, _, changed, _ = lax.while_loop(unsettled, improve, (start, active, always, never))
    return acc, ~changed


def _largest(numbers: Iterable[Scalar]) -> Array:
    return functools.reduce(jnp.maximum, map(jnp.abs, numbers))
