"""E1 of the randomness: do our samplers draw what the reference draws?

Where the reference consumed draws, ours are sampled from the same state and action. What was
recorded is compared with those of ours that our step consumes, for what is consumed may depend on
draws, as where a loop ends by what it drew: how often a draw is consumed, and its value, chi-square
for integers, Kolmogorov-Smirnov for real numbers, for each entry of each leaf of the draws and for
neighbouring entries jointly. Within our side a step's draws must not depend on those of its reset,
nor one instance's on the next one's. Over all these tests Benjamini-Hochberg keeps the chance of
any false alarm at `ALPHA`, if nothing is wrong.

`n` recorded draws of the reference, `m` of ours, `C` columns: the entries of the leaves.
"""

import dataclasses
import itertools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy import stats

from ..envs.core import Environment
from .draws import RESET, STEP, Consumed, check_consumption, consumed, leaves_by_site, named_leaves
from .record import Recording, record_policy
from .suite import Suite, Variant, derive_seed
from .two_samples import Finding, compare, independent, joint, successive, within

ALPHA = 1e-3
REPEATS = 4
"""Samples of ours for each recorded context."""
MAX_CONTEXTS = 100_000
MAX_PAIRS = 16
NUM_ENVS, NUM_STEPS = 256, 256

Progress = Callable[[str, float], None]


@dataclasses.dataclass(frozen=True)
class Contexts:
    """Where the reference consumed draws, by kind (step, reset).

    before, action: [n, ...], of the transitions in which any site did; theirs: column -> values
    [n]; due: column -> bool [n]; site: column -> the site that draws it; nth: column -> how many
    draws of that site come before it.
    """

    before: Mapping[str, Mapping[str, np.ndarray]]
    action: Mapping[str, np.ndarray]
    theirs: Mapping[str, Mapping[str, np.ndarray]]
    due: Mapping[str, Mapping[str, np.ndarray]]
    site: Mapping[str, Mapping[str, str]]
    nth: Mapping[str, Mapping[str, int]]


def gather(parts: Sequence[Consumed], sites: Sequence[str], seed: int = 0) -> Contexts:
    """The contexts of recordings of one variant, in random order, so that neighbours have nothing
    in common. Where no step draws anything, some steps all the same: resets may follow them.

    Raises SuiteError, see `leaves_by_site`.
    """
    generator = np.random.default_rng(seed)
    fields: dict[str, dict[str, Any]] = {
        name: {} for name in ("before", "action", "theirs", "due", "site", "nth")
    }
    for kind in (STEP, RESET):
        drew = np.concatenate([sum(part.count[kind].values()) for part in parts]) > 0
        rows = np.flatnonzero(drew) if drew.any() or kind == RESET else np.arange(drew.size)
        kept = generator.permutation(rows)[:MAX_CONTEXTS]

        def joined(values: Sequence[np.ndarray], kept: np.ndarray = kept) -> np.ndarray:
            return np.concatenate(values)[kept]

        by_site = leaves_by_site(parts[0].of(kind), sites)
        theirs, due, site_of, nth_of = {}, {}, {}, {}
        for site, names in by_site.items():
            count = joined([part.count[kind][site] for part in parts])
            for name in names:
                leaf = joined([named_leaves(part.of(kind))[name] for part in parts])
                entries = _entries(name, leaf)
                for i, (column, values) in enumerate(entries.items()):
                    # The i-th draw of a site is the i-th entry of the leaf that holds them.
                    nth = i if len(names) == 1 else 0
                    theirs[column], due[column] = values, count > nth
                    site_of[column], nth_of[column] = site, nth
        fields["before"][kind] = {
            name: joined([part.before[name] for part in parts]) for name in parts[0].before
        }
        fields["action"][kind] = joined([part.action for part in parts])
        fields["theirs"][kind], fields["due"][kind] = theirs, due
        fields["site"][kind], fields["nth"][kind] = site_of, nth_of
    return Contexts(**fields)


def _entries(name: str, leaf: Any) -> dict[str, Any]:
    """A leaf [..., n, *shape] of shape [n, *shape] as columns [n]."""
    if leaf.ndim == 1:
        return {name or "draw": leaf}
    flat = leaf.reshape(len(leaf), math.prod(leaf.shape[1:]))
    return {f"{name}[{i}]": flat[:, i] for i in range(flat.shape[1])}


Samples = dict[str, dict[str, tuple[Any, Any]]]
"""source -> column -> (our values [m], whether our step consumes them, bool [m]; what begins an
episode is always consumed); all columns of a source are of the same draws."""


def sample(
    suite: Suite, env: Environment, params: Any, contexts: Contexts, key: Array, repeats: int
) -> Samples:
    """Our draws in the recorded contexts, each `repeats` times: m = n * repeats.

    Pure and without a host, so that it can be vmapped over mutants. The sources: sample_draws;
    sample_reset_draws, at least as often; sample_step's two halves, as `step` takes them, at the
    contexts of a step.
    """
    samples: Samples = {}
    key_step, key_reset, key_both = jax.random.split(key, 3)
    size = len(contexts.action[STEP])
    if size:
        # Behind a barrier, lest the compiler spend its time on a program of constants.
        before, action = jax.lax.optimization_barrier(
            jax.tree.map(
                lambda x: np.tile(x, (repeats, *[1] * (x.ndim - 1))),
                (dict(contexts.before[STEP]), contexts.action[STEP]),
            )
        )
        action = action.astype(env.action_space(params).dtype)
        states = jax.vmap(suite.state, (0, None))(before, params)

        def consumed_of(draws: Any) -> dict[str, tuple[Any, Any]]:
            if not (columns := _columns(draws)):
                return {}
            _, outcome = jax.vmap(env.transition, (0, 0, 0, None))(states, action, draws, params)
            none = jnp.zeros(len(action), jnp.int32)
            site, nth = contexts.site[STEP], contexts.nth[STEP]
            used = {name: outcome.draws_used.get(site[name], none) for name in columns}
            return {name: (x, used[name] > nth[name]) for name, x in columns.items()}

        keys = jax.random.split(key_step, len(action))
        draws = jax.vmap(env.sample_draws, (0, 0, 0, None))(keys, states, action, params)
        samples["sample_draws"] = consumed_of(draws)
        keys = jax.random.split(key_both, len(action))
        draws, reset_draws = jax.vmap(env.sample_step, (0, 0, 0, None))(
            keys, states, action, params
        )
        samples["sample_step"] = consumed_of(draws)
        samples["sample_step, reset"] = _all_consumed(reset_draws)
    if size := max(size, len(contexts.action[RESET])):
        keys = jax.random.split(key_reset, size * repeats)
        draws = jax.vmap(env.sample_reset_draws, (0, None))(keys, params)
        samples["sample_reset_draws"] = _all_consumed(draws)
    return samples


def _all_consumed(draws: Any) -> dict[str, tuple[Any, Any]]:
    return {name: (x, jnp.ones(len(x), bool)) for name, x in _columns(draws).items()}


def _columns(draws: Any) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for name, leaf in named_leaves(draws).items():
        columns |= _entries(name, leaf)
    return columns


# -- a whole check


class SamplerCheck:
    """Gathers recordings of any of a suite's variants, then judges all of them together."""

    def __init__(self, suite: Suite, seed: int = 0, alpha: float = ALPHA) -> None:
        self.suite, self.seed, self.alpha = suite, seed, alpha
        self._parts: dict[str, tuple[Variant, tuple[str, ...], list[Consumed]]] = {}
        self._consumption: list[dict[str, Any]] = []

    def add(self, variant: Variant, sites: tuple[str, ...], recording: Recording) -> None:
        """sites: the reference's `draw_sites`. The first recording of a variant, and any in which
        a site is met for the first time, also shows how draws are consumed."""
        with jax.enable_x64(variant.x64):
            part = consumed(self.suite, recording, sites)
        parts = self._parts.setdefault(variant.name, (variant, sites, []))[2]
        if not parts or _met(part) - set().union(*map(_met, parts)):
            self._consumption += check_consumption(self.suite, variant, recording, sites, self.seed)
        parts.append(part)

    def result(self) -> dict[str, Any]:
        """holds; alpha; rows: variant, source, site, leaf, test, n, m, statistic, p, q, effect (the
        smallest seen with probability 0.9, in `unit`), holds; consumption: see `check_consumption`;
        what: one line a fault."""
        rows: list[dict[str, Any]] = []
        for name, (variant, sites, parts) in self._parts.items():
            with jax.enable_x64(variant.x64):
                contexts = gather(parts, sites, self.seed)
                env, params = self.suite.environment(variant)
                key = jax.random.key(derive_seed(self.seed, "samplers", name))
                samples = jax.jit(
                    lambda key, env=env, params=params, contexts=contexts: sample(
                        self.suite, env, params, contexts, key, REPEATS
                    )
                )(key)
            rows += [{"variant": name, **row} for row in judge(contexts, jax.device_get(samples))]
        rows = adjusted(rows, self.alpha)
        what = [line for row in self._consumption for line in row["what"]]
        what += [
            f"{row['variant']}: {row['source']} of site {row['site']!r} ({row['leaf']}) fails "
            f"{row['test']}, p = {row['p']:.1e}"
            for row in rows
            if not row["holds"]
        ]
        return {
            "holds": not what,
            "alpha": self.alpha,
            "rows": rows,
            "consumption": self._consumption,
            "what": what,
        }


def _met(part: Consumed) -> set[tuple[str, str]]:
    """The kinds and sites that were drawn from."""
    return {
        (kind, site)
        for kind, by_site in part.count.items()
        for site, count in by_site.items()
        if count.any()
    }


def check_samplers(
    suite: Suite,
    seed: int = 0,
    num_envs: int = NUM_ENVS,
    num_steps: int = NUM_STEPS,
    progress: Progress = lambda what, done: None,
) -> dict[str, Any]:
    """`SamplerCheck` over recordings of its own: every policy of every variant plays `num_steps`.

    As `SamplerCheck.result`, and seconds. Raises ReferenceUnavailable.
    """
    started = time.perf_counter()
    check = SamplerCheck(suite, seed)
    cells = [
        (v, name, policy) for v in suite.variants for name, policy in suite.policies(v).items()
    ]
    for i, (variant, name, policy) in enumerate(cells):
        progress(f"E1 {variant.name}, {name}", i / len(cells))
        policy_seed = derive_seed(seed, "samplers", variant.name, name)
        with suite.reference(variant, num_envs) as reference:
            *_, recording = next(
                record_policy(suite, reference, policy, policy_seed, num_steps, stop_after=1)
            )
            check.add(variant, reference.draw_sites, recording)
    return {**check.result(), "seconds": time.perf_counter() - started}


class SamplerKiller:
    """Which mutants of the samplers does E1 see? `samples` is pure, to be vmapped over mutants;
    `killed` judges what it gave."""

    def __init__(self, suite: Suite, contexts: Contexts, key: Array, alpha: float = ALPHA) -> None:
        self.suite, self.contexts, self.key, self.alpha = suite, contexts, key, alpha

    def samples(self, env: Environment, params: Any) -> Samples:
        """Columns [m], one sample a context, under the variant's x64."""
        return sample(self.suite, env, params, self.contexts, self.key, 1)

    def killed(self, samples: Samples) -> np.ndarray:
        """bool [M] of columns [M, m]."""
        samples = jax.device_get(samples)
        size = len(jax.tree.leaves(samples)[0])
        verdicts: dict[bytes, bool] = {}  # most mutants leave the samplers alone
        killed = np.zeros(size, bool)
        for i in range(size):
            one = jax.tree.map(lambda x: x[i], samples)  # noqa: B023
            identity = b"".join(x.tobytes() for x in jax.tree.leaves(one))
            if identity not in verdicts:
                rows = adjusted(judge(self.contexts, one), self.alpha)
                verdicts[identity] = not all(row["holds"] for row in rows)
            killed[i] = verdicts[identity]
        return killed


# -- the verdicts, on the host


def judge(contexts: Contexts, samples: Samples) -> list[dict[str, Any]]:
    """Every test, without q: dicts of source, site, leaf, and the fields of `Finding`."""
    rows: list[dict[str, Any]] = []

    def add(source: str, site: str, leaf: str, test: Finding) -> None:
        rows.append({"source": source, "site": site, "leaf": leaf, **vars(test)})

    for source, columns in samples.items():
        kind = RESET if "reset" in source else STEP
        theirs, due, sites = (getattr(contexts, f)[kind] for f in ("theirs", "due", "site"))
        known = [column for column in theirs if column in columns and due[column].any()]
        for column in known:
            values, here = (np.asarray(x) for x in columns[column])
            if not (due[column].all() and here.all()) and kind == STEP:
                test = dataclasses.replace(compare(due[column], here), test="consumption")
                add(source, sites[column], column, test)
            if not here.any():
                continue
            recorded = theirs[column][due[column]]
            add(source, sites[column], column, compare(recorded, values[here]))
            add(source, sites[column], column, within(recorded, values[here]))
            add(source, sites[column], column, successive(values, here))
        for a, b in itertools.islice(itertools.pairwise(known), MAX_PAIRS):
            both = due[a] & due[b]
            here = np.asarray(columns[a][1]) & np.asarray(columns[b][1])
            if both.any() and here.any():
                recorded = np.stack([theirs[a][both], theirs[b][both]], 1)
                ours = np.stack([np.asarray(columns[c][0])[here] for c in (a, b)], 1)
                add(source, sites[a], f"{a}, {b}", joint(recorded, ours))
    if "sample_step" in samples:
        step, reset = samples["sample_step"], samples["sample_step, reset"]
        for a, b in itertools.islice(itertools.product(step, reset), MAX_PAIRS):
            ours, others = np.asarray(step[a][0]), np.asarray(reset[b][0])
            test = independent(ours, others, "step and reset")
            add("sample_step", contexts.site[STEP][a], f"{a}, {b} of the reset", test)
        # Recordings may hold few resets or none; one of our samplers is then held to the other.
        for column, (ours, _) in samples["sample_reset_draws"].items():
            test = compare(np.asarray(ours), np.asarray(reset[column][0]))
            test = dataclasses.replace(test, test=f"{test.test}, beside sample_reset_draws")
            add("sample_step, reset", contexts.site[RESET][column], column, test)
    return rows


def adjusted(rows: list[dict[str, Any]], alpha: float = ALPHA) -> list[dict[str, Any]]:
    """The rows with q, holds and the effect in numbers, judged together."""
    if not rows:
        return []
    q = stats.false_discovery_control([row["p"] for row in rows])
    return [
        {
            **row,
            "q": float(value),
            "holds": bool(value >= alpha),
            "effect": row["effect"](alpha / len(rows)),
        }
        for row, value in zip(rows, q, strict=True)
    ]
