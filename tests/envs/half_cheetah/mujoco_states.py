"""States of MuJoCo's cheetah, and what it makes of them: what the translation is held against."""

from typing import Any, NamedTuple

import numpy as np

from simlift.references.half_cheetah.physics import (
    Physics,
    compiled_model,
    expected_warnings,
    load_mujoco,
)

FRAME_SKIP = 5
KINDS = ("random", "bang-bang", "flipped", "fast", "sunk")


class Steps(NamedTuple):
    """Environment steps of FRAME_SKIP physics steps, float64; `N` steps."""

    qpos: np.ndarray  # [N, 9]
    qvel: np.ndarray  # [N, 9]
    qacc_warmstart: np.ndarray  # [N, 9]
    action: np.ndarray  # [N, 6]
    next_qpos: np.ndarray  # [N, 9]
    next_qvel: np.ndarray  # [N, 9]
    next_warmstart: np.ndarray  # [N, 9]


def play(kind: str, count: int, seed: int = 0) -> Steps:
    """`count` steps of one of KINDS, in episodes of 50.

    The state before each is rounded to float32, and so are the actions, so that both widths start
    from the very same. "flipped": any pitch, at the floor, joints in and beyond their ranges;
    "fast": all joints at 10 rad/s or so; "sunk": the whole cheetah below the floor.

    MuJoCo solves to rounding here (`exact_model`). With the model's tolerance of 1e-8 it stops
    short in a step of a thousand or so, where another iteration would have gained less.
    """
    generator = np.random.default_rng([seed, KINDS.index(kind)])
    model = exact_model()
    data = load_mujoco().MjData(model)
    rows = []
    with expected_warnings():
        for i in range(count):
            if i % 50 == 0:
                _begin(kind, generator, data)
            action = generator.uniform(-1, 1, 6)
            if kind == "bang-bang":
                action = np.sign(action)
            rows.append(_step(model, data, action.astype(np.float32)))
    return Steps(*map(np.stack, zip(*rows, strict=True)))


def exact_model() -> Any:
    """Upstream's model, whose solver stops for nothing but rounding."""
    model = compiled_model()
    model.opt.tolerance = 0
    return model


def _step(model: Any, data: Any, action: np.ndarray) -> tuple[np.ndarray, ...]:
    """One row of Steps, from the state in `data`, which moves on."""
    fields = data.qpos, data.qvel, data.qacc_warmstart
    for field in fields:
        field[:] = field.astype(np.float32)
    before = [field.copy() for field in fields]
    data.ctrl[:] = action
    load_mujoco().mj_step(model, data, nstep=FRAME_SKIP)
    return (*before, action.astype(np.float64), *(field.copy() for field in fields))


def _begin(kind: str, generator: np.random.Generator, data: Any) -> None:
    data.qpos[:] = generator.uniform(-0.1, 0.1, 9)
    data.qvel[:] = 0.1 * generator.standard_normal(9)
    data.qacc_warmstart[:] = 0
    if kind == "flipped":
        data.qpos[1:3] = generator.uniform([-0.7, -np.pi], [0.2, np.pi])
        data.qpos[3:] = generator.uniform(-1, 1, 6)
        data.qvel[:] = 3 * generator.standard_normal(9)
    elif kind == "sunk":
        data.qpos[1:3] = generator.uniform([-1.4, -np.pi], [-1.0, np.pi])
        data.qpos[3:] = generator.uniform(-1, 1, 6)
    elif kind == "fast":
        data.qpos[1] = 0.5
        data.qvel[:] = 10 * generator.standard_normal(9)


def modules(steps: Steps) -> dict[str, np.ndarray]:
    """What MuJoCo computes of the states before the steps, by its names, [N, ...]."""
    physics = Physics(exact_model())
    state = {name: getattr(steps, name) for name in ("qpos", "qvel", "qacc_warmstart")}
    with expected_warnings():
        return physics.modules(physics.pack({**state, "ctrl": steps.action}))
