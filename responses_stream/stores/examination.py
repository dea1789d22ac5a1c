"""What a store finds out about its own engine, for whoever has to run it: `Examined`, and what it returns.

To examine changes nothing: no tables are made, no lease is taken, and nothing of anybody is touched.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Final, Protocol, runtime_checkable

import attrs

_ASKED: Final = 9
_CLOCKS_APART: Final = 2.0
"""How many seconds the clocks of the engine and of this machine may be apart before it is told."""


_SLOW: Final = 0.05
"""From which round trip on, in seconds, it is told that the engine is far away."""


class Level(StrEnum):
    """How bad something is."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@attrs.frozen
class Finding:
    """The result of one check.

    Attributes:
        check: what was looked at, in a word or two.
        level: how it is.
        said: what was found.
        remedy: what to do; empty where there is nothing to do.
        final: whether nothing else of the same thing can be tried.
    """

    check: str
    level: Level
    said: str
    remedy: str = ""
    final: bool = attrs.field(default=False, kw_only=True)


@attrs.define
class Findings:
    """What was found so far, in the order of the checks."""

    found: list[Finding] = attrs.field(factory=list)

    def ok(self, check: str, said: str) -> None:
        """Note that all is well."""
        self.found.append(Finding(check, Level.OK, said))

    def warn(self, check: str, said: str, remedy: str, *, final: bool = False) -> None:
        """Note what may be wanted, and may hurt."""
        self.found.append(Finding(check, Level.WARNING, said, remedy, final=final))

    def fail(self, check: str, said: str, remedy: str, *, final: bool = False) -> None:
        """Note what has to be mended."""
        self.found.append(Finding(check, Level.FAILED, said, remedy, final=final))

    @contextmanager
    def trying(self, check: str, remedy: str, *, final: bool = False) -> Iterator[None]:
        """Note an exception that leaves the context as a failure of *check*, and go on behind it."""
        try:
            yield
        except Exception as error:  # whatever the engine has to say, its user has to hear
            self.fail(check, said_by(error), remedy, final=final)

    @property
    def is_final(self) -> bool:
        """Whether nothing else can be tried."""
        return any(finding.final for finding in self.found)


@runtime_checkable
class Examined(Protocol):
    """A store that can tell how its engine is."""

    async def examine(self) -> Sequence[Finding]:
        """Look at the engine, and return what was found. Never raises for what is wrong with it."""
        ...


def said_by(error: BaseException) -> str:
    """Return what an exception says, on one line; of a group, the first of them."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return " ".join(f"{error}".split()) or type(error).__name__


async def time_of(findings: Findings, ask: Callable[[], Awaitable[float]]) -> None:
    """Ask an engine for its time, in seconds since the epoch, some times over; note how long that takes, and how far
    its clock is from that of this machine."""
    trips: list[float] = []
    differences: list[float] = []
    for _ in range(_ASKED):
        began = time.perf_counter()
        theirs = await ask()
        trips.append(time.perf_counter() - began)
        differences.append(theirs - (time.time() - trips[-1] / 2))
    trip, difference = statistics.median(trips), statistics.median(differences)
    said = f"{trip * 1000:.1f} ms, the slowest of {_ASKED} {max(trips) * 1000:.1f} ms"
    if trip > _SLOW:
        findings.warn("round trip", said, "each batch of events waits that long before a client sees it; move closer")
    else:
        findings.ok("round trip", said)
    said = f"that of the engine is {abs(difference):.3f} s {'ahead of' if difference > 0 else 'behind'} this machine's"
    if abs(difference) > _CLOCKS_APART:
        # Leases and retention go by the clock of the engine alone.
        findings.warn("clock", said, "times in responses and logs will not agree: let both follow NTP")
    else:
        findings.ok("clock", said)


def free_connections(findings: Findings, free: int, most: int, pool: int) -> None:
    """Note whether an engine that takes *most* connections, *free* of them unused, has room for a server's *pool*."""
    said = f"{free} of {most} are free; a server opens up to {pool}"
    if free < pool:
        findings.warn("connections", said, "allow the engine more of them, or let the servers have fewer")
    else:
        findings.ok("connections", said)
