"""Cart-pole's truth: Gymnasium's own CartPole-v1."""

from .reference import CartPoleReference, VectorCartPole, installed_version

__all__ = ["CartPoleReference", "VectorCartPole", "installed_version"]
