"""What the benchmark says, apart from how fast anything is."""

import dataclasses
import io
import json
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params
from rich.console import Console

from simlift.envs import Game, make, registry, state_bytes
from simlift.train import equality, machine, throughput, throughput_report, workloads
from simlift.train.throughput import BenchOptions
from simlift.train.turns import Peer, PeerCost, PeerFailed

from ..envs.toys import Duel, Nim

SMALL: dict[str, Any] = {"batches": (64,), "ppo_batches": (16,), "repeats": 2, "seconds": 0.001}


class CountingPeer:
    """Takes its time for every step, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int]] = []

    def __call__(self, num_envs: int, num_steps: int) -> None:
        self.calls.append((num_envs, num_steps))
        time.sleep(1e-5 * num_steps)


@pytest.fixture(scope="module")
def plays() -> CountingPeer:
    return CountingPeer()


@pytest.fixture(scope="module")
def result(plays: CountingPeer) -> dict[str, Any]:
    peers = [Peer(name="toy", run=plays, cores=cores, num_envs=7) for cores in (1, 2)]
    options = BenchOptions.quick(**SMALL, policies=("mlp",))
    return throughput.run(options, peers)


def rows(result: dict[str, Any], what: str) -> list[dict[str, Any]]:
    return [row for row in result["rows"] if row["what"] == what]


def test_result_survives_json_and_names_its_origin(result: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "results" / "pong.json"
    throughput.write(result, path)
    assert throughput_report.load(path) == json.loads(json.dumps(result))
    assert [p.name for p in path.parent.iterdir()] == ["pong.json"]
    assert result["machine"]["platform"] == jax.default_backend()
    assert result["versions"]["jax"] == jax.__version__


def test_every_kind_has_rows_with_their_cost(result: dict[str, Any]) -> None:
    env, params = make("PufferPong-v0")
    _, state = env.reset(jax.random.key(0), params)
    assert {row["what"] for row in result["rows"]} == set(throughput.KINDS)
    for row in result["rows"]:
        assert row["error"] is None
        assert row["repeats"] == 2
        assert 0 < row["min_steps_per_s"] <= row["steps_per_s"] <= row["max_steps_per_s"]
        assert row["compile_s"] > 0
        assert row["physics_steps_per_s"] == row["steps_per_s"]
        assert row["state_bytes"] == state_bytes(state)
        # Carry in, carry out or reused: no program fits into less than its states.
        assert row["peak_bytes"] >= row["batch"] * row["state_bytes"] / row["devices"]


@pytest.mark.skipif(not machine.can_pin(), reason="no way to hold a process on one core here")
def test_env_runs_on_one_core_against_one_and_on_all_against_all(
    result: dict[str, Any], plays: CountingPeer
) -> None:
    one, every = rows(result, "env")
    assert (one["devices"], one["cores"], one["peer_cores"]) == (1, 1, 1)
    assert (every["devices"], every["peer_cores"]) == (len(jax.devices()), 2)
    assert one["peer_batch"] == 7
    assert {num_envs for num_envs, _ in plays.calls} == {7}
    assert one["ratio"] > 0


def test_policies_are_counted_and_have_no_peer(result: dict[str, Any]) -> None:
    (rollout,), (ppo,) = rows(result, "rollout"), rows(result, "ppo")
    assert rollout["policy"] == ppo["policy"] == "mlp"
    assert rollout["num_params"] == ppo["num_params"] > 0
    assert rollout["peer"] is None


def refuse(num_envs: int, num_steps: int) -> None:
    raise PeerFailed("the toy is broken")


@pytest.mark.skipif(not machine.can_pin(), reason="no way to hold a process on one core here")
def test_peers_share_our_runs_and_one_that_fails_spoils_nothing() -> None:
    """Three peers on one core: a row each, ours timed once; the slow one is given up early."""
    used = PeerCost(processor_s=0.0, compile_s=3.0, peak_bytes=5)
    seconds = iter(range(100))
    peers = [
        Peer(name="broken", run=refuse, cores=1),
        Peer(name="slow", run=lambda *_: time.sleep(0.02), cores=1, num_envs=None),
        Peer(
            name="compiled",
            run=lambda *_: time.sleep(0.001),
            cores=1,
            cost=lambda: used._replace(processor_s=next(seconds)),
            about="version 7",
        ),
    ]
    changes = SMALL | {"what": ("env",), "repeats": 3, "peer_seconds": 0.01}
    result = throughput.run(BenchOptions.quick(**changes), peers)
    one = [row for row in result["rows"] if row["peer"]]
    broken, slow, compiled = one
    assert len({row["steps_per_s"] for row in one}) == 1 and broken["repeats"] == 3
    assert broken["peer_error"] == "the toy is broken" and broken["ratio"] is None
    assert slow["peer_repeats"] == 1 and slow["peer_batch"] == slow["batch"] == 64
    assert slow["peer_error"] is None and slow["peer_compile_s"] is None
    assert (compiled["peer_compile_s"], compiled["peer_peak_bytes"]) == (3.0, 5)
    assert compiled["per_core_ratio"] > 0
    assert result["peers"]["compiled"] == "version 7"
    text = throughput_report.markdown(result)
    assert "the toy is broken" in text and "- compiled: version 7" in text


def test_physics_steps_are_those_of_the_configuration() -> None:
    for name, kwargs, wanted in [
        ("PufferPong-v0", {"frameskip": 8}, 8),
        ("PufferPong-v0", {}, 1),
        ("CartPole-v1", {}, 1),
    ]:
        assert throughput.physics_steps(make(name, **kwargs)[0]) == wanted


def test_devices_agree(result: dict[str, Any]) -> None:
    (check,) = result["equality"]
    assert check["mismatches"] == 0 and check["step_difference"] == 0
    # Observation and state, and of every step the three outcomes too, of every environment.
    assert check["compared"] == 64 * (8 + 11) + 256 * 64 * (8 + 3 + 11)


def test_a_flipped_bit_is_a_mismatch() -> None:
    a = np.array([0.0, 1.0, np.nan], np.float32)
    b = np.array([-0.0, 1.0, np.nan], np.float32)
    assert equality._count_different(a, a.copy()) == 0
    assert equality._count_different(a, b) == 1


def test_devices_that_round_differently_are_compared_step_by_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each from the processor's states: both are the same here, so that a step from any other state
    would show, which is off by about 0.01."""
    env, params = make("CartPole-v1")
    monkeypatch.setattr(equality, "_count_different", lambda *_: 1)
    check = equality.compare_devices(env, params, num_envs=8, num_steps=64)
    assert check["mismatches"] > 0 and check["step_difference"] < 1e-5


def test_comparison_needs_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_backend(*_: Any) -> None:
        raise RuntimeError("Unknown backend cpu")

    env, params = make("PufferPong-v0")
    monkeypatch.setattr(jax, "devices", no_backend)
    with pytest.raises(ValueError, match=r"set JAX_PLATFORMS=\w+,cpu"):
        equality.compare_devices(env, params)


def test_out_of_memory_becomes_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_large(*_: Any) -> None:
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes\n")

    monkeypatch.setattr(throughput, "compile_work", too_large)
    result = throughput.run(BenchOptions.quick(**SMALL, what=("rollout",), policies=("mlp",)))
    (row,) = result["rows"]
    assert row["steps_per_s"] is None
    assert "Out of memory allocating 9 bytes" in row["error"]
    assert row["error"] in throughput_report.markdown(result)


def test_other_failures_of_the_device_are_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")

    monkeypatch.setattr(throughput, "compile_work", broken)
    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"):
        throughput.run(BenchOptions.quick(**SMALL, what=("env",)))


def test_progress_counts_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        throughput, "_measure", lambda case, *_: [throughput.Row(**_row(what=case.what))]
    )
    seen: list[tuple[int, int]] = []
    options = BenchOptions.quick(**SMALL, what=("rollout",), policies=("mlp", "gru"))
    result = throughput.run(options, progress=lambda done, total, _: seen.append((done, total)))
    assert seen == [(n, 2) for n in range(3)]
    assert len(result["rows"]) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"what": ("env", "training")}, "what=.*choose one or more of"),
        ({"what": ()}, "what="),
        ({"policies": ("transformer",)}, "policies="),
        ({"batches": (0,)}, "batches=.*integers of at least 1"),
        ({"ppo_batches": (1.5,)}, "ppo_batches="),
        ({"repeats": 0}, "repeats=0 must be above 0"),
        ({"seconds": -1.0}, "seconds="),
        ({"peer_seconds": 0.0}, "peer_seconds="),
    ],
)
def test_bad_options_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BenchOptions(**changes)


def test_a_game_is_measured_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_FACTORIES", {"Duel-v0": Duel})
    options = BenchOptions.quick(**SMALL, env="Duel-v0", what=("env", "ppo"))
    with pytest.raises(ValueError, match=r"Duel-v0 is a game, .*choose of \['dynamics', 'env'\]"):
        throughput.run(options)
    options = dataclasses.replace(options, what=("env",))
    peers = [Peer(name="toy", run=CountingPeer(), cores=n, beside_all=True) for n in (1, 2)]
    result = throughput.run(options, peers)
    for row in result["rows"]:
        assert row["decisions_per_s"] == 2 * row["steps_per_s"]
    assert [row["peer_cores"] for row in result["rows"] if row["devices"] > 1] == [1, 2]
    (check,) = result["equality"]
    assert check["mismatches"] == 0 and check["compared"] > 0
    assert "decisions/s" in throughput_report.markdown(result)


def test_unshareable_batch_and_unknown_environment_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be shared evenly"):
        throughput.run(BenchOptions(what=("env",), batches=(len(jax.devices()) + 1,)))
    with pytest.raises(ValueError, match="unknown environment"):
        throughput.run(BenchOptions(env="Pong-v99"))


# -- the programs ----------------------------------------------------------------------------------


def test_choose_legal_is_uniform_over_the_legal_actions() -> None:
    legal = jnp.array([False, True, False, True, True])
    uniform = jnp.arange(3000, dtype=jnp.float32) / 3000
    action = jax.vmap(workloads.choose_legal, (0, None))(uniform, legal)
    assert np.bincount(action, minlength=5).tolist() == [0, 1000, 0, 1000, 1000]
    largest = jnp.nextafter(jnp.float32(1), jnp.float32(0))
    assert workloads.choose_legal(largest, legal) == 4


def test_the_loop_plays_as_the_environment_does() -> None:
    """Two devices, each on its share: the scores go up, and the checksum has read everything."""
    env, params = make("PufferPong-v0", frameskip=8)
    work = workloads.env_work(env, params, num_envs=32, length=64)
    devices = jax.devices()
    program = workloads.compile_work(work, devices, jax.random.key(0))
    carry = program.call(program.carry)
    _, state, observation, _, checksum, _ = carry
    assert program.steps == 32 * 64 * len(devices)
    assert observation.shape == (len(devices), 32, 8)
    assert (state.score_l + state.score_r).max() > 0
    assert (checksum != 0).all()
    seen = jax.vmap(jax.vmap(env.observe, (0, None)), (0, None))(state, params)
    np.testing.assert_array_equal(observation, seen)
    assert workloads.answers_per_step(carry) is None


@pytest.mark.parametrize(("game", "answers"), [(Duel(), 2), (Nim(), 1)], ids=["Duel", "Nim"])
def test_answers_are_of_those_who_are_asked(game: Game, answers: int) -> None:
    work = workloads.env_work(game, game.default_params, num_envs=4, length=8)
    program = workloads.compile_work(work, jax.devices(), jax.random.key(0))
    carry = program.call(program.call(program.carry))
    assert workloads.answers_per_step(carry) == answers


def test_random_actions_of_a_game_are_legal_and_each_players_own() -> None:
    game = Nim()
    params = game.default_params
    _, states = jax.vmap(game.reset, (0, None))(jax.random.split(jax.random.key(0), 64), params)
    states = states.replace(heap=jnp.full(64, 2), turn=jnp.full(64, 1))  # nobody can take 3
    actions = workloads.random_actions(jax.random.key(1), game, states, params, 64)
    assert actions.shape == (64, 2)
    assert set(np.unique(actions[:, 1])) == {0, 1} and set(np.unique(actions[:, 0])) == {0, 1, 2}


def test_compile_time_is_never_a_cache_hit(tmp_path: Path) -> None:
    def files() -> int:
        return len(list(tmp_path.iterdir()))

    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    workloads.reset_cache()
    try:
        with workloads._no_compilation_cache():
            jax.jit(lambda x: x * 17).lower(1.0).compile()
            assert files() == 0
        jax.jit(lambda x: x * 19).lower(1.0).compile()
        assert files() > 0
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
        workloads.reset_cache()


@pytest.mark.parametrize("frameskip", [1, 8])
@pytest.mark.parametrize("continuous", [False, True])
def test_pong_steps_without_scatter_or_gather(frameskip: int, continuous: bool) -> None:
    env, params = make("PufferPong-v0", frameskip=frameskip, continuous=continuous)
    work = workloads.env_work(env, params, num_envs=4, length=2)
    carry = jax.eval_shape(work.init, jax.random.key(0))
    names = primitives(jax.make_jaxpr(work.loop)(carry).jaxpr)
    assert "select_n" in names  # it has looked inside
    assert not {name for name in names if "scatter" in name or "gather" in name}


def primitives(jaxpr: Any) -> set[str]:
    """Names of all primitives, those of inner programs included."""
    names = set()
    for equation in jaxpr.eqns:
        names.add(equation.primitive.name)
        for inner in jaxprs_in_params(equation.params):
            names |= primitives(inner)
    return names


# -- the machine -----------------------------------------------------------------------------------


@pytest.mark.skipif(not machine.can_pin(), reason="no way to hold a process on one core here")
def test_pinning_is_undone() -> None:
    before = machine.available_cores()
    with pytest.raises(KeyError), machine.pinned_to_one_core():
        assert machine.available_cores() == 1
        raise KeyError
    assert machine.available_cores() == before


def test_commit_is_none_outside_a_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "PACKAGE", tmp_path)
    assert machine.commit() is None


# -- the tables ------------------------------------------------------------------------------------


def _row(**changes: Any) -> dict[str, Any]:
    row = throughput.Row(
        **{"env": "Toy-v0", "what": "env", "variant": {}, "frameskip": 1, "batch": 8},
        **{"policy": "random legal", "devices": 1, "cores": 1, "repeats": 5},
        **{"steps_per_s": 2e6, "min_steps_per_s": 1e6, "max_steps_per_s": 3e6},
        **{"compile_s": 1.0, "peak_bytes": 4096, "state_bytes": 37},
    )
    return dataclasses.asdict(dataclasses.replace(row, **changes))


def _result(*rows: dict[str, Any]) -> dict[str, Any]:
    return {
        "machine": {"device": "Abacus", "num_devices": 1, "cores": 2},
        "versions": {"jax": "0.10.2", "python": "3.11.7"},
        "commit": None,
        "date": "2026-01-01T00:00:00+00:00",
        "equality": [
            {"devices": ["cpu:0", "gpu:0"], "compared": 9, "mismatches": 2, "step_difference": 0.25}
        ],
        "rows": list(rows),
    }


PEER: dict[str, Any] = {"peer": "toy.h", "peer_cores": 1, "peer_batch": 8}
PEER |= {"peer_steps_per_s": 4e6, "ratio": 0.5}


def test_markdown_has_one_line_a_row_and_says_where_it_is_from() -> None:
    text = throughput_report.markdown(_result(_row(**PEER), _row(batch=16, error="out of memory")))
    head, rule, first, second, _, origin = text.splitlines()
    assert len({line.count("|") for line in (head, rule, first, second)}) == 1
    assert "| 2 M | 2 M | 1 M – 3 M | toy.h, 1 core | 8 | 4 M | 0.50 |" in first
    assert "out of memory" in second
    differs = "2 of 9 numbers differ, an observation after one step by 0.25 at most"
    assert f"cpu:0 against gpu:0: {differs}" in origin


def test_both_kinds_of_step_are_named() -> None:
    head, _, first, *_ = throughput_report.markdown(_result(_row(frameskip=5))).splitlines()
    cells = dict(zip(head.split(" | "), first.split(" | "), strict=True))
    assert (cells["env steps/s"], cells["physics steps/s"]) == ("2 M", "10 M")


def test_a_variant_is_told_but_for_its_frameskip() -> None:
    variant = {"frameskip": 5, "kernel": "jnp"}
    head, _, first, *_ = throughput_report.markdown(_result(_row(variant=variant))).splitlines()
    assert dict(zip(head.split(" | "), first.split(" | "), strict=True))["variant"] == "kernel=jnp"


def test_columns_without_an_entry_are_left_out() -> None:
    def columns(*rows: dict[str, Any]) -> list[str]:
        return throughput_report.markdown(_result(*rows)).splitlines()[0].strip("| ").split(" | ")

    assert not any("peer" in name or "ratio" in name for name in columns(_row()))
    on_device = _row(**PEER | {"peer_cores": None}, peer_compile_s=2.0, cores=None)
    assert "peer compile s" in columns(_row(), on_device)
    assert "ratio per core" not in columns(_row(), on_device)
    assert "toy.h, 1 device" in throughput_report.markdown(_result(on_device))


def test_readme_shows_the_best_batch_of_each_program(tmp_path: Path) -> None:
    slow, fast = _row(batch=8), _row(batch=16, steps_per_s=5e6, max_steps_per_s=6e6)
    throughput.write(_result(slow, fast, _row(what="ppo")), tmp_path / "a.json")
    text = throughput_report.readme_table(tmp_path)
    assert text.startswith("### Toy-v0 on Abacus\n")
    lines = [line for line in text.splitlines() if line.startswith(("| env", "| ppo"))]
    assert [line.split(" | ")[3] for line in lines] == ["16", "8"]


def test_terminal_table_holds_the_same_cells() -> None:
    console = Console(width=250, record=True, file=io.StringIO())
    console.print(throughput_report.table(_result(_row(**PEER))))
    assert "toy.h, 1 core" in console.export_text()


@pytest.mark.parametrize(
    ("value", "text"),
    [(12_345_678, "12.3 M"), (999_600, "1 M"), (999, "999"), (2.5e9, "2.5 G"), (123_456, "123 k")],
)
def test_si(value: float, text: str) -> None:
    assert throughput_report.si(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0312, "0.03"), (9.99, "9.99"), (9.999, "10"), (1234.5, "1234")]
)
def test_ratio(value: float, text: str) -> None:
    assert throughput_report.ratio(value) == text


@pytest.mark.parametrize("content", ["{", "[]", '{"rows": []}'])
def test_a_file_that_is_no_result_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"x\.json .*`simlift bench`"):
        throughput_report.load(path)


def test_no_results_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no results"):
        throughput_report.readme_table(tmp_path)


def test_failed_write_leaves_the_old_result(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    throughput.write(_result(), path)
    before = path.read_text()
    with pytest.raises(TypeError):
        throughput.write({"machine": object()}, path)
    assert path.read_text() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
