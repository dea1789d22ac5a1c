"""HAR files, in which browsers and proxies save what went over the network: the answers in them that may be streams."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal
from urllib.parse import parse_qs, urlsplit

import attrs
import msgspec

from responses_stream.errors import DecodeError
from responses_stream.protocol.codec import from_json
from responses_stream.validation.capture_layers import UnusableCapture, beginning

_RESPONSES: Final = re.compile(r"/responses(?:/[^/]+)?/?\Z")
_EVENT_STREAM: Final = "text/event-stream"
_OK: Final = range(200, 300)


class _PostData(msgspec.Struct):
    text: str | None = None


class _Request(msgspec.Struct):
    url: str = ""
    method: str = ""
    postData: _PostData | None = None  # noqa: N815


class _Content(msgspec.Struct):
    mimeType: str | None = None  # noqa: N815
    text: str | None = None
    encoding: str | None = None


class _Answer(msgspec.Struct):
    status: int = 0
    content: _Content = msgspec.field(default_factory=_Content)


class _Message(msgspec.Struct):
    data: str = ""


class _Entry(msgspec.Struct):
    request: _Request = msgspec.field(default_factory=_Request)
    response: _Answer = msgspec.field(default_factory=_Answer)
    messages: list[_Message] = msgspec.field(default_factory=list, name="_webSocketMessages")


class _Log(msgspec.Struct):
    entries: list[_Entry] = msgspec.field(default_factory=list)


class _Har(msgspec.Struct):
    log: _Log


@attrs.frozen(kw_only=True)
class HarEntry:
    """An answer of a HAR file that may be a stream.

    Attributes:
        part: which entry it is, for people.
        body: the bytes of its content.
        refused: why it is no stream, where its head or its wrapping tells already; else empty.
        request: the body of the request, where it was a JSON object.
        starting_after: the cursor in the query of the request.
        transport: how its events travelled; the messages of a WebSocket are JSON lines, those of the client too.
    """

    part: str
    body: bytes
    refused: str = ""
    request: Mapping[str, Any] | None = None
    starting_after: int | None = None
    transport: Literal["sse", "websocket"] = "sse"


def entries_of(text: bytes) -> Iterator[HarEntry]:
    """Yield the entries that are event streams by their media type, or JSON or WebSockets of a Responses endpoint.

    Raises:
        UnusableCapture: *text* is no HAR file.
    """
    try:
        entries = msgspec.json.decode(text, type=_Har).log.entries
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise UnusableCapture(f"this begins as a HAR file and is none: {error}") from None
    for number, entry in enumerate(entries):
        url, content = entry.request.url, entry.response.content
        part = f"entries[{number}] {entry.request.method} {_shown(url)}"
        ours = _RESPONSES.search(urlsplit(url).path) is not None
        if entry.messages and ours:
            # A message is one JSON value; what is more would be told as such.
            lines = "\n".join(message.data for message in entry.messages)
            yield HarEntry(part=part, body=lines.encode("utf-8", "replace"), transport="websocket")
            continue
        media = (content.mimeType or "").lower()
        if not (
            media.startswith(_EVENT_STREAM)
            or (ours and (content.text or not media) and entry.request.method != "OPTIONS")
        ):
            continue
        body, refused = _body(content)
        if not refused and entry.response.status not in _OK:
            refused = f"the answer has the status {entry.response.status}{beginning(body)}"
        yield HarEntry(
            part=part,
            body=body,
            refused=refused,
            request=_object(entry.request.postData),
            starting_after=cursor_of(url),
        )


def cursor_of(url: str) -> int | None:
    """Return the value of `starting_after` in the query of *url*."""
    for value in parse_qs(urlsplit(url).query).get("starting_after", ()):
        if value.isascii() and value.isdigit() and len(value) <= 18:
            return int(value)
    return None


def _shown(url: str) -> str:
    """Without what may be a secret: the name of a user, and the query."""
    found = urlsplit(url)
    return f"{found.scheme}://{found.netloc.rpartition('@')[2]}{found.path}"


def _body(content: _Content) -> tuple[bytes, str]:
    text = content.text or ""
    if content.encoding == "base64":
        try:
            return base64.b64decode("".join(text.split()), validate=True), ""
        except (binascii.Error, ValueError) as error:
            return b"", f"its content is no base64: {error}"
    if not text:
        return b"", "it was saved without its content"
    return text.encode("utf-8", "replace"), ""


def _object(posted: _PostData | None) -> Mapping[str, Any] | None:
    try:
        value = from_json(posted.text or "") if posted else None
    except DecodeError:
        return None
    return value if isinstance(value, dict) else None
