"""L2, statuses and what a switch ends, see pokemon_scenarios.py."""

from .pokemon_teams import (
    ACCURACY,
    BEEDRILL,
    BURN,
    CHARIZARD,
    DITTO,
    FREEZE,
    GENGAR,
    HITMONLEE,
    IDLE,
    PARALYSIS,
    PIDGEOT,
    POISON,
    RECOVER,
    REPLACE,
    SKY_ATTACK,
    SLEEP,
    SPECIAL_DEFENSE,
    SPEED,
    TACKLE,
    on,
    scene,
)

REST, SCREECH, POISON_POWDER, HYPER_BEAM, PIN_MISSILE = 156, 103, 77, 63, 42
FISSURE = 90

STATUSES = (
    # -- sleep
    scene(
        "hypnosis_puts_to_sleep",
        3,
        on(GENGAR),
        on(CHARIZARD, moves=IDLE),
        [(0, 3), (2, 0)],
        lambda m: m[0].second.status == SLEEP and m[0].second.sleep_time > 1,
    ),
    scene(
        "sleep_clause_stops_a_second_sleeper",
        3,
        on(GENGAR),
        on(CHARIZARD, moves=IDLE, bench={HITMONLEE: SLEEP}),
        [(0, 3), (2, 3)],
        lambda m: m[0].second.status == 0,
    ),
    scene(
        "whoever_wakes_up_does_nothing_else",
        1,
        on(PIDGEOT, moves=IDLE),
        on(CHARIZARD, status=SLEEP, sleep=1),
        [(3, 0), (3, 2)],
        lambda m: m[0].second.status == 0 and m[0].first.lost == 0,
    ),
    scene(
        "rest_heals_and_sleeps_two_turns",
        1,
        on(PIDGEOT, hp=100, moves={0: REST, **IDLE}),
        on(CHARIZARD, moves=IDLE),
        [(0, 3), (0, 3), (0, 3), (3, 3)],
        lambda m: (
            [x.first.sleep_time for x in m[:4]] == [2, 1, 0, 0]
            and [x.first.status for x in m[:4]] == [SLEEP, SLEEP, 0, 0]
            and all(x.first.lost == 0 for x in m[:4])
        ),
    ),
    scene(
        "rest_fails_where_255_points_are_missing",
        1,
        on(PIDGEOT, hp=369 - 255, moves={0: REST}),
        on(CHARIZARD, moves=IDLE),
        [(0, 3)],
        lambda m: m[0].first.lost == 255 and m[0].first.status == 0,
    ),
    scene(
        "recover_fails_where_255_points_are_missing",
        1,
        on(PIDGEOT, hp=369 - 255, moves=IDLE),
        on(CHARIZARD, moves=IDLE),
        [(3, 3)],
        lambda m: m[0].first.lost == 255,
    ),
    scene(
        "recover_heals_half",
        1,
        on(PIDGEOT, hp=100, moves=IDLE),
        on(CHARIZARD, moves=IDLE),
        [(3, 3)],
        lambda m: m[0].first.hp == 100 + 369 // 2,
    ),
    # -- freeze
    scene(
        "blizzard_freezes",
        5,
        on(BEEDRILL),
        on(PIDGEOT, moves=IDLE),
        [(3, 3), (0, 0)],
        lambda m: m[0].second.status == FREEZE,
    ),
    scene(
        "freeze_clause_stops_a_second_one",
        5,
        on(BEEDRILL),
        on(PIDGEOT, moves=IDLE, bench={HITMONLEE: FREEZE}),
        [(3, 3), (0, 3)],
        lambda m: m[0].second.status == 0 and m[0].second.lost > 0,
    ),
    scene(
        "fire_blast_thaws",
        1,
        on(CHARIZARD),
        on(GENGAR, status=FREEZE),
        [(0, 0), (2, 2)],
        lambda m: m[0].second.status == 0 and m[0].second.lost > 0,
    ),
    scene(
        "thawed_without_a_choice_it_uses_no_move",
        1,
        on(CHARIZARD),
        on(BEEDRILL, status=FREEZE, stats={SPECIAL_DEFENSE: 999}),
        [(0, 0), (2, 0)],
        lambda m: m[0].second.status == 0 and m[0].second.pokemon_last_move == FISSURE,
    ),
    scene(
        "thawed_without_pp_it_has_63_left",
        1,
        on(CHARIZARD),
        on(
            BEEDRILL,
            status=FREEZE,
            pp={1: 0},
            stats={SPECIAL_DEFENSE: 999},
            side={"last_selected_move": PIN_MISSILE, "last_selected_move_slot": 1},
        ),
        [(0, 0), (2, 0)],
        lambda m: m[0].second.status == 0 and m[0].second.pp[1] == 63,
    ),
    # -- recharging
    scene(
        "hyper_beam_has_to_recharge",
        1,
        on(CHARIZARD),
        on(PIDGEOT, moves=IDLE),
        [(1, 3), (0, 3), (2, 3)],
        lambda m: m[0].first.has("mustrecharge") and not m[1].first.has("mustrecharge"),
    ),
    scene(
        "hyper_beam_need_not_recharge_after_a_knock_out",
        1,
        on(CHARIZARD),
        on(PIDGEOT, hp=1),
        [(1, 0), (-1, REPLACE + BEEDRILL), (2, 0)],
        lambda m: m[0].second.fainted and not m[0].first.has("mustrecharge"),
    ),
    scene(
        "hyper_beam_need_not_recharge_after_a_substitute_broke",
        1,
        on(CHARIZARD),
        on(PIDGEOT, moves=IDLE, volatiles={"substitute": 5}),
        [(1, 3), (2, 3)],
        lambda m: (
            not m[0].second.has("substitute")
            and m[0].second.lost == 0
            and not m[0].first.has("mustrecharge")
        ),
    ),
    scene(
        "sleep_always_hits_whoever_recharges_whatever_its_status",
        1,
        on(GENGAR, boosts={ACCURACY: -6}),
        on(
            CHARIZARD,
            status=PARALYSIS,
            volatiles={"mustrecharge": 0},
            side={"last_selected_move": HYPER_BEAM, "last_selected_move_slot": 1},
        ),
        [(0, 0), (2, 0)],
        lambda m: m[0].second.status == SLEEP and not m[0].second.has("mustrecharge"),
    ),
    # -- flinching
    scene(
        "whoever_flinches_does_nothing",
        1,
        on(HITMONLEE),
        on(DITTO),
        [(3, 0), (3, 0)],
        lambda m: not m[0].second.transformed and m[0].second.pp[0] == 16,
    ),
    scene(
        "flinching_ends_recharging",
        1,
        on(HITMONLEE),
        on(CHARIZARD, stats={0: 50}),
        [(3, 1), (3, 2)],
        lambda m: (
            m[0].first.lost > 0
            and m[0].second.last_move == HYPER_BEAM
            and not m[0].second.has("mustrecharge")
        ),
    ),
    # -- paralysis, and moves of two turns
    scene(
        "sky_attack_charges_then_strikes_and_pays",
        1,
        on(PIDGEOT),
        on(CHARIZARD, moves=IDLE),
        [(0, 3), (0, 3), (2, 2)],
        lambda m: (
            m[0].first.twoturnmove_move == SKY_ATTACK
            and m[0].first.pp[0] == 8
            and m[1].first.pp[0] == 7
            and m[1].second.lost > 0
        ),
    ),
    scene(
        "full_paralysis_ends_charging",
        3,
        on(
            PIDGEOT,
            status=PARALYSIS,
            volatiles={"twoturnmove": SKY_ATTACK},
            side={"last_selected_move": SKY_ATTACK},
        ),
        on(CHARIZARD, moves=IDLE),
        [(0, 3), (2, 3)],
        lambda m: (
            not m[0].first.has("twoturnmove") and m[0].first.pp[0] == 8 and m[0].second.lost == 0
        ),
    ),
    # -- confusion
    scene(
        "confuse_ray_confuses",
        1,
        on(GENGAR),
        on(CHARIZARD, moves=IDLE),
        [(1, 3)],
        lambda m: m[0].second.has("confusion"),
    ),
    scene(
        "a_substitute_keeps_confusion_off",
        1,
        on(GENGAR),
        on(CHARIZARD, moves=IDLE, volatiles={"substitute": 80}),
        [(1, 3)],
        lambda m: m[0].first.pp[1] == 15 and not m[0].second.has("confusion"),
    ),
    scene(
        "whoever_is_confused_hits_itself",
        2,
        on(CHARIZARD, volatiles={"confusion": 5}),
        on(PIDGEOT, moves=IDLE),
        [(2, 3)],
        lambda m: m[0].first.lost > 0 and m[0].first.pp[2] == 48,
    ),
    scene(
        "behind_a_substitute_confusion_hits_that_of_the_foe",
        2,
        on(CHARIZARD, volatiles={"confusion": 5, "substitute": 80}),
        on(PIDGEOT, moves=IDLE, volatiles={"substitute": 80}),
        [(2, 3)],
        lambda m: (
            m[0].first.lost == 0
            and m[0].first.substitute_hp == 80
            and 0 < m[0].second.substitute_hp < 80
            and m[0].first.pp[2] == 48
        ),
    ),
    scene(
        "behind_a_substitute_confusion_hits_nobody_where_the_foe_has_none",
        2,
        on(CHARIZARD, volatiles={"confusion": 5, "substitute": 80}),
        on(PIDGEOT, moves=IDLE),
        [(2, 3)],
        lambda m: (
            m[0].snapshot["last_damage"] > 0
            and m[0].first.lost == m[0].second.lost == 0
            and m[0].first.substitute_hp == 80
            and m[0].first.pp[2] == 48
        ),
    ),
    # -- substitutes and statuses
    scene(
        "a_substitute_of_the_last_quarter_faints_the_user",
        1,
        on(HITMONLEE, hp=61),
        on(PIDGEOT, moves=IDLE),
        [(2, 3), (REPLACE + GENGAR, -1), (2, 3)],
        lambda m: m[0].first.fainted and m[0].snapshot["request"].tolist() == [2, 0],
    ),
    scene(
        "screech_lowers_defense",
        1,
        on(GENGAR, moves={3: SCREECH}),
        on(PIDGEOT, moves=IDLE),
        [(3, 3)],
        lambda m: m[0].second.boosts[1] == -2,
    ),
    scene(
        "a_substitute_keeps_lowered_statistics_off",
        1,
        on(GENGAR, moves={3: SCREECH}),
        on(PIDGEOT, moves=IDLE, volatiles={"substitute": 80}),
        [(3, 3)],
        lambda m: m[0].first.pp[3] == 31 and m[0].second.boosts[1] == 0,
    ),
    scene(
        "a_substitute_lets_paralysis_through",
        1,
        on(GENGAR),
        on(PIDGEOT, moves=IDLE, volatiles={"substitute": 80}),
        [(3, 3)],
        lambda m: m[0].second.status == PARALYSIS and m[0].second.modified_stats[SPEED] == 70,
    ),
    scene(
        "poison_powder_poisons",
        1,
        on(BEEDRILL, moves={3: POISON_POWDER}),
        on(PIDGEOT, moves=IDLE),
        [(3, 3)],
        lambda m: m[0].second.status == POISON,
    ),
    scene(
        "poison_types_are_immune_to_poison",
        1,
        on(BEEDRILL, moves={3: POISON_POWDER}),
        on(GENGAR, moves=IDLE),
        [(3, 3)],
        lambda m: m[0].second.status == 0,
    ),
    # -- what poison and burn cost
    scene(
        "poison_hurts_after_the_own_move",
        1,
        on(PIDGEOT, status=POISON, moves=IDLE),
        on(CHARIZARD, moves=IDLE),
        [(3, 3)],
        lambda m: m[0].first.lost == 369 // 16,
    ),
    scene(
        "fire_blast_burns_and_halves_attack",
        1,
        on(CHARIZARD),
        on(PIDGEOT, moves=IDLE, stats={SPECIAL_DEFENSE: 999}),
        [(0, 1), (2, 1)],
        lambda m: (
            m[0].second.status == BURN
            and m[0].second.modified_stats[0] == 129
            and m[1].second.lost == m[0].second.lost + 369 // 16
        ),
    ),
    scene(
        "poison_does_not_hurt_after_a_knock_out",
        1,
        on(PIDGEOT, status=POISON, moves={0: RECOVER, 3: TACKLE}),
        on(HITMONLEE, hp=1),
        [(3, 0), (-1, REPLACE + GENGAR), (0, 1)],
        lambda m: m[0].second.fainted and m[0].first.lost == 0,
    ),
    scene(
        "poison_hurts_on_coming_in",
        1,
        on(PIDGEOT, bench={HITMONLEE: POISON}),
        on(CHARIZARD, moves=IDLE),
        [(REPLACE + HITMONLEE, 3), (2, 3)],
        lambda m: m[0].first.slot == HITMONLEE and m[0].first.lost == 244 // 16,
    ),
    scene(
        "poison_does_not_hurt_who_comes_in_for_a_fainted_one",
        1,
        on(PIDGEOT, hp=1, bench={HITMONLEE: POISON}),
        on(CHARIZARD),
        [(0, 0), (REPLACE + HITMONLEE, -1), (2, 2)],
        lambda m: m[1].first.slot == HITMONLEE and m[1].first.lost == 0,
    ),
)
