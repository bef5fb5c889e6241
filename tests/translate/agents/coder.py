"""A scripted model that codes: what it does in each turn is told, in four APIs.

Each step of a script is one turn: a command to run, through whichever shell tool the agent offers,
or words, or a failure of the model. Requests that offer no tool are asked on the side (for a title,
say); they get a word, and are no turn.
"""

import contextlib
import http.server
import itertools
import json
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

SHELLS = re.compile(r"^(Bash|bash|shell|shell_command|exec_command|run_shell_command)$")
ASIDE = "Nothing of note"


@dataclass(frozen=True)
class Run:
    """A turn in which the model runs a command."""

    command: str


@dataclass(frozen=True)
class Say:
    """A turn in which it says something, and so is done."""

    words: str


@dataclass(frozen=True)
class Fail:
    """A turn in which the model's server fails. body: None for one in its API's form."""

    status: int
    body: str | None = None


@dataclass(frozen=True)
class Die:
    """A turn in which the connection breaks off in the middle of a command."""

    command: str = "echo never run"


Step = Run | Say | Fail | Die
Used = tuple[int, int]


class Coder(http.server.ThreadingHTTPServer):
    """A model on the loopback that follows a script, and repeats its last step for ever.

    used: tokens in and out that each answer tells; calls: how many came; asked: their bodies;
    keys: with which they came.
    """

    daemon_threads = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Coder.Handler)
        self._lock = threading.Lock()
        self.script: list[Step] = []
        self.used = (100, 20)
        self.calls = 0
        self.asked: list[dict[str, Any]] = []
        self.keys: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def next_step(self, body: dict[str, Any]) -> tuple[Step, str]:
        """What to do, and the name of the tool to do it with."""
        with self._lock:
            self.calls += 1
            self.asked.append(body)
            tool = next((name for name in tools(body) if SHELLS.match(name)), "")
            if not tool:
                return Say(ASIDE), tool
            return (self.script.pop(0) if len(self.script) > 1 else self.script[0]), tool

    class Handler(http.server.BaseHTTPRequestHandler):
        server: "Coder"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            step, tool = self.server.next_step(body)
            for name in ("x-api-key", "x-goog-api-key", "authorization"):
                if name in self.headers:
                    self.server.keys.add(self.headers[name].removeprefix("Bearer "))
            if isinstance(step, Fail):
                error = {"error": {"code": step.status, "message": "sorry"}}
                content = json.dumps(error) if step.body is None else step.body
                self._answer(step.status, "application/json", content.encode())
                return
            dies = isinstance(step, Die)
            stream = body.get("stream") is True or "alt=sse" in self.path
            acts = Run(step.command) if isinstance(step, Die) else step
            events = list(_events(self.path, acts, tool, stream, self.server.used))
            if stream:
                text = "".join(
                    (f"event: {event['type']}\n" if "type" in event else "")
                    + f"data: {json.dumps(event)}\n\n"
                    for event in events
                )
                self._answer(200, "text/event-stream", text.encode(), dies=dies)
            else:
                self._answer(200, "application/json", json.dumps(events[0]).encode(), dies=dies)

        def _answer(self, status: int, kind: str, content: bytes, *, dies: bool = False) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with contextlib.suppress(OSError):  # the other side may have closed
                self.wfile.write(content[: len(content) // 2] if dies else content)
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass


def tools(body: Mapping[str, Any]) -> Iterator[str]:
    """The names of all tools that a request offers."""
    for tool in body.get("tools") or []:
        declared = tool.get("functionDeclarations") or [tool.get("function") or tool]
        yield from (each.get("name", "") for each in declared)


def _events(
    path: str, step: Run | Say, tool: str, stream: bool, used: Used
) -> Iterator[dict[str, Any]]:
    """An answer: as events, or as a whole in the first."""
    if path.startswith("/v1/messages"):
        return (
            _anthropic(step, tool, used) if stream else iter([_anthropic_whole(step, tool, used)])
        )
    if "/responses" in path:
        return _responses(step, tool, used)
    if "/chat/completions" in path:
        return iter([_chat(step, tool, used)])
    return iter([_gemini(step, tool, used)])


_numbers = itertools.count(1)


def _id() -> str:
    return f"call_{next(_numbers):04d}"


def _block(step: Run | Say, tool: str) -> dict[str, Any]:
    if isinstance(step, Say):
        return {"type": "text", "text": step.words}
    given = {"command": step.command, "description": "work"}
    return {"type": "tool_use", "id": _id(), "name": tool, "input": given}


def _anthropic_whole(step: Run | Say, tool: str, used: Used) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "scripted",
        "content": [_block(step, tool)],
        "stop_reason": "end_turn" if isinstance(step, Say) else "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": used[0], "output_tokens": used[1]},
    }


def _anthropic(step: Run | Say, tool: str, used: Used) -> Iterator[dict[str, Any]]:
    whole = _anthropic_whole(step, tool, used)
    block, reason = whole["content"][0], whole["stop_reason"]
    start = whole | {"content": [], "stop_reason": None}
    start["usage"] = {"input_tokens": used[0], "output_tokens": 1}
    yield {"type": "message_start", "message": start}
    if isinstance(step, Say):
        empty, delta = block | {"text": ""}, {"type": "text_delta", "text": step.words}
    else:
        empty = block | {"input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
    yield {"type": "content_block_start", "index": 0, "content_block": empty}
    yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    yield {
        "type": "message_delta",
        "delta": {"stop_reason": reason, "stop_sequence": None},
        "usage": {"output_tokens": used[1]},
    }
    yield {"type": "message_stop"}


def _responses(step: Run | Say, tool: str, used: Used) -> Iterator[dict[str, Any]]:
    if isinstance(step, Say):
        content = [{"type": "output_text", "text": step.words, "annotations": []}]
        item = {"type": "message", "id": _id(), "role": "assistant", "content": content}
    else:
        given = {"cmd": step.command} if tool == "exec_command" else {"command": step.command}
        if tool == "shell":
            given = {"command": ["sh", "-c", step.command]}  # type: ignore[dict-item]
        item = {"type": "function_call", "id": _id(), "call_id": _id(), "name": tool}
        item["arguments"] = json.dumps(given)
    yield {"type": "response.created", "response": {"id": "resp_1"}}
    yield {"type": "response.output_item.done", "output_index": 0, "item": item}
    usage = {
        "input_tokens": used[0],
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": used[1],
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": sum(used),
    }
    yield {"type": "response.completed", "response": {"id": "resp_1", "usage": usage}}


def _chat(step: Run | Say, tool: str, used: Used) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": "working"}
    if isinstance(step, Say):
        message["content"] = step.words
    else:
        function = {"name": tool, "arguments": json.dumps({"command": step.command})}
        message["tool_calls"] = [{"id": _id(), "type": "function", "function": function}]
    reason = "stop" if isinstance(step, Say) else "tool_calls"
    return {
        "id": "chat_1",
        "object": "chat.completion",
        "created": 1,
        "model": "scripted",
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": {
            "prompt_tokens": used[0],
            "completion_tokens": used[1],
            "total_tokens": sum(used),
        },
    }


def _gemini(step: Run | Say, tool: str, used: Used) -> dict[str, Any]:
    part: dict[str, Any] = {"text": step.words} if isinstance(step, Say) else {}
    if isinstance(step, Run):
        part = {"functionCall": {"name": tool, "args": {"command": step.command}}}
    return {
        "candidates": [
            {"index": 0, "content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}
        ],
        "usageMetadata": {
            "promptTokenCount": used[0],
            "candidatesTokenCount": used[1],
            "totalTokenCount": sum(used),
        },
    }
