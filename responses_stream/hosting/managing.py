"""Cancel, delete and list the inputs: what can be done with a response besides reading it (sections 4, 6 and 7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import anyio
import attrs
import msgspec

from responses_stream.hosting.cancellation import Cause
from responses_stream.hosting.endings import as_cancelled
from responses_stream.hosting.errors import bad_parameter, not_found
from responses_stream.hosting.host import Host
from responses_stream.hosting.http import HttpReply
from responses_stream.hosting.queries import integer, query_of
from responses_stream.hosting.recording import STORE_SECONDS
from responses_stream.hosting.routing import Call
from responses_stream.hosting.run import Run
from responses_stream.protocol.codec import decode_as, encode, from_json
from responses_stream.protocol.request import DeletedResponse
from responses_stream.protocol.response import ResponseObject
from responses_stream.stores.base import InFlight, Key, NotStored, StoredResponse

_MOST_ITEMS: Final = 100
_SYNCHRONOUS: Final = "Cannot cancel a synchronous response."
_TERMINAL: Final = {
    "completed": "Cannot cancel a completed response.",
    "failed": "Cannot cancel a failed response.",
    "incomplete": "Cannot cancel a response in terminal state.",
}
_IN_FLIGHT: Final = "Cannot delete an in-flight response."


async def cancel(host: Host, call: Call) -> HttpReply:
    """Answer `POST /responses/{response_id}/cancel`: the run is told, and has a grace to stop (H4.1 to H4.17).

    Raises:
        HttpError: there is no such response (404), or it cannot be cancelled (400).
    """
    key = await host.key(call)
    await host.ask(host.ready())
    run = host.runs.get(key)
    if run is not None and run.mode.background and not run.begun.is_set():
        run.stop(Cause.CANCELLED, host.options.cancel_grace_seconds)
        await _stopped(host, run)
        if run.refused is not None:
            raise run.refused
    if run is not None:
        await run.settled()
        if run.unsaved:
            # It has failed, which the store could not be told (H12.39).
            raise bad_parameter("response_id", _TERMINAL["failed"] if run.mode.background else _SYNCHRONOUS)
    stored = await host.stored(key)
    if not stored.background:
        if not stored.ended:
            raise not_found(key.response_id)
        raise bad_parameter("response_id", _SYNCHRONOUS)
    _check_cancellable(stored)
    if stored.ended:
        return host.json(call, stored.response)
    if stored.cancelling:
        return host.json(call, _cancelled(stored))
    try:
        stored = await host.ask(host.store.cancel(key))
    except NotStored:
        raise not_found(key.response_id) from None
    if not stored.ended:
        stored = await _wait(host, key, run, stored)
    _check_cancellable(stored)
    return host.json(call, stored.response if stored.ended else _cancelled(stored))


async def _wait(host: Host, key: Key, run: Run | None, stored: StoredResponse) -> StoredResponse:
    """Wait until a response that is being cancelled has ended, no longer than its grace (H4.11)."""
    if run is not None:
        run.stop(Cause.CANCELLED, host.options.cancel_grace_seconds)
        await _stopped(host, run)
    else:
        # The process that makes it is told by the store; if that is dead, its lease ends, and this one ends it.
        with anyio.move_on_after(host.options.cancel_grace_seconds + host.options.lease_seconds):
            after = stored.last_number
            while not stored.ended:
                await host.ask(host.store.changed(key, after, STORE_SECONDS))
                stored = await _again(host, key, stored)
                after = max(after, stored.last_number)
        return stored
    return await _again(host, key, stored)


async def _again(host: Host, key: Key, before: StoredResponse) -> StoredResponse:
    try:
        return await host.ask(host.store.get(key))
    except NotStored:  # it was deleted while it was cancelled, which is fine (H4.14)
        return attrs.evolve(before, ended=True, status="cancelled", response=_cancelled(before))


async def _stopped(host: Host, run: Run) -> None:
    with anyio.move_on_after(host.options.cancel_grace_seconds + STORE_SECONDS):
        await run.ended.wait()


def _check_cancellable(stored: StoredResponse) -> None:
    if stored.status in _TERMINAL:
        raise bad_parameter("response_id", _TERMINAL[stored.status])


def _cancelled(stored: StoredResponse) -> bytes:
    return encode(as_cancelled(decode_as(from_json(stored.response), ResponseObject)))


async def delete(host: Host, call: Call) -> HttpReply:
    """Answer `DELETE /responses/{response_id}` (H6.1 to H6.7).

    Raises:
        HttpError: there is no such response (404), or it is in flight (400).
    """
    key = await host.key(call)
    await host.ask(host.ready())
    run = host.runs.get(key)
    if run is not None and run.mode.held and not run.begun.is_set():
        raise bad_parameter("response_id", _IN_FLIGHT)
    try:
        if run is not None and run.unsaved:
            # It has ended, which the store could not be told (H6.6).
            await host.ask(host.store.cancel(key))
        await host.ask(host.store.delete(key))
    except NotStored:
        raise not_found(key.response_id) from None
    except InFlight:
        if (await host.stored(key)).background:
            raise bad_parameter("response_id", _IN_FLIGHT) from None
        raise not_found(key.response_id) from None
    if run is not None:
        run.lost = run.deleted = True
        if run.unsaved:
            run.unsaved = False
            host.runs.remove(key)
    return host.json(call, encode(DeletedResponse(id=key.response_id)))


async def input_items(host: Host, call: Call) -> HttpReply:
    """Answer `GET /responses/{response_id}/input_items`, a page of what the response was given (H7.1 to H7.11).

    Raises:
        HttpError: there is no such response (404), or the query cannot be read (400).
    """
    key = await host.key(call)
    query = query_of(call.request)
    limit, descending = _limit(query), _descending(query.get("order"))
    await host.ask(host.ready())
    try:
        page = await host.ask(
            host.store.input_items(
                key, limit=limit, descending=descending, after=query.get("after"), before=query.get("before")
            )
        )
    except NotStored:
        raise not_found(key.response_id) from None
    # The items are JSON already, and are not read only to be written again.
    listed = {
        "object": "list",
        "data": [msgspec.Raw(item.data) for item in page.items],
        "first_id": page.items[0].id if page.items else None,
        "last_id": page.items[-1].id if page.items else None,
        "has_more": page.has_more,
    }
    return host.json(call, msgspec.json.encode(listed))


def _limit(query: Mapping[str, str]) -> int:
    limit = integer(query, "limit", 20, f"limit must be an integer between 1 and {_MOST_ITEMS}")
    if not 1 <= limit <= _MOST_ITEMS:
        raise bad_parameter("limit", f"limit must be between 1 and {_MOST_ITEMS}")
    return limit


def _descending(value: str | None) -> bool:
    order = (value or "desc").lower()
    if order not in ("asc", "desc"):
        raise bad_parameter("order", "order must be 'asc' or 'desc'")
    return order == "desc"
