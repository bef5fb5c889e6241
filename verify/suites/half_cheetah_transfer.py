"""What L4 trains and plays in HalfCheetah, and which difference of returns matters."""

from ...train.config import PPOConfig
from ..suite import Variant
from ..transfer.plan import TransferPlan

PLAN = TransferPlan(
    variant=Variant("float32"),  # what users train on
    # A twentieth of the preset's steps, for MuJoCo plays them as well, and in small steps: more of
    # one and the policies of some seeds have found how to gallop, others not.
    config=PPOConfig(
        total_steps=300_000,
        num_envs=64,
        num_steps=32,
        num_minibatches=32,
        num_epochs=10,
        learning_rate=3e-4,
        entropy_coef=0.0,
        normalize_observations=True,
    ),
    seeds=5,
    episodes=600,
    margin=0.05,
    own_margin=0.05,
    training_margin=0.5,
    why=(
        "The same draws give the same start alone: after some 50 of 1000 steps two episodes are as "
        "unlike as any other two of one policy, on either side. What a policy earns is then known "
        "as well as the mean of its episodes. Policies differ by a third of the span with their "
        "seed alone: five of each side can only show that neither teaches much less than the other."
    ),
    returns=(-2_000.0, 12_000.0),
    max_steps=1_000,
)
