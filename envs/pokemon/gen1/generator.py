"""Showdown's generator, a 64-bit linear congruential one, on pairs of 32-bit words.

upstream: Gen5RNG and PRNG in sim/prng.ts. Every draw takes one word; what a draw makes of it needs
no floats: `random(n)` is the high half of word * n.
"""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

SITES = (
    *("full_paralysis", "sleep_turns", "confusion_turns", "confusion_self_hit", "trapping_turns"),
    *("thrash_turns", "bide_turns", "disable_slot", "disable_turns", "metronome", "mimic"),
    *("psywave", "substitute_confusion", "accuracy", "multi_hit", "secondary", "critical_hit"),
    *("damage_roll", "tie_switch_in", "tie_queue_insert", "tie_queue", "tie_each_event"),
    *("tie_field_event", "tie_run_event", "seed", "team"),
)
"""Draw sites, by the reference's names; those that begin with tie_ shuffle what is equally fast,
and most of them change nothing but the generator. The last two are a battle's start: its
generator's words and its teams."""
DRAWN = tuple(site for site in SITES if site not in ("tie_switch_in", "seed", "team"))
"""The sites that a step can reach."""

_HALF = np.uint32(16)
_LOW_HALF = np.uint32(0xFFFF)
_FACTOR = 0x5D588B656C078965
_INCREMENT = 0x00269EC3
_FACTOR_HIGH, _FACTOR_LOW = np.uint32(_FACTOR >> 32), np.uint32(_FACTOR & 0xFFFFFFFF)


class Dice(NamedTuple):
    """The generator's 64 bits, uint32 [] each, and how often each site drew, int32 [] where it
    did."""

    high: Array
    low: Array
    used: Mapping[str, Array]


def start(high: Array, low: Array) -> Dice:
    return Dice(high, low, {site: jnp.zeros((), jnp.int32) for site in DRAWN})


def counts(dice: Dice) -> Array:
    """How often each of SITES drew, uint8 [len(SITES)]."""
    zero = jnp.zeros((), jnp.int32)
    return jnp.stack([dice.used.get(site, zero) for site in SITES]).astype(jnp.uint8)


def by_site(counts: Array) -> Mapping[str, Array]:
    """`counts` as an `Outcome` has them, int32 [] each."""
    return {site: counts[i].astype(jnp.int32) for i, site in enumerate(SITES)}


def draw(dice: Dice, site: str, below: int | Array, wanted: Array) -> tuple[Dice, Array]:
    """A number in [0, below), int32 [], where one is wanted; elsewhere nothing is drawn, and the
    number means nothing. below: at most 2**16, int32 []."""
    high, low = _advance(dice.high, dice.low)
    n = np.uint32(below) if isinstance(below, int) else below.astype(jnp.uint32)
    value = ((high >> _HALF) * n + (((high & _LOW_HALF) * n) >> _HALF)) >> _HALF
    used = {**dice.used, site: dice.used[site] + wanted.astype(jnp.int32)}
    dice = Dice(jnp.where(wanted, high, dice.high), jnp.where(wanted, low, dice.low), used)
    return dice, value.astype(jnp.int32)


def discard(dice: Dice, site: str, times: Array) -> Dice:
    """Draw as often, int32 [], where what is drawn makes no difference."""

    def left(carry: tuple[Dice, Array]) -> Array:
        return carry[1] > 0

    def once(carry: tuple[Dice, Array]) -> tuple[Dice, Array]:
        return draw(carry[0], site, 2, left(carry))[0], carry[1] - 1

    return jax.lax.while_loop(left, once, (dice, times))[0]


def _advance(high: Array, low: Array) -> tuple[Array, Array]:
    """x -> x * FACTOR + INCREMENT, modulo 2**64."""
    product = low * _FACTOR_LOW
    carried = _high_product(low, _FACTOR_LOW) + low * _FACTOR_HIGH + high * _FACTOR_LOW
    new_low = product + np.uint32(_INCREMENT)
    return carried + (new_low < product).astype(jnp.uint32), new_low


def _high_product(a: Array, b: np.uint32) -> Array:
    """The high word of a product of two words."""
    a_high, a_low = a >> _HALF, a & _LOW_HALF
    b_high, b_low = np.uint32(int(b) >> 16), np.uint32(int(b) & 0xFFFF)
    middle = a_high * b_low + ((a_low * b_low) >> _HALF)
    other = a_low * b_high + (middle & _LOW_HALF)
    return a_high * b_high + (middle >> _HALF) + (other >> _HALF)
