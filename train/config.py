"""The hyper-parameters of PPO."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from .networks import ACTIVATIONS


@dataclasses.dataclass(frozen=True, kw_only=True)
class PPOConfig:
    """Hyper-parameters of PPO; hashable, and checked when made: ValueError names the field and its
    range.
    """

    total_steps: int = 1_000_000
    """Environment steps of a run, over all its environments; rounded up to whole updates."""
    num_envs: int = 256
    """Environments stepped side by side."""
    num_steps: int = 64
    """Steps of each environment between two updates."""
    num_epochs: int = 4
    """Passes over a rollout for one update."""
    num_minibatches: int = 4
    """Gradient steps in one pass. Divides num_envs * num_steps, and num_envs itself if
    recurrent.
    """
    learning_rate: float = 2.5e-4
    """Step size of Adam."""
    anneal_learning_rate: bool = True
    """Lower the learning rate linearly, to zero after total_steps."""
    gamma: float = 0.99
    """Discount."""
    gae_lambda: float = 0.95
    """Lambda of generalised advantage estimation."""
    clip_eps: float = 0.2
    """How far the probability ratio is rewarded to move away from 1."""
    value_clip_eps: float | None = None
    """The same for the value's move away from the old value; None for the plain squared error."""
    entropy_coef: float = 0.01
    """Weight of the entropy bonus."""
    value_coef: float = 0.5
    """Weight of the value loss."""
    max_grad_norm: float = 0.5
    """Global norm to which gradients are clipped."""
    normalize_advantages: bool = True
    """Scale the advantages of each minibatch to mean 0 and standard deviation 1."""
    normalize_observations: bool = False
    """Scale observations by their running mean and variance, which a checkpoint keeps."""
    hidden_sizes: tuple[int, ...] = (64, 64)
    """Layers of the actor and of the critic; of the encoder before the GRU, if recurrent."""
    activation: str = "tanh"
    """Activation of the layers: tanh, relu, silu or gelu."""
    rnn_size: int = 0
    """Units of the GRU; 0 for a network without memory."""

    def __post_init__(self) -> None:
        for name in ("total_steps", "num_envs", "num_steps", "num_epochs", "num_minibatches"):
            self._require(
                name, is_integer(getattr(self, name), 1), "must be an integer of at least 1"
            )
        self._require("rnn_size", is_integer(self.rnn_size, 0), "must be an integer of at least 0")
        sizes = self.hidden_sizes
        valid = isinstance(sizes, tuple) and all(is_integer(size, 1) for size in sizes)
        self._require("hidden_sizes", valid, "must be a tuple of integers of at least 1")
        for name in ("gamma", "gae_lambda"):
            self._require(name, is_number(getattr(self, name), 0, 1), "must be between 0 and 1")
        for name in ("learning_rate", "clip_eps", "max_grad_norm"):
            value = getattr(self, name)
            self._require(name, is_number(value) and value > 0, "must be above 0")
        for name in ("entropy_coef", "value_coef"):
            self._require(name, is_number(getattr(self, name), 0), "must be at least 0")
        clip = self.value_clip_eps
        self._require(
            "value_clip_eps",
            clip is None or (is_number(clip) and clip > 0),
            "must be above 0 or None",
        )
        self._require(
            "activation", self.activation in ACTIVATIONS, f"must be one of {sorted(ACTIVATIONS)}"
        )
        if self.recurrent and self.num_envs % self.num_minibatches:
            raise ValueError(
                f"num_minibatches={self.num_minibatches} must divide num_envs={self.num_envs}: "
                "a recurrent network learns from whole sequences"
            )
        if self.batch_size % self.num_minibatches:
            raise ValueError(
                f"num_minibatches={self.num_minibatches} must divide num_envs * num_steps = "
                f"{self.batch_size}"
            )

    def _require(self, name: str, valid: bool, rule: str) -> None:
        if not valid:
            raise ValueError(f"{name}={getattr(self, name)!r} {rule}")

    @property
    def recurrent(self) -> bool:
        return self.rnn_size > 0

    @property
    def batch_size(self) -> int:
        """Environment steps of one update."""
        return self.num_envs * self.num_steps

    @property
    def num_updates(self) -> int:
        """Updates of a whole run."""
        return math.ceil(self.total_steps / self.batch_size)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "PPOConfig":
        """The inverse of `dataclasses.asdict`, also after a trip through JSON. ValueError for an
        unknown field.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(values.keys() - known):
            raise ValueError(f"PPOConfig has no field {unknown}; it has {sorted(known)}")
        values = dict(values)
        if isinstance(values.get("hidden_sizes"), list):
            values["hidden_sizes"] = tuple(values["hidden_sizes"])
        return cls(**values)


def is_integer(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def is_number(value: Any, least: float = -math.inf, most: float = math.inf) -> bool:
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return numeric and math.isfinite(value) and least <= value <= most
