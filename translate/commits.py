"""Every attempt of a run as a git commit, with who did what at which price in its trailers.

The repository is kept apart from the workspace, outside of the coder's reach, and is written by
git's plumbing alone: no checkout of the user's, no index, hook or setting of theirs, and no
`.git` or `.gitignore` that the coder left changes what is recorded.
"""

import dataclasses
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..envs.files import write_atomically

_AUTHOR = {"NAME": "simlift", "EMAIL": "simlift@localhost"}
_CACHES = ("__pycache__", ".pytest_cache", ".hypothesis", "target")  # the last is cargo's
_KEEP_OUT = (":(exclude)runs", *(f":(exclude,glob)**/{name}/**" for name in _CACHES))
_AS_THEY_ARE = "* -text -ident -filter -working-tree-encoding\n"
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_TRAILERS = ("Run", "Phase", "Attempt", "Cost-USD", "Verdict")
_FORMAT = "%H%x00%T%x00" + "%x00".join(
    f"%(trailers:key={key},valueonly,separator=%x2C)" for key in _TRAILERS
)


class GitFailed(RuntimeError):
    """git is missing or refused; the message says what it said."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Attempt:
    """One commit. item: as in the journal; cost_usd: of this attempt; verdict: one line."""

    commit: str
    tree: str
    run: str
    item: str
    attempt: int
    cost_usd: float
    verdict: str


class RunBranch:
    """The branch simlift/RUN in the repository `git_dir`, which records the folder `workspace`."""

    def __init__(self, git_dir: Path, workspace: Path, run: str) -> None:
        """Make the repository if it is not there.

        Raises ValueError for a run's name that is no word, and GitFailed.
        """
        if not _RUN.fullmatch(run):
            raise ValueError(f"run {run!r}: use letters, digits, - and _ for the name of a run")
        self.git_dir, self.workspace, self.run = git_dir.absolute(), workspace.absolute(), run
        self.branch = f"refs/heads/simlift/{run}"
        if not (self.git_dir / "HEAD").exists():
            self._git("init", "--quiet", "--bare", str(self.git_dir))
        # What the coder's own .gitattributes asks for does not count: bytes are kept as they are.
        write_atomically(self.git_dir / "info" / "attributes", _AS_THEY_ARE)

    @property
    def head(self) -> str | None:
        """The last commit; None before the first."""
        return self._git("for-each-ref", "--format=%(objectname)", self.branch).strip() or None

    def freeze(self) -> str:
        """Record the workspace as it is, and return the id of this tree.

        Ignored files are recorded too; caches and runs/, what commands write, are not, so judge
        what `restore` makes of it. Raises ValueError where the
        workspace is not there or holds a repository of its own, which could not be recorded.
        """
        if not self.workspace.is_dir():
            raise ValueError(f"{self.workspace} is gone; restore the last attempt")
        for folder, folders, files in os.walk(self.workspace):
            if ".git" in folders + files:
                raise ValueError(
                    f"{Path(folder, '.git')}: a repository inside the workspace cannot be "
                    "recorded; remove it, attempts are committed from outside"
                )
        self._git("read-tree", "--empty")
        self._git("add", "--all", "--force", "--", ".", *_KEEP_OUT)
        return self._git("write-tree").strip()

    def commit(self, tree: str, *, item: str, attempt: int, cost_usd: float, verdict: str) -> str:
        """Commit a frozen tree, once: asked again for the same attempt, return what is there.

        Raises ValueError for an item or a verdict that is not one line, and GitFailed.
        """
        values = (self.run, item, str(attempt), f"{cost_usd:.6f}", verdict)
        if wrong := [value for value in values if len(value.splitlines()) != 1]:
            raise ValueError(f"{wrong[0]!r}: a trailer is one line")
        for known in self.attempts():
            if (known.item, known.attempt) == (item, attempt):
                return known.commit
        trailers = [f"{key}: {value}" for key, value in zip(_TRAILERS, values, strict=True)]
        message = f"{item}, attempt {attempt}\n\n" + "\n".join(trailers) + "\n"
        head = self.head
        parent = ("-p", head) if head else ()
        made = self._git("commit-tree", tree, *parent, "-F", "-", given=message).strip()
        # The old value is compared by git: nothing that came in between is lost.
        self._git("update-ref", self.branch, made, head or "0" * len(made))
        return made

    def attempts(self) -> list[Attempt]:
        """All attempts of this run, oldest first."""
        if self.head is None:
            return []
        log = self._git("log", "--reverse", f"--format={_FORMAT}%x00", self.branch)
        words = [word.strip("\n") for word in log.split("\0")]
        width = 2 + len(_TRAILERS)
        return [
            Attempt(
                commit=commit,
                tree=tree,
                run=run,
                item=item,
                attempt=int(attempt),
                cost_usd=float(cost),
                verdict=verdict,
            )
            for commit, tree, run, item, attempt, cost, verdict in (
                words[i : i + width] for i in range(0, len(words) - 1, width)
            )
        ]

    def patch(self, commit: str) -> str:
        """What a commit changed, as a patch."""
        return self._git("show", "--format=", "--root", "--no-ext-diff", "--no-textconv", commit)

    def changes(self, before: str, after: str) -> bytes:
        """What leads from one tree to another, as a patch that `apply` takes."""
        options = ("--binary", "--no-renames", "--no-ext-diff", "--no-textconv")
        return self._run("diff", *options, before, after)

    def apply(self, tree: str, patch: bytes) -> str:
        """The tree that a patch makes of one; no file is touched.

        Raises GitFailed where it does not fit, to the byte.
        """
        self._git("read-tree", tree)
        if patch:
            self._run("apply", "--cached", "--whitespace=nowarn", "-", given=patch)
        return self._git("write-tree").strip()

    def digest(self, tree: str, *, without: Sequence[str] = ()) -> str:
        """Of a tree without some files at its top, the same in every repository."""
        told = self._git("ls-tree", "-r", "-z", tree)
        lines = [line for line in told.split("\0") if line.partition("\t")[2] not in without]
        return hashlib.sha256("\0".join(lines).encode(errors="surrogateescape")).hexdigest()

    def files(self, tree: str, folder: Path) -> None:
        """Write a tree into an empty folder. Raises GitFailed, and OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        self._git("read-tree", tree)
        self._git("checkout-index", "--all", f"--prefix={folder.absolute()}/")

    def stat(self, base: str, tree: str) -> dict[str, tuple[int, int]]:
        """Path -> lines added and removed, of each file in which two trees (or commits) differ.

        A file that is not text, or changed its mode alone, has no lines. Raises GitFailed.
        """
        told = self._git("diff-tree", "-r", "-z", "--numstat", "--no-renames", base, tree)
        counts = (entry.split("\t", 2) for entry in told.split("\0") if entry)
        return {
            path: (int(added), int(removed)) if added != "-" else (0, 0)
            for added, removed, path in counts
        }

    def restore(self, tree: str) -> None:
        """Make the workspace exactly a tree (or a commit's): what is not in it is removed."""
        self.workspace.mkdir(parents=True, exist_ok=True)
        self._git("read-tree", tree)  # first: an unknown tree must not cost the files
        for path in self.workspace.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        self._git("checkout-index", "--all", "--force")

    def _git(self, *arguments: str, given: str = "") -> str:
        """Run git on the repository and the workspace; return its standard output."""
        return self._run(*arguments, given=given.encode()).decode(errors="surrogateescape")

    def _run(self, *arguments: str, given: bytes = b"") -> bytes:
        place: Mapping[str, str] = {
            "GIT_DIR": str(self.git_dir),
            "GIT_WORK_TREE": str(self.workspace),
            "GIT_INDEX_FILE": str(self.git_dir / f"simlift-{self.run}.index"),
        }
        settings = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "LC_ALL": "C"}
        people = {
            f"GIT_{who}_{key}": value
            for who in ("AUTHOR", "COMMITTER")
            for key, value in _AUTHOR.items()
        }
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        making = arguments[0] == "init"  # takes its folder as an argument
        try:
            done = subprocess.run(
                ["git", *arguments],
                input=given,
                capture_output=True,
                env={**inherited, **settings, **people, **({} if making else place)},
                cwd=self.workspace if self.workspace.is_dir() else None,
            )
        except FileNotFoundError:
            raise GitFailed("git is missing; install it, e.g. apt-get install git") from None
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            words = " | ".join(said[-3:])
            raise GitFailed(f"git {arguments[0]} in {self.git_dir} failed: {words}")
        return done.stdout
