"""Any string as a text of PostgreSQL, which knows neither the zero character nor half a surrogate pair, and back."""

from __future__ import annotations

import re
from typing import Final

_ESCAPE: Final = "\x01"
_HARD: Final = re.compile("[\x00\x01\ud800-\udfff]")
_ESCAPED: Final = re.compile("\x01([0-9a-f]{4})")


def to_text(value: str) -> str:
    """Return *value* as it can be stored; what has none of these characters stays as it is."""
    if value.isascii() and "\x00" not in value and _ESCAPE not in value:
        return value
    return _HARD.sub(lambda found: f"{_ESCAPE}{ord(found[0]):04x}", value)


def from_text(value: str) -> str:
    """Return what `to_text` was given."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), value) if _ESCAPE in value else value
