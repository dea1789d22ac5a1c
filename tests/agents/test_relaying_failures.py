"""How a relay ends: as the upstream does, or with an error that tells why it came to no good end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Final, cast

import anyio
import pytest

from responses_stream import (
    ResponseEventStream,
    accumulate,
    encode_stream,
    guarded,
    validate_events,
)
from responses_stream.agents import relaying
from responses_stream.agents.relaying import Upstream, UpstreamFailed, relay
from responses_stream.errors import OutOfOrder
from responses_stream.sse import encode_event
from responses_stream.validation.examples import frame_of, stream_of

from ..builders.programs import as_dicts
from .upstreams import BROKEN, ERROR, OURS, SECRET, Json, begun, checked, later, said

LONE_ERROR: Final = {"type": "error", "sequence_number": 0, "code": "overloaded", "message": "Later.", "param": None}
CANCELLED: Final = '{"type":"response.failed","response":{"$R":{"status":"cancelled","error":null}}}'
ENDINGS: Final = {
    "failed": (f"V1: drop 9; insert 9 {BROKEN}", "overloaded", "Later."),
    "cancelled": (f"V1: drop 9; insert 9 {CANCELLED}", "upstream_cancelled", "it was cancelled"),
    "error": (f"V1: drop 9; insert 9 {ERROR}", "overloaded", "Later."),
    "error then failed": (f"V1: drop 9; insert 9 {ERROR}; insert 10 {BROKEN}", "overloaded", "Later."),
    "truncated": ("V1: drop 9", "upstream_truncated", "it ended while resp_01 was in_progress"),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_failure_is_raised_where_the_handler_leads(ending: str) -> None:
    notation, code, message = ENDINGS[ending]
    stream, told = begun()
    relayed = relay(stream_of(notation), stream=stream)
    with pytest.raises(UpstreamFailed) as failed:
        told.extend(relayed)
    assert (failed.value.code, message in failed.value.message) == (code, True)
    assert relayed.status == {"cancelled": "cancelled", "truncated": "in_progress"}.get(ending, "failed")
    # What was done stays, and the handler goes on as it likes, even to another upstream.
    told += relay(stream_of("V1"), stream=stream)
    told.append(stream.emit_completed())
    assert validate_events(told).violations == ()
    assert accumulate(told).output_text == "HelloHello"


def test_what_was_open_when_it_failed_ends_with_the_response() -> None:
    for notation in (f"V1: drop 6-9; insert 6 {BROKEN}", f"V1: drop 6-9; insert 6 {ERROR}", "V1: drop 6-9"):
        stream, told = begun()
        with pytest.raises(UpstreamFailed):
            told.extend(relay(stream_of(notation), stream=stream))
        with pytest.raises(OutOfOrder, match="R079"):
            stream.emit_completed()
        told.append(stream.emit_failed())
        assert [violation.rule for violation in validate_events(told).violations] == ["R088"]
        # The client is told what the handler decides.
        assert b"Later." not in b"".join(map(encode_event, told))


@pytest.mark.parametrize("ending", ["failed", "cancelled", "error then failed"])
def test_a_failure_is_told_where_the_relay_leads(ending: str) -> None:
    notation, code, message = ENDINGS[ending]
    told = said(relay(stream_of(notation), stream=ResponseEventStream(OURS, {"model": "m"})))
    assert validate_events(told).violations == ()
    response = as_dicts(told)[-1]["response"]
    if ending == "cancelled":
        assert (response["status"], response["output"]) == ("cancelled", [])
    else:
        assert (response["status"], response["error"]["code"], response["error"]["message"]) == (
            "failed",
            code,
            message,
        )
        assert len(response["output"]) == 1


def test_what_is_repaired_is_closed_before_the_failure_is_raised() -> None:
    stream, told = begun()
    with pytest.raises(UpstreamFailed):
        told.extend(relay(stream_of("V1: drop 6-9"), stream=stream, repair=True))
    assert told[-1].type == "response.output_item.done"
    told.append(stream.emit_incomplete())
    assert validate_events(told).violations == ()
    assert accumulate(told).output_text == "Hello"


class ConnectionLost(Exception):
    """What an HTTP client raises."""

    code: str | None = None


class Overloaded(ConnectionLost):
    """What the `openai` package raises where an `error` event tells a code."""

    code = "overloaded"


def breaks_off(error: Exception) -> Iterator[Json]:
    yield from stream_of("V1")[:4]
    raise error


@pytest.mark.parametrize(("error", "code"), [(ConnectionLost("gone"), "upstream_broke"), (Overloaded(), "overloaded")])
@pytest.mark.anyio
async def test_an_upstream_that_raises_has_failed(error: ConnectionLost, code: str) -> None:
    with pytest.raises(UpstreamFailed) as failed:
        said(relay(breaks_off(error)))
    assert (failed.value.code, failed.value.__cause__) == (code, error)
    relayed = relay(later(breaks_off(error)))
    with pytest.raises(UpstreamFailed) as failed:
        _ = [event async for event in relayed]
    assert (failed.value.code, failed.value.__cause__) == (code, error)
    # What an error of ours says needs no other words.
    with pytest.raises(UpstreamFailed, match="upstream_truncated"):
        said(relay(relay(stream_of("V1")[:-1])))


@pytest.mark.parametrize(("error", "code"), [(ConnectionLost("gone"), "upstream_broke"), (Overloaded(), "overloaded")])
@pytest.mark.anyio
async def test_what_is_repaired_has_failed_for_the_same_reason(error: ConnectionLost, code: str) -> None:
    stream, _ = begun()
    with pytest.raises(UpstreamFailed) as failed:
        said(relay(breaks_off(error), stream=stream, repair=True))
    assert (failed.value.code, failed.value.__cause__) == (code, error)
    stream, _ = begun()
    relayed = relay(later(breaks_off(error)), stream=stream, repair=True)
    with pytest.raises(UpstreamFailed) as failed:
        _ = [event async for event in relayed]
    assert (failed.value.code, failed.value.__cause__) == (code, error)
    stream, _ = begun()
    with pytest.raises(UpstreamFailed, match=r"upstream_truncated: it ended without a terminal event \(R029\)"):
        said(relay(stream_of("V1: drop 6-9"), stream=stream, repair=True))
    stream, _ = begun()
    with pytest.raises(UpstreamFailed, match="overloaded: Later"):
        said(relay(stream_of(ENDINGS["failed"][0]), stream=stream, repair=True))


def test_where_the_relay_leads_what_is_repaired_ends_with_the_code_and_without_the_text() -> None:
    told = said(relay(breaks_off(Overloaded(SECRET)), stream=ResponseEventStream(OURS, {"model": "m"}), repair=True))
    assert validate_events(told).ok
    assert as_dicts(told)[-1]["response"]["error"] == {
        "code": "overloaded",
        "message": "An internal server error occurred.",
    }


def test_what_stopped_early_is_for_the_handler_to_end() -> None:
    cut = stream_of("V7")
    stream, told = begun()
    told += (relayed := relay(cut, stream=stream))
    assert relayed.status == "incomplete"
    told.append(stream.emit_incomplete(usage=relayed.usage))
    assert validate_events(told).violations == ()
    led = said(relay(cut, stream=ResponseEventStream(OURS, {"model": "m"})))
    assert validate_events(led).violations == ()
    details = as_dicts(led)[-1]["response"]["incomplete_details"]
    assert details == cut[-1]["response"]["incomplete_details"]


def test_a_terminal_event_that_contradicts_itself_is_no_answer() -> None:
    contradicting = stream_of('V1: set 9.response.status="cancelled"')
    for stream in (begun()[0], ResponseEventStream(OURS)):
        with pytest.raises(OutOfOrder, match="R048"):
            said(relay(contradicting, stream=stream))
    with pytest.raises(OutOfOrder, match="R048"):
        checked(relay(contradicting))


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_whole_stream_ends_as_the_upstream_does(ending: str) -> None:
    notation, code, message = ENDINGS[ending]
    relayed = relay(stream_of(notation), response_id=OURS)
    if ending in ("error", "truncated"):
        with pytest.raises(UpstreamFailed) as failed:
            said(relayed)
        assert (failed.value.code, message in failed.value.message) == (code, True)
        relayed = relay(stream_of(notation), response_id=OURS)
    told = said(guarded(relayed))
    assert validate_events(told).violations == ()
    assert told[-1].type == "response.failed"


def test_a_lone_error_is_a_whole_stream() -> None:
    for relayed in (relay([LONE_ERROR]), relay([LONE_ERROR], stream=ResponseEventStream(OURS))):
        [error] = as_dicts(said(relayed))
        assert (error["type"], error["code"], error["message"]) == ("error", "overloaded", "Later.")
        assert (relayed.status, relayed.upstream, relayed.usage) == ("failed", None, None)
    stream, _ = begun()
    with pytest.raises(UpstreamFailed, match="overloaded: Later"):
        said(relay([LONE_ERROR], stream=stream))
    nested = {"type": "error", "error": {"type": "server_error", "code": "overloaded", "message": "Later."}}
    [error] = as_dicts(said(relay([nested], stream=ResponseEventStream(OURS))))
    assert (error["code"], error["message"]) == ("overloaded", "Later.")


@pytest.mark.anyio
async def test_nothing_is_waited_for_behind_a_lone_error() -> None:
    async def stays_open() -> AsyncIterator[Json]:
        yield LONE_ERROR
        pytest.fail("more was asked for, which may never come")

    for stream in (None, ResponseEventStream(OURS)):
        told = [event async for event in relay(stays_open(), stream=stream)]
        assert [event.type for event in told] == ["error"]


@pytest.mark.parametrize("repair", [False, True])
@pytest.mark.anyio
async def test_an_upstream_that_says_no_more_behind_its_error_is_not_waited_for(
    repair: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relaying, "_LAST_WORDS_SECONDS", 0.01)
    left = []

    async def stays_open() -> AsyncIterator[Json]:
        try:
            for event in stream_of(f"V1: drop 6-9; insert 6 {ERROR}"):
                yield event
            await anyio.sleep_forever()
        finally:
            left.append(True)

    for stream in (None, ResponseEventStream(OURS, {"model": "m"})):
        relayed = aiter(relay(stays_open(), stream=stream, repair=repair))
        while (await anext(relayed)).type != "error":
            pass
        with pytest.raises(UpstreamFailed, match="overloaded: Later"):
            await anext(relayed)
    assert left == [True, True]


JSON_BODY: Final = b'{"error":{"message":"key sk-1 is over its limit","code":"rate_limit_exceeded"}}'


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (JSON_BODY, "rate_limit_exceeded"),
        (JSON_BODY + b"\n\n", "rate_limit_exceeded"),
        (b'{"error":"key sk-1 is over its limit"}', "upstream_truncated"),
        (b'{"detail":"key sk-1 is over its limit"}', "upstream_truncated"),
        (b"<html>\n\n<h1>key sk-1 is over its limit</h1>\n\n</html>" + b" " * 9_000, "upstream_truncated"),
    ],
)
def test_a_body_that_is_no_stream_is_told_to_the_operator(body: bytes, code: str) -> None:
    for pieces in ([body], [body.decode()], [body[:20], memoryview(body)[20:]]):
        with pytest.raises(UpstreamFailed, match="sk-1 is over its limit") as failed:
            said(relay(cast("Iterable[Upstream]", pieces)))
        assert (failed.value.code, len(str(failed.value)) < 400) == (code, True)
    led = encode_stream(relay([body], stream=ResponseEventStream(OURS, {"model": "m"})))
    assert b"sk-1" not in b"".join(led)


def test_an_upstream_that_says_nothing_is_told_as_such() -> None:
    with pytest.raises(UpstreamFailed, match="it ended before any response, without a terminal event"):
        said(relay([]))
    lines = [line for event in stream_of("V1") for line in frame_of(event).splitlines()]
    with pytest.raises(UpstreamFailed, match="bytes at its end are no whole event"):
        said(relay(lines))


def test_an_upstream_that_leaves_its_status_to_the_name_of_the_event() -> None:
    events = stream_of("V1: del 0.response.status; del 1.response.status; del 9.response.status")
    relayed = relay(events, stream=ResponseEventStream(OURS, {"model": "m"}))
    told = iter(relayed)
    statuses = [(next(told), relayed.status)[1] for _ in events]
    assert statuses == ["in_progress"] * 9 + ["completed"]
