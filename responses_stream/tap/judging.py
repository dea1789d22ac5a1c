"""What of the traffic is a stream of events, and how it is read."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Final
from urllib.parse import parse_qs

import attrs
import msgspec

from responses_stream.hosting.http import HttpRequest
from responses_stream.tap.codings import decoder_of
from responses_stream.validation import EventValidator
from responses_stream.validation.profiles import Profile

EVENT_STREAM: Final = "text/event-stream"

MAX_REQUEST_BYTES: Final = 16 * 1024 * 1024
"""How long a request may be, once it is decoded, for its stream to be held against it and for it to be captured."""

_CREATE: Final = re.compile(r"/responses/?\Z")
_RETRIEVE: Final = re.compile(r"/responses/[^/]+/?\Z")
_CURSOR: Final = re.compile(r"[0-9]{1,18}\Z")
_TRUE: Final = ("true", "1", "yes")


def media_type_of(content_type: str | None) -> str:
    """Return a `content-type` without its parameters; empty where there is none."""
    return (content_type or "").partition(";")[0].strip().lower()


def is_stream(request: HttpRequest, asked: dict[str, Any] | None, status: int | None, media_type: str) -> bool:
    """Tell whether an answer is to be judged: it is an event stream, or a stream of a response was asked for."""
    if status is None or not 200 <= status < 300 or request.method == "HEAD":
        return False
    if media_type == EVENT_STREAM:
        return True
    if request.method == "POST":
        return bool(_CREATE.search(request.path)) and asked is not None and asked.get("stream") is True
    return request.method == "GET" and bool(_RETRIEVE.search(request.path)) and _parameter(request, "stream") in _TRUE


@attrs.frozen
class Reading:
    """How streams are read; see `EventValidator`.

    Attributes:
        profile: how strictly.
        select: by these rules only.
        ignore: not by these rules.

    Raises:
        InvalidValue: a rule is not known.
    """

    profile: Profile = "lenient"
    select: Collection[str] = ()
    ignore: Collection[str] = ()

    def __attrs_post_init__(self) -> None:
        EventValidator(self.profile, select=self.select, ignore=self.ignore)

    def validator(self, request: HttpRequest, asked: dict[str, Any] | None) -> EventValidator:
        """Return what judges the stream that answers *request*, whose body is *asked* where it is a JSON object."""
        cursor = _parameter(request, "starting_after")
        return EventValidator(
            self.profile,
            request=asked,
            starting_after=int(cursor) if _CURSOR.match(cursor) else None,
            transport="sse",
            select=self.select,
            ignore=self.ignore,
        )


class AskedBody:
    """A copy of a request's body while it passes: up to `MAX_REQUEST_BYTES`, and nothing of one that is longer."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._room = MAX_REQUEST_BYTES

    def passed(self, piece: bytes) -> None:
        """Keep a piece."""
        self._room -= len(piece)
        if self._room >= 0:
            self._pieces.append(piece)
        else:
            self._pieces.clear()

    def read(self, coding: str | None) -> dict[str, Any] | None:
        """Return the JSON object that it is, undoing its `content-encoding`; None where it is anything else.

        It can be read once, because a stream may go on for long behind a long request.
        """
        pieces, self._pieces = self._pieces, []
        decoder = decoder_of(coding)
        if decoder is None or self._room < 0:
            return None
        body, room = bytearray(), MAX_REQUEST_BYTES
        try:
            for piece in pieces:
                for decoded in decoder.feed(piece):
                    room -= len(decoded)
                    if room < 0:
                        return None
                    body += decoded
            value = msgspec.json.decode(body)
        except (ValueError, RecursionError):  # msgspec's own errors are ValueErrors
            return None
        return value if isinstance(value, dict) else None


def _parameter(request: HttpRequest, name: str) -> str:
    return parse_qs(request.query).get(name, [""])[0].lower()
