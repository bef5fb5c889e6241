"""From one decision to the next: choices, the order of actions, switches, fainting, turns.

upstream: commitChoices, turnLoop, runAction, faintMessages, endTurn in sim/battle.ts
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from .action import Field, residual_damage, run_move
from .generator import Dice, draw
from .moves import FAINTED, FREEZE, SLEEP, STRUGGLE, TRANSFORM, unpack
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
    return side.recharge | (side.charging > 0)


def helpless(side: Side) -> Array:
    """Asleep or frozen: it may only try to fight."""
    return (side.status == SLEEP) | (side.status == FREEZE)


def usable(side: Side) -> Array:
    """Which moves have PP, bool [M]."""
    return (side.moves != 0) & (side.pp > 0)


def select_move(side: Side, action: Array, wanted: Array) -> Side:
    """Keep the books of a chosen move.  upstream: Side.commitChoices"""
    struggles = ~helpless(side) & ~locked(side) & ~usable(side).any()
    free = ~helpless(side) & ~locked(side) & ~struggles
    move = at(side.moves, action)
    side = side.where(wanted & struggles, last_selected=STRUGGLE, last_enemy_selected=STRUGGLE)
    side = side.where(wanted & free, last_selected=move, last_selected_slot=action, last_move=move)
    shown = at(side.moves, side.last_selected_slot)
    # Upstream fails where the place is empty; here nothing is shown.
    shown = jnp.where(shown == 0, side.last_enemy_selected, shown)
    return side.where(wanted & ~struggles, last_enemy_selected=shown)


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
        user, foe = _greet(user, foe, comes, ~replaces)

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


def _greet(user: Side, foe: Side, comes: Array, suffers: Array) -> tuple[Side, Side]:
    """What a Pokemon meets that comes in: poison and burn, unless it is for one that fainted.

    upstream: runSwitch of the gen4 mod, which generation 1 inherits
    """
    user = user.where(comes, last_used=0, last_selected_slot=0)
    return residual_damage(user, comes & suffers), foe.where(comes, last_used=0)


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
    """The end of a turn in which nobody fainted: flinching wears off."""
    first, second = (update_speed(side, over) for side in sides)
    both = over & first.flinch & second.flinch
    dice = _tie(dice, "tie_field_event", first, second, both)
    dice = _tie(dice, "tie_each_event", first, second, over)
    return dice, (first.where(over, flinch=False), second.where(over, flinch=False))


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
    turn = battle.turn + jnp.where(next_turn, 1, 0)
    tie = next_turn & (_stuck(battle.sides, teams) | (turn > _TURN_LIMIT))
    winner = jnp.where(tie, TIE, battle.winner)
    fainted = jnp.stack([side.fainted for side in battle.sides])
    request = jnp.where(fainted, Request.REPLACE, Request.WAIT)
    request = jnp.where(next_turn, Request.CHOOSE, request)
    request = jnp.where(winner != ONGOING, Request.WAIT, request)
    return battle._replace(turn=turn, winner=winner, request=request)


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
    single = locked(side) | helpless(side) | ~usable(side).any()
    only_first = np.arange(NUM_MOVES, dtype=np.int32) == 0
    moves = jnp.where(single, only_first, usable(side)) & chooses
    slots = np.arange(TEAM_SIZE, dtype=np.int32)
    bench = (team_hp(side) > 0) & (slots != side.slot)
    can_leave = (chooses & ~locked(side)) | (request == Request.REPLACE)
    return jnp.concatenate([moves, bench & can_leave])
