"""The log of a server: which lines there are, and what every record of it carries.

All lines go to the logger ``responses_stream`` of the standard library. What they are about is in attributes of the
record as well, so that no program has to read sentences. No body, no header but the request id, and no query is ever
in a line (H16.9, H16.14), and what a client has chosen cannot begin a line of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextvars import ContextVar, Token
from types import MappingProxyType
from typing import Final

LOGGER: Final = logging.getLogger("responses_stream")
"""The logger of everything that is served."""

LONGEST: Final = 256
"""How many characters of what a client has chosen are in a record, or in a span."""

_NOTHING: Final[Mapping[str, object]] = MappingProxyType(
    {"request_id": "", "response_id": "", "conversation_id": "", "streaming": None}
)
_about: Final[ContextVar[Mapping[str, object]]] = ContextVar("what the records of a ResponsesServer are about")


class ResponsesLogFilter(logging.Filter):
    """Adds to each record of a handler's task what it is about (H16.11). It holds back no record.

    The attributes are ``request_id``, ``response_id``, ``conversation_id`` and ``streaming``; where no response is
    being made they are empty, so that a format may name them. The records of this package have them in any case; for
    those of a handler and of what it uses, add this filter to a *handler* of the standard library.

    Example:
        >>> import logging
        >>> from responses_stream.hosting.logs import ResponsesLogFilter
        >>> handler = logging.StreamHandler()
        >>> handler.addFilter(ResponsesLogFilter())
        >>> handler.setFormatter(logging.Formatter("%(levelname)s %(request_id)s %(response_id)s %(message)s"))
    """

    def filter(self, record: logging.LogRecord) -> bool:
        for name, value in _about.get(_NOTHING).items():
            if not hasattr(record, name):
                setattr(record, name, value)
        return True


LOGGER.addFilter(ResponsesLogFilter())


def about(
    request_id: str, response_id: str = "", conversation_id: str = "", streaming: bool | None = None
) -> Mapping[str, object]:
    """Return the attributes of records about a request, or about the run of a response."""
    return {
        "request_id": request_id,
        "response_id": safe(response_id),
        "conversation_id": safe(conversation_id),
        "streaming": streaming,
    }


def enter(facts: Mapping[str, object]) -> Token[Mapping[str, object]]:
    """Let the records of the running task be about *facts*, until `leave` is called, or the task ends."""
    return _about.set(facts)


def leave(token: Token[Mapping[str, object]]) -> None:
    """Take back an `enter` of the same task."""
    _about.reset(token)


def safe(text: str) -> str:
    """Return what a client has chosen as one short line that can be printed, and encoded."""
    if len(text) > LONGEST:
        text = text[:LONGEST]
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape", "surrogatepass").decode("ascii") for one in text
    )[:LONGEST]
