"""Streams of other protocols are told by their name, once, and not by what they are as a Responses stream."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from responses_stream.validation import PROFILES, EventValidator, validate_events
from responses_stream.validation.dialects import dialect_of
from responses_stream.validation.examples import Json, frame_of, names, stream_of

CHUNK: Final[Json] = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 1767225600,
    "model": "m",
    "choices": [{"index": 0, "delta": {"content": "Hel"}, "finish_reason": None}],
}
# What each protocol says first, by its public documentation.
FOREIGN: Final[dict[str, list[Json]]] = {
    "Chat Completions": [CHUNK, {"choices": [{"delta": {"content": "x"}}]}],
    "a Chat Completions object": [{"id": "chatcmpl-1", "object": "chat.completion", "choices": []}],
    "legacy Completions": [{"object": "text_completion", "choices": [{"text": "x"}]}],
    "Anthropic Messages": [
        {"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "content": []}},
        {"type": "ping"},
    ],
    "OpenAI Realtime": [
        {"type": "session.created", "event_id": "event_1", "session": {}},
        {"type": "response.created", "event_id": "event_1", "response": {"id": "resp_1"}},
        {"type": "response.text.delta", "event_id": "event_1", "delta": "x"},
    ],
    "OpenAI Assistants": [{"id": "run_1", "object": "thread.run"}, {"object": "thread.message.delta", "delta": {}}],
    "AG-UI": [{"type": "RUN_STARTED", "threadId": "t", "runId": "r"}],
    "AI SDK UI message stream": [{"type": "start", "messageId": "m"}, {"type": "text-delta", "id": "0", "delta": "x"}],
    "Cohere Chat": [{"type": "message-start", "id": "m", "delta": {}}],
    "Gemini": [{"candidates": [{"content": {"parts": [{"text": "x"}]}}], "usageMetadata": {}}],
    "Ollama": [{"model": "m", "created_at": "x", "message": {"role": "assistant", "content": "x"}, "done": False}],
    "Bedrock Converse": [{"messageStart": {"role": "assistant"}}],
    "JSON-RPC (MCP or A2A)": [{"jsonrpc": "2.0", "id": 1, "result": {}}],
    "a Responses object, and no stream of events": [stream_of("V1")[9]["response"]],
    "a compaction object, and no stream of events": [{"object": "response.compaction", "output": []}],
    "the body of an error, and no stream of events": [
        {"error": {"message": "No.", "type": "invalid_request_error"}},
        {"error": "No."},
        {"detail": "Not Found"},
    ],
}
FIRST: Final = [(name, event) for name, events in FOREIGN.items() for event in events]
EACH: Final = pytest.mark.parametrize(("name", "event"), FIRST)


@EACH
def test_a_foreign_stream_is_one_violation_however_long_it_is(name: str, event: Json) -> None:
    for source in (
        [event] * 50,
        "".join(f"data: {json.dumps(event)}\n\n" for _ in range(50)) + "data: [DONE]\n\n",
        f"{json.dumps(event)}\n" * 50,
        json.dumps([event] * 50),
    ):
        for profile in PROFILES:
            report = validate_events(source, profile, ignore=["R003", "R006"])
            [violation] = report.violations
            assert (report.dialect, report.events, report.ok) == (name, 50, False)
            assert (violation.rule, violation.index) == ("R030" if "type" in event else "R011", 0)
            assert name in violation.message


@EACH
def test_it_is_named_by_a_validator_as_soon_as_it_is_known(name: str, event: Json) -> None:
    validator = EventValidator()
    before, found, after = validator.dialect, validator.feed(event), validator.dialect
    assert (before, len(found), after) == (None, 1, name)
    assert validator.feed(event) == []
    assert validator.finish() == []


def test_it_is_named_though_the_rule_is_not_asked_for() -> None:
    report = validate_events([CHUNK] * 3, select=["R1"])
    assert (report.dialect, report.violations) == ("Chat Completions", ())


def test_frames_that_cannot_be_read_come_before_the_name() -> None:
    text = "data: {\n\n" + f"data: {json.dumps(CHUNK)}\n\n" * 3
    report = validate_events(text, ignore=["R003"])
    assert report.dialect == "Chat Completions"
    assert [(violation.rule, violation.index) for violation in report.violations] == [("R001", 0), ("R011", 1)]


def test_a_foreign_event_within_a_stream_is_no_foreign_stream() -> None:
    events = stream_of("V1")
    report = validate_events([*events[:4], CHUNK, *events[4:]])
    assert report.dialect is None
    first = report.violations[0]
    assert (first.rule, first.index) == ("R011", 4)


@pytest.mark.parametrize("name", names())
def test_no_event_of_ours_is_taken_for_another_protocol(name: str) -> None:
    for event in stream_of(name):
        assert dialect_of(event) is None
        del event["sequence_number"]
        assert dialect_of(event) is None


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"type": ""},
        {"type": None, "sequence_number": 0},
        {"type": 3},
        {"type": ["message_start"]},
        {"type": "acme:trace"},
        {"type": "keepalive"},
        {"type": "response.magic"},
        {"type": "error", "error": {"message": "No."}},
        {"object": ["response"]},
        {"choices": "x"},
    ],
)
def test_what_is_only_odd_is_judged_as_a_responses_stream(event: Any) -> None:
    assert dialect_of(event) is None
    report = validate_events([event, *stream_of("V1")])
    assert report.dialect is None
    assert report.events == 11


def test_the_reader_of_a_foreign_stream_is_not_drowned() -> None:
    text = "".join(map(frame_of, [{"type": "message_start"}, *[{"type": "content_block_delta"}] * 10_000]))
    report = validate_events(text)
    assert (len(report.violations), report.events) == (1, 10_001)
