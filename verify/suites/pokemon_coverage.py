"""What of Showdown's generation 1 must be reached by compared transitions.

The scenarios alone reach all of it; play adds nothing to what is waived. `rulesets.js` is left out:
its functions are rules of formats that are none of ours.
"""

import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...references.core import Outcome, Snapshot
from ...references.pokemon.install import PACKAGE, installed
from ..coverage import CoveragePlan, Source, Waiver

MOD = "data/mods/gen1/"
SCRIPTS, MOVES, CONDITIONS = (f"{MOD}{name}.js" for name in ("scripts", "moves", "conditions"))
CORE = ("battle", "battle-actions", "battle-queue", "field", "pokemon", "side")
"""Of sim/: every generation goes through these files, so none is demanded in full."""

_LOADS = "runs when the file is loaded"
_BUNDLE = dict.fromkeys(("__export", "__copyProps", "get", "__toCommonJS"), _LOADS)
_LATER = "of later generations, no move, ability or item of this one has it"
_CALLERS = "guards what all callers make sure of"
_BEFORE = "asked again here, it was answered before"
_TARGET = "no move of this generation changes its target as it is used"
_ONE_STAGE = "accuracy and evasion change by one stage at a time, and not at the sixth"
_FAINTED = "whoever faints ends the turn, so nobody acts after it or at it"


def _path(name: str) -> Path:
    return installed() / "node_modules" / PACKAGE / "dist" / name


def _source(name: str, excluded: Mapping[str, str], demanded: bool = True) -> Source:
    path = functools.partial(_path, name)
    return Source(name=name, path=path, excluded=excluded, demanded=demanded)


_MEAN_LOOK = "of Mean Look and Spider Web, which generation 2 brought"
SOURCES = (
    _source(SCRIPTS, {**_BUNDLE, "Scripts": _LOADS, "init": _LOADS}),
    _source(MOVES, {**_BUNDLE, "Moves": _LOADS}),
    _source(CONDITIONS, {**_BUNDLE, "Conditions": _LOADS, "onTrapPokemon": _MEAN_LOOK}),
    *(_source(f"sim/{name}.js", {}, demanded=False) for name in CORE),
)


def _in_scripts(line: int, text: str, why: str, branches: int = 1, through: int = 0) -> Waiver:
    return Waiver(SCRIPTS, line, text, why, branches, through)


_OF_SCRIPTS = (
    # -- statistics
    _in_scripts(66, "if (!ppData) return 0;", _CALLERS),
    _in_scripts(
        84, 'if (statName === "hp") throw new Error("Please read `maxhp` directly");', _CALLERS
    ),
    _in_scripts(
        90,
        "if (!(statName in this.storedStats)) "
        'throw new Error("Invalid `statName` passed to `modifyStat`");',
        _CALLERS,
    ),
    _in_scripts(100, "if (delta === void 0) continue;", _CALLERS),
    _in_scripts(105, "if (this.boosts[i] > 6) {", _ONE_STAGE, through=107),
    _in_scripts(108, "if (this.boosts[i] < -6) {", _ONE_STAGE, through=110),
    _in_scripts(
        792,
        'if (typeof effect === "string") effect = this.dex.conditions.get(effect);',
        "effects are handed on as objects",
    ),
    # -- before a move
    _in_scripts(180, "if (changedMove && changedMove !== true) {", _LATER, through=182),
    _in_scripts(
        211,
        "if (move.beforeMoveCallback?.call(this.battle, pokemon, target, move)) {",
        "only Bide has one, which is true while it goes on; it has then ended the move already",
        through=214,
    ),
    # -- using a move
    *(
        _in_scripts(line, "if (baseMove.target !== move.target) {", _TARGET, through=last)
        for line, last in ((270, 272), (274, 276), (306, 308), (310, 313))
    ),
    _in_scripts(
        296,
        "if (!sourceEffect && this.battle.effect.id) sourceEffect = this.battle.effect;",
        _BEFORE,
    ),
    _in_scripts(
        299,
        "if (target === void 0) target = this.battle.getRandomTarget(pokemon, move);",
        _BEFORE,
    ),
    _in_scripts(314, "if (!move) return false;", _LATER),
    _in_scripts(316, "if (pokemon.fainted) {", _FAINTED, through=318),
    *(
        _in_scripts(line, "if (move.ignoreImmunity === void 0) {", "set for every move", through=to)
        for line, to in ((327, 329), (479, 481))
    ),
    _in_scripts(331, "if (!target || target.fainted) {", _FAINTED, through=335),
    # -- trying to hit
    _in_scripts(
        413,
        'if (move.target === "self" && accuracy !== true) accuracy++;',
        "no move at oneself can miss in this generation",
    ),
    _in_scripts(427, "} else {", "a move hits two to five times, or twice", through=429),
    _in_scripts(
        438,
        "if (moveDamage === false) break;",
        "no move of several hits is refused after the first checks, which are behind it",
    ),
    _in_scripts(447, "if (i === 0) return 1;", "both stand before the first hit"),
    # -- hitting
    _in_scripts(
        482, 'const targetSub = target ? target.volatiles["substitute"] : false;', _CALLERS
    ),
    _in_scripts(
        499,
        'if (!this.battle.runEvent("TryFieldHit", target, pokemon, move)) {',
        _LATER,
        through=501,
    ),
    _in_scripts(508, "} else if (!hitResult) {", _LATER, through=511),
    _in_scripts(522, "if (!(damage || damage === 0)) return false;", _LATER),
    _in_scripts(
        524,
        '} else if (damage === false && typeof hitResult === "undefined") {',
        "whatever was refused has left by now",
        through=526,
    ),
    _in_scripts(546, "if (moveData.heal && !target.fainted) {", _LATER, branches=2, through=554),
    _in_scripts(577, "if (moveData.forceStatus) {", _LATER, through=583),
    _in_scripts(589, "if (moveData.sideCondition) {", _LATER, through=593),
    _in_scripts(594, "if (moveData.pseudoWeather) {", _LATER, through=598),
    _in_scripts(617, "if (secondary.chance === void 0) {", _LATER, through=618),
    _in_scripts(630, "if (move.selfSwitch && pokemon.hp) {", _LATER, branches=2, through=632),
    # -- damage
    _in_scripts(637, 'if (typeof move === "string") {', _CALLERS, through=638),
    _in_scripts(639, '} else if (typeof move === "number") {', _CALLERS, through=647),
    _in_scripts(648, "if (!target.runImmunity(move, true)) {", _BEFORE, through=650),
    _in_scripts(673, "if (move.basePowerCallback) {", _LATER, through=675),
    _in_scripts(700, "if (basePower && move.basePowerModifier) {", _LATER, through=702),
    _in_scripts(704, "if (!basePower) return 0;", _LATER),
    _in_scripts(
        707,
        'const attacker = move.overrideOffensivePokemon === "target" ? target : source;',
        _LATER,
    ),
    _in_scripts(
        708,
        'const defender = move.overrideDefensivePokemon === "source" ? source : target;',
        _LATER,
    ),
)
_OF_MOVES = (
    Waiver(MOVES, 469, "if (!randomMove) return false;", "there are moves to call"),
    Waiver(MOVES, 482, "if (!moveid) return false;", "whoever fights has moves"),
    Waiver(
        MOVES,
        660,
        'if (!target.setStatus("slp", source, move)) return false;',
        "who is awake may always put itself to sleep: Sleep Clause asks for the foe's doing",
    ),
    Waiver(
        MOVES,
        794,
        'if (target.volatiles["partiallytrapped"]) {',
        "who is held uses no move, Substitute neither",
        through=797,
    ),
)
_OF_CONDITIONS = (
    Waiver(CONDITIONS, 71, "} else {", "only moves put to sleep", through=73),
    Waiver(CONDITIONS, 76, 'if (target.removeVolatile("nightmare")) {', _LATER, through=78),
    Waiver(CONDITIONS, 182, 'if (!this.runEvent("Flinch", pokemon)) {', _LATER, through=184),
)


def cell(snapshot: Snapshot, outcome: Outcome) -> np.ndarray:
    """For the explorer, int64 [B]: what the first player's active Pokemon has upon it, and what its
    player is asked. Both players have the same rules, so one of them is enough."""
    volatiles = snapshot["volatiles"][:, 0]
    active = snapshot["order"][:, 0, :1]
    status = np.take_along_axis(snapshot["status"][:, 0], active, -1)
    codes = np.concatenate([status, outcome.observation[:, :1]], -1).astype(np.int64)
    bits = volatiles @ (1 << np.arange(volatiles.shape[-1], dtype=np.int64))
    found: np.ndarray = bits * 64 + codes @ np.array([8, 1])
    return found


COVERAGE = CoveragePlan(
    kind="v8",
    sources=SOURCES,
    waivers=(*_OF_SCRIPTS, *_OF_MOVES, *_OF_CONDITIONS),
    cell=cell,
)
