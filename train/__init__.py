"""PPO in one program, its networks, checkpoints, logs and evaluation."""

from .checkpoint import CheckpointError
from .config import PPOConfig
from .policy import Policy
from .ppo import PPO, make_train
from .run import RunOptions, TrainingError, load_policy

__all__ = [
    "PPO",
    "CheckpointError",
    "PPOConfig",
    "Policy",
    "RunOptions",
    "TrainingError",
    "load_policy",
    "make_train",
]
