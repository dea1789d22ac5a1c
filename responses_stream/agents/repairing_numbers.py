"""Sequence numbers of a broken stream: what they still tell of the order, and when they are believed no more.

Where one event is ahead of its turn and the next one fills the hole, the two have changed places; one that comes again
with the number that it had is a duplicate. Numbers that are missing, constant or begin again tell nothing, and after a
few of them none is looked at. At most one event is held back, until the next one comes, and never the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs

from responses_stream.agents.repairing_report import Json, Outlet
from responses_stream.lifecycle import ERROR, TERMINAL
from responses_stream.validation.structure import index_of, word_of

_MOST_STRIKES: Final = 3
# Behind these nothing may ever come, on a connection that stays open.
_ENDS: Final = TERMINAL | {ERROR}


@attrs.define(eq=False)
class Numbers:
    """Puts the events of an upstream in their order, as far as its numbers tell."""

    _outlet: Outlet
    _due: int = 0
    _last: Json | None = None
    _held: tuple[int, Json] | None = None
    _strikes: int = 0

    def take(self, index: int, event: Json) -> Iterator[tuple[int, Json]]:
        """Yield the events that are known to be next, with their index in the upstream, when *event* has come."""
        number, held = index_of(event.get("sequence_number")), self._held
        if event.get("type") == "keepalive" or self._strikes >= _MOST_STRIKES:
            yield from self.rest()
            self._due += number == self._due
            yield index, event
            return
        if held is not None:
            self._held = None
            if number == self._due:
                self._tell(held, "R022", "it came before its turn, and was put behind the next event")
                self._go_on(event, self._due + 1)
                yield index, event
                self._go_on(held[1], self._due + 1)
                yield held
                return
            before = self._due
            self._strikes += 1
            yield from self._release(held)
            if number == before + 1:
                # Only the number of the one that was held back was wrong.
                self._due = before + 1
        if number == self._due:
            self._go_on(event, self._due + 1)
            yield index, event
        elif number is None:
            self._tell((index, event), "R012", "it had no number, and was given one")
            self._strikes += 1
            self._go_on(event, self._due + 1)
            yield index, event
        elif number > self._due and word_of(event.get("type")) not in _ENDS:
            self._held = (index, event)
        elif number > self._due:
            yield from self._release((index, event))
        elif self._last is not None and event == self._last:
            self._tell((index, event), "R022", "it came twice; the second was left out")
        else:
            self._tell((index, event), "R022", "it was numbered anew")
            self._strikes += 1
            self._go_on(event, self._due + 1)
            yield index, event

    def rest(self) -> Iterator[tuple[int, Json]]:
        """Yield what is held back."""
        held, self._held = self._held, None
        if held is not None:
            yield from self._release(held)

    def _release(self, held: tuple[int, Json]) -> Iterator[tuple[int, Json]]:
        self._tell(held, "R021" if self._last is None else "R023", "it was numbered anew")
        self._go_on(held[1], (index_of(held[1].get("sequence_number")) or 0) + 1)
        yield held

    def _go_on(self, event: Json, due: int) -> None:
        self._last, self._due = event, due

    def _tell(self, at: tuple[int, Json], rule: str, what: str) -> None:
        self._outlet.begin(at[0], word_of(at[1].get("type")) or "")
        self._outlet.mend(rule, what, habit="number" if rule != "R022" or "numbered" in what else None)
