"""Cart-pole's truth: Gymnasium's own CartPole-v1."""

from .reference import CartPoleReference, VectorCartPole

__all__ = ["CartPoleReference", "VectorCartPole"]
