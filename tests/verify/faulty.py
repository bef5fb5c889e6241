"""Copies of envs/pong with one fault planted, and the suite of such a copy."""

import dataclasses
import importlib.util
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import simlift.envs.pong
import simlift.verify.suites
from simlift.verify.suite import Suite

POLICIES = ("random", "follow")


@dataclasses.dataclass(frozen=True)
class Fault:
    """edits: (file of envs/pong, text, what it becomes); first: the levels that may find it first,
    one unless that depends on the random inputs of L1 or on the machine's rounding."""

    name: str
    edits: Sequence[tuple[str, str, str]]
    first: Sequence[str]
    variant: str = "discrete"
    policies: Sequence[str] = POLICIES
    episodes: int = 8
    slow: bool = False
    needs_fusion: bool = False  # shows only where a * b + c is one operation


@contextmanager
def planted(folder: Path, edits: Sequence[tuple[str, str, str]]) -> Iterator[Suite]:
    """The suite of Pong over a copy of envs/pong in `folder` to which `edits` were made.

    The copy lives beside the original as simlift.envs.pong_faulty while the context lasts; the
    suite is imported anew, so that states, properties and fields are the copy's too.
    """
    name = "pong_faulty"
    copy = folder / name
    shutil.copytree(
        Path(simlift.envs.pong.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__")
    )
    for file, text, becomes in edits:
        path = copy / file
        source = path.read_text()
        assert source.count(text) == 1, f"{file} holds {text!r} {source.count(text)} times, not 1"
        path.write_text(source.replace(text, becomes))
    suites = Path(simlift.verify.suites.__file__).parent
    renamed = {"...envs.pong": f"...envs.{name}", ".pong_properties": f".{name}_properties"}
    for part in ("", "_properties"):
        source = (suites / f"pong{part}.py").read_text()
        for text, becomes in renamed.items():
            source = source.replace(text, becomes)
        (folder / f"{name}{part}.py").write_text(source)
    before = set(sys.modules)
    try:
        _load(f"simlift.envs.{name}", copy / "__init__.py", [str(copy)])
        _load(f"simlift.verify.suites.{name}_properties", folder / f"{name}_properties.py")
        module = _load(f"simlift.verify.suites.{name}", folder / f"{name}.py")
        yield module.suite()
    finally:
        for added in [added for added in sys.modules if added not in before and name in added]:
            del sys.modules[added]


def _load(name: str, path: Path, search: list[str] | None = None) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=search)
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FAULTS = (
    Fault(
        "one key for two purposes",
        [
            (
                "draws.py",
                "Draws(serve=(bits >> 31).astype(jnp.int32))",
                "Draws(serve=(jax.random.bits(key) >> 31).astype(jnp.int32))",
            )
        ],
        ["L0"],
    ),
    Fault(
        "a Python number in the first state",
        [
            (
                "dynamics.py",
                "n_bounces=jnp.zeros((), jnp.int32),\n        serve=jnp.uint8",
                "n_bounces=0,\n        serve=jnp.uint8",
            )
        ],
        ["L0"],
    ),
    Fault(
        "a score changes its type",
        [
            (
                "dynamics.py",
                "score_l=state.score_l + frame.lost.astype(jnp.int16)",
                "score_l=state.score_l + frame.lost.astype(jnp.int32)",
            )
        ],
        ["L0"],
    ),
    Fault(
        "the view leaves its space",
        [
            (
                "observe.py",
                "divide(state.ball_x, params.width),",
                "divide(2 * state.ball_x, params.width),",
            )
        ],
        ["L0"],
    ),
    Fault(
        "right at batch size 1 only",
        [
            (
                "env.py",
                "        return observe(state, params)",
                "        @jax.custom_batching.custom_vmap\n"
                "        def view(state, params):\n"
                "            return observe(state, params)\n\n"
                "        @view.def_vmap\n"
                "        def batch(size, batched, state, params):\n"
                "            axes = jax.tree.map(lambda b: 0 if b else None, tuple(batched))\n"
                "            seen = jax.vmap(observe, axes, axis_size=size)(state, params)\n"
                "            return seen.astype(jnp.bfloat16).astype(jnp.float32), True\n\n"
                "        return view(state, params)",
            )
        ],
        ["L0"],
    ),
    Fault(
        "instances look at their neighbour",
        [
            (
                "env.py",
                "        return observe(state, params)",
                "        @jax.custom_batching.custom_vmap\n"
                "        def ball_y(y):\n"
                "            return y\n\n"
                "        @ball_y.def_vmap\n"
                "        def batch(size, batched, y):\n"
                "            other = jnp.roll(y, 1)\n"
                "            return jnp.where(jnp.abs(y - other) < 2, other, y), True\n\n"
                "        return observe(state.replace(ball_y=ball_y(state.ball_y)), params)",
            )
        ],
        ["L0"],
    ),
    Fault(
        "`step` pays twice, its parts do not",
        [
            (
                "env.py",
                "    def observe(self,",
                "    def _step(self, key, state, action, params):\n"
                "        obs, state, reward, *rest = super()._step(key, state, action, params)\n"
                "        return obs, state, 2 * reward, *rest\n\n"
                "    def observe(self,",
            )
        ],
        ["L0"],
    ),
    Fault(
        "the agent's paddle is not clipped",
        [
            (
                "dynamics.py",
                "jnp.clip(state.paddle_yr + step, params.min_paddle_y, params.max_paddle_y)",
                "state.paddle_yr + step",
            )
        ],
        ["L1", "L2"],
    ),
    Fault(
        "losing a point costs half",
        [
            (
                "dynamics.py",
                "LOSE_REWARD, HIT_REWARD = 1.0, -1.0,",
                "LOSE_REWARD, HIT_REWARD = 1.0, -0.5,",
            )
        ],
        ["L1"],
    ),
    Fault(
        "tick goes on after a point",
        [("dynamics.py", "tick=jnp.where(point, 0, state.tick)", "tick=state.tick")],
        ["L1"],
    ),
    Fault(
        "a point shows the served ball",
        [
            (
                "env.py",
                "dynamics.keep_score(state, frame, draws.serve)",
                "dynamics.keep_score(state, frame, draws.serve)\n"
                "        state = dynamics.deliver_serve(state, params)",
            )
        ],
        ["L1"],
    ),
    Fault(
        "draws are not counted",
        [("env.py", "(point & ~terminated).astype(jnp.int32)", "jnp.zeros((), jnp.int32)")],
        ["L1"],
    ),
    Fault(
        "only the agent's score ends a game",
        [
            (
                "env.py",
                "leading = jnp.maximum(state.score_l, state.score_r).astype(jnp.int32)",
                "leading = state.score_r.astype(jnp.int32)",
            )
        ],
        ["L1", "L2"],
        slow=True,
    ),
    Fault(
        "the game ends at 20",
        [("env.py", "leading == params.max_score", "leading >= params.max_score - 1")],
        ["L1", "L3 E2"],
    ),
    Fault(
        "a draw is counted twice",
        [
            (
                "env.py",
                "(point & ~terminated).astype(jnp.int32)",
                "2 * (point & ~terminated).astype(jnp.int32)",
            )
        ],
        ["L2"],
    ),
    Fault(
        "spin is clamped at 12",
        [
            (
                "dynamics.py",
                "jnp.clip(state.ball_vy + spin, -params.ball_max_speed_y, params.ball_max_speed_y)",
                "jnp.clip(state.ball_vy + spin, -12.0, 12.0)",
            )
        ],
        ["L2"],
    ),
    Fault(
        "touching an edge is a hit",
        [
            (
                "dynamics.py",
                "(ball_y < paddle_y + params.paddle_height)",
                "(ball_y <= paddle_y + params.paddle_height)",
            )
        ],
        ["L2"],
    ),
    Fault(
        "the opponent moves after the ball",
        [
            (
                "dynamics.py",
                "move_ball(move_opponent(move_agent(state, paddle_dir, params), params))",
                "move_opponent(move_ball(move_agent(state, paddle_dir, params)), params)",
            )
        ],
        ["L2"],
    ),
    Fault(
        "a bounce forgets to count",
        [
            (
                "dynamics.py",
                "        ball_vy=put(vy, state.ball_vy),\n"
                "        n_bounces=state.n_bounces + hit.astype(jnp.int32),\n",
                "        ball_vy=put(vy, state.ball_vy),\n",
            )
        ],
        ["L2"],
        slow=True,
    ),
    Fault(
        "a wall puts the ball back",
        [
            (
                "dynamics.py",
                "    return state.replace("
                "ball_vy=jnp.where(outside, -state.ball_vy, state.ball_vy))",
                "    return state.replace(\n"
                "        ball_vy=jnp.where(outside, -state.ball_vy, state.ball_vy),\n"
                "        ball_y=jnp.clip(state.ball_y, 0, params.height - params.ball_height),\n"
                "    )",
            )
        ],
        ["L2"],
        slow=True,
    ),
    Fault(
        "the opponent's hit puts the ball back",
        [
            (
                "dynamics.py",
                "        ball_vx=jnp.where(hit, -state.ball_vx, state.ball_vx),\n",
                "        ball_vx=jnp.where(hit, -state.ball_vx, state.ball_vx),\n"
                "        ball_x=jnp.where(hit, jnp.maximum(state.ball_x, 0), state.ball_x),\n",
            )
        ],
        ["L2"],
        slow=True,
    ),
    Fault(
        "the coin is read the other way",
        [("dynamics.py", "due = jnp.where(serve == 0,", "due = jnp.where(serve != 0,")],
        ["L2"],
    ),
    Fault(
        "the hit's reward is lost in later frames",
        [("env.py", "jnp.where(frame.reward != 0, frame.reward, so_far.reward)", "frame.reward")],
        ["L2"],
        "discrete, frameskip 8",
    ),
    Fault(
        "a new game keeps the old score",
        [
            (
                "env.py",
                "    def observe(self,",
                "    def _advance(self, state, action, draws, params, restart):\n"
                "        def leaky(done, final_state):\n"
                "            next_state = restart(done, final_state)\n"
                "            return next_state.replace(score_l=final_state.score_l)\n\n"
                "        return super()._advance(state, action, draws, params, leaky)\n\n"
                "    def observe(self,",
            )
        ],
        ["L1"],
    ),
    Fault(
        "times the reciprocal instead of divided",
        [
            (
                "observe.py",
                "    return numerator / jnp.where(numerator == numerator, denominator, numerator)",
                "    return numerator * (1 / denominator)",
            )
        ],
        ["L1", "L2"],
    ),
    Fault(
        "at the right edge counts as past it",
        [
            (
                "dynamics.py",
                "state.ball_x + params.ball_width > params.width",
                "state.ball_x + params.ball_width >= params.width",
            )
        ],
        ["L2"],
    ),
    Fault(
        "the opponent slows down after 150 steps",
        [
            (
                "dynamics.py",
                "    step = jnp.clip(gap, -params.paddle_speed, params.paddle_speed)",
                "    tired = (state.tick > 150) & (state.tick < 10_000)\n"
                "    speed = params.paddle_speed - tired.astype(jnp.float32)\n"
                "    step = jnp.clip(gap, -speed, speed)",
            )
        ],
        ["L3 E2"],
        policies=["follow"],
    ),
    Fault(
        "the opponent's speed is hard-coded",
        [
            (
                "dynamics.py",
                "    step = jnp.clip(gap, -params.paddle_speed, params.paddle_speed)",
                "    step = jnp.clip(gap, -8.0, 8.0)",
            )
        ],
        ["L3 E2"],
        "continuous, other court",
        slow=True,
    ),
    Fault(
        "almost flat begins too early",
        [("dynamics.py", "HORIZONTAL = 0.01", "HORIZONTAL = 0.1")],
        ["L2"],
        "continuous",
        policies=["follow"],
        slow=True,
    ),
    Fault(
        "a product is not rounded before it is added",
        [("dynamics.py", "    return jnp.clip(product, -bound, bound)", "    return product")],
        ["L0", "L3 E2"],
        "continuous",
        needs_fusion=True,
    ),
    Fault(
        "a time limit that upstream does not have",
        [
            (
                "state.py",
                "    serve: Array  # uint8 []  a code of `Serve`\n",
                "    serve: Array  # uint8 []  a code of `Serve`\n"
                "    age: Array = struct.field(default_factory=lambda: jnp.zeros((), jnp.int32))\n",
            ),
            (
                "env.py",
                "        state = dynamics.deliver_serve(state, params)\n",
                "        age = state.age + 1\n"
                "        state = dynamics.deliver_serve(state, params).replace(age=age)\n",
            ),
            (
                "env.py",
                "    def observe(self,",
                "    def is_truncated(self, state, params):\n"
                "        return state.age >= 500\n\n"
                "    def observe(self,",
            ),
        ],
        ["L3 E3"],
    ),
)


def table() -> str:
    """Markdown: each fault, and the level that finds it first."""
    rows = [f"| {fault.name} | {fault.variant} | {' or '.join(fault.first)} |" for fault in FAULTS]
    return "\n".join(["| fault | variant | found by |", "|---|---|---|", *rows])
