"""A scripted model on the loopback, and an agent's requests to a proxy before it."""

import contextlib
import http.client
import http.server
import json
from collections.abc import Callable
from typing import Any

from simlift.translate.budget import Budget, Caps
from simlift.translate.meter import Meter
from simlift.translate.prices import PriceTable
from simlift.translate.upstream import Upstream

KEY = "sk-the-real-key"
# A dollar for each token in, ten for each token out: what is spent can be read off.
PRICES = PriceTable.parse(
    {"models": {"m": {"input": 1e6 - 1, "output": 1e6 - 1, "max_output": 1000}}}, "test"
)
DOLLAR = (1e6 - 1) / 1e6
PATHS = {
    "anthropic": "/v1/messages",
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "gemini": "/v1beta/models/m:generateContent",
}
REQUESTS: dict[str, dict[str, Any]] = {
    "anthropic": {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]},
    "chat": {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]},
    "responses": {"model": "m", "max_output_tokens": 50, "input": "hi"},
    "gemini": {
        "contents": [{"parts": [{"text": "hi"}]}],
        "generationConfig": {"maxOutputTokens": 50},
    },
}
# Each tells 30 tokens in, 10 of them from a cache, and 20 out.
ANSWERS: dict[str, dict[str, Any]] = {
    "anthropic": {
        "type": "message",
        "usage": {"input_tokens": 20, "cache_read_input_tokens": 10, "output_tokens": 20},
    },
    "chat": {
        "usage": {
            "prompt_tokens": 30,
            "completion_tokens": 20,
            "prompt_tokens_details": {"cached_tokens": 10},
        }
    },
    "responses": {
        "usage": {
            "input_tokens": 30,
            "output_tokens": 20,
            "input_tokens_details": {"cached_tokens": 10},
        }
    },
    "gemini": {
        "candidates": [{"finishReason": "STOP"}],
        "usageMetadata": {
            "promptTokenCount": 30,
            "cachedContentTokenCount": 10,
            "candidatesTokenCount": 5,
            "thoughtsTokenCount": 15,
        },
    },
}
STREAMS: dict[str, list[Any]] = {
    "anthropic": [
        {
            "type": "message_start",
            "message": {
                "usage": {"input_tokens": 20, "cache_read_input_tokens": 10, "output_tokens": 1}
            },
        },
        {"type": "content_block_delta", "delta": {"text": "höchst"}},
        {"type": "message_delta", "usage": {"output_tokens": 20}},
    ],
    "chat": [{"choices": [{"delta": {"content": "x"}}], "usage": None}, ANSWERS["chat"]],
    "responses": [
        {"type": "response.created", "response": {"usage": None}},
        {"type": "response.completed", "response": ANSWERS["responses"]},
    ],
    "gemini": [
        {"usageMetadata": {"promptTokenCount": 30, "candidatesTokenCount": 1}},
        ANSWERS["gemini"],
    ],
}


def sse(events: list[Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


class Model(http.server.ThreadingHTTPServer):
    """A model that answers each request with the same bytes, and keeps what it was asked."""

    daemon_threads = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Model.Handler)
        self.status, self.type = 200, "application/json"
        self.answer: bytes | Callable[[], bytes] = b"{}"
        self.dies = False
        self.asked: list[tuple[str, dict[str, str], dict[str, Any]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    class Handler(http.server.BaseHTTPRequestHandler):
        server: "Model"

        def do_POST(self) -> None:
            model = self.server
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            headers = {name.lower(): value for name, value in self.headers.items()}
            model.asked.append((self.path, headers, body))
            answer = model.answer if isinstance(model.answer, bytes) else model.answer()
            self.send_response(model.status)
            self.send_header("Content-Type", model.type)
            self.send_header("Content-Length", str(len(answer) + (100 if model.dies else 0)))
            self.end_headers()
            with contextlib.suppress(OSError):  # the other side may have closed
                self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            pass


def metered(model: Model, caps: Caps | None = None, **settings: Any) -> Meter:
    budget = settings.pop("budget", None) or Budget(caps or Caps(dollars=1e5))
    return Meter(Upstream(model.url, KEY), budget=budget, prices=PRICES, **settings)


def ask(
    meter: Meter, api: str, *, path: str | None = None, token: str | None = None, **changes: Any
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(meter.url.removeprefix("http://"), timeout=20)
    body = json.dumps(REQUESTS[api] | changes)
    headers = {"Authorization": f"Bearer {token or meter.token}"}
    try:
        connection.request("POST", path or PATHS[api], body, headers)
        with connection.getresponse() as response:
            return response.status, response.read()
    finally:
        connection.close()


def error(answer: bytes) -> str:
    message: str = json.loads(answer)["error"]["message"]
    return message
