"""A Pokemon takes its turn.  upstream: runMove and what it calls, in the gen1 mod.

Every move goes through the same steps in upstream's order, so that the generator draws where
upstream's does; what a move does not do is switched off by its row.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from . import effects
from .damage import confusion_damage, damage, hit_chance
from .generator import Dice, draw
from .moves import (
    BURN,
    FISSURE,
    FREEZE,
    HEAL_HALF,
    MIRROR_MOVE,
    NO_MOVE,
    NONE,
    PARALYSIS,
    POISON,
    REST,
    SLEEP,
    STATUS_MOVE,
    STRUGGLE,
    TWO_HITS,
    TWO_TO_FIVE_HITS,
    Move,
    effectiveness,
    unpack,
)
from .side import Side, at, drop_stats, put, reveal
from .state import NUM_MOVES
from .teams import stat

_HITS = np.array([2, 2, 2, 3, 3, 3, 4, 5], np.int32)
_MAX_HITS = 5
_PP_BITS = np.int32(63)
_TRANSFORMED_PP = 5
_REST_TURNS = 2


class Field(NamedTuple):
    """Both sides as the one who acts sees them, and what they share."""

    user: Side
    foe: Side
    dice: Dice
    last_damage: Array  # int32 []


def run_move(field: Field, wanted: Array) -> Field:
    """The user's chosen move, where it is wanted, bool []."""
    move = unpack(field.user.chosen_row)
    # A broken substitute is remembered until the next move is aimed at its owner.
    field = field._replace(
        user=field.user.where(wanted & move.to_self, sub_fainted=False),
        foe=field.foe.where(wanted & ~move.to_self, sub_fainted=False),
    )
    field, able = _before_move(field, wanted)
    field = field._replace(user=reveal(field.user, able))
    field = _deduct_pp(field, move, able)
    field, move, code, used = _mirror(field, move, able)
    field = _announce(field, move, code, used)
    field, struck = _charge(field, move, code, used)
    field = _strike(field, move, struck)
    return _after_move(field, move, wanted, able)


# -- before the move


def _before_move(field: Field, wanted: Array) -> tuple[Field, Array]:
    """What may keep the user from moving. Returns (field, bool []: it moves)."""
    user, foe, dice, last_damage = field
    frozen = wanted & (user.status == FREEZE)
    asleep = wanted & (user.status == SLEEP)
    user = user.where(asleep, sleep_time=user.sleep_time - 1)
    user = user.where(asleep | frozen, last_used=0)
    able = wanted & ~asleep & ~frozen & ~user.flinch

    recharging = able & user.recharge
    user = user.where(recharging, recharge=False)
    able &= ~recharging

    confused = able & (user.confusion > 0)
    user = user.where(confused, confusion=user.confusion - 1)
    dice, throw = draw(dice, "confusion_self_hit", 256, confused & (user.confusion > 0))
    hits_itself = confused & (user.confusion > 0) & (throw >= 128)
    user, foe, last_damage = effects.hurt_itself(
        user, foe, confusion_damage(user), last_damage, hits_itself
    )
    able &= ~hits_itself

    dice, throw = draw(dice, "full_paralysis", 256, able & (user.status == PARALYSIS))
    paralysed = able & (user.status == PARALYSIS) & (throw < 63)
    user = user.where(hits_itself | paralysed, charging=0)
    return Field(user, foe, dice, last_damage), able & ~paralysed


def _deduct_pp(field: Field, move: Move, able: Array) -> Field:
    """A move that charges costs its PP when it strikes."""
    user = field.user
    costs = able & (user.last_selected != STRUGGLE) & (~move.charges | (user.charging > 0))
    return field._replace(user=_spend(user, 1, costs))


def _spend(user: Side, amount: int, wanted: Array) -> Side:
    """PP in the place that was selected last, whatever is there; six bits.  upstream: deductPP"""
    slot = user.last_selected_slot
    wanted = wanted & (at(user.moves, slot) != 0)
    left = (at(user.pp, slot) - amount) & _PP_BITS
    user = user.where(wanted, pp=put(user.pp, slot, left))
    return user.where(wanted & ~user.transformed, base_pp=put(user.base_pp, slot, left))


# -- which move it is


def _mirror(field: Field, move: Move, able: Array) -> tuple[Field, Move, Array, Array]:
    """Mirror Move becomes the foe's last move. Returns (field, the move, its code, bool []: it is
    used, since there was one to mirror)."""
    user, foe = field.user, field.foe
    mirrors = able & move.mirrors
    none = (foe.last_used == 0) | (foe.last_used == MIRROR_MOVE)
    user = user.where(
        mirrors, last_move=MIRROR_MOVE, last_enemy_move=MIRROR_MOVE, last_used=MIRROR_MOVE
    )
    user = user.where(mirrors, used_row=user.chosen_row, counterable=False)
    last_damage = jnp.where(mirrors, 0, field.last_damage)
    found = mirrors & ~none
    user = user.where(found, last_selected=foe.last_used, last_enemy_selected=foe.last_used)
    row = jnp.where(found, foe.used_row, user.chosen_row)
    move = unpack(row)
    user = user.where(found, chosen_row=row)
    # Two turns cost one PP, which is paid when it strikes.
    user = _spend(user, -1, found & move.charges)
    code = jnp.where(user.last_selected == NO_MOVE, FISSURE, user.last_selected)
    gained = (at(user.base_pp, user.last_selected_slot) + 1) & _PP_BITS
    has_slot = at(user.member.moves, user.last_selected_slot) != 0
    user = user.where(
        found & user.transformed & has_slot,
        base_pp=put(user.base_pp, user.last_selected_slot, gained),
    )
    field = Field(user, foe, field.dice, last_damage)
    return field, move, code, able & ~(mirrors & none)


def _announce(field: Field, move: Move, code: Array, used: Array) -> Field:
    """Who remembers that the move was used."""
    user = field.user
    user = user.where(used, last_move=code, last_enemy_move=code, counterable=move.counterable)
    strikes = used & (~move.charges | (user.charging > 0))
    user = user.where(strikes, last_used=code, used_row=user.chosen_row)
    return field._replace(user=user)


def _charge(field: Field, move: Move, code: Array, used: Array) -> tuple[Field, Array]:
    """Moves of two turns: the first one only charges. Returns (field, bool []: it strikes)."""
    user = field.user
    begins = used & move.charges & (user.charging == 0)
    user = user.where(used & move.charges, charging=jnp.where(begins, code, 0))
    return field._replace(user=user), used & ~begins


# -- the move itself


def _strike(field: Field, move: Move, struck: Array) -> Field:
    """upstream: tryMoveHit"""
    user, foe, dice, last_damage = field
    last_damage = jnp.where(struck & ~move.keeps_last_damage, 0, last_damage)

    found = [effectiveness(move, foe.types[i]) for i in range(2)]
    immune = struck & ~move.ignores_immunity & ((found[0] == NONE) | (found[1] == NONE))
    certain = (move.accuracy == 0) | ((move.status == SLEEP) & foe.recharge)
    aimed = struck & ~immune & ~certain
    dice, throw = draw(dice, "accuracy", 256, aimed)
    missed = aimed & (throw >= hit_chance(user, foe, move))
    last_damage = jnp.where(missed, 0, last_damage)
    hit = struck & ~immune & ~missed

    field = Field(user, foe, dice, last_damage)
    deals = move.category != STATUS_MOVE
    field, landed, bare = _deal(field, move, hit & deals)
    field = _effect(field, move, hit & ~deals)
    field = _second_effect(field, move, bare)
    user, foe, dice, last_damage = field
    # Whoever breaks a substitute with it survives.
    bursts = struck & move.self_destructs & (immune | ~foe.sub_fainted)
    user = effects.lose(user, user.hp, bursts)
    thaws = landed & (foe.status == FREEZE) & (move.second_status == BURN) & (foe.hp > 0)
    foe = foe.where(thaws, status=0)
    user, foe, last_damage = effects.hurt_itself(
        user, foe, jnp.int32(1), last_damage, move.crashes & (immune | missed)
    )
    return Field(user, foe, dice, last_damage)


def _deal(field: Field, move: Move, hit: Array) -> tuple[Field, Array, Array]:
    """Damage, recoil and drain, of all hits.

    Returns (field, bool []: something was hit, bool []: the last hit met the foe itself).
    """
    user, foe, dice, last_damage = field
    dice, throw = draw(dice, "multi_hit", 8, hit & (move.multihit == TWO_TO_FIVE_HITS))
    several = jnp.where(np.arange(len(_HITS), dtype=np.int32) == throw, _HITS, 0)
    hits = jnp.where(move.multihit == TWO_TO_FIVE_HITS, several.sum(dtype=jnp.int32), 1)
    hits = jnp.where(move.multihit == TWO_HITS, 2, hits)
    dice, first = damage(dice, user, foe, move, last_damage, hit)
    going = hit & ~first.failed

    bare = jnp.zeros((), bool)
    dealt = shielded = jnp.zeros((), bool)
    amount = value = first.damage
    for i in range(_MAX_HITS):
        now = going & (i < hits) & (foe.hp > 0)
        behind = now & (foe.substitute_hp > 0)
        open_ = now & (foe.substitute_hp == 0)
        # Later hits repeat the first: against a substitute, what counts as the last damage.
        value = amount if i == 0 else jnp.where(behind, last_damage, amount)
        foe = effects.hit_substitute(foe, value, behind)
        value = jnp.where(open_, jnp.minimum(value, foe.hp), value)
        foe = effects.lose(foe, value, open_)
        last_damage = jnp.where(now, value, last_damage)
        if i == 0:
            amount = jnp.where(behind, 0, value)
            shielded, dealt = behind, open_
        bare |= open_ & (i == hits - 1)
        going = now & ~foe.sub_fainted

    # Recoil and drain belong to moves of one hit, and end with a substitute that breaks.
    value = last_damage
    held = shielded & (foe.substitute_hp > 0)
    effective = (dealt | held) & (move.multihit == 0)
    drained = jnp.maximum(value // 2, 1)
    drains = effective & move.drains & ((value > 0) | held)
    recoiled = value >> move.recoil
    recoils = effective & (move.recoil > 0) & (value > 0)
    user = effects.recover(user, drained, drains)
    last_damage = jnp.where(drains, drained, last_damage)
    user = effects.lose(user, jnp.maximum(recoiled, 1), recoils)
    recharges = (dealt | held) & move.recharges & (user.hp > 0)
    user = user.where(recharges, recharge=True)
    return Field(user, foe, dice, last_damage), hit & ~first.failed, bare


def _effect(field: Field, move: Move, hit: Array) -> Field:
    """What a status move does.  upstream: moveHit"""
    user, foe, dice, last_damage = field
    blocked = (move.status == POISON) | (move.boosted != 0) | move.confuses
    hit = hit & ~((foe.substitute_hp > 0) & ~move.to_self & blocked)

    user, raised = effects.boost(user, move.boosted, move.boost, hit & move.to_self)
    foe, lowered = effects.boost(foe, move.boosted, move.boost, hit & ~move.to_self)
    foe = drop_stats(foe, raised | lowered)

    dice, foe, fell_asleep = effects.inflict(dice, foe, move.status, hit)
    rests = hit & (move.heal == REST) & ~effects.cannot_heal(user)
    dice, user, rests = effects.set_status(dice, user, jnp.int32(SLEEP), rests, by_foe=False)
    dice, turns = draw(dice, "sleep_turns", 7, fell_asleep | rests)
    foe = foe.where(fell_asleep, sleep_time=turns + 1)
    user = user.where(rests, sleep_time=_REST_TURNS, hp=user.member.max_hp)

    confused = hit & move.confuses & (foe.confusion == 0)
    dice, turns = draw(dice, "confusion_turns", 4, confused)
    foe = foe.where(confused, confusion=turns + 2)

    heals = hit & (move.heal == HEAL_HALF) & ~effects.cannot_heal(user)
    user = effects.recover(user, user.member.max_hp // 2, heals)
    user = user.where(hit & move.reflects, reflect=True)
    user = _substitute(user, hit & move.substitutes)
    dice, user = _mimic(dice, user, foe, hit & move.mimics)
    user = _transform(user, foe, hit & move.transforms)
    return Field(user, foe, dice, last_damage)


def _second_effect(field: Field, move: Move, bare: Array) -> Field:
    """What may come after damage, on a foe that is left."""
    user, foe, dice, last_damage = field
    spared = (
        (move.second_status == PARALYSIS)
        | (move.second_status == BURN)
        | (move.second_status == FREEZE)
    ) & foe.has_type(move.type)
    possible = bare & (foe.hp > 0) & (move.second_chance > 0) & ~spared
    dice, throw = draw(dice, "secondary", 256, possible)
    happens = possible & (throw < move.second_chance)
    dice, foe, _ = effects.inflict(dice, foe, move.second_status, happens)
    flinches = happens & move.second_flinch & ~foe.flinch
    foe = foe.where(flinches, flinch=True, recharge=False)
    foe, lowered = effects.boost(foe, move.second_boosted, move.second_boost, happens)
    return Field(user, drop_stats(foe, lowered), dice, last_damage)


def _substitute(user: Side, wanted: Array) -> Side:
    """A quarter of the hit points, all of them where that is what is left."""
    quarter = user.member.max_hp // 4
    wanted = wanted & (user.substitute_hp == 0) & (user.hp * 4 >= user.member.max_hp)
    user = user.where(wanted, substitute_hp=quarter + 1)
    return effects.lose(user, jnp.maximum(quarter, 1), wanted & (user.member.max_hp > 3))


def _mimic(dice: Dice, user: Side, foe: Side, wanted: Array) -> tuple[Dice, Side]:
    """One of the foe's moves, in the place that was selected last."""
    count = (foe.moves != 0).sum(dtype=jnp.int32)
    dice, choice = _draw_below(dice, "mimic", count, wanted)
    moves = put(user.moves, user.last_selected_slot, at(foe.moves, choice))
    virtual = put(user.virtual, user.last_selected_slot, jnp.ones((), bool))
    return dice, user.where(wanted, moves=moves, virtual=virtual)


def _draw_below(dice: Dice, site: str, count: Array, wanted: Array) -> tuple[Dice, Array]:
    """A number in [0, count), count in 1..4."""
    chosen = jnp.zeros((), jnp.int32)
    before = dice
    for below in range(1, NUM_MOVES + 1):
        drawn, value = draw(before, site, below, wanted)
        chosen = jnp.where(count == below, value, chosen)
        dice = drawn
    return dice, chosen


def _transform(user: Side, foe: Side, wanted: Array) -> Side:
    """upstream: transformInto; what the Pokemon would be as the foe's species stays its speed."""
    speed = stat(foe.form_speed, user.member.speed_term, user.member.level)
    return user.where(
        wanted,
        species=foe.species,
        form_speed=foe.form_speed,
        types=foe.types,
        speed=speed,
        stored_stats=foe.stored_stats,
        modified_stats=foe.modified_stats,
        boosts=foe.boosts,
        moves=foe.moves,
        pp=jnp.where(foe.moves != 0, _TRANSFORMED_PP, 0),
        virtual=foe.moves != 0,
        transformed=True,
    )


# -- after the move


def _after_move(field: Field, move: Move, wanted: Array, able: Array) -> Field:
    """Poison, burn, and waking up; skipped by a user whose move left nobody standing."""
    user, foe = field.user, field.foe
    target_hp = jnp.where(move.to_self, user.hp, foe.hp)
    user = user.where(able & (target_hp == 0), recharge=False)
    after = wanted & (~able | (target_hp > 0))
    woke = after & (user.status == SLEEP) & (user.sleep_time <= 0) & (user.hp > 0)
    user = user.where(woke, status=0, sleep_time=0, sleep_by_foe=False)
    return field._replace(user=residual_damage(user, after))


def residual_damage(side: Side, wanted: Array) -> Side:
    """What burn and poison cost."""
    suffers = wanted & ((side.status == BURN) | (side.status == POISON))
    return effects.lose(side, jnp.maximum(side.member.max_hp // 16, 1), suffers)
