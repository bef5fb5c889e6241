"""The model's side of the metering proxy: where it is, and what came from there."""

import http.client
import urllib.parse
from dataclasses import dataclass, field

from .wire import Answer, Api

PATIENCE = 600.0  # seconds without a byte from the model
QUERIES = {"alt": "sse", "beta": "true"}  # all others are left out: Gemini's may hold a key


@dataclass(frozen=True)
class Upstream:
    """Where the model is. Raises ValueError for what is no base URL or no key.

    base_url: such as https://api.anthropic.com, without /v1.
    """

    base_url: str
    key: str = field(repr=False)

    def __post_init__(self) -> None:
        url = urllib.parse.urlsplit(self.base_url)
        if url.scheme not in ("http", "https") or not url.hostname or url.query:
            raise ValueError(f"{self.base_url!r} is not a base URL such as https://api.openai.com")
        if not self.key or not self.key.isascii() or not self.key.isprintable():
            raise ValueError(f"no usable key for {self.base_url}: set its environment variable")

    def connect(self) -> http.client.HTTPConnection:
        """A connection, open. Raises OSError where there is nobody."""
        url = urllib.parse.urlsplit(self.base_url)
        https = url.scheme == "https"
        kind = http.client.HTTPSConnection if https else http.client.HTTPConnection
        connection = kind(url.hostname or "", url.port, timeout=PATIENCE)
        try:
            connection.connect()
        except BaseException:
            connection.close()
            raise
        return connection

    def path(self, path: str, query: str) -> str:
        """What is asked of the model's server for a request to the proxy."""
        kept = [(k, v) for k, v in urllib.parse.parse_qsl(query) if QUERIES.get(k) == v]
        base = urllib.parse.urlsplit(self.base_url).path.rstrip("/")
        return base + path + ("?" + urllib.parse.urlencode(kept) if kept else "")


class Heard:
    """What came from the model.

    status: None until anything came; whole: whether the answer came to its end; answer: its cost.
    """

    def __init__(self, api: Api) -> None:
        self.status: int | None = None
        self.content_type = ""
        self.stream = self.whole = False
        self.body = bytearray()
        self.answer: Answer | None = None
        self._api = api

    def begin(self, response: http.client.HTTPResponse) -> None:
        """The head of the answer is there."""
        self.status = response.status
        self.content_type = response.headers.get("content-type", "")
        self.stream = self.content_type.startswith("text/event-stream")
        self.answer = Answer(self._api, stream=self.stream)

    def add(self, chunk: bytes) -> None:
        """So are these bytes."""
        assert self.answer is not None
        self.body += chunk
        self.answer.feed(chunk)
