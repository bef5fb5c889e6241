"""The line protocol: a simulator in JavaScript, and misbehaving programs in Python."""

import gc
import os
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from simlift.references.core import (
    Draw,
    Outcome,
    Reference,
    ReferenceUnavailable,
    Snapshot,
    SnapshotRefused,
    TapeError,
)
from simlift.references.process import ProcessFailed, ProcessReference, decode, encode

TOY = Path(__file__).parent / "toy"
README = Path(__file__).parents[2] / "references" / "README.md"
GAMBLER = ["node", str(TOY / "gambler.mjs")]

needs_node = pytest.mark.node


@pytest.fixture
def gambler() -> Iterator[ProcessReference]:
    with ProcessReference(GAMBLER) as reference:
        yield reference


def play(reference: Reference, steps: int, seed: int = 0) -> list[tuple[Outcome, list[Draw]]]:
    """Random legal actions from here on, until an episode ends or for so many steps."""
    generator = np.random.default_rng(seed)
    legal, trajectory = None, []
    for _ in range(steps):
        action = 0 if legal is None else int(generator.choice(np.flatnonzero(legal)))
        outcome = reference.step(action)
        trajectory.append((outcome, reference.draws()))
        if outcome.terminated or outcome.truncated:
            break
        legal = outcome.legal
    return trajectory


def assert_same(left: list[tuple[Outcome, list[Draw]]], right: list) -> None:
    assert len(left) == len(right)
    for (outcome, draws), (other, other_draws) in zip(left, right, strict=True):
        assert draws == other_draws
        for name in ("observation", "reward", "terminated", "truncated", "legal"):
            np.testing.assert_array_equal(getattr(outcome, name), getattr(other, name))


def assert_same_snapshot(left: Snapshot, right: Snapshot) -> None:
    assert left.keys() == right.keys()
    for name, field in left.items():
        assert field.dtype == right[name].dtype
        np.testing.assert_array_equal(field, right[name])


# -- the toy simulator ----------------------------------------------------------------------------


@needs_node
def test_hello_tells_what_the_program_is(gambler: ProcessReference) -> None:
    assert (gambler.name, gambler.version) == ("gambler", "1.0.0")
    assert gambler.hello.observation_shape == (3,)
    assert gambler.hello.num_actions == 4
    assert gambler.draw_sites == ("purse", "toss", "payout")
    assert gambler.draw_bounds == (5, 100, 3)
    assert not gambler.auto_reset


@needs_node
def test_outcomes_have_the_announced_shapes_and_dtypes(gambler: ProcessReference) -> None:
    gambler.reset(1)
    outcome = gambler.step(1)
    assert outcome.observation.shape == (3,) and outcome.observation.dtype == np.float32
    assert outcome.reward.shape == () and outcome.reward.dtype == np.float32
    assert outcome.terminated.dtype == outcome.truncated.dtype == bool
    assert outcome.legal is not None
    assert outcome.legal.shape == (4,) and outcome.legal.dtype == bool


@needs_node
def test_same_seed_gives_the_same_episode_and_another_seed_another(
    gambler: ProcessReference,
) -> None:
    gambler.reset(5)
    first = play(gambler, 40)
    gambler.reset(5)
    assert_same(first, play(gambler, 40))
    gambler.reset(6)
    assert [draws for _, draws in play(gambler, 40)] != [draws for _, draws in first]


@needs_node
def test_restored_snapshot_continues_as_the_original(gambler: ProcessReference) -> None:
    gambler.reset(2**53 - 1)
    gambler.step(1)
    snapshot = gambler.snapshot()
    future = play(gambler, 40)
    gambler.restore(snapshot)
    assert_same_snapshot(gambler.snapshot(), snapshot)
    assert_same(play(gambler, 40), future)


@needs_node
def test_64_bit_fields_survive_javascript(gambler: ProcessReference) -> None:
    gambler.reset(0)
    snapshot = dict(gambler.snapshot())
    snapshot["fingerprint"] = np.array(2**64 - 1, np.uint64)
    snapshot["luck"] = np.array(np.nextafter(1 / 3, 1))
    gambler.restore(snapshot)
    assert_same_snapshot(gambler.snapshot(), snapshot)


@needs_node
def test_snapshot_with_wrong_fields_or_dtypes_is_an_error(gambler: ProcessReference) -> None:
    gambler.reset(0)
    snapshot = dict(gambler.snapshot())
    with pytest.raises(ValueError, match=r"missing or unknown: \['debt'\]"):
        gambler.restore({**snapshot, "debt": np.array(1)})
    with pytest.raises(ValueError, match="field purse is float64, expected int32"):
        gambler.restore({**snapshot, "purse": np.array(1.0)})
    assert_same_snapshot(gambler.snapshot(), snapshot)


@needs_node
def test_logged_draws_forced_on_another_seed_give_the_same_episode(
    gambler: ProcessReference,
) -> None:
    start = gambler.reset(11)
    start_draws = gambler.draws()
    first = play(gambler, 40)
    assert {d.site for _, draws in first for d in draws} == {"toss", "payout"}

    gambler.force(start_draws)
    np.testing.assert_array_equal(gambler.reset(12).observation, start.observation)
    generator = gambler.snapshot()["generator"]
    assert generator == 12, "a forced draw leaves the generator alone"
    snapshot = gambler.snapshot()
    actions = np.random.default_rng(0)
    legal = None
    for outcome, draws in first:
        action = 0 if legal is None else int(actions.choice(np.flatnonzero(legal)))
        gambler.force(draws)
        assert_same([(gambler.step(action), gambler.draws())], [(outcome, draws)])
        legal = outcome.legal
    assert gambler.snapshot()["generator"] == snapshot["generator"]


@needs_node
@pytest.mark.parametrize(
    ("tape", "complaint"),
    [
        ([], "site 'toss': the tape ends"),
        ([Draw(site="purse", bound=5, value=0)], "site 'toss': wants a draw below 100"),
        ([Draw(site="toss", bound=100, value=0)], "site 'payout': the tape ends"),
        (
            [Draw(site="toss", bound=100, value=99), Draw(site="payout", bound=1, value=0)],
            "draw 1 at site 'payout' was not consumed",
        ),
    ],
)
def test_tape_that_is_not_consumed_exactly_names_the_site(
    gambler: ProcessReference, tape: list[Draw], complaint: str
) -> None:
    gambler.reset(0)
    snapshot = gambler.snapshot()
    gambler.force(tape)
    with pytest.raises(TapeError, match=re.escape(complaint)):
        gambler.step(1)
    gambler.restore(snapshot)
    assert gambler.step(1).reward in (-1, 1), "the tape is spent"


@needs_node
def test_illegal_action_is_refused_and_changes_nothing(gambler: ProcessReference) -> None:
    gambler.force([Draw(site="purse", bound=5, value=0)])
    gambler.reset(0)
    gambler.force([Draw(site="toss", bound=100, value=99)])
    gambler.step(2)
    before = gambler.snapshot()
    with pytest.raises(ValueError, match="cannot stake 3 of 1"):
        gambler.step(3)
    assert_same_snapshot(gambler.snapshot(), before)


@needs_node
@pytest.mark.parametrize(
    ("action", "complaint"),
    [
        (4, "outside 0 .. 3"),
        (-1, "outside 0 .. 3"),
        (1.0, "expected integers"),
        (True, "expected integers"),
        ([1], r"shape \(1,\), expected \(\)"),
    ],
)
def test_action_of_wrong_range_dtype_or_shape(
    gambler: ProcessReference, action: object, complaint: str
) -> None:
    gambler.reset(0)
    with pytest.raises(ValueError, match=complaint):
        gambler.step(action)
    gambler.step(0)


@needs_node
def test_seed_outside_javascripts_integers_is_an_error(gambler: ProcessReference) -> None:
    with pytest.raises(ValueError, match="outside 0"):
        gambler.reset(2**53)


@needs_node
def test_crash_in_javascript_shows_its_message_without_the_stack(tmp_path: Path) -> None:
    source = (TOY / "gambler.mjs").read_text().replace("this.round += 1;", "this.wallet.pop();")
    (tmp_path / "gambler.mjs").write_text(source)
    (tmp_path / "protocol.mjs").write_text((TOY / "protocol.mjs").read_text())
    with ProcessReference(["node", "gambler.mjs"], cwd=tmp_path) as reference:
        reference.reset(0)
        with pytest.raises(ProcessFailed, match="on 'step' exited with status 1") as raised:
            reference.step(0)
    assert "TypeError: Cannot read properties of undefined" in str(raised.value)
    assert "    at " not in str(raised.value) and "\n" not in str(raised.value)


def test_readme_shows_the_protocol_file_as_it_is() -> None:
    assert f"```js\n{(TOY / 'protocol.mjs').read_text()}```" in README.read_text()


# -- programs that misbehave ----------------------------------------------------------------------

CHILD = """
import json, os, sys, time
ABOUT = {"protocol": 1, "name": "child", "version": "1", "draw_sites": {"die": 6},
         "observation": {"shape": [1], "dtype": "float32"}, "action": {"n": 2}}
OUTCOME = {"observation": [0.0]}
def hello(request): return ABOUT
def reset(request): return OUTCOME
def step(request): return OUTCOME
@@BODY@@
for line in sys.stdin:
    request = json.loads(line)
    answer = {"id": request["id"], **globals()[request["verb"]](request)}
    print(json.dumps(answer), flush=True)
"""


def child(body: str = "") -> ProcessReference:
    """A small program with some of its parts replaced by `body`."""
    program = CHILD.replace("@@BODY@@", textwrap.dedent(body))
    return ProcessReference([sys.executable, "-c", program])


def alive(pid: int) -> bool:
    """Whether such a process exists, be it a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def pid_of(reference: ProcessReference) -> int:
    assert reference._child is not None
    return reference._child._process.pid


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (
            "def step(request): print('loading level 3', flush=True); return OUTCOME",
            "not a JSON object: 'loading level 3'; log to standard error",
        ),
        ("def step(request): print('[1]', flush=True); return OUTCOME", "not a JSON object: '[1]'"),
        ("def step(request): return {**OUTCOME, 'id': 99}", "answered id 99, expected 3"),
        ("def step(request): raise KeyError('shield')", "exited with status 1"),
        ("def step(request): os.kill(os.getpid(), 9)", "was ended by SIGKILL"),
        ("def step(request): os.close(1); time.sleep(60)", "closed its standard"),
        ("def step(request): return {}", "(no 'observation')"),
        ("def step(request): return {'observation': [0, 0]}", "shape (2,), announced (1,)"),
        ("def step(request): return {'observation': [None]}", "null is not a number"),
        ("def step(request): return {**OUTCOME, 'legal': [True]}", "legal of shape (1,)"),
        ("def step(request): return {**OUTCOME, 'draws': [['coin', 2, 0]]}", "(no 'coin')"),
        ("def step(request): return {**OUTCOME, 'draws': [['die', 6, 6]]}", "value < bound <= 6"),
        ("def step(request): return {'error': {'kind': 'luck', 'message': 'no'}}", "kind 'luck'"),
    ],
)
def test_program_that_breaks_off_or_breaks_the_protocol(body: str, complaint: str) -> None:
    reference = child(body)
    reference.reset(0)
    pid = pid_of(reference)
    with pytest.raises(ProcessFailed, match=re.escape(complaint)) as raised:
        reference.step(0)
    message = str(raised.value)
    assert "\n" not in message
    assert message.startswith(sys.executable) and "on 'step'" in message
    assert not alive(pid)
    with pytest.raises(ProcessFailed, match="is closed; make a new"):
        reference.step(0)


def test_last_words_on_stderr_are_shown() -> None:
    reference = child("def step(request): raise ValueError('the boat is full')")
    reference.reset(0)
    with pytest.raises(ProcessFailed, match="ValueError: the boat is full"):
        reference.step(0)


def test_hung_program_is_ended_after_the_timeout() -> None:
    reference = child("def step(request): time.sleep(60)")
    reference.reset(0)
    pid = pid_of(reference)
    reference.timeout = 1.0
    with pytest.raises(ProcessFailed, match="no answer within 1 s; raise timeout="):
        reference.step(0)
    assert not alive(pid)


def test_program_that_trickles_without_end_is_ended_after_the_timeout() -> None:
    body = """
        def step(request):
            while True:
                print("x", end="", flush=True)
    """
    reference = child(body)
    reference.reset(0)
    reference.timeout = 1.0
    with pytest.raises(ProcessFailed, match="no answer within 1 s"):
        reference.step(0)


def test_program_that_does_not_read_cannot_block_us() -> None:
    body = """
        ABOUT["snapshot_fields"] = {"memory": "uint8"}
        def reset(request):
            print(json.dumps({"id": request["id"], **OUTCOME}), flush=True)
            time.sleep(60)
    """
    reference = child(body)
    reference.reset(0)
    reference.timeout = 1.0
    with pytest.raises(ProcessFailed, match="on 'restore' gave no answer within 1 s"):
        reference.restore({"memory": np.zeros(2**18, np.uint8)})


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("ABOUT['protocol'] = 2", "protocol 2, we speak 1"),
        ("del ABOUT['name']", "(no 'name')"),
        ("ABOUT['observation']['dtype'] = 'float33'", "data type 'float33' not understood"),
        ("ABOUT['observation']['dtype'] = 'object'", "object is not a dtype of numbers"),
        ("sys.exit('needs a licence')", "stderr: needs a licence"),
    ],
)
def test_bad_hello_is_an_error_at_once(body: str, complaint: str) -> None:
    with pytest.raises(ProcessFailed, match=re.escape(complaint)):
        child(body)


def test_missing_program_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ReferenceUnavailable, match=r"No such file.*no-such-program.*install Node"):
        ProcessReference(["no-such-program", "x"], remedy="install Node 20 or newer")
    (tmp_path / "data").write_text("")
    with pytest.raises(ReferenceUnavailable, match="Permission denied"):
        ProcessReference([tmp_path / "data"])
    with pytest.raises(ReferenceUnavailable, match=r"No such file.*missing-folder"):
        ProcessReference([sys.executable], cwd=tmp_path / "missing-folder")


def test_command_as_one_string_is_an_error() -> None:
    with pytest.raises(ValueError, match="list of words"):
        ProcessReference("node simulator.mjs")


def test_program_without_forcing_or_snapshots_says_so() -> None:
    with child() as reference:
        reference.reset(0)
        with pytest.raises(TapeError, match="from its own generator only"):
            reference.force([])
        with pytest.raises(SnapshotRefused, match="cannot be saved"):
            reference.snapshot()
        with pytest.raises(SnapshotRefused, match="cannot be restored"):
            reference.restore({})
        reference.step(0)


def test_program_that_ignores_the_tape_is_found_out() -> None:
    body = """
        ABOUT["forcing"] = True
        def step(request): return {**OUTCOME, "draws": [["die", 6, 3], ["die", 6, 1]]}
    """
    with child(body) as reference:
        reference.force([Draw(site="die", bound=6, value=2), Draw(site="die", bound=6, value=1)])
        with pytest.raises(TapeError, match=r"draw 0 is Draw\(site='die', bound=6, value=2\)"):
            reference.step(0)
        reference.force([Draw(site="die", bound=6, value=3)])
        with pytest.raises(TapeError, match="draw 1 at site 'die' was drawn past the end"):
            reference.step(0)


def test_real_actions_of_several_players() -> None:
    body = """
        ABOUT["action"] = {"shape": [2]}
        def step(request): return {"observation": [sum(request["action"])]}
    """
    with child(body) as reference:
        assert reference.step(np.array([0.5, 0.25])).observation == 0.75
        with pytest.raises(ValueError, match="finite"):
            reference.step(np.array([0.5, np.nan]))


def test_chatty_program_never_blocks_on_stderr() -> None:
    with child(
        "def step(request): sys.stderr.write('log\\n' * 2**18); return OUTCOME"
    ) as reference:
        for _ in range(3):
            reference.step(0)


def test_large_answers_arrive_whole() -> None:
    body = "ABOUT['observation']['shape'] = [2**17]; OUTCOME = {'observation': [1.5] * 2**17}"
    with child(body) as reference:
        assert reference.reset(0).observation.sum() == 1.5 * 2**17


def test_halves_of_a_call_are_kept_in_order() -> None:
    with child() as reference:
        with pytest.raises(RuntimeError, match="nothing was sent"):
            reference.receive()
        reference.send("reset", 0)
        with pytest.raises(RuntimeError, match="receive the answer to 'reset'"):
            reference.send("step", 0)
        assert reference.receive().observation == 0


# -- no process is left behind --------------------------------------------------------------------


def test_close_ends_the_program_and_may_be_called_twice() -> None:
    reference = child()
    pid = pid_of(reference)
    reference.close()
    assert not alive(pid)
    reference.close()


def test_program_that_ignores_sigterm_is_killed_with_what_it_started() -> None:
    body = """
        import signal, subprocess
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        helper = subprocess.Popen(["sleep", "60"], stdin=subprocess.DEVNULL)
        def reset(request): return {"observation": [helper.pid]}
        def step(request): time.sleep(60)
    """
    reference = child(body)
    pid, helper = pid_of(reference), int(reference.reset(0).observation[0])
    reference.timeout = 0.5
    with pytest.raises(ProcessFailed, match="no answer"):
        reference.step(0)
    assert not alive(pid)
    deadline = time.monotonic() + 10
    while Path(f"/proc/{helper}/cmdline").exists() and alive(helper):
        state = Path(f"/proc/{helper}/stat").read_text().split()[2]
        if state == "Z":  # whoever adopted it has yet to notice
            break
        assert time.monotonic() < deadline, "the helper survived"
        time.sleep(0.01)


def test_forgotten_reference_ends_its_program() -> None:
    reference = child()
    pid = pid_of(reference)
    del reference
    gc.collect()
    assert not alive(pid)


def test_interpreter_that_exits_ends_its_program() -> None:
    program = f"""
        from simlift.references.process import ProcessReference
        reference = ProcessReference({[sys.executable, "-c", CHILD.replace("@@BODY@@", "")]!r})
        print(reference._child._process.pid)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True
    )
    assert not alive(int(done.stdout)) and done.stderr == ""


# -- values on the wire ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "array",
    [
        np.array([[2**64 - 1, 0]], np.uint64),
        np.array(-(2**63), np.int64),
        np.array([np.nan, np.inf, -np.inf, -0.0, 0.1], np.float64),
        np.array([np.inf, 1 / 3], np.float32),
        np.array([True, False]),
        np.array([[255], [0]], np.uint8),
        np.zeros((3, 0), np.int32),
    ],
    ids=lambda array: f"{array.dtype}{list(array.shape)}",
)
def test_values_survive_the_wire(array: np.ndarray) -> None:
    decoded = decode(encode(array), array.dtype)
    assert decoded.dtype == array.dtype and decoded.shape == array.shape
    np.testing.assert_array_equal(decoded, array)
    if array.dtype.kind == "f":
        np.testing.assert_array_equal(np.signbit(decoded), np.signbit(array))


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (1.5, "int32"),
        (2**31, "int32"),
        (-1, "uint8"),
        ("1.5", "int64"),
        (1, "bool"),
        (True, "int32"),
        ([None], "float32"),
        ([[1], [1, 2]], "int32"),
        ("many", "float64"),
    ],
)
def test_value_that_does_not_fit_its_dtype_is_an_error(value: object, dtype: str) -> None:
    with pytest.raises(ValueError):
        decode(value, np.dtype(dtype))
