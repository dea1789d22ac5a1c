"""Which store a URL stands for (design.md section 4): in memory, in a file, in Redis or in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import unquote

from responses_stream.errors import InvalidValue, ResponsesStreamError
from responses_stream.stores.base import ResponseStore
from responses_stream.stores.secrets import shown as shown
from responses_stream.stores.secrets import without_password as without_password

MEMORY: Final = "memory:"
SQLITE: Final = "sqlite:///"
_REDIS: Final = ("redis", "rediss", "unix")
_POSTGRES: Final = ("postgresql", "postgres")
_NUMBERS: Final[Mapping[str, Callable[[str], float]]] = {
    "event_retention": float,
    "response_retention": float,
    "patience": float,
    "connections": int,
}
_EXTRAS: Final = {"redis": "redis", "psycopg": "postgres", "psycopg_pool": "postgres"}


class MissingStore(ResponsesStreamError, ImportError):
    """The client of an engine is not installed.

    Attributes:
        extra: the extra that brings it.
    """

    def __init__(self, extra: str) -> None:
        self.extra = extra
        super().__init__(f"this store needs the extra {extra!r}: pip install 'responses-stream[{extra}]'")


def check_store_url(url: str) -> str:
    """Return *url*, which stands for a store.

    Raises:
        InvalidValue: it stands for none.
    """
    scheme, _, rest = url.partition("://")
    known = scheme in (*_REDIS, *_POSTGRES) and rest
    if not (known or url == MEMORY or (url.startswith(SQLITE) and url != SQLITE)):
        raise InvalidValue(
            "store",
            f"has to be {MEMORY}, {SQLITE}PATH ({SQLITE}/PATH for an absolute one), redis://HOST:PORT/DATABASE or "
            f"postgresql://HOST/DATABASE, got {without_password(url)!r}",
        )
    return url


def open_store(
    url: str | None, *, max_responses: int = 10_000, event_retention: float = 600, response_retention: float = 86_400
) -> ResponseStore:
    """Return the store that *url* stands for; without one, a store in memory.

    What a URL of Redis says as ``?prefix=``, and one of PostgreSQL as ``?schema=``, is an option of the store; so are
    ``event_retention``, ``response_retention`` and ``patience``, in seconds, and ``connections`` of both. All else is
    for the client of the engine.

    Args:
        url: which store.
        max_responses: how many responses a store in memory keeps.
        event_retention: how many seconds it keeps the events of a response that has ended.
        response_retention: how many seconds it keeps the response.

    Raises:
        InvalidValue: there is no such store, or an option of it is out of range.
        MissingStore: its client is not installed.
    """
    url = check_store_url(url or MEMORY)
    if url == MEMORY:
        from responses_stream.stores.memory import MemoryStore

        return MemoryStore(
            max_responses=max_responses, event_retention=event_retention, response_retention=response_retention
        )
    if url.startswith(SQLITE):
        from responses_stream.stores.sqlite import SqliteStore

        return SqliteStore(unquote(url.removeprefix(SQLITE)))
    try:
        if url.partition("://")[0] in _REDIS:
            from responses_stream.stores.redis import RedisStore

            plain, options = _options_of(url, "prefix")
            return RedisStore(plain, **options)
        from responses_stream.stores.postgres import PostgresStore

        plain, options = _options_of(url, "schema")
        return PostgresStore(plain, **options)
    except ImportError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        raise MissingStore(extra) from None


def _options_of(url: str, name: str) -> tuple[str, dict[str, Any]]:
    """Return *url* without the options of the store, and these."""
    plain, _, query = url.partition("?")
    ours: dict[str, Any] = {}
    theirs: list[str] = []
    for option in filter(None, query.split("&")):
        key, _, value = option.partition("=")
        if key == name:
            ours[key] = unquote(value)
        elif key in _NUMBERS:
            try:
                ours[key] = _NUMBERS[key](value)
            except ValueError:
                raise InvalidValue("store", f"has {key}={value!r}; it takes a number") from None
        else:
            theirs.append(option)  # as it stands: each client reads it in its own way
    return "?".join([plain, *(["&".join(theirs)] if theirs else [])]), ours
