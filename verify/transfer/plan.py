"""What a suite declares for L4."""

import dataclasses

from ...train.config import PPOConfig
from ..suite import SuiteError, Variant


@dataclasses.dataclass(frozen=True, kw_only=True)
class TransferPlan:
    """What is trained, how much of it is played, and which difference matters.

    The learnable span is the trained policies' mean return minus the random one's, both measured
    in the reference; margins are fractions of it.
    """

    variant: Variant
    """The configuration that is played, and trained on unless `training` says otherwise."""
    config: PPOConfig
    """How policies are trained, the same on both sides."""
    seeds: int
    """Policies trained on each side, >= 2."""
    episodes: int
    """Pairs of episodes, over all policies."""
    margin: float
    """The smallest difference of mean returns between the two sides that matters, playing the same
    policies."""
    own_margin: float
    """The same where each side draws for itself: the test of the sampler's part in the returns,
    noisier because nothing pairs the episodes."""
    training_margin: float
    """The same between the policies that the two sides trained."""
    why: str
    """The reason for the margins."""
    returns: tuple[float, float]
    """The least and the greatest return. Those beyond count as these: the statements without a
    normal approximation need bounds."""
    train_in_reference: bool = True
    """Whether the reference is fast enough to be trained on."""
    training: Variant | None = None
    """The configuration that is trained on, where that is another one: of a game, self-play. Then
    an instance of the reference is a player of our side's game, see train/rows.py."""
    max_steps: int = 20_000
    """An episode that has not ended by then is cut off, on both sides."""

    def __post_init__(self) -> None:
        low, high = self.returns
        if not low < high:
            raise SuiteError(f"returns={self.returns}: the least must lie below the greatest")
        for name in ("margin", "own_margin", "training_margin"):
            if not 0 < getattr(self, name) < 1:
                raise SuiteError(f"{name}={getattr(self, name)} must lie between 0 and 1")
        if self.seeds < 2 or self.episodes < 2:
            raise SuiteError(
                f"seeds={self.seeds}, episodes={self.episodes}: a spread needs at least 2 of each"
            )
        if not self.why:
            raise SuiteError("a margin needs a reason: give `why`")
