"""`POST /responses`: one run for each request, and for each mode the right moment to answer (H2.1 to H2.6).

Whatever is wrong with the request is told before anything runs. What runs belongs to the server, not to the request:
who waits here is one reader of its log.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

import anyio
import anyio.to_thread
import msgspec

from responses_stream.hosting.errors import HttpError, check_may_wait, duplicate_id, internal_error
from responses_stream.hosting.host import Host, history_before
from responses_stream.hosting.http import Headers, HttpReply
from responses_stream.hosting.identity import Identity, session_id_of
from responses_stream.hosting.making import Asked, make_run, play, unclaim
from responses_stream.hosting.modes import Mode, mode_of
from responses_stream.hosting.queries import query_of
from responses_stream.hosting.reading import Reader
from responses_stream.hosting.requests import LARGE_BODY, client_headers, parse_create, wanted_id
from responses_stream.hosting.routing import Call
from responses_stream.hosting.run import Run
from responses_stream.hosting.runs import Claimed
from responses_stream.protocol.codec import from_json
from responses_stream.protocol.conversions import get_conversation_id
from responses_stream.protocol.request import CreateResponse, given
from responses_stream.stores.base import Item, Key, NotStored

HEADERS_WAIT: Final = 15.0
"""How long the headers of a stream wait for its first event where keep-alive is off (decision 12)."""

_LONGEST_KEY: Final = 255


async def create(host: Host, call: Call) -> HttpReply:
    """Answer `POST /responses`.

    Raises:
        HttpError: the request is refused, or the handler failed before it had created a response to answer with.
    """
    if host.runs.draining:
        host.runs.admit()
    home = await host.ask(host.ready())
    identity = await host.identity(call)
    assert isinstance(call.request.body, bytes)
    if len(call.request.body) < LARGE_BODY:
        request = parse_create(call.request.body, host.options)
    else:
        request = await anyio.to_thread.run_sync(parse_create, call.request.body, host.options)
    mode = mode_of(request)
    if mode.answers != "first":
        check_may_wait(call.request)
    given_id = wanted_id(call.request, request, host.options)
    anchor = get_conversation_id(request) or given(request.previous_response_id)
    key = Key(identity.partition, given_id or host.make_response_id(anchor))
    idempotency_key = _idempotency_key(call)
    free = given_id is None or await _is_free(host, key)
    # A claim lasts as long as the response of its id: none is made for one that another request has.
    claimed = key if free else Key(identity.partition, host.make_response_id(anchor))
    digest = b""
    if idempotency_key is not None:
        digest = digest_of(call.request.body)
        attached = await _attach(host, call, claimed, idempotency_key, digest, mode)
        if attached is not None:
            return attached
    try:
        if not free:
            raise duplicate_id()
        asked = Asked(
            request=request,
            mode=mode,
            body=call.request.body,
            identity=identity,
            key=key,
            history=await _history(host, call, request, identity, mode),
            session_id=session_id_of(request, host.options.agent_session_id),
            created_at=int(host.clock()),
            client_headers=client_headers(call.request),
            query=query_of(call.request),
            call_id=call.request.header("x-agent-foundry-call-id"),
            is_shared=idempotency_key is not None,
        )
        run = make_run(host, home, asked, call.memory)
        claim = None if idempotency_key is None else (idempotency_key, Claimed(digest, run))
        host.runs.add(key, run, claim)
    except BaseException:
        with anyio.CancelScope(shield=True):
            await host.ask(unclaim(host, claimed, idempotency_key))
        raise
    call.exchange.runs(run)
    home.start(play, host, home, run, key, idempotency_key, call.exchange)
    headers = (("x-agent-session-id", asked.session_id),)
    return await _answer(host, call, run, Reader(key, host.store, run), headers)


async def _history(host: Host, call: Call, request: CreateResponse, identity: Identity, mode: Mode) -> Sequence[Item]:
    if call.memory is None:
        return await history_before(host, request, identity)
    return await call.memory.history(host, request, identity, mode)


async def _answer(host: Host, call: Call, run: Run, reader: Reader, headers: Headers) -> HttpReply:
    """Wait for as much of the run as its mode wants, and answer."""
    answers = run.mode.answers
    try:
        if answers == "end":
            await run.ended.wait()
        elif answers == "first":
            await run.begun.wait()
        else:
            with anyio.move_on_after(_headers_wait(host)):
                await reader.filled()
    except BaseException:
        run.leave()
        raise
    if run.refused is not None and run.refused.status == 409:
        raise run.refused
    if answers == "stream":
        return host.stream(call, reader, headers)
    if answers == "first" and run.first is not None:
        # The first event decides what a background run is answered with, however fast the run is (H2.8, H12.37).
        return host.json(call, run.transcript.json(run.first), headers)
    response = run.response
    if run.refused is not None or response is None:
        raise run.refused or internal_error()
    return host.json(call, run.transcript.json(response), headers)


def _headers_wait(host: Host) -> float:
    interval = host.options.sse_keep_alive_interval_seconds
    return HEADERS_WAIT if interval is None or host.options.keep_alive == "off" else interval


async def _is_free(host: Host, key: Key) -> bool:
    """Tell whether the id that a client wants is not taken (H8.26)."""
    if host.runs.get(key) is None:
        try:
            await host.ask(host.store.get(key))
        except NotStored:
            return True
    return False


def _idempotency_key(call: Call) -> str | None:
    key = call.request.header("idempotency-key")
    if key is None or not key.strip():
        return None
    if len(key) > _LONGEST_KEY:
        message = f"Idempotency-Key must have at most {_LONGEST_KEY} characters"
        raise HttpError(400, "invalid_request", message, param="Idempotency-Key")
    return key.strip()


def digest_of(body: bytes) -> bytes:
    """Return what two bodies that say the same have in common, however they are written."""
    return hashlib.sha256(msgspec.json.encode(from_json(body), order="sorted")).digest()


async def _attach(
    host: Host, call: Call, key: Key, idempotency_key: str, digest: bytes, mode: Mode
) -> HttpReply | None:
    """Answer a request whose idempotency key is taken with the response that was made for it (decision 22).

    Returns None where the key was free; it is taken then.

    Raises:
        HttpError: another request has taken it (409).
    """
    live = host.runs.claimed(key.partition, idempotency_key)
    if live is not None:
        held_by, held_digest = live.run.context.response_id, live.digest
    else:
        claim = await host.ask(host.store.claim(key.partition, idempotency_key, digest, key.response_id, host.owner))
        if claim.mine:
            return None
        held_by, held_digest = claim.response_id, claim.digest
    if held_digest != digest:
        message = "This Idempotency-Key was used with another request."
        raise HttpError(409, "idempotency_key_reused", message, param="Idempotency-Key", type="conflict")
    held = Key(key.partition, held_by)
    call.exchange.attaches(held_by)
    if live is None:
        return await _answer_stored(host, call, held, mode)
    live.run.readers += 1
    headers = (("x-agent-session-id", live.run.context.session_id),)
    return await _answer(host, call, live.run, Reader(held, host.store, live.run), headers)


async def _answer_stored(host: Host, call: Call, key: Key, mode: Mode) -> HttpReply:
    """Answer with a response that has ended, or that another process makes."""
    while True:
        try:
            stored = await host.ask(host.store.get(key))
            is_needed = stored.ended and mode.stream
            kept = not is_needed or (await host.ask(host.store.events(key, stored.last_number))).kept
        except NotStored:
            message = "A request with this Idempotency-Key is being answered. Retry later."
            raise HttpError(
                409,
                "idempotency_key_in_use",
                message,
                param="Idempotency-Key",
                type="conflict",
                headers=(("retry-after", "1"),),
            ) from None
        if not kept:
            message = f"The events of '{key.response_id}', made for this Idempotency-Key, are gone. Get the response."
            raise HttpError(409, "idempotency_key_expired", message, param="Idempotency-Key", type="conflict")
        if mode.stream:
            return host.stream(call, Reader(key, host.store, None), host.session_headers())
        if stored.ended or mode.background:
            return host.json(call, stored.response)
        await host.ask(host.store.changed(key, stored.last_number, HEADERS_WAIT))
