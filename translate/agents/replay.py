"""A coder that repeats what another did: the patches of a recording, attempt by attempt."""

from ..commits import GitFailed, RunBranch
from ..recording import Attempt, Recording, digest, find
from .core import Agent, Means, Report, Task


class Replay(Agent):
    """No model at all. means.model: name or folder of the recording."""

    name = "replay"

    def __init__(self, means: Means) -> None:
        super().__init__(means)
        self._attempt: dict[str, int] = {}

    def check(self) -> None:
        """Raises ValueError where there is no such recording."""
        _ = self.recording.attempts

    @property
    def recording(self) -> Recording:
        """What is repeated. Raises ValueError where there is none of that name."""
        return find(self.means.model)

    def work(self, task: Task) -> Report:
        """Apply the patch of the recorded attempt, if the workspace is what that began from."""
        run = task.workspace.parent
        branch = RunBranch(run / "git", task.workspace, run.name)
        recorded = self.recording.attempts.get(task.item, ())
        if task.attempt > len(recorded):
            return _failed(f"the recording has {len(recorded)} attempts at {task.item}")
        attempt = recorded[task.attempt - 1]
        base = branch.freeze()
        now = digest(branch, base)
        if now == attempt.left:
            return _finished(attempt)  # it was done before an interruption
        if now != attempt.begun:
            return _failed(f"{attempt.folder} began from other files than are here now")
        try:
            tree = branch.apply(base, self.recording.patch(attempt))
        except (GitFailed, OSError) as error:
            return _failed(f"{attempt.folder} cannot be repeated: {error}")
        branch.restore(tree)
        return _finished(attempt)


def _finished(attempt: Attempt) -> Report:
    return Report(ended="finished", words=attempt.words, seconds=0.0)


def _failed(words: str) -> Report:
    return Report(ended="failed", words=words, seconds=0.0)
