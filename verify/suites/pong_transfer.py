"""What L4 trains and plays in Pong, and which difference of returns matters."""

import dataclasses

from ...train.presets import find_preset
from ..suite import Variant
from ..transfer.plan import TransferPlan

PLAN = TransferPlan(
    variant=Variant("discrete, frameskip 8", {"frameskip": 8}),
    config=dataclasses.replace(find_preset("pong", "demo").config, total_steps=1_000_000),
    seeds=3,
    episodes=1200,
    margin=0.005,
    own_margin=0.005,
    training_margin=0.05,
    why=(
        "0.5 % of the span is about a quarter of a point a game: twice what 1200 games of the "
        "reference differ from 1200 others, and under what 2 % of the reward amounts to. Runs of "
        "PPO that differ in their seed alone end up further apart, hence 5 % between those."
    ),
    returns=(-21.0, 45.0),  # 21 points lost; won, with 240 hits of a tenth
    max_steps=10_000,
)
