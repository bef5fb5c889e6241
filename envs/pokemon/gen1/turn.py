"""From one decision to the next: choices, the order of actions, switches, fainting, turns.

upstream: commitChoices, turnLoop, runAction, faintMessages, endTurn in sim/battle.ts
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from .action import residual_damage, run_move
from .generator import Dice, discard, draw
from .locks import Field
from .moves import (
    CANNOT_MOVE,
    FAINTED,
    FREEZE,
    METRONOME,
    POISON,
    SLEEP,
    STRUGGLE,
    TOXIC,
    TRANSFORM,
    table,
    unpack,
)
from .side import Side, at, clear, select_side, switch, team_conditions, team_hp, update_speed
from .state import NUM_MOVES, ONGOING, TEAM_SIZE, TIE, Request
from .teams import Member


class Choice(NamedTuple):
    """What one player does."""

    moves: Array  # bool []
    switches: Array  # bool []
    slot: Array  # int32 []  to which


class Battle(NamedTuple):
    sides: tuple[Side, Side]
    dice: Dice
    last_damage: Array
    turn: Array
    winner: Array
    request: Array  # int32 [P]


class Team(NamedTuple):
    """What no Pokemon of the team loses, bool [S] each."""

    present: Array
    ghost: Array
    only_transform: Array


# -- choices


def locked(side: Side) -> Array:
    """Whether the active Pokemon has no choice, not even to leave."""
    return side.recharge | side.charging | side.thrashing | side.raging


def helpless(side: Side) -> Array:
    """Asleep or frozen: it may only try to fight."""
    return (side.status == SLEEP) | (side.status == FREEZE)


def held(side: Side) -> Array:
    """Whether the active Pokemon goes on with a move unless it leaves."""
    return side.biding | side.trapping


def unsure(side: Side) -> Array:
    """Whether its player is not told yet that it may have no choice.  upstream: maybeLocked"""
    maybe = (side.trapped & side.trap_shown) | (side.feint_time > 0)
    maybe &= ~helpless(side) & ~side.biding
    return maybe | (side.trapping & (side.lock_total - side.lock_time > 1))


def disabled(side: Side) -> Array:
    """Which places Disable keeps from being chosen, bool [M]."""
    places = np.arange(NUM_MOVES, dtype=np.int32)
    return (side.moves != 0) & (side.disabled != 0) & (places == side.disabled_place)


def usable(side: Side) -> Array:
    """Which moves have PP and are not disabled, bool [M]."""
    return (side.moves != 0) & (side.pp > 0) & ~disabled(side)


def select_move(side: Side, action: Array, wanted: Array) -> Side:
    """Keep the books of a chosen move.  upstream: Side.commitChoices"""
    goes_on = locked(side) | held(side)
    stuck = ~goes_on & ~helpless(side) & side.trapped
    chooses = ~goes_on & ~helpless(side) & ~stuck
    struggles = chooses & ~usable(side).any()
    free = chooses & ~struggles
    move = at(side.moves, action)
    for code, told in ((STRUGGLE, struggles), (CANNOT_MOVE, stuck)):
        side = side.where(wanted & told, last_selected=code, last_enemy_selected=code)
    side = side.where(wanted & free, last_selected=move, last_selected_slot=action, last_move=move)
    shown = at(side.moves, side.last_selected_slot)
    # Upstream fails where the place is empty; here nothing is shown.
    shown = jnp.where(shown == 0, side.last_enemy_selected, shown)
    return side.where(wanted & ~struggles & ~stuck, last_enemy_selected=shown)


# -- a decision's consequences


def play(
    battle: Battle,
    choices: tuple[Choice, Choice],
    incoming: tuple[Member, Member],
    teams: tuple[Team, Team],
) -> Battle:
    """Both players have chosen, and the books are kept: `select_move`, chosen_row. incoming: who
    stands in `slot` of each choice."""
    always = jnp.ones((), bool)
    replaces = (battle.request == Request.REPLACE).any()
    sides = update_speed(battle.sides[0], always), update_speed(battle.sides[1], always)
    dice, second_first = _order(battle.dice, sides, choices)

    first, second = _swap_if(second_first, *sides)
    plans = _swap_plans(second_first, *zip(choices, incoming, strict=True))
    dice = _tie(dice, "tie_each_event", first, second, ~replaces)  # before the turn
    dice = _tie(dice, "tie_each_event", first, second, ~replaces)  # and after that

    def act(turn: int, carry: Any) -> Any:
        user, foe, dice, last_damage, (mine, comer), (other, _), going = carry
        both = mine.switches & other.switches & replaces
        comes = going & mine.switches
        user = switch(user, comes, mine.slot, comer)
        # Two that come in for fainted ones are greeted together, after the second.
        greeted = comes & ~(both & (turn == 0))
        dice = _tie(dice, "tie_queue_insert", user, foe, greeted & both)
        dice = _tie(dice, "tie_each_event", user, foe, greeted)
        user, foe = _greet(user, foe, comes, ~replaces, other.moves & (turn == 0))

        moved = going & mine.moves
        field = run_move(Field(user, foe, dice, last_damage), moved)
        user, foe, dice, last_damage = field
        fell = user.fainted | foe.fainted
        dice = _tie(dice, "tie_each_event", user, foe, greeted | moved)
        dice = _tie(dice, "tie_each_event", user, foe, greeted & both)
        going = going & (replaces | ~fell)
        return foe, user, dice, last_damage, carry[5], carry[4], going

    carry = (first, second, dice, battle.last_damage, *plans, always)
    carry = jax.lax.fori_loop(0, 2, act, carry)
    first, second, dice, last_damage, *_ = carry
    sides = _swap_if(second_first, first, second)

    ended, winner = _winner(sides)
    sides = _faint(sides[0], ended), _faint(sides[1], ended)
    fell = sides[0].fainted | sides[1].fainted
    over = ~fell & ~replaces
    dice, sides = _residual(dice, sides, over)
    battle = Battle(sides, dice, last_damage, battle.turn, winner, battle.request)
    return end_turn(battle, ~fell, teams)


def enter(battle: Battle, teams: tuple[Team, Team]) -> Battle:
    """The first two Pokemon come in, and the first turn begins.  upstream: start"""
    first, second = battle.sides
    always = jnp.ones((), bool)
    dice = _tie(battle.dice, "tie_queue_insert", first, second, always)
    for _ in range(3):  # the start, and each of the two
        dice = _tie(dice, "tie_each_event", first, second, always)
    return end_turn(battle._replace(dice=dice), always, teams)


def _order(
    dice: Dice, sides: tuple[Side, Side], choices: tuple[Choice, Choice]
) -> tuple[Dice, Array]:
    """Whether the second player acts first.  upstream: comparePriority"""
    ranks = []
    for side, choice in zip(sides, choices, strict=True):
        priority = jnp.where(choice.moves, unpack(side.chosen_row).priority, 0)
        rank = jnp.where(choice.switches, np.int32(1), 0) * 8 + priority
        ranks.append(rank * np.int32(1 << 14) + side.action_speed)
    act = [choice.moves | choice.switches for choice in choices]
    both = act[0] & act[1]
    dice, coin = draw(dice, "tie_queue", 2, both & (ranks[0] == ranks[1]))
    second = jnp.where(ranks[0] == ranks[1], coin == 1, ranks[1] > ranks[0])
    return dice, jnp.where(both, second, act[1])


def _greet(
    user: Side, foe: Side, comes: Array, suffers: Array, foe_waits: Array
) -> tuple[Side, Side]:
    """What a Pokemon meets that comes in: poison and burn, unless it is for one that fainted.

    upstream: runSwitch of the gen4 mod, which generation 1 inherits
    """
    user = user.where(comes, last_used=0, last_selected_slot=0)
    user = user.where(comes & (user.status == TOXIC), status=POISON)
    foe = foe.where(comes, last_used=0)
    # Who trapped the one that left with a move that Metronome called, calls again.
    again = comes & foe.trapping & (at(foe.moves, foe.last_selected_slot) == METRONOME)
    again &= ~foe.fainted
    foe = foe.where(again, last_selected=METRONOME, last_enemy_selected=METRONOME)
    foe = foe.where(again, chosen_row=table()[METRONOME])
    return residual_damage(user, comes & suffers), update_speed(foe, again & foe_waits)


def _tie(dice: Dice, site: str, a: Side, b: Side, wanted: Array) -> Dice:
    """A draw where two Pokemon that have not fainted are equally fast, by the speed that is cached.
    What it decides makes no difference: the generator has moved on."""
    tied = (a.speed == b.speed) & ~a.fainted & ~b.fainted
    return draw(dice, site, 2, wanted & tied)[0]


def _swap_if(condition: Array, a: Side, b: Side) -> tuple[Side, Side]:
    return select_side(condition, b, a), select_side(condition, a, b)


def _swap_plans(
    condition: Array, a: tuple[Choice, Member], b: tuple[Choice, Member]
) -> tuple[Any, Any]:
    def pick(x: Array, y: Array) -> Array:
        return jnp.where(condition, y, x)

    return jax.tree.map(pick, a, b), jax.tree.map(pick, b, a)


def _residual(dice: Dice, sides: tuple[Side, ...], over: Array) -> tuple[Dice, tuple[Side, Side]]:
    """The end of a turn in which nobody fainted: flinching wears off, and traps by a turn."""
    first, second = (update_speed(side, over) for side in sides)
    counts = [_num_passing(side) for side in (first, second)]
    tied = first.speed == second.speed
    together = jnp.maximum(counts[0] + counts[1] - 1, 0)
    apart = jnp.maximum(counts[0] - 1, 0) + jnp.maximum(counts[1] - 1, 0)
    ties = jnp.where(tied, together, apart)
    dice = discard(dice, "tie_field_event", jnp.where(over, ties, 0))
    dice = _tie(dice, "tie_each_event", first, second, over)
    return dice, (_passed(first, over), _passed(second, over))


def _num_passing(side: Side) -> Array:
    """Of what lasts for a number of turns."""
    there = (side.flinch, side.trapped, side.feint_time > 0, side.trapping)
    return sum((one.astype(jnp.int32) for one in there), jnp.zeros((), jnp.int32))


def _passed(side: Side, over: Array) -> Side:
    traps = over & side.trapping
    side = side.where(over, flinch=False)
    side = side.where(over & side.trapped, trap_time=side.trap_time - 1)
    side = side.where(over & (side.feint_time > 0), feint_time=side.feint_time - 1)
    side = side.where(traps, lock_time=side.lock_time - 1)
    side = side.where(over & ~side.trapped, trap_by=0, trap_shown=False)
    side = side.where(over & (side.feint_time == 0), feint_with=0)
    return side.release(traps & (side.lock_time == 0))


# -- fainting, turns, ends


def _winner(sides: tuple[Side, ...]) -> tuple[Array, Array]:
    """(bool []: somebody has nobody left, int32 []: who won).  upstream: checkWin"""
    left = [(team_hp(side) > 0).any() for side in sides]
    winner = jnp.where(left[0], 0, jnp.where(left[1], 1, TIE))
    ended = ~left[0] | ~left[1]
    return ended, jnp.where(ended, winner, ONGOING)


def _faint(side: Side, ended: Array) -> Side:
    """What a Pokemon that fainted loses; its status only where the battle goes on."""
    side = clear(side, side.fainted)
    return side.where(side.fainted & ~ended, status=FAINTED, sleep_time=0, sleep_by_foe=False)


def end_turn(battle: Battle, wanted: Array, teams: tuple[Team, Team]) -> Battle:
    """The next turn, where one comes, or whom a player has to replace.  upstream: endTurn"""
    ended = battle.winner != ONGOING
    next_turn = wanted & ~ended
    sides = _loosen(battle.sides, next_turn)
    ties = jnp.zeros((), jnp.int32)
    for side in sides:  # what forbids choices has no order among itself
        for tied in (side.trapped & (side.feint_time > 0), held(side) & (side.disabled != 0)):
            ties += (next_turn & tied).astype(jnp.int32)
    dice = discard(battle.dice, "tie_run_event", ties)
    battle = battle._replace(sides=sides, dice=dice)
    turn = battle.turn + jnp.where(next_turn, 1, 0)
    tie = next_turn & (_stuck(battle.sides, teams) | (turn > _TURN_LIMIT))
    winner = jnp.where(tie, TIE, battle.winner)
    fainted = jnp.stack([side.fainted for side in battle.sides])
    request = jnp.where(fainted, Request.REPLACE, Request.WAIT)
    request = jnp.where(next_turn, Request.CHOOSE, request)
    request = jnp.where(winner != ONGOING, Request.WAIT, request)
    return battle._replace(turn=turn, winner=winner, request=request)


def _loosen(sides: tuple[Side, Side], wanted: Array) -> tuple[Side, Side]:
    """A trap needs both: who holds, and who is held."""
    both = list(sides)
    for me, other in ((0, 1), (1, 0)):
        side, foe = both[me], both[other]
        there = ~foe.fainted
        holds = there & foe.trapped & (side.lock_target == foe.slot)
        side = side.release(wanted & side.trapping & ~holds)
        holds = there & foe.trapping & (side.trap_by == foe.slot)
        side = side.where(wanted & ~holds, trap_time=0, trap_by=0, trap_shown=False)
        holds = there & (foe.feint_time > 0) & (side.feint_with == foe.slot)
        both[me] = side.where(wanted & ~holds, feint_time=0, feint_with=0)
    return both[0], both[1]


_TURN_LIMIT = 1000


def _stuck(sides: tuple[Side, Side], teams: tuple[Team, Team]) -> Array:
    """Whether no Pokemon can bring the battle further.

    upstream: maybeTriggerEndlessBattleClause
    """
    gone, ghosts, mimes, frozen, spent = [], [], [], [], []
    for side, team in zip(sides, teams, strict=True):
        active = np.arange(TEAM_SIZE, dtype=np.int32) == side.slot
        gone.append(~team.present | (team_hp(side) == 0))
        ghosts.append(jnp.where(active, side.has_type(_GHOST), team.ghost))
        only = ((side.moves == 0) | (side.moves == TRANSFORM)).all()
        mimes.append(jnp.where(active, only, team.only_transform))
        frozen.append(team_conditions(side)["status"] == FREEZE)
        left = jnp.where(active[:, None], side.pp[None], side.team_pp)
        spent.append((left == 0).all(axis=1))
    stuck = jnp.ones((), bool)
    for me, foe in ((0, 1), (1, 0)):
        foe_ghosts = (gone[foe] | ghosts[foe]).all()
        foe_mimes = (gone[foe] | mimes[foe]).all()
        each = gone[me] | frozen[me] | (mimes[me] & foe_mimes) | (spent[me] & foe_ghosts)
        stuck &= each.all()
    return stuck


_GHOST = np.int32(8)


# -- what a player may do


def legal(side: Side, request: Array) -> Array:
    """bool [A]: four moves by their place in the request, then switches by slot."""
    chooses = request == Request.CHOOSE
    certain = ~unsure(side)
    single = locked(side) | helpless(side) | (certain & (held(side) | side.trapped))
    single |= ~usable(side).any()
    only_first = np.arange(NUM_MOVES, dtype=np.int32) == 0
    moves = jnp.where(single, only_first, usable(side)) & chooses
    slots = np.arange(TEAM_SIZE, dtype=np.int32)
    bench = (team_hp(side) > 0) & (slots != side.slot)
    can_leave = (chooses & ~locked(side)) | (request == Request.REPLACE)
    return jnp.concatenate([moves, bench & can_leave])
