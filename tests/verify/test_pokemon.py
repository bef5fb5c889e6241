"""The suite of Pokemon: total, equal draw for draw, and able to see what is wrong."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simlift.envs.pokemon.gen1 import action, battle, effects, moves, turn
from simlift.envs.pokemon.gen1.state import State
from simlift.references.core import DrawLog, Snapshot
from simlift.references.pokemon import VectorShowdown
from simlift.verify.compare import Comparison, Difference, inputs_of
from simlift.verify.coverage import explore, measure
from simlift.verify.record import Recording, record_policy, record_tape
from simlift.verify.session import outcome_at
from simlift.verify.suites import get_suite
from simlift.verify.suites.pokemon import VARIANTS
from simlift.verify.suites.pokemon_content import content
from simlift.verify.suites.pokemon_teams import (
    ROSTERS,
    SCENARIO_VARIANT,
    VOLATILE_ORDER,
    scenario_teams,
)

pytestmark = [pytest.mark.reference, pytest.mark.node]
SUITE = get_suite("pokemon")
NUM_ENVS, NUM_STEPS = 32, 96
NAMES = [scenario.name for scenario in SUITE.scenarios]
LONGEST = max(len(scenario.actions) for scenario in SUITE.scenarios)


@pytest.fixture(scope="module")
def mixed() -> tuple[Any, Recording]:
    """The draws of the reset, and what followed it."""
    with SUITE.reference(VARIANTS[0], NUM_ENVS) as showdown:
        policy = SUITE.policies(VARIANTS[0])["mixed"]
        played = record_policy(SUITE, showdown, policy, 0, NUM_STEPS, 1)
        _, draws, recording = next(played)
    return draws, recording


@pytest.fixture(scope="module")
def scenarios() -> Recording:
    """All of them side by side, in the order of NAMES, as the verifier plays each."""
    with VectorShowdown(len(NAMES), teams=scenario_teams(), processes=2) as showdown:
        showdown.reset(0)
        fields = showdown.snapshot()
        for name, known in {"stored_stats": "stats", "base_pp": "pp"}.items():
            assert_known(fields, name, known)
        for name in ("species", "types", "max_hp", "moves", "pp"):
            assert_known(fields, name, name)
        tapes = []
        for i, scenario in enumerate(SUITE.scenarios):
            for name, value in scenario.place.items():
                fields[name][i] = value
            tape = [*scenario.actions, *[scenario.actions[-1]] * LONGEST]
            tapes.append(tape[:LONGEST])
        showdown.restore(fields)
        return record_tape(showdown, np.array(tapes).swapaxes(0, 1))


def assert_known(fields: Snapshot, name: str, known: str) -> None:
    """Showdown makes of the teams what ROSTERS says."""
    expected = np.array([getattr(roster, known) for roster in ROSTERS])
    np.testing.assert_array_equal(fields[name], expected[fields["team_index"]])


# -- what is compared


def test_every_field_of_a_snapshot_has_a_comparator(mixed: tuple[Any, Recording]) -> None:
    SUITE.check_total(mixed[1].at(0))
    left_out = SUITE.fields.keys() - SUITE.compared_fields().keys()
    given = {"team_evs", "team_ivs", "episode_seed"}
    assert left_out == given | {"volatile_order", "move_this_turn", "final.mid_turn"}


def test_battles_agree_step_by_step_and_running_free(mixed: tuple[Any, Recording]) -> None:
    draws, recording = mixed
    comparison = Comparison.local(SUITE, VARIANTS[0])
    free = comparison.free_running(comparison.start(draws)[0], recording)[1]
    assert (free.count, free.by_field) == (0, {})
    before = {name: value[:-1] for name, value in recording.snapshots.items()}
    ours = comparison.candidate.resynchronised(before, inputs_of(recording))
    assert comparison.judge(recording, ours).count == 0
    ended = recording.outcome.terminated
    assert ended.any() and recording.snapshots["fainted"].any()
    for name in SUITE.compared_fields():
        wrong = {**ours, name: ours[name] ^ True if ours[name].dtype == bool else ours[name] + 1}
        assert comparison.judge(recording, wrong).by_field == {name: NUM_ENVS * NUM_STEPS}


@pytest.mark.parametrize("variant", VARIANTS[2:], ids=lambda variant: variant.name)
def test_battles_of_all_moves_agree_running_free(variant: Any) -> None:
    with SUITE.reference(variant, NUM_ENVS) as showdown:
        played = record_policy(SUITE, showdown, SUITE.policies(variant)["mixed"], 0, NUM_STEPS, 1)
        _, draws, recording = next(played)
    comparison = Comparison.local(SUITE, variant)
    free = comparison.free_running(comparison.start(draws)[0], recording)[1]
    assert (free.count, free.by_field) == (0, {})
    had = recording.snapshots["volatiles"].any((0, 1, 2))
    assert had.sum() > 15 and recording.outcome.terminated.any()


def test_a_step_may_draw_nothing() -> None:
    none = np.zeros(1, np.int32)
    log = DrawLog(count=none, step_count=none, site=np.zeros((1, 0)), value=np.zeros((1, 0)))
    _, start = SUITE.draws(log)
    assert start.seed.shape == start.team.shape == (1, 2)


# -- scenarios


@pytest.mark.parametrize("index", range(len(NAMES)), ids=NAMES)
def test_scenarios_happen(index: int, scenarios: Recording) -> None:
    one = scenarios.instance(index, 0, LONGEST)
    steps = [
        ({k: v[t + 1, 0] for k, v in one.snapshots.items()}, outcome_at(one.outcome, t))
        for t in range(LONGEST)
    ]
    assert SUITE.scenarios[index].happened(steps)


def test_scenarios_agree(scenarios: Recording) -> None:
    assert len({*NAMES}) == len(NAMES)
    found = Comparison.local(SUITE, SCENARIO_VARIANT).from_here(scenarios)
    assert {NAMES[i] for i in np.flatnonzero(found.bad.any(0))} == set()


# -- coverage


class Agreeing:
    """In place of a comparison: that the scenarios agree is tested above."""

    def __init__(self) -> None:
        self.candidate = self

    def resynchronised(self, before: Any, inputs: Any) -> dict[str, np.ndarray]:
        return {}

    def judge(self, recording: Recording, ours: Any) -> Difference:
        return Difference(np.zeros(recording.action.shape[:2], bool), {})


def test_the_scenarios_reach_all_of_the_mod_but_what_is_waived() -> None:
    scenarios_alone = dataclasses.replace(SUITE, variants=())
    told = measure(scenarios_alone, 0, comparison=lambda variant: cast(Any, Agreeing()))
    assert told is not None and told["what"] == [] and told["holds"]
    assert told["count"] == LONGEST * len(NAMES)
    lines = {name: file["lines"] for name, file in told["coverage"]["files"].items()}
    for name, file in told["coverage"]["files"].items():
        assert file["demanded"] == name.startswith("data/mods/gen1/")
    assert all(n["reached"] > 30 for n in lines.values())
    moves = lines["data/mods/gen1/moves.js"]
    assert moves["reached"] > 400 and moves["waived"] < 5


def test_the_explorer_plays_games_in_which_one_player_waits() -> None:
    explored = explore(SUITE, VARIANTS[0], 0, budget_steps=512, num_envs=16)
    (recording,) = explored.recordings
    assert 10 < explored.cells < 100 and explored.steps == 512
    np.testing.assert_array_equal(recording.action < 0, recording.snapshots["request"][:-1] == 0)
    assert (recording.action < 0).any()


# -- content


def test_content_counts_what_was_used(mixed: tuple[Any, Recording], scenarios: Recording) -> None:
    recording = mixed[1]
    used = content(recording)
    assert sum(used["species"].values()) == 2 * recording.num_transitions
    assert sum(used["draw"].values()) == recording.draws.count.sum()
    assert sum(used["end"].values()) == recording.outcome.terminated.sum() > 0
    assert len(used["species"]) > 100 and len(used["move"]) > 60
    index = VOLATILE_ORDER.index("substitute")
    there = recording.snapshots["volatiles"][:-1, ..., index].sum()
    assert used["volatile"]["substitute"] == there > 0

    def moves_of(name: str, steps: int) -> dict[str, int]:
        one = scenarios.instance(NAMES.index(name), 0, steps)
        return {move: count for move, count in content(one)["move"].items() if count}

    assert moves_of("hypnosis_puts_to_sleep", 1) == {"Hypnosis": 1}
    assert moves_of("sky_attack_charges_then_strikes_and_pays", 2) == {
        "Sky Attack": 1,
        "Recover": 2,
    }
    assert moves_of("without_pp_it_struggles", 1) == {"Struggle": 1, "Recover": 1}
    assert moves_of("transform_copies_all_but_hit_points", 1) == {
        "Transform": 1,
        "Swords Dance": 1,
    }
    assert moves_of("thawed_without_pp_it_has_63_left", 1) == {"Fire Blast": 1, "Pin Missile": 1}


# -- faults
#
# The turn alone, from the reference's state before each step to that after it: a table of moves is
# an argument, so one program serves all faults in the data.

Seen = set[str]


@pytest.fixture(scope="module")
def see(scenarios: Recording) -> Callable[..., Seen]:
    """Compiles the turn as it is; then (table=) -> the scenarios that differ with these moves."""
    _, params = SUITE.environment(SCENARIO_VARIANT)
    goes_on = ~scenarios.outcome.terminated  # else the next battle began
    states = jax.jit(jax.vmap(jax.vmap(lambda fields: SUITE.state(fields, params))))
    snapshots = states(scenarios.snapshots)
    before = jax.tree.map(lambda x: x[:-1], snapshots)
    after = jax.tree.map(lambda x: x[1:], snapshots)
    actions = jnp.asarray(scenarios.action, jnp.int32)
    original = moves.table

    def compiled() -> Callable[[Any], Seen]:
        def turns(table: Any, states: Any, actions: Any) -> Any:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(moves, "table", lambda: table)
                play = functools.partial(battle.advance, table=params.teams, kernel="auto")
                return jax.vmap(jax.vmap(lambda *given: play(*given)[0]))(states, actions)

        program = jax.jit(turns)

        def differing(table: Any) -> Seen:
            ours = program(jnp.asarray(table), before, actions)
            wrong = np.zeros(goes_on.shape, bool)
            pairs = zip(*map(jax.tree.leaves, (comparable(ours), comparable(after))), strict=True)
            for mine, theirs in pairs:
                other = np.asarray(mine != theirs).reshape(*goes_on.shape, -1)
                wrong |= other.any(-1) & goes_on
            return {NAMES[i] for i in np.flatnonzero(wrong.any(0))}

        return differing

    as_it_is = compiled()

    def seen(*, table: Any = None, again: bool = False) -> Seen:
        program = compiled() if again else as_it_is
        return program(original() if table is None else table)

    return seen


def comparable(state: State) -> State:
    """Without what the reference has no trace of: what was seen, and whose doing a status is other
    than sleep."""
    asleep = (state.condition & 7) == moves.SLEEP
    condition = jnp.where(asleep, state.condition, state.condition & ~np.uint8(64))
    return state.replace(seen=jnp.zeros_like(state.seen), condition=condition)


def changed(number: int, **values: int) -> np.ndarray:
    """The table with other numbers in one row, 0 for all of them."""
    table = moves.table().copy()
    rows = range(len(table)) if number == 0 else [number]
    for row in rows:
        old = {k: int(v) for k, v in moves.unpack(jnp.asarray(table[row]))._asdict().items()}
        table[row] = moves._packed({**old, **values})
    return table


DATA: Mapping[str, tuple[int, dict[str, int], str]] = {
    "counter_answers_every_type": (0, {"counterable": 1}, "counter_answers_no_other_move"),
    "hyper_beam_never_recharges": (63, {"recharges": 0}, "hyper_beam_has_to_recharge"),
    "explosion_of_whole_defense": (153, {"self_destructs": 0}, "explosion_halves_defense"),
    "fire_blast_burns_no_more": (126, {"second_status": 0}, "fire_blast_thaws"),
    "sky_attack_strikes_at_once": (
        *(143, {"charges": 0}),
        "sky_attack_charges_then_strikes_and_pays",
    ),
    "seismic_toss_knows_ghosts": (69, {"ignores_immunity": 0}, "seismic_toss_hits_a_ghost"),
    "mega_drain_drains_nothing": (72, {"drains": 0}, "mega_drain_heals_from_a_substitute"),
    "wrap_holds_nobody": (35, {"traps": 0}, "a_trap_hurts_every_turn_as_in_the_first"),
    "rage_ends_at_once": (99, {"rages": 0}, "rage_builds_with_every_hit"),
    "bide_is_a_rest": (117, {"bides": 0}, "bide_deals_twice_what_it_took"),
    "dig_stays_in_reach": (91, {"hides": 0}, "who_digs_is_out_of_reach"),
    "swift_finds_nobody": (129, {"finds": 0}, "swift_finds_who_flies"),
    "haze_is_air": (114, {"hazes": 0}, "haze_ends_boosts_and_the_foes_status"),
    "toxic_is_poison": (92, {"status": moves.POISON}, "toxic_costs_more_each_turn"),
    "sleepers_dream_of_nothing": (138, {"eats_dreams": 0}, "dream_eater_fails_at_who_is_awake"),
    "psybeam_never_confuses": (60, {"second_confuses": 0}, "psybeam_confuses"),
    "substitute_forgets_the_last_damage": (
        *(164, {"keeps_last_damage": 0}),
        "counter_answers_what_a_switch_left",
    ),
}


def test_nothing_is_seen_where_nothing_is_wrong(see: Callable[..., Seen]) -> None:
    assert see() == set()


@pytest.mark.parametrize("fault", DATA)
def test_faults_in_a_move_are_seen(fault: str, see: Callable[..., Seen]) -> None:
    number, values, scenario = DATA[fault]
    assert scenario in see(table=changed(number, **values))


def _no_clause(side: Any, status: Any) -> Any:
    return jnp.zeros((), bool)


def _spared(side: Any, wanted: Any) -> Any:
    return side


def _recharging(field: Any, *rest: Any) -> Any:
    after = _AFTER_MOVE(field, *rest)
    return after._replace(user=after.user.replace(recharge=field.user.recharge))


_AFTER_MOVE = action._after_move
CODE: Mapping[str, tuple[Any, str, Any, set[str]]] = {
    "nothing_stops_a_second_sleeper": (
        *(effects, "_clause", _no_clause),
        {"sleep_clause_stops_a_second_sleeper", "freeze_clause_stops_a_second_one"},
    ),
    "poison_spares_who_comes_in": (
        *(turn, "residual_damage", _spared),
        {
            "poison_hurts_on_coming_in",
            "a_burn_hurts_on_coming_in",
            "toxic_is_poison_after_a_switch",
        },
    ),
    "recharging_after_a_knock_out": (
        *(action, "_after_move", _recharging),
        {"hyper_beam_need_not_recharge_after_a_knock_out"},
    ),
}


@pytest.mark.parametrize("fault", CODE)
def test_faults_in_the_engine_are_seen(
    fault: str, see: Callable[..., Seen], monkeypatch: pytest.MonkeyPatch
) -> None:
    module, name, wrong, expected = CODE[fault]
    see()  # compiled as it is, before anything is changed
    monkeypatch.setattr(module, name, wrong)
    as_it_was = battle._turn  # JAX remembers what it traced of a function: another one is needed
    monkeypatch.setattr(battle, "_turn", lambda *given: as_it_was(*given))
    battle._turn_kernel.cache_clear()
    try:
        assert see(again=True) == expected
    finally:
        battle._turn_kernel.cache_clear()
