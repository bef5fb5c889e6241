"""Floating-point operations that stay what they are, whatever a compiler makes of a program."""

import jax.numpy as jnp
import numpy as np
from jax import Array


def rounded(product: Array) -> Array:
    """`product`, rounded before it is added to anything.

    Compilers may contract a * b + c into one operation that skips the rounding of the product. They
    cannot across this clip, which changes no finite number.
    """
    largest = np.finfo(product.dtype).max
    return jnp.clip(product, -largest, largest)


def divide(numerator: Array, denominator: Array) -> Array:
    """The correctly rounded quotient.

    XLA multiplies by the reciprocal where it knows the denominator, which rounds twice. So it is
    kept from knowing: the select changes nothing (NaN divided by anything is NaN) and cannot be
    folded.
    """
    return numerator / jnp.where(numerator == numerator, denominator, numerator)
