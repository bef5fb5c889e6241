"""`simlift bench`."""

import contextlib
import dataclasses
import os
from pathlib import Path
from typing import Any

import jax

from ..peers import find_benchmark, find_peers
from ..train import machine, throughput, throughput_report
from .screen import Environment, Screen


@dataclasses.dataclass(frozen=True)
class Bench:
    """Measure steps per second beside other programs on the same machine in the same minutes.

    MJX and Brax run in processes of their own, with the Python that SIMLIFT_PEER_PYTHON names.

    Example: simlift bench pong --batch 1024,4096,65536 --out bench.json
    """

    env: Environment = "pong"
    """An environment with a benchmark: cart_pole, half_cheetah, pokemon or pong."""
    batch: str = "1024,4096,65536"
    """Environments side by side, a list with commas."""
    what: str | None = None
    """Of env (random legal actions), rollout (a policy acts), ppo (it also learns), dynamics (env
    without observations), a list with commas; unless given, those that suit the environment."""
    peers: str = "all"
    """Who is timed beside it: all, none, or names with commas; another name lists them."""
    frameskip: str | None = None
    """Pong: frames a step, a list with commas; 1,8 unless given."""
    kernel: str | None = None
    """Half-cheetah, pokemon: what the step runs as, a list with commas; auto,jnp unless given."""
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
            env=benchmark.env,
            variants=variants,
            what=tuple(self.what.split(",")) if self.what else benchmark.what,
            **changes,
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
