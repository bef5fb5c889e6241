import errno
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simlift.train import CheckpointError, checkpoint
from simlift.train.checkpoint import find_checkpoint, load_checkpoint, read_meta, save_checkpoint

State = dict[str, jax.Array | dict[str, jax.Array]]


def make_state(offset: float = 0.0) -> State:
    return {
        "params": {"kernel": jnp.arange(6.0).reshape(2, 3) + offset},
        "key": jax.random.key(7),
        "keys": jax.random.split(jax.random.key(8), 3),
        "flags": jnp.array([True, False]),
        "count": jnp.int16(3),
        "empty": jnp.zeros((0, 4), jnp.float32),
    }


def save(run: Path, update: int, **options: int) -> Path:
    return save_checkpoint(run, make_state(update), {"update": update, "note": "x"}, **options)


def test_state_comes_back_bit_for_bit(tmp_path: Path) -> None:
    path = save(tmp_path, 12)
    for place in (path, tmp_path, str(tmp_path)):
        for template in (make_state(), jax.eval_shape(make_state)):
            state = load_checkpoint(Path(place), template)
            assert jax.tree.structure(state) == jax.tree.structure(make_state())
            for ours, saved in zip(
                jax.tree.leaves(state), jax.tree.leaves(make_state(12)), strict=True
            ):
                assert ours.dtype == saved.dtype
                if jnp.issubdtype(ours.dtype, jax.dtypes.prng_key):
                    ours, saved = jax.random.key_data(ours), jax.random.key_data(saved)
                np.testing.assert_array_equal(ours, saved)
    assert read_meta(path)["note"] == "x"


def test_newest_is_taken_and_old_ones_are_removed(tmp_path: Path) -> None:
    for update in (5, 10, 99_999_999, 100_000_000):
        save(tmp_path, update, keep=3)
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["update_00000010", "update_100000000", "update_99999999"]
    assert find_checkpoint(tmp_path).name == "update_100000000"


def test_saving_again_replaces(tmp_path: Path) -> None:
    save(tmp_path, 5)
    save_checkpoint(tmp_path, make_state(50), {"update": 5})
    state = load_checkpoint(tmp_path, make_state())
    assert state["params"]["kernel"][0, 0] == 50


def test_full_disk_leaves_the_previous_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, 5)
    real = checkpoint.write_arrays

    def full(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
        real(path, arrays)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_arrays", full)
    with pytest.raises(CheckpointError, match=r"No space left.*intact: free some space") as caught:
        save(tmp_path, 10)
    assert "\n" not in str(caught.value)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["update_00000005"]
    assert load_checkpoint(tmp_path, make_state())["params"]["kernel"][0, 0] == 5


def test_kill_while_writing_leaves_the_previous_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """Nothing may catch this, as nothing catches SIGKILL."""

    save(tmp_path, 5)
    real = checkpoint.write_arrays

    def killed(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
        real(path, arrays)
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(checkpoint, "write_arrays", killed)
        save(tmp_path, 10)
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2
    assert find_checkpoint(tmp_path).name == "update_00000005"
    save(tmp_path, 15)
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["update_00000005", "update_00000015"]


def damage_arrays(path: Path) -> None:
    largest = max((path / "state").rglob("d/*"), key=lambda file: file.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[len(data) // 2] ^= 0xFF
    largest.write_bytes(data)


def truncate_meta(path: Path) -> None:
    text = (path / "meta.json").read_text()
    (path / "meta.json").write_text(text[: len(text) // 2])


def remove_file(path: Path) -> None:
    next((path / "state").rglob("d/*")).unlink()


def remove_arrays(path: Path) -> None:
    shutil.rmtree(path / "state")


@pytest.mark.parametrize("harm", [damage_arrays, truncate_meta, remove_file, remove_arrays])
def test_damage_is_found_and_the_remedy_named(tmp_path: Path, harm: object) -> None:
    save(tmp_path, 5)
    path = save(tmp_path, 10)
    assert callable(harm)
    harm(path)
    with pytest.raises(CheckpointError, match=r"is damaged: .*delete this folder") as caught:
        load_checkpoint(tmp_path, make_state())
    assert "\n" not in str(caught.value)
    shutil.rmtree(path)
    assert load_checkpoint(tmp_path, make_state())["params"]["kernel"][0, 0] == 5


def test_another_form_is_refused_by_name(tmp_path: Path) -> None:
    path = save(tmp_path, 5)
    other = make_state() | {"params": {"kernel": jnp.zeros((2, 4))}}
    with pytest.raises(CheckpointError, match=r"params.kernel is float32\[2, 3\].*float32\[2, 4\]"):
        load_checkpoint(path, other)
    with pytest.raises(CheckpointError, match=r"bias is absent.*makes it float32\[3\]"):
        load_checkpoint(path, make_state() | {"bias": jnp.zeros(3)})


def test_missing_and_unknown_format(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no checkpoint in"):
        load_checkpoint(tmp_path / "nowhere", make_state())
    path = save(tmp_path, 5)
    meta = json.loads((path / "meta.json").read_text())
    (path / "meta.json").write_text(json.dumps(meta | {"format": 99}))
    with pytest.raises(CheckpointError, match="has format 99, this version reads 1"):
        read_meta(tmp_path)
