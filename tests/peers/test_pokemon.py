"""Showdown as a peer: it plays whole battles, counts what it did, and is told when it dies."""

import os
import signal
from collections.abc import Iterator

import pytest

from simlift.peers import BENCHMARKS, find_peers
from simlift.peers import pokemon as peer
from simlift.references.core import ReferenceUnavailable
from simlift.train.machine import available_cores
from simlift.train.turns import PeerFailed

UPDATES = 600  # some ten battles


@pytest.fixture(scope="module")
def play() -> Iterator[peer.RandomPlay]:
    play = peer.RandomPlay(1)
    yield play
    play.close()


@pytest.mark.reference
@pytest.mark.node
def test_updates_are_answers_of_one_player_or_of_both(play: peer.RandomPlay) -> None:
    before = play.cost().processor_s
    answers = play(1, UPDATES)
    assert 1.7 * UPDATES < answers < 2 * UPDATES  # replacements of fainted Pokemon are one's own
    started = play.cost().processor_s
    assert started > before == 0
    play(1, UPDATES)
    assert play.cost().processor_s > started


@pytest.mark.reference
@pytest.mark.node
def test_a_process_that_dies_is_told(play: peer.RandomPlay) -> None:
    play(1, 1)
    os.kill(play._children[0]._process.pid, signal.SIGKILL)
    with pytest.raises(PeerFailed, match=r"was ended by SIGKILL; its stderr: \(empty\)"):
        play(1, 1)
    assert play._children == []


@pytest.mark.reference
@pytest.mark.node
def test_one_process_and_one_on_every_core() -> None:
    peers = BENCHMARKS["pokemon"].peers["showdown"](BENCHMARKS["pokemon"].variants(), False)
    assert [p.cores for p in peers] == sorted({1, available_cores()})
    assert all(p.num_envs == p.cores and p.beside_all for p in peers)
    assert "pokemon-showdown 0.11.11" in peers[0].about
    for p in peers:
        p.close()  # none has started


def test_without_node_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> str:
        raise ReferenceUnavailable("needs Node.js; install it")

    monkeypatch.setattr(peer, "node_path", gone)
    peers, missing = find_peers(BENCHMARKS["pokemon"], ("showdown",), (), False)
    assert peers == []
    assert missing == {"showdown": "needs Node.js; install it"}
