"""Generation 1's species, moves and types as JSON, every number as Showdown's mod resolves it.

    python -m simlift.references.pokemon.tables envs/pokemon/gen1/tables.json

writes the file there, and to standard output without a path.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from .bridge import Bridge
from .install import PACKAGE, VERSION
from .teams import FORMAT


def tables() -> str:
    """The text of the file: an entry a line. Raises ReferenceUnavailable."""
    bridge = Bridge(FORMAT, 0, log=False)
    try:
        bridge.start()
        answer = bridge.call("tables")
    finally:
        bridge.close()
    parts = [f'"source": {json.dumps(f"npm {PACKAGE} {VERSION}, mod gen1")}']
    for name in ("types", "species", "moves"):
        lines = ",\n".join(json.dumps(entry) for entry in answer[name])
        parts.append(f'"{name}": [\n{lines}\n]')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Write the tables of generation 1 as JSON.")
    parser.add_argument("path", nargs="?", type=Path, help="where to, instead of standard output")
    path = parser.parse_args(arguments).path
    if path is None:
        sys.stdout.write(tables())
    else:
        path.write_text(tables())


if __name__ == "__main__":
    main()
