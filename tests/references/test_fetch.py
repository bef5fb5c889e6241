"""Fetching and building upstream programs: whole or not at all, and with the reason when not."""

import io
import shutil
import stat
import subprocess
import sys
import tarfile
import textwrap
from pathlib import Path

import pytest

from simlift.references import fetch
from simlift.references.core import ReferenceUnavailable
from simlift.references.fetch import cache_dir, compile_library, fetch_sdist

HASH = "0" * 64


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SIMLIFT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def use_pip(monkeypatch: pytest.MonkeyPatch, folder: Path, body: str) -> None:
    """A Python whose `-m pip` runs `body`, in which `out` is the download folder."""
    program = folder / "python"
    script = textwrap.dedent(body)
    program.write_text(
        f"#!{sys.executable}\nimport pathlib, shutil, sys\n"
        "out = pathlib.Path(sys.argv[sys.argv.index('-d') + 1])\n" + script
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(fetch.sys, "executable", str(program))


def sdist(path: Path, name: str = "tool", version: str = "1.0") -> Path:
    """A source distribution of one file."""
    files = {
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "tool.h": "int answer(void) { return 42; }\n",
    }
    with tarfile.open(path, "w:gz") as tar:
        for file, text in files.items():
            info = tarfile.TarInfo(f"{name}-{version}/{file}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return path


def test_source_is_unpacked_and_fetched_once(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = sdist(tmp_path / "tool-1.0.tar.gz")
    use_pip(monkeypatch, tmp_path, f"out.mkdir(); shutil.copy({str(archive)!r}, out)\n")
    source = fetch_sdist("tool", "1.0", HASH)
    assert (source / "tool.h").is_file() and source.parent == cache
    use_pip(monkeypatch, tmp_path, "sys.exit('pip ran again')\n")
    assert fetch_sdist("tool", "1.0", HASH) == source
    assert list(cache.iterdir()) == [source]


def test_pip_is_asked_for_the_pinned_hash(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "requirements.txt"
    use_pip(
        monkeypatch,
        tmp_path,
        f"shutil.copy(sys.argv[sys.argv.index('-r') + 1], {str(seen)!r})\n"
        "assert '--require-hashes' in sys.argv\n",
    )
    with pytest.raises(ReferenceUnavailable):
        fetch_sdist("tool", "1.0", HASH)
    assert seen.read_text() == f"tool==1.0 --hash=sha256:{HASH}\n"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("sys.exit('WARNING: x\\nERROR: No matching distribution')\n", "ERROR: No matching"),
        ("sys.exit('/usr/bin/python: No module named pip')\n", "No module named pip"),
        ("sys.exit(1)\n", "no reason given"),
        ("pass\n", "no reason given"),
    ],
)
def test_failed_download_gives_reason_and_remedy_and_leaves_nothing(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, reason: str
) -> None:
    use_pip(monkeypatch, tmp_path, body)
    with pytest.raises(ReferenceUnavailable) as caught:
        fetch_sdist("tool", "1.0", HASH)
    message = str(caught.value)
    assert reason in message and "check the network" in message
    assert str(cache / "tool-1.0") in message and "\n" not in message
    assert list(cache.iterdir()) == []


def test_another_project_in_the_archive_is_not_taken(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = sdist(tmp_path / "tool-2.0.tar.gz", version="2.0")
    use_pip(monkeypatch, tmp_path, f"out.mkdir(); shutil.copy({str(archive)!r}, out)\n")
    with pytest.raises(ReferenceUnavailable, match=r"tool 1\.0 could not be downloaded"):
        fetch_sdist("tool", "1.0", HASH)
    assert list(cache.iterdir()) == []


def test_a_slow_registry_is_given_up_with_the_remedy(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_pip(monkeypatch, tmp_path, "import time; time.sleep(60)\n")
    monkeypatch.setattr(fetch, "PIP_TIMEOUT_S", 0.5)
    with pytest.raises(ReferenceUnavailable, match="check the network"):
        fetch_sdist("tool", "1.0", HASH)
    assert list(cache.iterdir()) == []


def test_a_damaged_archive_gives_the_remedy(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_pip(monkeypatch, tmp_path, "out.mkdir(); (out / 'tool-1.0.tar.gz').write_text('no')\n")
    with pytest.raises(ReferenceUnavailable, match=r"tool 1\.0 could not be downloaded"):
        fetch_sdist("tool", "1.0", HASH)
    assert list(cache.iterdir()) == []


@pytest.mark.reference
def test_pip_refuses_a_file_of_another_hash(cache: Path) -> None:
    """With the registry, this is pip's own check; without it, the network's error."""
    with pytest.raises(ReferenceUnavailable, match=r"six 1\.17\.0 could not be downloaded"):
        fetch_sdist("six", "1.17.0", HASH)
    assert list(cache.iterdir()) == []


def test_two_processes_may_fetch_at_once(cache: Path, tmp_path: Path) -> None:
    archive = sdist(tmp_path / "tool-1.0.tar.gz")
    program = textwrap.dedent(
        f"""
        import pathlib, shutil, subprocess, sys, time
        from simlift.references import fetch

        def run(command, **kwargs):
            out = pathlib.Path(command[command.index("-d") + 1])
            out.mkdir()
            shutil.copy({str(archive)!r}, out)
            time.sleep(0.5)  # both have looked, neither has published
            return subprocess.CompletedProcess(command, 0, "", "")

        fetch.subprocess.run = run
        print(fetch.fetch_sdist("tool", "1.0", {HASH!r}))
        """
    )
    running = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=60)[0].strip() for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert said == [str(cache / "tool-1.0")] * 2
    assert (cache / "tool-1.0" / "tool.h").is_file()
    assert [path.name for path in cache.iterdir()] == ["tool-1.0"]


def test_cache_that_cannot_be_written_names_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SIMLIFT_CACHE", str(tmp_path / "file"))
    with pytest.raises(ReferenceUnavailable, match="SIMLIFT_CACHE"):
        cache_dir()


# -- the compiler

NEEDS_CC = pytest.mark.skipif(shutil.which("cc") is None, reason="cc: apt-get install gcc")


@NEEDS_CC
def test_library_is_built_once_for_the_same_sources_and_flags(cache: Path, tmp_path: Path) -> None:
    source = tmp_path / "tool.c"
    source.write_text("int answer(void) { return 42; }\n")
    first = compile_library("tool", [source], [], ["-O1"])
    modified = first.stat().st_mtime_ns
    assert compile_library("tool", [source], [], ["-O1"]) == first
    assert first.stat().st_mtime_ns == modified
    assert compile_library("tool", [source], [], ["-O2"]) != first
    source.write_text("int answer(void) { return 43; }\n")
    assert compile_library("tool", [source], [], ["-O1"]) != first
    assert sorted(p.suffix for p in (cache / "build").iterdir()) == [".so"] * 3


@NEEDS_CC
def test_source_that_does_not_compile_gives_the_compilers_words(
    cache: Path, tmp_path: Path
) -> None:
    source = tmp_path / "tool.c"
    source.write_text("int answer(void) { return fortytwo; }\n")
    with pytest.raises(ReferenceUnavailable, match=r"tool does not compile with .*error.*fortytwo"):
        compile_library("tool", [source], [], [])
    assert list((cache / "build").iterdir()) == []


def test_no_compiler_names_the_remedy(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ReferenceUnavailable, match="apt-get install gcc"):
        compile_library("tool", [], [], [])
