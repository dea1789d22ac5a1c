"""Data URLs, which carry images and files inside a request: ``data:image/png;base64,aGk=``.

Clients are not careful with them, so reading is not strict: the payload is base64 whether or not the URL says so, and
characters that are none of base64 are passed over (H17.31).
"""

from __future__ import annotations

import base64
import binascii
from typing import Final, TypeGuard

from msgspec import UnsetType

from responses_stream.errors import InvalidValue

_SCHEME: Final = "data:"
_MARKER: Final = ";base64"


def is_data_url(value: str | UnsetType | None) -> TypeGuard[str]:
    """Tell whether *value*, a member of a part as it came, begins with ``data:`` in any case."""
    return isinstance(value, str) and value[: len(_SCHEME)].lower() == _SCHEME


def decode_bytes(url: str) -> bytes:
    """Return the bytes that a data URL carries.

    Raises:
        InvalidValue: it is no data URL, has no comma before its payload, or the payload ends inside a byte.
    """
    if not is_data_url(url):
        raise InvalidValue("url", "is no data URL; it has to begin with 'data:'")
    _, comma, payload = url.partition(",")
    if not comma:
        raise InvalidValue("url", "is a data URL without a comma; its payload has to stand behind one")
    try:
        return base64.b64decode(payload.encode("ascii", "ignore"))
    except binascii.Error as error:
        raise InvalidValue("url", f"is a data URL whose payload is not base64: {error}") from None


def try_decode_bytes(value: str | UnsetType | None) -> bytes | None:
    """Return the bytes that a data URL carries, or None where *value* is none that can be decoded."""
    if not is_data_url(value):
        return None
    try:
        return decode_bytes(value)
    except InvalidValue:
        return None


def get_media_type(value: str | UnsetType | None) -> str | None:
    """Return the media type that a data URL names, or None where it names none or *value* is no data URL.

    It is what stands before ``;base64``, or before the comma; other parameters (``;charset=utf-8``) stay in it.
    """
    if not is_data_url(value):
        return None
    header, comma, _ = value[len(_SCHEME) :].partition(",")
    marker = header.lower().find(_MARKER)
    if marker >= 0:
        return header[:marker] or None
    return header or None if comma else None
