"""Gymnasium's vector environments as peers, on one core."""

import importlib.metadata

from ..references.core import ReferenceUnavailable
from ..train.turns import Peer


def vector_peer(env_id: str, mode: str, *, num_envs: int) -> Peer:
    """`gymnasium.make_vec(env_id, num_envs, vectorization_mode=mode)` under random actions.

    Raises ReferenceUnavailable without gymnasium.
    """
    try:
        import gymnasium
    except ImportError as error:
        raise ReferenceUnavailable(
            "gymnasium is not installed: pip install 'simlift[peers]'"
        ) from error
    envs = gymnasium.make_vec(env_id, num_envs, vectorization_mode=mode)
    envs.reset(seed=0)
    envs.action_space.seed(0)

    def play(num_envs: int, num_steps: int) -> None:
        assert num_envs == envs.num_envs, "how many was chosen when they were made"
        for _ in range(num_steps):
            envs.step(envs.action_space.sample())

    version = importlib.metadata.version("gymnasium")
    return Peer(
        name="gymnasium",
        run=play,
        cores=1,
        num_envs=num_envs,
        about=f"gymnasium {version}, {env_id}, {type(envs).__name__}",
        close=envs.close,
    )
