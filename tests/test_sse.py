"""The framing, both ways: what a writer writes, what a reader accepts, and what both do with what is broken."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from itertools import pairwise
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from responses_stream.errors import DecodeError, InvalidType, InvalidValue, OutOfOrder
from responses_stream.protocol.base import Event, UnknownEvent, UnknownItem, Wire
from responses_stream.protocol.codec import decode_event, encode
from responses_stream.protocol.events import (
    ResponseOutputItemDoneEvent,
    ResponseRefusalDeltaEvent,
    ResponseSteerAcceptedEvent,
    ResponseStreamEvent,
    ResponseTextDeltaEvent,
)
from responses_stream.protocol.plans import Branches, plan_of, tags_of
from responses_stream.sse import (
    COMMENT_FIELD,
    DONE,
    SSE_HEADERS,
    UNKNOWN_FIELD,
    Chunk,
    Comment,
    EventDecoder,
    Frame,
    FrameDecoder,
    FrameTooLarge,
    decode_events,
    encode_comment,
    encode_event,
)

KNOWN = tags_of(ResponseStreamEvent)
LINE_ENDS = (b"\n", b"\r", b"\r\n")
GOOD = b'event: acme:good\ndata: {"type":"acme:good","sequence_number":7}\n\n'


def text_delta(delta: str, number: int = 0, **members: Any) -> ResponseTextDeltaEvent:
    return ResponseTextDeltaEvent(
        sequence_number=number, item_id="msg_1", output_index=0, content_index=0, delta=delta, **members
    )


def plain(branches: Branches) -> object:
    """The smallest JSON value that fits."""
    if branches.single or branches.known:
        return smallest(branches.single or next(iter(branches.known.values())))
    if branches.element:
        return []
    name = branches.expected
    samples: dict[str, object] = {"string": "x", "integer": 0, "number": 0, "boolean": True, "array": []}
    fitting = [sample for kind, sample in samples.items() if kind in name]
    return fitting[0] if fitting else {}


def smallest(struct: type[Wire]) -> dict[str, object]:
    """The smallest JSON object that is read as *struct*."""
    plan = plan_of(struct)
    members = {name: plain(member.branches) for name, member in plan.members.items() if member.required}
    return members if plan.tag is None else {"type": plan.tag, **members}


def frames_of(*chunks: Chunk) -> list[Frame]:
    decoder = FrameDecoder()
    return [frame for chunk in chunks for frame in decoder.feed(chunk)]


def only_frame(*chunks: Chunk) -> Frame:
    (frame,) = frames_of(*chunks)
    return frame


def rest_of(*chunks: Chunk) -> Frame | None:
    decoder = FrameDecoder()
    for chunk in chunks:
        assert not list(decoder.feed(chunk))
    return decoder.close()


def told_by(decoder: EventDecoder, chunks: Iterable[Chunk]) -> list[ResponseStreamEvent | DecodeError]:
    """All that comes out of a decoder, errors included."""
    told: list[ResponseStreamEvent | DecodeError] = []
    for chunk in chunks:
        decoder.feed(chunk)
        while True:
            try:
                told.append(next(decoder))
            except DecodeError as error:
                told.append(error)
            except StopIteration:
                break
    return told


def cut(stream: bytes, places: Iterable[int]) -> list[bytes]:
    borders = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[begin:end] for begin, end in pairwise(borders)]


def bytes_of(stream: bytes) -> list[bytes]:
    return [stream[at : at + 1] for at in range(len(stream))]


TEXT = st.text(st.characters(codec="utf-8"))
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(TEXT, values, max_size=3),
    max_leaves=6,
)
NUMBERS = st.integers(0, 2**53)


@st.composite
def unknown_events(draw: st.DrawFn) -> ResponseStreamEvent:
    members = draw(st.dictionaries(TEXT, JSON_VALUES, max_size=4))
    return decode_event({**members, "type": "acme:" + draw(TEXT), "sequence_number": draw(NUMBERS)})


EVENTS = st.one_of(
    st.builds(text_delta, TEXT, NUMBERS),
    st.builds(text_delta, TEXT, NUMBERS, obfuscation=TEXT),
    st.builds(
        lambda delta, number: ResponseRefusalDeltaEvent(
            sequence_number=number, item_id="msg_1", output_index=0, content_index=0, delta=delta
        ),
        TEXT,
        NUMBERS,
    ),
    unknown_events(),
)


@st.composite
def framed(draw: st.DrawFn) -> tuple[list[ResponseStreamEvent], bytes]:
    """Events, and a stream of them with line ends of all sorts, comments in between and perhaps a BOM."""
    events = draw(st.lists(EVENTS, max_size=5))
    stream = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    for event in events:
        if draw(st.booleans()):
            stream += encode_comment(draw(TEXT))
        for line in encode_event(event)[:-2].split(b"\n"):
            end = draw(st.sampled_from(LINE_ENDS))
            stream += line + end
        # A LF after a CR would be the second half of one line end, not an empty line.
        stream += draw(st.sampled_from(LINE_ENDS[1:] if end == b"\r" else LINE_ENDS))
    return events, stream


# Writing


def test_a_frame_is_the_type_then_compact_json_on_one_line_then_an_empty_line() -> None:
    assert encode_event(text_delta("a\n\u00e9\U0001f600", 3)) == (
        b"event: response.output_text.delta\n"
        b'data: {"type":"response.output_text.delta","sequence_number":3,"item_id":"msg_1","output_index":0,'
        b'"content_index":0,"delta":"a\\n\xc3\xa9\xf0\x9f\x98\x80","logprobs":[]}\n\n'
    )


@pytest.mark.parametrize("kind", KNOWN)
def test_the_event_line_of_each_known_event_is_its_type(kind: str) -> None:
    event = decode_event(smallest(KNOWN[kind]))
    assert type(event) is KNOWN[kind]
    for _ in range(2):  # the first time makes the frame of the class, the second takes it
        frame = only_frame(encode_event(event))
        assert frame.event == kind == json.loads(frame.data)["type"]
        assert frame.data == encode(event)
        assert frame.fields == ("event", "data")
        assert frame.lf


LOGPROB = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}


@pytest.mark.parametrize(
    "members",
    [
        {"acme": 1},
        {"logprobs": [LOGPROB]},
        {"logprobs": [{**LOGPROB, "acme": {"deep": [1]}}]},
        {"logprobs": [{**LOGPROB, "top_logprobs": [{"token": "b", "logprob": -1.5, "bytes": [98], "acme": 1}]}]},
        {"logprobs": None},
        {"logprobs": "none"},
    ],
)
def test_members_that_a_type_does_not_list_go_out_at_the_top_and_below(members: dict[str, Any]) -> None:
    data = {**smallest(ResponseTextDeltaEvent), "logprobs": [], **members}
    event = decode_event(data)
    frame = only_frame(encode_event(event))
    assert json.loads(frame.data) == data
    assert frame.data == encode(event)


def test_members_below_an_item_go_out_too() -> None:
    item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "acme": True}
    part = {"type": "output_text", "text": "x", "annotations": [], "logprobs": [], "acme": 1}
    unknown = {"type": "acme:item", "acme": [None]}
    for output in ({**item, "content": [part]}, unknown):
        data = {"type": "response.output_item.done", "sequence_number": 1, "output_index": 0, "item": output}
        event = decode_event(data)
        assert isinstance(event, ResponseOutputItemDoneEvent)
        assert json.loads(only_frame(encode_event(event)).data) == data


def test_a_delta_without_logprobs_member_stays_without() -> None:
    data = smallest(ResponseTextDeltaEvent)
    assert json.loads(only_frame(encode_event(decode_event(data))).data) == data


def test_extra_of_an_event_that_holds_no_structs_goes_out() -> None:
    data = {**smallest(ResponseRefusalDeltaEvent), "acme": "x"}
    assert json.loads(only_frame(encode_event(decode_event(data))).data) == data


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_the_event_line_never_carries_a_line_end_or_a_nul(kind: str) -> None:
    frame = encode_event(UnknownEvent(type=kind, sequence_number=0))
    head, data, *end = frame.split(b"\n")
    assert end == [b"", b""]
    assert head.startswith(b"event: ")
    assert not {0, 13} & set(head)
    assert json.loads(data.removeprefix(b"data: "))["type"] == kind


def test_a_type_with_line_ends_cannot_begin_a_line_of_its_own() -> None:
    frame = only_frame(encode_event(UnknownEvent(type="a\r\ndata: b\n\n\0c", sequence_number=0)))
    assert frame.event == "adata: bc"


def test_a_percent_sign_in_a_type_is_only_that() -> None:
    assert only_frame(encode_event(UnknownEvent(type="100%d%", sequence_number=0))).event == "100%d%"


@pytest.mark.parametrize("kind", ["", None, 7])
def test_an_unknown_event_without_a_type_is_refused(kind: object) -> None:
    with pytest.raises(InvalidValue, match="R011"):
        encode_event(UnknownEvent(type=kind))


@pytest.mark.parametrize(
    "event",
    [
        text_delta("ab\ud800c"),
        text_delta("x", extra={"acme": "\udfff"}),
        UnknownEvent(type="acme:\ud800", sequence_number=0),
    ],
)
def test_half_a_surrogate_pair_is_refused_with_a_sentence(event: Event | UnknownEvent) -> None:
    with pytest.raises(InvalidValue, match="surrogate") as refused:
        encode_event(event)
    assert refused.value.argument == "event"


def test_what_is_nested_too_deeply_is_refused_with_a_sentence() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    try:
        with pytest.raises(InvalidValue, match="deeply"):
            encode_event(text_delta("x", extra={"acme": deep}))
    finally:
        while deep:
            deep = deep.pop()


def test_a_wire_type_in_a_member_that_may_be_any_object_goes_out_whole() -> None:
    event = ResponseSteerAcceptedEvent(sequence_number=0, steer={"item": UnknownItem(type="acme:i", extra={"acme": 1})})
    for _ in range(2):
        assert json.loads(only_frame(encode_event(event)).data)["steer"] == {"item": {"type": "acme:i", "acme": 1}}


def test_what_is_no_event_is_refused() -> None:
    with pytest.raises(InvalidType, match="event"):
        encode_event({"type": "response.created"})  # type: ignore[arg-type]


def test_an_event_class_of_ones_own_is_written_by_its_tag() -> None:
    class TraceEvent(Event, frozen=True, tag="acme:trace"):
        note: str

    assert encode_event(TraceEvent(sequence_number=0, note="x")) == (
        b'event: acme:trace\ndata: {"type":"acme:trace","sequence_number":0,"note":"x"}\n\n'
    )


def test_a_comment_has_a_colon_before_each_of_its_lines() -> None:
    assert encode_comment() == b": keep-alive\n\n"
    assert encode_comment("a\nb\r\nc\rd") == b": a\n: b\n: c\n: d\n\n"
    assert encode_comment("") == b": \n\n"
    with pytest.raises(InvalidValue, match="surrogate"):
        encode_comment("\ud800")


@given(TEXT)
def test_a_comment_never_holds_anything_else(text: str) -> None:
    decoder = FrameDecoder(comments=True, dataless=True)
    assert all(isinstance(token, Comment) for token in decoder.feed(encode_comment(text)))
    assert decoder.close() is None


def test_the_headers_keep_proxies_from_holding_tokens_back() -> None:
    assert SSE_HEADERS == {
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-cache, no-transform",
        "x-accel-buffering": "no",
        "content-encoding": "identity",
    }


# Both ways


@given(framed(), st.lists(st.integers(0, 2**20), max_size=12))
def test_events_come_back_the_same_wherever_the_stream_was_cut(
    stream: tuple[list[ResponseStreamEvent], bytes], places: list[int]
) -> None:
    events, wire = stream
    assert list(decode_events(cut(wire, places))) == events
    assert list(decode_events(bytes_of(wire))) == events
    assert list(decode_events(wire)) == events
    assert list(decode_events(wire.decode())) == events


RAGGED = st.lists(
    st.sampled_from(
        [
            *(b"\n", b"\r", b"\r\n", b"\n\n", b": c", b":", b"data", b"data:x", b"data: y", b"data:  z", b"event: e"),
            *(b"event", b"id: 1", b"id: \0", b"retry: 5", b"retry: x", b"other: o", b"\xef\xbb\xbf", b"\xc3", b"\xa9"),
            *(b" ", b"event: e\ndata: d\n\n", b"event: e\ndata: " + b"d" * 40 + b"\n\n"),
        ]
    ),
    max_size=20,
).map(b"".join)


def all_told(chunks: Iterable[bytes], limit: int) -> list[object]:
    """Frames, comments, the places of frames that were too large, and the rest."""
    decoder = FrameDecoder(comments=True, dataless=True, max_frame_bytes=limit)
    told: list[object] = []
    for chunk in [*chunks, None]:
        if chunk is None:
            told.append(("rest", decoder.close()))
        else:
            decoder.feed(chunk)
        while True:
            try:
                told.append(next(decoder))
            except FrameTooLarge as error:
                told.append(error.offset)
            except StopIteration:
                break
    told.sort(key=lambda token: isinstance(token, tuple))
    return told


@given(RAGGED, st.lists(st.integers(0, 2**20), max_size=12), st.integers(1, 60))
def test_a_cut_changes_nothing_that_is_told(stream: bytes, places: list[int], limit: int) -> None:
    whole = all_told([stream], limit)
    assert all_told(cut(stream, places), limit) == whole
    assert all_told(bytes_of(stream), limit) == whole


@given(RAGGED)
def test_places_and_lines_are_those_of_the_stream(stream: bytes) -> None:
    for frame in FrameDecoder(dataless=True).feed(stream):
        before = stream[: frame.offset].removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        assert frame.line == before.count(b"\n") + 1
        if frame.data_lines == 1:
            assert stream.startswith(frame.data, frame.data_offset)


# The rules of text/event-stream


@pytest.mark.parametrize("end", LINE_ENDS)
def test_a_line_ends_with_lf_cr_or_crlf(end: bytes) -> None:
    wire = end.join([b"event: e", b"data: d", b"", b"data: f", b"", b""])
    for chunks in ([wire], bytes_of(wire)):
        first, second = frames_of(*chunks)
        assert (first.event, first.data, second.event, second.data) == ("e", b"d", "", b"f")
        assert first.lf is second.lf is (end == b"\n")
        assert (first.line, second.line) == (1, 4)
        assert second.offset == wire.index(b"data: f")


def test_a_frame_ended_by_cr_does_not_wait_for_what_may_be_its_lf() -> None:
    decoder = FrameDecoder()
    assert [frame.data for frame in decoder.feed(b"data: d\r\n\r")] == [b"d"]
    assert [frame.data for frame in decoder.feed(b"\n")] == []
    assert [(frame.data, frame.offset) for frame in decoder.feed(b"data: e\n\n")] == [(b"e", 11)]


@pytest.mark.parametrize(
    "wire", [b"data: d\r\n\n", b"data: d\n\r\n", b"event: e\r\ndata: d\n\n", b"event: e\ndata: d\n\r"]
)
def test_one_line_end_of_another_sort_is_noticed(wire: bytes) -> None:
    assert not only_frame(wire).lf


def test_one_bom_at_the_start_is_dropped_and_no_other() -> None:
    for chunks in ([b"\xef\xbb\xbfdata: d\n\n"], bytes_of(b"\xef\xbb\xbfdata: d\n\n"), ["\ufeffdata: d\n\n"]):
        frame = only_frame(*chunks)
        assert (frame.data, frame.offset, frame.line) == (b"d", 3, 1)
    assert not frames_of(b"\xef\xbb\xbf\xef\xbb\xbfdata: d\n\n")
    assert [frame.data for frame in frames_of(b"data: d\n\n\xef\xbb\xbfdata: d\n\ndata: e\n\n")] == [b"d", b"e"]


def test_half_a_bom_is_text() -> None:
    rest = rest_of(b"\xef\xbb")
    assert rest is not None
    assert rest.fields == (UNKNOWN_FIELD,)
    assert rest_of(b"\xef\xbb\xbf") is None


def test_several_data_lines_are_joined_by_a_line_feed() -> None:
    frame = only_frame(b"data: a\ndata:\ndata\ndata: b\n\n")
    assert frame.data == b"a\n\n\nb"
    assert frame.text == "a\n\n\nb"
    assert frame.data_lines == 4


def test_exactly_one_leading_space_of_a_value_is_removed() -> None:
    frame = only_frame(b"event:e\ndata:  d \n\n")
    assert (frame.event, frame.data) == ("e", b" d ")
    assert only_frame(b"event:  e\ndata: d\n\n").event == " e"
    assert only_frame(b"data:\td\n\n").data == b"\td"


def test_a_line_without_a_colon_is_a_field_with_an_empty_value() -> None:
    frame = only_frame(b"event: e\nevent\ndata\nid\n\n")
    assert (frame.event, frame.data, frame.id) == ("", b"", "")


def test_a_frame_with_one_empty_data_line_is_dispatched() -> None:
    assert [frame.data for frame in frames_of(b"data\n\ndata\ndata\n\ndata:")] == [b"", b"\n"]


def test_unknown_fields_and_fields_in_the_wrong_case_are_ignored() -> None:
    frame = only_frame(b"Data: a\nfoo: b\n data: c\ndata: d\n\n")
    assert (frame.data, frame.data_lines, frame.fields) == (b"d", 1, (UNKNOWN_FIELD, "data"))


def test_the_last_event_line_wins() -> None:
    assert only_frame(b"event: a\ndata: d\nevent: b\n\n").event == "b"


def test_a_frame_without_data_is_not_dispatched_unless_asked_for() -> None:
    wire = b"event: e\n\nretry: 10\n\nid: 4\n\n: c\n\n\n\ndata: d\n\n"
    assert [frame.data for frame in frames_of(wire)] == [b"d"]
    told = list(FrameDecoder(dataless=True).feed(wire))
    assert [frame.fields for frame in told] == [("event",), ("retry",), ("id",), ("data",)]
    assert (told[1].retry, told[2].id, told[1].data, told[1].offset, told[1].data_offset) == (10, "4", b"", 10, 10)


def test_what_a_frame_said_does_not_reach_the_next() -> None:
    first, second = frames_of(b"event: e\nid: 1\nretry: 5\ndata: d\n\ndata: f\n\n")
    assert (first.event, first.id, first.retry) == ("e", "1", 5)
    assert (second.event, second.id, second.retry, second.fields) == ("", None, None, ("data",))


def test_an_id_with_a_nul_is_ignored() -> None:
    frame = only_frame(b"id: 1\nid: 2\0\ndata: d\n\n")
    assert frame.id == "1"
    assert only_frame(b"id: \0\ndata: d\n\n").id is None


@pytest.mark.parametrize(
    ("value", "retry"),
    [
        (b"1000", 1000),
        (b"007", 7),
        (b"", None),
        (b"1.5", None),
        (b"-1", None),
        (b"1 ", None),
        (b"\xd9\xa1", None),
        (b"9" * 5000, None),
    ],
)
def test_retry_is_a_number_of_digits_only(value: bytes, retry: int | None) -> None:
    frame = only_frame(b"retry: " + value + b"\ndata: d\n\n")
    assert frame.retry == retry
    assert "retry" in frame.fields


def test_comments_are_skipped_unless_asked_for() -> None:
    wire = b": one\n\nevent: e\n:two\ndata: d\n\n:  three"
    assert only_frame(wire).fields == ("event", COMMENT_FIELD, "data")
    decoder = FrameDecoder(comments=True)
    first, second, frame = decoder.feed(wire)
    assert first == Comment("one", 0, 1)
    assert second == Comment("two", 16, 4)
    assert isinstance(frame, Frame)
    assert (frame.offset, frame.line) == (7, 3)


def test_the_fields_of_a_frame_stand_in_their_order() -> None:
    frame = only_frame(b": c\nretry: 1\nfoo\nid: x\ndata: a\ndata: b\nevent: e\n\n")
    assert frame.fields == (COMMENT_FIELD, "retry", UNKNOWN_FIELD, "id", "data", "event")


def test_text_that_is_not_utf8_is_replaced_and_its_bytes_are_kept() -> None:
    frame = only_frame(b"event: \xff\ndata: a\xc3\n\n")
    assert (frame.event, frame.data, frame.text) == ("\ufffd", b"a\xc3", "a\ufffd")


def test_a_cut_inside_a_character_does_not_hurt() -> None:
    assert only_frame(*bytes_of("event: é\ndata: 😀\n\n".encode())).text == "😀"


def test_chunks_may_be_any_bytes_or_text() -> None:
    assert [frame.data for frame in frames_of(bytearray(b"da"), memoryview(b"ta: "), "é", b"", "", b"\n\n")] == [
        b"\xc3\xa9"
    ]


def test_a_chunk_is_copied_where_its_owner_could_change_it() -> None:
    chunk = bytearray(b"data: d\n")
    decoder = FrameDecoder().feed(chunk)
    chunk[6:7] = b"X"
    assert [frame.data for frame in decoder.feed(b"\n")] == [b"d"]


def test_a_chunk_of_another_type_is_refused() -> None:
    with pytest.raises(InvalidType, match="chunk"):
        FrameDecoder().feed(5)  # type: ignore[arg-type]
    with pytest.raises(InvalidValue, match="character 1"):
        FrameDecoder().feed("a\ud800")


def test_frames_do_not_change() -> None:
    with pytest.raises(AttributeError):
        only_frame(GOOD).event = "x"  # type: ignore[misc]


# The end of a stream


def test_a_last_frame_without_its_empty_line_is_not_dispatched_and_can_be_asked_for() -> None:
    for wire in (b"event: e\ndata: d\n", b"event: e\ndata: d"):
        rest = rest_of(GOOD[:0], wire)
        assert rest is not None
        assert (rest.event, rest.data, rest.offset, rest.line) == ("e", b"d", 0, 1)
        assert rest.data_offset == 15


@pytest.mark.parametrize("wire", [b"", b"\n", b"\r", b": comment", b": comment\n", b": comment\n\n", b"\n\n\n"])
def test_a_stream_that_ends_between_frames_leaves_no_rest(wire: bytes) -> None:
    assert rest_of(wire) is None


def test_a_stream_that_ends_inside_a_field_leaves_a_rest() -> None:
    rest = rest_of(b"dat")
    assert rest is not None
    assert (rest.fields, rest.data_lines) == ((UNKNOWN_FIELD,), 0)


def test_closing_loses_nothing_that_was_complete() -> None:
    decoder = FrameDecoder(max_frame_bytes=20).feed(b"data: a\n\ndata: " + b"x" * 30 + b"\n\ndata: b\n\ndata: c")
    rest = decoder.close()
    assert rest is not None
    assert rest.data == b"c"
    assert next(decoder).data == b"a"
    with pytest.raises(FrameTooLarge):
        next(decoder)
    assert [frame.data for frame in decoder] == [b"b"]
    assert decoder.close() is rest
    assert decoder.buffered == 0


def test_a_closed_decoder_takes_nothing_more() -> None:
    decoder = FrameDecoder()
    decoder.close()
    with pytest.raises(OutOfOrder, match="feed in state closed"):
        decoder.feed(b"x")


# Bounds


def test_a_frame_over_the_limit_is_told_once_and_the_next_one_is_read() -> None:
    wire = GOOD + b"event: e\ndata: " + b"x" * 100 + b"\ndata: more\n\n" + GOOD
    for chunks in ([wire], bytes_of(wire), cut(wire, [30, 90, 100, len(wire) - 3])):
        told = told_by(EventDecoder(max_frame_bytes=80), chunks)
        assert [type(token) for token in told] == [UnknownEvent, FrameTooLarge, UnknownEvent]
        error = told[1]
        assert isinstance(error, FrameTooLarge)
        assert (error.limit, error.offset) == (80, len(GOOD))
        assert "80" in str(error)
        assert f"byte {len(GOOD)}" in str(error)


@pytest.mark.parametrize("end", LINE_ENDS)
def test_the_limit_counts_from_the_first_byte_to_the_last_before_the_closing_line_ends(end: bytes) -> None:
    frame = b"event: e" + end + b"data: d"
    for chunks in ([frame + end + end], bytes_of(frame + end + end)):
        for limit, fits in ((len(frame), True), (len(frame) - 1, False)):
            decoder = FrameDecoder(max_frame_bytes=limit)
            told: list[object] = []
            for chunk in chunks:
                decoder.feed(chunk)
                try:
                    told.extend(decoder)
                except FrameTooLarge as error:
                    told.append(error)
            assert [isinstance(token, Frame) for token in told] == [fits]


@pytest.mark.parametrize("piece", [b"x" * 1000, b"data: x\n" * 125, b"x\n" * 500, b":\n" * 500, b"event: x\r\n" * 100])
def test_an_endless_frame_does_not_fill_the_memory(piece: bytes) -> None:
    decoder = FrameDecoder(max_frame_bytes=10_000)
    errors = 0
    most = 0
    for _ in range(1000):
        decoder.feed(piece)
        try:
            assert list(decoder) == []
        except FrameTooLarge:
            errors += 1
            assert list(decoder) == []
        most = max(most, decoder.buffered)
    assert errors == 1
    assert most <= 10_000 + len(piece)
    assert [frame.data for frame in decoder.feed(b"\n\n" + b"data: d\n\n")] == [b"d"]
    assert decoder.buffered == 0


def test_an_endless_line_in_small_chunks_does_not_fill_the_memory() -> None:
    decoder = FrameDecoder(max_frame_bytes=1000)
    decoder.feed(b"data: ")
    errors = 0
    for _ in range(20_000):
        try:
            next(decoder.feed(b"x"), None)
        except FrameTooLarge:
            errors += 1
        assert decoder.buffered <= 1000
    assert errors == 1
    assert decoder.close() is None


def test_a_line_that_ends_a_frame_too_large_is_not_taken_for_an_empty_one() -> None:
    decoder = FrameDecoder(max_frame_bytes=10)
    with pytest.raises(FrameTooLarge):
        next(decoder.feed(b"data: xxxxxxxx"))
    assert list(decoder.feed(b"\ndata: y")) == []
    assert list(decoder.feed(b"\n")) == []
    assert [frame.data for frame in decoder.feed(b"\ndata: z\n\n")] == [b"z"]


def test_a_limit_below_one_byte_is_refused() -> None:
    with pytest.raises(InvalidValue, match="max_frame_bytes"):
        FrameDecoder(max_frame_bytes=0)


# Events


def test_done_is_no_event_and_is_noted() -> None:
    for marker in (DONE, b"data: [DONE] and more\n\n", b"event: done\ndata:[DONE]\n\n"):
        decoder = EventDecoder()
        assert len(list(decoder.feed(GOOD))) == 1
        before = decoder.done
        assert list(decoder.feed(marker)) == []
        assert (before, decoder.done) == (False, True)
        assert len(list(decoder.feed(GOOD))) == 1


def test_reading_up_to_done_leaves_what_comes_behind_unread() -> None:
    decoder = EventDecoder().feed(GOOD + DONE + b"data: junk\n\n" + GOOD)
    assert len(list(decoder.until_done())) == 1
    with pytest.raises(DecodeError, match="JSON"):
        next(decoder)
    assert len(list(decoder)) == 1


def test_the_end_of_an_event_stream_can_be_asked_about() -> None:
    decoder = EventDecoder().feed(GOOD + GOOD[:-1])
    assert len(list(decoder)) == 1
    rest = decoder.close()
    assert rest is not None
    assert (rest.event, rest.offset) == ("acme:good", len(GOOD))
    assert decoder.buffered == 0


@pytest.mark.parametrize(
    ("junk", "reason", "within"),
    [
        (b'event: e\ndata: {"type":"response.created"\n\n', "not JSON", None),
        (b"data: hello\n\n", "not JSON", 6),
        (b'event: e\ndata: {"type":tru}\n\n', "not JSON", None),
        (b"data: \n\n", "not JSON", None),
        (b'data: {"a":"\xff"}\n\n', "UTF-8", 12),
        (b'data: {"a":"\xf0\x9f\x98"}\n\n', "UTF-8", 12),
        (b"data: 5\n\n", "object", 0),
        (b'data: ["[DONE]"]\n\n', "object", 0),
        (b'event: response.created\ndata: {"sequence_number":0}\n\n', r"\$\.type", 0),
        (b'data: {"type":"response.output_text.delta"}\n\n', r"\$\.delta", 0),
        (b'data: {"type":\ndata: tru}\n\n', "not JSON", 0),
    ],
)
def test_junk_is_told_with_its_place_and_the_next_event_is_read(junk: bytes, reason: str, within: int | None) -> None:
    for chunks in ([GOOD + junk + GOOD], bytes_of(GOOD + junk + GOOD)):
        first, error, last = told_by(EventDecoder(), chunks)
        assert isinstance(error, DecodeError)
        assert first == last == decode_event({"type": "acme:good", "sequence_number": 7})
        with pytest.raises(DecodeError, match=reason):
            raise error
        assert error.offset is not None
        if within is None:
            assert len(GOOD) <= error.offset < len(GOOD + junk)
        else:
            assert error.offset == len(GOOD) + within


def test_events_without_numbers_are_counted_when_asked_for() -> None:
    data = {name: value for name, value in smallest(ResponseTextDeltaEvent).items() if name != "sequence_number"}
    wire = b"data: " + json.dumps(data).encode() + b"\n\n"
    with pytest.raises(DecodeError, match="sequence_number"):
        next(EventDecoder().feed(wire))
    told = told_by(EventDecoder(number_missing=True), [wire + b"data: junk\n\n" + DONE + wire + GOOD + wire])
    assert [token.sequence_number for token in told if not isinstance(token, DecodeError)] == [0, 1, 7, 3]


async def later(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def read(chunks: Iterable[bytes]) -> list[ResponseStreamEvent]:
    return list(decode_events(chunks))


def read_async(chunks: Iterable[bytes]) -> list[ResponseStreamEvent]:
    async def collect() -> list[ResponseStreamEvent]:
        return [event async for event in decode_events(later(chunks))]

    return anyio.run(collect)


@pytest.fixture(params=[read, read_async])
def reading(request: pytest.FixtureRequest) -> Callable[[Iterable[bytes]], list[ResponseStreamEvent]]:
    found: Callable[[Iterable[bytes]], list[ResponseStreamEvent]] = request.param
    return found


def test_a_whole_stream_is_read_from_chunks(reading: Callable[[Iterable[bytes]], list[ResponseStreamEvent]]) -> None:
    events = [text_delta("a", 0), text_delta("b", 1)]
    wire = b"".join([encode_comment(), *map(encode_event, events)])
    assert reading([wire + DONE]) == events
    assert reading(bytes_of(wire)) == events
    assert reading([wire, GOOD[:-1]]) == events
    assert reading([]) == []


def test_a_whole_stream_ends_at_done(reading: Callable[[Iterable[bytes]], list[ResponseStreamEvent]]) -> None:
    def chunks() -> Iterator[bytes]:
        yield GOOD + DONE + b"data: junk\n\n" + GOOD
        raise AssertionError("read on after [DONE]")

    assert len(reading(chunks())) == 1


def test_a_whole_stream_ends_with_its_first_error(
    reading: Callable[[Iterable[bytes]], list[ResponseStreamEvent]],
) -> None:
    with pytest.raises(DecodeError, match="JSON"):
        reading([GOOD, b"data: junk\n\n"])


def test_a_whole_stream_may_be_given_at_once() -> None:
    for source in (GOOD, bytearray(GOOD), memoryview(GOOD), GOOD.decode()):
        assert len(list(decode_events(source))) == 1
    assert len(list(decode_events([GOOD.decode(), GOOD]))) == 2


def test_options_reach_the_decoder_and_wrong_sources_are_refused_at_once() -> None:
    with pytest.raises(FrameTooLarge):
        list(decode_events(GOOD, max_frame_bytes=5))
    assert [
        event.sequence_number for event in decode_events(b'data: {"type":"keepalive"}\n\n', number_missing=True)
    ] == [0]
    with pytest.raises(InvalidType, match="source"):
        decode_events(5)  # type: ignore[call-overload]
    with pytest.raises(InvalidValue, match="max_frame_bytes"):
        decode_events(b"", max_frame_bytes=0)


def test_framing_loads_no_event_loop() -> None:
    code = "import sys, responses_stream.sse; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {"asyncio", "anyio", "h11", "sqlite3", "responses_stream.hosting"} & set(loaded)
