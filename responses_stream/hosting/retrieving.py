"""`GET /responses/{response_id}`: the response as it is now, or its stream from any point on (sections 5.1 and 5.2)."""

from __future__ import annotations

from typing import Final

from responses_stream.hosting.endings import as_cancelled
from responses_stream.hosting.errors import bad_parameter, check_may_wait, not_found
from responses_stream.hosting.host import Host
from responses_stream.hosting.http import HttpReply
from responses_stream.hosting.progress import progress_of
from responses_stream.hosting.queries import flag, integer, query_of
from responses_stream.hosting.reading import Reader
from responses_stream.hosting.recovery import all_frames
from responses_stream.hosting.routing import Call
from responses_stream.hosting.run import Run
from responses_stream.protocol.codec import decode_as, encode, from_json
from responses_stream.protocol.response import ResponseObject
from responses_stream.stores.base import Key, NotStored, StoredResponse

_NOT_BACKGROUND: Final = "This response cannot be streamed because it was not created with background=true."
_NOT_STREAM: Final = "This response cannot be streamed because it was not created with stream=true."
_GONE: Final = (
    "This response cannot be streamed because it was not created with stream=true or the stream TTL has expired."
)


async def retrieve(host: Host, call: Call) -> HttpReply:
    """Answer `GET /responses/{response_id}`; `stream` decides how, and nothing else does (H1.3, decision 23).

    Raises:
        HttpError: there is no such response to be seen (404), or what is asked of it cannot be (400).
    """
    key = await host.key(call)
    query = query_of(call.request)
    streams = flag(query, "stream")
    after = integer(query, "starting_after", -1, "starting_after must be an integer") if streams else -1
    await host.ask(host.ready())
    run = host.runs.get(key)
    if streams:
        return await _replay(host, call, key, run, after)
    kept = await run.kept() if run is not None and run.mode.shown else None
    if run is not None and run.lost:
        run = None  # it was deleted while it was cancelled, and winds down (H4.14)
    if run is not None and not run.unsaved:
        if kept is not None and run.begun.is_set():
            return host.json(call, encode(kept))
    elif run is not None and run.response is not None:
        return host.json(call, encode(run.response))
    stored = await host.stored(key)
    if not stored.ended and not stored.background:
        raise not_found(key.response_id)
    return host.json(call, await current(host, key, stored))


async def current(host: Host, key: Key, stored: StoredResponse) -> bytes:
    """Return the JSON of a response as it is now, also where another process makes it.

    Raises:
        HttpError: it was deleted in between (404).
    """
    if stored.ended:
        return stored.response
    try:
        said = progress_of(await host.ask(all_frames(host.store, key))).response()
    except NotStored:
        raise not_found(key.response_id) from None
    said = said or decode_as(from_json(stored.response), ResponseObject)
    return encode(as_cancelled(said) if stored.cancelling else said)


async def _replay(host: Host, call: Call, key: Key, run: Run | None, after: int) -> HttpReply:
    """Send the events behind *after*, and go on with those that come (H5.5 to H5.17)."""
    if run is not None and run.mode.held and not run.begun.is_set():
        raise bad_parameter("stream", _NOT_STREAM)
    stored = await host.stored(key)
    if not stored.background:
        raise bad_parameter("stream", _NOT_BACKGROUND)
    if not stored.stream:
        raise bad_parameter("stream", _GONE if stored.ended else _NOT_STREAM)
    if stored.ended:
        try:
            page = await host.ask(host.store.events(key, stored.last_number))
        except NotStored:
            raise not_found(key.response_id) from None
        if not page.kept:
            raise bad_parameter("stream", _GONE)
    else:
        check_may_wait(call.request)
    reader = Reader(key, host.store, run, position=max(after + 1, 0))
    return host.stream(call, reader, host.session_headers())
