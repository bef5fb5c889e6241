"""A pool of random battles' teams, exported once so that nobody waits for their generator.

    python -m simlift.references.pokemon.pool envs/pokemon/gen1/pool.npz --pairs 8192 --seed 0

About 10 ms of CPU time a team. The same pairs and seed give the same teams.
"""

import argparse
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .teams import FORMAT, Teams

COLUMNS = ("species", "level", "moves", "evs", "ivs")
CHUNK = 512  # pairs that are asked for at once: more would keep the process silent for too long


def pool(num_pairs: int, seed: int) -> dict[str, np.ndarray]:
    """The columns of `Teams`, uint8 [2 * num_pairs, 6, ...]; teams 2k and 2k + 1 are of one battle.

    A longer pool of the same seed begins with the shorter one. Raises ReferenceUnavailable.
    """
    seeds = np.random.SeedSequence(seed).generate_state(-(-num_pairs // CHUNK)).tolist()
    chunks = [
        Teams.random(2 * min(CHUNK, num_pairs - start), chunk_seed, FORMAT)
        for start, chunk_seed in zip(range(0, num_pairs, CHUNK), seeds, strict=True)
    ]
    return {
        name: np.concatenate([getattr(chunk, name) for chunk in chunks]).astype(np.uint8)
        for name in COLUMNS
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Write a pool of random battles' teams.")
    parser.add_argument("path", type=Path, help="where to: a file of numpy's, .npz")
    parser.add_argument("--pairs", type=int, default=8192, help="battles' pairs of teams")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    if given.pairs < 1:
        parser.error("--pairs is at least 1")
    if given.seed < 0:
        parser.error("--seed is at least 0")
    file = io.BytesIO()  # whole before it is written
    np.savez_compressed(file, allow_pickle=False, **pool(given.pairs, given.seed))
    given.path.write_bytes(file.getvalue())


if __name__ == "__main__":
    main()
