"""What of the generation a recording used, and how often."""

import functools
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...references.pokemon import VectorShowdown
from ..record import Recording
from .pokemon_teams import VOLATILE_ORDER

FOLDER = Path(__file__).parents[2] / "envs" / "pokemon" / "gen1"
STATUSES = ("asleep", "poisoned", "burned", "frozen", "paralysed")
"""By their codes from 1 on."""
STRUGGLE = 165
_PP_VALUES = 64
Counts = dict[str, int]


def content(recording: Recording) -> Mapping[str, Mapping[str, int]]:
    """Kinds: `move` that was paid for with PP, or Struggle that was chosen; `species`, `status` and
    `volatile` of active Pokemon, by steps; `end` of battles; `draw` by site. Moves and species that
    the teams brought are there even where nobody used them, volatiles where somebody had them."""
    before = {name: value[:-1] for name, value in recording.snapshots.items()}
    after = {name: value[1:] for name, value in recording.snapshots.items()}
    ended = recording.outcome.terminated
    names = _names()
    active = before["order"][..., :1]

    def of_active(name: str) -> np.ndarray:
        return np.take_along_axis(before[name], active, -1)[..., 0]

    status = of_active("status")
    reward = recording.outcome.reward[..., 0]
    ends = {"first wins": reward > 0, "second wins": reward < 0, "tie": ended & (reward == 0)}
    log = recording.draws
    sites = log.site[np.arange(log.site.shape[-1]) < log.count[..., None]]
    return {
        "move": _named(_moves(recording, before, after), names["moves"], before["team_moves"]),
        "species": _named(of_active("team_species"), names["species"], before["team_species"]),
        "status": {name: int((status == i + 1).sum()) for i, name in enumerate(STATUSES)},
        "volatile": {
            name: count
            for name, count in zip(
                VOLATILE_ORDER, before["volatiles"].sum((0, 1, 2)).tolist(), strict=True
            )
            if count
        },
        "end": {name: int(happened.sum()) for name, happened in ends.items()},
        "draw": _named(sites, dict(enumerate(VectorShowdown.draw_sites)), np.zeros(0, int)),
    }


def _moves(
    recording: Recording, before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]
) -> np.ndarray:
    """The moves that were used, int [n]."""
    goes_on = ~recording.outcome.terminated[..., None, None, None]
    same = before["moves"] == after["moves"]
    paid = (before["base_pp"] - after["base_pp"]) % _PP_VALUES == 1
    paid |= same & ((before["pp"] - after["pp"]) % _PP_VALUES == 1)
    used = before["moves"][paid & goes_on & (before["moves"] > 0)]
    chosen = (before["request"] == 1) & (after["last_selected_move"] == STRUGGLE)
    struggles = chosen & ~recording.outcome.terminated[..., None]
    struggles &= (recording.action >= 0) & (recording.action < before["moves"].shape[-1])
    return np.concatenate([used, np.full(struggles.sum(), STRUGGLE)])


def _named(numbers: np.ndarray, names: Mapping[int, str], expected: np.ndarray) -> Counts:
    """How often each number is there, those that are expected even where they are not."""
    counts = dict.fromkeys(np.unique(expected[expected > 0]).tolist(), 0)
    values, found = np.unique(numbers, return_counts=True)
    counts |= dict(zip(values.tolist(), found.tolist(), strict=True))
    return {names[number]: count for number, count in sorted(counts.items())}


@functools.cache
def _names() -> Mapping[str, Mapping[int, str]]:
    tables = json.loads((FOLDER / "tables.json").read_text())
    return {kind: {x["num"]: x["name"] for x in tables[kind]} for kind in ("moves", "species")}
