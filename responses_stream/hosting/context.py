"""What a handler knows of the request besides its body, and how it hears that it has to stop.

An async handler gets a `ResponseContext`, whose lookups are awaited; a sync one, which has a thread of its own, gets a
`SyncResponseContext`, whose lookups block. All else is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NoReturn, TypeVar

import anyio
import anyio.from_thread
import attrs

from responses_stream.builders.stream import ResponseEventStream
from responses_stream.hosting.cancellation import CancellationSignal
from responses_stream.hosting.identity import Identity
from responses_stream.hosting.lookups import ContextItem, Lookups
from responses_stream.hosting.recovery import ExitForRecovery, Notebook
from responses_stream.protocol.conversions import StoredItem, get_input_text
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.protocol.request import CreateResponse
from responses_stream.protocol.response import ResponseObject

T = TypeVar("T")


@attrs.frozen
class ModeFlags:
    """The three answers that make the mode of a response (H 0.3)."""

    stream: bool
    store: bool
    background: bool


@attrs.frozen
class PlatformContext:
    """What the platform in front says of a request (H17.14).

    Attributes:
        user_id_key: the user.
        call_id: what the platform calls this request; to be passed on (H9.5).
    """

    user_id_key: str | None
    call_id: str | None


@attrs.frozen(kw_only=True, eq=False)
class RequestContext:
    """The response that a handler is about to make, and how it was asked for (H17.10 to H17.15).

    Attributes:
        response_id: the id of the response; the events of any other are refused (decision 9).
        request: what was asked for.
        raw_body: the body of the request as it came.
        created_at: when it was asked for, in whole seconds since the epoch.
        mode_flags: how it is to be answered.
        conversation_id: the conversation that the request named, if it did.
        session_id: the session that the response belongs to (H9.20).
        client_headers: all headers ``x-client-*``, their names in lower case (H9.6).
        query_parameters: one value for each name; the last one wins, empty ones count (H9.9).
        isolation: whose the response is (H17.12).
        call_id: what the platform calls this request, in `x-agent-foundry-call-id`; to be passed on (H9.5).
        cancellation: set when the run has to stop; the third argument of handlers that take one. A handler that is
            async is cancelled when the grace is over.
        shutdown: set when the server has begun to end, whatever becomes of this run (H15.7).
        is_recovery: whether the handler runs again, because the server that ran it before has died (H18.12).
        recovery_attempt: how many times it was begun again; 0 at first.
        persisted_response: in a recovery, the response as far as it was stored, with the items that were done, for
            ``ResponseEventStream(response=...)`` to go on from (H18.43). None at first.
        metadata: what a recovery needs to know, as JSON values; kept by `flush`, and there again in a recovery.
    """

    response_id: str
    request: CreateResponse
    raw_body: bytes = b""
    created_at: int
    mode_flags: ModeFlags
    conversation_id: str | None = None
    session_id: str = ""
    client_headers: Mapping[str, str] = attrs.field(factory=dict)
    query_parameters: Mapping[str, str] = attrs.field(factory=dict)
    isolation: Identity = attrs.field(factory=Identity)
    call_id: str | None = None
    cancellation: CancellationSignal = attrs.field(factory=CancellationSignal)
    shutdown: anyio.Event = attrs.field(factory=anyio.Event)
    is_recovery: bool = False
    recovery_attempt: int = 0
    persisted_response: ResponseObject | None = None
    metadata: dict[str, Any] = attrs.field(factory=dict)
    _notebook: Notebook | None = None
    _clock: Callable[[], float] | None = None
    _lookups: Lookups

    @property
    def platform_context(self) -> PlatformContext:
        """The user and the call as the platform in front names them (H17.14)."""
        return PlatformContext(self.isolation.user_key, self.call_id)

    @property
    def is_shutdown_requested(self) -> bool:
        """Whether the server has begun to end. May be asked from any thread."""
        return self.shutdown.is_set()

    @property
    def client_cancelled(self) -> bool:
        """Whether the run has to stop because its client wants that, or has gone (H18.60 to H18.64)."""
        return self.cancellation.cause is not None and self.cancellation.cause.by_client

    @property
    def is_resilient(self) -> bool:
        """Whether the handler is run again where this server dies (`resilient_background`)."""
        return self._notebook is not None

    def exit_for_recovery(self) -> NoReturn:
        """Leave the response as it is, in progress, to be made again: by another server, or by this one in a while.

        For a server that shuts down in the midst of long work; what `metadata` says was flushed before (H18.47).

        Raises:
            ExitForRecovery: always; let it through.
            RuntimeError: the response is not `is_resilient`, so that nobody would make it again.
        """
        if self._notebook is None:
            raise RuntimeError(
                "nobody would make this response again: it takes background=true, and a server with the option "
                "resilient_background"
            )
        raise ExitForRecovery

    def stream(self) -> ResponseEventStream:
        """Return the builder of this response: its id is set and the request's settings are echoed.

        Also in a recovery it begins anew; its `response.in_progress` takes back what was said before (H18.38).
        """
        return ResponseEventStream(self.response_id, request=self.request, clock=self._clock)

    def resumed_stream(self) -> ResponseEventStream:
        """Return the builder that goes on from `persisted_response` in a recovery; otherwise, what `stream` returns.

        Its ``response.output`` has the items that are done. It has been created: in a recovery, `emit_in_progress` is
        what comes first (H18.35, H18.43).
        """
        if self.persisted_response is None:
            return self.stream()
        return ResponseEventStream(
            self.response_id, self.request, self.persisted_response, clock=self._clock, created=True
        )


class ResponseContext(RequestContext):
    """The context of an async handler."""

    async def get_input_items(self, *, resolve_references: bool = True) -> list[ContextItem]:
        """Return the items of the request's input, a string as one user message (H11.14).

        Args:
            resolve_references: put the stored items in the place of references to them; without this the references
                stay (H11.15, H11.16).

        Raises:
            Exception: whatever the store has trouble with.
        """
        return await self._lookups.input_items(resolve_references=resolve_references)

    async def get_input_text(self, *, resolve_references: bool = True) -> str:
        """Return the text of the request's input: its `input_text` parts, joined with a line feed (H17.18)."""
        return get_input_text(await self.get_input_items(resolve_references=resolve_references))

    async def get_history(self) -> list[StoredItem]:
        """Return the items of the turns before this one, oldest first, the newest of them (decision 25).

        Empty where the request names neither a previous response nor a conversation (H11.22).
        """
        return self._lookups.history()

    async def flush(self) -> None:
        """Keep `metadata` for a recovery; to be called before what must not be done twice (H18.40).

        Nothing happens where the response is not `is_resilient` (H18.41).

        Raises:
            InvalidType: something in it is not JSON.
            InvalidValue: it has more than 64 KiB.
            Exception: whatever the store has trouble with; the response belongs to another server, for one (`Fenced`).
        """
        if self._notebook is not None:
            await self._notebook.write(self.metadata)

    async def get_persisted_events(self) -> list[ResponseStreamEvent]:
        """Return the events that are stored, those of earlier attempts first; empty where it is not `is_resilient`.

        Raises:
            Exception: whatever the store has trouble with.
        """
        return [] if self._notebook is None else await self._notebook.events()

    def blocking(self) -> SyncResponseContext:
        """Return the same for a sync handler."""
        members = attrs.fields(type(self))
        return SyncResponseContext(**{field.alias: getattr(self, field.name) for field in members})


class SyncResponseContext(RequestContext):
    """The context of a sync handler. Its lookups block, and are for the thread of that handler alone."""

    def get_input_items(self, *, resolve_references: bool = True) -> list[ContextItem]:
        """Return what `ResponseContext.get_input_items` does.

        Raises:
            RuntimeError: it was called where the event loop runs.
            Exception: whatever the store has trouble with.
        """

        async def look() -> list[ContextItem]:
            return await self._lookups.input_items(resolve_references=resolve_references)

        return _wait(look)

    def get_input_text(self, *, resolve_references: bool = True) -> str:
        """Return what `ResponseContext.get_input_text` does.

        Raises:
            RuntimeError: it was called where the event loop runs.
        """
        return get_input_text(self.get_input_items(resolve_references=resolve_references))

    def flush(self) -> None:
        """Do what `ResponseContext.flush` does."""
        notebook = self._notebook

        async def write() -> None:
            if notebook is not None:
                await notebook.write(self.metadata)

        _wait(write)

    def get_persisted_events(self) -> list[ResponseStreamEvent]:
        """Return what `ResponseContext.get_persisted_events` does."""
        notebook = self._notebook

        async def look() -> list[ResponseStreamEvent]:
            return [] if notebook is None else await notebook.events()

        return _wait(look)

    def get_history(self) -> list[StoredItem]:
        """Return what `ResponseContext.get_history` does."""
        return self._lookups.history()


def _wait(look: Callable[[], Coroutine[object, object, T]]) -> T:
    try:
        # A run that has ended has left its thread behind; what anyio waits for in its name would wait for ever.
        anyio.from_thread.check_cancelled()
        return anyio.from_thread.run(look)
    except RuntimeError as error:
        if not isinstance(error, anyio.NoEventLoopError):
            raise
        raise RuntimeError(
            "the lookups of a sync handler's context block, so they can only be made in its thread: "
            "call them before you return something async, or write the handler as `async def`"
        ) from None
