"""`deliver`: a finished response to more places than the client that asked for it, and a report of what came of it.

Who has asked may want the answer elsewhere, say in a chat room as well, or only there (H21.25). A place is a *sink*: an
async function of the response. What could not take it (*skipped*) is told from what failed to (*failed*); neither one
keeps it from the others, and an outage never sends it somewhere that nobody has named (H21.26, H21.38).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeAlias

import anyio
import attrs

from responses_stream.errors import ResponsesStreamError
from responses_stream.protocol.response import ResponseObject

__all__ = ["ALL", "NONE", "ORIGINATING", "DeliveryReport", "NotTaken", "Sink", "deliver"]

_log: Final = logging.getLogger("responses_stream")

ORIGINATING: Final = "originating"
"""The client that has asked."""
ALL: Final = "all"
"""Every sink there is."""
NONE: Final = "none"
"""Nobody: the response is kept, and can be looked up."""

Sink: TypeAlias = Callable[[ResponseObject], Awaitable[object]]
"""Where a response can be sent. Raises `NotTaken` where it is none that this place can take."""


class NotTaken(ResponsesStreamError):
    """Raised by a sink that cannot take such a response, say because it has no text. It was skipped, not lost."""


@attrs.frozen
class DeliveryReport:
    """What came of a delivery (H21.26). Every name that was asked for stands in one of the three lists.

    Attributes:
        include_originating: whether the client that has asked is to be told as well, which is for the caller to do.
        pushed: the sinks that have it.
        skipped: the names that are no sink, and the sinks that could not take it.
        failed: the sinks that raised, or took too long; why stands in the log ``responses_stream`` only.
    """

    include_originating: bool
    pushed: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


async def deliver(
    response: ResponseObject,
    targets: object,
    sinks: Mapping[str, Sink],
    *,
    include_originating: bool = True,
    seconds: float = 30.0,
) -> DeliveryReport:
    """Send *response* to *targets*, all at the same time, and return what came of it. Never raises for a sink.

    Args:
        response: what is sent.
        targets: ``originating``, ``all``, ``none``, the name of a sink, or several of these; None is ``originating``.
            It may come from a client: what is malformed, or names no sink, is logged, and the client that has asked is
            told then, so that the answer is not lost.
        sinks: where it can be sent, by name. The names that are said above have the meaning that is said there.
        include_originating: what the report says of the client that has asked where *targets* names sinks only, or
            ``all``; where they name it, it is always included, and with ``none`` alone it never is.
        seconds: how long a sink may take.
    """
    asked = _names_of(targets)
    if asked is None:
        _log.warning("the targets of %s are malformed; its client is told", response.id)
        return DeliveryReport(include_originating=True)
    if not asked or set(asked) <= {NONE}:
        return DeliveryReport(include_originating=not asked)
    names = [*dict.fromkeys(name for one in asked for name in (sinks if one == ALL else (one,)))]
    names = [name for name in names if name not in (ORIGINATING, NONE)]
    unknown = [name for name in names if name not in sinks]
    if unknown:
        _log.warning("%s was to be sent to %d names that are no sink; its client is told", response.id, len(unknown))
    outcomes: dict[str, str] = dict.fromkeys(unknown, "skipped")

    async def push(name: str) -> None:
        outcomes[name] = await _outcome_of(name, sinks[name], response, seconds)

    async with anyio.create_task_group() as tasks:
        for name in names:
            if name in sinks:
                tasks.start_soon(push, name)

    def those(outcome: str) -> tuple[str, ...]:
        return tuple(name for name in names if outcomes[name] == outcome)

    originating = ORIGINATING in asked or bool(unknown) or (include_originating and NONE not in asked)
    return DeliveryReport(originating, those("pushed"), those("skipped"), those("failed"))


async def _outcome_of(name: str, sink: Sink, response: ResponseObject, seconds: float) -> str:
    try:
        with anyio.fail_after(seconds):
            await sink(response)
    except NotTaken as reason:
        _log.info("the sink %s does not take %s: %s", name, response.id, reason)
        return "skipped"
    except Exception:
        _log.exception("the sink %s has failed for %s", name, response.id)
        return "failed"
    return "pushed"


def _names_of(targets: object) -> Sequence[str] | None:
    """Return the names in *targets*, none for the client that has asked; None where it is malformed."""
    if targets is None or targets == ORIGINATING:
        return ()
    listed = [targets] if isinstance(targets, str) else targets
    if not isinstance(listed, list | tuple) or not listed:
        return None
    names = [name for name in listed if isinstance(name, str) and name]
    return names if len(names) == len(listed) else None
