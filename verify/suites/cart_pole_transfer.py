"""What L4 trains and plays in CartPole, and which difference of returns matters."""

from ...train.config import PPOConfig
from ..transfer.plan import TransferPlan
from .cart_pole_scenarios import EULER

PLAN = TransferPlan(
    variant=EULER,
    # Stops before every pole stands for all 500 steps: where all returns are the same, a few
    # policies show nothing.
    config=PPOConfig(
        total_steps=40_960,
        num_envs=32,
        num_steps=64,
        num_minibatches=8,
        num_epochs=8,
        learning_rate=1e-3,
        gamma=0.98,
        gae_lambda=0.9,
    ),
    seeds=4,
    episodes=300,
    margin=0.02,
    own_margin=0.1,
    training_margin=0.5,
    why=(
        "The same draws leave no noise, so that ten of 500 steps are seen. With other draws as "
        "many games of the reference differ from each other by up to a tenth of the span. Policies "
        "that are not done learning differ widely with their seed alone: a few can only show that "
        "neither side teaches much less than the other."
    ),
    returns=(0.0, 500.0),
    max_steps=501,
)
