"""A reference in any language, driven over its standard input and output: one JSON object a line.

README.md in this folder documents the protocol. The program is started once and answers each line
with a line; `send` and `receive` are the two halves of a call, so that a batch of programs computes
at the same time.
"""

import dataclasses
import json
import operator
import os
import shlex
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np

from .child import Child
from .core import (
    Draw,
    Outcome,
    Reference,
    ReferenceUnavailable,
    Snapshot,
    SnapshotRefused,
    TapeError,
)

Verb = Literal["hello", "reset", "step", "snapshot", "restore"]

PROTOCOL = 1
EXACT = 2**53  # integers beyond this do not survive a JavaScript number, so they travel as strings
COMMAND_LENGTH = 160  # characters of a command that an error shows


class ProcessFailed(ReferenceUnavailable):
    """The program ended, fell silent or broke the protocol; the message shows its last words."""


# -- values on the wire


def encode(array: np.ndarray) -> Any:
    """JSON that `decode` reads back bit for bit (the payload of a NaN apart)."""
    if array.dtype in (np.int64, np.uint64):
        return array.astype(str).tolist()
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        words = array.astype(object)
        for word in ("NaN", "Infinity", "-Infinity"):
            same = np.isnan(array) if word == "NaN" else array == float(word)
            words = np.where(same, word, words)
        return words.tolist()
    return array.tolist()


def decode(value: Any, dtype: np.dtype) -> np.ndarray:
    """A JSON value as an array of this dtype. Raises ValueError where that would lose something."""
    raw = np.asarray(value)
    if raw.size == 0:
        return np.zeros(raw.shape, dtype)
    if dtype.kind == "f":
        if raw.dtype.kind not in "biufU":
            raise ValueError('null is not a number; write "NaN", "Infinity" or "-Infinity"')
        return raw.astype(dtype)
    if dtype.kind == "b" or raw.dtype.kind in "bf":
        if raw.dtype.kind != dtype.kind:
            raise ValueError(f"expected {dtype}; 64-bit integers are written as decimal strings")
        return raw.astype(dtype)
    try:
        return np.array([int(x) for x in raw.flat], dtype).reshape(raw.shape)
    except (OverflowError, TypeError) as error:
        raise ValueError(f"expected {dtype}: {error}") from None


def _exact(value: int) -> int | str:
    return value if abs(value) <= EXACT else str(value)


# -- the reference


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hello:
    """What a program says of itself.

    num_actions: choices of a discrete action, None where actions are real numbers;
    action_shape: () for one action, (players,) for one of each player;
    draw_sites: the largest bound at each site;
    snapshot_fields: every field of the state with its dtype, None where it cannot be saved.
    """

    name: str
    version: str
    observation_shape: tuple[int, ...]
    observation_dtype: np.dtype
    num_actions: int | None
    action_shape: tuple[int, ...]
    draw_sites: Mapping[str, int]
    snapshot_fields: Mapping[str, np.dtype] | None
    forcing: bool
    auto_reset: bool

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> "Hello":
        """Raises KeyError, TypeError or ValueError for an answer that breaks the protocol."""
        observation, action = answer["observation"], answer["action"]
        fields = answer.get("snapshot_fields")
        hello = cls(
            name=str(answer["name"]),
            version=str(answer["version"]),
            observation_shape=tuple(observation["shape"]),
            observation_dtype=np.dtype(observation["dtype"]),
            num_actions=action.get("n"),
            action_shape=tuple(action.get("shape", ())),
            draw_sites={site: int(bound) for site, bound in answer.get("draw_sites", {}).items()},
            snapshot_fields=fields and {name: np.dtype(dtype) for name, dtype in fields.items()},
            forcing=bool(answer.get("forcing", False)),
            auto_reset=bool(answer.get("auto_reset", False)),
        )
        for dtype in (hello.observation_dtype, *(hello.snapshot_fields or {}).values()):
            if dtype.kind not in "biuf":
                raise ValueError(f"{dtype} is not a dtype of numbers or booleans")
        return hello


class ProcessReference(Reference):
    """One instance of a simulator that is a program of its own.

    command: program and arguments; timeout: seconds until a call counts as hung; cwd, env: where it
    runs and with which variables (ours, by default); remedy: what to do when it is missing.
    Raises ReferenceUnavailable when the program cannot be started, and ProcessFailed, now or in any
    later call, when it ends, falls silent or breaks the protocol; this object is then closed.
    """

    def __init__(
        self,
        command: Sequence[str | os.PathLike[str]],
        *,
        timeout: float = 30.0,
        cwd: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        remedy: str = "install it or correct the command",
    ) -> None:
        if isinstance(command, str) or not command:
            raise ValueError('command is a list of words, such as ["node", "simulator.mjs"]')
        words = [os.fspath(word) for word in command]
        self._command = self.name = textwrap.shorten(shlex.join(words), COMMAND_LENGTH)
        self.timeout = timeout
        self._last_id = 0
        self._pending: Verb | None = None
        self._tape: list[Draw] | None = None
        self._sent_tape: list[Draw] | None = None
        self._draws: list[Draw] = []
        self._child: Child | None = None
        try:
            self._child = Child(words, None if cwd is None else os.fspath(cwd), env)
        except OSError as error:
            raise ReferenceUnavailable(
                f"{self._command}: cannot be started ({error.strerror}: {error.filename}); {remedy}"
            ) from None
        self.send("hello")
        self.hello: Hello = self.receive()
        self.name, self.version = self.hello.name, self.hello.version
        self.auto_reset = self.hello.auto_reset
        self.draw_sites = tuple(self.hello.draw_sites)
        self.draw_bounds = tuple(self.hello.draw_sites.values())

    def reset(self, seed: int) -> Outcome:
        """Start an episode; seed: 0 .. 2**53 - 1."""
        self.send("reset", seed)
        outcome: Outcome = self.receive()
        return outcome

    def step(self, action: Any) -> Outcome:
        """Raises ValueError for an action of the wrong shape, dtype or range, or illegal now."""
        self.send("step", action)
        outcome: Outcome = self.receive()
        return outcome

    def draws(self) -> list[Draw]:
        return list(self._draws)

    def force(self, draws: Sequence[Draw]) -> None:
        """Feed these draws to the next `reset` or `step`, which raises TapeError unless it consumes
        exactly these; go on from there with `reset` or `restore`.
        """
        if not self.hello.forcing:
            super().force(draws)
        self._tape = list(draws)

    def snapshot(self) -> Snapshot:
        self.send("snapshot")
        snapshot: Snapshot = self.receive()
        return snapshot

    def restore(self, snapshot: Snapshot) -> None:
        """Raises ValueError when fields are missing, unknown or of another dtype."""
        self.send("restore", snapshot)
        self.receive()

    def close(self) -> None:
        if self._child is not None:
            self._child.stop()
            self._child = None

    # -- the two halves of a call

    def send(self, verb: Verb, argument: Any = None) -> None:
        """Ask for `verb` (of the seed, action or snapshot) without waiting for the answer.

        Raises what the call itself raises for a bad argument; nothing is then sent.
        """
        if self._child is None:
            raise ProcessFailed(f"{self._command}: is closed; make a new ProcessReference")
        if self._pending is not None:
            raise RuntimeError(f"receive the answer to {self._pending!r} before sending {verb!r}")
        if verb not in get_args(Verb):
            raise ValueError(f"{verb!r} is not a verb of the protocol; choose one of {Verb}")
        self._last_id += 1
        request = {"id": self._last_id, "verb": verb, **self._arguments(verb, argument)}
        self._pending = verb
        line = json.dumps(request, separators=(",", ":"), allow_nan=False) + "\n"
        try:
            self._child.write(line.encode(), self.timeout)
        except (EOFError, TimeoutError) as error:
            raise self._failed(error) from None

    def receive(self) -> Any:
        """The answer: an Outcome, a Snapshot or None. Raises what the call itself raises."""
        if self._child is None or self._pending is None:
            raise RuntimeError("nothing was sent that could be received")
        try:
            line = self._child.readline(self.timeout)
        except (EOFError, TimeoutError) as error:
            raise self._failed(error) from None
        verb, self._pending = self._pending, None
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            shown = line[:200].decode(errors="replace")
            raise self._broke(
                verb, f"printed a line that is not a JSON object: {shown!r}; log to standard error"
            )
        if answer.get("id") != self._last_id:
            raise self._broke(
                verb,
                f"answered id {answer.get('id')}, expected {self._last_id}; copy the request's id",
            )
        if (refusal := answer.get("error")) is not None:
            raise self._refusal(verb, refusal)
        try:
            return self._understand(verb, answer)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            reason = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise self._broke(
                verb, f"answered what the protocol does not allow ({reason}); see its README.md"
            ) from None

    # -- requests

    def _arguments(self, verb: Verb, argument: Any) -> dict[str, Any]:
        match verb:
            case "hello":
                return {"protocol": PROTOCOL}
            case "reset":
                if not 0 <= (seed := operator.index(argument)) < EXACT:
                    raise ValueError(f"seed {seed} is outside 0 .. 2**53 - 1")
                return {"seed": seed, **self._take_tape()}
            case "step":
                return {"action": self.check_actions(argument).tolist(), **self._take_tape()}
            case "snapshot":
                if self.hello.snapshot_fields is None:
                    super().snapshot()
            case "restore":
                if self.hello.snapshot_fields is None:
                    super().restore(argument)
                return {"snapshot": self._encoded(argument)}
        return {}

    def check_actions(self, actions: Any, batch: tuple[int, ...] = ()) -> np.ndarray:
        """The actions as an array [*batch, *action_shape]; ValueError where they are not."""
        array, hello = np.asarray(actions), self.hello
        if array.shape != (shape := (*batch, *hello.action_shape)):
            raise ValueError(f"{self.name}: actions have shape {array.shape}, expected {shape}")
        if hello.num_actions is None:
            if array.dtype.kind not in "iuf" or not np.isfinite(array).all():
                raise ValueError(f"{self.name}: actions {actions} are not all finite numbers")
        elif array.dtype.kind not in "iu":
            raise ValueError(f"{self.name}: actions are {array.dtype}, expected integers")
        elif ((array < 0) | (array >= hello.num_actions)).any():
            raise ValueError(f"{self.name}: action {actions} outside 0 .. {hello.num_actions - 1}")
        return array

    def _take_tape(self) -> dict[str, Any]:
        self._sent_tape, self._tape = self._tape, None
        if self._sent_tape is None:
            return {}
        return {"tape": [[d.site, _exact(d.bound), _exact(d.value)] for d in self._sent_tape]}

    def _encoded(self, snapshot: Snapshot) -> dict[str, Any]:
        fields = self.hello.snapshot_fields or {}
        if wrong := fields.keys() ^ snapshot.keys():
            raise ValueError(
                f"{self.name}: a snapshot has exactly the fields {sorted(fields)}; "
                f"missing or unknown: {sorted(wrong)}"
            )
        for name, dtype in fields.items():
            if np.asarray(snapshot[name]).dtype != dtype:
                raise ValueError(
                    f"{self.name}: snapshot field {name} is {np.asarray(snapshot[name]).dtype}, "
                    f"expected {dtype}"
                )
        return {name: encode(np.asarray(snapshot[name])) for name in fields}

    # -- answers

    def _understand(self, verb: Verb, answer: dict[str, Any]) -> Any:
        match verb:
            case "hello":
                if answer.get("protocol") != PROTOCOL:
                    raise ValueError(f"protocol {answer.get('protocol')}, we speak {PROTOCOL}")
                return Hello.parse(answer)
            case "reset" | "step":
                outcome = self._outcome(answer)
                self._draws = [self._draw(*draw) for draw in answer.get("draws", ())]
                self._check_tape()
                return outcome
            case "snapshot":
                fields, snapshot = self.hello.snapshot_fields or {}, answer["snapshot"]
                if wrong := fields.keys() ^ snapshot.keys():
                    raise ValueError(f"snapshot fields missing or not announced: {sorted(wrong)}")
                return {name: decode(snapshot[name], dtype) for name, dtype in fields.items()}
        return None

    def _outcome(self, answer: dict[str, Any]) -> Outcome:
        hello, final = self.hello, answer.get("final_observation")
        legal = answer.get("legal")
        if legal is not None:
            legal = decode(legal, np.dtype(bool))
            if legal.shape != (shape := (*hello.action_shape, hello.num_actions)):
                raise ValueError(f"legal of shape {legal.shape}, expected {shape}")
        return Outcome(
            observation=self._observation(answer["observation"]),
            reward=decode(answer.get("reward", 0.0), np.dtype(np.float32)),
            terminated=decode(answer.get("terminated", False), np.dtype(bool)),
            truncated=decode(answer.get("truncated", False), np.dtype(bool)),
            legal=legal,
            final_observation=None if final is None else self._observation(final),
        )

    def _observation(self, value: Any) -> np.ndarray:
        observation = decode(value, self.hello.observation_dtype)
        if observation.shape != (shape := self.hello.observation_shape):
            raise ValueError(f"observation of shape {observation.shape}, announced {shape}")
        return observation

    def _draw(self, site: str, bound: int | str, value: int | str) -> Draw:
        draw = Draw(site=site, bound=int(bound), value=int(value))
        if not 0 <= draw.value < draw.bound <= self.hello.draw_sites[site]:
            raise ValueError(f"{draw}; 0 <= value < bound <= {self.hello.draw_sites[site]}")
        return draw

    def _check_tape(self) -> None:
        """The program says what it consumed; whether that is the tape is judged here."""
        tape, self._sent_tape = self._sent_tape, None
        if tape is None:
            return
        for i, (given, used) in enumerate(zip(tape, self._draws, strict=False)):
            if given != used:
                raise TapeError(f"{self.name}: draw {i} is {given} on the tape, but was {used}")
        if len(tape) != len(self._draws):
            i = min(len(tape), len(self._draws))
            what = "was not consumed" if i < len(tape) else "was drawn past the end of the tape"
            draw = max(tape, self._draws, key=len)[i]
            raise TapeError(f"{self.name}: draw {i} at site {draw.site!r} {what}")

    # -- what goes wrong

    def _refusal(self, verb: Verb, refusal: Any) -> Exception:
        """The exception for an error that the program answered; the program goes on."""
        self._sent_tape = None
        kind, message = refusal.get("kind"), refusal.get("message")
        match kind:
            case "action":
                return ValueError(f"{self.name}: {message}")
            case "tape":
                return TapeError(f"{self.name}: site {refusal.get('site')!r}: {message}")
            case "snapshot":
                return SnapshotRefused(f"{self.name}: {message}")
        return self._broke(verb, f"answered an error of kind {kind!r}: {message}")

    def _failed(self, error: Exception) -> ProcessFailed:
        assert self._child is not None and self._pending is not None
        if isinstance(error, TimeoutError):
            what = f"gave no answer within {self.timeout:g} s; raise timeout= if it is only slow"
        else:
            what = f"{self._child.ending()}; run the command by hand to see why"
        return self._broke(self._pending, what)

    def _broke(self, verb: Verb, what: str) -> ProcessFailed:
        """End the program, which is in no known state any more, and say so."""
        assert self._child is not None
        words = self._child.last_words()
        self.close()
        return ProcessFailed(f"{self._command}: on {verb!r} {what}; its stderr: {words}")
