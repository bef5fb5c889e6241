"""Hyper-parameters that are known to work, by the environment's name on the command line."""

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any

from ..envs.registry import list_environments
from .config import PPOConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preset:
    """One way to train on one environment."""

    env: str
    """Name for `make`."""
    env_kwargs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Keyword arguments for `make`."""
    config: PPOConfig
    about: str
    """One line: what to expect, and how long it takes."""


PONG = PPOConfig(
    total_steps=6_000_000,
    num_envs=512,
    num_steps=64,
    num_minibatches=16,
    learning_rate=1e-3,
    gamma=0.995,
    normalize_observations=True,
)

CART_POLE = PPOConfig(
    total_steps=500_000,
    num_envs=64,
    num_steps=128,
    num_minibatches=8,
    learning_rate=2e-3,
    gamma=0.995,
    entropy_coef=0.0,
)

HALF_CHEETAH = PPOConfig(
    total_steps=5_000_000,
    num_envs=512,
    num_steps=32,
    num_minibatches=16,
    learning_rate=1e-3,
    entropy_coef=0.0,
    normalize_observations=True,
)

POKEMON = PPOConfig(
    total_steps=8_000_000,
    num_envs=512,
    num_steps=32,
    num_epochs=3,
    num_minibatches=16,
    learning_rate=7e-4,
    gamma=1.0,  # a battle ends, and only so does shaping change nothing
    hidden_sizes=(256, 128),
    activation="relu",
    normalize_observations=True,
)

# Measured in November 2026 on two shared CPU cores, jax 0.10.2: 35 s of CPU time for 3 M steps,
# 60 s for 6 M; every run (seeds 0 to 2) then won all of its 128 evaluation games 21 to 0.
# Cart-pole there: 4 to 9 s of CPU time, compilation included; every run (seeds 4 to 8) then
# balanced through all 500 steps of all of its 256 evaluation episodes. Half-cheetah there: 65 s for
# 5 M steps (seed 1), after which 128 episodes earned 4,758 on average, and 4,794 in MuJoCo itself;
# 2.5 M steps (seed 3) earned 2,800. Generation 1 there: 8 M steps (seed 0), after which 59.4 % of
# 1,024 battles against max_damage were won, and 62.5 % on Showdown itself.
PRESETS: dict[str, dict[str, Preset]] = {
    "cart_pole": {
        "quick": Preset(
            env="CartPole-v1",
            config=CART_POLE,
            about="balances through all 500 steps after ten seconds",
        ),
        "full": Preset(
            env="CartPole-v1",
            config=dataclasses.replace(CART_POLE, total_steps=2_000_000),
            about="four times as many steps; half a minute",
        ),
    },
    "half_cheetah": {
        "quick": Preset(
            env="HalfCheetah-v5",
            config=dataclasses.replace(HALF_CHEETAH, total_steps=2_500_000),
            about="runs, with a return of about 3000; a minute or two on two cores",
        ),
        "full": Preset(
            env="HalfCheetah-v5",
            config=HALF_CHEETAH,
            about="twice as many steps, for a return above 4000",
        ),
    },
    "pokemon": {
        "quick": Preset(
            env="PokemonGen1-v0",
            env_kwargs={"shaping": 1.0},
            config=dataclasses.replace(POKEMON, total_steps=2_000_000),
            about="self-play; a quarter of the steps of full",
        ),
        "full": Preset(
            env="PokemonGen1-v0",
            env_kwargs={"shaping": 1.0},
            config=POKEMON,
            about="self-play; wins six battles of ten against max_damage; 15 minutes of CPU time",
        ),
    },
    "pong": {
        "demo": Preset(
            env="PufferPong-v0",
            env_kwargs={"frameskip": 8},
            config=dataclasses.replace(PONG, total_steps=3_000_000),
            about="from losing every point to winning every game in half a minute on two cores",
        ),
        "full": Preset(
            env="PufferPong-v0",
            env_kwargs={"frameskip": 8},
            config=PONG,
            about="the same and on, until it hardly loses a point; a minute or two",
        ),
        "gru": Preset(
            env="PufferPong-v0",
            env_kwargs={"frameskip": 8},
            config=dataclasses.replace(
                PONG, total_steps=4_000_000, hidden_sizes=(64,), rnn_size=64
            ),
            about="with a memory; a minute or two",
        ),
        "continuous": Preset(
            env="PufferPong-v0",
            env_kwargs={"frameskip": 8, "continuous": True},
            config=dataclasses.replace(PONG, total_steps=4_000_000),
            about="the paddle's direction as a real number; about a minute",
        ),
    },
}

SCORES: dict[str, tuple[str, str]] = {"PufferPong-v0": ("score_r", "score_l")}
"""The agent's points and the opponent's, in `info`; without an entry the score is the return."""


def find_preset(env: str, preset: str) -> Preset:
    """The preset of an environment. Any name that `make` knows has "default".

    Raises ValueError for a name that is not there.
    """
    if env in PRESETS:
        choices = PRESETS[env]
    elif env in list_environments():
        choices = {"default": Preset(env=env, config=PPOConfig(), about="PPO's usual settings")}
    else:
        names = [*sorted(PRESETS), *list_environments()]
        near = difflib.get_close_matches(env, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {names}"
        raise ValueError(f"unknown environment {env!r}; {hint}")
    if preset not in choices:
        raise ValueError(f"{env} has no preset {preset!r}; it has {sorted(choices)}")
    return choices[preset]
