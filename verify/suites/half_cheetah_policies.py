"""Who drives the cheetah in rollouts. Actions: float32 [B, 6], as Gymnasium's space has it; both
sides compute the control cost in the precision of what they are given."""

from collections.abc import Callable, Mapping

import numpy as np

from ...references.core import Outcome, Snapshot
from ..suite import Policy, Variant

NUM_MOTORS = 6
FIRST_MOTOR = 3  # joint
BLIND = ("random", "bang-bang", "held", "beyond the limits")


def policies(variant: Variant) -> Mapping[str, Policy]:
    del variant
    return {
        "random": _blind(_uniform),
        "bang-bang": _blind(_signs),
        "held": _held(_signs, 10),
        "beyond the limits": _blind(lambda generator, shape: 2 * generator.normal(size=shape)),
        "onto its back": _onto_its_back,
        "pumping": _pumping,
    }


Sample = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


def _blind(sample: Sample) -> Policy:
    def act(generator: np.random.Generator, outcome: Outcome, s: Snapshot) -> np.ndarray:
        return _cast(sample(generator, (len(s["qpos"]), NUM_MOTORS)))

    return act


def _uniform(generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return generator.uniform(-1, 1, shape)


def _signs(generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return np.sign(generator.normal(size=shape))


def _held(sample: Sample, steps: int) -> Policy:
    """Keeps each motor's action for about so many steps."""
    held: list[np.ndarray] = []

    def act(generator: np.random.Generator, outcome: Outcome, s: Snapshot) -> np.ndarray:
        shape = (len(s["qpos"]), NUM_MOTORS)
        fresh, renewed = sample(generator, shape), generator.random(shape) < 1 / steps
        held[:] = [np.where(renewed, fresh, held[0]) if held else fresh]
        return _cast(held[0])

    return act


def _onto_its_back(generator: np.random.Generator, outcome: Outcome, s: Snapshot) -> np.ndarray:
    """Kicks with the hind leg until it lies on its back, and kicks the air there."""
    pitch = np.cos(s["qpos"][:, 2:3])
    kick = np.sign(s["qvel"][:, 2:3]) * np.array([-1, -1, -1, 1, 1, 1])
    return _cast(np.where(pitch > 0, kick, _signs(generator, kick.shape)))


def _pumping(generator: np.random.Generator, outcome: Outcome, s: Snapshot) -> np.ndarray:
    """Every motor with its joint's motion: the greatest speeds, and hard against the limits."""
    return _cast(np.where(s["qvel"][:, FIRST_MOTOR:] >= 0, 1.0, -1.0))


def _cast(action: np.ndarray) -> np.ndarray:
    return action.astype(np.float32)
