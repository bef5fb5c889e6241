# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
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
# instead; its figures are rough.
#
# *env*: uniformly random legal actions; *rollout*: a network acts; *ppo*: it also learns. Masks,
# randomness, resets and observations are inside the timed loop, and every observation is written to
# memory. The peer is timed in turns with ours on the same machine; the ratio is the median over
# pairs of runs.

# %%
import functools
import os
import tempfile
from pathlib import Path

import jax
import matplotlib.pyplot as plt
from IPython.display import Markdown, display

from simlift.references.core import ReferenceUnavailable
from simlift.references.pong import random_play
from simlift.train import throughput
from simlift.train.machine import available_cores
from simlift.train.throughput_report import load, markdown, place

QUICK = bool(os.environ.get("SIMLIFT_QUICK"))
RESULTS = Path("results")


# %%
def quick_bench(folder):
    """A result in `folder`, beside the C program where it can be built."""
    jax.config.update("jax_num_cpu_devices", available_cores())
    peers = []
    try:
        random_play(1, 1)
        peers = [
            throughput.Peer(
                name="pong.h (C)",
                run=functools.partial(random_play, threads=cores),
                cores=cores,
            )
            for cores in {1, available_cores()}
        ]
    except ReferenceUnavailable as reason:
        print(f"without the C program: {reason}")
    options = throughput.BenchOptions.quick()
    throughput.write(throughput.run(options, peers), folder / "quick.json")


paths = sorted(RESULTS.glob("*.json"))
if QUICK or not paths:
    scratch = tempfile.TemporaryDirectory()
    quick_bench(Path(scratch.name))
    paths = [Path(scratch.name) / "quick.json"]
results = {path.stem: load(path) for path in paths}

# %% [markdown]
# ## Tables

# %%
for name, result in results.items():
    display(Markdown(f"### {name}\n\n{markdown(result)}"))

# %% [markdown]
# ## Steps per second by batch
#
# The environment by itself. Dashed: the peer, at the batch it runs best at.


# %%
def plot_batches(axes, result):
    """One line for each frameskip and place."""
    rows = [row for row in result["rows"] if row["what"] == "env" and row["steps_per_s"]]
    for frameskip, where in sorted({(row["frameskip"], place(row)) for row in rows}):
        line = [row for row in rows if (row["frameskip"], place(row)) == (frameskip, where)]
        batches = [row["batch"] for row in line]
        label = f"frameskip {frameskip}, {where}"
        (drawn,) = axes.plot(batches, [row["steps_per_s"] for row in line], "o-", label=label)
        if all(row["peer"] for row in line):
            peer = [row["peer_steps_per_s"] for row in line]
            axes.plot(batches, peer, "--", color=drawn.get_color(), linewidth=0.8)
    axes.set_xscale("log", base=2)
    axes.set(yscale="log", xlabel="environments", ylabel="steps/s")
    axes.set_title(result["machine"]["device"], fontsize=9)
    axes.legend(fontsize=7)


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
