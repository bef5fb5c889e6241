"""L2, what holds a Pokemon to a move or keeps it from one, see pokemon_scenarios.py."""

from typing import Any

from .pokemon_teams import (
    ACCURACY,
    BEEDRILL,
    BURN,
    CHARIZARD,
    DITTO,
    GENGAR,
    HITMONLEE,
    PARALYSIS,
    PIDGEOT,
    REPLACE,
    SKY_ATTACK,
    SPEED,
    STILL,
    TACKLE,
    Stand,
    on,
    scene,
)

WRAP, THRASH, RAGE, BIDE, DIG, FLY, DISABLE = 35, 37, 99, 117, 91, 19, 50
SWIFT, METRONOME, SPLASH, QUICK_ATTACK = 129, 118, 150, 98
SLOW = {"status": PARALYSIS, "stats": {SPEED: 70}}
TACKLES = {0: TACKLE}
TRAP_DAMAGE = 10


def wraps(total: int, **changes: Any) -> Stand:
    """In the last turn of a trap of so many."""
    lock = {"duration": 1, "total_duration": total, "damage": TRAP_DAMAGE}
    lock |= {"move": WRAP, "locked": PIDGEOT + 1}
    side = {f"partialtrappinglock_{name}": number for name, number in lock.items()}
    return on(
        CHARIZARD,
        moves={0: WRAP},
        volatiles={"partialtrappinglock": 0},
        side=side | {"last_selected_move": WRAP},
        **changes,
    )


def wrapped(**elder: int) -> Stand:
    """By it. elder: volatiles that were there before."""
    return on(
        PIDGEOT,
        moves=STILL,
        volatiles=elder | {"partiallytrapped": 0},
        side={"partiallytrapped_duration": 1, "partiallytrapped_source": CHARIZARD + 1},
    )


LOCKS = (
    # -- traps
    scene(
        "a_trap_hurts_every_turn_as_in_the_first",
        2,
        on(CHARIZARD, moves={0: WRAP}),
        on(PIDGEOT, moves=STILL),
        [(0, 0)] * 3,
        lambda m: (
            m[0].first.partialtrappinglock_total_duration == 3
            and [x.second.lost // m[0].second.lost for x in m[:3]] == [1, 2, 3]
            and m[2].second.lost == 3 * m[0].second.lost > 0
            and m[2].second.pp[0] == 8
            and m[2].first.pp[0] == 7
        ),
    ),
    scene(
        "after_two_turns_neither_can_tell_that_it_is_over",
        1,
        on(CHARIZARD, moves={0: WRAP}),
        on(PIDGEOT, moves=STILL),
        [(0, 0)] * 3,
        lambda m: (
            m[0].first.partialtrappinglock_total_duration == 2
            and m[1].first.has("fakepartiallytrapped")
            and m[1].first.maybe_locked
            and m[1].second.has("fakepartiallytrapped")
            and m[1].second.maybe_locked
        ),
    ),
    scene(
        "after_five_turns_both_can_tell",
        1,
        wraps(5),
        wrapped(),
        [(0, 0)],
        lambda m: (
            m[0].second.lost == TRAP_DAMAGE
            and not m[0].first.has("partialtrappinglock")
            and not m[0].first.has("fakepartiallytrapped")
        ),
    ),
    scene(
        "the_last_turn_of_a_trap_does_not_hold_a_substitute_anew",
        1,
        wraps(2, hp=1, status=BURN),
        wrapped(substitute=93),
        [(0, 0), (REPLACE + HITMONLEE, -1), (0, 0)],
        lambda m: (
            m[0].first.hp == 0
            and m[0].second.has("substitute")
            and m[0].second.partiallytrapped_duration == 1
            and not m[1].second.has("partiallytrapped")
        ),
    ),
    scene(
        "who_is_held_is_shown_all_moves_from_the_second_turn_on",
        4,
        on(CHARIZARD, moves={0: WRAP}),
        on(PIDGEOT, moves=STILL),
        [(0, 0), (0, 0), (0, 2)],
        lambda m: (
            not m[0].second.maybe_locked
            and m[1].second.maybe_locked
            and m[1].second.has("partiallytrapped")
            and m[2].second.pp[2] == 24
        ),
    ),
    scene(
        "a_trap_spares_the_recharging_even_where_it_misses",
        8,
        on(CHARIZARD, moves={0: WRAP}),
        on(PIDGEOT, moves=STILL, volatiles={"mustrecharge": 0}),
        [(0, 0)],
        lambda m: m[0].second.lost == 0 and not m[0].second.has("mustrecharge"),
    ),
    scene(
        "a_trap_for_whoever_comes_in_costs_pp_again",
        1,
        on(CHARIZARD, moves={0: WRAP}),
        on(PIDGEOT, moves=STILL),
        [(0, 0), (0, REPLACE + HITMONLEE), (0, 0)],
        lambda m: (
            m[0].first.has("partialtrappinglock")
            and m[1].second.slot == HITMONLEE
            and m[1].first.partialtrappinglock_locked == HITMONLEE + 1
            and m[1].first.pp[0] == 6
        ),
    ),
    scene(
        "a_trap_holds_a_ghost_and_does_not_hurt_it",
        1,
        on(CHARIZARD, moves={0: WRAP}, stats={SPEED: 999}),
        on(GENGAR, moves=STILL),
        [(0, 0), (0, 0)],
        lambda m: m[1].second.lost == 0 and m[0].second.has("partiallytrapped"),
    ),
    scene(
        "full_paralysis_ends_a_trap",
        7,
        on(CHARIZARD, moves={0: WRAP}, **SLOW),
        on(PIDGEOT, moves=STILL),
        [(0, 0), (0, 0)],
        lambda m: (
            m[0].first.partialtrappinglock_total_duration > 2
            and not m[1].first.has("partialtrappinglock")
            and m[1].second.lost == m[0].second.lost
        ),
    ),
    scene(
        "a_substitute_does_not_keep_a_trap_off",
        1,
        on(CHARIZARD, moves={0: WRAP}),
        on(PIDGEOT, moves=STILL, volatiles={"substitute": 93}),
        [(0, 0)],
        lambda m: m[0].second.has("substitute") and m[0].second.has("partiallytrapped"),
    ),
    scene(
        "who_was_knocked_out_is_not_held",
        1,
        on(CHARIZARD, moves={0: WRAP}),
        on(PIDGEOT, moves=STILL, hp=1),
        [(0, 0), (-1, REPLACE + HITMONLEE), (0, 0)],
        lambda m: m[0].second.hp == 0 and not m[0].first.has("partialtrappinglock"),
    ),
    scene(
        "a_trap_that_metronome_called_is_called_again",
        121,
        on(CHARIZARD, moves={0: METRONOME}),
        on(PIDGEOT, moves=STILL),
        [(0, 0), (0, REPLACE + HITMONLEE), (0, 0)],
        lambda m: (
            m[0].first.has("partialtrappinglock")
            and m[1].first.last_move not in (m[0].first.last_move, METRONOME)
            and m[1].first.pp[0] == 6
        ),
    ),
    # -- Thrash, Rage, Bide
    scene(
        "thrash_goes_on_for_one_pp_and_confuses",
        1,
        on(CHARIZARD, moves={0: THRASH}),
        on(PIDGEOT, moves=STILL),
        [(0, 0)] * 3,
        lambda m: (
            m[0].first.has("lockedmove")
            and m[0].first.trapped
            and m[2].first.has("confusion")
            and not m[2].first.has("lockedmove")
            and m[2].first.pp[0] == 7
        ),
    ),
    scene(
        "thrash_forgets_no_loss_of_accuracy",
        1,
        on(CHARIZARD, moves={0: THRASH}, boosts={ACCURACY: -1}),
        on(PIDGEOT, moves=STILL),
        [(0, 0)] * 2,
        lambda m: [x.first.lockedmove_accuracy for x in m[:2]] == [168, 110],
    ),
    scene(
        "rage_builds_with_every_hit",
        1,
        on(CHARIZARD, moves={0: RAGE}, stats={SPEED: 999}),
        on(BEEDRILL),
        [(0, 0), (0, 0)],
        lambda m: m[0].first.has("rage") and m[0].first.trapped and m[0].first.boosts[0] == 2,
    ),
    scene(
        "rage_builds_where_disable_misses",
        3,
        on(CHARIZARD, moves={0: RAGE}, stats={SPEED: 999}),
        on(PIDGEOT, moves={0: DISABLE}),
        [(0, 0)],
        lambda m: m[0].first.boosts[0] == 1 and not m[0].first.has("disable"),
    ),
    scene(
        "rage_that_breaks_a_substitute_does_not_begin",
        1,
        on(CHARIZARD, moves={0: RAGE}),
        on(PIDGEOT, moves=STILL, volatiles={"substitute": 1}),
        [(0, 0)],
        lambda m: not m[0].second.has("substitute") and not m[0].first.has("rage"),
    ),
    scene(
        "bide_deals_twice_what_it_took",
        1,
        on(CHARIZARD, moves={0: BIDE}),
        on(PIDGEOT, moves=TACKLES, stats={0: 100}),
        [(0, 0)] * 3,
        lambda m: (
            m[0].first.has("bide")
            and m[1].first.bide_damage == m[0].first.lost > 0
            and m[2].second.lost == 2 * m[1].first.lost
            and not m[2].first.has("bide")
        ),
    ),
    scene(
        "bide_without_damage_fails",
        1,
        on(CHARIZARD, moves={0: BIDE}),
        on(PIDGEOT, moves=STILL),
        [(0, 0)] * 3,
        lambda m: m[1].first.has("bide") and not m[2].first.has("bide") and m[2].second.lost == 0,
    ),
    scene(
        "bide_may_leave",
        1,
        on(CHARIZARD, moves={0: BIDE}),
        on(PIDGEOT, moves=STILL),
        [(0, 0), (REPLACE + HITMONLEE, 0), (1, 0)],
        lambda m: m[0].first.has("bide") and m[1].first.slot == HITMONLEE,
    ),
    scene(
        "bide_breaks_a_substitute",
        1,
        on(CHARIZARD, moves={0: BIDE}),
        on(PIDGEOT, moves=TACKLES, volatiles={"substitute": 20}),
        [(0, 0)] * 3,
        lambda m: m[0].second.has("substitute") and m[2].second.sub_fainted,
    ),
    # -- out of reach
    scene(
        "who_digs_is_out_of_reach",
        1,
        on(GENGAR, moves={0: DIG}),
        on(CHARIZARD, moves={0: 57}),
        [(0, 0), (0, 0)],
        lambda m: m[0].first.has("invulnerability") and m[0].first.lost == 0,
    ),
    scene(
        "dig_strikes_and_is_in_reach_again",
        1,
        on(GENGAR, moves={0: DIG}),
        on(HITMONLEE, moves=STILL),
        [(0, 0), (0, 0)],
        lambda m: (
            m[0].first.has("twoturnmove")
            and m[1].second.lost > 0
            and not m[1].first.has("invulnerability")
            and m[1].first.pp[0] == 31
        ),
    ),
    scene(
        "swift_finds_who_flies",
        2,
        on(CHARIZARD, moves={0: FLY}),
        on(PIDGEOT, moves={0: SWIFT}),
        [(0, 0)],
        lambda m: m[0].first.has("invulnerability") and m[0].first.lost > 0,
    ),
    scene(
        "transform_finds_who_flies",
        2,
        on(CHARIZARD, moves={0: FLY}),
        on(DITTO),
        [(0, 0), (0, 0)],
        lambda m: m[0].first.has("invulnerability") and m[0].second.transformed,
    ),
    scene(
        "full_paralysis_leaves_it_out_of_reach",
        4,
        on(CHARIZARD, moves={0: FLY}, **SLOW),
        on(PIDGEOT, moves=STILL),
        [(0, 0), (0, 0)],
        lambda m: (
            m[0].first.has("twoturnmove")
            and not m[1].first.has("twoturnmove")
            and m[1].first.has("invulnerability")
        ),
    ),
    scene(
        "who_bursts_at_one_out_of_reach_faints",
        1,
        on(GENGAR, moves={0: DIG}),
        on(CHARIZARD),
        [(0, 3), (-1, REPLACE + HITMONLEE), (0, 0)],
        lambda m: m[0].second.hp == 0 and m[0].first.lost == 0,
    ),
    # -- Disable
    scene(
        "disable_bars_a_move_from_being_chosen",
        1,
        on(GENGAR, moves={0: DISABLE}),
        on(PIDGEOT, moves=STILL),
        [(0, 0), (1, 0)],
        lambda m: m[0].second.disable_slot_index == 3 and m[0].second.disabled[3],
    ),
    scene(
        "disable_bars_the_move_of_this_turn",
        14,
        on(GENGAR, moves={0: DISABLE}),
        on(PIDGEOT, moves=STILL),
        [(0, 2), (1, 0)],
        lambda m: (
            m[0].second.disable_slot_index == 2
            and m[0].second.pp[2] == 24
            and m[0].second.last_move == 38
            and m[0].first.lost == 0
        ),
    ),
    scene(
        "disable_ends",
        1,
        on(GENGAR, moves={0: DISABLE, 1: SPLASH}),
        on(PIDGEOT, moves=STILL),
        [(0, 0), (1, 0), (1, 0)],
        lambda m: m[0].second.disable_time == 1 and not m[1].second.has("disable"),
    ),
    scene(
        "disable_ends_charging",
        1,
        on(GENGAR, moves={0: DISABLE, 1: SPLASH}),
        on(PIDGEOT, pp={1: 0, 2: 0, 3: 0}),
        [(1, 0), (0, 0), (1, 0)],
        lambda m: (
            m[0].second.has("twoturnmove")
            and m[1].second.disable_move == SKY_ATTACK
            and not m[1].second.has("twoturnmove")
        ),
    ),
)
