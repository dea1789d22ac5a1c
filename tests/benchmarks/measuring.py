"""How the benchmarks measure: rows of one run take turns, the best of each counts, and only ratios are told."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping

import attrs

Work = Callable[[], object]
"""Does the work once, and is timed as a whole."""


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
