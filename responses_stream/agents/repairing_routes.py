"""Ways through the tables of `responses_stream.lifecycle`: which events are owed before another one may come."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from responses_stream.lifecycle import BROKEN, FINAL, Grammar, State, Table

_OPTIONAL: Final = (".delta", ".partial_image")


def route(
    steps: Table, start: State, arrived: Callable[[State], bool], *, failing: bool = False
) -> tuple[str, ...] | None:
    """Return the fewest events that lead from *start* to a state where *arrived* holds; None where none do.

    Pieces of a text or an image are never made up, and a failure only where one is meant (*failing*).
    """
    ways: deque[tuple[State, tuple[str, ...]]] = deque([(start, ())])
    seen = {start}
    while ways:
        state, way = ways.popleft()
        if arrived(state):
            return way
        for name, after in steps.get(state, {}).items():
            if after in seen or name.endswith(_OPTIONAL) or (name.endswith(".failed") and not failing):
                continue
            seen.add(after)
            ways.append((after, (*way, name)))
    return None


def route_to_end(
    grammar: Grammar, start: State, wanted: str | None, *, failed: bool, last: bool = True
) -> tuple[tuple[str, ...], str | None]:
    """Return the events that are owed before an item is done, and the status with which it is.

    Args:
        grammar: what may happen inside the item.
        start: where it is.
        wanted: the status that it should have; the nearest that can be had is taken, None for a type without any.
        failed: whether its events have to tell that it failed.
        last: whether it may be incomplete, because no item stands behind it (R059).
    """
    broken = wanted in ("incomplete", "failed")
    nearest = ("incomplete", "failed", "completed") if broken else ("completed", "incomplete")
    for status in dict.fromkeys((wanted, *nearest, *sorted(FINAL), None)):
        way = _route_to(grammar, start, status, failing=failed)
        if way is not None and (last or status != "incomplete"):
            return way, status
    return (), wanted


def _route_to(grammar: Grammar, start: State, status: str | None, *, failing: bool) -> tuple[str, ...] | None:
    if status is None and failing:
        # The type has no status to tell it by, so the event does.
        way = route(grammar.steps, start, lambda state: state == BROKEN and None in grammar.ends[state], failing=True)
        if way is not None:
            return way
    return route(
        grammar.steps,
        start,
        lambda state: status in grammar.ends.get(state, ()),
        failing=failing or status == "failed",
    )
