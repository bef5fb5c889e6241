"""L2, what battles seldom come to, see pokemon_scenarios.py and pokemon_coverage.py."""

from .pokemon_teams import (
    BEEDRILL,
    BURN,
    CHANSEY,
    CHARIZARD,
    DEFENSE,
    DITTO,
    GENGAR,
    HITMONLEE,
    IDLE,
    PIDGEOT,
    POISON,
    REPLACE,
    SLEEP,
    SPECIAL_ATTACK,
    SPECIAL_DEFENSE,
    SPEED,
    STILL,
    on,
    scene,
)

GROWL, SCREECH, RAGE, BIDE, WRAP, HAZE, LEECH_SEED, SLASH = 45, 103, 99, 117, 35, 114, 73, 163
MIMIC, SPLASH = 102, 150
RAZOR_WIND, SKULL_BASH, SOLAR_BEAM, TELEPORT = 13, 130, 76, 100
TRAPS = {"bind": 20, "clamp": 128, "fire_spin": 83}
CHARGES = {"razor_wind": RAZOR_WIND, "skull_bash": SKULL_BASH, "solar_beam": SOLAR_BEAM}
CANNOT_MOVE = 167
SIXTEENTH = 369 // 16
"""Of Pidgeot's hit points."""
SOFTBOILED, RECOVERED, RESTED = range(3)
"""Chansey's moves, by place."""
MOST = 703
"""Chansey's hit points."""

_STATISTICS = (
    scene(
        "growl_lowers_nothing_below_six_stages",
        1,
        on(CHARIZARD, moves={0: GROWL}),
        on(PIDGEOT, moves=STILL, boosts={0: -6}, stats={0: 64}),
        [(0, 0)],
        lambda m: m[0].second.boosts[0] == -6 and m[0].second.modified_stats[0] == 64,
    ),
    scene(
        "screech_lowers_to_six_stages",
        1,
        on(GENGAR, moves={3: SCREECH}),
        on(PIDGEOT, moves=IDLE, boosts={1: -5}, stats={DEFENSE: 69}),
        [(3, 3)],
        lambda m: m[0].second.boosts[1] == -6 and m[0].second.modified_stats[DEFENSE] == 62,
    ),
    scene(
        "swords_dance_raises_to_six_stages",
        1,
        on(CHARIZARD, boosts={0: 5}, stats={0: 931}),
        on(PIDGEOT, moves=IDLE),
        [(2, 3)],
        lambda m: m[0].first.boosts[0] == 6 and m[0].first.modified_stats[0] == 999,
    ),
    scene(
        "at_1_growl_rebounds",
        1,
        on(CHARIZARD, moves={0: GROWL}),
        on(PIDGEOT, moves=STILL, boosts={0: -3}, stats={0: 1}),
        [(0, 0)],
        lambda m: m[0].second.boosts[0] == -3 and m[0].second.modified_stats[0] == 1,
    ),
    scene(
        "at_1_screech_rebounds_from_six_stages",
        1,
        on(GENGAR, moves={3: SCREECH}),
        on(PIDGEOT, moves=IDLE, boosts={1: -5}, stats={DEFENSE: 1}),
        [(3, 3)],
        lambda m: m[0].second.boosts[1] == -5 and m[0].second.modified_stats[DEFENSE] == 1,
    ),
    scene(
        "at_999_rage_rebounds",
        1,
        on(CHARIZARD, moves={0: RAGE}, boosts={0: 5}, stats={0: 999, SPEED: 999}),
        on(BEEDRILL),
        [(0, 0)],
        lambda m: (
            m[0].first.lost > 0
            and m[0].first.has("rage")
            and m[0].first.boosts[0] == 5
            and m[0].first.modified_stats[0] == 999
        ),
    ),
    scene(
        "whoever_is_knocked_out_builds_no_rage",
        1,
        on(CHARIZARD, hp=1, moves={0: RAGE}, stats={SPEED: 999}),
        on(BEEDRILL),
        [(0, 0), (REPLACE + PIDGEOT, -1), (2, 0)],
        lambda m: m[0].first.fainted and m[0].first.boosts[0] == 0,
    ),
)

_LOCKED = (
    scene(
        "who_could_not_move_and_sends_in_a_sleeper_wakes_nobody",
        1,
        on(PIDGEOT, moves=STILL),
        on(CHARIZARD, status=SLEEP, side={"last_selected_move": CANNOT_MOVE}),
        [(0, 0), (0, 0)],
        lambda m: [x.second.sleep_time for x in m[:2]] == [3, 3],
    ),
    scene(
        "whom_haze_wakes_while_it_bides_never_moves_again",
        1,
        on(GENGAR, moves={0: HAZE, 1: SPLASH}),
        on(
            CHARIZARD,
            moves={0: BIDE},
            status=SLEEP,
            sleep=5,
            volatiles={"bide": 0},
            side={"bide_time": 2, "last_selected_move": BIDE},
        ),
        [(0, 0), (1, 0), (1, 0)],
        lambda m: (
            m[0].second.status == 0
            and m[2].second.last_selected_move == CANNOT_MOVE
            and m[2].second.bide_time == 2
        ),
    ),
    scene(
        "disable_bars_bide_from_going_on",
        1,
        on(GENGAR, moves={0: SPLASH}),
        on(
            CHARIZARD,
            moves={0: BIDE},
            volatiles={"bide": 0, "disable": 0},
            side={"bide_time": 2, "last_selected_move": BIDE}
            | {"disable_time": 6, "disable_move": BIDE, "disable_slot_index": 0},
        ),
        [(0, 0)],
        lambda m: m[0].second.bide_time == 2 and m[0].second.disable_time == 5,
    ),
    scene(
        "behind_a_substitute_bide_begins",
        1,
        on(CHARIZARD, moves={0: BIDE}, volatiles={"substitute": 80}),
        on(PIDGEOT, moves=STILL),
        [(0, 0)],
        lambda m: m[0].first.has("bide") and m[0].first.substitute_hp == 80,
    ),
    scene(
        "a_trap_ends_with_whom_it_knocks_out",
        1,
        on(CHARIZARD, moves={0: WRAP}),
        on(PIDGEOT, moves=STILL, hp=20),
        [(0, 0), (0, 0), (-1, REPLACE + HITMONLEE), (0, 0)],
        lambda m: (
            m[0].first.has("partialtrappinglock")
            and m[1].second.fainted
            and not m[1].first.has("partialtrappinglock")
        ),
    ),
    scene(
        "who_stayed_out_of_reach_can_still_raise_its_attack",
        1,
        on(CHARIZARD, volatiles={"invulnerability": 0}),
        on(PIDGEOT, moves=STILL),
        [(2, 0)],
        lambda m: m[0].first.has("invulnerability") and m[0].first.boosts[0] == 2,
    ),
    *(
        scene(
            f"{name}_spares_the_recharging",
            1,
            on(CHARIZARD, moves={0: move}),
            on(PIDGEOT, moves=STILL, volatiles={"mustrecharge": 0}),
            [(0, 0)],
            lambda m: m[0].second.lost > 0 and not m[0].second.has("mustrecharge"),
        )
        for name, move in TRAPS.items()
    ),
    *(
        scene(
            f"{name}_charges_then_strikes",
            1,
            on(CHARIZARD, moves={0: move}),
            on(PIDGEOT, moves=STILL),
            [(0, 0), (0, 0)],
            lambda m, move=move: (  # type: ignore[misc]
                m[0].first.twoturnmove_move == move
                and m[0].second.lost == 0
                and m[1].second.lost > 0
                and not m[1].first.has("twoturnmove")
            ),
        )
        for name, move in CHARGES.items()
    ),
)

_DAMAGE = (
    scene(
        "a_sure_move_misses_once_in_256",
        181,
        on(CHARIZARD, moves={0: SLASH}),
        on(PIDGEOT, moves=STILL),
        [(0, 0)],
        lambda m: m[0].first.last_move == SLASH and m[0].second.lost == 0,
    ),
    scene(
        "hyper_beam_has_to_recharge_where_a_substitute_holds",
        1,
        on(CHARIZARD),
        on(PIDGEOT, moves=IDLE, volatiles={"substitute": 93}, stats={DEFENSE: 999}),
        [(1, 3), (0, 3)],
        lambda m: 0 < m[0].second.substitute_hp < 93 and m[0].first.has("mustrecharge"),
    ),
    scene(
        "several_hits_at_a_substitute_are_equally_hard",
        1,
        on(BEEDRILL),
        on(CHARIZARD, moves=IDLE, volatiles={"substitute": 90}, stats={DEFENSE: 999}),
        [(1, 3)],
        lambda m: 0 < m[0].second.substitute_hp <= 90 - 2 * m[0].snapshot["last_damage"] < 90,
    ),
    scene(
        "mega_drain_of_nothing_heals_one_point_from_a_substitute",
        1,
        on(BEEDRILL, hp=100, stats={SPECIAL_ATTACK: 1}),
        on(
            CHARIZARD,
            moves=IDLE,
            volatiles={"substitute": 80},
            stats={SPECIAL_DEFENSE: 999},
        ),
        [(2, 3)],
        lambda m: m[0].second.substitute_hp == 80 and m[0].first.hp == 101,
    ),
    scene(
        "psywave_fails_at_level_1",
        1,
        on(GENGAR, team=1),
        on(PIDGEOT, moves=STILL),
        [(0, 0)],
        lambda m: m[0].first.pp[0] == 23 and m[0].second.lost == 0,
    ),
    scene(
        "leech_seed_heals_more_than_there_was",
        1,
        on(GENGAR, hp=100, moves={0: LEECH_SEED, 1: SPLASH}),
        on(CHARIZARD, hp=10, moves=STILL),
        [(0, 0), (-1, REPLACE + HITMONLEE), (1, 0)],
        lambda m: m[0].second.fainted and m[0].first.hp == 100 + 359 // 16,
    ),
    scene(
        "leech_seed_drains_nothing_for_whom_bide_knocked_out",
        1,
        on(
            CHARIZARD,
            hp=200,
            moves={0: BIDE},
            volatiles={"bide": 0, "leechseed": 0},
            side={"bide_time": 1, "bide_damage": 100, "last_selected_move": BIDE},
        ),
        on(PIDGEOT, hp=200, moves=STILL),
        [(0, 0), (-1, REPLACE + HITMONLEE), (2, 0)],
        lambda m: m[0].second.fainted and m[0].first.hp == 200,
    ),
    *(
        scene(
            f"toxics_counter_outlasts_it_into_{name}",
            1,
            on(PIDGEOT, status=status, moves=IDLE, volatiles={"residualdmg": 2}),
            on(CHARIZARD, moves=IDLE),
            [(3, 3)],
            lambda m: m[0].first.lost == 3 * SIXTEENTH,
        )
        for name, status in (("burn", BURN), ("poison", POISON))
    ),
    scene(
        "a_burn_hurts_on_coming_in",
        1,
        on(PIDGEOT, bench={HITMONLEE: BURN}),
        on(CHARIZARD, moves=IDLE),
        [(REPLACE + HITMONLEE, 3), (2, 3)],
        lambda m: m[0].first.slot == HITMONLEE and m[0].first.lost == 244 // 16,
    ),
)

_ALONE = (
    scene(
        "teleport_does_nothing",
        1,
        on(CHARIZARD, moves={0: TELEPORT}),
        on(PIDGEOT, moves=STILL),
        [(0, 0)],
        lambda m: m[0].first.last_move == TELEPORT and m[0].first.slot == CHARIZARD,
    ),
    scene(
        "haze_ends_confusion_and_disable",
        1,
        on(GENGAR, moves={0: HAZE}),
        on(
            CHARIZARD,
            moves=STILL,
            volatiles={"confusion": 5, "disable": 0},
            side={"disable_time": 6, "disable_move": 153, "disable_slot_index": 3},
        ),
        [(0, 0)],
        lambda m: not m[0].second.has("confusion") and not m[0].second.has("disable"),
    ),
    scene(
        "a_substitute_needs_a_quarter",
        1,
        on(HITMONLEE, hp=60),
        on(PIDGEOT, moves=IDLE),
        [(2, 3)],
        lambda m: m[0].first.hp == 60 and not m[0].first.has("substitute"),
    ),
    scene(
        "whoever_transformed_mimics_in_a_place_it_never_had",
        1,
        on(DITTO),
        on(PIDGEOT, moves=STILL),
        [(0, 0), (3, 0), (1, 0)],
        lambda m: m[0].first.transformed and m[1].first.moves[3] not in (0, MIMIC),
    ),
    scene(
        "softboiled_heals_half",
        1,
        on(CHANSEY, team=1, hp=100),
        on(CHARIZARD, moves=IDLE),
        [(SOFTBOILED, 3)],
        lambda m: m[0].first.hp == 100 + MOST // 2,
    ),
    scene(
        "softboiled_fails_at_full_health",
        1,
        on(CHANSEY, team=1),
        on(CHARIZARD, moves=IDLE),
        [(SOFTBOILED, 3)],
        lambda m: m[0].first.pp[SOFTBOILED] == 15 and m[0].first.lost == 0,
    ),
    *(
        scene(
            f"{name}_fails_where_{lost}_points_of_703_are_missing",
            1,
            on(CHANSEY, team=1, hp=MOST - lost),
            on(CHARIZARD, moves=IDLE),
            [(place, 3)],
            lambda m, lost=lost: m[0].first.lost == lost,  # type: ignore[misc]
        )
        for name, place in (("softboiled", SOFTBOILED), ("recover", RECOVERED), ("rest", RESTED))
        for lost in (255, 511)
    ),
)

RARE = (*_STATISTICS, *_LOCKED, *_DAMAGE, *_ALONE)
