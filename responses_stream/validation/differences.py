"""Where two JSON values differ, and how to remember a value without keeping its texts.

What a stream said of an item is compared with what its end says. Until then only the shape is kept: a long text is
represented by its length and a digest, so that memory is bound by what is open and not by what was said.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Any, Final, NamedTuple

_LONG: Final = 256
_SHOWN: Final = 60


class Digest(NamedTuple):
    """What is kept of a long text."""

    length: int
    digest: bytes
    begins: str


def remembered(value: Any, without: Collection[str] = ()) -> Any:
    """Return what is to be kept of *value*; members named in *without*, and those that are null, are left out."""
    kind = type(value)
    if kind is str:
        return value if len(value) <= _LONG else digest_of(value)
    if kind is dict:
        return {
            key: remembered(member, without)
            for key, member in value.items()
            if member is not None and key not in without
        }
    if kind is list:
        return [remembered(element, without) for element in value]
    return value


def digest_of(text: str) -> Digest:
    """Return what is kept of a long text."""
    return Digest(
        len(text), hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest(), text[:_SHOWN]
    )


def difference(kept: Any, value: Any, without: Collection[str] = (), path: str = "") -> tuple[str, str, str] | None:
    """Return the first place where *value* is not what was *kept* of another, with what both have there.

    Null is as good as absent (R181). A number is not a boolean.
    """
    if type(kept) is Digest:
        if type(value) is str and len(value) == kept.length and digest_of(value) == kept:
            return None
        return path, shown(value), f"{shown(kept.begins)}, {kept.length} characters in all"
    if type(kept) is dict and type(value) is dict:
        for key in [*kept, *(key for key in value if key not in kept)]:
            if key in without:
                continue
            mine, theirs = kept.get(key), value.get(key)
            if mine is None and theirs is None:
                continue
            if mine is None:
                return f"{path}.{key}", shown(theirs), "absent"
            if theirs is None:
                return f"{path}.{key}", "absent" if key not in value else "null", _kept(mine)
            found = difference(mine, theirs, without, f"{path}.{key}")
            if found is not None:
                return found
        return None
    if type(kept) is list and type(value) is list:
        for at, (mine, theirs) in enumerate(zip(kept, value, strict=False)):
            found = difference(mine, theirs, without, f"{path}[{at}]")
            if found is not None:
                return found
        if len(kept) != len(value):
            return path, f"{len(value)} elements", f"{len(kept)} elements"
        return None
    same = kept == value and isinstance(kept, bool) is isinstance(value, bool)
    return None if same else (path, shown(value), _kept(kept))


def _kept(value: Any) -> str:
    return shown(value.begins) if type(value) is Digest else shown(value)


def shown(value: Any) -> str:
    """Return a short sight of a JSON value for a message."""
    if isinstance(value, str):
        return repr(value) if len(value) <= _SHOWN else f"{value[:_SHOWN]!r}..."
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "an object" if value else "{}"
    if isinstance(value, list):
        return f"an array of {len(value)}" if value else "[]"
    if isinstance(value, int) and value.bit_length() > _SHOWN:
        return f"an integer of {value.bit_length()} bits"  # writing it out may be refused
    return repr(value)[: _SHOWN * 2]
