"""Who is timed beside an environment, and what is said of who cannot be."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest

from simlift.envs import make
from simlift.peers import BENCHMARKS, Benchmark, find_benchmark, find_peers
from simlift.references.core import ReferenceUnavailable
from simlift.train import throughput
from simlift.train.machine import available_cores
from simlift.train.turns import Peer


def here(variants: Sequence[Any], accelerator: bool) -> list[Peer]:
    return [Peer(name="toy", run=lambda *_: None, cores=1, variant=variant) for variant in variants]


def gone(variants: Sequence[Any], accelerator: bool) -> list[Peer]:
    raise ReferenceUnavailable("pip install it")


TOY = Benchmark(
    env="CartPole-v1", peers={"here": here, "gone": gone}, arguments={"frameskip": (1, 8)}
)


def test_names_are_all_none_or_a_list() -> None:
    assert TOY.peer_names("all") == ("here", "gone")
    assert TOY.peer_names("none") == ()
    assert TOY.peer_names("gone,here,gone") == ("gone", "here")
    with pytest.raises(ValueError, match="no peer 'her'; there are here, gone, all and none"):
        TOY.peer_names("here,her")


def test_variants_are_all_combinations_of_arguments_that_there_are() -> None:
    assert TOY.variants() == ({"frameskip": 1}, {"frameskip": 8})
    assert TOY.variants(frameskip=(4,), kernel=None) == ({"frameskip": 4},)
    both = dataclasses.replace(TOY, arguments={"frameskip": (1,), "kernel": ("c", "jnp")})
    assert both.variants(frameskip=(2, 4)) == tuple(
        {"frameskip": skip, "kernel": kernel} for skip in (2, 4) for kernel in ("c", "jnp")
    )
    plain = dataclasses.replace(TOY, arguments={})
    assert plain.variants(frameskip=None) == ({},)
    with pytest.raises(ValueError, match="leave --frameskip away"):
        plain.variants(frameskip=(4,))


def test_a_peer_that_is_missing_leaves_the_others() -> None:
    variants = TOY.variants()
    peers, missing = find_peers(TOY, ("gone", "here"), variants, False)
    assert [peer.variant for peer in peers] == list(variants)
    assert missing == {"gone": "pip install it"}


def test_an_environment_without_a_benchmark_is_told_which_have_one() -> None:
    with pytest.raises(ValueError, match="no benchmark for 'pung'; there are cart_pole, half_ch"):
        find_benchmark("pung")


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_is_of_an_environment_and_its_variants(name: str) -> None:
    benchmark = BENCHMARKS[name]
    throughput.BenchOptions(env=benchmark.env, what=benchmark.what, **benchmark.cpu_options)
    for variant in benchmark.variants():
        env, _ = make(benchmark.env, **variant)
        assert env.name == benchmark.env
    assert benchmark.peers


def played(peers: Sequence[Peer]) -> None:
    """Every peer plays twice, and can be closed twice."""
    for peer in peers:
        num_envs = peer.num_envs or 4
        before = peer.cost().processor_s
        peer.run(num_envs, 3)
        peer.run(num_envs, 2)
        assert peer.cost().processor_s > before
        assert peer.about
        peer.close()
        peer.close()


@pytest.mark.reference
def test_pong_h_plays_on_one_core_and_on_all() -> None:
    variants = BENCHMARKS["pong"].variants(frameskip=(1, 4))
    peers = BENCHMARKS["pong"].peers["pong.h"](variants, False)
    assert {peer.cores for peer in peers} == {1, available_cores()}
    assert [peer.variant for peer in peers[:: len(peers) // 2]] == list(variants)
    played(peers)


def test_gymnasium_plays_cart_pole() -> None:
    peers, missing = find_peers(BENCHMARKS["cart_pole"], ("gymnasium",), ({},), False)
    assert not missing
    played(peers)
    assert "CartPoleVectorEnv" in peers[0].about


def test_a_step_of_half_cheetah_is_five_of_physics() -> None:
    env, _ = make(BENCHMARKS["half_cheetah"].env)
    assert throughput.physics_steps(env) == 5
