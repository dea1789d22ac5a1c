"""How far a response has come, as `GET` shows it: what the last lifecycle event said, and the items so far.

An item appears when it was added and is replaced when it is done; deltas change nothing (H2.22). The run that makes the
response folds its events one by one; a process that only has the log reads it with `progress_of`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs
import msgspec

from responses_stream import lifecycle
from responses_stream.protocol.base import Event, UnknownEvent
from responses_stream.protocol.events import (
    LifecycleEvent,
    ResponseOutputItemAddedEvent,
    ResponseOutputItemDoneEvent,
)
from responses_stream.protocol.items import OutputItem
from responses_stream.protocol.response import ResponseObject
from responses_stream.sse import decode_events

_TELLING: Final = tuple(
    f"event: {name}\n".encode()
    for name in (
        "response.created",
        "response.queued",
        "response.in_progress",
        "response.completed",
        "response.failed",
        "response.incomplete",
        "response.output_item.added",
        "response.output_item.done",
    )
)


@attrs.define(eq=False)
class Progress:
    """The fold of the events so far.

    Attributes:
        said: the response as the last lifecycle event told it; None before anything was.
    """

    said: ResponseObject | None = None
    _ended: bool = attrs.field(init=False, default=False)
    _items: dict[int, OutputItem] = attrs.field(init=False, factory=dict)
    _done: dict[int, int] = attrs.field(init=False, factory=dict)

    def feed(self, event: Event | UnknownEvent) -> None:
        """Take the next event."""
        if isinstance(event, LifecycleEvent):
            self.said = event.response
            self._ended = event.type in lifecycle.TERMINAL
            if not self._ended:
                # A stream that goes on from stored items tells them here (H17.20), and one that another server has
                # taken up says what stays of it (H18.35).
                self._items = dict(enumerate(event.response.output))
                self._done = dict.fromkeys(self._items, event.sequence_number)
        elif isinstance(event, ResponseOutputItemDoneEvent):
            self._items[event.output_index] = event.item
            self._done[event.output_index] = event.sequence_number
        elif isinstance(event, ResponseOutputItemAddedEvent):
            self._items[event.output_index] = event.item

    def end(self, response: ResponseObject) -> None:
        """Take note that the response has ended as *response*."""
        self.said, self._ended = response, True

    @property
    def added(self) -> int:
        """How many items were added."""
        return len(self._items)

    def response(self) -> ResponseObject | None:
        """Return the response as far as it has come; None where nothing was said."""
        if self.said is None or self._ended or not self._items:
            return self.said
        return msgspec.structs.replace(self.said, output=[self._items[index] for index in sorted(self._items)])

    def done(self, before: int | None = None) -> list[OutputItem]:
        """Return the items that are done, by events numbered below *before* where that is given."""
        numbers = sorted(self._done.items())
        return [self._items[index] for index, number in numbers if before is None or number < before]


def progress_of(frames: Iterable[bytes]) -> Progress:
    """Return what the frames of a log, from its beginning on, tell of the response."""
    progress = Progress()
    telling = b"".join(frame for frame in frames if frame.startswith(_TELLING))
    for event in decode_events(telling):
        progress.feed(event)
    return progress
