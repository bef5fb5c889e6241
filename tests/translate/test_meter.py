"""The metering proxy against a scripted model on the loopback: nothing is overspent or leaked."""

import http.client
import json
import re
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from simlift.translate.budget import Budget, Caps, Spent
from simlift.translate.meter import Meter
from simlift.translate.prices import PriceTable
from simlift.translate.upstream import Upstream

from .scripted_model import (
    ANSWERS,
    DOLLAR,
    KEY,
    PATHS,
    REQUESTS,
    STREAMS,
    Model,
    ask,
    error,
    metered,
    sse,
)

# -- counting


@pytest.mark.parametrize("api", PATHS)
def test_an_answer_is_passed_on_and_charged(model: Model, api: str) -> None:
    model.answer = json.dumps(ANSWERS[api]).encode()
    with metered(model) as meter:
        assert ask(meter, api) == (200, model.answer)
        assert meter.budget.spent == Spent(dollars=pytest.approx(50 * DOLLAR), tokens=50, calls=1)


@pytest.mark.parametrize("api", PATHS)
def test_a_stream_is_passed_on_and_charged(model: Model, api: str) -> None:
    model.answer, model.type = sse(STREAMS[api]) + b"data: [DONE]\n\n", "text/event-stream"
    streamed = {"path": "/v1beta/models/m:streamGenerateContent?alt=sse"} if api == "gemini" else {}
    with metered(model) as meter:
        assert ask(meter, api, stream=True, **streamed) == (200, model.answer)
        assert meter.budget.spent == Spent(dollars=pytest.approx(50 * DOLLAR), tokens=50, calls=1)


def test_a_chat_stream_is_asked_for_its_usage(model: Model) -> None:
    with metered(model) as meter:
        ask(meter, "chat", stream=True)
    assert model.asked[0][2]["stream_options"] == {"include_usage": True}


def test_caches_are_charged_at_their_rates(model: Model) -> None:
    prices = PriceTable.parse(
        {
            "models": {
                "m": {
                    "input": 1.0,
                    "cache_read": 10.0,
                    "cache_write": 100.0,
                    "cache_write_1h": 1000.0,
                    "output": 10_000.0,
                    "max_output": 100,
                }
            }
        },
        "test",
    )
    usage = {
        "input_tokens": 1,
        "cache_read_input_tokens": 2,
        "cache_creation_input_tokens": 7,
        "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4},
        "output_tokens": 5,
    }
    model.answer = json.dumps({"usage": usage}).encode()
    budget = Budget(Caps(dollars=1e5))
    with Meter(Upstream(model.url, KEY), budget=budget, prices=prices) as meter:
        ask(meter, "anthropic")
        assert meter.budget.spent.dollars == pytest.approx(54_321 / 1e6)


# -- what is not told is charged at its worst


@pytest.mark.parametrize("status", [400, 401, 429, 503, 529])
def test_a_refusal_of_the_model_costs_nothing(model: Model, status: int) -> None:
    model.status, model.answer = status, b'{"error": {"message": "later"}}'
    with metered(model) as meter:
        assert ask(meter, "anthropic") == (status, model.answer)
        assert meter.budget.spent == Spent(calls=1)


@pytest.mark.parametrize(
    ("status", "answer"),
    [(500, b'{"error": {}}'), (200, b"{broken"), (200, b"{}"), (200, b'{"usage": {"x": -1}}')],
)
def test_what_no_answer_tells_is_charged_at_its_worst(
    model: Model, status: int, answer: bytes
) -> None:
    model.status, model.answer = status, answer
    with metered(model) as meter:
        assert ask(meter, "anthropic") == (status, answer)
        spent = meter.budget.spent
    assert spent.unknown == spent.dollars == pytest.approx(spent.tokens * DOLLAR)
    assert spent.tokens > 2000
    assert spent.reserved == 0


def test_death_mid_stream_is_charged_with_the_longest_answer(model: Model) -> None:
    model.answer, model.type = sse(STREAMS["anthropic"][:2]), "text/event-stream"
    model.dies = True
    with metered(model) as meter:
        with pytest.raises(http.client.IncompleteRead) as died:
            ask(meter, "anthropic", stream=True)
        assert died.value.partial == model.answer
    spent = meter.budget.spent
    assert spent.tokens == 30 + 50
    assert spent.unknown == spent.dollars == pytest.approx(80 * DOLLAR)


def test_a_model_that_is_not_there_costs_nothing(model: Model) -> None:
    gone = Model()
    gone.server_close()
    with metered(gone) as meter:
        status, answer = ask(meter, "responses")
        assert status == 502 and "cannot be reached" in error(answer)
        assert meter.budget.spent == Spent(calls=1)


# -- caps hold before a call is forwarded


@pytest.mark.parametrize("api", PATHS)
@pytest.mark.parametrize(
    ("caps", "told"),
    [
        (Caps(dollars=2000), r"\$2000.0000 of \$2000 are left"),
        (Caps(dollars=1e5, tokens=2000), "2000 of 2000 are left"),
    ],
)
def test_a_call_that_could_exceed_a_cap_is_not_forwarded(
    model: Model, api: str, caps: Caps, told: str
) -> None:
    with metered(model, caps) as meter:
        status, answer = ask(meter, api)
        assert meter.budget.spent == Spent()
    assert status == 400 and model.asked == []
    assert re.search(told, error(answer))


def test_the_cap_on_calls_holds(model: Model) -> None:
    model.answer = json.dumps(ANSWERS["chat"]).encode()
    with metered(model, Caps(dollars=1e5, calls=2)) as meter:
        assert [ask(meter, "chat")[0] for _ in range(3)] == [200, 200, 400]
    assert len(model.asked) == 2


def test_what_was_spent_before_counts(model: Model) -> None:
    budget = Budget(Caps(dollars=1e5), Spent(dollars=1e5 - 100))
    with metered(model, budget=budget) as meter:
        assert ask(meter, "chat")[0] == 400
    assert model.asked == []


def test_concurrent_calls_do_not_exceed_the_cap_together(model: Model) -> None:
    """Each call could cost about 2,150 dollars, so that only two can be under way at once."""
    gate = threading.Event()

    def answer() -> bytes:
        gate.wait(20)
        return json.dumps(ANSWERS["chat"]).encode()

    model.answer = answer
    with metered(model, Caps(dollars=5000)) as meter:
        statuses: list[int] = []

        def call() -> None:
            statuses.append(ask(meter, "chat")[0])
            if len(statuses) == 6:  # the refused ones come back first
                gate.set()

        threads = [threading.Thread(target=call) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        spent = meter.budget.spent
    assert sorted(statuses) == [200] * 2 + [400] * 6
    assert len(model.asked) == 2
    assert spent == Spent(dollars=pytest.approx(100 * DOLLAR), tokens=100, calls=2)


def test_a_repeated_prompt_is_estimated_by_what_it_cost_before(model: Model) -> None:
    model.answer = json.dumps(ANSWERS["anthropic"]).encode()
    long = [{"role": "user", "content": "x" * 5000}]
    with metered(model, Caps(dollars=8000)) as meter:
        assert ask(meter, "anthropic", messages=long)[0] == 200
        # By its bytes, this would not fit: two times 5,000.
        marked = [{"role": "user", "content": "x" * 5000, "cache_control": {"type": "ephemeral"}}]
        longer = [*marked, {"role": "user", "content": "y" * 4000}]
        assert ask(meter, "anthropic", messages=longer)[0] == 200
        new = [{"role": "user", "content": "z" * 8000}]
        assert ask(meter, "anthropic", messages=new)[0] == 400


@pytest.mark.parametrize("api", PATHS)
def test_the_longest_answer_is_bounded_in_the_request(model: Model, api: str) -> None:
    with metered(model, Caps(dollars=1e5, output=7)) as meter:
        ask(meter, api)
    body = model.asked[0][2]
    keys = {"anthropic": "max_tokens", "chat": "max_tokens", "responses": "max_output_tokens"}
    settings = body["generationConfig"] if api == "gemini" else body
    assert settings[keys.get(api, "maxOutputTokens")] == 7


@pytest.mark.parametrize(
    ("api", "changes", "told"),
    [
        ("anthropic", {"model": "unheard-of"}, "no price is known"),
        ("anthropic", {"model": None}, "names no model"),
        ("anthropic", {"speed": "fast"}, "costs more"),
        ("anthropic", {"mcp_servers": [{"url": "x"}]}, "kept elsewhere"),
        ("anthropic", {"messages": [{"content": [{"type": "document"}]}]}, "cannot be bounded"),
        ("chat", {"n": 3}, "n = 3"),
        ("chat", {"service_tier": "priority"}, "costs more"),
        ("responses", {"previous_response_id": "r1"}, "kept elsewhere"),
        ("responses", {"background": True}, "background"),
        ("responses", {"context_management": [{"type": "compaction"}]}, "compaction"),
        ("responses", {"service_tier": ["priority"]}, "costs more"),
        ("gemini", {"cached_content": "c1"}, "kept elsewhere"),
        (
            "gemini",
            {"contents": [{"parts": [{"inlineData": {"mimeType": "video/mp4"}}]}]},
            "inline",
        ),
        ("gemini", {"generation_config": {"candidate_count": 9}}, "candidateCount = 9"),
    ],
)
def test_a_call_whose_cost_has_no_bound_is_refused(
    model: Model, api: str, changes: dict[str, Any], told: str
) -> None:
    with metered(model) as meter:
        status, answer = ask(meter, api, **changes)
    assert status == 400 and told in error(answer)
    assert model.asked == []


def test_tools_and_their_calls_may_hold_any_key(model: Model) -> None:
    used = {"type": "tool_use", "input": {"file_id": "x", "type": "file"}}
    tool = {"name": "t", "input_schema": {"properties": {"file_id": {"type": ["string", "null"]}}}}
    with metered(model) as meter:
        assert ask(meter, "anthropic", messages=[{"content": [used]}], tools=[tool])[0] == 200
    assert model.asked[0][2]["tools"] == [tool]


def test_a_picture_counts_more_than_its_bytes(model: Model) -> None:
    picture = {"type": "image", "source": {"data": "eA=="}}
    with metered(model, Caps(dollars=15_000)) as meter:
        assert ask(meter, "anthropic")[0] == 200
        assert ask(meter, "anthropic", messages=[{"content": [picture]}])[0] == 400


@pytest.mark.parametrize(
    ("api", "own", "hosted"),
    [
        ("anthropic", {"name": "read"}, {"type": "web_search_20250305"}),
        ("chat", {"type": "function"}, {"type": "web_search"}),
        ("responses", {"type": "local_shell"}, {"type": "code_interpreter"}),
        ("gemini", {"functionDeclarations": []}, {"googleSearch": {}}),
    ],
)
def test_tools_that_the_provider_runs_are_left_out(
    model: Model, api: str, own: dict[str, Any], hosted: dict[str, Any]
) -> None:
    with metered(model) as meter:
        assert ask(meter, api, tools=[own, hosted])[0] == 200
        assert ask(meter, api, tools=[hosted], tool_choice="required")[0] == 200
    assert model.asked[0][2]["tools"] == [own]
    assert model.asked[1][2].keys().isdisjoint({"tools", "tool_choice"})


def test_an_agent_that_goes_away_is_charged_what_it_cost(model: Model) -> None:
    asked, gate = threading.Event(), threading.Event()

    def answer() -> bytes:
        asked.set()
        gate.wait(20)
        return b": " + b"x" * 1_000_000 + b"\n" + sse(STREAMS["chat"])

    model.answer, model.type = answer, "text/event-stream"
    with metered(model) as meter:
        body = json.dumps(REQUESTS["chat"])
        connection = http.client.HTTPConnection(meter.url.removeprefix("http://"))
        headers = {"Authorization": f"Bearer {meter.token}", "Accept-Encoding": "gzip"}
        connection.request("POST", PATHS["chat"], body, headers)
        assert asked.wait(20)
        connection.close()
        gate.set()
        while meter.budget.spent.calls == 0:
            time.sleep(0.01)
        assert meter.budget.spent == Spent(dollars=pytest.approx(50 * DOLLAR), tokens=50, calls=1)
    assert model.asked[0][1]["accept-encoding"] == "identity"


# -- the key


@pytest.mark.parametrize("api", PATHS)
def test_the_key_is_added_outside_and_never_comes_back(
    model: Model, api: str, tmp_path: Path
) -> None:
    model.status, model.answer = 401, f'{{"error": "wrong key {KEY}"}}'.encode()
    tape = tmp_path / "tape.jsonl"
    with metered(model, cassette=tape) as meter:
        _, answer = ask(meter, api, path=PATHS[api] + f"?key={meter.token}")
        assert KEY not in repr(Upstream(model.url, KEY)) + str(vars(meter)["_source"])
    path, headers, _ = model.asked[0]
    assert answer == b'{"error": "wrong key [key]"}'
    assert any(KEY in value for value in headers.values())
    assert meter.token not in path + str(headers)
    assert KEY not in tape.read_text() and meter.token not in tape.read_text()


def test_only_the_token_of_the_run_is_served(model: Model) -> None:
    with metered(model) as meter:
        status, answer = ask(meter, "anthropic", token="guessed")
        assert status == 401 and "not the one" in error(answer)
    assert model.asked == []


@pytest.mark.parametrize("path", ["/v1/files", "/v1/messages/batches", "/v1/models/m:embedContent"])
def test_what_is_not_metered_is_not_forwarded(model: Model, path: str) -> None:
    with metered(model) as meter:
        assert ask(meter, "chat", path=path)[0] == 404
    assert model.asked == []


# -- listening, and ending


def test_it_listens_on_a_socket_of_its_owner(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "model.sock"
    with metered(model, socket_path=path) as meter:
        assert path.is_socket() and path.stat().st_mode & 0o077 == 0
        with pytest.raises(ValueError, match="not on the loopback"):
            _ = meter.url
    assert not path.exists()


def test_a_socket_with_too_long_a_name_is_refused(model: Model, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at most 107 bytes"):
        metered(model, socket_path=tmp_path / ("x" * 107))


def test_closing_breaks_off_what_is_under_way_and_charges_it(model: Model) -> None:
    asked, gate = threading.Event(), threading.Event()

    def answer() -> bytes:
        asked.set()
        gate.wait(20)
        return b"{}"

    model.answer = answer
    meter = metered(model)
    broken: list[BaseException] = []

    def call() -> None:
        try:
            ask(meter, "chat")
        except (OSError, http.client.HTTPException) as error:
            broken.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    assert asked.wait(20)
    meter.close()
    thread.join()
    gate.set()
    spent = meter.budget.spent
    assert spent.unknown == spent.dollars > 0 and spent.reserved == 0
    assert broken


@pytest.mark.parametrize("name", ["dollars", "tokens", "calls", "output"])
def test_a_cap_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"the cap on {name} is 0"):
        Caps(**{"dollars": 1.0, name: 0})


def test_projection_is_at_the_pace_so_far() -> None:
    assert Spent(dollars=2.0).projected(0.25) == 8.0
    with pytest.raises(ValueError, match="above 0"):
        Spent(dollars=2.0).projected(0.0)


@pytest.mark.parametrize(("url", "key"), [("api.openai.com", "k"), ("https://x", ""), ("", "k")])
def test_an_upstream_without_url_or_key_is_refused(url: str, key: str) -> None:
    with pytest.raises(ValueError, match=r"base URL|no usable key"):
        Upstream(url, key)
