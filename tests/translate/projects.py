"""A small project and what a good coder leaves in each phase of it, for tests of the loop.

Walk: a walker on 0 .. 9 goes left or right, a drawn gust pushes it by -1, 0 or 1, and it arrives at
9. The reference is Python; there is one module, `move`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simlift.translate.plan import Plan
from simlift.translate.project import Project

Files = Mapping[str, str]

TOML = """name = "walk"

[reference]
kind = "python"
version = "1"
sources = ["reference/walk.py"]
python = "walk_upstream:Walk"
"""

UPSTREAM = '''"""A walk in the wind."""

import random


class Walk:
    def __init__(self):
        self.random = random.Random(0)
        self.position, self.time = 4, 0

    def step(self, action):
        gust = self.random.randrange(3) - 1
        self.position = min(max(self.position + (1 if action else -1) + gust, 0), 9)
        self.time += 1
        return self.position == 9, self.time >= 20
'''

REFERENCE = '''"""Walk, wrapped."""

import numpy as np

from simlift.references.core import Draw, Outcome, Reference


class WalkReference(Reference):
    name, version = "walk", "1"
    draw_sites, draw_bounds = ("gust",), (3,)

    def __init__(self):
        self.forced, self.log = [], []
        self.position, self.time, self.stream = 4, 0, 0

    def reset(self, seed):
        self.position, self.time, self.stream, self.log = 4, 0, seed % 2**32, []
        return self._outcome()

    def step(self, action):
        if self.forced:
            gust = self.forced.pop(0).value
        else:
            self.stream = (1664525 * self.stream + 1013904223) % 2**32
            gust = (self.stream >> 16) % 3
        self.log = [Draw(site="gust", bound=3, value=gust)]
        move = 1 if action else -1
        self.position = min(max(self.position + move + gust - 1, 0), 9)
        self.time += 1
        return self._outcome()

    def draws(self):
        return self.log

    def force(self, draws):
        self.forced = list(draws)

    def snapshot(self):
        return {
            "position": np.int32(self.position),
            "time": np.int32(self.time),
            "stream": np.uint32(self.stream),
        }

    def restore(self, snapshot):
        self.position, self.time = int(snapshot["position"]), int(snapshot["time"])
        self.stream = int(snapshot["stream"])

    def _outcome(self):
        return Outcome(
            observation=np.array([self.position], np.float32),
            reward=np.float32(self.position == 9),
            terminated=np.bool_(self.position == 9),
            truncated=np.bool_(self.time >= 20),
            legal=np.ones(2, bool),
        )
'''

SUITE = '''"""What the same means for Walk."""

import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st

from judge.reference import WalkReference
from simlift.references.vector import SerialVector
from simlift.verify import Field, Property, Scenario, Suite, Variant
from simlift.verify.suite import ignored

DEFAULT = Variant("default")


def environment(variant):
    from walk.env import Walk

    env = Walk()
    return env, env.default_params


def state(before, params):
    from walk.env import State

    return State(
        position=before["position"].astype(jnp.int32), time=before["time"].astype(jnp.int32)
    )


def draws(log):
    from walk.env import Draws

    gust = np.where(log.count > 0, log.value[:, 0] if log.value.shape[1] else 0, 0)
    gust = jnp.asarray(gust, jnp.int32)
    return Draws(gust=gust), Draws(gust=jnp.zeros_like(gust))


def random(generator, outcome, snapshot):
    return generator.integers(0, 2, len(snapshot["position"]))


def right(generator, outcome, snapshot):
    return np.ones(len(snapshot["position"]), np.int64)


def stays(env, params, inputs):
    from walk.env import Draws, State

    position, gust, action = inputs
    before = State(position=position, time=jnp.int32(0))
    after, _ = env.transition(before, action, Draws(gust=gust), params)
    return (after.position >= 0) & (after.position <= 9)


def properties():
    number = lambda top: st.integers(0, top).map(np.int32)
    inputs = st.tuples(number(9), number(2), number(1))
    return [Property("stays on the path", "move", DEFAULT, inputs, stays)]


SUITE = Suite(
    name="walk",
    package="walk",
    variants=(DEFAULT,),
    environment=environment,
    reference=lambda variant, num_envs: SerialVector(WalkReference, num_envs),
    fields={
        "position": Field(lambda t: t.state.position, module="move"),
        "time": Field(lambda t: t.state.time, module="move"),
        "stream": Field(None, ignored("its draws are compared instead")),
        "episode_seed": Field(None, ignored("its draws are compared instead")),
    },
    state=state,
    draws=draws,
    reset_draws_used={"gust": 0},
    score=lambda snapshot, returns: returns,
    policies=lambda variant: {"random": random, "right": right},
    scenarios=[
        Scenario(
            "against_the_wall",
            DEFAULT,
            {"position": 0},
            [0] * 6,
            lambda steps: any(s["position"] == 0 for s, _ in steps),
        )
    ],
    properties=properties,
    targets=("walk.move",),
    reference_name="walk",
    reference_version="1",
)
'''

PROXY = '''"""Asks the reference what is not translated yet."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from judge.reference import WalkReference
from simlift.references.core import Draw

DONE = json.loads(Path(__file__).with_name("done.json").read_text())


def host(position, time, action, gust):
    found = np.zeros((2, *position.shape), np.int32)
    for at in np.ndindex(position.shape):
        reference = WalkReference()
        reference.restore({"position": position[at], "time": time[at], "stream": 0})
        reference.force([Draw(site="gust", bound=3, value=int(gust[at]))])
        reference.step(int(action[at]))
        found[0][at], found[1][at] = reference.position, reference.time
    return tuple(found)


def step(state, action, draws):
    """position and time after a step."""
    assert "move" not in DONE, "move is translated: nobody answers for it"
    shape = jax.ShapeDtypeStruct((), jnp.int32)
    arguments = (state.position, state.time, action, draws.gust)
    return jax.pure_callback(host, (shape, shape), *arguments, vmap_method="broadcast_all")
'''

ENV = '''"""Walk as an environment."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array

from simlift.envs.core import Environment, Outcome
from simlift.envs.spaces import Box, Discrete

from .move import move


@struct.dataclass(frozen=True, kw_only=True)
class State:
    position: Array  # int32 []
    time: Array  # int32 []


@struct.dataclass(frozen=True, kw_only=True)
class Draws:
    gust: Array  # int32 [], 0 .. 2


@struct.dataclass(frozen=True, kw_only=True)
class Params:
    limit: Array = struct.field(default_factory=lambda: jnp.int32(20))


class Walk(Environment):
    name, version = "Walk-v0", 0

    @property
    def default_params(self):
        return Params()

    def sample_reset_draws(self, key, params):
        return Draws(gust=jnp.int32(0))

    def initial(self, draws, params):
        return State(position=jnp.int32(4), time=jnp.int32(0))

    def sample_draws(self, key, state, action, params):
        return Draws(gust=jax.random.randint(key, (), 0, 3, jnp.int32))

    def transition(self, state, action, draws, params):
        position, time = move(state, action, draws)
        state = state.replace(position=position, time=time)
        arrived = position == 9
        return state, Outcome(
            reward=arrived.astype(jnp.float32),
            terminated=arrived,
            draws_used={"gust": jnp.int32(1)},
        )

    def observe(self, state, params):
        return state.position.astype(jnp.float32)[None]

    def is_truncated(self, state, params):
        return state.time >= params.limit

    def action_space(self, params=None):
        return Discrete(2)

    def observation_space(self, params=None):
        return Box(0.0, 9.0, (1,), np.float32)

    def render(self, state, params=None):
        return np.zeros((1, 1, 3), np.uint8)
'''

MOVE_ASKS = '''"""move, not translated yet."""

from judge import proxy


def move(state, action, draws):
    return proxy.step(state, action, draws)
'''

MOVE = '''"""reference/walk.py:11-15"""

import jax.numpy as jnp


def move(state, action, draws):
    """position and time after a step."""
    step = jnp.where(action == 1, 1, -1).astype(jnp.int32) + draws.gust - 1
    return jnp.clip(state.position + step, 0, 9), state.time + 1
'''

MOVE_WRONG = MOVE.replace("0, 9)", "1, 9)")
"""It never reaches the left end."""

MOVE_TESTS = '''"""move, by hand."""

import jax.numpy as jnp
import pytest

from walk.env import Draws, State
from walk.move import move


@pytest.mark.parametrize(
    ("position", "action", "gust", "after"),
    [(4, 1, 1, 5), (4, 0, 1, 3), (0, 0, 0, 0), (8, 1, 2, 9)],
)
def test_move(position, action, gust, after):
    state = State(position=jnp.int32(position), time=jnp.int32(3))
    found = move(state, jnp.int32(action), Draws(gust=jnp.int32(gust)))
    assert [int(x) for x in found] == [after, 4]
'''

SURVEY: dict[str, Any] = {
    "summary": "A walk in the wind.",
    "files": [{"path": "reference/walk.py", "role": "all of it"}],
    "step": [{"what": "moves by action and gust, stays within 0 .. 9", "where": "walk.py:13"}],
    "reset": [{"what": "position 4, time 0", "where": "walk.py:9"}],
    "state": [
        {"name": "position", "type": "int", "where": "walk.py:9", "meaning": "0 .. 9"},
        {"name": "time", "type": "int", "where": "walk.py:9", "meaning": "steps so far"},
    ],
    "randomness": [{"where": "walk.py:12", "distribution": "uniform below 3", "when": "each step"}],
    "quirks": [],
    "outside": [],
    "risks": [],
}

PLAN: dict[str, Any] = {
    "modules": [
        {
            "name": "move",
            "does": "Moves the walker by action and gust, and counts the step.",
            "sources": ["reference/walk.py:11-15"],
            "depends_on": [],
            "reads": ["position", "time"],
            "writes": ["position", "time"],
        }
    ],
    "state": [
        {"name": "position", "dtype": "int32", "shape": [], "unit": "m", "meaning": "0 .. 9"},
        {"name": "time", "dtype": "int32", "shape": [], "unit": "steps", "meaning": "0 .. 20"},
    ],
    "draw_sites": [
        {
            "name": "gust",
            "module": "move",
            "distribution": "uniform",
            "bound": 3,
            "per_step": 1,
            "call_site": "reference/walk.py:12",
        }
    ],
    "comparators": [
        {"field": "position", "compare": "exact"},
        {"field": "time", "compare": "exact"},
    ],
    "scenarios": [
        {
            "name": "against_the_wall",
            "modules": ["move"],
            "place": "position at 0",
            "actions": "left, six times",
            "happens": "position stays at 0",
        }
    ],
}

SCAFFOLD: Files = {
    "judge/reference.py": REFERENCE,
    "judge/suite.py": SUITE,
    "judge/proxy.py": PROXY,
    "walk/__init__.py": "",
    "walk/env.py": ENV,
    "walk/move.py": MOVE_ASKS,
}

SOLUTION: Mapping[str, Files] = {
    "survey": {"notes/survey.json": json.dumps(SURVEY)},
    "plan": {"notes/plan.json": json.dumps(PLAN)},
    "scaffold": SCAFFOLD,
    "translate_module:move": {"walk/move.py": MOVE, "tests/test_move.py": MOVE_TESTS},
    "swap_module:move": {},
    "compose": {"tests/test_walk.py": MOVE_TESTS},
    "lockstep": {},
}
"""Item -> what a good coder leaves there, beside what is there already."""


def write(folder: Path, files: Files) -> None:
    """Write these files, folders included."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def make(folder: Path) -> Project:
    """The project as `init` leaves it."""
    inspection = {"version": "1", "attributes": []}
    write(
        folder,
        {
            "simlift.toml": TOML,
            "README.md": "# walk\n",
            "inspection.json": json.dumps(inspection),
            "reference/walk.py": UPSTREAM,
        },
    )
    return Project.read(folder)


def plan() -> Plan:
    """PLAN, read."""
    return Plan.parse(PLAN, "plan")


def up_to(item: str) -> dict[str, str]:
    """What good coders left by the end of an item."""
    files: dict[str, str] = {}
    for name, left in SOLUTION.items():
        files |= left
        if name == item:
            return files
    raise KeyError(item)
