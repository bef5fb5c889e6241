"""Puffer Pong's truth: PufferLib's own C."""

from .reference import PongReference, VectorPong, random_play

__all__ = ["PongReference", "VectorPong", "random_play"]
