"""The metering proxy between a sandbox and a model.

It stands outside the sandbox and holds the key. Each request is bounded before it is forwarded and
refused, in the API's own form, where it could exceed a cap; each answer is counted while it passes
and recorded on a cassette. With a cassette instead of a model it answers for nothing.
"""

import datetime
import hmac
import http.client
import http.server
import json
import logging
import secrets
import socket
import socketserver
import threading
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from email.message import Message
from pathlib import Path

from ..references.core import Closing
from .budget import Budget, Charge, OverCap, Reservation
from .cassette import Call, Cassette, Player
from .prices import PriceTable, UnknownPrice
from .upstream import Heard, Upstream
from .wire import Answer, Api, Refused, Request, api_of

LONGEST_PATH = 107  # bytes of a Unix socket's name, a limit of the kernel
LARGEST = 64 << 20  # bytes of a request
CHUNK = 1 << 16
IDLE = 60.0  # seconds without a byte from the agent, while it sends a request
# What is forwarded of a request's headers, and of an answer's what is not.
TO_MODEL = ("anthropic-", "openai-", "x-stainless-", "user-agent")
NOT_TO_AGENT = {
    "connection", "content-encoding", "content-length", "date", "keep-alive", "server",
    "set-cookie", "transfer-encoding",
}  # fmt: skip
OVERLOADED = {503, 529}  # told before any work, as all 4xx are

logger = logging.getLogger(__name__)


class Meter(Closing):
    """The proxy, listening until `close`; also a context manager.

    source: the model, or the player of a cassette, which costs nothing; cassette: where calls are
    recorded; socket_path: a Unix socket to listen on, for a sandbox without network. Without one it
    listens on a free port of 127.0.0.1, at `url`. Agents use `token` as their key.
    Raises ValueError for a socket's path that is too long, and OSError where it cannot listen.

    >>> with Meter(Upstream(url, key), budget=Budget(Caps(dollars=5)), prices=prices) as meter:
    ...     run_agent(base_url=meter.url, key=meter.token)
    ...     meter.budget.spent.dollars
    """

    def __init__(
        self,
        source: Upstream | Player,
        *,
        budget: Budget,
        prices: PriceTable,
        cassette: Path | None = None,
        socket_path: Path | None = None,
    ) -> None:
        self.budget = budget
        self.token = f"simlift-{secrets.token_hex(16)}"
        self.socket_path = socket_path
        self._source, self._prices = source, prices
        key = source.key if isinstance(source, Upstream) else ""
        self._key = key.encode()
        self._cassette = Cassette(cassette, key) if cassette else None
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._server = _listen(self, socket_path)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens on the loopback. Raises ValueError where it listens on a socket."""
        if self.socket_path is not None:
            raise ValueError(f"listens on {self.socket_path}, not on the loopback")
        _, port = self._server.socket.getsockname()
        return f"http://127.0.0.1:{port}"

    def close(self) -> None:
        """Stop listening; calls under way are broken off and charged at their worst."""
        self._server.shutdown()
        self._thread.join()
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()
        if self.socket_path is not None:
            self.socket_path.unlink(missing_ok=True)

    @contextmanager
    def holding(self, connection: socket.socket) -> Iterator[None]:
        """While it is held, `close` breaks this connection off."""
        with self._lock:
            self._open.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(connection)

    # -- one request

    def admits(self, headers: Message, query: str) -> bool:
        """Whether a request carries the token."""
        given = [
            headers.get("x-api-key"),
            headers.get("x-goog-api-key"),
            (headers.get("authorization") or "").removeprefix("Bearer "),
            dict(urllib.parse.parse_qsl(query)).get("key"),
        ]
        return any(one and hmac.compare_digest(one.encode(), self.token.encode()) for one in given)

    def handle(self, handler: "Handler", api: Api, path: str, query: str, raw: bytes) -> None:
        """Answer one request to a model: from the model, from the cassette, or with a refusal."""
        try:
            request = Request.parse(api, path, raw)
            if request.dropped:
                logger.warning("left out of a request: %s", ", ".join(request.dropped))
            if isinstance(self._source, Player):
                self._play(handler, self._source, path, request)
                return
            call = self.budget.reserve(request, self._prices.of(request.model))
        except (OverCap, Refused, UnknownPrice) as refusal:
            handler.fail(api, 400, str(refusal))
            return
        self._forward(handler, self._source, call, path, query)

    def _play(self, handler: "Handler", player: Player, path: str, request: Request) -> None:
        call = player.answer(path, request.body)
        if call is None:
            handler.fail(request.api, 400, "the cassette holds no further call of this kind")
            return
        handler.begin(call.status or 502, {"content-type": call.content_type})
        handler.pass_on(call.body.encode())
        if call.whole:
            handler.end()

    def _forward(
        self, handler: "Handler", upstream: Upstream, call: Reservation, path: str, query: str
    ) -> None:
        request = call.request
        started, clock = datetime.datetime.now(datetime.UTC), time.monotonic()
        heard = Heard(request.api)
        with ExitStack() as stack:
            try:
                connection = upstream.connect()
            except (OSError, ValueError) as error:
                charge = self.budget.release(call)
                handler.fail(request.api, 502, f"the model cannot be reached: {error}")
            else:
                stack.callback(connection.close)
                stack.enter_context(self.holding(connection.sock))
                try:
                    self._exchange(handler, upstream, connection, request, path, query, heard)
                except (OSError, http.client.HTTPException):
                    logger.warning("the connection to the model broke off")
                    if heard.status is None:
                        handler.fail(request.api, 502, "the model broke the connection off")
                finally:
                    charge = self._charge(call, heard)
        if self._cassette is not None:
            self._cassette.append(
                Call(
                    at=started.isoformat(timespec="milliseconds"),
                    seconds=round(time.monotonic() - clock, 3),
                    api=request.api.value,
                    path=path,
                    request=request.body,
                    status=heard.status,
                    content_type=heard.content_type,
                    body=heard.body.decode(errors="replace"),
                    whole=heard.whole,
                    usage=asdict(charge.usage) if charge.usage else None,
                    dollars=charge.dollars,
                )
            )
        # Only now: whoever has the whole answer also finds it charged and recorded.
        if heard.whole:
            handler.end()

    def _exchange(
        self,
        handler: "Handler",
        upstream: Upstream,
        connection: http.client.HTTPConnection,
        request: Request,
        path: str,
        query: str,
        heard: "Heard",
    ) -> None:
        given = [(name.lower(), value) for name, value in handler.headers.items()]
        headers = {name: value for name, value in given if name.startswith(TO_MODEL)}
        headers |= {"content-type": "application/json"} | request.api.authorization(upstream.key)
        body = json.dumps(request.body).encode()
        connection.request("POST", upstream.path(path, query), body, headers)
        with connection.getresponse() as response:
            heard.begin(response)
            handler.begin(
                response.status,
                {k: v for k, v in response.getheaders() if k.lower() not in NOT_TO_AGENT},
            )
            while chunk := response.read1(CHUNK):
                heard.add(chunk)
                if heard.stream:
                    handler.pass_on(chunk)
            heard.whole = not response.length  # a connection that ends early is no error to read1
        if not heard.stream:  # an error can quote the key that it was sent
            handler.pass_on(bytes(heard.body).replace(self._key, b"[key]"))

    def _charge(self, call: Reservation, heard: "Heard") -> Charge:
        answer = heard.answer
        if answer is None:  # sent, and never answered
            return self.budget.charge(call, Answer(call.request.api, stream=False))
        answer.close()
        status = heard.status or 0
        untold = answer.prompt is None and answer.output is None
        if untold and (400 <= status < 500 or status in OVERLOADED):
            return self.budget.release(call)
        return self.budget.charge(call, answer)


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection from an agent; it carries one request."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE
    server: "_Loopback | _Unix"

    def handle(self) -> None:
        with self.server.meter.holding(self.connection), suppress(ConnectionError):
            self.gone = self.begun = False
            super().handle()

    def do_POST(self) -> None:
        meter = self.server.meter
        url = urllib.parse.urlsplit(self.path)
        api, raw = api_of(url.path), self._body()  # read in any case, else the answer is lost
        if api is None:
            self.fail(Api.CHAT, 404, f"{url.path} is not an API that this proxy meters")
        elif not meter.admits(self.headers, url.query):
            self.fail(api, 401, "the key is not the one that this run was given")
        elif raw is None:
            self.fail(api, 400, f"send at most {LARGEST} bytes, uncompressed, with their length")
        else:
            meter.handle(self, api, url.path, url.query, raw)

    def do_GET(self) -> None:
        self.fail(Api.CHAT, 404, f"{self.path.partition('?')[0]} is not metered, so not forwarded")

    def do_HEAD(self) -> None:  # some agents ask whether anybody is there
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()

    def _body(self) -> bytes | None:
        length = self.headers.get("content-length", "")
        if (
            not (length.isascii() and length.isdigit())
            or int(length) > LARGEST
            or self.headers.get("content-encoding")
        ):
            return None
        return self.rfile.read(int(length))

    # -- the answer; an agent that is gone does not stop what is under way, and its count

    def fail(self, api: Api, status: int, message: str) -> None:
        """Answer with an error in the API's form."""
        self.begin(status, {"content-type": "application/json"})
        self.pass_on(json.dumps(api.error(status, message)).encode())
        self.end()

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the head of an answer."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        with self._agent():
            self.end_headers()

    def pass_on(self, chunk: bytes) -> None:
        """Send a part of the answer."""
        if chunk and not self.gone:
            with self._agent():
                self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))

    def end(self) -> None:
        """Send the end of the answer; without it the agent sees that the answer broke off."""
        if not self.gone:
            with self._agent():
                self.wfile.write(b"0\r\n\r\n")

    @contextmanager
    def _agent(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            self.gone = True

    def address_string(self) -> str:
        return "agent"  # a Unix socket has no address

    def log_message(self, format: str, *args: object) -> None:
        logger.debug(format, *args)


class _Threads(socketserver.ThreadingMixIn):
    meter: Meter

    def handle_error(self, request: object, client_address: object) -> None:
        logger.exception("a request could not be answered")


class _Loopback(_Threads, socketserver.TCPServer):
    pass


class _Unix(_Threads, socketserver.UnixStreamServer):
    pass


def _listen(meter: Meter, path: Path | None) -> _Loopback | _Unix:
    server: _Loopback | _Unix
    if path is None:
        server = _Loopback(("127.0.0.1", 0), Handler)
    else:
        if len(bytes(path)) > LONGEST_PATH:
            raise ValueError(f"{path}: a socket's path has at most {LONGEST_PATH} bytes")
        server = _Unix(str(path), Handler)
        path.chmod(0o600)
    server.meter = meter
    return server
