"""What a server tells of its store: how long that takes, how far it is behind, and what dead servers have left there.

Whoever is told of requests and runs (`telemetry`) may want to be told of this as well, and says so with one method
more. Nothing is told of an event, and nothing at all is measured where nobody wants to know.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, Protocol, TypeVar, runtime_checkable

import attrs

_log: Final = logging.getLogger("responses_stream")

R = TypeVar("R")


@attrs.frozen(kw_only=True)
class StoreUse:
    """A server that uses its store. What is here may be asked at any time, from any thread.

    Attributes:
        lag: how many events its runs have said that the store has yet to take.
        lease_age: how many seconds ago the server began to renew its lease, the last time that this succeeded; None
            where it has none.
    """

    lag: Callable[[], int]
    lease_age: Callable[[], float | None]


class StoreTelemetry(Protocol):
    """What is told of how a server uses its store. It lasts as long as it is referred to."""

    def appended(self, seconds: float, error: str | None) -> None:
        """Called when the store has taken some events of a response, or not: *error* is what it has raised."""
        ...

    def taken_over(self, outcome: str) -> None:
        """Called when a response of a server that has died was seen to: it is ``recovered``, which is made again, or
        has ended as ``failed`` or ``cancelled``."""
        ...

    def ends(self) -> None:
        """Called when the server uses the store no more."""
        ...


@runtime_checkable
class TellsOfStore(Protocol):
    """A `telemetry.Telemetry` that wants to be told of the store as well."""

    def store_begins(self, use: StoreUse) -> StoreTelemetry:
        """Called when a server is about to use its store."""
        ...


def tell(telling: Callable[..., R], *facts: object) -> R | None:
    """Tell telemetry; a run must not end because nobody could write down that it began."""
    try:
        return telling(*facts)
    except Exception:
        _log.exception("the telemetry has failed")
        return None
