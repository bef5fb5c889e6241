"""L2: interactions of generation 1's mechanisms, each also played by Showdown.

A scenario's number is the low word that its battle's generator starts with: in that battle the
moves hit that have to. Where nothing happens because something forbids it, another scenario of the
same number shows what happens otherwise.
"""

from .pokemon_damage import DAMAGE
from .pokemon_lasting import LASTING
from .pokemon_locks import LOCKS
from .pokemon_rare import RARE
from .pokemon_statuses import STATUSES
from .pokemon_teams import (
    BURN,
    CHARIZARD,
    DITTO,
    IDLE,
    PARALYSIS,
    PIDGEOT,
    REPLACE,
    SKY_ATTACK,
    SPEED,
    on,
    scene,
)

MIRROR_MOVE, STRUGGLE = 119, 165

OTHERS = (
    # -- statistics
    scene(
        "a_foes_boost_costs_the_paralysed_its_speed_again",
        1,
        on(CHARIZARD),
        on(PIDGEOT, moves=IDLE, status=PARALYSIS, stats={SPEED: 70}),
        [(2, 3)],
        lambda m: m[0].first.boosts[0] == 2 and m[0].second.modified_stats[SPEED] == 17,
    ),
    scene(
        "a_foes_boost_costs_the_burned_its_attack_again",
        1,
        on(CHARIZARD),
        on(PIDGEOT, moves=IDLE, status=BURN, stats={0: 129}),
        [(2, 3)],
        lambda m: m[0].first.boosts[0] == 2 and m[0].second.modified_stats[0] == 64,
    ),
    scene(
        "a_statistic_rises_to_999_and_six_stages",
        1,
        on(CHARIZARD, boosts={0: 4}, stats={0: 798}),
        on(PIDGEOT, moves=IDLE),
        [(2, 3), (2, 3)],
        lambda m: all(x.first.boosts[0] == 6 and x.first.modified_stats[0] == 999 for x in m[:2]),
    ),
    scene(
        "at_999_a_boost_rebounds",
        1,
        on(CHARIZARD, boosts={0: 5}, stats={0: 999}),
        on(PIDGEOT, moves=IDLE, status=PARALYSIS, stats={SPEED: 70}),
        [(2, 3)],
        lambda m: (
            m[0].first.boosts[0] == 5
            and m[0].first.modified_stats[0] == 999
            and m[0].second.modified_stats[SPEED] == 70
        ),
    ),
    # -- other Pokemon's moves
    scene(
        "transform_copies_all_but_hit_points",
        1,
        on(DITTO),
        on(CHARIZARD, boosts={0: 2}, stats={0: 532}),
        [(0, 2)],
        lambda m: (
            m[0].first.transformed
            and m[0].first.moves.tolist() == m[0].second.moves.tolist()
            and m[0].first.pp.tolist() == [5] * 4
            and m[0].first.types.tolist() == m[0].second.types.tolist()
            and m[0].first.modified_stats.tolist() == m[0].second.modified_stats.tolist()
            and m[0].first.max_hp == 299
        ),
    ),
    scene(
        "transform_into_one_that_transformed",
        1,
        on(CHARIZARD),
        on(DITTO),
        [(2, 0), (REPLACE + DITTO, 2), (0, 2), (2, 2)],
        lambda m: m[2].first.slot == m[2].second.slot == DITTO and m[2].first.species == 6,
    ),
    scene(
        "mimic_takes_one_of_the_foes_moves",
        1,
        on(PIDGEOT),
        on(CHARIZARD),
        [(3, 2), (2, 2)],
        lambda m: m[0].first.virtual[3] and m[0].first.moves[3] in (126, 63, 14, 153),
    ),
    scene(
        "mirror_move_of_a_move_of_two_turns",
        4,
        on(CHARIZARD, moves={0: MIRROR_MOVE}, pp={0: 32}),
        on(PIDGEOT, moves=IDLE, last_used=SKY_ATTACK),
        [(0, 3), (0, 3), (2, 3)],
        lambda m: (
            m[0].first.twoturnmove_move == SKY_ATTACK
            and m[0].first.pp[0] == 32
            and not m[1].first.has("twoturnmove")
            and m[1].first.pp[0] == 31
            and m[1].second.lost > 0
        ),
    ),
    scene(
        "mirror_move_does_not_mirror_itself",
        1,
        on(PIDGEOT, last_used=MIRROR_MOVE),
        on(CHARIZARD, moves={0: MIRROR_MOVE}),
        [(1, 0)],
        lambda m: (
            m[0].first.last_move == m[0].second.last_move == MIRROR_MOVE
            and m[0].first.lost == m[0].second.lost == 0
            and m[0].first.pp[1] == 31
        ),
    ),
    scene(
        "mirror_move_of_one_that_transformed_gains_pp",
        1,
        on(DITTO, transformed=True, moves={0: MIRROR_MOVE}, pp={0: 5}),
        on(PIDGEOT, moves=IDLE),
        [(0, 3)],
        lambda m: m[0].first.pp[0] == 4 and m[0].first.base_pp[0] == 6,
    ),
    scene(
        "without_pp_it_struggles",
        1,
        on(PIDGEOT, pp={0: 0, 1: 0, 2: 0, 3: 0}),
        on(CHARIZARD, moves=IDLE),
        [(0, 3)],
        lambda m: (
            m[0].first.last_move == STRUGGLE
            and m[0].second.lost > 0
            and m[0].first.lost == m[0].second.lost // 2
        ),
    ),
    # -- ends
    scene(
        "two_ditto_alone_are_an_endless_battle",
        1,
        on(DITTO, alone=True),
        on(DITTO, alone=True),
        [(0, 0)],
        lambda m: m[0].tied,
    ),
    scene(
        "the_thousandth_turn_is_the_last",
        1,
        on(CHARIZARD, moves=IDLE),
        on(PIDGEOT, moves=IDLE),
        [(3, 3)],
        lambda m: m[0].tied,
        turn=1000,
    ),
)

SCENARIOS = (*STATUSES, *DAMAGE, *OTHERS, *LOCKS, *LASTING, *RARE)
