"""What a handler knows of the request besides its body, and how it hears that it has to stop.

An async handler gets a `ResponseContext`, whose lookups are awaited; a sync one, which has a thread of its own, gets a
`SyncResponseContext`, whose lookups block. All else is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import TypeVar

import anyio
import anyio.from_thread
import attrs

from responses_stream.builders.stream import ResponseEventStream
from responses_stream.hosting.cancellation import CancellationSignal
from responses_stream.hosting.identity import Identity
from responses_stream.hosting.lookups import ContextItem, Lookups
from responses_stream.protocol.conversions import StoredItem, get_input_text
from responses_stream.protocol.request import CreateResponse

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

    def stream(self) -> ResponseEventStream:
        """Return the builder of this response: its id is set and the request's settings are echoed."""
        return ResponseEventStream(self.response_id, request=self.request, clock=self._clock)


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

    def get_history(self) -> list[StoredItem]:
        """Return what `ResponseContext.get_history` does."""
        return self._lookups.history()


def _wait(look: Callable[[], Coroutine[object, object, T]]) -> T:
    try:
        return anyio.from_thread.run(look)
    except RuntimeError as error:
        if not isinstance(error, anyio.NoEventLoopError):
            raise
        raise RuntimeError(
            "the lookups of a sync handler's context block, so they can only be made in its thread: "
            "call them before you return something async, or write the handler as `async def`"
        ) from None
