"""L2, what lasts until a switch, and moves that stand alone, see pokemon_scenarios.py."""

from .pokemon_teams import (
    BEEDRILL,
    CHARIZARD,
    GENGAR,
    HITMONLEE,
    IDLE,
    PARALYSIS,
    PIDGEOT,
    POISON,
    REPLACE,
    SLEEP,
    SPEED,
    STILL,
    on,
    scene,
)

TOXIC, LEECH_SEED, HAZE, MIST, LIGHT_SCREEN, FOCUS_ENERGY = 92, 73, 114, 54, 113, 116
MINIMIZE, DOUBLE_TEAM, CONVERSION, METRONOME, MIRROR_MOVE = 107, 104, 160, 118, 119
HORN_DRILL, SONIC_BOOM, DRAGON_RAGE, PSYWAVE, DREAM_EATER = 32, 49, 82, 149, 138
PSYBEAM, PSYCHIC, GROWL, SPLASH, WHIRLWIND, REST, THRASH = 60, 94, 45, 150, 18, 156, 37
BADLY_POISONED, CANNOT_MOVE = 6, 167
SIXTEENTH = 359 // 16
"""Of Charizard's hit points."""
TYPES = [[8, 4], [2, 0], [1, 0], [1, 3], [9, 3], [7, 4]]
"""Of the team."""
WITH_GRASS = [*TYPES[:CHARIZARD], [11, 0], TYPES[BEEDRILL]]

LASTING = (
    # -- Toxic and Leech Seed
    scene(
        "toxic_costs_more_each_turn",
        1,
        on(GENGAR, moves={0: TOXIC, 1: SPLASH}),
        on(CHARIZARD, moves=STILL),
        [(0, 0), (1, 0), (1, 0)],
        lambda m: [x.second.lost for x in m[:3]] == [SIXTEENTH, 3 * SIXTEENTH, 6 * SIXTEENTH],
    ),
    scene(
        "toxics_counter_outlasts_rest",
        1,
        on(GENGAR, moves={0: TOXIC, 1: SPLASH}),
        on(CHARIZARD, moves={0: REST}),
        [(0, 0), (1, 0)],
        lambda m: m[1].second.status == SLEEP and m[1].second.has("residualdmg"),
    ),
    scene(
        "toxic_is_poison_after_a_switch",
        1,
        on(GENGAR, moves={0: TOXIC, 1: SPLASH}),
        on(CHARIZARD, moves=STILL),
        [(0, 0), (1, REPLACE + HITMONLEE), (1, REPLACE + CHARIZARD), (1, 2)],
        lambda m: (
            m[1].snapshot["status"][1, CHARIZARD] == BADLY_POISONED
            and m[2].second.status == POISON
            and m[3].second.lost == 3 * SIXTEENTH
        ),
    ),
    scene(
        "leech_seed_drains",
        1,
        on(GENGAR, hp=100, moves={0: LEECH_SEED, 1: SPLASH}),
        on(CHARIZARD, moves=STILL),
        [(0, 0), (1, 0)],
        lambda m: m[0].second.lost == SIXTEENTH and m[0].first.hp == 100 + SIXTEENTH,
    ),
    scene(
        "leech_seed_does_not_grow_on_grass",
        1,
        on(GENGAR, hp=100, moves={0: LEECH_SEED, 1: SPLASH}, side={"types": TYPES}),
        on(CHARIZARD, moves=STILL, side={"types": WITH_GRASS}),
        [(0, 0), (1, 0)],
        lambda m: m[0].second.lost == 0 and not m[0].second.has("leechseed"),
    ),
    scene(
        "leech_seed_counts_with_toxic",
        1,
        on(GENGAR, hp=1, moves={0: TOXIC, 1: LEECH_SEED, 2: SPLASH}),
        on(CHARIZARD, moves=STILL),
        [(0, 0), (1, 0), (2, 0), (2, REPLACE + HITMONLEE)],
        lambda m: (
            [x.second.residualdmg_counter for x in m[:3]] == [1, 3, 5]
            and m[2].second.lost == (1 + 2 + 3 + 4 + 5) * SIXTEENTH
        ),
    ),
    # -- Haze, Mist, screens
    scene(
        "haze_ends_boosts_and_the_foes_status",
        1,
        on(GENGAR, moves={0: HAZE}, boosts={0: 2}, status=PARALYSIS, stats={SPEED: 79, 0: 436}),
        on(CHARIZARD, moves=STILL, boosts={1: -1}, status=POISON),
        [(0, 0)],
        lambda m: (
            not m[0].first.boosts.any()
            and m[0].first.modified_stats[SPEED] == 318
            and m[0].first.status == PARALYSIS
            and not m[0].second.boosts.any()
            and m[0].second.status == 0
        ),
    ),
    scene(
        "whom_haze_wakes_cannot_move",
        1,
        on(GENGAR, moves={0: HAZE}),
        on(CHARIZARD, moves=STILL, status=SLEEP, sleep=5),
        [(0, 0), (0, 0)],
        lambda m: (
            m[0].second.status == 0
            and m[0].second.last_selected_move == CANNOT_MOVE
            and m[1].second.last_move == SPLASH
        ),
    ),
    scene(
        "whom_haze_wakes_while_it_thrashes_never_moves_again",
        1,
        on(GENGAR, moves={0: HAZE, 1: SPLASH}),
        on(
            CHARIZARD,
            moves={0: THRASH},
            status=SLEEP,
            sleep=5,
            volatiles={"lockedmove": 0},
            side={"lockedmove_move": THRASH, "lockedmove_time": 2, "trapped": 1}
            | {"lockedmove_accuracy": 255, "last_selected_move": THRASH},
        ),
        [(0, 0), (1, 0), (1, 0)],
        lambda m: (
            m[0].second.status == 0
            and m[2].second.last_selected_move == CANNOT_MOVE
            and m[2].second.has("lockedmove")
            and m[2].first.lost == 0
        ),
    ),
    scene(
        "haze_makes_poison_of_its_users_toxic",
        1,
        on(CHARIZARD, moves={0: HAZE}, status=BADLY_POISONED, volatiles={"residualdmg": 3}),
        on(PIDGEOT, moves=STILL),
        [(0, 0)],
        lambda m: (
            m[0].first.status == POISON
            and not m[0].first.has("residualdmg")
            and m[0].first.lost == SIXTEENTH
        ),
    ),
    scene(
        "growl_lowers_attack",
        1,
        on(CHARIZARD, moves={0: GROWL}),
        on(PIDGEOT, moves=STILL),
        [(0, 0)],
        lambda m: m[0].second.boosts[0] == -1,
    ),
    scene(
        "mist_keeps_growl_off",
        1,
        on(CHARIZARD, moves={0: GROWL}),
        on(PIDGEOT, moves=STILL, volatiles={"mist": 0}),
        [(0, 0)],
        lambda m: m[0].second.boosts[0] == 0,
    ),
    scene(
        "mist_keeps_no_second_effect_off",
        1,
        on(CHARIZARD, moves={0: PSYCHIC, 1: SPLASH}),
        on(PIDGEOT, moves=STILL, volatiles={"mist": 0}),
        [(0, 0), (1, 0)],
        lambda m: m[0].second.boosts[2] == -1,
    ),
    scene(
        "light_screen_is_put_up",
        1,
        on(CHARIZARD, moves={0: LIGHT_SCREEN, 1: MIST, 2: FOCUS_ENERGY}),
        on(PIDGEOT, moves=STILL),
        [(0, 0), (1, 0), (2, 0), (0, 0)],
        lambda m: all(m[3].first.has(name) for name in ("lightscreen", "mist", "focusenergy")),
    ),
    scene(
        "psychic_without_a_light_screen",
        1,
        on(CHARIZARD, moves={0: PSYCHIC, 1: SPLASH}),
        on(PIDGEOT, moves=STILL),
        [(0, 0), (1, 0)],
        lambda m: 65 <= m[0].second.lost <= 95,
    ),
    scene(
        "light_screen_halves_psychic",
        1,
        on(CHARIZARD, moves={0: PSYCHIC, 1: SPLASH}),
        on(PIDGEOT, moves=STILL, volatiles={"lightscreen": 0}),
        [(0, 0), (1, 0)],
        lambda m: 30 <= m[0].second.lost <= 50,
    ),
    scene(
        "psychic_hits_critically",
        6,
        on(CHARIZARD, moves={0: PSYCHIC, 1: SPLASH}),
        on(PIDGEOT, moves=STILL),
        [(0, 0), (1, 0)],
        lambda m: m[0].second.lost > 125,
    ),
    scene(
        "focus_energy_keeps_psychic_from_it",
        6,
        on(CHARIZARD, moves={0: PSYCHIC, 1: SPLASH}, volatiles={"focusenergy": 0}),
        on(PIDGEOT, moves=STILL),
        [(0, 0), (1, 0)],
        lambda m: 0 < m[0].second.lost <= 95,
    ),
    scene(
        "minimize_and_double_team_raise_evasion",
        1,
        on(CHARIZARD, moves={0: MINIMIZE, 1: DOUBLE_TEAM}),
        on(PIDGEOT, moves=STILL),
        [(0, 0), (1, 0), (0, 0)],
        lambda m: (
            m[0].first.boosts[6] == 1 and m[0].first.has("minimize") and m[1].first.boosts[6] == 2
        ),
    ),
    scene(
        "conversion_takes_the_foes_types",
        1,
        on(CHARIZARD, moves={0: CONVERSION}),
        on(GENGAR, moves=STILL),
        [(0, 0)],
        lambda m: m[0].first.types.tolist() == m[0].second.types.tolist(),
    ),
    # -- Metronome
    scene(
        "metronome_calls_a_move",
        1,
        on(CHARIZARD, moves={0: METRONOME}),
        on(PIDGEOT, moves=STILL),
        [(0, 0)],
        lambda m: m[0].first.last_move != METRONOME and m[0].second.lost > 0,
    ),
    scene(
        "metronome_pays_for_two_turns_once",
        7,
        on(CHARIZARD, moves={0: METRONOME}),
        on(PIDGEOT, moves=STILL),
        [(0, 0), (0, 0)],
        lambda m: (
            m[0].first.has("twoturnmove")
            and m[0].first.pp[0] == 8
            and m[0].first.pokemon_last_move == METRONOME
            and m[1].first.pp[0] == 7
        ),
    ),
    scene(
        "mirror_move_of_metronome_calls_a_move",
        1,
        on(CHARIZARD, moves={0: MIRROR_MOVE}),
        on(PIDGEOT, moves=STILL, last_used=METRONOME),
        [(0, 0)],
        lambda m: m[0].first.last_move not in (METRONOME, MIRROR_MOVE) and m[0].second.lost > 0,
    ),
    # -- damage
    scene(
        "horn_drill_knocks_out",
        3,
        on(PIDGEOT, moves={0: HORN_DRILL}),
        on(HITMONLEE, moves=STILL),
        [(0, 0), (-1, REPLACE + BEEDRILL), (0, 0)],
        lambda m: m[0].second.hp == 0,
    ),
    scene(
        "horn_drill_needs_the_speed",
        1,
        on(PIDGEOT, moves={0: HORN_DRILL}, stats={SPEED: 217}),
        on(HITMONLEE, moves=STILL),
        [(0, 0)],
        lambda m: m[0].second.lost == 0,
    ),
    scene(
        "horn_drill_at_a_substitute_deals_all_there_is",
        3,
        on(PIDGEOT, moves={0: HORN_DRILL, 1: SPLASH}),
        on(HITMONLEE, moves=STILL, volatiles={"substitute": 62}),
        [(0, 0), (1, 0)],
        lambda m: m[0].snapshot["last_damage"] == 65535 and m[0].second.lost == 0,
    ),
    scene(
        "counter_answers_sonic_boom",
        1,
        on(CHARIZARD, moves={0: SONIC_BOOM}),
        on(HITMONLEE, moves=IDLE),
        [(0, 1)],
        lambda m: m[0].second.lost == 20 and m[0].first.lost == 40,
    ),
    scene(
        "dragon_rage_deals_40",
        1,
        on(CHARIZARD, moves={0: DRAGON_RAGE}),
        on(PIDGEOT, moves=STILL),
        [(0, 0)],
        lambda m: m[0].second.lost == 40,
    ),
    scene(
        "psywave_deals_up_to_149",
        1,
        on(CHARIZARD, moves={0: PSYWAVE}),
        on(PIDGEOT, moves=STILL),
        [(0, 0)],
        lambda m: m[0].second.lost > 100,
    ),
    scene(
        "dream_eater_drains_who_sleeps",
        1,
        on(CHARIZARD, hp=10, moves={0: DREAM_EATER}),
        on(PIDGEOT, moves=STILL, status=SLEEP, sleep=5),
        [(0, 0)],
        lambda m: m[0].first.hp == 10 + m[0].second.lost // 2 > 10,
    ),
    scene(
        "dream_eater_fails_at_who_is_awake",
        1,
        on(CHARIZARD, hp=10, moves={0: DREAM_EATER}),
        on(PIDGEOT, moves=STILL),
        [(0, 0)],
        lambda m: m[0].first.hp == 10 and m[0].second.lost == 0,
    ),
    scene(
        "psybeam_confuses",
        5,
        on(CHARIZARD, moves={0: PSYBEAM}),
        on(PIDGEOT, moves=STILL),
        [(0, 0)],
        lambda m: m[0].second.has("confusion"),
    ),
    scene(
        "psybeam_confuses_behind_a_substitute",
        5,
        on(CHARIZARD, moves={0: PSYBEAM}),
        on(PIDGEOT, moves=STILL, volatiles={"substitute": 93}),
        [(0, 0)],
        lambda m: m[0].second.has("substitute") and m[0].second.has("confusion"),
    ),
    scene(
        "whirlwind_does_nothing",
        1,
        on(CHARIZARD, moves={0: WHIRLWIND}),
        on(PIDGEOT, moves=STILL),
        [(0, 0)],
        lambda m: m[0].second.slot == PIDGEOT and m[0].first.last_move == WHIRLWIND,
    ),
)
