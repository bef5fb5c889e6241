"""mini-swe-agent: `mini`, with any model that an OpenAI-compatible URL offers."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..sandbox import Ended
from .command_line import CommandLineAgent, Place, Told, one_line
from .core import Task

SETTINGS, TRAJECTORY = "simlift.yaml", "trajectory.json"
ENDED_WELL = "Submitted"
OUT_OF_TURNS = "LimitsExceeded"
LONG = 3600  # seconds


class Mini(CommandLineAgent):
    """It tells how it ended in its trajectory alone; its status is 0 also where it gave up."""

    name = "mini"
    program = "mini"
    tested = "2.4.6"
    install = "pip install mini-swe-agent==2.4.6 mcp"  # litellm imports mcp unasked
    key = "OPENAI_API_KEY"
    url = ("OPENAI_BASE_URL", "https://api.openai.com/v1")

    def command(self, task: Task, place: Place) -> Sequence[str]:
        return [
            *("-c", "mini.yaml", "-c", str(place.home / SETTINGS)),
            *("-y", "--exit-immediately", "-o", str(place.home / TRAJECTORY)),
        ]

    def environment(self, place: Place) -> Mapping[str, str]:
        return {
            "OPENAI_API_KEY": place.key,
            "MSWEA_CONFIGURED": "true",
            "MSWEA_COST_TRACKING": "ignore_errors",  # the proxy counts
            "MSWEA_MODEL_RETRY_STOP_AFTER_ATTEMPT": str(self.retries + 1),
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        }

    def files(self, task: Task, place: Place) -> Mapping[str, str]:
        settings = {
            "run": {"task": task.prompt},
            "agent": {"step_limit": task.max_turns, "cost_limit": 0},
            "environment": {"timeout": LONG},
            "model": {
                "model_name": f"openai/{self.means.model}",
                "model_kwargs": {"api_base": place.url, "max_retries": 0},
            },
        }
        return {SETTINGS: json.dumps(settings)}  # which is YAML too

    def given(self, task: Task) -> str:
        return ""

    def told(self, ended: Ended, home: Path) -> Told:
        path = home / TRAJECTORY
        if path.is_symlink() or not path.is_file():
            return Told(failed="" if ended.stopped else "it ended without a trajectory")
        trajectory = json.loads(path.read_bytes())
        status, messages = trajectory["info"]["exit_status"], trajectory["messages"]
        words = [said for message in messages if (said := _said(message))]
        last = words[-1] if words else ""
        if status == OUT_OF_TURNS:
            return Told(words=last, out_of_turns=True)
        if status != ENDED_WELL:
            return Told(failed=one_line(f"{messages[-1]['content']}; it said: {last}"))
        return Told(words=str(trajectory["info"]["submission"]).strip() or last)


def _said(message: Mapping[str, Any]) -> str:
    """The model's words in a message; an answer without a command is kept in the one about that."""
    if message["role"] == "assistant":
        return str(message["content"] or "")
    response = message.get("extra", {}).get("response")
    if not isinstance(response, dict):
        return ""
    return str(response["choices"][0]["message"]["content"] or "")
