"""Both sides' configurations of the cheetah, and the reference for each."""

from typing import Any

from ...references.half_cheetah import VectorHalfCheetah
from ..suite import Variant

DEFAULT = Variant("default", x64=True)
# None of upstream's numbers; the motors act for one physics step, starts are wild, and x is seen.
OTHER = Variant(
    "other numbers",
    {"frame_skip": 1, "exclude_current_positions_from_observation": False},
    {
        "forward_reward_weight": 0.7,
        "ctrl_cost_weight": 0.33,
        "reset_noise_scale": 0.4,
        "max_episode_steps": 83,
    },
    x64=True,
)
FLOAT32 = Variant("float32")
FLOAT32_JNP = Variant("float32, jnp", {"kernel": "jnp"})


def reference(variant: Variant, num_envs: int, **options: Any) -> VectorHalfCheetah:
    """options: those of VectorHalfCheetah that are no variant's."""
    config = {name: value for name, value in variant.config.items() if name != "kernel"}
    return VectorHalfCheetah(num_envs, **config, **variant.parameters, **options)


def finished(variant: Variant, num_envs: int) -> VectorHalfCheetah:
    """Upstream's solver stops where an iteration would gain little (tolerance=1e-8); with 0 it goes
    on to the minimum."""
    return reference(variant, num_envs, solver_tolerance=0.0)
