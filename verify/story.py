"""A divergence as a story: what differs, where to look, and how to see it again."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..envs.files import write_atomically
from .compare import Comparison
from .record import Recording
from .suite import Suite
from .tape import Player, Tape, save

TEST = '''"""Found by simlift verify {suite}: {field} differed ({level}, {policy}, seed {seed})."""

from pathlib import Path

from simlift.verify.runner import replay


def test_divergence_{identity}():
    assert replay(Path(__file__).with_name("{file}"))["mismatches"] == 0
'''


@dataclasses.dataclass(frozen=True, kw_only=True)
class Story:
    """One divergence. Values are as numpy prints them; `differences` is field -> (theirs, ours)."""

    level: str
    variant: str
    policy: str
    seed: int
    instance: int
    step: int  # since the reset
    field: str
    module: str
    differences: Mapping[str, tuple[str, str]]
    draws: list[dict[str, Any]]
    actions: list[Any]  # as numbers, or lists of them
    tape: str
    command: str
    test: str
    transitions: int
    by_field: Mapping[str, int]

    def text(self) -> str:
        """At most 60 lines for a terminal or a prompt."""
        theirs, ours = self.differences[self.field]
        lines = [
            f"{self.level} {self.variant!r}, policy {self.policy}, seed {self.seed}, "
            f"instance {self.instance}, step {self.step}:",
            f"  {self.field}: the reference has {theirs}, we have {ours}",
            f"  written by: {self.module or 'unknown'}",
            f"  {self.transitions} transitions of this run differ, by field: "
            + ", ".join(f"{name} {count}" for name, count in self.by_field.items()),
        ]
        others = [name for name in self.differences if name != self.field]
        for name in others[:20]:
            lines.append(
                f"  also {name}: {self.differences[name][0]} / {self.differences[name][1]}"
            )
        if len(others) > 20:
            lines.append(f"  and {len(others) - 20} fields more")
        consumed = ", ".join(f"{d['site']}={d['value']} of {d['bound']}" for d in self.draws)
        lines += [
            f"  draws the reference consumed: {consumed or 'none'}",
            f"  shrunk to {len(self.actions)} action(s): {self.actions}",
            f"  see it again: {self.command}",
            f"  kept as: {self.test}",
        ]
        return "\n".join(lines)


def tell(
    suite: Suite,
    player: Player,
    recording: Recording,
    bank: Path,
    *,
    level: str,
    policy: str,
    seed: int,
    steps_before: int,
    step: int,
    instance: int,
    transitions: int,
    by_field: Mapping[str, int],
) -> Story:
    """Shrink the difference at (step, instance) of `recording`, keep it in `bank`, and tell it."""
    variant = player.variant
    past = recording.instance(instance, 0, step + 1)

    def start_at(length: int) -> dict[str, np.ndarray]:
        return {name: value[step + 1 - length] for name, value in past.snapshots.items()}

    shrunk = player.shrink(start_at, past.action[:, 0])
    if shrunk is None:
        # It needs what came before this recording: keep the whole of it, from the reference's
        # state.
        shrunk = start_at(step + 1), past.action[:, 0]
    start, actions = shrunk
    replayed, difference = player.play(start, actions[:, None])
    last = difference.first()[0] if difference.count else len(actions) - 1
    differing = _differing(player.comparison, replayed, last)
    if not differing:  # only the original context shows it
        differing = {"(needs its whole history)": ("-", "-")}
    field = next(iter(differing))
    table = player.comparison.fields
    tape = Tape(
        suite=suite.name,
        variant=variant,
        start={name: value[0] for name, value in start.items()},
        actions=actions,
        found={
            "level": level,
            "policy": policy,
            "seed": seed,
            "step": steps_before + step,
            "field": field,
            "by_field": dict(by_field),
        },
    )
    path = bank / suite.name / f"{tape.identity}.json"
    test = path.with_name(f"test_{tape.identity}.py")
    save(tape, path)
    write_atomically(
        test,
        TEST.format(identity=tape.identity, file=path.name, suite=suite.name, **tape.found),
    )
    return Story(
        level=level,
        variant=variant.name,
        policy=policy,
        seed=seed,
        instance=instance,
        step=steps_before + step,
        field=field,
        module=table[field].module if field in table else "",
        differences=differing,
        draws=_draws(player, replayed, last),
        actions=actions.tolist(),
        tape=str(path),
        command=f"simlift replay {path}",
        test=str(test),
        transitions=transitions,
        by_field=dict(by_field),
    )


def _differing(
    comparison: Comparison, recording: Recording, last: int
) -> dict[str, tuple[str, str]]:
    """Fields that differ after step `last` of a recording with B = 1, our side running free."""
    trace = comparison.trace(comparison.synchronised(recording), recording)
    return {
        name: (_show(trace.reference[name][last, 0]), _show(trace.ours[name][last, 0]))
        for name, differs in trace.differs.items()
        if differs[last, 0]
    }


def _show(value: np.ndarray) -> str:
    """With all digits that tell two float32 apart."""
    return np.array2string(value, floatmode="unique", separator=" ", max_line_width=10_000)


def _draws(player: Player, recording: Recording, step: int) -> list[dict[str, Any]]:
    reference = player.reference(1)
    log = recording.draws
    return [
        {
            "site": reference.draw_sites[log.site[step, 0, i]],
            "bound": int(reference.draw_bounds[log.site[step, 0, i]]),
            "value": int(log.value[step, 0, i]),
        }
        for i in range(log.count[step, 0])
    ]
