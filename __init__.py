"""simlift: slow simulators lifted onto the accelerator, and proved to be the same."""

from .envs import list_environments, make, register

__version__ = "0.1.0"
__all__ = ["list_environments", "make", "register"]
