# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Throughput
#
# Environment steps per second, from the result files that `simlift bench` wrote into `results/`.
# Where there are none, and in the quick form (`SIMLIFT_QUICK=1`), a small benchmark runs here
# instead; its figures are rough. *env steps* are calls of `step`; each is `frameskip` frames, or
# *physics steps*.
#
# *env*: uniformly random legal actions; *rollout*: a network acts; *ppo*: it also learns. Masks,
# randomness, resets and observations are inside the timed loop, and every observation is written to
# memory. Peers are timed in turns with ours on the same machine; the ratio is the median over pairs
# of runs.

# %%
import os
import tempfile
from pathlib import Path

import jax
import matplotlib.pyplot as plt
from IPython.display import Markdown, display

from simlift.peers import find_benchmark, find_peers
from simlift.train import throughput
from simlift.train.machine import available_cores
from simlift.train.throughput_report import load, markdown, place

QUICK = bool(os.environ.get("SIMLIFT_QUICK"))
RESULTS = Path("results")
QUICK_RUNS = {
    "pong": (("pong.h",), {}),
    "half_cheetah": (("mujoco-c",), {"what": ("env",), "batches": (1024,)}),
}
"""Which peers, and what differs from the quick form of a benchmark, by environment."""


# %%
def quick_bench(folder):
    """Results in `folder`, beside the peers that are installed."""
    jax.config.update("jax_num_cpu_devices", available_cores())
    for name, (names, changes) in QUICK_RUNS.items():
        benchmark = find_benchmark(name)
        options = throughput.BenchOptions.quick(env=benchmark.env, **changes)
        peers, missing = find_peers(benchmark, names, options.variants, accelerator=False)
        for peer, reason in missing.items():
            print(f"without {peer}: {reason}")
        throughput.write(throughput.run(options, peers), folder / f"{name}.json")
        for peer in peers:
            peer.close()


paths = sorted(RESULTS.glob("*.json"))
if QUICK or not paths:
    scratch = tempfile.TemporaryDirectory()
    quick_bench(Path(scratch.name))
    paths = sorted(Path(scratch.name).glob("*.json"))
results = {path.stem: load(path) for path in paths}

# %% [markdown]
# ## Tables

# %%
for name, result in results.items():
    display(Markdown(f"### {name}\n\n{markdown(result)}"))

# %% [markdown]
# ## Steps per second by batch
#
# The environment by itself. Dashed: the peers, those with a batch of their own at that.


# %%
def plot_batches(axes, result):
    """A line for each frameskip and place, ours and every peer's."""
    lines = {}
    for row in result["rows"]:
        if row["what"] != "env":
            continue
        where = f"frameskip {row['frameskip']}, {place(row)}"
        if row["steps_per_s"]:
            lines.setdefault((where, "-"), {})[row["batch"]] = row["steps_per_s"]
        if row["peer_steps_per_s"]:
            beside = lines.setdefault((f"{row['peer']}, {where}", "--"), {})
            beside[row["batch"]] = row["peer_steps_per_s"]
    for (label, style), speeds in lines.items():
        axes.plot(speeds.keys(), speeds.values(), f"o{style}", markersize=3, label=label)
    axes.set_xscale("log", base=2)
    axes.set(yscale="log", xlabel="environments", ylabel="env steps/s")
    axes.set_title(f"{result['rows'][0]['env']}, {result['machine']['device']}", fontsize=9)
    axes.legend(fontsize=6)


figure, all_axes = plt.subplots(
    1, len(results), figsize=(5 * len(results), 3.5), dpi=80, layout="constrained", squeeze=False
)
for axes, result in zip(all_axes[0], results.values(), strict=True):
    plot_batches(axes, result)
plt.show()

# %% [markdown]
# ## What else it costs
#
# Seconds to compile, against how fast the program then is. Every point is a row of the tables.

# %%
figure, axes = plt.subplots(figsize=(5, 3.5), dpi=80, layout="constrained")
for kind in throughput.KINDS:
    rows = [
        row
        for result in results.values()
        for row in result["rows"]
        if row["what"] == kind and row["steps_per_s"]
    ]
    axes.plot(
        [row["compile_s"] for row in rows], [row["steps_per_s"] for row in rows], "o", label=kind
    )
axes.set(yscale="log", xlabel="seconds to compile", ylabel="steps/s")
axes.legend()
plt.show()
