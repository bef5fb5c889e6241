"""The forms in which models are asked and answer: Anthropic, OpenAI's two, and Gemini.

`Request` bounds what a call can cost before it is made; `Answer` reads, while the bytes pass, what
it did cost. Both are upper bounds where something is not said: a token is at least one byte of
text, and a count that never came is None.
"""

import codecs
import dataclasses
import enum
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from .prices import Usage

OVERHEAD = 2000  # tokens that a provider adds to a prompt of its own: frames, how tools are called
PER_PART = 16  # and to each message and tool
PICTURE = 16_000  # more tokens than any of them counts for a picture, however small its file


class Refused(ValueError):
    """A request that cannot be forwarded because its cost could not be bounded."""


class Api(enum.Enum):
    """Which API a path belongs to."""

    ANTHROPIC = "anthropic"
    CHAT = "chat"
    RESPONSES = "responses"
    GEMINI = "gemini"

    def authorization(self, key: str) -> dict[str, str]:
        """The header that carries the key."""
        match self:
            case Api.ANTHROPIC:
                return {"x-api-key": key}
            case Api.GEMINI:
                return {"x-goog-api-key": key}
        return {"authorization": f"Bearer {key}"}

    def error(self, status: int, message: str) -> dict[str, Any]:
        """The body of an error, in this API's own form."""
        match self:
            case Api.ANTHROPIC:
                kind = "invalid_request_error" if status == 400 else "api_error"
                return {"type": "error", "error": {"type": kind, "message": message}}
            case Api.GEMINI:
                told = "FAILED_PRECONDITION" if status == 400 else "UNAVAILABLE"
                return {"error": {"code": status, "message": message, "status": told}}
        kind = "invalid_request_error" if status == 400 else "server_error"
        return {"error": {"message": message, "type": kind, "param": None, "code": None}}


PATHS = {
    Api.ANTHROPIC: re.compile(r"^/v1/messages$"),
    Api.CHAT: re.compile(r"^(?:/v1)?/chat/completions$"),
    Api.RESPONSES: re.compile(r"^(?:/v1)?/responses$"),
    Api.GEMINI: re.compile(r"^/v1(?:beta)?/models/([^/:]+):(stream)?[gG]enerateContent$"),
}
# Tools that the agent itself runs. Others are run by the provider: they bill by the call, and reach
# the network that the sandbox does not have.
OWN_TOOLS = {
    Api.ANTHROPIC: re.compile(r"^(custom|(bash|text_editor|memory|computer)_\d+)$"),
    Api.CHAT: re.compile(r"^(function|custom)$"),
    Api.RESPONSES: re.compile(r"^(function|custom|local_shell|apply_patch|namespace)$"),
}
GEMINI_TOOLS = {"functionDeclarations", "function_declarations"}
# What names an input that is kept elsewhere, so that its length is not known here.
ELSEWHERE = {
    "previous_response_id", "conversation", "prompt", "container", "mcp_servers",
    "cachedContent", "cached_content",
}  # fmt: skip
CONTENT = ("messages", "system", "input", "contents", "systemInstruction")
INLINE = ("inlineData", "inline_data")
NESTED_ELSEWHERE = {"file_id", "fileId", "fileData", "file_data", "file_url", "fileUri"}
PICTURES = {"image", "image_url", "input_image"}
UNBOUNDED = {"document", "file", "input_file", "input_audio", "video_url"}
# Settings that bill what a bound on tokens does not see.
FORBIDDEN = {
    "audio", "background", "best_of", "candidateCount", "imageConfig", "modalities", "n",
    "prediction", "responseModalities", "speechConfig", "web_search_options",
}  # fmt: skip
USUAL: tuple[object, ...] = (None, False, 1, ["text"], ["TEXT"])
# What tools are called with, and what they answered: it can hold any keys, and names no files.
FREE = {"args", "input", "response"}
DEARER = {"speed": {"standard"}, "inference_geo": {"global"}, "service_tier": {
    "auto", "default", "standard", "standard_only", "flex"}}  # fmt: skip


def api_of(path: str) -> Api | None:
    """The API that a path (without its query) belongs to, None for all others."""
    return next((api for api, pattern in PATHS.items() if pattern.match(path)), None)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """One call to a model, understood.

    body: what is forwarded; parts: bytes of each message, tool and setting, by its digest;
    extra: tokens that may come on top; output: the most tokens it asks for, None where it does not
    say; hour: whether it writes to a cache that lasts an hour;
    dropped: tools that are run by the provider, left out of `body`.
    """

    api: Api
    model: str
    stream: bool
    body: dict[str, Any]
    parts: Mapping[bytes, int]
    extra: int
    output: int | None
    hour: bool
    dropped: tuple[str, ...]

    @classmethod
    def parse(cls, api: Api, path: str, raw: bytes) -> "Request":
        """Raises Refused for what is no request of this API, or cannot be bounded."""
        try:
            body = json.loads(raw)
        except ValueError:
            raise Refused("the request is not JSON") from None
        if not isinstance(body, dict):
            raise Refused("the request is not a JSON object")
        model, stream = body.get("model"), body.get("stream") is True
        if api is Api.GEMINI:
            found = PATHS[api].match(path)
            assert found is not None
            model, stream = found[1], found[2] is not None
        if not isinstance(model, str) or not model:
            raise Refused("the request names no model")
        if api is Api.GEMINI:
            body = _camel(body)
            body["generationConfig"] = _camel(body.get("generationConfig") or {})
        _check(body)
        dropped = _drop_tools(api, body)
        if api is Api.CHAT and stream:  # else a stream does not tell its usage
            options = body.get("stream_options")
            options = options if isinstance(options, dict) else {}
            body["stream_options"] = {**options, "include_usage": True}
        parts, pictures = _parts(body)
        return cls(
            api=api,
            model=model,
            stream=stream,
            body=body,
            parts=parts,
            extra=OVERHEAD + PER_PART * len(parts) + PICTURE * pictures,
            output=_output(api, body),
            hour=any(value == "1h" for key, value in _walk(body) if key == "ttl"),
            dropped=dropped,
        )

    def limit_output(self, tokens: int) -> None:
        """Ask for at most so many tokens in an answer."""
        match self.api:
            case Api.ANTHROPIC:
                self.body["max_tokens"] = tokens
            case Api.CHAT:
                # Servers that only speak this form know the older name, OpenAI's the newer one.
                older = "max_tokens" in self.body and "max_completion_tokens" not in self.body
                self.body.pop("max_tokens", None)
                self.body["max_tokens" if older else "max_completion_tokens"] = tokens
            case Api.RESPONSES:
                self.body["max_output_tokens"] = tokens
            case Api.GEMINI:
                self.body["generationConfig"]["maxOutputTokens"] = tokens


def _walk(value: Any) -> Iterator[tuple[str, Any]]:
    """All keys and values in a JSON value, what tools were called with left out."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            if not (key in FREE and isinstance(inner, dict)):
                yield from _walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _walk(inner)


def _check(body: dict[str, Any]) -> None:
    if kept := sorted(key for key in ELSEWHERE & body.keys() if body[key]):
        raise Refused(f"{kept[0]} refers to what is kept elsewhere: send the whole input")
    settings = body.get("generationConfig") or {}
    for key, value in [*body.items(), *settings.items()]:
        if key in FORBIDDEN and (value is True or value not in USUAL):
            raise Refused(f"the cost of {key} = {value!r} cannot be bounded: leave it out")
    for key, usual in DEARER.items():
        if body.get(key) is not None and str(body[key]) not in usual:
            raise Refused(f"{key} = {body[key]!r} costs more than the listed price: leave it out")
    for key, value in _walk(body.get("context_management")):
        if key == "type" and str(value).startswith("compact"):
            raise Refused("compaction by the provider bills calls of its own: leave it out")
    for key, value in _walk([body.get(name) for name in CONTENT]):
        if key in NESTED_ELSEWHERE and value:
            raise Refused(f"{key} refers to a file, whose length is not known: send text")
        if key == "type" and isinstance(value, str) and value in UNBOUNDED:
            raise Refused(f"tokens of a part of type {value!r} cannot be bounded: send text")
        if key in INLINE and not _is_picture(value):
            raise Refused(f"tokens of {key} other than pictures cannot be bounded: send text")


def _is_picture(inline: Any) -> bool:
    kinds = (
        [inline.get(key) for key in ("mimeType", "mime_type")] if isinstance(inline, dict) else []
    )
    return any(isinstance(kind, str) and kind.startswith("image/") for kind in kinds)


def _drop_tools(api: Api, body: dict[str, Any]) -> tuple[str, ...]:
    tools = body.get("tools")
    if not isinstance(tools, list):
        return ()
    kept: list[dict[str, Any]] = []
    dropped: list[str] = []
    for tool in tools:
        if not isinstance(tool, dict):
            raise Refused("a tool is not a JSON object")
        if api is Api.GEMINI:
            dropped += sorted(tool.keys() - GEMINI_TOOLS)
            tool = {key: value for key, value in tool.items() if key in GEMINI_TOOLS}
            kept += [tool] if tool else []
            continue
        kind = str(tool.get("type", "custom" if api is Api.ANTHROPIC else ""))
        if OWN_TOOLS[api].match(kind):
            kept.append(tool)
        else:
            dropped.append(kind)
    body["tools"] = kept
    if not kept:
        body.pop("tools")
        body.pop("tool_choice", None)
    return tuple(dropped)


def _parts(body: Mapping[str, Any]) -> tuple[dict[bytes, int], int]:
    """Bytes of each part of a request by its digest, and how many pictures there are.

    Marks of what is to be cached move from message to message; a part is the same without them.
    """
    parts: dict[bytes, int] = {}
    for key, value in body.items():
        for part in value if isinstance(value, list) else [value]:
            text = json.dumps([key, _unmarked(part)], ensure_ascii=False).encode(
                errors="surrogatepass"
            )
            digest = hashlib.sha256(text).digest()
            parts[digest] = parts.get(digest, 0) + len(text)
    inline = sum(key in INLINE for key, _ in _walk(body))
    return parts, inline + sum(
        key == "type" and isinstance(value, str) and value in PICTURES for key, value in _walk(body)
    )


def _unmarked(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _unmarked(inner) for key, inner in value.items() if key != "cache_control"}
    return [_unmarked(inner) for inner in value] if isinstance(value, list) else value


def _count(mapping: Any, key: str) -> int | None:
    value = mapping.get(key) if isinstance(mapping, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _output(api: Api, body: Mapping[str, Any]) -> int | None:
    match api:
        case Api.ANTHROPIC:
            return _count(body, "max_tokens")
        case Api.CHAT:
            newer = _count(body, "max_completion_tokens")
            return _count(body, "max_tokens") if newer is None else newer
        case Api.RESPONSES:
            return _count(body, "max_output_tokens")
        case Api.GEMINI:
            return _count(body.get("generationConfig"), "maxOutputTokens")


def _camel(settings: Any) -> dict[str, Any]:
    """Gemini takes names in either spelling; here they have one."""
    if not isinstance(settings, dict):
        raise Refused("the request's settings are not a JSON object")
    return {
        re.sub(r"_([a-z])", lambda found: found[1].upper(), key): value
        for key, value in settings.items()
    }


class Answer:
    """What an answer cost, read while its bytes pass.

    prompt: tokens that went in, output: tokens that came out; None until they are known for good.
    """

    def __init__(self, api: Api, *, stream: bool) -> None:
        self.prompt: Usage | None = None
        self.output: int | None = None
        self._api, self._stream = api, stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""

    def feed(self, chunk: bytes) -> None:
        """Read the next bytes of the answer."""
        self._text += self._decoder.decode(chunk)
        if self._stream:
            *lines, self._text = self._text.split("\n")
            for line in lines:
                if line.startswith("data:"):
                    self._event(line[len("data:") :])

    def close(self) -> None:
        """The answer has ended, well or not."""
        if not self._stream:
            self._event(self._text)

    def _event(self, text: str) -> None:
        try:
            event = json.loads(text)
        except ValueError:  # the end mark of a stream, or a broken answer: its cost is not known
            return
        for one in event if isinstance(event, list) else [event]:
            if isinstance(one, dict):
                match self._api:
                    case Api.ANTHROPIC:
                        self._anthropic(one)
                    case Api.CHAT:
                        self._openai(one.get("usage"), "prompt", "completion")
                    case Api.RESPONSES:
                        answer = one.get("response") if self._stream else one
                        if isinstance(answer, dict):
                            self._openai(answer.get("usage"), "input", "output")
                    case Api.GEMINI:
                        self._gemini(one)

    def _anthropic(self, event: dict[str, Any]) -> None:
        start = event.get("type") == "message_start"
        usage: Any = ((event.get("message") or {}) if start else event).get("usage")
        if (fresh := _count(usage, "input_tokens")) is not None:
            lasting = _count(usage.get("cache_creation"), "ephemeral_1h_input_tokens") or 0
            written = _count(usage, "cache_creation_input_tokens") or 0
            self.prompt = Usage(
                input=fresh,
                cache_read=_count(usage, "cache_read_input_tokens") or 0,
                cache_write=max(written - lasting, 0),
                cache_write_1h=lasting,
            )
        if not start:  # what a stream says of its output at its start is not all of it
            output = _count(usage, "output_tokens")
            self.output = self.output if output is None else output

    def _openai(self, usage: Any, prompt: str, output: str) -> None:
        if (told := _count(usage, f"{prompt}_tokens")) is not None:
            details = usage.get(f"{prompt}_tokens_details")
            read = min(_count(details, "cached_tokens") or 0, told)
            # Which of the others were written to a cache is not told: they count as the dearer.
            self.prompt = Usage(cache_read=read, cache_write=told - read)
            self.output = _count(usage, f"{output}_tokens")

    def _gemini(self, chunk: dict[str, Any]) -> None:
        usage = chunk.get("usageMetadata")
        if (told := _count(usage, "promptTokenCount")) is None or not isinstance(usage, dict):
            return
        told += _count(usage, "toolUsePromptTokenCount") or 0
        read = min(_count(usage, "cachedContentTokenCount") or 0, told)
        self.prompt = Usage(input=told - read, cache_read=read)
        candidates = chunk.get("candidates") or [{}]
        if not self._stream or any("finishReason" in one for one in candidates):
            thoughts = _count(usage, "thoughtsTokenCount") or 0
            self.output = (_count(usage, "candidatesTokenCount") or 0) + thoughts
