"""L2, damage: who is hit how hard, and what follows from it; see pokemon_scenarios.py."""

from .pokemon_teams import (
    BEEDRILL,
    CHARIZARD,
    DEFENSE,
    DITTO,
    GENGAR,
    HITMONLEE,
    IDLE,
    PARALYSIS,
    PIDGEOT,
    POISON,
    RECOVER,
    REPLACE,
    SLEEP,
    SPECIAL_ATTACK,
    SPECIAL_DEFENSE,
    STILL,
    TACKLE,
    on,
    scene,
)

JUMP_KICK, WING_ATTACK, COUNTER, SUPER_FANG = 26, 17, 68, 162
SEISMIC_TOSS, REFLECT, SLASH, STRUGGLE = 69, 115, 163, 165
NO_PP = {0: 0, 1: 0, 2: 0, 3: 0}

DAMAGE = (
    # -- drain, recoil, several hits
    scene(
        "mega_drain_heals_from_a_substitute",
        1,
        on(BEEDRILL, hp=100),
        on(PIDGEOT, moves=IDLE, volatiles={"substitute": 90}),
        [(2, 3)],
        lambda m: (
            0 < m[0].second.substitute_hp < 90
            and m[0].first.hp == 100 + (90 - m[0].second.substitute_hp) // 2
        ),
    ),
    scene(
        "mega_drain_heals_nothing_where_the_substitute_breaks",
        1,
        on(BEEDRILL, hp=100),
        on(PIDGEOT, moves=IDLE, volatiles={"substitute": 1}),
        [(2, 3)],
        lambda m: not m[0].second.has("substitute") and m[0].first.hp == 100,
    ),
    scene(
        "recoil_of_a_substitute_that_holds",
        1,
        on(PIDGEOT),
        on(CHARIZARD, moves=IDLE, volatiles={"substitute": 90}, stats={DEFENSE: 900}),
        [(2, 3)],
        lambda m: (
            0 < m[0].second.substitute_hp < 90
            and m[0].first.lost == (90 - m[0].second.substitute_hp) // 4
        ),
    ),
    scene(
        "no_recoil_where_the_substitute_breaks",
        1,
        on(PIDGEOT),
        on(CHARIZARD, moves=IDLE, volatiles={"substitute": 1}),
        [(2, 3)],
        lambda m: not m[0].second.has("substitute") and m[0].first.lost == 0,
    ),
    scene(
        "several_hits_end_with_the_substitute",
        1,
        on(BEEDRILL),
        on(CHARIZARD, moves=IDLE, volatiles={"substitute": 1}),
        [(1, 3)],
        lambda m: m[0].second.sub_fainted and m[0].second.lost == 0,
    ),
    scene(
        "twineedle_poisons",
        5,
        on(BEEDRILL),
        on(PIDGEOT, moves=IDLE),
        [(0, 3)],
        lambda m: m[0].second.status == POISON,
    ),
    scene(
        "twineedle_does_not_poison_where_the_first_hit_breaks_a_substitute",
        1,
        on(BEEDRILL),
        on(PIDGEOT, moves=IDLE, volatiles={"substitute": 1}),
        [(0, 3)],
        lambda m: not m[0].second.has("substitute") and m[0].second.status == 0,
    ),
    # -- Explosion
    scene(
        "explosion_halves_defense",
        1,
        on(CHARIZARD),
        on(PIDGEOT, moves=IDLE),
        [(3, 3), (REPLACE + BEEDRILL, -1), (0, 2)],
        lambda m: m[0].first.fainted and 200 < m[0].second.lost < 369,
    ),
    scene(
        "explosion_that_breaks_a_substitute_leaves_the_user_alive",
        1,
        on(CHARIZARD),
        on(PIDGEOT, moves=IDLE, volatiles={"substitute": 80}),
        [(3, 3), (2, 3)],
        lambda m: not m[0].second.has("substitute") and m[0].first.lost == m[0].second.lost == 0,
    ),
    scene(
        "explosion_into_a_ghost_faints_the_user",
        1,
        on(CHARIZARD),
        on(GENGAR, moves=IDLE),
        [(3, 3), (REPLACE + BEEDRILL, -1), (0, 2)],
        lambda m: m[0].first.fainted and m[0].second.lost == 0,
    ),
    scene(
        "both_faint_and_are_replaced_at_once",
        1,
        on(CHARIZARD),
        on(PIDGEOT, hp=100),
        [(3, 3), (REPLACE + BEEDRILL, REPLACE + GENGAR), (0, 2)],
        lambda m: (
            m[0].snapshot["request"].tolist() == [2, 2]
            and (m[1].first.slot, m[1].second.slot) == (BEEDRILL, GENGAR)
        ),
    ),
    scene(
        "both_faint_and_are_replaced_by_equals",
        1,
        on(CHARIZARD),
        on(PIDGEOT, hp=100),
        [(3, 3), (REPLACE + BEEDRILL, REPLACE + BEEDRILL), (0, 0)],
        lambda m: m[1].first.slot == m[1].second.slot == BEEDRILL,
    ),
    scene(
        "nobody_is_left_and_nobody_wins",
        1,
        on(CHARIZARD, alone=True),
        on(PIDGEOT, hp=100, alone=True),
        [(3, 3)],
        lambda m: m[0].tied,
    ),
    # -- Counter
    scene(
        "counter_answers_a_normal_move",
        1,
        on(HITMONLEE),
        on(PIDGEOT, moves={3: TACKLE}),
        [(1, 3)],
        lambda m: m[0].first.lost > 0 and m[0].second.lost == 2 * m[0].first.lost,
    ),
    scene(
        "counter_answers_a_fighting_move",
        18,
        on(HITMONLEE),
        on(PIDGEOT, moves={3: JUMP_KICK}),
        [(1, 3)],
        lambda m: m[0].first.lost > 0 and m[0].second.lost == 2 * m[0].first.lost,
    ),
    scene(
        "counter_answers_no_other_move",
        1,
        on(HITMONLEE),
        on(PIDGEOT, moves={0: RECOVER, 3: WING_ATTACK}),
        [(1, 3), (2, 0)],
        lambda m: m[0].first.lost > 0 and m[0].second.lost == 0 and m[0].first.pp[1] == 31,
    ),
    scene(
        "counter_does_not_answer_counter",
        1,
        on(HITMONLEE, side={"last_enemy_move": TACKLE}),
        on(PIDGEOT, moves={3: COUNTER}, side={"last_enemy_move": TACKLE}),
        [(1, 3)],
        lambda m: m[0].first.lost == m[0].second.lost == 0 and m[0].first.pp[1] == 31,
        last_damage=50,
    ),
    scene(
        "counter_answers_what_a_switch_left",
        1,
        on(HITMONLEE, hp=200),
        on(PIDGEOT, moves={3: TACKLE}),
        [(2, 3), (1, REPLACE + CHARIZARD), (2, 2)],
        lambda m: m[1].second.slot == CHARIZARD and m[1].second.lost == 2 * (139 - m[0].first.hp),
    ),
    scene(
        "counter_answers_struggle",
        1,
        on(HITMONLEE),
        on(PIDGEOT, pp=NO_PP),
        [(1, 0), (2, 0)],
        lambda m: (
            m[0].second.last_move == STRUGGLE
            and m[0].first.lost > 0
            and m[0].second.lost == 2 * m[0].first.lost + m[0].first.lost // 2
        ),
    ),
    scene(
        "counter_fails_at_a_sleeper_whose_first_move_it_is",
        1,
        on(HITMONLEE),
        on(
            PIDGEOT,
            moves={0: COUNTER},
            status=SLEEP,
            side={"last_enemy_move": TACKLE, "last_selected_move": TACKLE},
        ),
        [(1, 0)],
        lambda m: (
            m[0].second.last_enemy_selected_move == COUNTER
            and m[0].second.lost == 0
            and m[0].first.pp[1] == 31
        ),
        last_damage=50,
    ),
    scene(
        "counter_answers_a_sleeper_before_whom_it_was_chosen",
        1,
        on(HITMONLEE),
        on(
            PIDGEOT,
            moves={0: TACKLE},
            status=SLEEP,
            side={"last_enemy_move": TACKLE, "last_selected_move": COUNTER},
        ),
        [(1, 0), (2, 0)],
        lambda m: m[0].second.last_selected_move == COUNTER and m[0].second.lost == 100,
        last_damage=50,
    ),
    scene(
        "counter_fails_at_what_was_chosen_and_not_used",
        3,
        on(HITMONLEE),
        on(
            PIDGEOT,
            moves={0: TACKLE},
            status=PARALYSIS,
            side={"last_enemy_move": WING_ATTACK},
        ),
        [(1, 0), (2, 0)],
        lambda m: (
            m[0].second.last_move == TACKLE
            and m[0].first.lost == m[0].second.lost == 0
            and m[0].first.pp[1] == 31
        ),
        last_damage=50,
    ),
    scene(
        "counter_answers_what_was_used_and_not_chosen",
        3,
        on(HITMONLEE),
        on(
            PIDGEOT,
            moves={0: WING_ATTACK},
            status=PARALYSIS,
            side={"last_enemy_move": TACKLE},
        ),
        [(1, 0), (2, 0)],
        lambda m: m[0].second.last_move == WING_ATTACK and m[0].second.lost == 100,
        last_damage=50,
    ),
    scene(
        "counter_that_fails_leaves_a_substitute_whole",
        1,
        on(HITMONLEE),
        on(PIDGEOT, moves=STILL, volatiles={"substitute": 80}),
        [(1, 0)],
        lambda m: m[0].second.substitute_hp == 80 and m[0].first.pp[1] == 31,
    ),
    # -- fixed damage
    scene(
        "super_fang_takes_half",
        1,
        on(PIDGEOT, moves={3: SUPER_FANG}),
        on(CHARIZARD, moves=IDLE),
        [(3, 2)],
        lambda m: m[0].second.lost == 359 // 2,
    ),
    scene(
        "seismic_toss_hits_a_ghost",
        2,
        on(HITMONLEE, moves={3: SEISMIC_TOSS}),
        on(GENGAR, moves=IDLE),
        [(3, 0)],
        lambda m: m[0].second.lost == 80,
    ),
    scene(
        "night_shade_hits_a_normal_type",
        1,
        on(GENGAR),
        on(PIDGEOT),
        [(2, 1)],
        lambda m: m[0].second.lost == 100,
    ),
    # -- High Jump Kick
    scene(
        "a_crash_costs_one_point",
        1,
        on(HITMONLEE),
        on(GENGAR, moves=IDLE),
        [(0, 3)],
        lambda m: m[0].first.lost == 1,
    ),
    scene(
        "behind_a_substitute_a_crash_hits_that_of_the_foe",
        1,
        on(HITMONLEE, volatiles={"substitute": 50}),
        on(GENGAR, moves=IDLE, volatiles={"substitute": 50}),
        [(0, 3)],
        lambda m: (
            m[0].first.lost == 0
            and m[0].first.substitute_hp == 50
            and m[0].second.substitute_hp == 49
        ),
    ),
    # -- statistics
    scene(
        "reflect_doubles_defense",
        1,
        on(PIDGEOT, moves={3: TACKLE}),
        on(HITMONLEE, moves={3: REFLECT}),
        [(3, 3)],
        lambda m: (
            m[0].second.lost >= 61
            and m[0].second.has("reflect")
            and 0 < m[1].second.lost - m[0].second.lost <= 36
        ),
    ),
    scene(
        "reflect_rolls_a_defense_over",
        1,
        on(PIDGEOT, moves={3: TACKLE}),
        on(HITMONLEE, volatiles={"reflect": 0}, stats={DEFENSE: 512}),
        [(3, 1), (-1, REPLACE + GENGAR), (2, 1)],
        lambda m: m[0].second.fainted,
    ),
    scene(
        "a_critical_hit_sees_no_boosts_and_no_reflect",
        1,
        on(CHARIZARD, moves={3: SLASH}, boosts={0: -6}, stats={0: 66}),
        on(HITMONLEE, volatiles={"reflect": 0}, boosts={1: 6}, stats={DEFENSE: 656}),
        [(3, 1), (2, 2)],
        lambda m: m[0].second.lost >= 150,
    ),
    scene(
        "whoever_transformed_is_critical_by_its_own_speed",
        10,
        on(DITTO, transformed=True, moves={0: SLASH}),
        on(PIDGEOT, moves=IDLE),
        [(0, 3)],
        lambda m: 0 < m[0].second.lost < 60,
    ),
    scene(
        "mega_drain_hits",
        1,
        on(BEEDRILL, hp=100),
        on(CHARIZARD, moves=IDLE),
        [(2, 3)],
        lambda m: m[0].second.lost > 0,
    ),
    scene(
        "damage_that_two_resistances_leave_nothing_of_is_a_miss",
        1,
        on(BEEDRILL, hp=100, stats={SPECIAL_ATTACK: 1}),
        on(CHARIZARD, moves=IDLE, stats={SPECIAL_DEFENSE: 999}),
        [(2, 3)],
        lambda m: m[0].second.lost == 0 and m[0].first.hp == 100,
    ),
    # -- who is first
    scene(
        "of_two_equals_the_first_player_moves_first",
        3,
        on(PIDGEOT, hp=1, moves={3: TACKLE}),
        on(PIDGEOT, hp=1, moves={3: TACKLE}),
        [(3, 3), (-1, REPLACE + GENGAR), (1, 1)],
        lambda m: m[0].second.fainted and not m[0].first.fainted,
    ),
    scene(
        "of_two_equals_the_second_player_moves_first",
        7,
        on(PIDGEOT, hp=1, moves={3: TACKLE}),
        on(PIDGEOT, hp=1, moves={3: TACKLE}),
        [(3, 3), (REPLACE + GENGAR, -1), (1, 1)],
        lambda m: m[0].first.fainted and not m[0].second.fainted,
    ),
)
