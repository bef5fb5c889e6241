"""What a run may spend and what it has spent; nothing is begun that could exceed it."""

import dataclasses
import math
import threading
from collections import deque
from collections.abc import Mapping

from .prices import Price, Usage
from .wire import Answer, Request

REMEMBERED = 8  # calls of a model whose prompts are known, against which new ones are estimated
ROUNDING = 1e-9  # dollars


class OverCap(ValueError):
    """A call that could exceed a cap; it is not made. The message says which, and what is left."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Caps:
    """Hard limits of a run. Raises ValueError for limits that allow nothing.

    tokens, calls: None for no limit; output: the most tokens of one answer, which also is what a
    call is assumed to cost before it is made (None: whatever the model can do).
    """

    dollars: float
    tokens: int | None = None
    calls: int | None = None
    output: int | None = None

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise ValueError(f"the cap on {field.name} is {value}: it must be above 0")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spent:
    """What calls have cost. reserved: dollars that calls under way could cost at most;
    unknown: dollars of `dollars` that were charged at their worst, because no answer told."""

    dollars: float = 0.0
    tokens: int = 0
    calls: int = 0
    reserved: float = 0.0
    unknown: float = 0.0

    def projected(self, progress: float) -> float:
        """Dollars for the whole at this pace. progress: the share that is done, above 0, to 1."""
        if not 0 < progress <= 1:
            raise ValueError(f"progress is {progress}: it must be above 0 and at most 1")
        return self.dollars / progress


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reservation:
    """The most that one call can cost."""

    request: Request
    price: Price
    prompt: int
    output: int

    @property
    def dollars(self) -> float:
        """At the price of its model, whatever is cached."""
        return self.price.worst(self.prompt, self.output, hour=self.request.hour)

    @property
    def tokens(self) -> int:
        """In and out."""
        return self.prompt + self.output


@dataclasses.dataclass(frozen=True, kw_only=True)
class Charge:
    """What one call cost; known: whether the answer told all of it."""

    dollars: float
    tokens: int
    known: bool
    usage: Usage | None = None


class Budget:
    """Reserves before a call, charges after it; for any number of threads.

    spent: what earlier parts of the run have cost.
    """

    def __init__(self, caps: Caps, spent: Spent | None = None) -> None:
        self.caps = caps
        self._spent = dataclasses.replace(spent or Spent(), reserved=0.0)
        self._reserved: list[Reservation] = []
        self._known: dict[str, deque[tuple[Mapping[bytes, int], int]]] = {}
        self._lock = threading.Lock()

    @property
    def spent(self) -> Spent:
        """As of now."""
        with self._lock:
            reserved = sum(one.dollars for one in self._reserved)
            return dataclasses.replace(self._spent, reserved=reserved)

    def reserve(self, request: Request, price: Price) -> Reservation:
        """Set the most that this call can cost aside, and limit its answer to that.

        Raises OverCap; nothing is then reserved.
        """
        limits = (request.output, price.max_output, self.caps.output)
        output = min(limit for limit in limits if limit is not None)
        with self._lock:
            call = Reservation(
                request=request, price=price, prompt=self._prompt_bound(request), output=output
            )
            dollars = sum(one.dollars for one in self._reserved) + self._spent.dollars
            tokens = sum(one.tokens for one in self._reserved) + self._spent.tokens
            calls = len(self._reserved) + self._spent.calls
            if dollars + call.dollars > self.caps.dollars + ROUNDING:
                raise OverCap(
                    f"budget: this call could cost ${call.dollars:.4f}, and "
                    f"${max(self.caps.dollars - dollars, 0):.4f} of ${self.caps.dollars:g} are left"
                )
            if self.caps.tokens is not None and tokens + call.tokens > self.caps.tokens:
                raise OverCap(
                    f"budget: this call could use {call.tokens} tokens, and "
                    f"{max(self.caps.tokens - tokens, 0)} of {self.caps.tokens} are left"
                )
            if self.caps.calls is not None and calls >= self.caps.calls:
                raise OverCap(f"budget: all {self.caps.calls} calls are made")
            self._reserved.append(call)
        request.limit_output(output)
        return call

    def release(self, call: Reservation) -> Charge:
        """The call was not begun, and costs nothing; it still counts as a call."""
        return self._settle(call, Charge(dollars=0.0, tokens=0, known=True))

    def charge(self, call: Reservation, answer: Answer) -> Charge:
        """Charge what the answer told, and what it did not tell at its worst."""
        prompt, output = answer.prompt, answer.output
        usage = dataclasses.replace(
            prompt or Usage(), output=call.output if output is None else output
        )
        if prompt is None:
            dollars = call.price.worst(call.prompt, usage.output, hour=call.request.hour)
            tokens = call.prompt + usage.output
        else:
            dollars, tokens = call.price.cost(usage), usage.total
            with self._lock:
                known = self._known.setdefault(call.request.model, deque(maxlen=REMEMBERED))
                known.append((call.request.parts, prompt.prompt))
        told = prompt is not None and output is not None
        charge = Charge(dollars=dollars, tokens=tokens, known=told, usage=usage if told else None)
        return self._settle(call, charge)

    def _settle(self, call: Reservation, charge: Charge) -> Charge:
        with self._lock:
            self._reserved = [one for one in self._reserved if one is not call]
            self._spent = Spent(
                dollars=self._spent.dollars + charge.dollars,
                tokens=self._spent.tokens + charge.tokens,
                calls=self._spent.calls + 1,
                unknown=self._spent.unknown + (0.0 if charge.known else charge.dollars),
            )
        return charge

    def _prompt_bound(self, request: Request) -> int:
        """The most tokens of this prompt.

        A token is at least a byte. An agent's next prompt mostly repeats its last one, of which the
        provider told the true number; then only what is new counts by its bytes.
        """
        bounds = [sum(request.parts.values())]
        for seen, tokens in self._known.get(request.model, ()):
            new = (max(n - seen.get(part, 0), 0) for part, n in request.parts.items())
            bounds.append(tokens + sum(new))
        return min(bounds) + request.extra


class Share(Budget):
    """What a part of a run may spend of its budget: the caps of both hold, both are charged.

    refusal: what the last call that was not made would have exceeded; "" while there is none.
    """

    def __init__(self, whole: Budget, *, dollars: float, calls: int) -> None:
        super().__init__(Caps(dollars=dollars, calls=calls, output=whole.caps.output))
        self.refusal = ""
        self._whole = whole
        self._held: dict[int, Reservation] = {}  # of the whole, by the identity of one of ours
        # What is known of prompts is of use to all parts, so it has one lock.
        self._known, self._lock = whole._known, whole._lock

    def reserve(self, request: Request, price: Price) -> Reservation:
        """As of any budget; nothing is reserved where either refuses."""
        try:
            call = super().reserve(request, price)
            try:
                self._held[id(call)] = self._whole.reserve(request, price)
            except OverCap:
                with self._lock:
                    self._reserved = [one for one in self._reserved if one is not call]
                raise
        except OverCap as refusal:
            self.refusal = str(refusal)
            raise
        return call

    def _settle(self, call: Reservation, charge: Charge) -> Charge:
        self._whole._settle(self._held.pop(id(call)), charge)
        return super()._settle(call, charge)
