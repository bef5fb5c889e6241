"""HalfCheetah's truth: Gymnasium's own HalfCheetah-v5 on MuJoCo."""

from .reference import HalfCheetahReference, VectorHalfCheetah

__all__ = ["HalfCheetahReference", "VectorHalfCheetah"]
