"""Readers of a log: each has a position, and takes what is there behind it, from memory or from the store.

The creator of a stream, whoever replays it and whoever follows a run of another process read in the same way, so that
all of them get the same bytes (H5.17, H5.21).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import anyio
import attrs

from responses_stream.hosting.http import ByteStream, CutShort
from responses_stream.hosting.log import Log
from responses_stream.hosting.pulse import Pulse
from responses_stream.hosting.run import Run
from responses_stream.protocol.events import KeepaliveEvent
from responses_stream.sse import encode_comment, encode_event
from responses_stream.stores.base import Key, NotStored, ResponseStore

_LOOK_SECONDS: Final = 30.0
"""How long a reader leaves it to the store to say that there is something new."""

_COMMENT: Final = encode_comment("keep-alive")


@attrs.define(eq=False)
class Reader:
    """One reader of the log of one response.

    Attributes:
        key: of the response.
        store: where the events are that are not in memory.
        run: the run that makes it, where that is one of ours.
        position: the number of the event that comes next.
        patience: after how many seconds it looks up from the store, though there is nothing new.
        ended: whether the last event was taken.
    """

    key: Key
    store: ResponseStore
    run: Run | None
    position: int = 0
    patience: float = _LOOK_SECONDS
    ended: bool = attrs.field(init=False, default=False)
    _all_taken: bool = attrs.field(init=False, default=False)

    @property
    def _log(self) -> Log | None:
        return self.run.log if self.run is not None else None

    @property
    def ready(self) -> bool:
        """Whether there is something to take without waiting."""
        log = self._log
        return log is not None and log.first <= self.position < log.shown

    async def take(self) -> bytes:
        """Return all frames that are there, waiting for one if need be.

        Empty where the log has `ended`, and where it was woken, or its patience was over, before there was anything.

        Raises:
            NotStored: the response was deleted.
            Exception: whatever the store has trouble with.
        """
        log = self._log
        if log is None or self.position < log.first:
            frames = await self._stored()
        else:
            if (arrival := log.arrival(self.position)) is not None:
                await arrival.wait()
            frames = log.read(self.position) if self.position >= log.first else []
            if log.ended and self.position + len(frames) >= log.shown:
                self._at_the_end()
        self.position += len(frames)
        return b"".join(frames)

    async def filled(self) -> None:
        """Wait until there is something to take, or the log has ended."""
        log = self._log
        while log is not None and (arrival := log.arrival(self.position)) is not None:
            await arrival.wait()

    def wake(self) -> None:
        """Let it look up from its log."""
        log = self._log
        if log is not None:
            log.wake()

    def _at_the_end(self) -> None:
        if self.run is not None and self.run.cut:
            self.ended = True
        elif self.run is not None and self.run.lost and not self.run.whole:
            if self.run.deleted:  # what the store may have by that id now is another response
                raise NotStored(self.key)
            self.run = None  # somebody else has ended it, and the store knows how
        else:
            self.ended = True

    async def _stored(self) -> list[bytes]:
        # Also where the wait was broken off for a sign of life: to look again first would cost each silent reader that.
        if self._all_taken:
            await self.store.changed(self.key, self.position - 1, self.patience)
            self._all_taken = False
        page = await self.store.events(self.key, self.position - 1)
        if not page.kept:
            raise NotStored(self.key)  # its retention is over, and what is missing here is not the end
        if page.ended and (self.run is None or self.run.log.ended):
            self.ended = True
        else:
            self._all_taken = not page.frames
        return list(page.frames)


class EventBody(ByteStream):
    """What a reader takes, as the body of a reply, with a sign of life after each silence (decision 14).

    Closing it before its end says that the client has gone.

    Args:
        reader: whose frames it sends.
        last: what follows the last frame.
        pulse: wakes it when the interval is over.
        interval: after how many seconds of silence a sign of life is sent; None for never.
        as_events: whether these are events, which some clients want, and not comments.

    Attributes:
        on_close: called when it is closed, with whether it was read to its end.
    """

    __slots__ = ("_as_events", "_closed", "_interval", "_last", "_pulse", "_reader", "_run", "on_close")

    def __init__(self, reader: Reader, last: bytes, pulse: Pulse, interval: float | None, as_events: bool) -> None:
        self._reader, self._last, self._pulse = reader, last, pulse
        self._interval, self._as_events = interval, as_events
        if interval is not None:
            reader.patience = interval
        self._run = reader.run
        self._closed = False
        self.on_close: Callable[[bool], None] | None = None

    def __aiter__(self) -> EventBody:
        return self

    async def __anext__(self) -> bytes:
        reader, interval = self._reader, self._interval
        if self._over():
            if self._broken and not self._closed:
                raise CutShort("the stream could not be ended")
            raise StopAsyncIteration
        due = math.inf
        if interval is not None and not reader.ready:
            due = anyio.current_time() + interval
            self._pulse.add(reader.wake, due)
        # All in one coroutine: an idle stream holds each that it waits in.
        try:
            while not (frames := await reader.take()) and not reader.ended:
                if self._closed:
                    raise StopAsyncIteration
                if anyio.current_time() >= due:
                    return self._sign_of_life()
        except NotStored:
            raise CutShort("the response was deleted while it was read") from None
        finally:
            self._pulse.remove(reader.wake)
        # The marker goes out with the terminal event: clients want the end to be one moment (decision 2).
        return frames + self._last if self._over() and not self._broken else frames

    @property
    def _broken(self) -> bool:
        run = self._run
        return run is not None and (run.broken or run.cut)

    def _over(self) -> bool:
        return self._closed or self._reader.ended

    def _sign_of_life(self) -> bytes:
        if not self._as_events:
            return _COMMENT
        return encode_event(KeepaliveEvent(sequence_number=max(self._reader.position - 1, 0)))

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            if self._run is not None:
                self._run.leave()
            self._reader.wake()  # somebody else may be reading just now
            if self.on_close is not None:
                self.on_close(self._reader.ended and not self._broken)
