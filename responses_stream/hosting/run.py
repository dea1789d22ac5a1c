"""One run of a handler: what it says is committed to a log, and the log ends with exactly one terminal event.

Whatever the handler, the client, the store or the server does, the log that comes out is whole, and the same on the
wire, in the store and on replay (decisions 5 and 8 to 13). A run belongs to no connection: who waits for it reads its
log. What a client may read of a failure is a fixed sentence; the operator's log has the rule, the event and the
handler. How the log gets into the store is the business of `publication`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import Final, Protocol

import anyio
import anyio.lowlevel
import attrs

from responses_stream.builders.stream import SERVER_ERROR, SERVER_ERROR_MESSAGE
from responses_stream.errors import OutOfOrder
from responses_stream.hosting.cancellation import CancellationSignal, Cause
from responses_stream.hosting.context import ResponseContext
from responses_stream.hosting.endings import End, as_cancelled, cancelled, error_frame
from responses_stream.hosting.errors import CONNECTION_OVER, CONNECTION_OVER_MESSAGE, HttpError, internal_error
from responses_stream.hosting.handlers import Say, Stopped
from responses_stream.hosting.owner import Home, cancelled_from_outside
from responses_stream.hosting.publication import Publication
from responses_stream.hosting.recovery import ExitForRecovery
from responses_stream.protocol.base import Event, UnknownEvent
from responses_stream.protocol.events import LifecycleEvent, ResponseCreatedEvent, ResponseErrorEvent
from responses_stream.protocol.request import CreateResponse
from responses_stream.protocol.response import ResponseObject
from responses_stream.stores.base import Fenced, NotStored

_log: Final = logging.getLogger("responses_stream")

_FAIR_BYTES: Final = 64 * 1024

_REASONS: Final = {
    Cause.SHUTTING_DOWN: ("server_shutting_down", "The server is shutting down."),
    Cause.TIMED_OUT: ("run_timeout", "The response took longer than this server allows."),
    Cause.TOO_LARGE: ("response_too_large", "The response is larger than this server allows."),
    Cause.CONNECTION_OVER: (CONNECTION_OVER, CONNECTION_OVER_MESSAGE),
}
"""What a run that was stopped ends with, where no client wanted that: the code, and the sentence (decision 27, 28)."""

_BECAUSE: Final = {
    Cause.CLIENT_GONE: "the client has gone",
    Cause.CANCELLED: "a client cancelled it",
    Cause.SHUTTING_DOWN: "the server is shutting down",
    Cause.TIMED_OUT: "it took too long",
    Cause.TOO_LARGE: "it said too much",
    Cause.CONNECTION_OVER: "its connection was as old as one may become",
    Cause.STORE_FAILED: "the store did not take what it said",
}


class Deliverer(Protocol):
    """A handler as a run sees it; `Handler` is one."""

    @property
    def name(self) -> str:
        """What the log calls it."""
        ...

    @property
    def cancelled_at_once(self) -> bool:
        """Whether it is cancelled as soon as a client does not want it any more: it has no use for a grace."""
        ...

    async def deliver(
        self,
        request: CreateResponse,
        context: ResponseContext,
        signal: CancellationSignal,
        say: Say,
        threads: anyio.CapacityLimiter,
    ) -> None:
        """Run the handler to its end, and *say* each of its events."""
        ...


@attrs.define(eq=False, kw_only=True)
class Run(Publication):
    """One response in the making: a publication, and the handler that says it.

    Attributes:
        handler: who makes it.
        most_bytes: how large the log may become.
        signal: how the handler is told to stop.
        first: the response as the handler created it, where a client is answered with that; None where it did not.
        readers: how many clients wait for a foreground run; with the last one it goes.
        resumed: whether another run has begun the response, and the store has its events.
        fault: what the handler raised, if it did.
        broken: whether the engine has failed to end its log.
    """

    handler: Deliverer
    most_bytes: int
    signal: CancellationSignal = attrs.field(
        init=False, default=attrs.Factory(lambda self: self.context.cancellation, takes_self=True)
    )
    first: ResponseObject | None = attrs.field(init=False, default=None)
    readers: int = attrs.field(init=False, default=1)
    resumed: bool = attrs.field(default=False)
    broken: bool = attrs.field(init=False, default=False)
    fault: BaseException | None = attrs.field(init=False, default=None)
    _scope: anyio.CancelScope = attrs.field(init=False, factory=anyio.CancelScope)
    _told: ResponseErrorEvent | None = attrs.field(init=False, default=None)
    _dropped: int = attrs.field(init=False, default=0)
    _next_pause: int = attrs.field(
        init=False, default=attrs.Factory(lambda self: min(self.most_bytes, _FAIR_BYTES), takes_self=True)
    )

    @property
    def response(self) -> ResponseObject | None:
        """The response as it is now: as the terminal event said it, or as far as it has come."""
        if self.signal.cause is not None and self.signal.cause.by_client and not self.transcript.finished:
            said = self.transcript.said
            return as_cancelled(said) if said is not None else None
        return self.transcript.progress.response()

    async def settled(self) -> None:
        """Wait while its end is on its way into the store: nobody is to see what might not be kept (decision 11)."""
        if self.transcript.finished:
            await self.ended.wait()

    async def kept(self) -> ResponseObject | None:
        """Return the response as it is now, once the store has all of that: what was seen is not to be lost."""
        said, last = self.response, self.log.length - 1
        while (arrival := self.log.arrival(last)) is not None:
            await arrival.wait()
        if not self.transcript.finished:
            return said
        await self.settled()
        return self.response

    def leave(self) -> None:
        """Say that one client less waits. A foreground run is stopped when the last one has gone (decision 13)."""
        self.readers -= 1
        if self.readers == 0 and not self.mode.background:
            self.stop(Cause.CLIENT_GONE, 0)

    def stop(self, cause: Cause, grace: float) -> None:
        """Tell the handler to stop; after *grace* seconds it is cancelled. Once the run has ended, nothing happens."""
        if self.ended.is_set() or self.transcript.finished:
            return
        if cause.by_client and self.handler.cancelled_at_once:
            grace = 0
        self.signal.set(cause)
        self._scope.deadline = min(self._scope.deadline, anyio.current_time() + grace)

    def disown(self, trouble: Fenced | NotStored) -> None:
        """Stop, because the response is not ours any more. Where the end is on its way, the store will say so."""
        if not self.transcript.finished:
            self.trouble = trouble
            self.stop(Cause.STORE_FAILED, 0)

    def time_out(self, seconds: float) -> None:
        """Let the handler run for no more than *seconds* from now on."""
        self._scope.deadline = anyio.current_time() + seconds

    async def play(self, home: Home) -> None:
        """Run the handler to its end. Never raises but when it is cancelled from outside."""
        self.home = home
        error: BaseException | None = None
        if self.resumed:
            self.take_up()
        try:
            with self._scope:
                await self.handler.deliver(self.context.request, self.context, self.signal, self._say, home.threads)
            if self._scope.cancelled_caught and not self.signal.is_set():
                self.signal.set(Cause.TIMED_OUT)
        except Stopped:
            pass
        except Exception as caught:
            error = caught
        except anyio.get_cancelled_exc_class() as caught:
            if cancelled_from_outside():
                self.signal.set(Cause.SHUTTING_DOWN)
                self._scope.cancel()  # a handler that was left in its thread asks this scope before it says something
                raise
            error = caught
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as caught:  # the other runs must not end with this one
            error = caught
        finally:
            if error is None and self.transcript.finished:
                self._finish()
            else:
                with anyio.CancelScope(shield=True):
                    await self._settle(error)

    def _say(self, event: Event | UnknownEvent) -> Awaitable[object] | None:
        """Commit an event of the handler; return what it has to wait for before it goes on, if there is something.

        Raises:
            Stopped: the run is over for the handler.
            OutOfOrder, InvalidValue, TypeError: the event may not come now, or cannot be written.
        """
        transcript, log = self.transcript, self.log
        cause = self.signal.cause
        frame = transcript.repeat(event) if cause is None else None
        if frame is None:
            if cause is not None and (cause is not Cause.SHUTTING_DOWN or transcript.finished):
                raise Stopped
            if transcript.finished:
                self._dropped += 1
                return None
            if self.resumed:
                if isinstance(event, ResponseCreatedEvent):
                    return None  # its clients know (H18.34)
                self.resumed = False
            if transcript.number == 0 and isinstance(event, ResponseErrorEvent):
                self._told = event
                raise Stopped
            frame = transcript.commit(event)
            if (transcript.number == 1 or transcript.finished) and isinstance(event, LifecycleEvent):
                return self._say_created(frame) if transcript.number == 1 else self._say_last(frame)
        full = self.put(frame)
        if log.size > self._next_pause:
            # A handler that never waits for anything must not keep the others waiting.
            self._next_pause = log.size + _FAIR_BYTES
            if log.size > self.most_bytes:
                self.stop(Cause.TOO_LARGE, 0)
                raise Stopped
            return anyio.lowlevel.checkpoint()
        return log.room() if full else None

    async def _say_created(self, frame: bytes) -> None:
        await self.begin(frame)
        if self.mode.answers == "first":
            self.first = self.transcript.said
        self.begun.set()

    async def _say_last(self, frame: bytes) -> None:
        assert self.transcript.said is not None
        await self.end(End([frame], self.transcript.said))

    async def _settle(self, error: BaseException | None) -> None:
        """End the log, if the handler did not."""
        try:
            await self._end_for(error)
        except Stopped:
            pass  # the store did not take the response that there was to be
        except Exception:  # a fault of ours; the other runs must not end with this one
            _log.exception("the engine failed in %s", self.context.response_id)
            self.refused, self.broken = internal_error(), True
            self.unsaved = self.record is not None and self.record.created
        finally:
            self._finish()

    def _finish(self) -> None:
        self.over()
        if self._dropped:
            _log.warning(
                "%s said %d events after the end of %s; they were dropped (R036, R038)",
                self.handler.name,
                self._dropped,
                self.context.response_id,
                extra={"rule": "R036, R038"},
            )

    async def _end_for(self, error: BaseException | None) -> None:
        cause = self.signal.cause
        if self._is_left(error):
            _log.info("%s is left in progress, to be made again", self.context.response_id)
            await self.leave_behind()
            return
        if error is not None:
            self._blame(error)
        if self.transcript.finished:
            return
        if cause is Cause.STORE_FAILED:
            assert self.trouble is not None
            await self.give_up(self.trouble)
        elif cause is not None and cause.by_client:
            await self._cancel()
        elif cause is not None:
            code, message = _REASONS[cause]
            await self._fail(code, message, HttpError(503, "service_unavailable", message, source="platform"))
        elif self._told is not None and self.transcript.number == 0:
            code, message = self._told.code or SERVER_ERROR, self._told.message or SERVER_ERROR_MESSAGE
            refused = HttpError(500, code, message, param=self._told.param or None, source="upstream")
            await self._fail(code, message, refused)
        elif error is not None:
            await self._fail(SERVER_ERROR, SERVER_ERROR_MESSAGE, internal_error("upstream"))
        elif self.transcript.number == 0:
            await self._invent()
        else:
            self._blame(None)
            await self._fail(SERVER_ERROR, SERVER_ERROR_MESSAGE, internal_error("upstream"))

    def _is_left(self, error: BaseException | None) -> bool:
        """Tell whether somebody else is to go on (H18.3, H18.47)."""
        if not self.context.is_resilient or self.transcript.finished or self.record is None or not self.record.created:
            return False
        cause = self.signal.cause
        return cause is Cause.SHUTTING_DOWN or (cause is None and isinstance(error, ExitForRecovery))

    async def _fail(self, code: str, message: str, refused: HttpError) -> None:
        """End with a failure; where nothing was created, as the mode wants it (decision 12)."""
        told = self.transcript.told
        if told is not None:  # the handler has told its reason, and did not go on to say that the response failed
            code, message = told.code or code, told.message or message
        if self.transcript.number == 0:
            if self.mode.before_created == "http":
                self.refused = refused
                return
            if self.mode.before_created == "error":
                self.show([error_frame(0, code, message, refused.param)])
                return
            await self.begin(self.transcript.commit(self.context.stream().emit_created()))
        await self.end(self.failure(code, message))

    async def _cancel(self) -> None:
        """End as cancelled: whatever the handler had in mind, the client did not want it (H4.10, decision 13)."""
        if self.transcript.number == 0:
            if self.record is None:
                return
            await self.begin(self.transcript.commit(self.context.stream().emit_created()))
        assert self.transcript.said is not None
        await self.end(cancelled(self.transcript.said, self.log.length))

    async def _invent(self) -> None:
        """H3.1: a handler that says nothing has completed a response without output."""
        name, response_id = self.handler.name, self.context.response_id
        _log.warning("handler %s of %s said nothing; it counts as completed", name, response_id)
        stream = self.context.stream()
        await self.begin(self.transcript.commit(stream.emit_created()))
        self.put(self.transcript.commit(stream.emit_in_progress()))
        await self._say_last(self.transcript.commit(stream.emit_completed()))

    def _blame(self, error: BaseException | None) -> None:
        """Tell the operator what the handler did."""
        if isinstance(error, OutOfOrder):
            what = "broke the order of events"
        elif error is None:
            what = "ended without a terminal event"
        elif isinstance(error, anyio.get_cancelled_exc_class()):
            what = "raised a cancellation of its own (H20.9)"
        else:
            what = "raised"
        cause = self.signal.cause
        if cause is not None:
            what = f"{what} while it was stopped because {_BECAUSE[cause]}"
        self.fault = error
        # Where an event was refused, its name, and the rule where the state alone does not say it.
        more = {"event": error.called, "rule": error.reason} if isinstance(error, OutOfOrder) else None
        name, response_id = self.handler.name, self.context.response_id
        _log.error("handler %s of %s %s", name, response_id, what, exc_info=error, extra=more)
