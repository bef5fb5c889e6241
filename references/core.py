"""The contract of a reference: the upstream program itself, wrapped as thinly as possible.

`Reference` is one instance, `VectorReference` the same verbs for a batch that steps together; an
upstream that can be driven in-process supplies the batch, and `SerialVector` makes a batch out of
single ones. Nothing here imports JAX.
"""

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

Snapshot = Mapping[str, np.ndarray]
"""The complete state under upstream's own field names; a batch has a leading axis [B]."""


class ReferenceUnavailable(RuntimeError):
    """The reference program cannot be had on this machine; the message names the remedy."""


class SnapshotRefused(RuntimeError):
    """This reference cannot take or restore a snapshot here; the message says why."""


class TapeError(RuntimeError):
    """A forced draw was not consumed, or one was wanted that the tape does not hold; the message
    names the site."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Draw:
    """One random number that the reference consumed: where, out of how many, which.

    Of a real number without bounds, the bits of the double, read as int64, below 2**64.
    """

    site: str
    bound: int
    value: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a step or a reset shows. For a batch every array has a leading axis [B]; `legal` is
    None when all are."""

    observation: np.ndarray
    reward: np.ndarray  # float32
    terminated: np.ndarray  # bool
    truncated: np.ndarray  # bool
    legal: np.ndarray | None = None  # bool [..., num_actions]
    final_observation: np.ndarray | None = None  # before the auto-reset; None where not shown


@dataclasses.dataclass(frozen=True, kw_only=True)
class DrawLog:
    """The draws of one call of a batch. Entries past `count` are meaningless.

    count: int32 [B]; site: int16 [B, K], an index into `VectorReference.draw_sites`; value: int64
    [B, K]; bound: int64 [B, K], None where every site has the one bound in `draw_bounds`;
    step_count: int32 [B], how many of them the step itself consumed, the others being its
    auto-reset's, None where that is not known.
    """

    count: np.ndarray
    site: np.ndarray
    value: np.ndarray
    bound: np.ndarray | None = None
    step_count: np.ndarray | None = None


class Closing:
    """A context manager that ends with `close`."""

    def close(self) -> None:
        """Free what is held. Calling it twice is harmless."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Reference(Closing, abc.ABC):
    """One instance of the upstream program."""

    name: str
    version: str
    auto_reset: bool = False
    """Whether `step` itself starts the next episode when one ends."""
    draw_sites: tuple[str, ...] = ()
    draw_bounds: tuple[int, ...] = ()

    @abc.abstractmethod
    def reset(self, seed: int) -> Outcome:
        """Start an episode. The same seed gives the same episode for the same actions."""

    @abc.abstractmethod
    def step(self, action: Any) -> Outcome:
        """One step; upstream's own auto-reset, where it has one, is included.

        Raises ValueError for an action upstream has no meaning for.
        """

    @abc.abstractmethod
    def draws(self) -> list[Draw]:
        """The draws that the last `reset` or `step` consumed, in order."""

    def force(self, draws: Sequence[Draw]) -> None:
        """Feed these draws to the next call, which raises TapeError unless it consumes exactly
        these."""
        raise TapeError(f"{self.name} draws from its own generator only; compare by seed instead")

    def snapshot(self) -> Snapshot:
        """The complete state. Raises SnapshotRefused where upstream cannot give it."""
        raise SnapshotRefused(
            f"{self.name} cannot be saved; replay the actions from a reset instead"
        )

    def restore(self, snapshot: Snapshot) -> None:
        """The inverse of `snapshot`."""
        raise SnapshotRefused(
            f"{self.name} cannot be restored; replay the actions from a reset instead"
        )


class VectorReference(Closing, abc.ABC):
    """`num_envs` instances that step together: the verbs of `Reference` with a leading axis [B]."""

    name: str
    version: str
    num_envs: int
    draw_sites: tuple[str, ...] = ()
    draw_bounds: tuple[int, ...] = ()

    @abc.abstractmethod
    def reset(self, seed: int) -> Outcome:
        """Start an episode in every instance, each with a stream of its own derived from `seed`."""

    @abc.abstractmethod
    def step(self, actions: np.ndarray) -> Outcome:
        """One step of every instance; upstream's own auto-reset, where it has one, is included.

        Raises ValueError for actions of the wrong shape, dtype or range.
        """

    @abc.abstractmethod
    def draws(self) -> DrawLog:
        """The draws that the last `reset` or `step` consumed, in order."""

    @abc.abstractmethod
    def snapshot(self) -> dict[str, np.ndarray]: ...

    def final_snapshot(self) -> dict[str, np.ndarray] | None:
        """As `snapshot`, of the episodes that the last step ended their last state; None where that
        cannot be seen. The rows of all others are meaningless."""
        return None

    @abc.abstractmethod
    def restore(self, snapshot: Snapshot) -> None: ...

    def force(self, draws: DrawLog) -> None:
        """Feed these draws to the next call, which raises TapeError unless it consumes exactly
        these."""
        raise TapeError(f"{self.name} draws from its own generator only; compare by seed instead")


class SingleReference(Reference):
    """The one instance of a batch of one: for upstreams that are driven in batches."""

    def __init__(self, vector: VectorReference) -> None:
        self._vector = vector
        self.name, self.version = vector.name, vector.version
        self.draw_sites, self.draw_bounds = vector.draw_sites, vector.draw_bounds

    def reset(self, seed: int) -> Outcome:
        return _first(self._vector.reset(seed))

    def step(self, action: Any) -> Outcome:
        return _first(self._vector.step(np.asarray(action)[None]))

    def draws(self) -> list[Draw]:
        log = self._vector.draws()
        return [
            Draw(site=self.draw_sites[site], bound=self.draw_bounds[site], value=int(value))
            for site, value in zip(log.site[0], log.value[0, : log.count[0]], strict=False)
        ]

    def force(self, draws: Sequence[Draw]) -> None:
        width = max(1, len(draws))
        site, value = np.zeros((1, width), np.int16), np.zeros((1, width), np.int64)
        site[0, : len(draws)] = [self.draw_sites.index(draw.site) for draw in draws]
        value[0, : len(draws)] = [draw.value for draw in draws]
        self._vector.force(DrawLog(count=np.array([len(draws)], np.int32), site=site, value=value))

    def snapshot(self) -> Snapshot:
        return {name: value[0] for name, value in self._vector.snapshot().items()}

    def restore(self, snapshot: Snapshot) -> None:
        self._vector.restore({name: np.asarray(value)[None] for name, value in snapshot.items()})

    def close(self) -> None:
        self._vector.close()


def _first(outcome: Outcome) -> Outcome:
    values = {f.name: getattr(outcome, f.name) for f in dataclasses.fields(outcome)}
    return Outcome(**{k: None if v is None else v[0] for k, v in values.items()})  # type: ignore[arg-type]
