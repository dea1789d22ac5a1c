"""A relay of one upstream: what it reads, what it renames, what it keeps to itself, and what it does when it fails."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, cast

import attrs
import pytest
from openai._models import construct_type
from openai.types.responses import Response
from openai.types.responses import ResponseStreamEvent as OpenAIEvent

from responses_stream import (
    Events,
    OrderGuard,
    ResponseEventStream,
    accumulate,
    encode_stream,
    guarded,
    validate_events,
)
from responses_stream.agents.relaying import Upstream, UpstreamFailed, relay
from responses_stream.errors import DecodeError, InvalidType, InvalidValue, OutOfOrder
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.protocol.ids import partition_of
from responses_stream.sse import encode_comment, encode_event
from responses_stream.validation.examples import frame_of, stream_of

from ..builders.programs import as_dicts
from ..validation.client_streams import STREAMS

Json = dict[str, Any]

OURS: Final = "resp_" + "a" * 50
SECRET: Final = "the upstream's own"
LONE_ERROR: Final = {"type": "error", "sequence_number": 0, "code": "overloaded", "message": "Later.", "param": None}


def said(source: Iterable[Any]) -> list[ResponseStreamEvent]:
    return list(source)


def begun(**members: Any) -> tuple[ResponseEventStream, list[ResponseStreamEvent]]:
    """Return a stream of ours that takes items, and what it has said."""
    stream = ResponseEventStream(OURS, {"model": "ours", **members})
    return stream, [stream.emit_created(), stream.emit_in_progress()]


def agentic() -> list[Json]:
    """An upstream whose items name each other, stamped as the platform does it, with settings of its own."""
    stream = ResponseEventStream(
        "resp_theirs",
        {"model": "theirs", "instructions": SECRET, "metadata": {"key": SECRET}, "user": SECRET},
        clock=lambda: 1767225600,
    )
    events: list[ResponseStreamEvent] = [stream.emit_created(), stream.emit_in_progress()]
    events += stream.output_item_mcp_approval_request("files", "delete", "{}", item_id="mcpr_theirs")
    events += stream.output_item_mcp_approval_response("mcpr_theirs", True, item_id="mcpa_theirs")
    events += stream.output_item_function_call("get", "call_theirs", "{}", item_id="call_theirs")
    events.append(stream.emit_completed(usage={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}))
    told = as_dicts(events)
    for event in told:
        for item in [event.get("item"), *event.get("response", {}).get("output", ())]:
            if item is not None:
                item |= {"response_id": "resp_theirs", "agent_reference": {"type": "agent_reference", "name": SECRET}}
        if "response" in event:
            event["response"]["response_id"] = "resp_theirs"
    return told


# What may be relayed.


def test_every_form_of_an_upstream_is_read() -> None:
    plain = stream_of("V1")
    body = "".join(frame_of(event) for event in plain)
    forms: dict[str, Iterable[Any]] = {
        "dicts": plain,
        "mappings": [MappingProxyType(event) for event in plain],
        "events of ours": relay(plain, ids="pinned"),
        "objects of openai": [construct_type(value=event, type_=OpenAIEvent) for event in plain],
        "text": [body],
        "one body": body.encode(),
        "bytearrays": [bytearray(body.encode()[:100]), memoryview(body.encode()[100:])],
        "without numbers": [{name: held for name, held in event.items() if name[:3] != "seq"} for event in plain],
        "with CRLF": [body.replace("\n", "\r\n").encode()],
    }
    for form, upstream in forms.items():
        assert as_dicts(said(relay(upstream, ids="pinned"))) == plain, form


def test_what_is_no_event_is_skipped_and_nothing_is_read_behind_the_end() -> None:
    first, *rest = stream_of("V1")
    comment, keepalive = encode_comment().decode(), frame_of({"type": "keepalive", "sequence_number": 0})
    body = comment + frame_of(first) + keepalive + "".join(map(frame_of, rest)) + "data: [DONE]\n\ndata: no JSON\n\n"
    assert as_dicts(said(relay([body], ids="pinned"))) == [first, *rest]
    later = iter([first, {"type": "keepalive"}, *rest, {"type": "response.done"}])
    assert as_dicts(said(relay(later, ids="pinned"))) == [first, *rest]
    assert next(later) == {"type": "response.done"}


@pytest.mark.parametrize(
    "upstream",
    [3, {"type": "response.created"}, construct_type(value=stream_of("V1")[-1]["response"], type_=Response), None],
    ids=["number", "dict", "response", "none"],
)
def test_what_cannot_be_an_upstream_is_refused_at_once(upstream: Any) -> None:
    with pytest.raises(InvalidType, match=r"aiter_bytes\(\) of httpx"):
        relay(upstream)


def test_a_piece_that_is_no_event_is_named() -> None:
    with pytest.raises(InvalidType, match="a piece of the upstream: expected an event of ours"):
        said(relay(cast("Any", [3])))
    with pytest.raises(DecodeError, match="output_index: is required"):
        said(relay([STREAMS["no_indices"]]))


def test_arguments_are_checked_at_once() -> None:
    stream, _ = begun()
    with pytest.raises(InvalidValue, match="ids: is 'new'"):
        relay([], ids=cast("Any", "new"))
    with pytest.raises(InvalidValue, match=r"response_id: is 'resp_1', but the stream is that of .*\(R042\)"):
        relay([], stream=stream, response_id="resp_1")
    with pytest.raises(InvalidType, match="stream: expected a ResponseEventStream"):
        relay([], stream=cast("Any", OURS))
    assert isinstance(relay([], stream=stream, response_id=OURS), Events)


@pytest.mark.anyio
async def test_an_asynchronous_upstream() -> None:
    plain = stream_of("V1")
    body = b"".join(frame_of(event).encode() for event in plain)
    for pieces in (plain, [body[:77], body[77:]], [construct_type(value=one, type_=OpenAIEvent) for one in plain]):
        relayed = relay(later(pieces), ids="pinned")
        assert as_dicts([event async for event in relayed]) == plain
        assert (relayed.status, relayed.report) == ("completed", None)
    with pytest.raises(UpstreamFailed, match="upstream_truncated"):
        _ = [event async for event in relay(later(plain[:-1]))]


async def later(pieces: Iterable[Any]) -> AsyncIterator[Any]:
    for piece in pieces:
        yield piece


# Under ids of ours.


def test_ids_are_ours_wherever_they_stand_and_calls_keep_theirs() -> None:
    told = as_dicts(said(relay(agentic(), response_id=OURS)))
    request, answer, call = told[-1]["response"]["output"]
    assert answer["approval_request_id"] == request["id"]
    assert call["call_id"] == "call_theirs"
    assert {partition_of(item["id"]) for item in (request, answer, call)} == {"a" * 18}
    assert [event["item"] for event in told if event["type"] == "response.output_item.done"] == [request, answer, call]
    assert {item["response_id"] for item in (request, answer, call)} == {OURS}
    assert {(event["response"]["id"], event["response"]["response_id"]) for event in told if "response" in event} == {
        (OURS, OURS)
    }
    # The rest of the response is the upstream's.
    assert told[0]["response"]["instructions"] == SECRET


def test_without_an_id_of_ours_a_new_one_is_made_and_pinned_ids_stay() -> None:
    new = as_dicts(said(relay(agentic())))
    assert partition_of(new[0]["response"]["id"]) == partition_of(new[-1]["response"]["output"][0]["id"]) is not None
    assert as_dicts(said(relay(agentic(), ids="pinned"))) == agentic()
    pinned = as_dicts(said(relay(agentic(), response_id=OURS, ids="pinned")))
    assert [item["id"] for item in pinned[-1]["response"]["output"]] == ["mcpr_theirs", "mcpa_theirs", "call_theirs"]
    assert str(pinned).count("resp_theirs") == 0


def test_items_that_never_came_get_an_id_as_well() -> None:
    events = stream_of("V1: drop 2-8")
    told = said(relay(events, response_id=OURS))
    output = told[-1].response.output  # type: ignore[union-attr]
    assert partition_of(str(output[0].id)) == "a" * 18
    nameless = stream_of('V1: drop 2-8; set 2.response.output=[{"type":"acme:note","text":"x"}]')
    [item] = as_dicts(said(relay(nameless, response_id=OURS)))[-1]["response"]["output"]
    assert partition_of(item["id"]) == "a" * 18


@pytest.mark.parametrize("into", [False, True], ids=["whole", "into a stream"])
@pytest.mark.parametrize("where", ["added", "done", "completed", ""])
def test_an_item_without_an_id_gets_one_that_it_keeps(where: str, into: bool) -> None:
    stream = ResponseEventStream("resp_theirs", {"model": "theirs"})
    events: list[ResponseStreamEvent] = [stream.emit_created(), stream.emit_in_progress()]
    events += stream.output_item_function_call("get", "call_1", "{}", item_id="fc_theirs")
    events.append(stream.emit_completed())
    plain = as_dicts(events)
    for event in plain:
        for item in [event.get("item"), *event.get("response", {}).get("output", ())]:
            if item is not None and where in event["type"]:
                del item["id"]
    told = said(relay(plain, stream=ResponseEventStream(OURS, {"model": "m"}) if into else None))
    assert validate_events(told).violations == ()


def test_vendor_events_go_along_and_name_what_they_mean() -> None:
    trace = '{"type":"acme:trace","item_id":"msg_01","output_index":0,"response_id":"resp_01","call_id":"msg_01"}'
    told = as_dicts(said(relay(stream_of(f"V1: insert 4 {trace}"), response_id=OURS)))
    item_id = told[2]["item"]["id"]
    assert told[4] == {
        "type": "acme:trace",
        "item_id": item_id,
        "output_index": 0,
        "response_id": OURS,
        "call_id": "msg_01",
        "sequence_number": 4,
    }
    stream, first = begun()
    first += stream.output_item_message("before")
    inside = as_dicts(said(relay(stream_of(f"V1: insert 4 {trace}"), stream=stream)))
    assert (inside[2]["item_id"], inside[2]["output_index"]) == (inside[0]["item"]["id"], 1)


# Into a stream of ours.


def test_nothing_that_the_upstream_says_of_itself_reaches_a_client() -> None:
    paused = {"type": "response.paused", "sequence_number": 2, "response": agentic()[0]["response"]}
    upstream = agentic()
    upstream.insert(2, paused)
    stream = ResponseEventStream(OURS, {"model": "ours"})
    wire = b"".join(encode_stream(relay(upstream, stream=stream)))
    assert SECRET.encode() not in wire
    assert b"resp_theirs" not in wire
    assert b"response.paused" not in wire
    assert validate_events(wire).violations == ()


def test_items_of_ours_stand_before_and_behind_those_of_two_upstreams() -> None:
    stream, told = begun()
    told += stream.output_item_message("before")
    one = relay(stream_of("V1"), stream=stream)
    told += one
    told += stream.output_item_reasoning("between")
    other = relay([frame_of(event).encode() for event in stream_of("V1")], stream=stream)
    told += other
    told += stream.output_item_message("behind")
    assert (one.status, other.status) == ("completed", "completed")
    told.append(stream.emit_completed(usage=one.usage))
    assert validate_events(told).violations == ()
    response = accumulate(told)
    theirs = stream_of("V1")[-1]["response"]
    text = theirs["output"][0]["content"][0]["text"]
    assert response.output_text == f"before{text}{text}behind"
    assert as_dicts(told)[-1]["response"]["usage"] == theirs["usage"]
    assert one.upstream is not None
    assert (one.upstream.id, one.upstream.model) == (theirs["id"], theirs["model"])


def test_pinned_ids_are_claimed() -> None:
    stream, told = begun()
    told += relay(stream_of("V1"), stream=stream, ids="pinned")
    assert told[2].item.id == "msg_01"  # type: ignore[union-attr]
    with pytest.raises(InvalidValue, match=r"'msg_01' is already the id of an item of this response \(R064\)"):
        said(relay(stream_of("V1"), stream=stream, ids="pinned"))


def test_calls_are_claimed() -> None:
    stream, told = begun()
    told += relay(agentic(), stream=stream)
    with pytest.raises(InvalidValue, match=r"'call_theirs' is already the id of a call of this response \(R162\)"):
        said(relay(agentic(), stream=stream))
    with pytest.raises(InvalidValue, match="R162"):
        stream.add_output_item_function_call("get", "call_theirs")


def test_a_stream_that_takes_no_items_says_what_it_takes() -> None:
    stream = ResponseEventStream(OURS)
    stream.emit_created()
    with pytest.raises(
        OutOfOrder, match=r"response.output_item.added in state response created .*response.in_progress"
    ):
        said(relay(stream_of("V1"), stream=stream))
    stream, _ = begun()
    relayed = iter(relay(stream_of("V1"), stream=stream))
    assert next(relayed).type == "response.output_item.added"
    stream.emit_failed()
    with pytest.raises(OutOfOrder, match="no item is open there"):
        next(relayed)


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"input_tokens": 5, "output_tokens": 7, "total_tokens": 12}, (5, 7, 12, 0, 0)),
        # Services whose reasoning is not of the output, or whose cache is not of the input.
        ({"input_tokens": 5, "output_tokens": 7, "total_tokens": 99}, (5, 7, 12, 0, 0)),
        (
            {
                "input_tokens": 5,
                "output_tokens": 7,
                "total_tokens": 12,
                "input_tokens_details": {"cached_tokens": 6},
                "output_tokens_details": {"reasoning_tokens": 8},
            },
            (5, 7, 12, 5, 7),
        ),
        (
            {
                "input_tokens": -5,
                "output_tokens": 7,
                "total_tokens": 2,
                "input_tokens_details": {},
                "output_tokens_details": {},
            },
            (0, 7, 7, 0, 0),
        ),
    ],
)
def test_an_answer_is_not_lost_for_how_its_tokens_were_added(usage: Json, counts: tuple[int, ...]) -> None:
    upstream = stream_of("V1")
    upstream[-1]["response"]["usage"] = usage
    told = said(relay(upstream, stream=ResponseEventStream(OURS, {"model": "m"})))
    assert validate_events(told).violations == ()
    found = as_dicts(told)[-1]["response"]["usage"]
    assert counts == (
        found["input_tokens"],
        found["output_tokens"],
        found["total_tokens"],
        found["input_tokens_details"]["cached_tokens"],
        found["output_tokens_details"]["reasoning_tokens"],
    )


# How it ends.

BROKEN: Final = (
    '{"type":"response.failed","response":{"$R":{"status":"failed","error":{"code":"overloaded","message":"Later."}}}}'
)
CANCELLED: Final = '{"type":"response.failed","response":{"$R":{"status":"cancelled","error":null}}}'
ERROR: Final = '{"type":"error","code":"overloaded","message":"Later.","param":null}'
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


# Who lets go of the upstream.


@attrs.define(eq=False)
class Connection:
    """An upstream that counts how often it is let go, as the streams of the `openai` package are closed."""

    pieces: Sequence[Upstream]
    closed: int = 0
    left: int = 0

    def __iter__(self) -> Iterator[Upstream]:
        try:
            yield from self.pieces
        finally:
            self.left += 1

    def close(self) -> None:
        self.closed += 1


class AsyncConnection(Connection):
    """The same, asynchronous; closed as the streams of the `openai` package are."""

    async def __aiter__(self) -> AsyncIterator[Upstream]:
        try:
            for piece in self.pieces:
                yield piece
        finally:
            self.left += 1

    __iter__ = None  # type: ignore[assignment]

    async def aclose(self) -> None:
        self.closed += 1


def leave_at_once(relayed: Events) -> None:
    relayed.close()


def leave_early(relayed: Events) -> None:
    next(iter(relayed))
    relayed.close()


def read_all(relayed: Events) -> None:
    said(relayed)


def read_until_it_breaks(relayed: Events) -> None:
    with pytest.raises((UpstreamFailed, InvalidType)):
        said(relayed)


LEAVING: Final[Mapping[str, tuple[Callable[[Events], None], list[Any]]]] = {
    "at once": (leave_at_once, stream_of("V1")),
    "early": (leave_early, stream_of("V1")),
    "at the end": (read_all, stream_of("V1")),
    "when it is truncated": (read_until_it_breaks, stream_of("V1")[:-1]),
    "when it is broken": (read_until_it_breaks, [3]),
}


@pytest.mark.parametrize("repair", [False, True])
@pytest.mark.parametrize("when", LEAVING)
def test_the_upstream_is_let_go(when: str, repair: bool) -> None:
    leave, pieces = LEAVING[when]
    if repair and when == "when it is truncated":
        leave = read_all
    upstream = Connection(pieces)
    leave(relay(cast("Iterable[Upstream]", upstream), repair=repair))
    assert upstream.closed >= 1
    assert upstream.left == (0 if when == "at once" else 1)


@pytest.mark.anyio
@pytest.mark.parametrize("repair", [False, True])
@pytest.mark.parametrize("events", [0, 1, 99])
async def test_an_asynchronous_upstream_is_let_go(events: int, repair: bool) -> None:
    upstream = AsyncConnection(stream_of("V1"))
    relayed = relay(cast("Any", upstream), repair=repair)
    iterator = aiter(relayed)
    for _ in range(min(events, 10)):
        await anext(iterator)
    if events > 10:
        assert [event async for event in iterator] == []
    await relayed.aclose()
    assert upstream.closed >= 1
    assert upstream.left == (0 if events == 0 else 1)


# What upstreams get wrong (pains.md A, clients.md).


def checked(events: Iterable[ResponseStreamEvent]) -> list[ResponseStreamEvent]:
    """Return what gets past who checks the order, which every route of ours does."""
    guard, told = OrderGuard(), []
    for event in events:
        guard.check(event)
        told.append(event)
    return told


@pytest.mark.parametrize("name", ["no_seq", "seq_zero", "ka_event", "ka_comment", "crlf", "split", "no_event_line"])
def test_numbers_and_framing_are_mended(name: str) -> None:
    """A9: numbers that are missing or constant."""
    for relayed in (relay([STREAMS[name]]), relay([STREAMS[name]], stream=ResponseEventStream(OURS, {"model": "m"}))):
        told = checked(relayed)
        assert validate_events(told).violations == ()
        assert accumulate(told).output_text == "Hello"


def test_numbers_that_begin_anew_are_mended() -> None:
    events = stream_of(f"V1: drop 9; insert 9 {ERROR}; insert 10 {BROKEN}")
    for number, event in enumerate(events[-2:]):
        event["sequence_number"] = number
    told = checked(relay(events))
    assert [event.sequence_number for event in told] == list(range(11))


REFUSED: Final = {
    "no_created": "R060",
    "no_item_added": "R082",  # A1
    "no_content_part": "R093",  # A2
    "wrong_item_id": "R081",  # A3
    "idx_from_1": "R062",  # A4
    "two_same_index": "R063",  # A4
    "no_dones": "R079",  # A8
    "delta_after_done": "R094",
    "delta_after_item_done": "R083",
    "ka_inprogress": "R035",
    "status_missing": "R078",
}
"""What a relay leaves to whoever checks the order, and the rule that is named there."""
MENDED_IN_A_STREAM: Final = {
    "idx_from_1",
    "two_same_index",
    "empty_output",
    "null_output",
    "usage_empty_details",
    "minimal_resp",
}
"""What is right by itself where lifecycle, places and output are those of our stream: A4, A6, B1, B3."""


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_out_of_order_is_refused_with_the_rule_named(name: str) -> None:
    with pytest.raises(OutOfOrder) as refused:
        checked(relay([STREAMS[name]]))
    assert REFUSED[name] in refused.value.reason
    if name not in MENDED_IN_A_STREAM:
        with pytest.raises(OutOfOrder) as refused:
            checked(relay([STREAMS[name]], stream=ResponseEventStream(OURS)))
        assert REFUSED[name] in refused.value.reason


@pytest.mark.parametrize("name", sorted(MENDED_IN_A_STREAM))
def test_what_a_stream_of_ours_mends_by_itself(name: str) -> None:
    told = checked(relay([STREAMS[name]], stream=ResponseEventStream(OURS, {"model": "m"})))
    assert validate_events(told).violations == ()
    assert accumulate(told).output_text.startswith("Hello") or name == "two_same_index"


def test_the_order_of_the_output_is_that_of_our_stream() -> None:
    """A5: the final output is in another order than the items were streamed."""
    events = stream_of("V14")
    streamed = [event["item"]["type"] for event in events if event["type"] == "response.output_item.added"]
    events[-1]["response"]["output"].reverse()
    told = said(relay(events, stream=ResponseEventStream(OURS, {"model": "m"})))
    assert [item.type for item in told[-1].response.output] == streamed  # type: ignore[union-attr]
    assert validate_events(told).violations == ()


@pytest.mark.parametrize("into", [False, True], ids=["whole", "into a stream"])
@pytest.mark.parametrize("name", STREAMS)
def test_what_is_repaired_can_be_relayed(name: str, into: bool) -> None:
    stream = ResponseEventStream(OURS, {"model": "m"}) if into else None
    relayed = relay([STREAMS[name]], response_id=OURS, stream=stream, repair=True)
    told = checked(relayed)
    assert validate_events(told).ok
    assert relayed.report is not None
    if name in REFUSED:
        assert relayed.report.repairs
    assert {event.response.id for event in told if hasattr(event, "response")} <= {OURS}


def test_an_item_that_is_refused_leaves_no_place_behind() -> None:
    stream, told = begun()
    reference = '{"type":"item_reference","id":"msg_9"}'
    upstream = stream_of(f'V1: insert 2 {{"type":"response.output_item.added","output_index":0,"item":{reference}}}')
    with pytest.raises(OutOfOrder, match="R080"):
        said(relay(upstream, stream=stream))
    told += relay(stream_of("V1"), stream=stream)
    told.append(stream.emit_completed())
    assert validate_events(told).violations == ()


def test_an_item_cut_short_between_others_is_refused() -> None:
    stream, told = begun()
    cut = iter(relay(stream_of("V7"), stream=stream))
    while (event := next(cut)).type != "response.content_part.done":
        told.append(event)
    told += [event, *stream.output_item_message("behind")]
    with pytest.raises(OutOfOrder, match="R059"):
        next(cut)
