"""How the benchmarks measure: rows of one run take turns, and only ratios are told."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

import attrs

Work = Callable[[], object]
"""Does the work once, and is timed as a whole."""

AsyncWork = Callable[[], Awaitable[object]]
"""The same in an event loop."""


@attrs.frozen
class Promise:
    """A figure that was seen, and the one that an issue asks for; None where it is there for comparison only."""

    what: str
    seen: float
    most: float | None
    unit: str = "x"

    @property
    def kept(self) -> bool:
        return self.most is None or self.seen <= self.most

    def __str__(self) -> str:
        verdict = "-" if self.most is None else "kept" if self.kept else "BROKEN"
        asked = "" if self.most is None else f", at most {self.most:g}"
        return f"{verdict:>6}  {self.seen:6.2f} {self.unit}  {self.what}{asked}"


def best_of_turns(rows: Mapping[str, Work], rounds: int) -> dict[str, float]:
    """Return the seconds that each row took at its best; the rows take turns, so that noise hits all of them alike."""
    best = dict.fromkeys(rows, float("inf"))
    for _ in range(rounds):
        for name, work in rows.items():
            gc.collect()
            start = time.perf_counter()
            work()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


async def async_turns(rows: Mapping[str, AsyncWork], rounds: int) -> list[dict[str, float]]:
    """Return the seconds that each row took in each round, for work of one event loop."""
    turns: list[dict[str, float]] = []
    for _ in range(rounds):
        turn: dict[str, float] = {}
        for name, work in rows.items():
            gc.collect()
            start = time.perf_counter()
            await work()
            turn[name] = time.perf_counter() - start
        turns.append(turn)
    return turns


def ratio(turns: Sequence[Mapping[str, float]], of: str, to: str) -> float:
    """Return how long *of* takes against *to*: the median of all rounds.

    A machine that others share is twice as fast in one second as in the next; within one round it is much the same.
    """
    return statistics.median(turn[of] / turn[to] for turn in turns)
