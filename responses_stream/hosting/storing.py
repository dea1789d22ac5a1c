"""Which store a URL stands for (design.md section 4): ``memory:`` or ``sqlite:///path``."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote

from responses_stream.errors import InvalidValue
from responses_stream.stores.base import ResponseStore

MEMORY: Final = "memory:"
SQLITE: Final = "sqlite:///"


def check_store_url(url: str) -> str:
    """Return *url*, which stands for a store.

    Raises:
        InvalidValue: it stands for none.
    """
    if url != MEMORY and not (url.startswith(SQLITE) and url != SQLITE):
        raise InvalidValue(
            "store", f"has to be {MEMORY} or {SQLITE}PATH ({SQLITE}/PATH for an absolute one), got {url!r}"
        )
    return url


def open_store(
    url: str | None, *, max_responses: int, event_retention: float, response_retention: float
) -> ResponseStore:
    """Return the store that *url* stands for; without one, a store in memory.

    Args:
        url: which store.
        max_responses: how many responses a store in memory keeps.
        event_retention: how many seconds it keeps the events of a response that has ended.
        response_retention: how many seconds it keeps the response.

    Raises:
        InvalidValue: there is no such store.
    """
    if check_store_url(url or MEMORY) == MEMORY:
        from responses_stream.stores.memory import MemoryStore

        return MemoryStore(
            max_responses=max_responses, event_retention=event_retention, response_retention=response_retention
        )
    from responses_stream.stores.sqlite import SqliteStore

    return SqliteStore(unquote(str(url).removeprefix(SQLITE)))
