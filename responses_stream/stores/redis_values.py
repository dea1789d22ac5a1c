"""What a `RedisStore` has, as the bytes that Redis keeps, and back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from responses_stream.stores.base import Item, Key, NotStored, StoredResponse
from responses_stream.stores.joining import chunks
from responses_stream.stores.processes import this_process

_MARK: Final = b"="
"""Stands in front of what may be empty, where nothing at all means that there is none."""


def to_bytes(value: str) -> bytes:
    """Return a text as Redis keeps it; ids may hold lone surrogates."""
    return value.encode("utf-8", "surrogatepass")


def from_bytes(value: bytes) -> str:
    """Return a text that Redis has kept."""
    return value.decode("utf-8", "surrogatepass")


def marked(value: str | bytes | None) -> bytes:
    """Return what may be empty so that it differs from None."""
    if value is None:
        return b""
    return _MARK + (to_bytes(value) if isinstance(value, str) else value)


def names_of(key: Key) -> tuple[bytes, bytes]:
    """Return a key as two arguments of a script."""
    return to_bytes(key.partition), to_bytes(key.response_id)


def keys_of(names: Sequence[bytes]) -> list[Key]:
    """Return the keys that a script has answered, two texts each."""
    return [Key(from_bytes(part), from_bytes(name)) for part, name in zip(names[::2], names[1::2], strict=True)]


def pairs_of(items: Sequence[Item]) -> list[bytes]:
    """Return items as arguments of a script, two each."""
    return [value for item in items for value in (to_bytes(item.id), item.data)]


def items_of(pairs: Sequence[bytes]) -> list[Item]:
    """Return the items that a script has answered, two values each."""
    return [Item(from_bytes(name), data) for name, data in zip(pairs[::2], pairs[1::2], strict=True)]


def entries_of(first: int, frames: Sequence[bytes]) -> list[bytes | int]:
    """Return *frames* as entries of a stream: the number of the first frame of each, how many there are, and all."""
    entries: list[bytes | int] = []
    for chunk in chunks(frames):
        entries += [first, len(chunk), b"".join(chunk)]
        first += len(chunk)
    return entries


def stored_of(key: Key, found: Sequence[bytes]) -> StoredResponse:
    """Return the response that a script has answered.

    Raises:
        NotStored: it found none.
    """
    if not found:
        raise NotStored(key)
    response, status, owner, background, stream, ended, cancelling, last_number = found
    return StoredResponse(
        response=response,
        status=from_bytes(status),
        owner=from_bytes(owner),
        background=background == b"1",
        stream=stream == b"1",
        ended=ended == b"1",
        cancelling=cancelling != b"0",
        last_number=int(last_number),
    )


def own_process() -> str:
    """Return who this process is, for others on its machine to see whether it still is."""
    process = this_process()
    return json.dumps([process.machine, process.pid, process.started])
