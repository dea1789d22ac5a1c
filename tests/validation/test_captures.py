"""Captures: what is a stream comes out of its wrapping as it went in, and what is none is called what it is."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responses_stream.validation import EventValidator, validate_events
from responses_stream.validation.capture_layers import CHUNK_BYTES, UnusableCapture, gunzip
from responses_stream.validation.captures import Stream, read_capture
from responses_stream.validation.examples import frame_of, stream_of
from responses_stream.validation.har import cursor_of

EVENTS = stream_of("V1")
SSE = "".join(map(frame_of, EVENTS)).encode()
LINES = "".join(f"{json.dumps(event)}\n" for event in EVENTS).encode()
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
RESPONSE = EVENTS[-1]["response"]


def pieces(data: bytes, size: int = 7) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def only(chunks: Iterable[bytes], **settings: Any) -> tuple[Stream, bytes]:
    """The one stream of a capture, and its bytes."""
    [(stream, data)] = [(stream, b"".join(stream.chunks)) for stream in read_capture(chunks, **settings)]
    return stream, data


def why_not(data: bytes, **settings: Any) -> str:
    """Why a capture cannot be used, which its cuts do not change."""
    told = []
    for chunks in (iter([data]), pieces(data)):
        with pytest.raises(UnusableCapture) as refused:
            deque(chain.from_iterable(stream.chunks for stream in read_capture(chunks, **settings)), maxlen=0)
        told.append(str(refused.value))
    assert told[0] == told[1]
    return told[0]


LAYOUTS = {
    "sse": SSE,
    "sse with a mark": b"\xef\xbb\xbf" + SSE,
    "sse after comments": b": hello\n\n" + SSE,
    "sse with CR": SSE.replace(b"\n", b"\r"),
    "sse after words": b"% curl https://example.com\n" + SSE,
    "lines": LINES,
    "list": json.dumps(EVENTS, indent=2).encode(),
    "values": json.dumps(EVENTS[0], indent=2).encode() + LINES,
    "one event": json.dumps(EVENTS[0]).encode(),
    "events in an envelope": json.dumps({"event": "response.created", "data": EVENTS[0]}).encode(),
    "lines, the first without a type": b'{"sequence_number":0}\n' + LINES,
    "one event that is not UTF-8": b'{"a":"\xff"}',
    "one event that is too deep": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "another protocol": b'{"object":"chat.completion.chunk","choices":[]}',
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_a_stream_comes_out_as_it_went_in(layout: str) -> None:
    data = LAYOUTS[layout]
    for chunks in ([data], [b"", data, b""], pieces(data, 1 + len(data) // 5000)):
        stream, taken = only(chunks)
        assert taken == data
        assert (stream.offset, stream.line, stream.part, stream.transport) == (0, 0, "", "sse")


@given(
    st.sampled_from([SSE, LINES]),
    st.lists(st.sampled_from([gzip.compress, HEAD.__add__, b"HTTP/1.1 100 Continue\r\n\r\n".__add__]), max_size=4),
    st.integers(1, 500),
)
def test_wrappings_are_taken_off_in_any_order(data: bytes, wrappings: list[Any], size: int) -> None:
    wrapped = data
    for wrap in wrappings:
        wrapped = wrap(wrapped)
    _, taken = only(pieces(wrapped, size))
    assert taken == data


def test_places_behind_a_head_are_those_in_the_capture() -> None:
    stream, taken = only([HEAD + HEAD + SSE])
    assert taken == SSE
    assert (stream.offset, stream.line) == (2 * len(HEAD), 6)


def test_nothing_is_read_before_it_is_needed() -> None:
    asked = []

    def chunks() -> Iterator[bytes]:
        for at, chunk in enumerate(pieces(SSE, 100)):
            asked.append(at)
            yield chunk

    [stream] = read_capture(chunks())
    assert asked == [0]
    validator, taken = EventValidator(), iter(stream.chunks)
    while not validator.events:
        validator.feed(next(taken))
    assert len(asked) < 10


def test_an_event_is_seen_without_waiting_for_the_next() -> None:
    def chunks() -> Iterator[bytes]:
        yield LINES.partition(b"\n")[0] + b"\n"
        pytest.fail("it was asked for more")

    [stream] = zip(read_capture(chunks()), range(1), strict=False)
    validator = EventValidator()
    validator.feed(next(iter(stream[0].chunks)))
    assert validator.events == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "there is nothing in it"),
        (b"\xef\xbb\xbf \n\r\n", "there is nothing in it"),
        (gzip.compress(b"", mtime=0), "there is nothing in it"),
        (HEAD, "there is nothing in it"),
        (b"HTTP/1.1 200 OK\r\nx: y", "the head of an HTTP answer and has no body"),
        (b'HTTP/1.1 401 Unauthorized\r\n\r\n{"error":\n"who?"}', 'the status 401: {"error": "who?"}'),
        (b"HTTP/2 500 \r\n\r\n", "the status 500 and no body"),
        (b"\x89PNG\r\n\x1a\n\0\0", "a PNG image"),
        (b"PK\x03\x04\n\0", "a ZIP archive; unpack it"),
        (zlib.compress(SSE), "this is no text: byte 1 is not UTF-8"),
        (b"\x28\xb5\x2f\xfd\x04", "compressed with zstd"),
        (SSE.decode().encode("utf-16"), "UTF-16; save it as UTF-8"),
        (bytes(70_000), "byte 0 is NUL"),
        (b"hello\0" + SSE, "byte 5 is NUL"),
        (b"\xe9t\xe9\n" + SSE, "byte 0 is not UTF-8"),
        (b'{"a":"\0"}', "byte 6 is NUL"),
        (b"<!DOCTYPE html><p>Bad gateway", "a page, not a stream of events: <!DOCTYPE html><p>Bad gateway"),
        (b"y\n" * 50_000, "neither Server-Sent Events nor JSON: y y y"),
        (b"12", "neither Server-Sent Events nor JSON: 12"),
        (json.dumps(RESPONSE, indent=1).encode(), "this is a response (id resp_01, status completed), not a stream"),
        (b'{"error":{"message":"no"}}', 'this is an error, not a stream of events: {"error":{"message":"no"}}'),
        (b'{"name":"left-pad"}', "one JSON object without a type, not a stream of events"),
        (b'{"object":"list","data":[]}', "one JSON object without a type"),
    ],
)
def test_what_is_no_stream_is_called_what_it_is(data: bytes, message: str) -> None:
    assert message in why_not(data)


@pytest.mark.parametrize("kept", [2, 5, 20, 60, -9, -1])
def test_gzip_that_is_cut_off_is_said(kept: int) -> None:
    assert "the gzip data ends early" in why_not(gzip.compress(SSE)[:kept])


@pytest.mark.parametrize("at", [2, 20, 60, -5])
def test_gzip_that_is_damaged_is_said(at: int) -> None:
    packed = bytearray(gzip.compress(SSE))
    packed[at] ^= 255
    assert "the gzip data is damaged: " in why_not(bytes(packed))


def test_several_gzip_files_in_a_row_are_one_text() -> None:
    parts = [gzip.compress(part) for part in (SSE[:100], b"", SSE[100:])]
    assert b"".join(gunzip([b"".join(parts) + bytes(100)])) == SSE
    assert b"".join(gunzip(pieces(b"".join(parts), 3))) == SSE


def test_a_gzip_bomb_is_unpacked_a_bit_at_a_time() -> None:
    bomb = gzip.compress(gzip.compress(b": \n" * 7_000_000))
    assert len(bomb) < 1000
    sizes = [len(chunk) for chunk in gunzip(gunzip([bomb]))]
    assert max(sizes) <= CHUNK_BYTES
    assert sum(sizes) == 21_000_000
    assert (
        why_not(bomb, max_bytes=1_000_000) == "the capture is longer than 1000000 bytes; --max-bytes sets another limit"
    )


def test_gzip_within_gzip_without_end_is_refused() -> None:
    data = SSE
    for _ in range(20):
        data = gzip.compress(data)
    assert "again and again" in why_not(data)


def entry(
    body: str, media: str | None = "text/event-stream", url: str = "https://u@x/v1/responses?k=1", **members: Any
) -> dict[str, Any]:
    return {
        "startedDateTime": "2026-01-01T00:00:00Z",
        "request": {
            "method": "POST",
            "url": url,
            "postData": {"mimeType": "application/json", "text": '{"model":"m"}'},
        },
        "response": {"status": 200, "content": {"size": 1, "mimeType": media, "text": body}},
        **members,
    }


def har(*entries: dict[str, Any]) -> bytes:
    return json.dumps({"log": {"version": "1.2", "creator": {}, "entries": entries}}, indent=1).encode()


def test_each_event_stream_of_a_har_file_is_one() -> None:
    packed = entry(base64.b64encode(SSE).decode())
    packed["response"]["content"]["encoding"] = "base64"
    replay = entry(SSE.decode(), url="https://x/v1/responses/resp_01?stream=true&starting_after=3")
    replay["request"] = {"method": "GET", "url": replay["request"]["url"]}
    lines = entry(LINES.decode(), "application/json")
    found = [
        (stream.part, stream.request, stream.starting_after, b"".join(stream.chunks))
        for stream in read_capture(
            pieces(har(entry("<p>", "text/html", "https://x/"), entry(SSE.decode()), packed, replay, lines), 1000)
        )
    ]
    assert found == [
        ("entries[1] POST https://x/v1/responses", {"model": "m"}, None, SSE),
        ("entries[2] POST https://x/v1/responses", {"model": "m"}, None, SSE),
        ("entries[3] GET https://x/v1/responses/resp_01", None, 3, SSE),
        ("entries[4] POST https://x/v1/responses", {"model": "m"}, None, LINES),
    ]


def test_the_messages_of_a_websocket_in_a_har_file_are_its_stream() -> None:
    messages = [{"type": "send", "opcode": 1, "data": '{"type":"response.create"}'}]
    messages += [{"type": "receive", "opcode": 1, "data": json.dumps(event)} for event in EVENTS]
    stream, data = only([har(entry("", None, "wss://x/v1/responses", _webSocketMessages=messages))])
    assert (stream.transport, len(data.splitlines())) == ("websocket", 11)
    assert validate_events(data.splitlines(), transport="websocket").ok


def test_what_is_no_stream_in_a_har_file_is_noted() -> None:
    refused = entry('{"error":"no"}')
    refused["response"]["status"] = 429
    damaged = entry("no base64!")
    damaged["response"]["content"]["encoding"] = "base64"
    retrieved = entry(json.dumps(RESPONSE), "application/json", "https://x/v1/responses/resp_01")
    notes: list[str] = []
    [stream] = read_capture([har(refused, entry(""), damaged, retrieved, entry(SSE.decode()))], note=notes.append)
    assert stream.part.startswith("entries[4]")
    assert [note.partition(": ")[0].partition(" ")[0] for note in notes] == [f"entries[{at}]" for at in range(4)]
    for note, words in zip(notes, ("status 429", "without its content", "base64", "this is a response"), strict=True):
        assert words in note


def test_a_har_file_without_a_stream_or_too_long_or_broken_is_refused() -> None:
    assert "no entry of the HAR file is a stream of events, or of" in why_not(
        har(entry("<p>", "text/html", "https://x/"))
    )
    assert "entries[0] POST https://x/v1/responses: it was saved without" in why_not(har(entry("")))
    assert "longer than 100 bytes" in why_not(har(entry(SSE.decode())), max_har_bytes=100)
    assert "begins as a HAR file and is none" in why_not(har()[:-2])
    for broken in (b'{"log":{"entries":[{"request":3}]}}', b'{"log":"\xff"}', b'{"log":' + b"[" * 100_000):
        assert "begins as a HAR file and is none" in why_not(broken)


def test_the_cursor_of_a_url() -> None:
    assert cursor_of("https://x/v1/responses/r?stream=true&starting_after=12") == 12
    assert cursor_of("https://x/v1/responses/r?stream=true") is None
    for strange in ("", "-1", "x", "9" * 30, "%D9%A3"):
        assert cursor_of(f"https://x/?starting_after={strange}") is None
