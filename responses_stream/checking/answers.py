"""What a client got in the end: the status, the body, and the response that they tell of."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from typing import Any, Final

import attrs

from responses_stream.accumulator import accumulate
from responses_stream.errors import DecodeError
from responses_stream.protocol.base import Event, UnknownEvent
from responses_stream.protocol.codec import to_builtins
from responses_stream.protocol.events import LifecycleEvent
from responses_stream.sse import decode_events

_STREAM: Final = "text/event-stream"
_LIVE: Final = ("queued", "in_progress")


@attrs.frozen(slots=False)
class Answer:
    """What a client got, read once.

    Attributes:
        status: the HTTP status.
        content_type: the media type, without its parameters.
        body: all of it.
        trouble: what else the client saw of the engine that does not go together with it.
    """

    status: int
    content_type: str
    body: bytes
    trouble: tuple[str, ...] = ()

    @property
    def is_stream(self) -> bool:
        """Whether the body is an event stream."""
        return self.content_type == _STREAM

    @functools.cached_property
    def events(self) -> list[Event | UnknownEvent]:
        """The events of a stream; none where it cannot be read, which its validation tells."""
        try:
            return list(decode_events(self.body, number_missing=True)) if self.is_stream else []
        except DecodeError:
            return []

    @property
    def frames(self) -> list[bytes]:
        """The frames of a stream as they came, without signs of life: those are not part of the log."""
        found = [frame for frame in self.body.split(b"\n\n") if frame]
        return [frame for frame in found if not frame.startswith((b":", b"event: keepalive"))]

    @functools.cached_property
    def response(self) -> dict[str, Any] | None:
        """The response that the answer tells of, as plain data; None where it tells of none."""
        if self.status != 200:
            return None
        return folded(self.events) if self.is_stream else self._json

    @property
    def is_live(self) -> bool:
        """Whether it tells of a response that has not ended."""
        return self.response is not None and self.response.get("status") in _LIVE

    @property
    def error(self) -> dict[str, Any]:
        """The error in the body of an answer that is one."""
        found = (self._json or {}).get("error")
        return found if isinstance(found, dict) else {}

    @property
    def outcome(self) -> str:
        """How it ended, for people."""
        if self.status != 200:
            return f"{self.status} {self.error.get('code') or ''}".rstrip()
        status = str(self.response.get("status")) if self.response is not None else "error"
        count = len(self.events)
        return f"{status}, {count} event{'' if count == 1 else 's'}" if self.is_stream else status

    @property
    def _json(self) -> dict[str, Any] | None:
        try:
            found = json.loads(self.body)
        except ValueError:
            return None
        return found if isinstance(found, dict) else None


def folded(events: Sequence[Event | UnknownEvent]) -> dict[str, Any] | None:
    """Return the response that *events* tell of, as plain data; None where they tell of none."""
    if not any(isinstance(event, LifecycleEvent) for event in events):
        return None
    return to_builtins(accumulate(events))
