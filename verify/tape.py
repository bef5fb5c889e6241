"""A tape: the shortest thing that shows a difference, and the file that keeps it.

A tape is the reference's state, the actions from there, and what was different. It replays on
both sides without any seed. Kept as JSON in the regression bank, beside the pytest that replays it.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..envs.files import write_atomically
from ..references.core import VectorReference
from .compare import Comparison, Difference
from .record import Recording, record_tape
from .suite import Suite, Variant

FORMAT = 1
LOOK_BACK = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)


class TapeFileError(ValueError):
    """A tape file that cannot be used; the message says why and what to do."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tape:
    """start: the reference's fields before the first action; actions [T], as the reference's."""

    suite: str
    variant: Variant
    start: Mapping[str, np.ndarray]
    actions: np.ndarray
    found: Mapping[str, Any]  # level, policy, seed, step, field

    @property
    def identity(self) -> str:
        text = json.dumps([self.variant.name, _jsonable(self.start), self.actions.tolist()])
        return hashlib.sha256(text.encode()).hexdigest()[:12]


class Player:
    """Plays tapes of one suite and variant on both sides."""

    def __init__(self, suite: Suite, comparison: Comparison, variant: Variant) -> None:
        self.suite, self.comparison, self.variant = suite, comparison, variant
        self._references: dict[int, VectorReference] = {}

    def reference(self, num_envs: int) -> VectorReference:
        if num_envs not in self._references:
            self._references[num_envs] = self.suite.reference(self.variant, num_envs)
        return self._references[num_envs]

    def play(
        self, starts: Mapping[str, np.ndarray], actions: np.ndarray
    ) -> tuple[Recording, Difference]:
        """Both sides from `starts` [B, ...] through `actions` [T, B, ...], see
        `Comparison.from_here`."""
        reference = self.reference(actions.shape[1])
        reference.restore(starts)
        recording = record_tape(reference, actions)
        return recording, self.comparison.from_here(recording)

    def shrink(
        self, start_at: Callable[[int], Mapping[str, np.ndarray]], actions: np.ndarray
    ) -> tuple[dict[str, np.ndarray], np.ndarray] | None:
        """The shortest tape found that ends in a difference, out of one whose last action does.

        start_at(k): the reference's fields [1, ...], k actions before the end. First the latest
        start that still shows it, then actions are left out, then made the simplest (zero).
        Returns (start fields [1, ...], actions [T]), or None when no restart shows the difference.
        """
        lengths = sorted({min(n, len(actions)) for n in (*LOOK_BACK, len(actions))})
        for length in lengths:
            start, tail = dict(start_at(length)), actions[len(actions) - length :]
            if (failing := self._first_failure(start, tail[None])) is not None:
                break
        else:
            return None
        tail = failing
        while len(tail) > 1:
            shorter = np.stack([np.delete(tail, i) for i in range(len(tail))])
            if (failing := self._first_failure(start, shorter)) is None:
                break
            tail = failing
        for i in range(len(tail)):
            simpler = tail.copy()
            simpler[i] = 0
            if (failing := self._first_failure(start, simpler[None])) is not None:
                tail = failing
                if i >= len(tail):
                    break
        return start, tail

    def _first_failure(
        self, start: Mapping[str, np.ndarray], candidates: np.ndarray
    ) -> np.ndarray | None:
        """The first of `candidates` [N, T] that ends in a difference, cut right after it."""
        starts = {name: np.repeat(value, len(candidates), 0) for name, value in start.items()}
        _, difference = self.play(starts, candidates.swapaxes(0, 1))
        failing = difference.bad.any(0)
        if not failing.any():
            return None
        which = int(np.argmax(failing))
        return candidates[which][: int(np.argmax(difference.bad[:, which])) + 1]


# -- files


def _jsonable(fields: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Arrays as [dtype, nested list]; float32 survive, for JSON carries a double's digits."""
    return {k: [str(np.asarray(v).dtype), np.asarray(v).tolist()] for k, v in fields.items()}


def save(tape: Tape, path: Path) -> None:
    """Write whole or not at all."""
    write_atomically(
        path,
        json.dumps(
            {
                "format": FORMAT,
                "suite": tape.suite,
                "variant": dataclasses.asdict(tape.variant),
                "start": _jsonable(tape.start),
                "actions": _jsonable({"actions": tape.actions})["actions"],
                "found": dict(tape.found),
            },
            indent=1,
        ),
    )


def load(path: Path) -> Tape:
    """Raises TapeFileError, with the remedy, for a file that is missing, damaged or not a tape."""
    try:
        data = json.loads(path.read_text())
        if data["format"] != FORMAT:
            raise TapeFileError(
                f"{path} is a tape of format {data['format']}, this simlift reads {FORMAT}; "
                "record it anew"
            )
        arrays = {k: np.asarray(v, dtype) for k, (dtype, v) in data["start"].items()}
        dtype, values = data["actions"]
        return Tape(
            suite=data["suite"],
            variant=Variant(**data["variant"]),
            start=arrays,
            actions=np.asarray(values, dtype),
            found=data["found"],
        )
    except FileNotFoundError as error:
        raise TapeFileError(f"there is no tape at {path}; `simlift verify` writes them") from error
    except TapeFileError:
        raise
    except (OSError, ValueError, OverflowError, KeyError, TypeError, AttributeError) as error:
        raise TapeFileError(
            f"{path} is not a readable tape ({type(error).__name__}: {error}); delete it, and run "
            "`simlift verify` to find the difference again"
        ) from error
