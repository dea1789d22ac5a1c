"""What is in a capture: Server-Sent Events, JSON values in any layout, or a HAR file with several streams in it.

`read_capture` takes the bytes of a file, a pipe or a connection as they come, unwraps them, looks at how they begin,
and hands out each `Stream` in them. It looks no further than it has to, so that a stream is judged while it comes.
What is no stream is an `UnusableCapture` that says what it is instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Literal

import attrs

from responses_stream.errors import DecodeError
from responses_stream.protocol.codec import from_json
from responses_stream.validation.capture_layers import Bytes, UnusableCapture, beginning, unwrap
from responses_stream.validation.documents import DocumentDecoder, DocumentError
from responses_stream.validation.har import entries_of

MAX_CAPTURE_BYTES: Final = 8 * 1024**3
"""How many bytes a capture may have, unpacked, unless somebody says otherwise."""

MAX_HAR_BYTES: Final = 512 * 1024**2
"""How many bytes a HAR file may have: it is one JSON value, and has to be read as a whole."""

_SNIFFED: Final = 64 * 1024
_LONGEST_BODY: Final = 1024 * 1024
_BOM: Final = b"\xef\xbb\xbf"
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
_BEGINS_JSON: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*[{\[]")
_BEGINS_HAR: Final = re.compile(rb'(?:\xef\xbb\xbf)?\s*\{\s*"log"\s*:')
_MAY_BEGIN_HAR: Final = re.compile(rb'(?:\xef\xbb\xbf)?\s*\{\s*(?:"(?:l(?:o(?:g(?:"\s*)?)?)?)?)?\Z')
_FIELD: Final = re.compile(rb"(?:\A(?:\xef\xbb\xbf)?|[\r\n])(?:event|data|id|retry)?:")
# What else people take for a capture: how it begins, and what to do about it.
_OTHERS: Final[tuple[tuple[bytes, str], ...]] = (
    (b"PK\x03\x04", "a ZIP archive; unpack it"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd; unpack it"),
    (b"\xfd7zXZ\0", "compressed with xz; unpack it"),
    (b"BZh", "compressed with bzip2; unpack it"),
    (b"\x89PNG", "a PNG image"),
    (b"%PDF", "a PDF document"),
    (b"\x7fELF", "a program"),
)

Kind = Literal["sse", "json", "har"]


@attrs.frozen(kw_only=True)
class Stream:
    """One stream of events in a capture.

    Attributes:
        chunks: its bytes, to be taken once: Server-Sent Events or JSON values.
        part: which one of several it is; empty when it is all of the capture.
        request: the body that it answers, where the capture has it.
        starting_after: the cursor of the replay that it is, where the capture tells.
        transport: how its events travelled.
        offset, line: how many bytes, and how many lines, stand before it in the capture.
    """

    chunks: Iterable[bytes]
    part: str = ""
    request: Mapping[str, Any] | None = None
    starting_after: int | None = None
    transport: Literal["sse", "websocket"] = "sse"
    offset: int = 0
    line: int = 0


def read_capture(
    chunks: Iterable[bytes],
    *,
    max_bytes: int = MAX_CAPTURE_BYTES,
    max_har_bytes: int = MAX_HAR_BYTES,
    note: Callable[[str], None] = lambda _: None,
) -> Iterator[Stream]:
    """Yield the streams in a capture. The next one may be asked for when the one before was taken.

    Args:
        chunks: the bytes of the capture, cut anywhere, as they come.
        max_bytes: how many there may be, unpacked.
        max_har_bytes: how many there may be of a HAR file.
        note: is told, in a sentence, of each entry of a HAR file that should be a stream and is none.

    Raises:
        UnusableCapture: there is no stream in it. Taking the bytes of a stream raises it too, where they break off or
            are too many.
    """
    inside = unwrap(chunks, max_bytes)
    kind = _kind_of(inside)
    if kind == "har":
        yield from _streams_of_har(inside, max_har_bytes, note)
        return
    if kind == "json":
        _refuse_what_is_no_event(inside)
    yield Stream(chunks=inside, offset=inside.offset, line=inside.line)


def _streams_of_har(inside: Bytes, max_bytes: int, note: Callable[[str], None]) -> Iterator[Stream]:
    text = bytearray()
    for chunk in inside:
        text += chunk
        if len(text) > max_bytes:
            raise UnusableCapture(f"the HAR file is longer than {max_bytes} bytes, and it can only be read as a whole")
    found, refused = 0, ""
    for entry in entries_of(bytes(text)):
        try:
            body = Bytes(iter([entry.body]))
            if entry.refused:
                raise UnusableCapture(entry.refused)
            if _kind_of(body) == "json":
                _refuse_what_is_no_event(body)
        except UnusableCapture as error:
            refused = f"{entry.part}: {error}"
            note(refused)
            continue
        found += 1
        yield Stream(
            chunks=body,
            part=entry.part,
            request=entry.request,
            starting_after=entry.starting_after,
            transport=entry.transport,
        )
    if not found:
        why = f"; {refused}" if refused else ", or of a Responses endpoint"
        raise UnusableCapture(f"no entry of the HAR file is a stream of events{why}")


def _kind_of(inside: Bytes) -> Kind:
    """Look as far as it takes to tell what *inside* is."""
    line = 0
    while True:
        seen = inside.seen
        enough = inside.ended or len(seen) >= _SNIFFED or b"\0" in seen
        if kind := _sniff(seen, line, enough):
            return kind
        if enough:
            raise UnusableCapture(_what_it_is_not(bytes(seen).removeprefix(_BOM)))
        # The lines that are whole need not be looked at again.
        line = max(seen.rfind(b"\n"), seen.rfind(b"\r"), 0)
        inside.look_on()


def _sniff(seen: bytearray, line: int, enough: bool) -> Kind | None:
    if _BEGINS_JSON.match(seen):
        if not enough and _MAY_BEGIN_HAR.match(seen):
            return None
        return "har" if _BEGINS_HAR.match(seen) else "json"
    field = _FIELD.search(seen, line)
    return "sse" if field and _is_text(seen[: field.start()]) else None


def _is_text(seen: bytearray) -> bool:
    try:
        return "\0" not in seen.decode()
    except UnicodeDecodeError:
        return False


def _what_it_is_not(seen: bytes) -> str:
    if not seen.strip():
        return "there is nothing in it"
    if seen.startswith(_UTF_16):
        return "the text is UTF-16; save it as UTF-8 (in PowerShell: Set-Content -Encoding utf8)"
    for mark, name in _OTHERS:
        if seen.startswith(mark):
            return f"this is no capture, it is {name}"
    before_nul, nul, _ = seen.partition(b"\0")
    try:
        # The end of what was looked at may lie in the middle of a character.
        text = (before_nul if nul or len(seen) < _SNIFFED else seen[:-3]).decode()
    except UnicodeDecodeError as error:
        return f"this is no text: byte {error.start} is not UTF-8, and no event was found before it"
    if nul:
        return f"this is no text: byte {len(before_nul)} is NUL, and no event was found before it"
    if text.lstrip().startswith("<"):
        return f"this is a page, not a stream of events{beginning(seen)}"
    return f"this is neither Server-Sent Events nor JSON{beginning(seen)}"


def _refuse_what_is_no_event(inside: Bytes) -> None:
    """Refuse bytes that only begin like JSON, and JSON that is one object and no event: a response, an error."""
    decoder, fed = DocumentDecoder(max_bytes=_LONGEST_BODY), 0
    refused: str | None = None
    while True:
        decoder.feed(bytes(inside.seen[fed:]))
        fed = len(inside.seen)
        try:
            for document in decoder:
                # One object without a type may be a damaged event, if others follow.
                if refused is not None or (refused := refusal_of(document.data)) is None:
                    return
        except DocumentError:
            # Too long, or no JSON: that is for the validator to say, unless it is no text at all.
            break
        if not inside.look_on():
            break
    if refused is not None:
        raise UnusableCapture(refused)
    if b"\0" in inside.seen:
        raise UnusableCapture(_what_it_is_not(bytes(inside.seen)))


def refusal_of(data: bytes) -> str | None:
    """Return why the one value of a capture is not to be judged as an event; None when it may be one."""
    try:
        value = from_json(data)
    except DecodeError:
        return _what_it_is_not(data) if b"\0" in data else None
    # Some captures wrap each event with the name of its frame.
    if not isinstance(value, dict) or "type" in value or isinstance(value.get("data"), dict):
        return None
    if value.get("object") == "response":
        return (
            f"this is a response (id {value.get('id')}, status {value.get('status')}), not a stream of events; ask for"
            " one with stream=true, or compare with this one by --retrieved"
        )
    if isinstance(value.get("object"), str) and value["object"] != "list":
        # Other protocols name their chunks so; the validator knows them.
        return None
    what = "an error" if value.get("error") else "one JSON object without a type"
    return f"this is {what}, not a stream of events{beginning(data)}"
