"""A run, made of what was asked: by a request just now, or by one that another server has left unanswered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import anyio
import attrs
import msgspec

from responses_stream.hosting.context import ModeFlags, ResponseContext
from responses_stream.hosting.exchange import Exchange
from responses_stream.hosting.host import Host
from responses_stream.hosting.identity import Identity
from responses_stream.hosting.log import Keeping, Log
from responses_stream.hosting.lookups import Lookups
from responses_stream.hosting.modes import Mode
from responses_stream.hosting.owner import Home
from responses_stream.hosting.progress import Progress
from responses_stream.hosting.recording import Record
from responses_stream.hosting.recovery import Notebook, Notes, Remembered
from responses_stream.hosting.run import Run
from responses_stream.hosting.stamps import stamp_of
from responses_stream.hosting.transcript import Transcript
from responses_stream.hosting.websocket_memory import Memory
from responses_stream.protocol.conversions import get_conversation_id
from responses_stream.protocol.request import CreateResponse, given
from responses_stream.protocol.response import ResponseObject
from responses_stream.stores.base import Item, Key


@attrs.frozen(kw_only=True)
class Asked:
    """A request that has passed all checks of its own.

    Attributes:
        request: what was asked for.
        mode: how it is to be answered.
        body: its body as it came.
        identity: whose it is.
        key: of the response.
        history: the items before this turn, oldest first.
        session_id: the session that the response belongs to (H9.20).
        created_at: when it was asked for, in whole seconds since the epoch.
        client_headers, query, call_id: what a handler may see of the request besides its body.
        is_shared: whether further readers may come who have asked for the same.
    """

    request: CreateResponse
    mode: Mode
    body: bytes
    identity: Identity
    key: Key
    history: Sequence[Item]
    session_id: str
    created_at: int
    client_headers: Mapping[str, str]
    query: Mapping[str, str]
    call_id: str | None
    is_shared: bool = False


@attrs.frozen
class Resumption:
    """What a run goes on from that another one has begun.

    Attributes:
        number: that of the next event.
        progress: the response as far as it was said.
        notes: what the run before has noted.
    """

    number: int
    progress: Progress
    notes: Notes

    @property
    def response(self) -> ResponseObject | None:
        """The response with the items that were done."""
        said = self.progress.said
        return said if said is None else msgspec.structs.replace(said, output=self.progress.done())


def make_run(
    host: Host, home: Home, asked: Asked, memory: Memory | None = None, resumption: Resumption | None = None
) -> Run:
    """Return the run that answers what was *asked*, or goes on to; nothing of it has begun."""
    request, mode, key, options = asked.request, asked.mode, asked.key, host.options
    lookups = Lookups(host.store, key.partition, key.response_id, request, asked.history)
    notebook = None
    if options.resilient_background and mode.background and mode.store:
        notebook = Notebook(host.store, key, host.owner, resumption.notes.attempt if resumption is not None else 0)
    context = ResponseContext(
        response_id=key.response_id,
        request=request,
        raw_body=asked.body,
        created_at=asked.created_at,
        mode_flags=ModeFlags(stream=mode.stream, store=mode.store, background=mode.background),
        conversation_id=get_conversation_id(request),
        session_id=asked.session_id,
        client_headers=asked.client_headers,
        query_parameters=asked.query,
        isolation=asked.identity,
        call_id=asked.call_id,
        shutdown=home.shutdown,
        is_recovery=resumption is not None,
        recovery_attempt=notebook.attempt if notebook is not None else 0,
        persisted_response=resumption.response if resumption is not None else None,
        metadata=dict(resumption.notes.metadata) if resumption is not None else {},
        notebook=notebook,
        clock=host.clock,
        lookups=lookups,
    )
    # A second reader of a keyed stream may come at any time, from any process, and reads it from its beginning.
    with_events = mode.keeps == "events" or (asked.is_shared and mode.stream and mode.store)
    record = None
    if mode.store:
        record = Record(
            store=host.store,
            key=key,
            owner=host.owner,
            with_events=with_events,
            background=mode.background,
            stream=mode.stream,
            previous_response_id=given(request.previous_response_id) or None,
            conversation_id=get_conversation_id(request),
            inputs=lookups.stored_inputs,
            recovery=_remembered(asked) if notebook is not None and resumption is None else None,
            telemetry=host.attendance.telemetry,
        )
    if not mode.stream:
        keeping = Keeping.NOTHING
    elif with_events:
        keeping = Keeping.WINDOW
    else:
        keeping = Keeping.ALL if asked.is_shared else Keeping.UNTIL_TAKEN
    run = Run(
        context=context,
        handler=host.handler,
        mode=mode,
        log=Log(keeping),
        transcript=Transcript(
            stamp_of(request, key.response_id, asked.session_id, asked.created_at, host.clock),
            options.open_responses_reasoning,
            seen=mode.stream or with_events,
        ),
        record=record,
        most_bytes=options.max_log_bytes,
        keep_failed=options.on_failure == "keep",
        notebook=notebook,
        resumed=resumption is not None,
    )
    if resumption is not None:
        run.log.begin_at(resumption.number)
        run.transcript.resume(resumption.number, resumption.progress)
    if memory is not None:
        memory.runs(run, lookups)
    return run


def _remembered(asked: Asked) -> bytes:
    return msgspec.json.encode(
        Remembered(
            body=asked.body,
            created_at=asked.created_at,
            client_headers=dict(asked.client_headers),
            query=dict(asked.query),
            user_key=asked.identity.user_key,
            chat_key=asked.identity.chat_key,
            session_id=asked.session_id,
            call_id=asked.call_id,
            history=[item.id for item in asked.history],
        )
    )


async def play(host: Host, home: Home, run: Run, key: Key, idempotency_key: str | None, exchange: Exchange) -> None:
    """Play a run, and let go of it when it has ended and the store knows that."""
    deadline = host.options.run_timeout_seconds
    try:
        if deadline is not None:
            run.time_out(deadline)
        watched = exchange.run_begins(run)
        try:
            await run.play(home)
        finally:
            watched.ends(run)
    finally:
        if run.notebook is not None:
            with anyio.CancelScope(shield=True):
                await run.notebook.closed()
        if not run.unsaved:
            host.runs.remove(key)
        if run.left and not host.runs.draining:
            host.attendance.leave(key)
        if idempotency_key is not None and (run.record is None or not run.record.created):
            with anyio.CancelScope(shield=True):
                await unclaim(host, key, idempotency_key)


async def unclaim(host: Host, key: Key, idempotency_key: str | None) -> None:
    """Free an idempotency key whose response was never created."""
    if idempotency_key is not None:
        await host.store.unclaim(key.partition, idempotency_key, key.response_id, host.owner)
