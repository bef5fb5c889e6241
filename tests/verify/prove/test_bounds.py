"""What ranges decide is what is so at every point within them."""

import jax
import numpy as np
import pytest

z3 = pytest.importorskip("z3")

from simlift.verify.prove import Inputs, Layout, jaxpr, solver, terms  # noqa: E402
from simlift.verify.prove.bounds import postorder  # noqa: E402
from simlift.verify.prove.environments import Prover, parts  # noqa: E402
from simlift.verify.prove.equivalence import Side  # noqa: E402
from simlift.verify.prove.points import sampled  # noqa: E402
from simlift.verify.suites import get_suite  # noqa: E402

SUITE = get_suite("pong")


@pytest.fixture(scope="module", params=[0, 4], ids=lambda i: SUITE.variants[i].name)
def step(request: pytest.FixtureRequest) -> Side:
    variant = SUITE.variants[request.param]
    env, params = SUITE.environment(variant)
    part = parts(env, Layout(env, params))["step"]
    return Side(part, Prover(SUITE).inputs(variant))


def evaluated(inputs: Inputs, side: Side) -> tuple[solver.Unknowns, dict[str, np.ndarray]]:
    unknowns = solver.Unknowns(inputs)
    given = [unknowns.terms[name] for name in sorted(inputs.shapes)]
    results = jaxpr.evaluate(side.program, given)
    return unknowns, dict(zip(sorted(side.results), results, strict=True))


def size(term: z3.ExprRef) -> int:
    """The number of different subterms."""
    return sum(1 for _ in postorder(term, {}))


def test_decided_terms_are_what_is_executed(step: Side) -> None:
    inputs = step.inputs
    unknowns, results = evaluated(inputs, step)
    points = sampled(inputs, np.random.default_rng(5), [0.01], 60)
    executed = jax.device_get(step.batch(points))
    entries = [x for array in results.values() for x in array.reshape(-1)]
    decided = [unknowns.ranges.decided(x) for x in entries]
    assert sum(map(size, decided)) < sum(map(size, entries))
    bundle = z3.Function("bundle", *(x.sort() for x in decided), z3.BoolSort())(*decided)
    for i, at in enumerate(unknowns.assignments(points, 25)):
        values = iter(z3.simplify(z3.substitute(bundle, *at)).children())
        for name, array in results.items():
            expected = executed[name][i]
            for want in expected.reshape(-1):
                got = terms.number(next(values), expected.dtype)
                assert got == want, (name, got, want)
            assert array.shape == expected.shape


def test_bounds_hold_at_every_point(step: Side) -> None:
    unknowns, results = evaluated(step.inputs, step)
    executed = step.batch(sampled(step.inputs, np.random.default_rng(6), [0.01], 2000))
    looked_at = 0
    for name, array in results.items():
        for term, values in zip(
            array.reshape(-1), executed[name].reshape(len(executed[name]), -1).T, strict=True
        ):
            bounds = unknowns.ranges.bounds(term)
            if bounds is not None and not bounds.nan:
                looked_at += 1
                assert values.min() >= bounds.low and values.max() <= bounds.high, name
    assert looked_at > 10
