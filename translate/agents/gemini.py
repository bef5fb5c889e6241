"""Gemini CLI: `gemini -p`, which tells its steps as JSON lines."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..sandbox import Ended
from .command_line import CommandLineAgent, Place, Told, events, one_line
from .core import Task

OUT_OF_TURNS = 53


class Gemini(CommandLineAgent):
    """Its limit on turns is a setting, and ends it with a status of its own."""

    name = "gemini"
    program = "gemini"
    tested = "0.61.0"
    install = "npm install -g @google/gemini-cli@0.61.0"
    key = "GEMINI_API_KEY"
    url = ("GOOGLE_GEMINI_BASE_URL", "https://generativelanguage.googleapis.com")

    def command(self, task: Task, place: Place) -> Sequence[str]:
        return [
            *("-p", "", "--skip-trust", "--approval-mode", "yolo", "-o", "stream-json"),
            *("-m", self.means.model),
        ]

    def environment(self, place: Place) -> Mapping[str, str]:
        return {"GEMINI_API_KEY": place.key, "GOOGLE_GEMINI_BASE_URL": place.url}

    def files(self, task: Task, place: Place) -> Mapping[str, str]:
        settings = {
            "security": {"auth": {"selectedType": "gemini-api-key"}},
            "model": {"maxSessionTurns": task.max_turns},
            "general": {"enableAutoUpdate": False, "maxAttempts": self.retries + 1},
            "privacy": {"usageStatisticsEnabled": False},
        }
        return {".gemini/settings.json": json.dumps(settings)}

    def told(self, ended: Ended, home: Path) -> Told:
        words = failed = ""
        for event in events(ended.stdout):
            match event.get("type"):
                case "message" if event.get("role") == "assistant":
                    said = str(event.get("content", ""))
                    words, failed = words + said if event.get("delta") else said, ""
                case "tool_use":
                    words = failed = ""
                case "error":  # such as that it went round in a loop, which then is a "success"
                    failed = one_line(event.get("message"))
                case "result" if event.get("status") != "success":
                    failed = one_line((event.get("error") or {}).get("message"))
        return Told(words=words, failed=failed, out_of_turns=ended.status == OUT_OF_TURNS)
