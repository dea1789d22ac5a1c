"""What a handler says, heard before the engine mends it.

The engine checks each event of a handler and turns a broken order into `response.failed`. That is good for clients and
tells the author little. So the check stands between the two: where `Handler.deliver` has taken apart what the handler
yields, whatever form it has, and the engine has not yet looked at it.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Final, assert_never

import anyio
import attrs
import msgspec

from responses_stream import lifecycle
from responses_stream.checking import places
from responses_stream.errors import InvalidValue, ResponsesStreamError
from responses_stream.hosting.cancellation import CancellationSignal
from responses_stream.hosting.context import ResponseContext
from responses_stream.hosting.handlers import Say, Stopped
from responses_stream.hosting.run import Deliverer
from responses_stream.hosting.server import ResponsesServer
from responses_stream.protocol.base import Event, UnknownEvent
from responses_stream.protocol.codec import to_builtins
from responses_stream.protocol.events import ResponseErrorEvent
from responses_stream.protocol.request import CreateResponse
from responses_stream.validation import EventValidator
from responses_stream.validation.report import Violation

MOST_EVENTS: Final = 500_000
"""How many events a handler may say. The longest input of the probes has a fifth of that in characters."""


_LOOK_SECONDS: Final = 0.001


class Hold(enum.Enum):
    """Where a handler is held until it is told to stop: who says all at once is to be stopped on the way as well."""

    NOWHERE = enum.auto()
    AT_ONCE = enum.auto()
    """Before its first event."""
    IN_THE_MIDDLE = enum.auto()
    """After its first delta, or the first part or item that it tells in one piece."""


class NobodyListens(ResponsesStreamError):
    """Stops a handler that goes on when the check does not: nothing else ends one that never waits."""


@attrs.define(eq=False)
class Heard:
    """One run of a handler.

    Attributes:
        validator: judges the events as they come.
        events: what the handler said, numbered as the engine numbers it.
        violations: what is wrong with it so far.
        refused: why the engine did not take the last event, where it did not.
        raised: what the handler raised, `SystemExit` for one.
        stopped: the cancellation that ended it; its traceback shows where the handler was waiting.
        started: whether the engine came so far as to call the handler.
        ended: set when the handler has come to its end.
        closed: whether the check goes on without it. May be set from another thread.
        hold: where it is held.
        held: set when it is held there, and never cleared.
        response_id: the response that it makes.
        said_all: set when the handler has said how the response ends, or has come to its end.
        signal: how it is told to stop.
    """

    validator: EventValidator
    events: list[Event | UnknownEvent] = attrs.field(init=False, factory=list)
    violations: list[Violation] = attrs.field(init=False, factory=list)
    refused: Exception | None = attrs.field(init=False, default=None)
    raised: BaseException | None = attrs.field(init=False, default=None)
    stopped: BaseException | None = attrs.field(init=False, default=None)
    started: bool = attrs.field(init=False, default=False)
    ended: anyio.Event = attrs.field(init=False, factory=anyio.Event)
    closed: bool = attrs.field(init=False, default=False)
    hold: Hold = attrs.field(init=False, default=Hold.NOWHERE)
    held: anyio.Event = attrs.field(init=False, factory=anyio.Event)
    response_id: str = attrs.field(init=False, default="")
    said_all: anyio.Event = attrs.field(init=False, factory=anyio.Event)
    signal: CancellationSignal | None = attrs.field(init=False, default=None)

    def hear(self, event: Event | UnknownEvent) -> None:
        """Judge an event at once: what the handler goes on to change in it was not said then.

        Raises:
            NobodyListens: the check goes on without this run, or it has heard enough.
        """
        if self.closed:
            raise NobodyListens("the check has gone on")
        if len(self.events) >= MOST_EVENTS:
            raise NobodyListens(f"it said {MOST_EVENTS} events, and did not end")
        # The number is the engine's to give, so a handler may leave it wrong (decision 3).
        event = msgspec.structs.replace(event, sequence_number=len(self.events))
        self.events.append(event)
        try:
            plain = to_builtins(event)
        except (InvalidValue, TypeError):  # it is no JSON; the engine refuses it next, and says so
            return
        self.violations += self.validator.feed(plain)

    def holds(self, event: Event | UnknownEvent) -> bool:
        """Tell whether the handler is to be held at this event, the last that was heard."""
        if self.held.is_set():
            return False
        match self.hold:
            case Hold.NOWHERE:
                return False
            case Hold.AT_ONCE:
                return True
            case Hold.IN_THE_MIDDLE:
                return str(event.type).endswith((".delta", ".done"))
            case _:
                assert_never(self.hold)

    async def let_go(self) -> None:
        """Wait until the handler is told to stop; then it goes on, so that it meets the cancellation where it waits."""
        assert self.signal is not None
        with anyio.CancelScope(shield=True):
            await self.signal.wait()

    async def finished(self) -> None:
        """Wait until nothing of the handler runs any more.

        The thread of a sync handler is left behind when it is cancelled, and nothing tells when it comes to its end.
        """
        await self.ended.wait()
        while places.threads_of(self.response_id):
            await anyio.sleep(_LOOK_SECONDS)

    @property
    def has_finished(self) -> bool:
        """Whether nothing of the handler runs any more."""
        return self.ended.is_set() and not places.threads_of(self.response_id)

    @property
    def told_to_stop(self) -> bool:
        """Whether the handler was told to stop; what it says from then on does not count."""
        return self.signal is not None and self.signal.is_set()

    @property
    def broke_off(self) -> bool:
        """Whether the handler did not come to the end that it meant."""
        broken = (self.refused, self.raised, self.stopped)
        return not self.ended.is_set() or self.told_to_stop or any(error is not None for error in broken)

    @property
    def told_all(self) -> bool:
        """Whether the handler said how the response ends, so that there is nothing left for the engine to add."""
        return self.refused is None and (
            self.told_an_error_alone or any(event.type in lifecycle.TERMINAL for event in self.events)
        )

    @property
    def told_an_error_alone(self) -> bool:
        """Whether the handler refused to create a response at all, and said why (H3.10)."""
        return len(self.events) == 1 and isinstance(self.events[0], ResponseErrorEvent)


class Watched:
    """A handler under watch; for the engine it is the handler."""

    def __init__(self, handler: Deliverer) -> None:
        self._handler = handler
        self._next: Heard | None = None

    @property
    def name(self) -> str:
        """What the log calls it."""
        return self._handler.name

    @property
    def cancelled_at_once(self) -> bool:
        """Whether it has no use for a grace."""
        return self._handler.cancelled_at_once

    def listen(self, heard: Heard) -> None:
        """Note the next run in *heard*."""
        self._next = heard

    async def deliver(
        self,
        request: CreateResponse,
        context: ResponseContext,
        signal: CancellationSignal,
        say: Say,
        threads: anyio.CapacityLimiter,
    ) -> None:
        """Run the handler as the engine would, and note what comes of it."""
        # Kept here: a run that nobody waits for any more must not speak into the next one.
        heard, self._next = self._next, None
        if heard is None:
            await self._handler.deliver(request, context, signal, say, threads)
            return

        def pass_on(event: Event | UnknownEvent) -> Awaitable[object] | None:
            try:
                return say(event)
            except Exception as error:
                heard.refused = error
                raise

        def overheard(event: Event | UnknownEvent) -> Awaitable[object] | None:
            if signal.is_set():
                return say(event)
            heard.hear(event)
            if event.type in lifecycle.TERMINAL:
                heard.said_all.set()
            if not heard.holds(event):
                return pass_on(event)
            if heard.hold is Hold.AT_ONCE:
                heard.held.set()
                return held_before(event)
            wait = pass_on(event)
            heard.held.set()
            return held_after(wait)

        async def held_before(event: Event | UnknownEvent) -> None:
            await heard.let_go()
            if (wait := pass_on(event)) is not None:
                await wait

        async def held_after(wait: Awaitable[object] | None) -> None:
            if wait is not None:
                await wait
            await heard.let_go()

        heard.response_id, heard.signal = context.response_id, signal
        heard.started = True
        try:
            await self._handler.deliver(request, context, signal, overheard, threads)
        except Exception as error:
            if error is not heard.refused and not heard.closed:
                heard.raised = error
            raise
        except SystemExit as error:
            heard.raised = error
            # It would end a server, as it means to. It is not to end the check.
            raise RuntimeError("the handler raised SystemExit") from None
        except BaseException as error:
            # The engine stops who has told an error alone: nothing may follow.
            if not (isinstance(error, Stopped) and heard.told_an_error_alone):
                heard.stopped = error
            raise
        finally:
            heard.said_all.set()
            heard.ended.set()


@contextmanager
def watching(server: ResponsesServer) -> Iterator[Watched]:
    """Put the handler of *server* under watch while the context is open."""
    before = server.handler
    watched = Watched(before)
    server.handler = watched
    try:
        yield watched
    finally:
        server.handler = before
