"""What to make of a write whose answer was lost with its connection: it was done, or it was not.

It is tried again, which is safe: what was done already is refused then, as an append that comes out of number. Who is
refused so looks whether what is there is what he has written; nobody else writes in his name.
"""

from __future__ import annotations

from collections.abc import Sequence

from responses_stream.stores.base import Ending, Key, NewResponse, NotStored, ResponseStore


async def was_created(store: ResponseStore, new: NewResponse, frames: Sequence[bytes]) -> bool:
    """Tell whether *new* is there as it was to be created."""
    try:
        stored = await store.get(new.key)
    except NotStored:
        return False
    was = (stored.owner, stored.response, stored.last_number, stored.ended)
    return was == (new.owner, new.response, len(frames) - 1, False)


async def was_appended(
    store: ResponseStore, key: Key, owner: str, first: int, frames: Sequence[bytes], ending: Ending | None
) -> bool:
    """Tell whether *frames* and *ending* are the last that was appended."""
    try:
        stored = await store.get(key)
    except NotStored:
        return False
    if stored.owner != owner or (frames and stored.last_number != first + len(frames) - 1):
        return False
    if ending is None:
        return not stored.ended
    return stored.ended and (stored.status, stored.response) == (ending.status, ending.response)
