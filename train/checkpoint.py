"""Checkpoints of a run: complete or absent.

    <run>/checkpoints/update_00000120/
        state/       every array of the runner state by name (orbax)
        meta.json    what the run was made of, and a digest of every file in state/

A checkpoint is written under a temporary name and then renamed, which is one operation of the file
system. Whatever goes wrong before that leaves the previous checkpoint as the latest.
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp  # type: ignore[import-untyped]

FORMAT = 1
SUBDIRECTORY = "checkpoints"
PREFIX = "update_"
TEMPORARY = ".writing_"


class CheckpointError(ValueError):
    """A checkpoint cannot be written, is missing or damaged, or does not fit; says what to do."""


def save_checkpoint(run: Path, state: Any, meta: Mapping[str, Any], *, keep: int = 2) -> Path:
    """Write `state` (a pytree of arrays) as of update ``meta["update"]``; keep the `keep` newest.

    Returns the checkpoint's folder. Raises CheckpointError where it cannot be written.
    """
    directory = run.absolute() / SUBDIRECTORY
    final = directory / f"{PREFIX}{meta['update']:08d}"
    temporary = directory / f"{TEMPORARY}{final.name}"
    replaced = directory / f"{TEMPORARY}over_{final.name}"
    arrays = to_arrays(state)
    try:
        for leftover in directory.glob(f"{TEMPORARY}*"):  # of a run that was killed while writing
            shutil.rmtree(leftover)
        temporary.mkdir(parents=True)
        write_arrays(temporary / "state", arrays)
        document = {**meta, "format": FORMAT, "files": digests(temporary / "state")}
        (temporary / "meta.json").write_text(json.dumps(document, indent=2) + "\n")
        if final.exists():
            os.replace(final, replaced)
        os.replace(temporary, final)
        shutil.rmtree(replaced, ignore_errors=True)
        for old in list_checkpoints(directory)[:-keep]:
            shutil.rmtree(old)
    except Exception as error:  # orbax and tensorstore raise many kinds; all mean the same here
        with contextlib.suppress(OSError):
            shutil.rmtree(temporary)
        raise CheckpointError(
            f"cannot write the checkpoint {final}: {first_line(error)}; earlier checkpoints are "
            "intact: free some space or choose another folder, then continue from there"
        ) from error
    return final


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Orbax stores no empty arrays; they hold no information either."""
    stored = {name: x for name, x in arrays.items() if x.size}
    with ocp.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(path, stored)


def load_checkpoint(path: Path, template: Any) -> Any:
    """The state saved in `path`, in the form of `template` (arrays, or shapes from `eval_shape`).

    path: a checkpoint, or a run, whose newest is taken. Raises CheckpointError where it is missing,
    damaged, or of another form.
    """
    path = find_checkpoint(path)
    # Before orbax looks at them: a read that fails half-way leaves its other reads hanging.
    if digests(path / "state") != read_meta(path)["files"]:
        raise damaged(path, "its files are not those that were saved")
    try:
        with ocp.PyTreeCheckpointer() as checkpointer:
            arrays = dict(checkpointer.restore(path / "state"))
    except Exception as error:  # as above
        raise damaged(path, first_line(error)) from error
    names, treedef = named_leaves(template)
    shapes = {
        name: jax.eval_shape(jax.random.key_data, leaf) if is_key(leaf) else leaf
        for name, leaf in names.items()
    }
    for name, leaf in shapes.items():
        if 0 in leaf.shape:
            arrays[name] = np.zeros(leaf.shape, leaf.dtype)
    for name in sorted(arrays.keys() | shapes.keys()):
        found, wanted = (describe(tree.get(name)) for tree in (arrays, shapes))
        if found != wanted:
            raise CheckpointError(
                f"checkpoint {path} does not fit: {name} is {found}, this configuration makes it "
                f"{wanted}; use the configuration in its meta.json, or start a new run"
            )
    leaves = [from_array(arrays[name], leaf) for name, leaf in names.items()]
    return jax.tree.unflatten(treedef, leaves)


def read_meta(path: Path) -> dict[str, Any]:
    """meta.json of a checkpoint, or of the newest one of a run. Raises CheckpointError."""
    path = find_checkpoint(path)
    try:
        meta = json.loads((path / "meta.json").read_text())
        found = meta["format"]
        meta["files"], meta["update"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise damaged(path, f"meta.json cannot be read ({first_line(error)})") from error
    if found != FORMAT:
        raise CheckpointError(
            f"checkpoint {path} has format {found}, this version reads {FORMAT}; "
            "use the version of simlift that wrote it, or start a new run"
        )
    return dict(meta)


def find_checkpoint(path: Path) -> Path:
    """`path` if it is a checkpoint, else the newest one of that run. Raises CheckpointError."""
    path = Path(path).absolute()
    if path.name.startswith(PREFIX) and path.is_dir():
        return path
    found = list_checkpoints(path / SUBDIRECTORY) or list_checkpoints(path)
    if not found:
        raise CheckpointError(
            f"there is no checkpoint in {path}; give the folder of a run that has saved one "
            f"(it holds {SUBDIRECTORY}/{PREFIX}...)"
        )
    return found[-1]


def list_checkpoints(directory: Path) -> list[Path]:
    """Complete checkpoints, oldest first."""
    return sorted(directory.glob(f"{PREFIX}*"), key=lambda path: (len(path.name), path.name))


# -- arrays by name --------------------------------------------------------------------------------


def named_leaves(tree: Any) -> tuple[dict[str, Any], Any]:
    """Leaves by their path, in the tree's order, and its structure."""
    flat, treedef = jax.tree_util.tree_flatten_with_path(tree)
    keystr = jax.tree_util.keystr
    return {keystr(path, simple=True, separator="."): leaf for path, leaf in flat}, treedef


def is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def to_arrays(tree: Any) -> dict[str, np.ndarray]:
    """Plain arrays on the host: a checkpoint does not remember the device that it was made on."""
    names, _ = named_leaves(tree)
    return {
        name: np.asarray(jax.random.key_data(leaf) if is_key(leaf) else leaf)
        for name, leaf in names.items()
    }


def from_array(array: np.ndarray, like: Any) -> Any:
    if not is_key(like):
        return jnp.asarray(array)
    # A key's shape alone does not tell its kind: then it is JAX's default.
    kind = jax.random.key_impl(like) if isinstance(like, jax.Array) else None
    return jax.random.wrap_key_data(jnp.asarray(array), impl=kind)


def digests(directory: Path) -> dict[str, str]:
    """SHA-256 of every file below, by its path there."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return {
        path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def describe(leaf: Any) -> str:
    return "absent" if leaf is None else f"{np.dtype(leaf.dtype)}{list(leaf.shape)}"


def damaged(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(
        f"checkpoint {path} is damaged: {reason}; delete this folder to fall back on the one before"
    )


def first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
