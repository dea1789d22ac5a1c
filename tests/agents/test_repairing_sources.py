"""The text of an upstream: where it ends, what a frame is called, half characters, and answers that are no stream."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from openai._models import construct_type
from openai.types.responses import ResponseStreamEvent as OpenAIEvent

from responses_stream import ResponseEventStream, ResponsesServer, accumulate, validate_events
from responses_stream.agents import UpstreamFailed, relay
from responses_stream.agents.repairing import Repaired, repaired
from responses_stream.errors import InvalidValue
from responses_stream.protocol.codec import to_builtins
from responses_stream.sse import encode_event
from responses_stream.validation.examples import Json, frame_of, stream_of
from responses_transports.asgi import ASGIApp

DONE: Final = "data: [DONE]\n\n"
LIMITED: Final = b'{"error":{"message":"Slow down.","type":"requests","code":"rate_limit_exceeded"}}'


def text_of(events: Iterable[Json]) -> str:
    return "".join(map(frame_of, events))


def kept_open(*pieces: str) -> Iterator[str]:
    """Yield the pieces of an upstream that never closes its connection."""
    yield from pieces
    pytest.fail("a server that keeps the connection open would be waited for")


def read(source: Any) -> tuple[list[Json], Repaired]:
    stream = repaired(source)
    events = [to_builtins(event) for event in stream]
    report = validate_events(events)
    assert report.ok, str(report)
    return events, stream


# Where it ends.


@pytest.mark.parametrize(
    ("notation", "status"),
    [
        ("V1: drop 9", "completed"),
        ("V1: drop 6-9", "failed"),
        ('V1: drop 6-9; insert 6 {"type":"error","code":"x","message":"m"}', "failed"),
        ("V1: del 9.response", "completed"),
    ],
)
def test_nothing_is_read_behind_done(notation: str, status: str) -> None:
    events, _ = read(kept_open(text_of(stream_of(notation)), DONE))
    assert events[-1]["response"]["status"] == status


@pytest.mark.anyio
async def test_nothing_is_awaited_behind_done() -> None:
    async def upstream() -> AsyncIterator[str]:
        yield text_of(stream_of("V1: drop 9")) + DONE
        await asyncio.Event().wait()

    events = [event async for event in repaired(upstream())]
    assert events[-1].type == "response.completed"


def test_a_bare_terminal_event_is_the_end() -> None:
    events, stream = read(kept_open(text_of(stream_of("V1: del 9.response"))))
    assert events[-1]["type"] == "response.completed"
    assert stream.report.rules == ("R013",)


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_last_frame_without_its_blank_line_is_read(end: str) -> None:
    # R007: the usage of the response stands there only.
    events = stream_of("V1")
    got, stream = read(text_of(events).rstrip("\n") + end)
    assert got == events
    assert stream.report.untouched


def test_a_last_frame_that_was_cut_says_nothing() -> None:
    events, stream = read(text_of(stream_of("V1"))[:-40])
    assert events[-1]["response"]["status"] == "completed"
    assert stream.report.rules == ("R029",)


# What a frame is called.


def test_a_type_that_stands_in_the_event_line_only_is_the_type() -> None:
    events = stream_of("V13")
    frames = [f"event: {event.pop('type')}\ndata: {json.dumps(event)}\n\n" for event in stream_of("V13")]
    got, stream = read("".join(frames))
    assert got == events
    assert [repair.rule for repair in stream.report.repairs] == ["R011"]


# Half characters.


def as_dicts(events: Sequence[Json]) -> Any:
    return events


def as_bytes(events: Sequence[Json]) -> Any:
    return ["".join(f"data: {json.dumps(event)}\n\n" for event in events).encode()]


def by_openai(events: Sequence[Json]) -> Any:
    return [construct_type(value=event, type_=OpenAIEvent) for event in events]


EACH_FORM: Final = pytest.mark.parametrize("form", [as_dicts, as_bytes, by_openai])


@EACH_FORM
@pytest.mark.parametrize("base", ["V1", "V2"])
def test_a_character_that_was_cut_in_two_is_joined(form: Callable[[Sequence[Json]], Any], base: str) -> None:
    events = stream_of(base)
    deltas = [event for event in events if event["type"].endswith(".delta")]
    whole = "".join(event["delta"] for event in deltas)
    for event, delta in zip(deltas, ["a\ud83d", "\ude00b"], strict=False):
        event["delta"] = delta
    if len(deltas) == 1:
        events.insert(events.index(deltas[0]) + 1, {**deltas[0], "delta": "\ude00b"})
    plain = json.dumps(events).replace(json.dumps(whole)[1:-1], "a\\ud83d\\ude00b")
    events = [{**event, "sequence_number": number} for number, event in enumerate(json.loads(plain))]
    stream = repaired(form(events))
    said = list(stream)
    assert validate_events(b"".join(map(encode_event, said))).ok
    assert "".join(getattr(event, "delta", "") for event in said) == "a\U0001f600b"
    assert stream.report.rules == ("R001",)


@EACH_FORM
def test_half_a_character_that_nothing_follows_is_not_said(form: Callable[[Sequence[Json]], Any]) -> None:
    events = stream_of("V1")
    events[5]["delta"] = "lo\ud83d"
    stream = repaired(form(events))
    assert accumulate(list(stream)).output_text == "Hello"
    assert stream.report.rules == ("R001",)


@EACH_FORM
def test_half_a_character_elsewhere_is_replaced(form: Callable[[Sequence[Json]], Any]) -> None:
    events = stream_of("V1")
    events[4]["delta"], events[5]["delta"] = "\ud83d", "\ude00"
    for event in events[6:]:
        event.update(json.loads(json.dumps(event).replace("Hello", "\\ud83d\\ude00")))
    events[-1]["response"]["metadata"] = {"who": "\ude00", "what": ["it"]}
    said = list(repaired(form(events)))
    assert b"".join(map(encode_event, said))
    assert accumulate(said).metadata is not None


# Answers that are no stream.


@pytest.mark.parametrize("cut", [1, 7, 1_000])
@pytest.mark.parametrize("end", [b"", b"\n\n"])
def test_the_body_of_an_error_is_told_as_one(cut: int, end: bytes) -> None:
    body = LIMITED + end
    stream = repaired([body[at : at + cut] for at in range(0, len(body), cut)])
    (event,) = stream
    assert event.type == "error"
    assert to_builtins(event)["error"]["code"] == "rate_limit_exceeded"
    assert stream.report.rules == ("R012", "R011")


def test_a_relay_tells_the_error_of_a_body() -> None:
    ours = ResponseEventStream("resp_ours")
    ours.emit_created()
    with pytest.raises(UpstreamFailed) as failed:
        list(relay([LIMITED], stream=ours, repair=True))
    assert failed.value.code == "rate_limit_exceeded"


def test_a_page_of_html_is_told_to_the_operator(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="responses_stream"):
        events, _ = read([b"<html>", b"502 Bad Gateway" + b"." * 500])
    assert events[-1]["type"] == "response.failed"
    assert "502 Bad Gateway" in caplog.text
    assert "Gateway" not in json.dumps(events)
    assert len(caplog.records[0].getMessage()) < 400


def test_a_body_of_another_protocol_is_named() -> None:
    with pytest.raises(InvalidValue, match="from_chat_completions"):
        list(repaired(json.dumps({"object": "chat.completion.chunk", "choices": []})))


def test_events_that_come_one_on_a_line_are_read() -> None:
    events = stream_of("V1")
    assert read("\n".join(map(json.dumps, events)))[0] == events


def test_what_is_no_json_on_a_line_is_left_out() -> None:
    events = stream_of("V1")
    lines = [json.dumps(event) for event in events]
    got, stream = read("\n".join([*lines[:3], "oh", *lines[3:-1], lines[-1][:-9]]))
    assert got[-1]["type"] == "response.completed"
    assert set(stream.report.rules) == {"R001", "R029"}


# What the page shows.


@pytest.mark.anyio
async def test_the_handler_of_the_page_answers_in_a_server() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "repairing.md").read_text("utf-8")
    lines = [line[4:] for line in page.splitlines() if line.startswith((">>> async def", "... "))]
    begin = lines.index("async def handler(request, context):")
    damaged = text_of(stream_of("V1: drop 3; set 8.response.output=[]"))
    upstream = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, text=damaged)))
    names: dict[str, Any] = {"relay": relay, "client": upstream, "url": "http://up/v1", "body_for": lambda _: {}}
    exec("\n".join(["from responses_stream.agents import relay", *lines[begin : begin + 4]]), names)
    server = ResponsesServer()
    server.response_handler(names["handler"])
    transport = httpx.ASGITransport(app=ASGIApp(server))
    async with upstream, httpx.AsyncClient(transport=transport, base_url="http://ours") as client:
        answer = await client.post("/v1/responses", json={"model": "m", "input": "Hi"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["output"][0]["content"][0]["text"] == "Hello"
