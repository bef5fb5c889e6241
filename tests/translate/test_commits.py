"""Attempts as commits: all of the workspace, once, and nothing of what the coder does to git."""

import subprocess
from pathlib import Path

import pytest

from simlift.translate.commits import Attempt, GitFailed, RunBranch


@pytest.fixture
def branch(tmp_path: Path) -> RunBranch:
    (tmp_path / "work").mkdir()
    return RunBranch(tmp_path / "record.git", tmp_path / "work", "first")


def write(branch: RunBranch, name: str, content: str) -> None:
    path = branch.workspace / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode())


def attempt(branch: RunBranch, number: int = 1, verdict: str = "pass") -> str:
    return branch.commit(
        branch.freeze(), item="plan", attempt=number, cost_usd=0.125, verdict=verdict
    )


def files(branch: RunBranch) -> dict[str, bytes]:
    paths = (path for path in branch.workspace.rglob("*") if path.is_file())
    return {str(path.relative_to(branch.workspace)): path.read_bytes() for path in paths}


def test_every_attempt_has_its_trailers(branch: RunBranch) -> None:
    assert branch.attempts() == [] and branch.head is None
    write(branch, "a.py", "1\n")
    first = attempt(branch, 1, "3 mismatches, of ball_x: first at step 2")
    write(branch, "a.py", "2\n")
    second = attempt(branch, 2)
    assert branch.head == second
    one, two = branch.attempts()
    assert one == Attempt(
        commit=first,
        tree=one.tree,
        run="first",
        item="plan",
        attempt=1,
        cost_usd=0.125,
        verdict="3 mismatches, of ball_x: first at step 2",
    )
    assert (two.commit, two.attempt, two.verdict) == (second, 2, "pass")
    assert "-1\n+2\n" in branch.patch(second)
    shown = subprocess.run(
        ["git", f"--git-dir={branch.git_dir}", "log", "-1", "--format=%(trailers)%an", second],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.splitlines() == [
        "Run: first",
        "Phase: plan",
        "Attempt: 2",
        "Cost-USD: 0.125000",
        "Verdict: pass",
        "simlift",
    ]


def test_an_attempt_is_committed_once(branch: RunBranch) -> None:
    write(branch, "a.py", "1\n")
    first = attempt(branch)
    write(branch, "a.py", "2\n")
    assert attempt(branch) == first
    again = RunBranch(branch.git_dir, branch.workspace, "first")
    assert [known.commit for known in again.attempts()] == [first]


def test_runs_have_branches_of_their_own(branch: RunBranch) -> None:
    write(branch, "a.py", "1\n")
    attempt(branch)
    other = RunBranch(branch.git_dir, branch.workspace, "second")
    assert other.attempts() == []


def test_restore_brings_back_exactly_what_was_recorded(branch: RunBranch) -> None:
    write(branch, "kept/a.py", "1\r\n")
    (branch.workspace / "link").symlink_to("kept/a.py")
    before = files(branch)
    commit = attempt(branch)
    write(branch, "new/b.py", "2\n")
    (branch.workspace / "kept" / "a.py").unlink()
    branch.restore(commit)
    assert files(branch) == before and (branch.workspace / "link").is_symlink()
    with pytest.raises(GitFailed, match="read-tree"):
        branch.restore("0" * 40)
    assert files(branch) == before


def test_a_deleted_workspace_is_told_and_restored(branch: RunBranch) -> None:
    write(branch, "a.py", "1\n")
    commit = attempt(branch)
    (branch.workspace / "a.py").unlink()
    branch.workspace.rmdir()
    with pytest.raises(ValueError, match="is gone; restore"):
        branch.freeze()
    branch.restore(commit)
    assert files(branch) == {"a.py": b"1\n"}


def test_the_coder_hides_nothing_and_alters_nothing(branch: RunBranch) -> None:
    write(branch, ".gitignore", "*\n")
    write(branch, ".gitattributes", "* text eol=crlf ident\n")
    write(branch, "a.py", "$Id$\r\n")
    before = files(branch)
    for cache in ("__pycache__/a.pyc", "runs/check/result.json", "ferry/target/debug/ferry"):
        write(branch, cache, "made by a command")
    tree = branch.freeze()
    branch.restore(tree)
    assert files(branch) == before


@pytest.mark.parametrize("name", [".git", "sub/.git"])
def test_a_repository_inside_the_workspace_is_refused(branch: RunBranch, name: str) -> None:
    write(branch, f"{name}/HEAD", "ref: refs/heads/main\n")
    with pytest.raises(ValueError, match="repository inside the workspace"):
        branch.freeze()


def test_the_users_settings_do_not_reach_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".gitconfig").write_text("[commit]\n\tgpgsign = true\n[user]\n\tname = Somebody\n")
    (tmp_path / "work").mkdir()
    branch = RunBranch(tmp_path / "record.git", tmp_path / "work", "first")
    write(branch, "a.py", "1\n")
    attempt(branch)
    assert len(branch.attempts()) == 1
    assert not (tmp_path / "elsewhere").exists()


def test_what_is_no_line_is_refused(branch: RunBranch) -> None:
    for verdict in ("", "two\nlines"):
        with pytest.raises(ValueError, match="a trailer is one line"):
            attempt(branch, verdict=verdict)
    with pytest.raises(ValueError, match="letters, digits"):
        RunBranch(branch.git_dir, branch.workspace, "../first")


def test_a_missing_git_is_told(branch: RunBranch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(branch.workspace))
    with pytest.raises(GitFailed, match="install it"):
        branch.freeze()


def test_a_patch_makes_the_same_tree_elsewhere_and_only_of_what_it_was_made_of(
    branch: RunBranch, tmp_path: Path
) -> None:
    write(branch, "a.py", "1\r\n2")
    write(branch, "README.md", "one\n")
    before = branch.freeze()
    write(branch, "a.py", "1\r\n3")
    write(branch, "b\n.bin", "\x00\x01")
    after = branch.freeze()
    patch = branch.changes(before, after)
    assert branch.apply(before, patch) == after and branch.apply(after, b"") == after

    (tmp_path / "other").mkdir()
    other = RunBranch(tmp_path / "other.git", tmp_path / "other", "second")
    branch.files(before, other.workspace)
    (other.workspace / "README.md").write_text("two\n")
    base = other.freeze()
    aside = ("README.md",)
    assert other.digest(base) != branch.digest(before)
    assert other.digest(base, without=aside) == branch.digest(before, without=aside)
    other.restore(other.apply(base, patch))
    assert (other.workspace / "a.py").read_bytes() == b"1\r\n3"
    with pytest.raises(GitFailed, match="git apply"):
        other.apply(other.freeze(), patch)
