"""A whole training run on the host: chunks of updates, and between them logs and checkpoints."""

import contextlib
import dataclasses
import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

from ..envs.files import write_atomically
from ..envs.game import Game
from ..envs.registry import make
from .checkpoint import (
    SUBDIRECTORY,
    CheckpointError,
    find_checkpoint,
    list_checkpoints,
    load_checkpoint,
    read_meta,
    save_checkpoint,
)
from .config import PPOConfig
from .evaluate import evaluate
from .logs import CsvLog, LiveTable, TensorBoardLog, read_rows, save_curve
from .opponents import first_opponent, play_opponents
from .policy import Policy
from .ppo import LOG_POINTS, LOSSES, PPO, RunnerState
from .presets import SCORES, find_preset

EVALUATION = 0x5EED  # folded into the seed's key: episodes that training has not seen
SPARRING_GAMES = 128  # for a point of the curve of a game, where self-play itself has no score


class TrainingError(RuntimeError):
    """Training cannot go on; says what to change."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What `run` does. Checked there; ValueError says what is wrong."""

    env: str = "pong"
    """A name in `presets.PRESETS`, or one that `make` knows."""
    preset: str = "full"
    """One of the environment's presets."""
    out: Path | None = None
    """Folder of the run; by default runs/<env>-<preset>-<seed>, or the one that is resumed."""
    resume: Path | None = None
    """Run or checkpoint to continue. Environment, configuration and seeds are then the run's."""
    seed: int = 0
    """Seed of the run; of the first one, if there are several."""
    num_seeds: int = 1
    """Runs trained side by side, with seed, seed + 1, ..., each the same as it would be alone."""
    total_steps: int | None = None
    """Instead of the preset's; when resuming, instead of the run's."""
    config: PPOConfig | None = None
    """Instead of the preset's."""
    tensorboard: bool = False
    """Also write TensorBoard event files to <out>/tensorboard."""
    eval_episodes: int = 128
    """Whole episodes at the end, for each seed, without exploration."""
    checkpoint_seconds: float = 60.0
    """A checkpoint at least that often, and always at the end."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """What makes a run what it is; stored in its config.json and in every checkpoint."""

    env: str
    env_kwargs: Mapping[str, Any]
    env_version: int
    config: PPOConfig
    seed: int
    num_seeds: int

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any]) -> "Recipe":
        """From a checkpoint's meta.json. Raises CheckpointError."""
        try:
            values = {field.name: meta[field.name] for field in dataclasses.fields(cls)}
            return cls(**{**values, "config": PPOConfig.from_dict(values["config"])})
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"the checkpoint's meta.json does not describe a run ({error}); start a new run"
            ) from error

    def make(self) -> PPO:
        env, params = make(self.env, **self.env_kwargs)
        return PPO(self.config, env, params)

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def run(options: RunOptions, console: Console | None = None) -> dict[str, Any]:
    """Train, evaluate, and leave everything in one folder.

    It then holds config.json, metrics.csv (a row for each seed and chunk), checkpoints/,
    summary.json and, with matplotlib, curve.png. Returns the summary: steps and seconds of this
    call, compile_s, steps_per_s (all seeds together), return_mean, score_mean (for Pong the score
    difference, for a game the win rate against the first of its `OPPONENTS`) with their values
    by_seed, there also against: of a game, the tally of every opponent; unfinished evaluation
    episodes, and the paths.

    console: shows a live table; None is silent. Interrupted (Ctrl-C) it saves a checkpoint first.
    Raises ValueError for options that make no sense, CheckpointError, TrainingError when the loss
    is not finite, and OSError where a file cannot be written.
    """
    recipe, out = plan(options)
    sinks: list[Any] = [TensorBoardLog(out / "tensorboard")] if options.tensorboard else []
    ppo = recipe.make()
    runner, first_update = begin(recipe, ppo, options)
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "config.json", recipe.as_dict())
    total_steps = recipe.config.num_updates * recipe.config.batch_size

    sinks.append(CsvLog(out / "metrics.csv", columns(ppo), keep_until=first_update))
    with contextlib.ExitStack() as stack:
        for sink in sinks:
            stack.callback(sink.close)
        table = None
        if console is not None:
            title = f"PPO on {recipe.env}, {describe_seeds(recipe)}"
            table = stack.enter_context(LiveTable(console, title, total_steps))
        runner, timing = train(recipe, ppo, runner, out, sinks, table, options.checkpoint_seconds)

    checkpoint = find_checkpoint(out)
    summary = {
        "env": recipe.env,
        "seeds": list(range(recipe.seed, recipe.seed + recipe.num_seeds)),
        "steps": int(timing["updates"]) * recipe.config.batch_size * recipe.num_seeds,
        "seconds": timing["seconds"],
        "compile_s": timing["compile_s"],
        "steps_per_s": timing["steps_per_s"],
        **final_scores(recipe, ppo, runner, options.eval_episodes),
        "out": str(out),
        "checkpoint": str(checkpoint),
    }
    curve = out / "curve.png"
    label = "score difference" if recipe.env in SCORES else "return"
    if isinstance(ppo.env, Game):
        label = f"win rate against {first_opponent(ppo.env)}"
    if save_curve(curve, read_rows(out / "metrics.csv"), "score", label):
        summary["curve"] = str(curve)
    write_json(out / "summary.json", summary)
    return summary


def load_policy(path: Path | str, seed_index: int = 0) -> Policy:
    """The policy in a checkpoint, or in the newest one of a run.

    seed_index: which of the seeds trained side by side. Raises CheckpointError, and ValueError for
    a seed that is not there.
    """
    recipe = Recipe.from_meta(read_meta(Path(path)))
    if not 0 <= seed_index < recipe.num_seeds:
        raise ValueError(f"seed_index={seed_index}: the run has {recipe.num_seeds} seeds")
    ppo = recipe.make()
    runner = load_checkpoint(Path(path), jax.eval_shape(initial(recipe, ppo)))
    return ppo.policy(one_seed(recipe, runner, seed_index))


# -- parts of a run --------------------------------------------------------------------------------


def plan(options: RunOptions) -> tuple[Recipe, Path]:
    """What to train and where to put it; ValueError before anything is written."""
    if options.num_seeds < 1 or options.eval_episodes < 1:
        raise ValueError(
            f"num_seeds={options.num_seeds} and eval_episodes={options.eval_episodes} "
            "must be at least 1"
        )
    if not 0 <= options.seed < 2**32 - options.num_seeds:
        raise ValueError(f"seed={options.seed} must be between 0 and 2**32")
    if options.resume is not None:
        recipe = Recipe.from_meta(read_meta(options.resume))
        checkpoint = find_checkpoint(options.resume)
        out = options.out or checkpoint.parent.parent
        version = make(recipe.env, **recipe.env_kwargs)[0].version
        if version != recipe.env_version:
            raise CheckpointError(
                f"{checkpoint} was trained on version {recipe.env_version} of {recipe.env}, this "
                f"is version {version}: start a new run, or use the simlift that wrote it"
            )
    else:
        preset = find_preset(options.env, options.preset)
        recipe = Recipe(
            env=preset.env,
            env_kwargs=dict(preset.env_kwargs),
            env_version=make(preset.env, **preset.env_kwargs)[0].version,
            config=options.config or preset.config,
            seed=options.seed,
            num_seeds=options.num_seeds,
        )
        out = options.out or Path("runs") / f"{options.env}-{options.preset}-{options.seed}"
    if options.total_steps is not None:
        config = dataclasses.replace(recipe.config, total_steps=options.total_steps)
        recipe = dataclasses.replace(recipe, config=config)
    saved = list_checkpoints(out.absolute() / SUBDIRECTORY)
    if saved and (options.resume is None or find_checkpoint(options.resume) != saved[-1]):
        raise ValueError(
            f"{out} already holds a run: resume its newest checkpoint, or choose another folder"
        )
    return recipe, out


def initial(recipe: Recipe, ppo: PPO) -> Any:
    """A function without arguments that makes the first runner state; [seed, ...] if several."""
    seeds = np.arange(recipe.seed, recipe.seed + recipe.num_seeds, dtype=np.uint32)
    if recipe.num_seeds == 1:
        return lambda: ppo.init(jax.random.key(seeds[0]))
    return lambda: jax.vmap(ppo.init)(jax.vmap(jax.random.key)(jnp.asarray(seeds)))


def one_seed(recipe: Recipe, runner: RunnerState, index: int) -> RunnerState:
    return runner if recipe.num_seeds == 1 else jax.tree.map(lambda x: x[index], runner)


def begin(recipe: Recipe, ppo: PPO, options: RunOptions) -> tuple[RunnerState, int]:
    """The runner state to start from, and its number of updates."""
    start = initial(recipe, ppo)
    if options.resume is None:
        return start(), 0
    runner = load_checkpoint(options.resume, jax.eval_shape(start))
    return runner, int(np.ravel(runner.update)[0])


def train(
    recipe: Recipe,
    ppo: PPO,
    runner: RunnerState,
    out: Path,
    sinks: list[Any],
    table: LiveTable | None,
    checkpoint_seconds: float,
) -> tuple[RunnerState, dict[str, float]]:
    """From where `runner` stands to the end. Returns it, and how long things took."""
    config = recipe.config
    update = first = int(np.ravel(runner.update)[0])
    chunk = math.ceil(config.num_updates / LOG_POINTS)
    function = ppo.update_chunk if recipe.num_seeds == 1 else jax.vmap(ppo.update_chunk, (0, None))
    began = time.perf_counter()
    compiled = jax.jit(function).lower(runner, jnp.int32(chunk)).compile()
    compile_s = time.perf_counter() - began
    if table is not None:
        table.start(update * config.batch_size)

    saved = update if list_checkpoints(out / SUBDIRECTORY) else None

    def save() -> None:
        nonlocal saved
        if saved != update:
            meta = {**recipe.as_dict(), "update": update, "steps": update * config.batch_size}
            save_checkpoint(out, runner, meta)
            saved = update

    began = last_saved = time.perf_counter()
    try:
        while update < config.num_updates:
            # Up to the next multiple, so that a resumed run logs at the same steps.
            count = min(chunk - update % chunk, config.num_updates - update)
            chunk_began = time.perf_counter()
            next_runner, metrics = compiled(runner, jnp.int32(count))
            means = metrics.means()
            seconds = time.perf_counter() - chunk_began
            if isinstance(ppo.env, Game):
                means["score"] = sparring(recipe, ppo, ppo.env, next_runner)
            if not np.all(np.isfinite(means["loss"])):
                raise TrainingError(
                    f"the loss is no longer finite after {update * config.batch_size:,} steps: "
                    "lower learning_rate or max_grad_norm and start anew"
                )
            runner, update = next_runner, update + count
            rate = count * config.batch_size * recipe.num_seeds / seconds
            rows = make_rows(recipe, means, update, time.perf_counter() - began, rate)
            for row in rows:
                for sink in sinks:
                    sink.write(row)
            if table is not None:
                table.write(average(rows))
            if time.perf_counter() - last_saved > checkpoint_seconds:
                save()
                last_saved = time.perf_counter()
    except KeyboardInterrupt:
        save()
        raise
    seconds = time.perf_counter() - began
    save()
    updates = update - first
    rate = updates * config.batch_size * recipe.num_seeds / seconds
    timing = {"seconds": seconds, "compile_s": compile_s, "steps_per_s": rate, "updates": updates}
    return runner, timing


def columns(ppo: PPO) -> list[str]:
    """The columns of metrics.csv."""
    metrics = jax.eval_shape(lambda: ppo.update_chunk(ppo.init(jax.random.key(0)), 1)[1])
    fixed = ["update", "seed", "steps", "seconds", "steps_per_s", "return", "score", "episodes"]
    return fixed + [f"episode_{name}" for name in sorted(metrics.episode_sums)] + sorted(LOSSES)


def make_rows(
    recipe: Recipe, means: Mapping[str, np.ndarray], update: int, seconds: float, rate: float
) -> list[dict[str, int | float]]:
    """A row for each seed."""
    rows = []
    for index in range(recipe.num_seeds):
        values = {name: np.ravel(x)[index].item() for name, x in means.items()}
        score = score_of(recipe.env, values, "episode_")
        rows.append(
            {
                "update": update,
                "seed": recipe.seed + index,
                "steps": update * recipe.config.batch_size,
                "seconds": round(seconds, 3),
                "steps_per_s": round(rate),
                "return": values["episode_return"],
                "score": values["episode_return"] if score is None else score,
                **values,
            }
        )
    return rows


def average(rows: list[dict[str, int | float]]) -> dict[str, int | float]:
    """One row for the terminal: the mean over seeds, of what is not the same for all."""
    shared = ("steps", "seconds", "steps_per_s")
    return {
        name: rows[0][name] if name in shared else float(np.mean([row[name] for row in rows]))
        for name in rows[0]
    }


def score_of(env: str, values: Mapping[str, Any], prefix: str = "") -> Any:
    """The agent's points minus the opponent's, or None where the environment counts none."""
    if env not in SCORES:
        return None
    own, other = SCORES[env]
    return values[prefix + own] - values[prefix + other]


def final_scores(
    recipe: Recipe, ppo: PPO, runner: RunnerState, num_episodes: int
) -> dict[str, Any]:
    """Evaluation of each seed's last policy, deterministic, in episodes of its own."""
    env = ppo.env
    by_seed: list[dict[str, Any]] = []
    unfinished = 0
    for index in range(recipe.num_seeds):
        policy = ppo.policy(one_seed(recipe, runner, index))
        key = jax.random.fold_in(jax.random.key(recipe.seed + index), EVALUATION)
        if isinstance(env, Game):
            found = play_opponents(policy, env, ppo.env_params, key, num_episodes)
            first = found[first_opponent(env)]
            by_seed.append(
                {"return": first["return"], "score": first["win_rate"], "against": found}
            )
            unfinished += sum(tally["unfinished"] for tally in found.values())
            continue
        result = evaluate(policy, env, ppo.env_params, key, num_episodes)
        info = {name: x.astype(np.float64) for name, x in result.last_info.items()}
        score = score_of(recipe.env, info)
        score = result.returns if score is None else score
        by_seed.append({"return": float(result.returns.mean()), "score": float(score.mean())})
        unfinished += int((~result.finished).sum())
    return {
        "return_mean": float(np.mean([entry["return"] for entry in by_seed])),
        "score_mean": float(np.mean([entry["score"] for entry in by_seed])),
        "by_seed": by_seed,
        "eval_episodes": num_episodes * recipe.num_seeds,
        "unfinished": unfinished,
    }


def sparring(
    recipe: Recipe, ppo: PPO, game: Game[Any, Any, Any], runner: RunnerState
) -> np.ndarray:
    """Each seed's win rate against the first opponent, float64 [seeds], always in the same games:
    the score of policies that otherwise meet but themselves.
    """
    key = jax.random.fold_in(jax.random.key(recipe.seed), EVALUATION + 1)
    name = first_opponent(game)
    rates = []
    for index in range(recipe.num_seeds):
        policy = ppo.policy(one_seed(recipe, runner, index))
        found = play_opponents(policy, game, ppo.env_params, key, SPARRING_GAMES, (name,))
        rates.append(found[name]["win_rate"])
    return np.array(rates)


def describe_seeds(recipe: Recipe) -> str:
    if recipe.num_seeds == 1:
        return f"seed {recipe.seed}"
    return f"seeds {recipe.seed} to {recipe.seed + recipe.num_seeds - 1}"


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """All of it or nothing."""
    write_atomically(path, json.dumps(value, indent=2, default=str) + "\n")
