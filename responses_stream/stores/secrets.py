"""Passwords in the URLs of stores, which are for the engine and for nobody who reads a log or an error."""

from __future__ import annotations

import re
from typing import Final

_USERINFO: Final = re.compile(r"(://[^:@/?#]*):.*@", re.DOTALL)
# As greedy as that: a password that should have been escaped, and was not, may hold any character.

_NAMED: Final = re.compile(r"((?:^|[?&\s])(?:ssl_?)?password\s*=\s*)('(?:\\.|[^'\\])*'|[^&\s]+)", re.IGNORECASE)
"""As an option of a URL, and as libpq writes it where there is no URL: bare or in quotes."""


def without_password(url: str) -> str:
    """Return *url* as it may be printed."""
    return _NAMED.sub(r"\1***", _USERINFO.sub(r"\1:***@", url))


def shown(url: str | None) -> str:
    """Return *url* as a ``repr`` shows it."""
    return repr(url if url is None else without_password(url))
