"""Showdown as a reference: equal to a stock battle, saved and forced exactly, told when it dies."""

import dataclasses
import json
import os
import re
import signal
import stat
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simlift.references.core import Outcome, ReferenceUnavailable, TapeError
from simlift.references.pokemon import (
    VERSION,
    ShowdownReference,
    Teams,
    VectorShowdown,
    installed,
)
from simlift.references.pokemon.reference import SITES, WORD, _words
from simlift.references.process import ProcessFailed
from simlift.references.vector import instance_seed

pytestmark = [pytest.mark.reference, pytest.mark.node]

HERE = Path(__file__).parents[2] / "references" / "pokemon"
PLAIN = Path(__file__).parent / "showdown" / "plain.mjs"
SURVEY = PLAIN.with_name("survey.mjs")
NUM_REAL_MOVES, STRUGGLE = 165, 165
FISSURE = 90  # ends battles before anything happens

POKEMON = "sides.pokemon."
LEFT_OUT = {
    # shown, logged or sent, or only of how the battle began
    *("inputLog", "prngSeed", "sentRequests", POKEMON + "apparentType"),
    POKEMON + "knownType",
    *(POKEMON + "volatiles.*.sourceEffect", POKEMON + "statusState.startTime"),
    # written, and read by other generations alone
    *("lastMove", "sides.faintedLastTurn"),
    *(POKEMON + name for name in ("activeTurns", "hurtThisTurn", "lastDamage", "newlySwitched")),
    *(POKEMON + name for name in ("previouslySwitchedIn", "weighthg")),
    *(POKEMON + f"{slots}.used" for slots in ("moveSlots", "baseMoveSlots")),
    # the entry that Substitute reads is the one that it then writes
    POKEMON + "attackedBy",
    # of a used move only its name is read, and type and power, which the name tells
    *("sides.lastMove", "sides.lastEnemyMove"),
    *(POKEMON + f"lastMove.{name}" for name in ("damage", "hit", "lastHit", "moveHitData")),
    *(POKEMON + f"lastMove.{name}" for name in ("ignoreDefensive", "ignoreOffensive")),
    POKEMON + "lastMove.sourceEffect",
    # made anew before each use: flags of a request, and whose event it is
    *(POKEMON + name for name in ("maybeLocked", "trapped")),
    *(POKEMON + f"moveSlots.{name}" for name in ("disabled", "disabledSource")),
    *(POKEMON + f"baseMoveSlots.{name}" for name in ("disabled", "disabledSource")),
    *(f"field.pseudoWeather.{rule}clausemod.target" for rule in ("sleep", "freeze")),
    POKEMON + "statusState.target",
    # only their order matters, or whose side it is, or nothing once it is over
    *("effectOrder", POKEMON + "abilityState.effectOrder"),
    *(POKEMON + f"statusState.{name}" for name in ("effectOrder", "id", "source", "time")),
    *(POKEMON + f"volatiles.*.{name}" for name in ("effectOrder", "source", "sourceSlot")),
    POKEMON + "volatiles.*.maybeLocked",  # null or false
}
"""What a restored battle lacks of what Showdown's own `State` saves, with the reasons."""


@pytest.fixture(scope="module")
def showdown() -> Iterator[VectorShowdown]:
    with VectorShowdown(8, processes=2) as reference:
        yield reference


@pytest.fixture(scope="module")
def anything() -> Teams:
    """Teams with any moves at all: every volatile appears."""
    generator = np.random.default_rng(0)
    moves = np.setdiff1d(np.arange(1, NUM_REAL_MOVES), [FISSURE])
    count = 40
    return Teams.of(
        [generator.permutation(np.arange(1, 152))[:6] for _ in range(count)],
        generator.choice([50, 75, 100], (count, 6)),
        [[generator.permutation(moves)[:4] for _ in range(6)] for _ in range(count)],
    )


def pick(legal: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A random legal action for each player, a move rather than a switch."""
    weights = generator.random(legal.shape) * legal
    weights[..., 4:] *= 0.2
    return np.where(legal.any(-1), weights.argmax(-1), -1)


def play(reference: VectorShowdown, steps: int, seed: int = 0) -> list[dict[str, np.ndarray]]:
    """All that each step shows: outcome, draws, and the states before and after the resets."""
    generator = np.random.default_rng(seed)
    seen = []
    for _ in range(steps):
        outcome = reference.step(pick(reference.legal(), generator))
        shown = {f"now {k}": v for k, v in reference.snapshot().items()}
        shown |= {f"final {k}": v for k, v in reference.final_snapshot().items()}
        for of in (outcome, reference.draws()):
            shown |= {f.name: getattr(of, f.name) for f in dataclasses.fields(of)}
        seen.append({name: value for name, value in shown.items() if value is not None})
    return seen


def assert_same(left: list[dict[str, np.ndarray]], right: list[dict[str, np.ndarray]]) -> None:
    assert len(left) == len(right)
    for t, (one, other) in enumerate(zip(left, right, strict=True)):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name], err_msg=f"{name}, step {t}")


# -- the same battles


def in_words(order: np.ndarray, action: int) -> str | None:
    """What Showdown calls this action; order: the slot of the Pokemon in each place."""
    if action < 0:
        return None
    if action < 4:
        return f"move {action + 1}"
    return f"switch {order.tolist().index(action - 4) + 1}"


def mask_of(request: dict[str, Any] | None, slots: dict[str, int]) -> np.ndarray:
    """The mask by the text of a request; slots: of the Pokemon, by name."""
    mask = np.zeros(10, bool)
    if request is None or request.get("wait"):
        return mask
    active = request.get("active", [{}])[0]
    for i, move in enumerate(active.get("moves", [])):
        mask[i] = not move.get("disabled")
    for pokemon in request["side"]["pokemon"]:
        benched = not pokemon["active"] and not pokemon["condition"].endswith(" fnt")
        mask[4 + slots[pokemon["ident"]]] = benched and not active.get("trapped")
    return mask


def test_battles_and_masks_are_those_of_a_stock_battle(node: str) -> None:
    count, seed = 15, 5
    choices: list[list[list[str | None]]] = [[] for _ in range(count)]
    masks: list[list[np.ndarray]] = [[] for _ in range(count)]
    logs: list[list[str]] = [[] for _ in range(count)]
    generator = np.random.default_rng(0)
    with VectorShowdown(count, processes=2, log=True) as reference:
        outcome = reference.reset(seed)
        while not all(logs):
            order, legal = reference.snapshot()["order"], reference.legal()
            actions = pick(legal, generator)
            outcome = reference.step(actions)
            for i in (i for i in range(count) if not logs[i]):
                pair = zip(order[i], actions[i].tolist(), strict=True)
                choices[i].append([in_words(*one) for one in pair])
                masks[i].append(legal[i])
                if outcome.terminated[i]:
                    logs[i] = reference.log(i, final=True)
    asked = []
    for i in range(count):
        words = _words(instance_seed(seed, i))
        seeds = [f"gen5,{words[k]:08x}{words[k + 1]:08x}" for k in (0, 2, 4)]
        asked.append(
            {
                "folder": str(installed()),
                "format": "gen1randombattle",
                "seed": seeds[0],
                "teamSeeds": seeds[1:],
                "choices": choices[i],
            }
        )
    text = "".join(json.dumps(one) + "\n" for one in asked)
    said = subprocess.run([node, str(PLAIN)], input=text, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    answers = [json.loads(line) for line in said.stdout.splitlines()]
    for mine, theirs, seen in zip(logs, answers, masks, strict=True):
        untimed = [[s for s in log if not s.startswith("|t:|")] for log in (mine, theirs["log"])]
        assert untimed[0] == untimed[1] and any(s.startswith(("|win|", "|tie")) for s in mine)
        first = theirs["requests"][0]
        slots = [
            {pokemon["ident"]: k for k, pokemon in enumerate(request["side"]["pokemon"])}
            for request in first
        ]
        for legal, requests in zip(seen, theirs["requests"], strict=True):
            expected = [mask_of(request, slots[p]) for p, request in enumerate(requests)]
            np.testing.assert_array_equal(legal, expected)


def test_battles_depend_on_neither_place_nor_processes_nor_log(anything: Teams) -> None:
    given: dict[str, Any] = {"format": "gen1ou", "teams": anything}
    with (
        VectorShowdown(6, processes=1, **given) as silent,
        VectorShowdown(3, processes=2, log=True, **given) as logged,
    ):
        silent.reset(2)
        logged.reset(2)
        generator = np.random.default_rng(0)
        for _ in range(60):
            left, right = silent.snapshot(), logged.snapshot()
            for name in left:
                np.testing.assert_array_equal(left[name][:3], right[name], err_msg=name)
            actions = pick(silent.legal(), generator)
            silent.step(actions)
            logged.step(actions[:3])
        assert silent.log(0) in ([], [""]) and any("|move|" in line for line in logged.log(2))


def test_rewards_and_ends() -> None:
    with VectorShowdown(4, processes=1) as reference:
        outcome = reference.reset(1)
        generator, ended = np.random.default_rng(1), 0
        while ended < 3:
            outcome = reference.step(pick(reference.legal(), generator))
            final, now = reference.final_snapshot(), reference.snapshot()
            for i in np.flatnonzero(outcome.terminated):
                winner = final["winner"][i]
                reward = [0, 0] if winner == 2 else [1 - 2 * (winner != p) for p in (0, 1)]
                assert outcome.reward[i].tolist() == reward
                assert now["turn"][i] == 1 and now["winner"][i] == -1
                assert final["turn"][i] > 1 and not final["request"][i].any()
                ended += 1
            going = ~outcome.terminated
            assert not outcome.reward[going].any() and (final["winner"][going] == -1).all()
        assert not outcome.truncated.any()


# -- snapshots


def check_restored_go_on_exactly(reference: VectorShowdown) -> None:
    reference.reset(3)
    for part in range(5):
        saved, legal = reference.snapshot(), reference.legal()
        expected = play(reference, 12, part)
        reference.restore(saved)
        assert_same([reference.snapshot()], [saved])
        np.testing.assert_array_equal(reference.legal(), legal)
        assert_same(play(reference, 12, part), expected)


def test_restored_battles_go_on_exactly(showdown: VectorShowdown) -> None:
    check_restored_go_on_exactly(showdown)


def test_restored_battles_with_any_moves_go_on_exactly(anything: Teams) -> None:
    with VectorShowdown(8, processes=2, format="gen1ou", teams=anything) as reference:
        check_restored_go_on_exactly(reference)


def test_all_else_that_showdown_would_save_is_known(node: str, anything: Teams) -> None:
    given = json.dumps([anything.rows(i) for i in range(10)])
    command = [node, str(SURVEY), str(installed())]
    said = subprocess.run(command, input=given, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    assert set(said.stdout.split()) <= LEFT_OUT


def test_snapshot_with_other_fields_is_refused(showdown: VectorShowdown) -> None:
    showdown.reset(0)
    saved = showdown.snapshot()
    with pytest.raises(ValueError, match=r"missing or unknown snapshot fields .*'hp'"):
        showdown.restore({name: value for name, value in saved.items() if name != "hp"})
    with pytest.raises(ValueError, match=r"field hp is int64.* expected int16"):
        showdown.restore({**saved, "hp": saved["hp"].astype(np.int64)})
    with pytest.raises(ValueError, match="of 3 battles, expected 8"):
        showdown.restore({name: value[:3] for name, value in saved.items()})


def test_a_made_up_state_is_played(showdown: VectorShowdown) -> None:
    showdown.reset(0)
    state = showdown.snapshot()
    active = state["order"][:, :, 0]
    np.put_along_axis(state["hp"][:, 1], active[:, 1:], 1, 1)
    np.put_along_axis(state["status"][:, 1], active[:, 1:], 2, 1)  # poisoned
    showdown.restore(state)
    generator = np.random.default_rng(0)
    showdown.step(pick(showdown.legal(), generator))
    assert (np.take_along_axis(showdown.snapshot()["fainted"][:, 1], active[:, 1:], 1)).any()


def test_who_sleeps_can_only_fight_or_switch(showdown: VectorShowdown) -> None:
    showdown.reset(0)
    state = showdown.snapshot()
    active = state["order"][:, 0, :1]
    for name, value in (("status", 1), ("sleep_time", 3), ("sleep_source", 2)):
        np.put_along_axis(state[name][:, 0], active, value, 1)
    showdown.restore(state)
    legal = showdown.legal()
    assert (legal[:, 0, :4] == [True, False, False, False]).all() and legal[:, 0, 4:].sum() == 40
    moves = np.where(legal.any(-1), legal.argmax(-1), -1)
    showdown.step(moves)
    after = showdown.final_snapshot()
    slept = np.take_along_axis(after["sleep_time"][:, 0], active, 1)[:, 0]
    awake = np.take_along_axis(after["fainted"][:, 0], active, 1)[:, 0]
    assert set(slept[~awake].tolist()) == {2}


@pytest.mark.parametrize(("field", "value"), [("turn", 1000), ("status", 4)])
def test_turn_limit_and_endless_battles_end_in_a_tie(
    showdown: VectorShowdown, field: str, value: int
) -> None:
    showdown.reset(0)
    state = showdown.snapshot()
    state[field][:] = value  # 4: all are frozen
    showdown.restore(state)
    legal = showdown.legal()
    outcome = showdown.step(np.where(legal.any(-1), legal.argmax(-1), -1))
    assert outcome.terminated.any() and not outcome.reward[outcome.terminated].any()
    assert (showdown.final_snapshot()["winner"][outcome.terminated] == 2).all()
    if field == "status":
        assert outcome.terminated.all()


# -- draws


def test_draws_make_the_generators_steps(showdown: VectorShowdown) -> None:
    showdown.reset(6)
    generator = np.random.default_rng(0)
    for _ in range(20):
        before = showdown.snapshot()["seed"].astype(object)
        showdown.step(pick(showdown.legal(), generator))
        log, after = showdown.draws(), showdown.final_snapshot()["seed"]
        for i in range(showdown.num_envs):
            word = int(before[i, 0]) << 32 | int(before[i, 1])
            for k in range(log.step_count[i]):
                word = (word * 0x5D588B656C078965 + 0x269EC3) % 2**64
                assert log.value[i, k] == word >> 32
                assert 0 <= log.low[i, k] < log.high[i, k]
            assert after[i].tolist() == [word >> 32, word % WORD]


def test_forced_draws_replace_the_generators(showdown: VectorShowdown) -> None:
    showdown.reset(8)
    play(showdown, 12)
    saved = showdown.snapshot()
    expected = play(showdown, 1, seed=9)[0]
    drawn = showdown.draws()
    other = {**saved, "seed": saved["seed"] ^ np.uint32(12345)}
    showdown.restore(other)
    showdown.force(drawn)
    seen = play(showdown, 1, seed=9)[0]
    assert drawn.count.any()
    for name in expected.keys() - {"now seed", "final seed"}:
        np.testing.assert_array_equal(seen[name], expected[name], err_msg=name)


def test_a_tape_that_does_not_fit_is_refused(showdown: VectorShowdown) -> None:
    showdown.reset(8)
    play(showdown, 12)
    saved = showdown.snapshot()
    play(showdown, 1, seed=9)
    drawn = showdown.draws()
    i = int(drawn.count.argmax())
    site = SITES[drawn.site[i, 0]]
    high = drawn.high.copy()
    high[i, 0] += 1
    wrong = drawn.site.copy()
    wrong[i, 0] = (wrong[i, 0] + 1) % len(SITES)
    fewer, more = drawn.count.copy(), drawn.count.copy()
    fewer[i] = 0
    more[i] += 1
    wide = {
        name: np.pad(getattr(drawn, name), [(0, 0), (0, 1)])
        for name in ("site", "value", "low", "high")
    }
    tapes = {
        f"site '{site}': wants a draw in .*, the tape has ended": {"count": fewer},
        f"site '{site}': wants .*, the tape holds one at {site}": {"high": high},
        f"site '{site}': wants .*, the tape holds one at {SITES[wrong[i, 0]]}": {"site": wrong},
        f"the draw at site '{SITES[0]}' of battle {i} was not consumed": {**wide, "count": more},
    }
    for message, changed in tapes.items():
        showdown.restore(saved)
        showdown.force(dataclasses.replace(drawn, **changed))
        with pytest.raises(TapeError, match=message):
            play(showdown, 1, seed=9)
    showdown.restore(saved)
    play(showdown, 1, seed=9)


def test_every_listed_place_draws() -> None:
    listed = re.findall(r'"([\w/.-]+\.js):(\d+)": "(\w+)"', (HERE / "dice.mjs").read_text())
    assert tuple(site for _, _, site in listed) == SITES
    dist = installed() / "node_modules" / "pokemon-showdown" / "dist"
    for file, line, _ in listed:
        text = (dist / file).read_text().splitlines()[int(line) - 1]
        assert re.search(r"\.(random|randomChance|sample|speedSort)\(", text), (file, line)


# -- refusals


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (np.zeros((8, 2), np.float32), r"actions are float32\[8, 2\], expected int\[8, 2\]"),
        (np.zeros(8, int), r"actions are int64\[8\], expected int\[8, 2\]"),
        (np.full((8, 2), 10), r"action 10 of player 0 in battle 0 is illegal now; legal are \[0,"),
        (np.full((8, 2), -1), r"action -1 of player 0 in battle 0 is illegal now; legal are \[0,"),
        (np.full((8, 2), 4), r"action 4 of player 0 in battle 0 is illegal now; legal are \[0,"),
    ],
)
def test_illegal_actions_are_refused_in_one_line(
    showdown: VectorShowdown, actions: np.ndarray, message: str
) -> None:
    showdown.reset(0)
    before = showdown.snapshot()
    with pytest.raises(ValueError, match=message) as refusal:
        showdown.step(actions)
    assert "\n" not in str(refusal.value)
    assert_same([showdown.snapshot()], [before])


def test_a_dead_process_is_told_in_one_line() -> None:
    reference = VectorShowdown(2, processes=2)
    reference.reset(0)
    child = reference._bridges[1]._child
    assert child is not None
    os.kill(child._process.pid, signal.SIGKILL)
    with pytest.raises(ProcessFailed, match="was ended by SIGKILL; its stderr") as failure:
        reference.step(np.zeros((2, 2), int))
    assert "\n" not in str(failure.value)
    with pytest.raises(ProcessFailed, match="is closed"):
        reference.reset(0)
    reference.close()
    reference.close()


@pytest.mark.parametrize(
    ("format", "message"),
    [
        ("gen1ou", "gen1ou has no teams of its own; give teams="),
        ("gen3randombattle", "gen3randombattle is not a singles format of generation 1"),
        ("gen1bogus", "gen1bogus is not a singles format of generation 1"),
    ],
)
def test_formats_that_cannot_be_played_are_refused(format: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VectorShowdown(1, format=format)


# -- teams and the single reference


def test_teams_of_ones_own(anything: Teams) -> None:
    packed = "|tauros|||bodyslam,hyperbeam,blizzard,earthquake|||||||]Eggy|exeggutor|||sleeppowder|"
    packed += "|252,,252,252,252,252||30,2,30,30,30,30||68|"
    teams = Teams.unpack([packed])
    assert teams.species[0].tolist() == [128, 103, 0, 0, 0, 0]
    assert teams.level[0].tolist() == [100, 68, 0, 0, 0, 0]
    assert teams.moves[0, :2].tolist() == [[34, 63, 59, 89], [79, 0, 0, 0]]
    assert teams.ivs[0, 1].tolist() == [30, 2, 30, 30, 30, 30]
    with ShowdownReference(format="gen1ou", teams=teams) as reference:
        outcome = reference.reset(0)
        assert isinstance(outcome, Outcome) and outcome.legal is not None
        assert outcome.legal.tolist() == [[True] * 4 + [False, True] + [False] * 4] * 2
        state = reference.snapshot()
        assert state["max_hp"][0].tolist()[:3] == [353, 270, 0]
        assert (state["team_moves"][1] == teams.moves[0]).all()
        reference.step(np.array([5, 0]))
        assert reference.snapshot()["order"][0].tolist() == [1, 0, -1, -1, -1, -1]
        assert reference.draws()[0].bound == WORD


def test_generated_teams_are_repeatable() -> None:
    first, more = Teams.random(3, 1), Teams.random(5, 1)
    assert len(first) == 3 and (first.moves == more.moves[:3]).all()
    assert (more.species > 0).all() and len(np.unique(more.species, axis=0)) == 5


# -- installation


def test_the_lock_names_hashes_and_no_host() -> None:
    packages = json.loads((HERE / "package-lock.json").read_text())["packages"]
    assert packages["node_modules/pokemon-showdown"]["version"] == VERSION
    for name, package in packages.items():
        assert "resolved" not in package and (not name or "integrity" in package)


def test_without_node_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ReferenceUnavailable, match=r"needs Node.js .* apt-get install nodejs npm$"):
        VectorShowdown(1)


def test_npms_reason_is_told_and_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SIMLIFT_CACHE", str(tmp_path / "cache"))
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'npm error network unreachable' >&2\nexit 1\n")
    npm.chmod(npm.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(ReferenceUnavailable, match="npm: network unreachable; check") as failure:
        installed()
    assert "\n" not in str(failure.value)
    assert [path for path in (tmp_path / "cache").iterdir() if path.is_dir()] == []


def test_two_at_once_install_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SIMLIFT_CACHE", str(tmp_path / "cache"))
    npm = tmp_path / "npm"
    npm.write_text(f"#!/bin/sh\nsleep 0.2\nmkdir node_modules\necho called >> {tmp_path}/calls\n")
    npm.chmod(npm.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: installed(), range(2))
    assert first == second and (first / "node_modules").is_dir()
    assert (tmp_path / "calls").read_text() == "called\n"
