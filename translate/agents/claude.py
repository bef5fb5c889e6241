"""Claude Code: `claude -p`, which tells its steps as JSON lines."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..sandbox import Ended
from .command_line import CommandLineAgent, Place, Told, events, one_line
from .core import Task

LONG = "3600000"  # milliseconds


class Claude(CommandLineAgent):
    """The last line is its result; "success" also of a call that failed, or where tools were
    denied, so `is_error` and `permission_denials` count as well."""

    name = "claude"
    program = "claude"
    tested = "2.1.197"
    install = "npm install -g @anthropic-ai/claude-code@2.1.197"
    key = "ANTHROPIC_API_KEY"
    url = ("ANTHROPIC_BASE_URL", "https://api.anthropic.com")

    def command(self, task: Task, place: Place) -> Sequence[str]:
        return [
            *("-p", "--output-format", "stream-json", "--verbose"),
            *("--bare", "--no-session-persistence", "--permission-mode", "bypassPermissions"),
            *("--model", self.means.model, "--max-turns", str(task.max_turns)),
        ]

    def environment(self, place: Place) -> Mapping[str, str]:
        return {
            "ANTHROPIC_BASE_URL": place.url,
            "ANTHROPIC_API_KEY": place.key,
            "ANTHROPIC_DEFAULT_HAIKU_MODEL": self.means.model,  # for its calls on the side
            "CLAUDE_CONFIG_DIR": str(place.home / ".claude"),
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "CLAUDE_CODE_MAX_RETRIES": str(self.retries),
            "DISABLE_AUTOUPDATER": "1",
            "IS_SANDBOX": "1",  # else it refuses to work as root
            "BASH_DEFAULT_TIMEOUT_MS": LONG,
            "BASH_MAX_TIMEOUT_MS": LONG,
        }

    def told(self, ended: Ended, home: Path) -> Told:
        results = [event for event in events(ended.stdout) if event.get("type") == "result"]
        if not results:
            return Told(failed="" if ended.stopped else "it ended without a result")
        result = results[-1]
        words = str(result.get("result") or "")
        if result.get("subtype") == "error_max_turns":
            return Told(words=words, out_of_turns=True)
        if result.get("is_error"):
            return Told(failed=one_line(words or result.get("errors") or result.get("subtype")))
        denied = [str(each.get("tool_name")) for each in result.get("permission_denials") or []]
        if denied:
            words += f"\n\nDenied to it: {', '.join(denied)}."
        return Told(words=words)
