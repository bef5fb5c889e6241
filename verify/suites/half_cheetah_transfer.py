"""What L4 trains and plays in HalfCheetah, and which difference of returns matters."""

from ...train.config import PPOConfig
from ..suite import Variant
from ..transfer.plan import TransferPlan

PLAN = TransferPlan(
    variant=Variant("float32"),  # what users train on
    # A tenth of the preset's steps, for MuJoCo plays them as well: policies that run, not yet fast.
    config=PPOConfig(
        total_steps=500_000,
        num_envs=32,
        num_steps=64,
        num_minibatches=16,
        num_epochs=8,
        learning_rate=7e-4,
        entropy_coef=0.0,
        normalize_observations=True,
    ),
    seeds=3,
    episodes=240,
    margin=0.05,
    own_margin=0.05,
    training_margin=0.5,
    why=(
        "The same draws give the same start alone: after some 50 of 1000 steps two episodes are as "
        "unlike as any other two of one policy, on either side. What a policy earns is then known "
        "as well as the mean of its episodes, to a hundredth of the span. Policies that are not "
        "done learning differ widely with their seed: a few can only show that neither side "
        "teaches much less than the other."
    ),
    returns=(-2_000.0, 12_000.0),
    max_steps=1_000,
)
