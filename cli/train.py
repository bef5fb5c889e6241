"""`simlift train`."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from rich.console import Console

from ..envs.animation import record_episode, save_animation
from ..envs.files import write_atomically
from ..envs.game import Game
from ..envs.registry import make
from ..train import RunOptions, load_policy
from ..train import run as training
from ..train.opponents import tally
from ..verify.play import play_in_reference, summary
from ..verify.suite import Variant
from ..verify.suites import get_suite, list_suites
from .environments import short_names
from .screen import Environment, Screen


@dataclasses.dataclass(frozen=True)
class Train:
    """Train with PPO, a game by self-play, then play whole episodes, also in the reference where
    there is one; of a game against the built-in opponents.

    Example: simlift train pong --preset full --seed 0 --out runs/pong
    """

    env: Environment = "pong"
    """An environment with presets (pong), or any name that `make` knows."""
    preset: str = "full"
    """One of the environment's presets; `simlift list` shows them."""
    out: Path | None = None
    """Folder of the run; by default runs/ENV-PRESET-SEED, or the one that is resumed."""
    resume: Path | None = None
    """A run or checkpoint to continue, exactly as if it had never stopped."""
    seed: int = 0
    """Seed of the (first) run."""
    num_seeds: int = 1
    """Runs trained side by side, with seed, seed + 1, ..."""
    total_steps: int | None = None
    """Environment steps, instead of the preset's."""
    tensorboard: bool = False
    """Also write TensorBoard event files."""
    eval_episodes: int = 128
    """Whole episodes at the end, on each side."""
    video: Path | None = None
    """Also save an episode of the trained policy, as .gif or .mp4."""
    json: bool = False
    """Print one JSON object and nothing else."""

    def run(self, screen: Screen) -> int:
        """Train and evaluate; everything lands in the run's folder."""
        options = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        del options["json"], options["video"]
        if self.video and self.video.suffix not in (".gif", ".mp4"):
            raise ValueError(f"--video {self.video} must end in .gif or .mp4")
        if self.video and isinstance(training.plan(RunOptions(**options))[0].make().env, Game):
            raise ValueError(
                f"--video shows one agent, and {self.env} is a game of several: leave it out; "
                "`simlift replay` shows games that were recorded"
            )
        result = training.run(RunOptions(**options), screen.console)
        result["reference"] = evaluate_in_reference(result, self.eval_episodes, self.seed)
        if self.video:
            save_episode(result, self.video, self.seed)
            result["video"] = str(self.video)
        write_atomically(Path(result["out"]) / "summary.json", json.dumps(result, indent=1))
        if not screen.as_json:
            show_training(screen.console, result)
        return screen.finish(result)


def show_training(console: Console, result: dict[str, Any]) -> None:
    """Where the run lies, how fast it was, and how well it plays on both sides."""
    console.print(f"{result['steps']:,} steps in {result['seconds']:.1f} s: {result['out']}")
    played = result["reference"]
    if "against" in result["by_seed"][0]:
        for name, found in result["by_seed"][0]["against"].items():
            console.print(f"{name} in JAX: {in_words(found)}")
        if played:
            console.print(f"{played['opponent']} in {played['name']}: {in_words(played['games'])}")
    else:
        console.print(f"score in JAX: {result['score_mean']:+.2f}")
        if played:
            console.print(f"score in {played['name']}: {played['score']['mean']:+.2f}")
    for key in ("curve", "video"):
        if key in result:
            console.print(f"{key}: {result[key]}", soft_wrap=True)


def in_words(found: Mapping[str, Any]) -> str:
    """A tally of games."""
    return (
        f"{found['win_rate']:.1%} of {found['games']:,} games won "
        f"({found['low']:.1%} .. {found['high']:.1%}), {found['ties']} tied"
    )


def read_recipe(result: dict[str, Any]) -> dict[str, Any]:
    """What a run trained, with which settings."""
    return json.loads((Path(result["out"]) / "config.json").read_text())


def evaluate_in_reference(
    result: dict[str, Any], episodes: int, seed: int
) -> dict[str, Any] | None:
    """The first trained policy in the reference itself; None for an environment without one."""
    recipe = read_recipe(result)
    name = short_names().get(recipe["env"])
    if name is None or name not in list_suites():
        return None
    suite = get_suite(name)
    policy = load_policy(result["checkpoint"])
    variant = Variant("trained", recipe["env_kwargs"])
    if game := "against" in result["by_seed"][0]:
        if suite.transfer is None:
            return None
        variant = suite.transfer.variant
    played = play_in_reference(suite, variant, policy, episodes, seed)
    found = {
        "name": suite.reference_name,
        "version": suite.reference_version,
        "score": summary(played.scores),
        "return": summary(played.returns),
    }
    if game:
        found |= {"opponent": variant.config["opponent"], "games": tally(played.returns)}
    return found


def save_episode(result: dict[str, Any], path: Path, seed: int) -> None:
    """One episode of the first trained policy, without exploration, as a moving picture."""
    recipe = read_recipe(result)
    env, params = make(recipe["env"], **recipe["env_kwargs"])
    policy = load_policy(result["checkpoint"])
    carry = policy.initial_carry(1)

    def act(key: jax.Array, observation: jax.Array) -> jax.Array:
        nonlocal carry
        actions, carry = policy.act(observation[None], carry, deterministic=True)
        return actions[0]

    frames = record_episode(env, params, act, jax.random.key(seed))
    save_animation(frames, path, fps=30)
