"""What the options of a store may be."""

from __future__ import annotations

from typing import Any

import attrs

from responses_stream.errors import InvalidType, InvalidValue


def at_least_one(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Raise unless *value* is a whole number that is 1 or more."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidType(attribute.name, "a whole number", value)
    if value < 1:
        raise InvalidValue(attribute.name, f"has to be at least 1, got {value}")


def seconds_or_more(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Raise unless *value* is a number of seconds that is 0 or more."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidType(attribute.name, "a number of seconds", value)
    if not value >= 0:
        raise InvalidValue(attribute.name, f"has to be 0 or more seconds, got {value}")


def positive_seconds(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Raise unless *value* is a number of seconds that is more than 0."""
    seconds_or_more(_, attribute, value)
    if value == 0:
        raise InvalidValue(attribute.name, "has to be more than 0 seconds")


def synchronous_mode(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Raise unless *value* is a mode of SQLite that loses nothing with its process."""
    if value not in ("NORMAL", "FULL"):
        raise InvalidValue(attribute.name, f"has to be 'NORMAL' or 'FULL', got {value!r}")
