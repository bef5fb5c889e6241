"""A Pokemon takes its turn.  upstream: runMove and what it calls, in the gen1 mod.

Every move goes through the same steps in upstream's order, so that the generator draws where
upstream's does; what a move does not do is switched off by its row.
"""

import jax.numpy as jnp
import numpy as np
from jax import Array

from . import effects
from .calls import Call, call, spend
from .damage import confusion_damage, damage, hit_chance
from .generator import Dice, draw
from .locks import ACCURATE, HITS, Field, bide, hold_on, thrash, trap
from .moves import (
    BIDE,
    BURN,
    CANNOT_MOVE,
    FISSURE,
    FREEZE,
    HEAL_HALF,
    KNOCKS_OUT,
    NO_MOVE,
    NONE,
    PARALYSIS,
    POISON,
    REST,
    SLEEP,
    STATUS_MOVE,
    STRUGGLE,
    TOXIC,
    TWO_HITS,
    TWO_TO_FIVE_HITS,
    Move,
    effectiveness,
    table,
    unpack,
)
from .side import Side, at, drop_stats, put, reveal
from .teams import stat

_MAX_HITS = 5
_TRANSFORMED_PP = 5
_REST_TURNS = 2
_GRASS = np.int32(11)


def run_move(field: Field, wanted: Array) -> Field:
    """The user's chosen move, where it is wanted, bool []."""
    move = unpack(field.user.chosen_row)
    tries = wanted & (field.user.last_selected != CANNOT_MOVE)
    # A broken substitute is remembered until the next move is aimed at its owner.
    field = field._replace(
        user=field.user.where(tries & move.to_self, sub_fainted=False),
        foe=field.foe.where(tries & ~move.to_self, sub_fainted=False),
    )
    field, able = _before_move(field, move, tries)
    user, foe = reveal(field.user, able), field.foe
    user = _deduct_pp(user, move, able)
    start = Call(user, field.dice, field.last_damage, jnp.zeros((), bool))
    (user, dice, last_damage, failed), code = call(start, foe, able)
    field, move = Field(user, foe, dice, last_damage), unpack(user.chosen_row)
    used = able & ~failed
    field = _announce(field, move, code, used)
    field, struck = _charge(field, move, code, used)
    field = _strike(field, move, code, struck)
    return _after_move(field, move, wanted, able)


# -- before the move


def _before_move(field: Field, move: Move, wanted: Array) -> tuple[Field, Array]:
    """What may keep the user from moving. Returns (field, bool []: it moves)."""
    user, foe, dice, last_damage = field
    frozen = wanted & (user.status == FREEZE)
    asleep = wanted & (user.status == SLEEP)
    user = user.where(asleep, sleep_time=user.sleep_time - 1)
    user = user.where(asleep | frozen, last_used=0)
    able = wanted & ~asleep & ~frozen & ~user.trapped & ~user.flinch

    recharging = able & user.recharge
    user = user.where(recharging, recharge=False)
    able &= ~recharging

    counts = able & (user.disabled != 0)
    user = user.where(counts, disable_time=user.disable_time - 1)
    over = counts & (user.disable_time == 0)
    user = user.where(over, disabled=0, disabled_place=0)
    code = jnp.where(user.biding, BIDE, user.last_selected)
    barred = counts & ~over & (code == user.disabled)
    user = user.release(barred & user.charging)
    able &= ~barred

    confused = able & (user.confusion > 0)
    user = user.where(confused, confusion=user.confusion - 1)
    dice, throw = draw(dice, "confusion_self_hit", 256, confused & (user.confusion > 0))
    hits_itself = confused & (user.confusion > 0) & (throw >= 128)
    user, foe, last_damage = effects.hurt_itself(
        user, foe, confusion_damage(user), last_damage, hits_itself
    )
    user = user.where(hits_itself, hidden=False)
    able &= ~hits_itself

    dice, throw = draw(dice, "full_paralysis", 256, able & (user.status == PARALYSIS))
    paralysed = able & (user.status == PARALYSIS) & (throw < 63)
    user = user.release((hits_itself | paralysed) & ~user.raging)
    able &= ~paralysed

    field, bides = bide(Field(user, foe, dice, last_damage), able)
    elsewhere = move.to_self | (field.user.lock_target != foe.slot)
    user = field.user.release(able & field.user.trapping & elsewhere)
    return field._replace(user=user), able & ~bides


def _deduct_pp(user: Side, move: Move, able: Array) -> Side:
    """A move that charges costs its PP when it strikes, one that goes on only as it begins."""
    begins = (user.lock == 0) & ~move.charges
    return spend(user, 1, able & (user.last_selected != STRUGGLE) & (begins | user.charging))


def _announce(field: Field, move: Move, code: Array, used: Array) -> Field:
    """Who remembers that the move was used."""
    user = field.user
    user = user.where(used, last_move=code, last_enemy_move=code, counterable=move.counterable)
    strikes = used & (~move.charges | user.charging)
    # What the used move is to others, which "no move" is called after.
    named = jnp.where(user.last_selected == NO_MOVE, table()[FISSURE], user.chosen_row)
    return field._replace(user=user.where(strikes, last_used=code, used_row=named))


def _charge(field: Field, move: Move, code: Array, used: Array) -> tuple[Field, Array]:
    """Moves of two turns: the first one only charges. Returns (field, bool []: it strikes).

    upstream: onTryMove, also of trapping moves
    """
    user = field.user
    charges = used & move.charges
    begins = charges & ~user.charging
    user = user.where(charges & ~begins, hidden=False).release(charges & ~begins)
    user = user.where(begins, lock=code).where(begins & move.hides, hidden=True)
    foe = field.foe.where(used & move.traps, recharge=False)
    return field._replace(user=user, foe=foe), used & ~begins


# -- the move itself


def _strike(field: Field, move: Move, code: Array, struck: Array) -> Field:
    """upstream: tryMoveHit"""
    user, foe, dice, last_damage = field
    last_damage = jnp.where(struck & ~move.keeps_last_damage, 0, last_damage)
    dice, user = thrash(dice, user, code, struck & move.thrashes)

    found = [effectiveness(move, foe.types[i]) for i in range(2)]
    away = ~move.ignores_immunity & ((found[0] == NONE) | (found[1] == NONE))
    away |= foe.hidden & ~move.to_self & ~move.finds
    away |= move.seeds & foe.has_type(_GRASS)
    away |= move.eats_dreams & ((foe.status != SLEEP) | (foe.substitute_hp > 0))
    away |= (move.fixed_damage == KNOCKS_OUT) & (foe.action_speed > user.action_speed)
    immune = struck & away

    certain = (move.accuracy == 0) | ((move.status == SLEEP) & foe.recharge)
    remembers = user.thrashing | user.raging
    accuracy = jnp.where(remembers, user.lock_accuracy, move.accuracy)
    chance = hit_chance(user, foe, accuracy)
    user = user.where(struck & ~immune & ~certain & remembers, lock_accuracy=chance)
    certain |= foe.trapped & (foe.trap_by == user.slot) & ~move.to_self
    aimed = struck & ~immune & ~certain
    dice, throw = draw(dice, "accuracy", 256, aimed)
    missed = aimed & (throw >= chance)
    last_damage = jnp.where(missed, 0, last_damage)
    user = user.release(missed & user.trapping)
    hit = struck & ~immune & ~missed

    field = Field(user, foe, dice, last_damage)
    deals = move.category != STATUS_MOVE
    field, landed, bare = _deal(field, move, code, hit & deals)
    field = _effect(field, move, code, hit & ~deals)
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
    enrages = struck & (move.self_destructs | move.disables)
    foe = effects.build_rage(foe, enrages.astype(jnp.int32))
    return Field(user, foe, dice, last_damage)


def _deal(field: Field, move: Move, code: Array, hit: Array) -> tuple[Field, Array, Array]:
    """Damage, recoil and drain, of all hits, and what the move does to its user.

    Returns (field, bool []: something was hit, bool []: the last hit met the foe itself).
    """
    user, foe, dice, last_damage = field
    dice, throw = draw(dice, "multi_hit", 8, hit & (move.multihit == TWO_TO_FIVE_HITS))
    several = jnp.where(np.arange(len(HITS), dtype=np.int32) == throw, HITS, 0)
    hits = jnp.where(move.multihit == TWO_TO_FIVE_HITS, several.sum(dtype=jnp.int32), 1)
    hits = jnp.where(move.multihit == TWO_HITS, 2, hits)
    dice, first = damage(dice, user, foe, move, last_damage, hit)
    going = hit & ~first.failed

    bare = jnp.zeros((), bool)
    dealt = shielded = jnp.zeros((), bool)
    blows = jnp.zeros((), jnp.int32)
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
        blows += (open_ & (foe.hp > 0)).astype(jnp.int32)
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
    held_or_dealt = (dealt | held) & (user.hp > 0)
    user = user.where(held_or_dealt & move.recharges, recharge=True)
    throw_at_held = held & move.second_confuses
    dice, throw = draw(dice, "substitute_confusion", 256, throw_at_held)
    dice, foe = effects.confuse(dice, foe, throw_at_held & (throw < move.second_chance))
    foe = effects.build_rage(foe, jnp.where(move.self_destructs, 0, blows))
    rages = held_or_dealt & move.rages & ~user.raging
    user = user.where(rages, lock=code, lock_accuracy=ACCURATE)
    field = Field(user, foe, dice, last_damage)
    field = trap(field, code, (dealt | shielded) & move.traps, dealt & move.traps)
    return field, hit & ~first.failed, bare


def _effect(field: Field, move: Move, code: Array, hit: Array) -> Field:
    """What a status move does.  upstream: moveHit"""
    user, foe, dice, last_damage = field
    blocked = (move.status == POISON) | (move.status == TOXIC)
    blocked |= (move.boosted != 0) | move.confuses
    hit = hit & ~((foe.substitute_hp > 0) & ~move.to_self & blocked)

    user, raised = effects.boost(user, move.boosted, move.boost, hit & move.to_self)
    lowers = hit & ~move.to_self & ~foe.mist
    foe, lowered = effects.boost(foe, move.boosted, move.boost, lowers)
    foe = drop_stats(foe, raised | lowered)
    user = user.where(raised & move.minimizes, minimized=True)
    user = user.where(raised & move.curls, curled=True)

    dice, foe, fell_asleep = effects.inflict(dice, foe, move.status, hit)
    rests = hit & (move.heal == REST) & ~effects.cannot_heal(user)
    dice, user, rests = effects.set_status(dice, user, jnp.int32(SLEEP), rests, by_foe=False)
    dice, turns = draw(dice, "sleep_turns", 7, fell_asleep | rests)
    foe = foe.where(fell_asleep, sleep_time=turns + 1)
    user = user.where(rests, sleep_time=_REST_TURNS, hp=user.member.max_hp)

    dice, foe = effects.confuse(dice, foe, hit & move.confuses)
    dice, turns = draw(dice, "bide_turns", 2, hit & move.bides)
    user = user.where(hit & move.bides, lock=code, lock_time=turns + 2, lock_damage=0)

    heals = hit & (move.heal == HEAL_HALF) & ~effects.cannot_heal(user)
    user = effects.recover(user, user.member.max_hp // 2, heals)
    user = user.where(hit & move.reflects, reflect=True)
    user = user.where(hit & move.light_screens, light_screen=True)
    user = user.where(hit & move.mists, mist=True).where(hit & move.focuses, focused=True)
    user = user.where(hit & move.converts, types=foe.types)
    foe = foe.where(hit & move.seeds, seeded=True)
    dice, foe = effects.disable(dice, foe, hit & move.disables)
    dice, user, foe = effects.haze(dice, user, foe, hit & move.hazes)
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
    dice, foe = effects.confuse(dice, foe, happens & move.second_confuses)
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
    dice, choice = draw(dice, "mimic", count, wanted)
    moves = put(user.moves, user.last_selected_slot, at(foe.moves, choice))
    virtual = put(user.virtual, user.last_selected_slot, jnp.ones((), bool))
    return dice, user.where(wanted, moves=moves, virtual=virtual)


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
    """Poison, burn, Leech Seed and waking up; skipped by a user whose move left nobody standing.

    upstream: the events AfterMove and AfterMoveSelf
    """
    user, foe, dice, last_damage = field
    target_hp = jnp.where(move.to_self, user.hp, foe.hp)
    user = user.where(able & (target_hp == 0), recharge=False)
    user = user.release(able & user.thrashing & (user.lock_time == 0))
    user, foe = hold_on(user, foe, able & user.trapping, target_hp)

    after = wanted & (~able | (target_hp > 0))
    user = user.where(after & (user.toxic > 0) & _ails(user), toxic=user.toxic + 1)
    woke = after & (user.status == SLEEP) & (user.sleep_time <= 0) & (user.hp > 0)
    user = user.where(woke, status=0, sleep_time=0, sleep_by_foe=False)
    user = residual_damage(user, after)
    drained = after & user.seeded & (foe.hp > 0)
    user = user.where(drained & (user.toxic > 0), toxic=user.toxic + 1)
    amount = _sixteenth(user)
    user, foe = effects.lose(user, amount, drained), effects.recover(foe, amount, drained)
    return Field(user, foe, dice, last_damage)


def _ails(side: Side) -> Array:
    return (side.status == BURN) | (side.status == POISON) | (side.status == TOXIC)


def _sixteenth(side: Side) -> Array:
    """Of its hit points, times the counter that Toxic left."""
    return jnp.maximum(side.member.max_hp // 16, 1) * jnp.where(side.toxic > 0, side.toxic - 1, 1)


def residual_damage(side: Side, wanted: Array) -> Side:
    """What burn and poison cost."""
    return effects.lose(side, _sixteenth(side), wanted & _ails(side))
