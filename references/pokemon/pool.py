r"""A pool of teams, exported once so that nobody waits for their generator.

    python -m simlift.references.pokemon.pool envs/pokemon/gen1/pool.npz
    python -m simlift.references.pokemon.pool envs/pokemon/gen1/gen1ou.npz --pairs 1024 \
        --format gen1ou

Showdown's generator makes those of random battles, in about 10 ms of CPU time a team; those of
another format are random ones that its validator lets in. The same pairs and seed give the same
teams.
"""

import argparse
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .teams import FORMAT, Teams

COLUMNS = ("species", "level", "moves", "evs", "ivs")
CHUNK = 512  # pairs that are asked for at once: more would keep the process silent for too long


def pool(num_pairs: int, seed: int, format: str = FORMAT) -> dict[str, np.ndarray]:
    """The columns of `Teams`, uint8 [2 * num_pairs, 6, ...]; teams 2k and 2k + 1 are of one battle.

    A longer pool of the same seed begins with the shorter one. Raises ReferenceUnavailable.
    """
    seeds = np.random.SeedSequence(seed).generate_state(-(-num_pairs // CHUNK)).tolist()
    make = Teams.random if format == FORMAT else Teams.legal
    chunks = [
        make(2 * min(CHUNK, num_pairs - start), chunk_seed, format)
        for start, chunk_seed in zip(range(0, num_pairs, CHUNK), seeds, strict=True)
    ]
    return {
        name: np.concatenate([getattr(chunk, name) for chunk in chunks]).astype(np.uint8)
        for name in COLUMNS
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Write a pool of teams.")
    parser.add_argument("path", type=Path, help="where to: a file of numpy's, .npz")
    parser.add_argument("--pairs", type=int, default=8192, help="battles' pairs of teams")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--format", default=FORMAT, help="one of Showdown's, as gen1ou")
    given = parser.parse_args(arguments)
    if given.pairs < 1:
        parser.error("--pairs is at least 1")
    if given.seed < 0:
        parser.error("--seed is at least 0")
    file = io.BytesIO()  # whole before it is written
    np.savez_compressed(file, allow_pickle=False, **pool(given.pairs, given.seed, given.format))
    given.path.write_bytes(file.getvalue())


if __name__ == "__main__":
    main()
