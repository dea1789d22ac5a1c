"""What a check finds: each handler here is wrong in one way, and that way is named, at the event that shows it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import attrs
import msgspec
import pytest

from responses_stream import (
    CreateResponse,
    HttpReply,
    HttpRequest,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
    TextResponse,
)
from responses_stream.builders.events import Events
from responses_stream.checking.asking import MODES
from responses_stream.checking.report import CheckReport, Finding
from responses_stream.checking.runs import check_handler
from responses_stream.protocol.events import ResponseStreamEvent

Told = AsyncIterator[Any]
WHOLE_MODES = [mode.name for mode in MODES if not mode.stops]


def good(context: ResponseContext) -> list[ResponseStreamEvent]:
    stream = context.stream()
    return [
        stream.emit_created(),
        stream.emit_in_progress(),
        *stream.output_item_message(["Hel", "lo"]),
        stream.emit_completed(),
    ]


async def skips_in_progress(_request: CreateResponse, context: ResponseContext) -> Told:
    for event in good(context):
        if event.type != "response.in_progress":
            yield event


async def goes_from_created_to_completed(_request: CreateResponse, context: ResponseContext) -> Told:
    stream = context.stream()
    yield stream.emit_created()
    yield stream.emit_completed()


async def builds_without_in_progress(_request: CreateResponse, context: ResponseContext) -> Told:
    stream = context.stream()
    yield stream.emit_created()
    yield stream.output_item_message("Hello")


async def tells_another_item(_request: CreateResponse, context: ResponseContext) -> Told:
    for event in good(context):
        of_part = event.type == "response.output_text.delta"
        yield msgspec.structs.replace(event, item_id="msg_other") if of_part else event


async def tells_another_text(_request: CreateResponse, context: ResponseContext) -> Told:
    for event in good(context):
        yield msgspec.structs.replace(event, text="Hallo") if event.type == "response.output_text.done" else event


async def tells_another_response(_request: CreateResponse, context: ResponseContext) -> Told:
    stream = context.stream()
    yield stream.emit_created()
    running = stream.emit_in_progress()
    yield msgspec.structs.replace(running, response=msgspec.structs.replace(running.response, id="resp_other"))


async def says_in_progress_twice(_request: CreateResponse, context: ResponseContext) -> Told:
    events = good(context)
    for event in [*events[:2], *events[1:]]:
        yield event


async def stops_in_an_item(_request: CreateResponse, context: ResponseContext) -> Told:
    for event in good(context)[:4]:
        yield event


async def goes_on_after_the_end(_request: CreateResponse, context: ResponseContext) -> Told:
    events = good(context)
    for event in [*events, events[4]]:
        yield event


async def leaves_its_item_open(_request: CreateResponse, context: ResponseContext) -> Told:
    for event in good(context):
        if event.type != "response.output_item.done":
            yield event


async def yields_a_dict(_request: CreateResponse, context: ResponseContext) -> Told:
    yield context.stream().emit_created()
    yield {"type": "response.in_progress", "item_id": "wrong"}


async def returns_text(_request: CreateResponse, _context: ResponseContext) -> Any:
    return "Hello"


async def yields_half_a_pair(_request: CreateResponse, context: ResponseContext) -> Told:
    for event in good(context):
        yield msgspec.structs.replace(event, delta="\ud800") if event.type == "response.output_text.delta" else event


def raises_at_once(_request: CreateResponse, _context: ResponseContext) -> Iterator[Any]:
    raise ValueError("at once")


async def raises_later(_request: CreateResponse, context: ResponseContext) -> Told:
    for event in good(context)[:5]:
        yield event
    raise ValueError("later")


async def raises_after_the_end(_request: CreateResponse, context: ResponseContext) -> Told:
    for event in good(context):
        yield event
    raise ValueError("after the end")


async def exits(_request: CreateResponse, _context: ResponseContext) -> Any:
    raise SystemExit(3)


async def cancels_itself(_request: CreateResponse, _context: ResponseContext) -> Any:
    raise asyncio.CancelledError


async def says_nothing(_request: CreateResponse, _context: ResponseContext) -> Any:
    return []


WRONG = [
    (skips_in_progress, "R061", 1),
    (goes_from_created_to_completed, "R037", 1),
    (builds_without_in_progress, "R061", None),
    (tells_another_item, "R081", 4),
    (tells_another_text, "R102", 6),
    (tells_another_response, "R042", 1),
    (says_in_progress_twice, "R035", 2),
    (stops_in_an_item, "R029", 4),
    (goes_on_after_the_end, "R038", 10),
    (leaves_its_item_open, "R079", 8),
    (yields_a_dict, "not-an-event", None),
    (returns_text, "not-an-event", None),
    (yields_half_a_pair, "refused", 4),
    (raises_at_once, "raised", None),
    (raises_later, "raised", None),
    (raises_after_the_end, "raised", None),
    (exits, "raised", None),
    (cancels_itself, "raised", None),
    (says_nothing, "silent", None),
]
WARNINGS = {"R037", "silent"}
STREAMED_TOO = ["background-stream", "cancelled", "leaving"]
"""The modes beside `stream` in which a client gets a stream, or a part of one."""


def checked(handler: Any, **settings: Any) -> CheckReport:
    return check_handler(handler, **{"inputs": ["absent"], **settings})


def only_finding(report: CheckReport) -> Finding:
    """The one fault of a report, which shows in all of its cases."""
    [(finding, cases)] = report.faults()
    assert cases == list(report.cases)
    return finding


@pytest.mark.parametrize(("handler", "code", "index"), WRONG, ids=[handler.__name__ for handler, _, _ in WRONG])
def test_each_fault_is_named_once_in_every_mode_and_nothing_else_is(handler: Any, code: str, index: int | None) -> None:
    report = checked(handler, modes=WHOLE_MODES)
    finding = only_finding(report)
    assert (finding.code, finding.index, finding.where) == (code, index, "handler")
    assert finding.severity == ("warning" if code in WARNINGS else "error")
    assert report.ok is (code in WARNINGS)
    assert f"{code} {finding.severity} in absent: no input (json) and 11 other cases" in str(report)
    assert finding.hint


@pytest.mark.parametrize("handler", [handler for handler, _, _ in WRONG], ids=lambda handler: handler.__name__)
def test_where_it_is_stopped_nothing_else_is_found(handler: Any) -> None:
    expected = {code for one, code, _ in WRONG if one is handler}
    report = checked(handler, modes=["cancelled", "leaving", "leaving-at-once"])
    assert {finding.code for finding, _ in report.faults()} <= expected


def test_the_event_is_shown_with_what_stands_around_it() -> None:
    finding = only_finding(checked(tells_another_item, modes=WHOLE_MODES))
    assert finding.path == "$.item_id"
    assert "'msg_other'" in finding.message
    assert [line[:36].split() for line in finding.excerpt] == [
        ["2", "response.output_item.added"],
        ["3", "response.content_part.added"],
        [">", "4", "response.output_text.delta"],
    ]


def test_a_handler_that_raises_is_told_with_its_own_traceback() -> None:
    finding = only_finding(checked(raises_later, modes=WHOLE_MODES))
    assert finding.message == "ValueError: later"
    lines = finding.traceback.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1].endswith("in raises_later")
    assert lines[-1] == "ValueError: later"
    assert "hosting" not in finding.traceback
    assert finding.excerpt[-1].split() == [">", "(here)"]
    report = checked(raises_later, modes=WHOLE_MODES)
    assert {case.outcome for case in report.cases} == {"failed", "failed, 7 events"}


def test_a_builder_that_refuses_is_told_with_its_rule_and_the_line_of_the_handler() -> None:
    async def twice(_request: CreateResponse, context: ResponseContext) -> Told:
        stream = context.stream()
        yield stream.emit_created()
        yield stream.emit_in_progress()
        yield stream.emit_in_progress()

    finding = only_finding(checked(twice, modes=WHOLE_MODES))
    assert finding.code == "R035"
    assert "OutOfOrder: response.in_progress in state response in progress" in finding.message
    assert "yield stream.emit_in_progress()" in finding.traceback
    assert "builders" not in finding.traceback


def test_what_caused_a_failure_is_told() -> None:
    async def chained(_request: CreateResponse, _context: ResponseContext) -> Events:
        try:
            raise KeyError("the cause")
        except KeyError as error:
            raise ValueError("the outcome") from error

    told = only_finding(checked(chained)).traceback
    assert told.index("KeyError: 'the cause'") < told.index("ValueError: the outcome")
    assert told.count("in chained") == 2


def test_a_handler_that_breaks_on_empty_input_only() -> None:
    async def needs_text(request: CreateResponse, context: ResponseContext) -> TextResponse:
        assert request.input
        return TextResponse(context, request, text="ok")

    report = check_handler(needs_text)
    finding, cases = report.faults()[0]
    assert (finding.code, len(report.faults())) == ("raised", 1)
    assert {case.name for case in cases} == {"empty", "an empty list", "no input", "input null"}
    assert len(cases) == 4 * len(MODES)


def test_a_handler_that_breaks_on_unicode_only() -> None:
    async def speaks_latin(request: CreateResponse, context: ResponseContext) -> TextResponse:
        return TextResponse(context, request, text=str(request.input).encode("latin-1").decode("latin-1"))

    report = check_handler(speaks_latin, inputs=["text"])
    [(finding, cases)] = report.faults()
    assert (finding.code, finding.message.partition(":")[0]) == ("raised", "UnicodeEncodeError")
    assert {case.name for case in cases} == {
        *("combining marks", "emoji", "right to left", "U+2028 and U+2029", "noncharacters")
    }


def test_a_handler_that_breaks_when_it_streams_only() -> None:
    async def two_ways(request: CreateResponse, context: ResponseContext) -> Any:
        if context.mode_flags.stream:
            return [event for event in good(context) if event.type != "response.content_part.added"]
        return TextResponse(context, request, text="ok")

    report = checked(two_ways)
    [(finding, cases)] = report.faults()
    assert (finding.code, finding.index) == ("R093", 3)
    assert {case.mode for case in cases} == {"stream", "stream-unstored", *STREAMED_TOO}


def test_a_handler_that_breaks_in_the_background_only() -> None:
    async def two_ways(request: CreateResponse, context: ResponseContext) -> Any:
        flags = context.mode_flags
        if flags.background:
            return [event for event in good(context) if event.type != "response.content_part.added"]
        return TextResponse(context, request, text="ok")

    report = checked(two_ways)
    [(finding, cases)] = report.faults()
    assert (finding.code, finding.index) == ("R093", 3)
    assert {case.mode for case in cases} == {"background", "background-stream", "cancelled"}


def test_an_answer_of_its_own_for_the_background_is_told() -> None:
    async def two_ways(request: CreateResponse, context: ResponseContext) -> TextResponse:
        return TextResponse(context, request, text=str(context.mode_flags.background))

    report = checked(two_ways, deterministic=True)
    [(finding, cases)] = report.faults()
    assert (finding.code, finding.path) == ("disagrees", "$.output[0].content[0].text")
    assert {case.mode for case in cases} == {"background", "background-stream"}


def test_answers_that_differ_are_a_warning_unless_the_handler_is_deterministic() -> None:
    numbers = itertools.count()

    async def counts(request: CreateResponse, context: ResponseContext) -> TextResponse:
        return TextResponse(context, request, text=f"answer {next(numbers)}")

    for deterministic in (False, True):
        report = checked(counts, deterministic=deterministic)
        [(finding, cases)] = report.faults()
        assert report.ok is not deterministic
        assert (finding.code, finding.where, finding.path) == ("disagrees", "answer", "$.output[0].content[0].text")
        assert [(case.name, case.mode) for case in cases] == [
            (name, mode)
            for name in ("no input", "input null")
            for mode in ("stream", "stream-unstored", "background", "background-stream")
        ]


def test_ids_and_times_do_not_count_as_a_difference() -> None:
    seconds = itertools.count(1)

    async def ages(_request: CreateResponse, context: ResponseContext) -> list[ResponseStreamEvent]:
        from responses_stream import ResponseEventStream

        stream = ResponseEventStream(context.response_id, context.request, clock=lambda: 1_700_000_000 + next(seconds))
        call = stream.output_item_function_call("f", f"call_{next(seconds)}", "{}")
        return [stream.emit_created(), stream.emit_in_progress(), *call, stream.emit_completed()]

    assert checked(ages, deterministic=True).ok


def test_a_rule_can_be_left_out_and_the_profile_chosen() -> None:
    assert checked(goes_from_created_to_completed, ignore=["R037"]).faults() == []
    assert checked(goes_from_created_to_completed, profile="azure").faults() == []
    # The engine refuses it in any profile.
    assert only_finding(checked(skips_in_progress, profile="lenient", modes=WHOLE_MODES)).message.startswith(
        "response.output_item.added"
    )


def test_a_request_that_the_engine_refuses_was_not_checked() -> None:
    async def answers(request: CreateResponse, context: ResponseContext) -> TextResponse:
        return TextResponse(context, request, text="ok")

    report = check_handler(answers, requests=[{"input": 3}], inputs=())
    finding = only_finding(report)
    assert (finding.code, finding.severity, finding.where) == ("not-run", "error", "answer")
    assert "$.input" in finding.message
    assert {case.outcome for case in report.cases} == {"400 invalid_request"}


def test_a_limit_of_the_server_is_no_fault_of_the_handler() -> None:
    server = server_of(ResponsesServer, max_body_bytes=50_000)
    report = check_handler(server, inputs=["text", "messages"], modes=["json"])
    assert report.ok
    assert {(case.name, case.outcome) for case in report.cases if case.verdict == "warn"} == {
        ("very long", "413 request_too_large"),
        ("a thousand messages", "413 request_too_large"),
    }


def server_of(kind: type[ResponsesServer], **options: Any) -> ResponsesServer:
    server = kind(options=ResponsesServerOptions(**options))
    server.response_handler(lambda request, context: TextResponse(context, request, text="ok"))
    return server


def test_what_the_server_adds_is_told_of_the_wire_and_not_of_the_handler() -> None:
    report = checked(server_of(ResponsesServer), profile="openai", modes=WHOLE_MODES)
    [(finding, cases)] = report.faults()
    assert (finding.code, finding.where) == ("R006", "wire")
    assert {case.mode for case in cases} == {"stream", "stream-unstored", "background-stream"}
    server = server_of(ResponsesServer, sse_done_marker=False)
    assert checked(server, profile="openai", modes=WHOLE_MODES).faults() == []


class Breaking(ResponsesServer):
    async def handle(self, request: HttpRequest) -> HttpReply:
        raise RuntimeError(f"a fault of ours at {request.path}")


class Lying(ResponsesServer):
    async def handle(self, request: HttpRequest) -> HttpReply:
        reply = await super().handle(request)
        if isinstance(reply.body, bytes):
            return attrs.evolve(reply, body=reply.body.replace(b'"ok"', b'"no"'))
        return reply


class Mixing(ResponsesServer):
    async def handle(self, request: HttpRequest) -> HttpReply:
        reply = await super().handle(request)
        return attrs.evolve(reply, status=503) if isinstance(reply.body, bytes) else attrs.evolve(reply, headers=())


@pytest.mark.parametrize(
    ("kind", "messages"),
    [
        (Breaking, ["the engine raised RuntimeError('a fault of ours at /v1/responses')"]),
        (Lying, ["output[0].content[0].text is 'no', and the handler said 'ok'"]),
        (Mixing, ["the handler said a whole response, and the status is 503", "the content type is ''"]),
    ],
)
def test_a_fault_of_the_engine_is_not_put_down_to_the_handler(kind: type[ResponsesServer], messages: list[str]) -> None:
    report = checked(server_of(kind), modes=["json", "stream"])
    found = [finding for finding, _ in report.faults() if finding.code != "disagrees"]
    assert [(finding.code, finding.where) for finding in found] == [("engine", "answer")] * len(messages)
    assert [finding.message for finding in found] == messages
    assert not report.ok


def test_it_can_stop_at_the_first_fault() -> None:
    report = checked(raises_at_once, fail_fast=True)
    assert [case.title for case in report.cases] == ["absent: no input (json)"]
    assert not report.ok


def test_the_engine_does_not_log_what_the_report_tells(caplog: pytest.LogCaptureFixture) -> None:
    checked(raises_later)
    assert caplog.records == []


def test_a_report_is_plain_data_too() -> None:
    report = checked(tells_another_item, modes=["stream"])
    plain = msgspec.json.decode(msgspec.json.encode(report.as_dict()))
    assert (plain["ok"], plain["handler"], plain["profile"]) == (False, "tells_another_item", "strict")
    [first, _] = plain["cases"]
    assert (first["kind"], first["name"], first["mode"]) == ("absent", "no input", "stream")
    assert (first["verdict"], first["outcome"]) == ("fail", "failed, 6 events")
    [finding] = first["findings"]
    assert (finding["code"], finding["index"], finding["path"], finding["where"]) == ("R081", 4, "$.item_id", "handler")
    assert finding["clients"]
