"""What the endpoints of a server work with: its options, its handlers, its store and its runs."""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

import attrs

from responses_stream.hosting.attendance import Attendance
from responses_stream.hosting.errors import HttpError, json_reply, not_found, storage_failure
from responses_stream.hosting.http import Headers, HttpReply
from responses_stream.hosting.identity import Identify, Identity
from responses_stream.hosting.options import ResponsesServerOptions
from responses_stream.hosting.owner import Home, RunOwner
from responses_stream.hosting.reading import EventBody, Reader
from responses_stream.hosting.routing import Call
from responses_stream.hosting.run import Deliverer
from responses_stream.hosting.runs import Runs
from responses_stream.protocol.conversions import get_conversation_id
from responses_stream.protocol.ids import is_response_id
from responses_stream.protocol.request import CreateResponse, given
from responses_stream.sse import DONE, SSE_HEADERS
from responses_stream.stores.base import Item, Key, NotStored, ResponseStore, StoredResponse, StoreError

if TYPE_CHECKING:
    from responses_stream.hosting.compacting import CompactionHandler
    from responses_stream.hosting.websocket import Session

T = TypeVar("T")

_log: Final = logging.getLogger("responses_stream")

_CODEX: Final = "codex"
_STREAM_HEADERS: Final = tuple(SSE_HEADERS.items())
_ALL: Final = 2**31 - 1


@attrs.define(eq=False)
class Host:
    """The inside of a server.

    Attributes:
        options: choices and limits.
        store: where responses are kept.
        owner: the name by which this server owns what it writes.
        runs: what it is making.
        sessions: the WebSockets that are open.
        homes: where its tasks live.
        attendance: looks after the store.
        handler: makes the responses.
        compaction_handler: makes contexts shorter, where there is one.
        identify: tells whose a request is.
        clock: seconds since the epoch.
        make_response_id: makes an id in the partition of another, or a new one.
        process: the process that it was made in.
    """

    options: ResponsesServerOptions
    store: ResponseStore
    owner: str
    runs: Runs
    homes: RunOwner
    attendance: Attendance
    handler: Deliverer
    compaction_handler: CompactionHandler | None
    identify: Identify
    clock: Callable[[], float]
    make_response_id: Callable[[str | None], str]
    sessions: set[Session] = attrs.field(init=False, factory=set)
    process: int = attrs.field(init=False, factory=os.getpid)

    async def ready(self) -> Home:
        """Return the home of the running loop, once the store is attended there.

        Raises:
            Exception: whatever the store has trouble with.
        """
        home = await self.homes.home()
        if home.attended is None or not home.attended.is_set():
            await self.attendance.begin(home)
        return home

    async def ask(self, asked: Awaitable[T]) -> T:
        """Return what the store has *asked* of it to say, for a client who waits for that.

        Raises:
            StoreError: the store refuses.
            HttpError: the engine behind it is in trouble (500).
        """
        try:
            return await asked
        except (StoreError, HttpError):
            raise
        except Exception:
            _log.exception("the store has failed")
            raise storage_failure() from None

    async def identity(self, call: Call) -> Identity:
        """Return whose a request is: the one step that authorises every verb (pains.md L1)."""
        found = self.identify(call.request)
        return await found if inspect.isawaitable(found) else found

    async def key(self, call: Call) -> Key:
        """Return the key of the response that a path names, in the partition of the caller.

        Raises:
            HttpError: the id has not the form of one (H8.20).
        """
        identity = await self.identity(call)
        if not is_response_id(call.response_id, self.options.id_prefix):
            # A path may hold what UTF-8 cannot write.
            param = f"responseId{{{call.response_id.encode('utf-8', 'replace').decode()}}}"
            raise HttpError(400, "invalid_parameters", "Malformed identifier.", param=param)
        return Key(identity.partition, call.response_id)

    async def stored(self, key: Key) -> StoredResponse:
        """Return what the store knows of a response.

        Raises:
            HttpError: it is not there (404), or the store does not tell (500).
        """
        try:
            return await self.ask(self.store.get(key))
        except NotStored:
            raise not_found(key.response_id) from None

    def stream(self, call: Call, reader: Reader, headers: Headers) -> HttpReply:
        """Return the reply that sends what *reader* reads."""
        options = self.options
        kind = options.keep_alive
        as_events = kind == "event" or (kind == "auto" and _CODEX in (call.request.header("user-agent") or "").lower())
        # A WebSocket has pings of its own, and no form for a sign of life.
        interval = None if kind == "off" or call.memory is not None else options.sse_keep_alive_interval_seconds
        home = self.homes.current
        assert home is not None
        body = EventBody(reader, DONE if options.sse_done_marker else b"", home.pulse, interval, as_events)
        return HttpReply(200, (*_STREAM_HEADERS, ("x-request-id", call.request_id), *headers), body)

    def json(self, call: Call, body: bytes, headers: Headers | None = None) -> HttpReply:
        """Return a reply with JSON; without *headers*, with those of all but a create (H9.22)."""
        return json_reply(200, body, call.request_id, self.session_headers() if headers is None else headers)

    def session_headers(self) -> Headers:
        """Return the header of the one session that this server serves, if it does (H9.22)."""
        session = self.options.agent_session_id
        return (("x-agent-session-id", session),) if session else ()


async def history_before(host: Host, request: CreateResponse, identity: Identity) -> Sequence[Item]:
    """Return the newest items before the turn; nothing is looked up where the request names nothing (H8.24).

    Raises:
        HttpError: the previous response is not there (decision 21), or the store does not tell (500).
    """
    previous, conversation = given(request.previous_response_id), get_conversation_id(request)
    if not previous and conversation is None:
        return ()
    limit = host.options.default_fetch_history_count
    try:
        return await host.ask(
            host.store.history(
                identity.partition,
                previous_response_id=previous or None,
                conversation_id=conversation,
                limit=limit if limit > 0 else _ALL,
            )
        )
    except NotStored:
        raise previous_not_found(str(previous)) from None


def previous_not_found(previous: str) -> HttpError:
    """Return the error of a response that cannot be continued because it is not there (decision 21)."""
    message = f"Previous response with id '{previous}' not found."
    return HttpError(404, "previous_response_not_found", message, param="previous_response_id")
