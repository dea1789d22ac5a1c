"""What stands behind the ``?`` of a request, one value for each name, and what the values mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl

from responses_stream.hosting.errors import bad_parameter
from responses_stream.hosting.http import HttpRequest

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_YES: Final = frozenset({"true", "1", "yes"})
_NO: Final = frozenset({"false", "0", "no", ""})
_INTEGER: Final = re.compile(r"\s*[+-]?[0-9]{1,18}\s*\Z")


def query_of(request: HttpRequest) -> Mapping[str, str]:
    """Return the query of a request; of several values of a name the last one wins (H9.9)."""
    return dict(parse_qsl(request.query, keep_blank_values=True)) if request.query else _NOTHING


def flag(query: Mapping[str, str], name: str) -> bool:
    """Return whether *name* is set; absent is no (decision 23).

    Raises:
        HttpError: it is neither true nor false (400).
    """
    value = query.get(name, "").strip().lower()
    if value in _YES:
        return True
    if value in _NO:
        return False
    raise bad_parameter(name, f"{name} must be true or false")


def integer(query: Mapping[str, str], name: str, default: int, problem: str) -> int:
    """Return *name* as a whole number, by the rules of H5.15; *default* where it is absent.

    Raises:
        HttpError: it is no whole number, which *problem* says (400).
    """
    value = query.get(name)
    if value is None:
        return default
    if not _INTEGER.match(value):
        raise bad_parameter(name, problem)
    return int(value)
