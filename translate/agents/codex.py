"""Codex CLI: `codex exec`, which tells its steps as JSON lines."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..sandbox import Ended
from .command_line import CommandLineAgent, Place, Told, events, one_line
from .core import Task

KEY = "SIMLIFT_MODEL_KEY"


class Codex(CommandLineAgent):
    """It knows no limit on turns, and ends with 0 although all of its commands failed."""

    name = "codex"
    program = "codex"
    tested = "0.169.0"
    install = "npm install -g @openai/codex@0.169.0"
    key = "OPENAI_API_KEY"
    url = ("OPENAI_BASE_URL", "https://api.openai.com/v1")

    def command(self, task: Task, place: Place) -> Sequence[str]:
        provider = {
            "name": "simlift",
            "base_url": place.url,
            "env_key": KEY,
            "wire_api": "responses",
            "request_max_retries": self.retries,
            "stream_max_retries": self.retries,
        }
        # JSON's strings and numbers are TOML's.
        inline = ", ".join(f"{name} = {json.dumps(value)}" for name, value in provider.items())
        return [
            *("exec", "--json", "--skip-git-repo-check", "--ephemeral", "--ignore-user-config"),
            "--dangerously-bypass-approvals-and-sandbox",  # it is in ours
            *("-c", "analytics.enabled=false", "-c", "features.plugins=false"),  # both ask around
            *("-m", self.means.model, "-c", "model_provider=simlift"),
            *("-c", f"model_providers.simlift={{{inline}}}"),
            "-",
        ]

    def environment(self, place: Place) -> Mapping[str, str]:
        return {"CODEX_HOME": str(place.home / ".codex"), KEY: place.key}

    def files(self, task: Task, place: Place) -> Mapping[str, str]:
        return {".codex/config.toml": ""}  # the folder has to be there

    def told(self, ended: Ended, home: Path) -> Told:
        words = failed = ""
        commands: list[int | None] = []
        for event in events(ended.stdout):
            item = event.get("item") or {}
            match event.get("type"), item.get("type"):
                case "item.completed", "agent_message":
                    words = str(item.get("text", ""))
                case "item.completed", "command_execution":
                    commands.append(item.get("exit_code"))
                case "turn.failed", _:
                    failed = one_line((event.get("error") or {}).get("message"))
                case "turn.completed", _:
                    failed = ""
        if commands and all(commands):
            words += f"\n\nAll of its {len(commands)} commands failed."
        return Told(words=words, failed=failed)
