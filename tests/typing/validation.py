"""What mypy takes for a stream to be judged, and what it refuses. Read by mypy (`make types`), run by nobody."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, assert_type

import openai
from openai.types.responses import Response
from openai.types.responses import ResponseStreamEvent as TheirEvent

from responses_stream import (
    AsyncEvents,
    CreateResponse,
    Events,
    EventValidator,
    Report,
    ResponseEventStream,
    ResponseObject,
    Violation,
    validate_events,
)
from responses_stream.protocol import ResponseStreamEvent
from responses_stream.validation import PROFILES, RULES, Breakage, Profile, Rule, Severity

validator = EventValidator()
EventValidator("lenient", starting_after=3, transport="websocket", select=["R029"], ignore=("R0",), max_frame_bytes=9)
EventValidator("strickt")  # type: ignore[arg-type]
EventValidator(profile="strickt")  # type: ignore[arg-type]
EventValidator(transport="http")  # type: ignore[arg-type]
EventValidator(starting_after="3")  # type: ignore[arg-type]
EventValidator("strict", {"model": "m"})  # type: ignore[call-arg]
EventValidator(request="{}")  # type: ignore[arg-type]
EventValidator(select=[3])  # type: ignore[list-item]


def sources(
    ours: ResponseStreamEvent,
    theirs: TheirEvent,
    plain: dict[str, Any],
    mapping: Mapping[str, object],
    view: memoryview,
) -> None:
    for found in (
        validator.feed(ours),
        validator.feed(theirs),
        validator.feed(plain),
        validator.feed(mapping),
        validator.feed(b"data: {}\n\n"),
        validator.feed(bytearray()),
        validator.feed(view),
        validator.feed("data: {}\n\n"),
        validator.finish(),
    ):
        assert_type(found, list[Violation])
    assert_type(validator.events, int)
    assert_type(validator.report, Report)
    validator.feed(None)  # type: ignore[arg-type]
    validator.feed(3)  # type: ignore[arg-type]
    validator.feed([plain])  # type: ignore[arg-type]
    validator.feed()  # type: ignore[call-arg]


def streams(
    made: Events,
    later: AsyncEvents,
    stream: ResponseEventStream,
    plain: list[dict[str, Any]],
    theirs: openai.Stream[TheirEvent],
    theirs_later: openai.AsyncStream[TheirEvent],
    chunks: Iterator[bytes],
    chunks_later: AsyncIterator[bytes],
) -> None:
    assert_type(validate_events(made), Report)
    assert_type(validate_events(stream.output_item_message("Hello")), Report)
    assert_type(validate_events(plain, "openai"), Report)
    assert_type(validate_events(theirs), Report)
    assert_type(validate_events(chunks), Report)
    assert_type(validate_events(b""), Report)
    assert_type(validate_events(Path("capture.sse")), Report)
    assert_type(validate_events(io.BytesIO()), Report)
    assert_type(validate_events(io.StringIO()), Report)
    assert_type(validate_events(later), Awaitable[Report])
    assert_type(validate_events(theirs_later), Awaitable[Report])
    assert_type(validate_events(chunks_later, profile="lenient"), Awaitable[Report])
    validate_events(None)  # type: ignore[call-overload]
    validate_events(3)  # type: ignore[call-overload]
    validate_events([3])  # type: ignore[list-item]
    validate_events(plain, "strickt")  # type: ignore[call-overload]


def held_against(
    plain: list[dict[str, Any]], request: CreateResponse, retrieved: ResponseObject, theirs: Response, sse: bytes
) -> None:
    validate_events(plain, request=request, retrieved=retrieved, original=sse, starting_after=4)
    validate_events(plain, request={"model": "m"}, retrieved=theirs, original=plain)
    validate_events(plain, retrieved=plain)  # type: ignore[call-overload]
    validate_events(plain, max_frame_bytes=1024)


def what_is_told(report: Report) -> None:
    assert_type(report.ok, bool)
    assert_type(report.violations, tuple[Violation, ...])
    assert_type(report.dialect, str | None)
    violation = report.violations[0]
    assert_type(violation.severity, Literal["error", "warning"])
    assert_type(violation.line, int | None)
    assert_type(violation.clients, tuple[str, ...])
    report.events = 3  # type: ignore[misc]
    violation.rule = "R001"  # type: ignore[misc]
    rule = RULES[violation.rule]
    assert_type(rule, Rule)
    assert_type(rule.severity(report.profile), Severity)
    assert_type(rule.clients, tuple[Breakage, ...])
    rule.severity("strickt")  # type: ignore[arg-type]
    assert_type(PROFILES, tuple[Profile, ...])
    RULES["R001"] = rule  # type: ignore[index]
