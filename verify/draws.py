"""The draws of recorded steps: which site, how often, and whether what was drawn is what is used.

A reference logs every draw that it consumes. Ours must consume each exactly once: say so, depend on
its value, and depend on no draw that was not due. What differs is told by the call site.

`N` transitions, flattened; a leaf is an array of the draws' pytree, `site` a name of `draw_sites`.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ..envs.core import Environment
from .record import Recording, calls_of
from .suite import Suite, SuiteError, Variant

STEP, RESET = "step", "reset"
ENOUGH = 30
"""Consumed draws that were exchanged before one may be called ignored."""
_TRIES = 8


@dataclasses.dataclass(frozen=True)
class Consumed:
    """Recorded transitions and the draws that the reference consumed in them.

    before: the reference's fields, [N, ...]; action: [N, ...]; draws, reset_draws: what
    `Suite.draws` makes of the log, leaves [N, ...]; count: kind -> site -> int [N].
    """

    before: Mapping[str, np.ndarray]
    action: np.ndarray
    draws: Any
    reset_draws: Any
    count: Mapping[str, Mapping[str, np.ndarray]]

    def of(self, kind: str) -> Any:
        return self.draws if kind == STEP else self.reset_draws


def consumed(suite: Suite, recording: Recording, sites: Sequence[str]) -> Consumed:
    """What a recording says of its draws. sites: the reference's `draw_sites`."""
    flat = calls_of(recording.draws)
    outcome = recording.outcome
    done = (outcome.terminated | outcome.truncated).reshape(-1).astype(np.int64)
    held = np.arange(flat.site.shape[1]) < flat.count[:, None]
    total = {site: (held & (flat.site == i)).sum(1) for i, site in enumerate(sites)}
    if flat.step_count is None:
        reset = {site: done * suite.reset_draws_used.get(site, 0) for site in sites}
    else:
        held &= np.arange(flat.site.shape[1]) >= flat.step_count[:, None]
        reset = {site: (held & (flat.site == i)).sum(1) for i, site in enumerate(sites)}
    draws, reset_draws = jax.tree.map(np.asarray, suite.draws(flat))
    compared = suite.compared_fields()
    return Consumed(
        before={
            name: value[:-1].reshape(-1, *value.shape[2:])
            for name, value in recording.snapshots.items()
            if name in compared
        },
        action=recording.action.reshape(-1, *recording.action.shape[2:]),
        draws=draws,
        reset_draws=reset_draws,
        count={STEP: {site: total[site] - reset[site] for site in sites}, RESET: reset},
    )


def leaves_by_site(draws: Any, sites: Sequence[str]) -> dict[str, list[str]]:
    """The names of the leaves that hold each site's draws: those that bear its name, or begin with
    it and a dot; with one site alone, all. Raises SuiteError for a leaf that belongs to none."""
    names = list(named_leaves(draws))
    if len(sites) == 1:
        return {sites[0]: names}
    found = {
        site: [name for name in names if name == site or name.startswith(f"{site}.")]
        for site in sites
    }
    if orphans := set(names) - {name for group in found.values() for name in group}:
        raise SuiteError(
            f"leaves {sorted(orphans)} of the draws bear no site's name; name each leaf after the "
            f"site that draws it, one of {list(sites)}"
        )
    return found


def named_leaves(tree: Any) -> dict[str, Any]:
    """The leaves of a pytree by their path, with dots."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


# -- each consumed exactly once


def check_consumption(
    suite: Suite, variant: Variant, recording: Recording, sites: Sequence[str], seed: int = 0
) -> list[dict[str, Any]]:
    """A row for each kind (step or reset) and site: how the draws were consumed on our side.

    variant, kind, site; consumed: draws of the reference; miscounted: transitions in which ours
    says another number; exchanged: consumed draws that were given another recorded value, ignored:
    whether that never changed anything; leaked: transitions that changed with a draw that was not
    due; holds; what: one line a fault, which names the site.
    """
    with jax.enable_x64(variant.x64):
        env, params = suite.environment(variant)
        made = consumed(suite, recording, sites)
        program = jax.jit(jax.vmap(_stepper(suite, env, params, sites)))
        dtype = env.action_space(params).dtype
        inputs = (made.before, made.action.astype(dtype), made.draws, made.reset_draws)
        result, used, done = program(*inputs)
        generator = np.random.default_rng(seed)
        rows = []
        for kind in (STEP, RESET):
            draws = made.of(kind)
            for site, names in leaves_by_site(draws, sites).items():
                theirs = made.count[kind][site]
                ours = np.asarray(used[site]) if kind == STEP else None
                due = theirs > 0
                row: dict[str, Any] = {
                    "variant": variant.name,
                    "kind": kind,
                    "site": site,
                    "consumed": int(theirs.sum()),
                    "miscounted": 0 if ours is None else int((ours != theirs).sum()),
                    "exchanged": 0,
                    "ignored": False,
                    "leaked": 0,
                }
                pool = _pool(made, kind, site, names)
                if names and all(len(values) for values in pool.values()):
                    other, differs = _exchanged(draws, pool, generator)
                    pair = (other, made.reset_draws) if kind == STEP else (made.draws, other)
                    changed = np.asarray(_differ(result, program(*inputs[:2], *pair)[0]))
                    row["exchanged"] = int((due & differs).sum())
                    row["ignored"] = row["exchanged"] >= ENOUGH and not changed[due].any()
                    ended = np.asarray(done) & (kind == RESET)  # ours alone, maybe: E2's business
                    row["leaked"] = int(changed[~due & ~ended].sum())
                rows.append(_judged(row, ours, theirs))
        return rows


def _judged(row: dict[str, Any], ours: np.ndarray | None, theirs: np.ndarray) -> dict[str, Any]:
    where = f"{row['variant']}: site {row['site']!r} of a {row['kind']}"
    what = []
    if ours is not None and row["miscounted"]:
        first = int(np.argmax(ours != theirs))
        what.append(
            f"{where} is consumed {ours[first]} times where the reference consumes "
            f"{theirs[first]} (in {row['miscounted']} transitions)"
        )
    if row["ignored"]:
        what.append(f"{where} is ignored: {row['exchanged']} other values changed nothing")
    if row["leaked"]:
        what.append(f"{where} is used in {row['leaked']} transitions where none is due")
    return {**row, "holds": not what, "what": what}


def _stepper(suite: Suite, env: Environment, params: Any, sites: Sequence[str]) -> Any:
    """(before, action, draws, reset draws) of one instance -> (what it shows, draws used, done)."""

    def step(before: Mapping[str, Array], action: Array, draws: Any, reset_draws: Any) -> Any:
        state = suite.state(before, params)
        *shown, info = env.step_with_draws(state, action, draws, reset_draws, params)
        used = {site: info["draws_used"].get(site, jnp.zeros((), jnp.int32)) for site in sites}
        terminated, truncated = shown[-2:]
        return shown, used, terminated | truncated

    return step


def _pool(made: Consumed, kind: str, site: str, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Recorded values of these leaves, [M, ...]: of this kind, or of the other one where this kind
    never draws from the site."""
    for donor in (kind, RESET if kind == STEP else STEP):
        due = made.count[donor][site] > 0
        leaves = named_leaves(made.of(donor))
        if due.any() and leaves.keys() >= set(names):
            break
    return {name: leaves[name][due] for name in names if name in leaves}


def _exchanged(
    draws: Any, pool: Mapping[str, np.ndarray], generator: np.random.Generator
) -> tuple[Any, np.ndarray]:
    """The draws with the pool's leaves taken from there, and where that gave another value, bool
    [N]."""
    leaves = named_leaves(draws)
    size, donors = (len(next(iter(group.values()))) for group in (leaves, pool))

    def same(pick: np.ndarray) -> np.ndarray:
        equal = [values[pick] == leaves[name] for name, values in pool.items()]
        return np.all([x.reshape(size, -1).all(1) for x in equal], axis=0)

    pick = generator.integers(donors, size=size)
    for _ in range(_TRIES):
        pick = np.where(same(pick), generator.integers(donors, size=size), pick)
    other = [pool[name][pick] if name in pool else leaf for name, leaf in leaves.items()]
    return jax.tree.unflatten(jax.tree.structure(draws), other), ~same(pick)


def _differ(a: Any, b: Any) -> Array:
    """bool [N]: whether any leaf differs; NaN equals NaN."""
    different = [
        ((x != y) & ((x == x) | (y == y))).reshape(len(x), -1).any(1)
        for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    ]
    return jnp.any(jnp.stack(different), axis=0)
