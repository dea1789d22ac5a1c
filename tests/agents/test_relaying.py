"""A relay of one upstream: what it reads, what it keeps to itself, what it mends, and when it lets go of it."""

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
    ResponseEventStream,
    accumulate,
    encode_stream,
    validate_events,
)
from responses_stream.agents.relaying import Upstream, UpstreamFailed, relay, relay_response
from responses_stream.errors import DecodeError, InvalidType, InvalidValue, OutOfOrder
from responses_stream.sse import encode_comment
from responses_stream.validation.examples import frame_of, stream_of

from ..builders.programs import as_dicts
from ..validation.client_streams import STREAMS
from .upstreams import BROKEN, ERROR, OURS, SECRET, Json, agentic, begun, checked, later, said

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


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": 3, "output_tokens": 2},
        {"input_tokens": 3, "output_tokens": 2, "total_tokens": None},
        {"output_tokens": 2, "total_tokens": 5, "input_tokens_details": None},
        {"input_tokens": 3.0, "output_tokens": 2, "total_tokens": 5},
        {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    ],
)
def test_a_usage_that_does_not_fit_is_understood(usage: Json) -> None:
    upstream = stream_of("V1")
    upstream[-1]["response"]["usage"] = usage
    stream, _ = begun()
    relayed = relay(upstream, stream=stream)
    said(relayed)
    led = relay(upstream, stream=ResponseEventStream(OURS, {"model": "m"}))
    whole = relay_response(upstream[-1]["response"], ResponseEventStream(OURS, {"model": "m"}))
    said(stream.output_item_message("Hi"))
    endings = [stream.emit_completed(usage=relayed.usage), said(led)[-1], said(whole)[-1]]
    for ending in as_dicts(endings):
        counts = ending["response"]["usage"]
        assert (counts["input_tokens"], counts["output_tokens"], counts["total_tokens"]) == (3, 2, 5)


def test_a_usage_that_tells_nothing_is_none() -> None:
    for usage in ({}, {"total_tokens": 5}, [3], "many"):
        upstream = stream_of("V1")
        upstream[-1]["response"]["usage"] = usage
        relayed = relay(upstream)
        said(relayed)
        assert relayed.usage is None


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
