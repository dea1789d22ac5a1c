"""The response object on the wire, whoever made it, and the headers around it.

H2.31 to H2.35 with decision 1, the session of H9.20 to H9.24, and the headers of H9.10 to H9.22 and H13.3.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

import pytest

from responses_stream import CreateResponse, ResponseContext, ResponsesServer, ResponsesServerOptions
from responses_stream.builders.events import AsyncYield
from responses_stream.protocol.response import ResponseUsage

from .asking import Answer, ask
from .playing import MODES, STORED, STREAMS, Played, check_whole, play

pytestmark = pytest.mark.anyio

# W31 of websocket-and-compact.md.
W31: Final = {
    *("id", "object", "created_at", "completed_at", "status", "incomplete_details", "model", "previous_response_id"),
    *("instructions", "output", "error", "tools", "tool_choice", "truncation", "parallel_tool_calls", "text", "top_p"),
    *("presence_penalty", "frequency_penalty", "top_logprobs", "temperature", "reasoning", "usage"),
    *("max_output_tokens", "max_tool_calls", "store", "background", "service_tier", "metadata", "safety_identifier"),
    "prompt_cache_key",
}
OURS: Final = {"agent_session_id", "response_id"}
ITEM: Final = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": []}
OPEN: Final = {"status": "in_progress"}
ITEM_SET: Final = {**ITEM, "id": "msg_2", "response_id": "resp_mine", "agent_reference": {"type": "mine", "name": "me"}}


async def built(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[AsyncYield]:
    stream = context.stream()
    yield stream.emit_created()
    yield stream.emit_in_progress()
    yield stream.output_item_message("x")
    yield stream.emit_completed(usage=ResponseUsage(input_tokens=1, output_tokens=2, total_tokens=3))


def raw(_request: CreateResponse, context: Any) -> Iterator[dict[str, Any]]:
    """Yield events that have nothing but what they must (H3.9: not even the id)."""
    yield {"type": "response.created", "response": {"status": "in_progress", "output": []}}
    yield {"type": "response.in_progress", "response": {"id": context.response_id, "output": []}}
    yield {"type": "response.output_item.added", "output_index": 0, "item": {**ITEM, **OPEN}}
    yield {"type": "response.output_item.done", "output_index": 0, "item": ITEM}
    yield {"type": "response.output_item.added", "output_index": 1, "item": {**ITEM_SET, **OPEN}}
    yield {"type": "response.output_item.done", "output_index": 1, "item": ITEM_SET}
    done = {"id": context.response_id, "status": "completed", "output": [ITEM, ITEM_SET]}
    yield {"type": "response.completed", "response": done}


async def raw_async(request: CreateResponse, context: ResponseContext) -> AsyncIterator[dict[str, Any]]:
    for event in raw(request, context):
        yield event


async def fails(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[AsyncYield]:
    yield context.stream().emit_created()
    raise RuntimeError


def responses_of(played: Played) -> list[dict[str, Any]]:
    """Return every response object that a client may have seen."""
    answers = [answer for answer in (played.created, played.got, played.replayed) if answer.status == 200]
    found: list[dict[str, Any]] = []
    for answer in answers:
        if answer.headers["content-type"] == "application/json":
            found.append(answer.json)
        else:
            found += [event["response"] for event in answer.events if "response" in event]
    return found


ASKED: Final[dict[str, Any]] = {
    "model": " m ",
    "temperature": 0.5,
    "top_p": 0.25,
    "instructions": "Be brief.",
    "metadata": {"a": "b"},
    "max_output_tokens": 99,
    "tool_choice": "none",
    "truncation": "auto",
    "parallel_tool_calls": False,
    "safety_identifier": "s",
    "prompt_cache_key": "k",
    "service_tier": "flex",
    "conversation": "conv_1",
    "agent_reference": {"type": "agent_reference", "name": "tutor", "version": "2"},
    "agent_session_id": "session",
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("handler", [built, raw, raw_async, fails])
async def test_every_response_has_every_member(
    handler: Callable[..., Any], mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Decision 1, against H2.31 and H2.32: the same members from all handlers, in JSON and SSE, with nulls."""
    played = await play(handler, mode, body=ASKED)
    check_whole(played)
    found = responses_of(played)
    assert found
    assert played.response["status"] == ("failed" if handler is fails else "completed"), caplog.text
    for response in found:
        assert response.keys() >= W31 | OURS
        assert "sequence_number" not in response
        for member in (
            "temperature",
            "top_p",
            "instructions",
            "metadata",
            "max_output_tokens",
            "tool_choice",
            "truncation",
            "parallel_tool_calls",
            "safety_identifier",
            "prompt_cache_key",
            "service_tier",
            "agent_reference",
            "agent_session_id",
        ):
            assert response[member] == ASKED[member], member
        assert (response["model"], response["object"]) == ("m", "response")
        assert response["id"] == response["response_id"] == found[0]["id"]
        assert response["conversation"] == {"id": "conv_1"}  # H9.24, H2.34
        assert response["background"] is (mode in ("B", "BS"))
        assert response["store"] is (mode in STORED)
        assert type(response["created_at"]) is int
        assert response["created_at"] == found[0]["created_at"]
        assert response["error"] is None or response["status"] == "failed"  # H3.37
        assert response["completed_at"] is None or response["status"] == "completed"


@pytest.mark.parametrize("mode", MODES)
async def test_what_nobody_asked_for_has_the_documented_default(mode: str) -> None:
    """Decision 1: extension fields only where they have a value; `agent_session_id` always has one."""
    for response in responses_of(await play(raw, mode, body={"model": None})):
        assert "conversation" not in response
        assert "agent_reference" not in response
        assert (response["model"], response["metadata"], response["tools"]) == ("", {}, [])
        assert (response["temperature"], response["top_p"], response["tool_choice"]) == (1, 1, "auto")
        assert (response["parallel_tool_calls"], response["truncation"]) == (True, "disabled")
        assert len(response["agent_session_id"]) == 63


@pytest.mark.parametrize("mode", ["S", "BS"])
async def test_usage_is_what_the_handler_said_and_never_computed(mode: str) -> None:
    """H2.31."""
    assert (await play(built, mode)).response["usage"]["total_tokens"] == 3
    assert (await play(raw, mode)).response["usage"] is None


@pytest.mark.parametrize("mode", MODES)
async def test_items_say_which_response_and_agent_they_are_of(mode: str) -> None:
    """H2.33: a value that the handler has set is kept."""
    played = await play(raw, mode, body={"agent_reference": {"type": "agent_reference", "name": "tutor"}})
    stamped, kept = played.response["output"]
    assert stamped["response_id"] == played.response["id"]
    assert stamped["agent_reference"] == {"type": "agent_reference", "name": "tutor"}
    assert (kept["response_id"], kept["agent_reference"]) == ("resp_mine", {"type": "mine", "name": "me"})
    if mode in STREAMS:
        items = [event["item"] for event in played.created.events if "item" in event]
        assert items == [{**stamped, **OPEN}, stamped, {**kept, **OPEN}, kept]


async def test_items_have_no_agent_where_the_request_has_none() -> None:
    """H2.33."""
    assert "agent_reference" not in (await play(raw, "S")).response["output"][0]


@pytest.mark.parametrize("said", [None, {}, {"type": "agent_reference"}])
@pytest.mark.parametrize("mode", ["S", "BS"])
async def test_the_agent_of_the_request_is_restored(said: dict[str, Any] | None, mode: str) -> None:
    """H2.35."""
    agent = {"type": "agent_reference", "name": "tutor"}

    def partial(_request: CreateResponse, context: Any) -> Iterator[dict[str, Any]]:
        whole = {"id": context.response_id, "output": [], "agent_reference": said}
        yield {"type": "response.created", "response": {**whole, "status": "in_progress"}}
        yield {"type": "response.completed", "response": {**whole, "status": "completed"}}

    played = await play(partial, mode, body={"agent_reference": agent})
    assert all(response["agent_reference"] == agent for response in responses_of(played))


def derived(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()[:63]


HINT: Final = "resp_0123456789abcdef00" + "x" * 32


@pytest.mark.parametrize(
    ("body", "configured", "session"),
    [
        ({"agent_session_id": " mine "}, "env", "mine"),
        ({"agent_session_id": " "}, "env", "env"),
        ({}, "env", "env"),
        ({"conversation": "conv_1"}, None, derived("server-default-agent::conv_1")),
        ({"conversation": {"id": "conv_1"}}, None, derived("server-default-agent::conv_1")),
        ({"conversation": HINT}, None, derived("server-default-agent::0123456789abcdef00")),
        (
            {"conversation": "c", "agent_reference": {"type": "agent_reference", "name": "n", "version": "3"}},
            None,
            derived("n:3:c"),
        ),
    ],
)
async def test_the_session_of_a_response(body: dict[str, Any], configured: str | None, session: str) -> None:
    """H9.20, H9.21; the header of a create says it (H9.22), and `GET` and replay have it in the body (H9.23)."""
    options = ResponsesServerOptions(agent_session_id=configured)
    played = await play(built, "BS", options=options, body=body)
    assert {response["agent_session_id"] for response in responses_of(played)} == {session}
    assert played.created.headers["x-agent-session-id"] == session
    for answer in (played.got, played.replayed):
        assert answer.headers.get("x-agent-session-id") == configured


async def test_turns_of_a_chain_share_a_session_from_the_second_on() -> None:
    """H9.21 and H9.17: turn 1 has a random one, and all ids of a chain have one partition."""
    server = ResponsesServer()
    server.response_handler(built)
    turns = [(await ask(server, {"input": "1"})).json]
    for _ in range(3):
        turns.append((await ask(server, {"input": "n", "previous_response_id": turns[-1]["id"]})).json)
    first, *later = [turn["agent_session_id"] for turn in turns]
    assert len(set(later)) == 1
    assert first != later[0]
    assert len({turn["id"].split("_")[1][:18] for turn in turns}) == 1
    assert len({turn["id"] for turn in turns}) == 4


@pytest.mark.parametrize("configured", ["env", None])
async def test_the_session_header_of_everything_but_a_create(configured: str | None) -> None:
    """H9.22: the configured session, and no header where there is none."""
    server = ResponsesServer(options=ResponsesServerOptions(agent_session_id=configured))
    server.response_handler(built)
    made = (await ask(server, {"background": True})).json
    path = f"/v1/responses/{made['id']}"
    for method, where in [
        ("GET", path),
        ("GET", f"{path}/input_items"),
        ("DELETE", path),
        ("GET", "/readiness"),
    ]:
        answer = await ask(server, method=method, path=where)
        assert answer.headers.get("x-agent-session-id") == configured, (method, where)


async def every_answer(server: ResponsesServer) -> list[Answer]:
    """Return one answer of each kind."""
    made = (await ask(server, {})).json["id"]
    return [
        await ask(server, {}),
        await ask(server, {"stream": True}),
        await ask(server, {"background": True}),
        await ask(server, b"no json"),
        await ask(server, method="GET", path=f"/v1/responses/{made}"),
        await ask(server, method="GET", path=f"/v1/responses/{made}", query="stream=true"),
        await ask(server, method="DELETE", path=f"/v1/responses/{made}"),
        await ask(server, path=f"/v1/responses/{made}/cancel"),
        await ask(server, method="GET", path="/readiness"),
        await ask(server, method="GET", path="/nowhere"),
        await ask(server, method="PUT", path="/v1/responses"),
        await ask(server, method="OPTIONS", path="/v1/responses"),
        await ask(server, method="HEAD", path="/readiness"),
    ]


async def test_every_answer_says_who_made_it_and_for_which_request() -> None:
    """H9.10, H9.11 and H1.8: each once, on errors of the router and on streams as well."""
    server = ResponsesServer(options=ResponsesServerOptions(additional_server_version="acme/1 (x)"))
    server.response_handler(built)
    answers = await every_answer(server)
    for answer in answers:
        product, language, *more = answer.headers["x-platform-server"].split(" ")
        assert product.startswith("responses-stream/")
        assert language.startswith("(python/3.")
        assert more == ["acme/1", "(x)"]
        assert len(answer.headers["x-request-id"]) == 32
    assert len({answer.headers["x-request-id"] for answer in answers}) == len(answers)


async def test_errors_say_whose_fault_they_are_and_successes_do_not() -> None:
    """H8.5 and decision 19."""
    server = ResponsesServer()
    server.response_handler(built)
    for answer in await every_answer(server):
        assert answer.headers.get("x-platform-error-source") == ("user" if answer.status >= 400 else None)


async def test_the_headers_of_a_stream_are_those_of_its_replay() -> None:
    """H13.3 and H5.19."""
    played = await play(built, "BS", options=ResponsesServerOptions(agent_session_id="one"))
    first, second = dict(played.created.headers), dict(played.replayed.headers)
    assert first.pop("x-request-id") == "mine"
    assert second.pop("x-request-id") != "mine"
    assert first == second
    assert first["content-type"] == "text/event-stream; charset=utf-8"
    assert (first["cache-control"], first["x-accel-buffering"]) == ("no-cache, no-transform", "no")
