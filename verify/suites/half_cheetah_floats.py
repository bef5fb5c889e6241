"""How rounding is judged of the cheetah: float32 by single steps, both precisions by how fast free
runs part, and late in episodes by distribution."""

from ..floats import Budget, FloatPlan, Twin
from .half_cheetah_sides import DEFAULT, FLOAT32, FLOAT32_JNP, finished, reference

SHARE = 1e-3
"""Of steps in float32, that may be beyond a budget: those in which a sphere just touches the floor
at high speed, where errors of the position are thousands of times as large in the force."""
STATE = ("qpos", "qvel")
FACTOR = 3.0
"""How far apart two computations may be of which one is moved once a step and the other rounds in
each of five physics steps: sqrt(5) by chance, and a third for the mean over 64 episodes."""

FLOATS = (
    FloatPlan(
        variants=(FLOAT32, FLOAT32_JNP),
        num_envs=64,
        budgets={
            "outcome.observation": Budget(atol=1e-3, scale=1.0, share=SHARE),
            "outcome.reward": Budget(atol=1e-3, scale=1.0, share=SHARE),
            "qpos": Budget(atol=1e-4, scale=1.0, share=SHARE),
            "qvel": Budget(atol=1e-3, scale=1.0, share=SHARE),
            "mass_matrix": Budget(atol=1e-4, scale=1.0, share=SHARE),
            "qfrc_bias": Budget(atol=0.05, scale=100.0, share=SHARE),
            "contact_dist": Budget(atol=1e-4, scale=0.1, share=SHARE),
        },
        unjudged=dict.fromkeys(
            ("qacc_warmstart", "qacc", "qfrc_constraint", "efc_aref", "efc_D", "efc_force"),
            "jumps where a sphere begins to touch; what it does to the next state is judged",
        ),
        twin=Twin(
            what="MuJoCo, qpos moved by 1e-7",
            reference=reference,
            nudges={"qpos": 1e-7},
            fields=STATE,
            steps=60,
        ),
        factor=FACTOR,
        why="float32 holds speeds of 10 to 1e-6, and five solves of stiff contacts lose a hundred "
        "times that: 1e-3 is what MJX in float32 needs too. A position is a speed's change in 0.01 "
        "s, and x may be 10 m.",
    ),
    FloatPlan(
        variants=(DEFAULT,),
        num_envs=64,
        budgets={name: Budget(atol=1e-9, scale=1.0) for name in STATE},
        steps=0,
        twin=Twin(
            what="MuJoCo, solver tolerance=0, moved by a unit in the last place",
            reference=finished,
            nudges={"qpos": 2.0**-53, "qvel": 2.0**-50},  # of 1 rad, of 8 rad/s
            fields=STATE,
            steps=120,
        ),
        factor=FACTOR,
        why="float64: single steps are judged by L3",
    ),
)
