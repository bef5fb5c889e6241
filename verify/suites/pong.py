"""What equality means between PufferLib's pong.h and envs/pong."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from ...references.core import DrawLog, Outcome, Snapshot
from ...references.pong import VectorPong
from ..suite import Field, Policy, Property, Suite, Transition, Variant, configured, ignored
from .pong_coverage import COVERAGE, content
from .pong_domain import domain, place
from .pong_scenarios import SCENARIOS
from .pong_transfer import PLAN

# A court with none of upstream's numbers, few of them exact in binary: shows that Params are wired
# through, and that products and sums round as in C.
OTHER_COURT = {
    "width": 333.0,
    "height": 477.0,
    "paddle_height": 61.0,
    "ball_width": 17.0,
    "ball_height": 23.0,
    "paddle_speed": 7.3,
    "ball_initial_speed_x": 9.1,
    "ball_initial_speed_y": 1.7,
    "ball_speed_y_increment": 2.6,
    "ball_max_speed_y": 11.3,
    "max_score": 3,
}

VARIANTS = (
    Variant("discrete", {"frameskip": 1}),
    Variant("discrete, frameskip 8", {"frameskip": 8}),
    Variant("continuous", {"frameskip": 1, "continuous": True}),
    Variant("continuous, frameskip 8", {"frameskip": 8, "continuous": True}),
    Variant("continuous, other court", {"frameskip": 3, "continuous": True}, OTHER_COURT),
)


def environment(variant: Variant) -> tuple[Any, Any]:
    from ...envs.pong import Pong

    return configured(Pong(**variant.config), variant)


def reference(variant: Variant, num_envs: int) -> VectorPong:
    return VectorPong(num_envs, **variant.config, **variant.parameters)


# -- fields: what each number of struct Pong is on our side


def _served(name: str) -> Field:
    """Upstream serves within the step that scored; on our side the serve may still be due."""

    def ours(t: Transition) -> Array:
        p = t.params
        served = {
            "paddle_yl": p.height / 2 - p.paddle_height / 2,
            "paddle_yr": p.height / 2 - p.paddle_height / 2,
            "ball_x": p.width / 5,
            "ball_y": p.height / 2 - p.ball_height / 2,
            "ball_vx": p.ball_initial_speed_x,
            "ball_vy": jnp.where(t.state.serve == 1, -p.ball_initial_speed_y, 0.0),
        }
        return jnp.where(t.state.serve != 0, served[name], getattr(t.state, name))

    return Field(ours, module="dynamics")


def _state(name: str) -> Field:
    return Field(lambda t: getattr(t.state, name), module="dynamics.step_frame")


def _param(name: str) -> Field:
    return Field(lambda t: getattr(t.params, name), module="state.Params")


def _log(value: Any) -> Field:
    """Upstream adds to its log when a game ends, and only then."""
    return Field(
        lambda t: jnp.where(t.terminated, value(t).astype(jnp.float32), jnp.float32(0)),
        module="env.transition",
    )


def _paddle_width(t: Transition) -> Array:
    from ...envs.pong.render import PADDLE_WIDTH

    return jnp.float32(PADDLE_WIDTH)


def _paddle_dir(t: Transition) -> Array:
    if jnp.issubdtype(t.action.dtype, jnp.floating):
        return jnp.clip(t.action, -1, 1)
    return jnp.where(t.action == 1, 1.0, jnp.where(t.action == 2, -1.0, 0.0))


def _win(t: Transition) -> Array:
    """Who took the last point; upstream keeps it across games and never reads it."""
    point = jnp.abs(t.reward) > 0.5
    return jnp.where(point, (t.reward > 0).astype(jnp.int32), t.before["win"])


def _difference(t: Transition) -> Array:
    return t.final_state.score_r - t.final_state.score_l


def _share(t: Transition) -> Array:
    right, left = (x.astype(jnp.float32) for x in (t.final_state.score_r, t.final_state.score_l))
    return right / (left + right)


def _fields() -> Mapping[str, Field]:
    return {
        **{n: _served(n) for n in ("paddle_yl", "paddle_yr", "ball_x", "ball_y")},
        **{n: _served(n) for n in ("ball_vx", "ball_vy")},
        **{n: _state(n) for n in ("score_l", "score_r", "tick", "n_bounces")},
        "paddle_dir": Field(_paddle_dir, module="dynamics.direction"),
        "win": Field(_win, module="dynamics.step_frame"),
        **{n: _param(n) for n in ("width", "height", "paddle_height", "ball_width", "ball_height")},
        **{n: _param(n) for n in ("paddle_speed", "ball_initial_speed_x", "ball_initial_speed_y")},
        **{n: _param(n) for n in ("ball_speed_y_increment", "ball_max_speed_y", "max_score")},
        **{n: _param(n) for n in ("min_paddle_y", "max_paddle_y")},
        "paddle_width": Field(_paddle_width, module="render"),
        "log_score": _log(_difference),
        "log_episode_return": _log(_difference),
        "log_episode_length": _log(lambda t: t.info["rally_ticks"]),
        "log_perf": _log(_share),
        "log_n": _log(lambda t: t.terminated),
        "frameskip": Field(None, ignored("given to both sides; its effect is compared")),
        "continuous": Field(None, ignored("given to both sides; its effect is compared")),
        "observations": Field(None, ignored("compared as the outcome's observation")),
        "rewards": Field(None, ignored("compared as the outcome's reward")),
        "terminals": Field(None, ignored("compared as the outcome's terminated")),
        "actions": Field(None, ignored("an input, not a result")),
        "stream": Field(None, ignored("stands for libc's rand(); its draws are compared instead")),
    }


def state(before: Mapping[str, Array], params: Any) -> Any:
    """Our state out of upstream's: the ball is in play, no serve is due."""
    from ...envs.pong import State

    del params
    return State(
        **{n: before[n] for n in ("paddle_yl", "paddle_yr", "ball_x", "ball_y")},
        **{n: before[n] for n in ("ball_vx", "ball_vy", "tick", "n_bounces")},
        score_l=before["score_l"].astype(jnp.int16),
        score_r=before["score_r"].astype(jnp.int16),
        serve=jnp.uint8(0),
    )


def draws(log: DrawLog) -> tuple[Any, Any]:
    """Upstream draws at most one serve a step, whether the game goes on or starts anew."""
    from ...envs.pong import Draws

    serve = Draws(serve=jnp.asarray(log.value[:, 0] % 2, jnp.int32))
    return serve, serve


# -- policies


def policies(variant: Variant) -> Mapping[str, Policy]:
    """Directions in [-1, 1], turned into actions of the variant's kind."""
    continuous = bool(variant.config.get("continuous"))

    def as_actions(direct: Policy) -> Policy:
        def act(generator: np.random.Generator, outcome: Outcome, snapshot: Snapshot) -> np.ndarray:
            direction = direct(generator, outcome, snapshot)
            if continuous:
                return direction.astype(np.float32)
            return np.where(direction > 0, 1, np.where(direction < 0, 2, 0))

        return act

    def random(generator: np.random.Generator, outcome: Outcome, s: Snapshot) -> np.ndarray:
        size = len(s["ball_y"])
        if continuous:  # beyond the bounds too: upstream clips
            return generator.uniform(-1.2, 1.2, size)
        return generator.integers(-1, 2, size)

    named = {"random": random, "held": _held(), "follow": _follow, "edge": _edge(), "flee": _flee}
    return {name: as_actions(policy) for name, policy in named.items()}


def _towards(target: np.ndarray, s: Snapshot) -> np.ndarray:
    """The direction that brings the agent's paddle to `target`, at full speed while far off."""
    gap = (target - s["paddle_yr"]) / s["paddle_speed"]
    return np.where(np.abs(gap) < 0.5, 0.0, np.clip(gap, -1, 1))


def _centre(s: Snapshot) -> np.ndarray:
    return s["ball_y"] + s["ball_height"] / 2 - s["paddle_height"] / 2


def _follow(generator: np.random.Generator, outcome: Outcome, s: Snapshot) -> np.ndarray:
    """Keeps the paddle at the ball, with a random move now and then."""
    noise = generator.uniform(-1, 1, len(s["ball_y"]))
    return np.where(generator.random(len(noise)) < 0.1, noise, _towards(_centre(s), s))


def _flee(generator: np.random.Generator, outcome: Outcome, s: Snapshot) -> np.ndarray:
    """Loses every point it can, along the walls."""
    return -np.sign(_centre(s) - s["paddle_yr"] + 0.5)


def _held() -> Policy:
    """Holds each random direction for about 16 steps: reaches the ends of the court."""
    held: list[np.ndarray] = []

    def act(generator: np.random.Generator, outcome: Outcome, s: Snapshot) -> np.ndarray:
        size = len(s["ball_y"])
        fresh = generator.choice([-1.0, -0.37, 0.0, 1.0], size)
        held[:] = [np.where(generator.random(size) < 1 / 16, fresh, held[0]) if held else fresh]
        return held[0]

    return act


def _edge() -> Policy:
    """Meets the ball with the very edge of the paddle, moving: spin, near misses, exact touches."""
    aims: list[np.ndarray] = []

    def act(generator: np.random.Generator, outcome: Outcome, s: Snapshot) -> np.ndarray:
        size = len(s["ball_y"])
        slack = generator.integers(-2, 12, size)
        below = -s["paddle_height"] + slack  # the ball lands on the upper edge
        above = s["ball_height"] - slack  # and on the lower one
        fresh = np.where(generator.random(size) < 0.5, below, above)
        aims[:] = [np.where(generator.random(size) < 1 / 32, fresh, aims[0]) if aims else fresh]
        near = s["ball_x"] > s["width"] - s["ball_width"] - 2.5 * s["ball_initial_speed_x"]
        spin = generator.choice([-1.0, 0.0, 1.0], size)
        swing = near & (generator.random(size) < 0.5)
        return np.where(swing, spin, _towards(s["ball_y"] + aims[0], s))

    return act


def properties() -> Sequence[Property]:
    from .pong_properties import PROPERTIES

    return PROPERTIES


MODULES = ("draws", "dynamics", "env", "observe", "state")


@functools.cache
def suite() -> Suite:
    return Suite(
        name="pong",
        package="simlift.envs.pong",
        variants=VARIANTS,
        environment=environment,
        reference=reference,
        fields=_fields(),
        state=state,
        draws=draws,
        reset_draws_used={"serve": 1},
        score=lambda snapshot, returns: snapshot["log_score"],
        policies=policies,
        scenarios=SCENARIOS,
        properties=properties,
        targets=tuple(f"simlift.envs.pong.{name}" for name in MODULES),
        domain=lambda variant: domain(*environment(variant)),
        place=place,
        coverage=COVERAGE,
        content=content,
        transfer=PLAN,
        reference_name=VectorPong.name,
        reference_version=VectorPong.version,
    )
