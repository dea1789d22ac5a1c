"""The samples of docs/examples that stand on `responses_stream.agents`: agents, bridges, relays and repair."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from responses_stream import AsyncYield, ResponseEventStream
from responses_stream.pytest_plugin import ResponseStreamRecorder

from .samples import PATIENCE, Open, asked, loaded, opening, under_uvicorn


@pytest.fixture
def sample(response_stream_recorder: ResponseStreamRecorder) -> Iterator[Open]:
    """Serves a sample, by its name."""
    with opening(response_stream_recorder) as opened:
        yield opened


def test_a_streaming_upstream_is_relayed_behind_an_item_of_our_own(sample: Open) -> None:
    answer = sample("relay_streaming").both(model="relay", input="Why?")
    assert [item.type for item in answer.output] == ["reasoning", "message"]
    assert (answer.output_text, answer.output[1].id == "msg_upstream") == ("You asked: Why?", False)
    assert answer.usage is not None
    assert answer.usage.total_tokens == 10


def test_an_upstream_that_breaks_off_is_told_without_its_reason(sample: Open) -> None:
    relaying = sample("relay_streaming")

    async def canned(_: str) -> AsyncIterator[AsyncYield]:
        yield ResponseEventStream("resp_upstream").emit_created()

    relaying.module.__dict__["canned"] = canned
    whole = relaying.create(model="relay", input="Why?")
    streamed = relaying.events(model="relay", input="Why?")[-1].response
    for answer in (whole, streamed):
        assert (answer.status, [item.type for item in answer.output]) == ("failed", ["reasoning"])
        assert answer.error is not None
        assert answer.error.code == "upstream_failed"


@pytest.mark.parametrize("name", ["relay_streaming", "relay_whole"])
def test_the_upstream_may_be_any_server(name: str, sample: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    upstream = sample("tutor")
    monkeypatch.setenv("UPSTREAM_BASE_URL", upstream.url)
    monkeypatch.setenv("OPENAI_API_KEY", "-")
    answer = sample(name).both(model="relay", input="Why is the sky blue?")
    theirs = upstream.create(model="tutor", input="Why is the sky blue?")
    assert answer.output_text == theirs.output_text
    assert answer.usage == theirs.usage
    assert not {item.id for item in answer.output} & {item.id for item in theirs.output}


def test_an_upstream_that_does_not_stream_is_relayed(sample: Open) -> None:
    answer = sample("relay_whole").both(model="relay", input="Why?")
    assert [item.type for item in answer.output] == ["web_search_call", "message"]
    assert answer.output_text == "You asked: Why?"


def test_an_agent_counts_in_two_branches_that_do_not_see_each_other(sample: Open) -> None:
    counter = sample("own_agent")
    first = counter.both(model="counter", input="one")
    assert [item.type for item in first.output] == ["reasoning", "mcp_call", "message"]
    assert first.output_text == "Turn 1: 1 words so far."
    left = counter.stream(model="counter", input="two more", previous_response_id=first.id)
    right = counter.create(model="counter", input="or three more", previous_response_id=first.id)
    ends = [
        counter.stream(model="counter", input="and one", previous_response_id=branch.id) for branch in (left, right)
    ]
    assert [answer.output_text for answer in (left, right, *ends)] == [
        "Turn 2: 3 words so far.",
        "Turn 2: 4 words so far.",
        "Turn 3: 5 words so far.",
        "Turn 3: 6 words so far.",
    ]


def test_an_agent_counts_in_a_conversation(sample: Open) -> None:
    counter = sample("own_agent")
    told = [counter.create(model="counter", input="one", conversation="conv_a").output_text for _ in range(3)]
    assert [text.split(":")[0] for text in told] == ["Turn 1", "Turn 2", "Turn 3"]


def test_an_agent_on_a_route_of_ones_own(response_stream_recorder: ResponseStreamRecorder) -> None:
    with loaded("agent_route") as module, under_uvicorn(module.app) as url:
        with asked(module, f"{url}/v1", response_stream_recorder) as route:
            first = route.both(model="m", input="Ada")
            assert first.output_text == "Hello, Ada."
            second = route.both(model="m", input="Grace", previous_response_id=first.id)
            assert second.output_text == "Hello, Grace. I know Ada as well."
        refused = httpx.post(f"{url}/v1/responses", json={"input": 3}, timeout=PATIENCE)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "input")


def test_a_broken_upstream_is_mended(sample: Open, caplog: pytest.LogCaptureFixture) -> None:
    mended = sample("repair")
    answer = mended.both(model="mended", input="Hi")
    assert answer.output_text == "It was broken."
    for rule in ("R012", "R081", "R082", "R093", "R180"):  # numbers, ids, no item, no part, and an empty output
        assert f"{rule} event" in caplog.text


def test_chat_completions_become_responses(sample: Open) -> None:
    answer = sample("from_chat").both(model="chat", input="Why?")
    assert [item.type for item in answer.output] == ["reasoning", "message"]
    assert answer.output_text == "You asked: Why?"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 10


def test_the_chat_upstream_may_be_any_server(sample: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    translator = sample("from_chat")

    async def completions(asked: Request) -> StreamingResponse:
        body = await asked.json()
        assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})
        chunks = [json.dumps(chunk) for chunk in translator.module.canned(body["messages"][0]["content"])]
        return StreamingResponse([f"data: {data}\n\n" for data in (*chunks, "[DONE]")], media_type="text/event-stream")

    app = Starlette(routes=[Route("/v1/chat/completions", completions, methods=["POST"])])
    with under_uvicorn(app) as url:
        monkeypatch.setenv("UPSTREAM_BASE_URL", f"{url}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "-")
        assert translator.both(model="chat", input="Why?").output_text == "You asked: Why?"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("openai_agents_bridge", "It is sunny in Oslo."),
        ("agent_framework_bridge", "It is sunny in Oslo."),
        ("pydantic_ai_bridge", "It is sunny there."),
        ("langgraph_bridge", "It is sunny in Oslo."),
    ],
)
def test_an_agent_of_a_framework_calls_its_tool_and_answers(name: str, text: str, sample: Open) -> None:
    weather = sample(name)
    first = weather.both(model="weather", input="How is the weather in Oslo?")
    call, message = first.output
    assert (call.type, message.type) == ("mcp_call", "message")
    assert call.type == "mcp_call"
    assert (call.name, call.output) == ("weather", f"sunny in {json.loads(call.arguments)['city']}")
    assert first.output_text == text
    second = weather.both(model="weather", input="And now?", previous_response_id=first.id)
    assert second.output_text == text
