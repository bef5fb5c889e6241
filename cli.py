"""The command line: `simlift COMMAND --help`.

Exit codes: 0, it holds; 1, it does not; 2, it could not be run, and one line says what is missing.
"""

import contextlib
import dataclasses
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import jax
import rich.progress
import tyro
from rich.console import Console
from rich.table import Table

from .envs.animation import record_episode, save_animation
from .envs.files import write_atomically
from .envs.registry import list_environments, make
from .peers import find_benchmark, find_peers
from .references.core import ReferenceUnavailable
from .train import (
    RunOptions,
    TrainingError,
    load_policy,
    machine,
    throughput,
    throughput_report,
)
from .train import run as training
from .train.presets import PRESETS
from .verify import certificate, runner
from .verify.play import play_in_reference, summary
from .verify.report import write_report
from .verify.story import Story
from .verify.suite import Variant
from .verify.suites import get_suite, list_suites

HOLDS, FAILS, CANNOT = 0, 1, 2
EXPECTED = (ReferenceUnavailable, TrainingError, ValueError, OSError, ImportError)

Environment = Annotated[str, tyro.conf.Positional]


class Screen:
    """What a person reads. With --json it goes to standard error, and the JSON alone to output."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        console = Console(stderr=as_json)
        # A file or a pipe has no width of its own: tables are not folded for it.
        self.console = console if console.is_terminal else Console(stderr=as_json, width=200)

    def finish(self, result: dict[str, Any] | list[Any], holds: bool = True) -> int:
        if self.as_json:
            sys.stdout.write(json.dumps(result) + "\n")
        return HOLDS if holds else FAILS

    @contextlib.contextmanager
    def progress(self) -> Iterator[Callable[[str, float], None]]:
        """A bar; call what it gives with (what is being done, how much of it is done: 0 .. 1)."""
        with rich.progress.Progress(
            rich.progress.TextColumn("{task.description:<44}"),
            rich.progress.BarColumn(),
            rich.progress.TimeElapsedColumn(),
            console=self.console,
            transient=True,
        ) as bar:
            task = bar.add_task("", total=1.0)
            yield lambda what, done: bar.update(task, description=what, completed=done)


@dataclasses.dataclass(frozen=True)
class List:
    """The environments that there are, and what can be done with each.

    Example: simlift list
    """

    json: bool = False
    """Print one JSON object and nothing else."""

    def run(self, screen: Screen) -> int:
        """Print the table."""
        short = short_names()
        rows: list[dict[str, Any]] = [
            {
                "env": short.get(name, name),
                "name": name,
                "version": make(name)[0].version,
                "verify": short.get(name) in list_suites(),
                "presets": {
                    preset: recipe.about
                    for preset, recipe in PRESETS.get(short.get(name, ""), {}).items()
                },
            }
            for name in list_environments()
        ]
        table = Table("env", "make(...)", "version", "verified against", "train presets")
        for row in rows:
            suite = get_suite(row["env"]) if row["verify"] else None
            against = f"{suite.reference_name} {suite.reference_version}" if suite else "-"
            presets = "\n".join(f"{preset}: {about}" for preset, about in row["presets"].items())
            table.add_row(row["env"], row["name"], str(row["version"]), against, presets)
        if not screen.as_json:
            screen.console.print(table)
        return screen.finish({"environments": rows})


@dataclasses.dataclass(frozen=True)
class Verify:
    """Compare an environment with its reference, level by level, and write a report.

    Example: simlift verify pong --episodes 2000 --seed 12345 --json
    """

    env: Environment
    """An environment with a suite (pong), or module:attribute for a suite of your own."""
    episodes: int = 200
    """Whole games for each variant, spread over its policies."""
    seed: int | None = None
    """Of everything random on both sides; drawn once the environment's sources are fixed, unless
    given."""
    levels: Annotated[tuple[str, ...], tyro.conf.arg(aliases=["--level"])] = runner.LEVELS
    """Of L0 (hazards), L1 (properties), L2 (scenarios), L3 (rollouts: E2 and E3), targeted (the
    same with trained policies and an explorer), E1 (samplers), floats, coverage, L4 (transfer),
    mutants; or all, which also writes a certificate."""
    out: Path | None = None
    """Folder for report.html and result.json; runs/verify-ENV by default."""
    bank: Path | None = None
    """Folder of the regression bank; by default the package's own."""
    json: bool = False
    """Print one JSON object and nothing else."""

    def run(self, screen: Screen) -> int:
        """Verify, write both files, and show the table of levels."""
        suite = get_suite(self.env)
        out = self.out or Path("runs") / f"verify-{self.env.replace(':', '-')}"
        bank = self.bank or (runner.BANK if writable(runner.BANK) else out / "regressions")
        levels = runner.ALL_LEVELS if "all" in self.levels else self.levels
        options = runner.Options(
            episodes=self.episodes, seed=self.seed, levels=levels, bank=bank, isolated=True
        )
        out.mkdir(parents=True, exist_ok=True)
        with screen.progress() as progress:
            result = runner.verify(suite, options, progress)
            progress("report", 1.0)
            report = write_report(suite, result, out / "report.html")
        result["report"] = str(report)
        if levels == runner.ALL_LEVELS:
            shown = certificate.statement(result, suite)
            result["certificate"] = str(certificate.write(shown, out / "certificate.json"))
        write_atomically(out / "result.json", json.dumps(result, indent=1))
        if not screen.as_json:
            show_verification(screen.console, result)
        return screen.finish(result, result["holds"])


@dataclasses.dataclass(frozen=True)
class Replay:
    """Play a kept divergence on both sides, step by step.

    Example: simlift replay verify/regressions/pong/0123456789ab.json
    """

    tape: Annotated[Path, tyro.conf.Positional]
    """A tape that `simlift verify` wrote."""
    json: bool = False
    """Print one JSON object and nothing else."""

    def run(self, screen: Screen) -> int:
        """Show each step's fields, those that differ first."""
        result = runner.replay(self.tape)
        if not screen.as_json:
            for step in result["steps"]:
                table = Table("field", "reference", "ours", title=f"step {step['step']}")
                fields = sorted(step["fields"].items(), key=lambda item: not item[1]["differs"])
                for name, value in fields:
                    style = "bold red" if value["differs"] else ""
                    both = str(value["reference"]), str(value["ours"])
                    table.add_row(name, *both, style=style)
                screen.console.print(table)
            screen.console.print(f"{result['mismatches']} of {len(result['steps'])} steps differ")
        return screen.finish(result, result["holds"])


@dataclasses.dataclass(frozen=True)
class Train:
    """Train with PPO, then play whole episodes, also in the reference where there is one.

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
        result = training.run(RunOptions(**options), screen.console)
        result["reference"] = evaluate_in_reference(result, self.eval_episodes, self.seed)
        if self.video:
            save_episode(result, self.video, self.seed)
            result["video"] = str(self.video)
        write_atomically(Path(result["out"]) / "summary.json", json.dumps(result, indent=1))
        if not screen.as_json:
            show_training(screen.console, result)
        return screen.finish(result)


@dataclasses.dataclass(frozen=True)
class Bench:
    """Measure steps per second beside other programs on the same machine in the same minutes.

    MJX and Brax run in processes of their own, with the Python that SIMLIFT_PEER_PYTHON names.

    Example: simlift bench pong --batch 1024,4096,65536 --out bench.json
    """

    env: Environment = "pong"
    """An environment with a benchmark: cart_pole, half_cheetah or pong."""
    batch: str = "1024,4096,65536"
    """Environments side by side, a list with commas."""
    what: str = ",".join(throughput.KINDS)
    """Of env (random legal actions), rollout (a policy acts), ppo (it also learns)."""
    peers: str = "all"
    """Who is timed beside it: all, none, or names with commas; another name lists them."""
    frameskip: str | None = None
    """Pong: frames a step, a list with commas; 1,8 unless given."""
    kernel: str | None = None
    """Half-cheetah: what the physics runs as, a list with commas; auto,jnp unless given."""
    repeats: int = 5
    """Timed runs of a figure; the median counts."""
    quick: bool = False
    """Rough figures: two batches, one policy, short runs."""
    out: Path | None = None
    """File for the result."""
    out_dir: Path | None = None
    """Folder for the result, named after the device, instead of `out`."""
    json: bool = False
    """Print one JSON object and nothing else."""

    def run(self, screen: Screen) -> int:
        """Measure and show the table."""
        benchmark = find_benchmark(self.env)
        names = benchmark.peer_names(self.peers)
        variants = benchmark.variants(
            frameskip=numbers(self.frameskip) if self.frameskip else None,
            kernel=self.kernel.split(",") if self.kernel else None,
        )
        batches = numbers(self.batch)
        jax.config.update("jax_num_cpu_devices", machine.available_cores())
        if names:
            # Both before JAX first computes: peers need some of an accelerator's memory, too.
            os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        accelerator = jax.default_backend() != "cpu"
        make_options = throughput.BenchOptions.quick if self.quick else throughput.BenchOptions
        changes: dict[str, Any] = {} if accelerator else dict(benchmark.cpu_options)
        if not self.quick:
            changes |= {"batches": batches, "repeats": self.repeats}
        options = make_options(
            env=benchmark.env, variants=variants, what=tuple(self.what.split(",")), **changes
        )
        peers, missing = find_peers(benchmark, names, variants, accelerator)
        for name, reason in missing.items():
            screen.console.print(f"measuring without {name}: {reason}", markup=False)
        with contextlib.ExitStack() as stack:
            for peer in peers:
                stack.callback(peer.close)
            progress = stack.enter_context(screen.progress())
            result = throughput.run(
                options,
                peers,
                lambda done, total, what: progress(what, done / total),
            )
        result["missing_peers"] = missing
        if path := self.out or (self.out_dir and self.out_dir / result_name(self.env, result)):
            throughput.write(result, path)
        if not screen.as_json:
            screen.console.print(throughput_report.table(result))
        return screen.finish(result)


@dataclasses.dataclass(frozen=True)
class Transfer:
    """Train policies on both sides, play each on both, and test whether the returns are equivalent.

    Example: simlift transfer pong --seed 1
    """

    env: Environment
    """An environment whose suite says what to train, or module:attribute."""
    seed: int = 0
    """Of training and playing."""
    seeds: int | None = None
    """Policies trained on each side, instead of the plan's."""
    episodes: int | None = None
    """Pairs of episodes, instead of the plan's."""
    total_steps: int | None = None
    """Environment steps of each training run, instead of the plan's."""
    alpha: float = 0.05
    """Of each test."""
    early_stop: bool = False
    """Stop playing as soon as the bets have declared equivalence."""
    json: bool = False
    """Print one JSON object and nothing else."""

    def run(self, screen: Screen) -> int:
        """Train, play, and show each comparison with its power."""
        from .verify.transfer import TransferOptions, transfer
        from .verify.transfer.level import planned

        options = TransferOptions(
            seeds=self.seeds,
            episodes=self.episodes,
            total_steps=self.total_steps,
            alpha=self.alpha,
            early_stop=self.early_stop,
        )
        suite = get_suite(self.env)
        planned(suite, options)  # says what is wrong before anything is shown
        with screen.progress() as progress:
            result = transfer(suite, self.seed, options, progress)
        if not screen.as_json:
            show_transfer(screen.console, result)
        return screen.finish(result, result["holds"])


@dataclasses.dataclass(frozen=True)
class Prove:
    """Prove that a rewritten function of an environment computes what the old one does, or show
    inputs for which it does not.

    Example: simlift prove pong dynamics move_opponent faster.py:move_opponent
    """

    env: Environment
    """An environment whose suite declares a domain, or module:attribute."""
    module: Annotated[str, tyro.conf.Positional]
    """Module of the environment that holds the function, e.g. dynamics."""
    old: Annotated[str, tyro.conf.Positional]
    """The function as it is: its name, or path.py:function."""
    new: Annotated[str, tyro.conf.Positional]
    """What is to take its place: path.py:function, path.py, or a function of the module."""
    range: tuple[str, ...] = ()
    """name=low:high[:dtype] of arguments that the domain does not know."""
    variant: tuple[str, ...] = ()
    """Variants to prove it for; all of the suite's, unless named."""
    timeout: float = 60.0
    """Seconds for the solver, each variant."""
    json: bool = False
    """Print one JSON object and nothing else."""

    def run(self, screen: Screen) -> int:
        """Prove, and show the verdict of each variant."""
        from .verify.prove.rewrite import prove_rewrite

        result = prove_rewrite(
            get_suite(self.env),
            self.module,
            self.old,
            self.new,
            ranges=self.range,
            variants=self.variant,
            timeout_s=self.timeout,
        )
        if not screen.as_json:
            for row in result["variants"]:
                line = f"{row['variant']}: {row['kind']} in {row['seconds']:.1f} s, {row['reason']}"
                screen.console.print(line, markup=False)
                for name, (dtype, value) in (row["inputs"] or {}).items():
                    screen.console.print(f"  {name} = {value} ({dtype})", markup=False)
        code = screen.finish(result, bool(result["holds"]))
        return CANNOT if result["holds"] is None else code


@dataclasses.dataclass(frozen=True)
class Certificate:
    """Show what a certificate says, or check that it still stands.

    Checking says what has changed since, and plays a random sample of the rollouts again.

    Example: simlift certificate check pong
    """

    action: Annotated[Literal["check", "show"], tyro.conf.Positional]
    """check or show."""
    name: Annotated[str, tyro.conf.Positional]
    """An environment that has a certificate, or the file of one."""
    share: float = 0.2
    """Of the rollouts that are played again."""
    json: bool = False
    """Print one JSON object and nothing else."""

    def run(self, screen: Screen) -> int:
        """Check or show."""
        path = Path(self.name)
        if path.suffix != ".json":
            path = certificate.FOLDER / f"{self.name}.json"
        found = certificate.read(path)
        predicate = found["predicate"]
        if self.action == "show":
            if not screen.as_json:
                show_verification(screen.console, predicate)
            return screen.finish(found, predicate["holds"])
        suite = get_suite(predicate["env"])
        with screen.progress() as progress:
            result = certificate.check(found, suite, share=self.share, progress=progress)
        if not screen.as_json:
            for row in result["stale"]:
                screen.console.print(f"{row['what']}: was {row['then']}, is {row['now']}")
            for line in result["wrong"]:
                screen.console.print(line, markup=False)
            cells = len(result["sampled"])
            verdict = "stands" if result["holds"] else "does not stand: verify again"
            screen.console.print(
                f"{path.name} {verdict}; {cells} rollouts of {result['compared']:,} transitions "
                "played again"
            )
        return screen.finish(result, result["holds"])


COMMANDS: dict[str, Callable[..., Any]] = {
    "list": List,
    "verify": Verify,
    "replay": Replay,
    "train": Train,
    "bench": Bench,
    "transfer": Transfer,
    "prove": Prove,
    "certificate": Certificate,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    command = tyro.extras.subcommand_cli_from_dict(
        COMMANDS,
        args=arguments,
        prog="simlift",
        description="Slow simulators lifted onto the accelerator, and proved to be the same.",
    )
    screen = Screen(command.json)
    try:
        return command.run(screen)
    except EXPECTED as error:
        if os.environ.get("SIMLIFT_DEBUG"):
            traceback.print_exc()
        why = error.strerror if isinstance(error, OSError) and not error.filename else str(error)
        sys.stderr.write(f"simlift: {' '.join(str(why).split())}\n")
        return CANNOT
    except KeyboardInterrupt:
        sys.stderr.write("simlift: interrupted\n")
        return 130


# -- parts


def show_verification(console: Console, result: dict[str, Any]) -> None:
    """The rows of each level added up, then every story."""
    table = Table("level", "rows", "compared", "mismatches", "seconds")
    for level in dict.fromkeys(row["level"] for row in result["levels"]):
        rows = [row for row in result["levels"] if row["level"] == level]
        sums = [sum(row[key] for row in rows) for key in ("count", "mismatches", "seconds")]
        table.add_row(level, str(len(rows)), f"{sums[0]:,}", f"{sums[1]:,}", f"{sums[2]:.1f}")
    console.print(table)
    for row in result["levels"]:
        for line in row["what"]:
            console.print(f"{row['level']} {row['variant']} {row['policy']}: {line}", markup=False)
    for story in result.get("divergences", ()):
        console.print(Story(**story).text(), markup=False)
    reference = f"{result['reference']['name']} {result['reference']['version']}"
    if result["holds"]:
        claim = result["claim"]
        bound = claim["mismatch_rate_at_most"]
        said = f"claim {claim['class']}" if claim["class"] else "no claim without L3"
        said += f", at most {bound:.1e} of transitions differ (95 %)" if bound else ""
        console.print(
            f"{result['env']} equals {reference} on {result['compared']:,} transitions: {said}"
        )
    else:
        console.print(f"{result['env']} differs from {reference}")
    for key in ("report", "certificate"):
        if key in result:
            console.print(f"{key}: {result[key]}", soft_wrap=True)


def show_transfer(console: Console, result: dict[str, Any]) -> None:
    """Each comparison: the gap, what was tested against, and what would have been seen."""
    columns = (
        "axis",
        "comparison",
        "n",
        "gap",
        "bounds",
        "margin",
        "power",
        "seen from",
        "verdict",
    )
    table = Table(*columns)
    for row in result["rows"]:
        verdict = "equivalent" if row["equivalent"] else "not shown"
        table.add_row(
            *(row["axis"], row["what"], str(row["n"]), f"{row['gap']:.3g}"),
            *(f"{row['low']:.3g} .. {row['high']:.3g}", f"{row['margin']:.3g}"),
            *(f"{row['power']:.3f}", f"{row['smallest_gap']:.3g}"),
            verdict if row["counts"] else f"({verdict}; for comparison)",
        )
    console.print(table)
    console.print(
        f"{result['env']}, {result['variant']}: trained policies earn {result['trained']:.4g}, "
        f"random ones {result['random']:.4g}; margins are parts of that span"
    )
    at = result["bets"]["declared_at"]
    told = f"declare equivalence after {at} pairs" if at else "do not declare equivalence"
    console.print(f"the bets, which may be looked at after every pair, {told}")
    console.print("transfers" if result["holds"] else "does not transfer, or too little was played")


def show_training(console: Console, result: dict[str, Any]) -> None:
    """Where the run lies, how fast it was, and how well it plays on both sides."""
    console.print(f"{result['steps']:,} steps in {result['seconds']:.1f} s: {result['out']}")
    console.print(f"score in JAX: {result['score_mean']:+.2f}")
    if result["reference"]:
        played = result["reference"]
        console.print(f"score in {played['name']}: {played['score']['mean']:+.2f}")
    for key in ("curve", "video"):
        if key in result:
            console.print(f"{key}: {result[key]}", soft_wrap=True)


def short_names() -> dict[str, str]:
    """The command line's name of every environment that has one, by the name `make` knows."""
    return {preset.env: name for name, presets in PRESETS.items() for preset in presets.values()}


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
    played = play_in_reference(suite, variant, policy, episodes, seed)
    return {
        "name": suite.reference_name,
        "version": suite.reference_version,
        "score": summary(played.scores),
        "return": summary(played.returns),
    }


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


def numbers(text: str) -> tuple[int, ...]:
    """Positive integers from a list with commas; ValueError says what is wrong."""
    try:
        values = tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise ValueError(f"{text!r} is not a list of integers such as 1024,4096") from error
    return values


def result_name(env: str, result: dict[str, Any]) -> str:
    """pong-nvidia-h200.json"""
    device = "".join(c if c.isalnum() else "-" for c in result["machine"]["device"].lower())
    return f"{env}-{'-'.join(filter(None, device.split('-')))}.json"


def writable(folder: Path) -> bool:
    """Whether files can be put into `folder`, which may not exist yet."""
    while not folder.exists():
        folder = folder.parent
    return os.access(folder, os.W_OK)


if __name__ == "__main__":
    raise SystemExit(main())
