"""What a run has said so far, as the protocol wants it: each event stamped, numbered, written, checked, and folded.

An event that is refused here takes no number and leaves no trace (decision 3).
"""

from __future__ import annotations

import functools
import time
from typing import Any, Final, TypeVar

import attrs
import msgspec

from responses_stream import lifecycle
from responses_stream.errors import OutOfOrder
from responses_stream.hosting.progress import Progress
from responses_stream.hosting.stamps import Stamp
from responses_stream.order import OrderGuard
from responses_stream.protocol.base import Event, UnknownEvent
from responses_stream.protocol.codec import encode
from responses_stream.protocol.events import (
    LifecycleEvent,
    PartDeltaEvent,
    PartEvent,
    ResponseErrorEvent,
    ResponseOutputItemAddedEvent,
    ResponseOutputItemDoneEvent,
    ResponseReasoningDeltaEvent,
    ResponseReasoningDoneEvent,
    ResponseReasoningTextDeltaEvent,
    ResponseReasoningTextDoneEvent,
    ResponseTextDeltaEvent,
)
from responses_stream.protocol.parts import Number
from responses_stream.protocol.response import ResponseObject
from responses_stream.sse import encode_event

E = TypeVar("E", bound=PartEvent)

_DELTAS: Final = (ResponseTextDeltaEvent, PartDeltaEvent)
_ITEMS: Final = (ResponseOutputItemAddedEvent, ResponseOutputItemDoneEvent)
_LIFECYCLE: Final = (LifecycleEvent,)
_UNKNOWN: Final = (UnknownEvent,)
_FIRST: Final = (LifecycleEvent, ResponseErrorEvent)


@attrs.define(eq=False)
class Transcript:
    """The events of one run.

    Attributes:
        stamp: what is written into each response and item.
        seen: whether anybody will see the frames; where nobody does, they only have about their size.
        open_reasoning: whether events of reasoning text have the names of Open Responses (decision 29, D03).
        number: that of the next event.
        progress: the response as far as it was told.
        told: the `error` event, where one was committed.
        told_at: its number.
        finished: whether it has ended, by a terminal event or by the server: nothing may follow.
        spoke_at: when the first delta came, on the monotonic clock; None where none did.
    """

    stamp: Stamp
    open_reasoning: bool = False
    seen: bool = True
    number: int = attrs.field(init=False, default=0)
    progress: Progress = attrs.field(init=False, factory=Progress)
    told: ResponseErrorEvent | None = attrs.field(init=False, default=None)
    told_at: int | None = attrs.field(init=False, default=None)
    finished: bool = attrs.field(init=False, default=False)
    spoke_at: float | None = attrs.field(init=False, default=None)
    _created_at: Number | None = attrs.field(init=False, default=None)
    _last: Event | UnknownEvent | None = attrs.field(init=False, default=None)
    _guard: OrderGuard = attrs.field(init=False)
    _written: tuple[ResponseObject, bytes] | None = attrs.field(init=False, default=None)
    _repeatable: ResponseTextDeltaEvent | PartDeltaEvent | None = attrs.field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self._guard = OrderGuard(self.stamp.response_id)

    def resume(self, number: int, progress: Progress) -> None:
        """Go on from what another server has said: *number* is that of the next event (H18.33)."""
        self.number, self.progress = number, progress
        if progress.said is not None:
            self._created_at = progress.said.created_at or None  # a handler that begins anew does not know it (R043)
        self._guard.resume()

    @property
    def said(self) -> ResponseObject | None:
        """The response as the last lifecycle event told it."""
        return self.progress.said

    @property
    def last_event(self) -> str | None:
        """The type of the last event that was committed. It is kept where the type changes, not for every token."""
        return str(self._last.type) if self._last is not None else None

    def json(self, response: ResponseObject) -> bytes:
        """Return the JSON of a response; that of the last lifecycle event is there already."""
        written = self._written
        return written[1] if written is not None and written[0] is response else encode(response)

    def forget(self) -> None:
        """Keep the JSON of the response no longer."""
        self._written = None

    def commit(self, event: Event | UnknownEvent) -> bytes:
        """Take the next event, and return its frame.

        Raises:
            OutOfOrder: it may not come now.
            InvalidValue, TypeError: it cannot be written.
        """
        kind = type(event)
        said: Any = event  # `isinstance` is slow with the metaclass of msgspec, and every event comes by here
        if _is_of(kind, _DELTAS):
            return self._commit_delta(said)
        self._repeatable = None
        written: Any = None
        if _is_of(kind, _LIFECYCLE):
            whole = self._whole(said)
            event = msgspec.structs.replace(said, sequence_number=self.number, response=whole)
            if self.seen:
                # A response is large: it is written once, for the event, for the store and for who waits for JSON.
                data = encode(whole)
                written = msgspec.structs.replace(event, response=msgspec.Raw(data))
                # Of those between the first and the last nobody asks for it, and a stream may be idle for hours.
                self._written = (whole, data) if self.number == 0 or said.type in lifecycle.TERMINAL else None
        elif _is_of(kind, _ITEMS):
            event = msgspec.structs.replace(said, sequence_number=self.number, item=self.stamp.item(said.item))
        elif self.open_reasoning and isinstance(event, ResponseReasoningTextDoneEvent):
            event = _renamed(event, ResponseReasoningDoneEvent, self.number)
        elif event.sequence_number != self.number:
            event = msgspec.structs.replace(event, sequence_number=self.number)
        # Written before it is checked: the guard must not step on by what then cannot be sent.
        frame = encode_event(event if written is None else written) if self.seen else _measured(event)
        if self.number == 0 and not _is_of(kind, _FIRST):
            raise OutOfOrder(str(event.type), lifecycle.BEFORE, (lifecycle.CREATED, lifecycle.ERROR), "R030")
        self._guard.check(event)
        self.finished = self._guard.finished
        self.number += 1
        self._last = event
        if kind is ResponseErrorEvent:
            self.told, self.told_at = said, self.number - 1
        else:
            self.progress.feed(event)
        return frame

    def repeat(self, event: Event | UnknownEvent) -> bytes | None:
        """Take a delta for the same place as the event before it, and return its frame; None if it is anything else.

        Almost every token is one. It has not to be checked: what the last one was allowed, this one is.

        Raises:
            InvalidValue: it cannot be written.
        """
        last = self._repeatable
        if last is None or type(event) is not type(last):
            return None
        delta: Any = event  # of the type of the last one; to tell mypy so by `isinstance` costs as much as all of this
        if (
            delta.item_id != last.item_id
            or delta.content_index != last.content_index
            or delta.output_index != last.output_index
        ):
            return None
        number = self.number
        write = encode_event if self.seen else _measured
        frame = write(
            event if delta.sequence_number == number else msgspec.structs.replace(event, sequence_number=number)
        )
        self.number = number + 1
        return frame

    def _commit_delta(self, event: ResponseTextDeltaEvent | PartDeltaEvent) -> bytes:
        said = event
        if self.open_reasoning and isinstance(event, ResponseReasoningTextDeltaEvent):
            event = _renamed(event, ResponseReasoningDeltaEvent, self.number)
        elif event.sequence_number != self.number:
            event = msgspec.structs.replace(event, sequence_number=self.number)
        frame = encode_event(event) if self.seen else _measured(event)
        if self.number == 0:
            raise OutOfOrder(event.type, lifecycle.BEFORE, (lifecycle.CREATED, lifecycle.ERROR), "R030")
        self._guard.check(event)
        self._last = event
        # One that goes out by another name has to be made anew each time.
        self._repeatable = event if type(event) is type(said) else None
        if self.spoke_at is None:
            self.spoke_at = time.monotonic()
        self.number += 1
        return frame

    def close(self, response: ResponseObject) -> None:
        """Take note that the response has ended so, by events that the server made itself."""
        self.progress.end(response)
        self.finished, self._repeatable = True, None

    def _whole(self, event: LifecycleEvent) -> ResponseObject:
        """Return the response of an event, complete.

        An output that is left out at the end is what was done: clients take the terminal event for all there is (A6).
        """
        said = event.response
        ends = event.type in lifecycle.TERMINAL
        if ends and len(said.output) > self.progress.added:
            raise OutOfOrder(f"{event.type} with output", "response", (f"{event.type} with what was added",), "H3.17")
        done = self.progress.done() if ends and not said.output and said.status != "cancelled" else None
        whole = self.stamp.response(said, done)
        if self._created_at is None:
            return whole
        return msgspec.structs.replace(whole, created_at=self._created_at)


def _measured(event: Event | UnknownEvent) -> bytes:
    """Return what is about as large as the frame of an event, and costs less.

    Raises:
        InvalidValue, TypeError: the event cannot be written.
    """
    if _is_of(type(event), _UNKNOWN):
        return encode_event(event)
    try:
        return msgspec.json.encode(event)
    except (UnicodeEncodeError, RecursionError):
        return encode_event(event)  # says what is wrong


@functools.cache
def _is_of(kind: type, classes: tuple[type, ...]) -> bool:
    return issubclass(kind, classes)


def _renamed(event: PartEvent, kind: type[E], number: int) -> E:
    """Return an event by the name that Open Responses has for it."""
    members = {name: getattr(event, name) for name in event.__struct_fields__}
    return kind(**(members | {"sequence_number": number}))
