"""What L4 trains and plays in HalfCheetah, and which difference of returns matters."""

from ...train.config import PPOConfig
from ..suite import Variant
from ..transfer.plan import TransferPlan

PLAN = TransferPlan(
    variant=Variant("float32"),  # what users train on
    # A twentieth of the preset's steps, for MuJoCo plays them as well, and in small steps: policies
    # that run, and hardly differ with their seed (returns of 864 +- 34 over six seeds of ours).
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
    episodes=250,
    margin=0.05,
    own_margin=0.05,
    training_margin=0.25,
    why=(
        "The same draws give the same start alone: after some 50 of 1000 steps two episodes are as "
        "unlike as any other two of one policy, on either side. What a policy earns is then known "
        "as well as the mean of its episodes. Five policies of each side are so alike that a "
        "quarter of what there is to learn would show."
    ),
    returns=(-2_000.0, 12_000.0),
    max_steps=1_000,
)
