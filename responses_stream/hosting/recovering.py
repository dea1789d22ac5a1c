"""A response whose server has died is made again by the handler of this one (section 18).

The store has given it to us, so that whatever its old server still says of it is refused (`Fenced`). The handler runs
once more, with the same request; its numbers go on behind what is stored, and its first `response.in_progress` says
which items stay (H18.33 to H18.38).
"""

from __future__ import annotations

import logging
from typing import Final

import anyio
import anyio.lowlevel
import msgspec

from responses_stream.hosting.exchange import Exchange
from responses_stream.hosting.host import Host
from responses_stream.hosting.identity import Identity
from responses_stream.hosting.making import Asked, Resumption, make_run, play
from responses_stream.hosting.modes import mode_of
from responses_stream.hosting.progress import progress_of
from responses_stream.hosting.recovery import Notebook, Notes, Remembered, all_frames
from responses_stream.hosting.requests import parse_create
from responses_stream.hosting.run import Run
from responses_stream.stores.base import Fenced, Key

_NOBODY: Final = ""
"""An owner that nothing belongs to."""

_GIVE_UP_SECONDS: Final = 1.0
"""How long the lease may wait for a run that has to stop; it is tried again."""

_log: Final = logging.getLogger("responses_stream")


async def recover(host: Host, key: Key) -> bool:
    """Make a response again, and tell whether it is seen to; False where it has to be given its end.

    It is for servers with the option `resilient_background`.

    Raises:
        NotStored, Fenced: it needs nothing any more.
        HttpError: there are as many runs as there may be.
        Exception: whatever the store has trouble with.
    """
    if host.runs.draining:
        return True  # it is an orphan again when this server lets go of what it owns
    old = host.runs.get(key)
    if old is not None:
        if not await _is_begun_again(host, key, old):
            return True  # it goes on: nobody has done anything while it was not ours
        await _give_up(host, key, old)
    stored = await host.store.get(key)
    if stored.ended:
        return True
    if not stored.background or stored.cancelling:
        return False
    kept = await host.store.recovery(key)
    if kept.request is None:
        return False
    try:
        asked = await _asked(host, key, kept.request)
        notes = msgspec.json.decode(kept.notes, type=Notes) if kept.notes else Notes()
    except Exception:
        _log.exception("the request of %s cannot be read any more (H18.13)", key.response_id)
        return False
    if notes.attempt >= host.options.recovery_attempts:
        _log.error("%s was begun again %d times, and is given up", key.response_id, notes.attempt)
        return False
    notes = Notes(notes.attempt + 1, notes.metadata)
    with host.runs.place():
        progress = progress_of(await all_frames(host.store, key))
        home = await host.homes.home()
        # Before anything runs: a request that brings its server down must not do so for ever.
        await Notebook(host.store, key, host.owner, notes.attempt).write(notes.metadata)
        run = make_run(host, home, asked, resumption=Resumption(stored.last_number + 1, progress, notes))
    host.runs.add(key, run)
    host.attendance.count("recovered")
    _log.warning("%s is made again, for the %d. time", key.response_id, notes.attempt)
    exchange = Exchange(f"recovery of {key.response_id}", "RECOVER", key.response_id)
    home.start(play, host, home, run, key, None, exchange)
    return True


async def _is_begun_again(host: Host, key: Key, old: Run) -> bool:
    """Tell whether another server has made the response of a run of ours again, and left it to us."""
    notes = (await host.store.recovery(key)).notes
    return notes is not None and msgspec.json.decode(notes, type=Notes).attempt > old.context.recovery_attempt


async def _give_up(host: Host, key: Key, old: Run) -> None:
    """Let a run say no more: it is ours by name again, and what it says would be taken for what the next one says.

    Raises:
        TimeoutError: it takes its time.
    """
    assert old.record is not None
    old.record.owner = _NOBODY
    old.disown(Fenced(key, "another server has begun it again"))
    with anyio.fail_after(_GIVE_UP_SECONDS):
        await old.ended.wait()
        while host.runs.get(key) is old:  # its task is about to let go of it
            await anyio.lowlevel.checkpoint()


async def _asked(host: Host, key: Key, request: bytes) -> Asked:
    remembered = msgspec.json.decode(request, type=Remembered)
    parsed = parse_create(remembered.body, host.options)
    items = await host.store.items(key.partition, remembered.history)
    return Asked(
        request=parsed,
        mode=mode_of(parsed),
        body=remembered.body,
        identity=Identity(remembered.user_key, remembered.chat_key),
        key=key,
        history=[item for item in items if item is not None],
        session_id=remembered.session_id,
        created_at=remembered.created_at,
        client_headers=remembered.client_headers,
        query=remembered.query,
        call_id=remembered.call_id,
    )
