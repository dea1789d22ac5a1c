"""One run of a handler: what it says is checked, numbered and committed, and ends with exactly one terminal event.

Whatever the handler does, the log that comes out is whole (decisions 5, 8, 9, 10): a fault before `response.created`
leaves a lone `error` event, a fault after it an `error` and `response.failed`, and what is said after the end is
dropped. The client reads a fixed sentence; the operator's log has the rule, the event and the handler.
"""

from __future__ import annotations

import logging
from typing import Final

import anyio
import attrs
import msgspec

from responses_stream import lifecycle
from responses_stream.builders.stream import SERVER_ERROR, SERVER_ERROR_MESSAGE
from responses_stream.errors import OutOfOrder
from responses_stream.hosting.cancellation import CancellationSignal
from responses_stream.hosting.context import ResponseContext
from responses_stream.hosting.errors import HttpError
from responses_stream.hosting.handlers import Handler
from responses_stream.hosting.outbox import Outbox
from responses_stream.hosting.owner import cancelled_from_outside
from responses_stream.order import OrderGuard
from responses_stream.protocol.base import Event, UnknownEvent
from responses_stream.protocol.events import (
    LifecycleEvent,
    ResponseErrorEvent,
    ResponseFailedEvent,
    ResponseOutputItemDoneEvent,
)
from responses_stream.protocol.items import OutputItem
from responses_stream.protocol.response import ErrorPayload, ResponseError, ResponseObject
from responses_stream.sse import encode_event

_log: Final = logging.getLogger("responses_stream")

SHUTTING_DOWN: Final = "server_shutting_down"
SHUTTING_DOWN_MESSAGE: Final = "The server is shutting down."


@attrs.define(eq=False)
class Run:
    """One response in the making.

    Attributes:
        context: the response, and what was asked for.
        handler: who makes it.
        outbox: where its frames go; None where nobody reads them.
        ended: set once the terminal event is committed, or none can come any more.
        refused: what a non-streaming client is told where nothing was created.
    """

    context: ResponseContext
    handler: Handler
    outbox: Outbox | None
    ended: anyio.Event = attrs.field(init=False, factory=anyio.Event)
    refused: HttpError | None = attrs.field(init=False, default=None)
    _signal: CancellationSignal = attrs.field(init=False, factory=CancellationSignal)
    _scope: anyio.CancelScope = attrs.field(init=False, factory=anyio.CancelScope)
    _guard: OrderGuard = attrs.field(init=False)
    _number: int = attrs.field(init=False, default=0)
    _said: ResponseObject | None = attrs.field(init=False, default=None)
    _done: dict[int, OutputItem] = attrs.field(init=False, factory=dict)
    _told: ResponseErrorEvent | None = attrs.field(init=False, default=None)
    _dropped: int = attrs.field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        self._guard = OrderGuard(self.context.response_id)

    @property
    def response(self) -> ResponseObject | None:
        """The response as the terminal event said it; None where there is none."""
        return self._said if self._guard.finished else None

    def leave(self) -> None:
        """Say that nobody waits for the response any more. Once it has ended, this changes nothing (decision 13)."""
        if not self.ended.is_set():
            self._signal.set()
            self._scope.cancel()

    async def play(self, threads: anyio.CapacityLimiter) -> None:
        """Run the handler to its end. Never raises but when it is cancelled from outside."""
        try:
            with self._scope:
                await self._play(threads)
        except Exception:  # a fault of ours; the other runs must not end with this one
            _log.exception("the engine failed in %s", self.context.response_id)
        finally:
            self._end()
            if self._dropped:
                _log.warning(
                    "%s said %d events after the end of %s; they were dropped (R036, R038)",
                    self.handler.name,
                    self._dropped,
                    self.context.response_id,
                )

    async def _play(self, threads: anyio.CapacityLimiter) -> None:
        try:
            await self.handler.deliver(self.context.request, self.context, self._signal, self._say, threads)
        except anyio.get_cancelled_exc_class() as error:
            if not cancelled_from_outside():
                self._fault(error, "raised a cancellation of its own (H20.9)")
                return
            if not self._signal.is_set():
                refused = HttpError(503, "service_unavailable", SHUTTING_DOWN_MESSAGE, source="platform")
                self._fail(SHUTTING_DOWN, SHUTTING_DOWN_MESSAGE, refused)
            raise
        except OutOfOrder as error:
            self._fault(error, "broke the order of events")
        except Exception as error:
            self._fault(error, "raised")
        else:
            # A handler that heeded the signal and just returned did well.
            if not self._guard.finished and not self._signal.is_set():
                if self._number == 0:
                    self._invent()
                else:
                    self._fault(None, "ended without a terminal event")

    async def _say(self, event: Event | UnknownEvent) -> None:
        """Commit an event of the handler, and wait while the client is too far behind.

        Raises:
            OutOfOrder, InvalidValue, TypeError: the event may not come now, or cannot be written.
        """
        if self._guard.finished:
            self._dropped += 1
            return
        self._commit(event)
        if self.outbox is not None and self.outbox.full:
            await self.outbox.room()

    def _commit(self, event: Event | UnknownEvent) -> None:
        if event.sequence_number != self._number:
            event = msgspec.structs.replace(event, sequence_number=self._number)
        # Written before it is checked: the guard must not step on by what then cannot be sent (decision 3).
        frame = encode_event(event)
        if self._number == 0 and not isinstance(event, LifecycleEvent | ResponseErrorEvent):
            raise OutOfOrder(str(event.type), lifecycle.BEFORE, (lifecycle.CREATED, lifecycle.ERROR), "R030")
        self._guard.check(event)
        self._number += 1
        if isinstance(event, LifecycleEvent):
            self._said = event.response
        elif isinstance(event, ResponseOutputItemDoneEvent):
            self._done[event.output_index] = event.item
        elif isinstance(event, ResponseErrorEvent):
            self._told = event
            if self._said is None:
                code, message = event.code or SERVER_ERROR, event.message or SERVER_ERROR_MESSAGE
                self.refused = HttpError(500, code, message, param=event.param or None, source="upstream")
        if self.outbox is not None:
            self.outbox.put(frame)
        if self._guard.finished:
            self._end()

    def _end(self) -> None:
        if self.outbox is not None:
            self.outbox.end()
        self.ended.set()

    def _fault(self, error: BaseException | None, what: str) -> None:
        """Tell the operator what went wrong, and the client that something did."""
        if self._signal.is_set():
            what = f"{what} while it was stopped because the client has gone"
        _log.error("handler %s of %s %s", self.handler.name, self.context.response_id, what, exc_info=error)
        if not self._signal.is_set():
            self._fail(SERVER_ERROR, SERVER_ERROR_MESSAGE, None)

    def _fail(self, code: str, message: str, refused: HttpError | None) -> None:
        """End the log with a failure, unless it has ended (decision 5)."""
        if self._guard.finished:
            return
        if self._told is None:
            payload = ErrorPayload(message=message, type=code, code=code, param=None)
            self._commit(ResponseErrorEvent(sequence_number=0, code=code, message=message, param=None, error=payload))
        else:  # the handler has told its reason, and did not go on to say that the response failed
            code, message = self._told.code or code, self._told.message or message
        if self._said is None:
            self.refused = refused or self.refused
            return
        failed = msgspec.structs.replace(
            self._said,
            status="failed",
            error=ResponseError(code=code, message=message),
            output=[self._done[index] for index in sorted(self._done)],
            incomplete_details=None,
            completed_at=None,
        )
        self._commit(ResponseFailedEvent(sequence_number=0, response=failed))

    def _invent(self) -> None:
        """H3.1: a handler that says nothing has completed a response without output."""
        name, response_id = self.handler.name, self.context.response_id
        _log.warning("handler %s of %s said nothing; it counts as completed", name, response_id)
        stream = self.context.stream()
        for event in (stream.emit_created(), stream.emit_in_progress(), stream.emit_completed()):
            self._commit(event)
