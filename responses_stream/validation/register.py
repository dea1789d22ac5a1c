"""Who is who among the items of a response: which are open, which are done, and which one an event speaks of.

An event names its item by an index and mostly by an id. Either may be wrong, so the item is looked for by what is
left: the other name, or what fits the event.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from responses_stream.validation.endings import DoneItem
from responses_stream.validation.items import STRINGS, OpenItem, at
from responses_stream.validation.places import Places

# Guesses are made among few; whoever has more open items than that at once has other worries.
_FEW: Final = 64


class Register:
    """The items of one response.

    Attributes:
        open: the items that are open, by their place.
        done: what is kept of the others.
        places: how they are numbered.
        ids: the places of the items, by their ids.
    """

    __slots__ = ("_fresh", "done", "ids", "open", "places")

    def __init__(self) -> None:
        self.places = Places()
        self.open: dict[int, OpenItem] = {}
        self.done: dict[int, DoneItem] = {}
        self.ids: dict[str, int] = {}
        self._fresh: dict[int, OpenItem] = {}

    def add(self, item: OpenItem) -> None:
        """Take an item as open."""
        self.open[item.place] = item
        self._fresh[item.place] = item

    def close(self, item: OpenItem, kept: DoneItem) -> None:
        """Take an item as done."""
        del self.open[item.place]
        self._fresh.pop(item.place, None)
        self.done[item.place] = kept
        if item.id is not None and kept.id != item.id and self.ids.get(item.id) == item.place:
            del self.ids[item.id]  # it turned out to be wrong, and may be the id of another

    def clear(self) -> None:
        """Forget the items."""
        for kept in (self.open, self.done, self.ids, self._fresh):
            kept.clear()

    def few(self) -> Iterator[OpenItem]:
        """Yield the open items, though not without end."""
        return islice(self.open.values(), _FEW)

    def fresh(self) -> list[OpenItem]:
        """Return the open items that were added since the last call."""
        fresh, self._fresh = self._fresh, {}
        return list(fresh.values())

    def done_at(self, index: int | None) -> DoneItem | None:
        """Return the item that is done and says that it has *index*."""
        place = self.places.of(index)
        return self.done.get(place) if place is not None else None

    def open_at(self, index: int | None) -> OpenItem | None:
        """Return the open item that says that it has *index*."""
        place = self.places.of(index)
        return self.open.get(place) if place is not None else None

    def named(self, item_id: str | None) -> OpenItem | None:
        """Return the open item that has an id, or whose events had it."""
        if item_id is None:
            return None
        if item_id in self.ids:
            return self.open.get(self.ids[item_id])
        return next((item for item in self.few() if item.alias == item_id), None)

    def find(self, index: int | None, item_id: str | None, kind: str = "") -> OpenItem | None:
        """Return the open item that an event speaks of; *kind* is the type of item that has such events."""
        found, named = self.open_at(index), self.named(item_id)
        if named is not None and (found is None or named.index == index):
            found = named
        elif named is None and (found is None or kind not in ("", found.type)) and not self.places.orderly:
            # Two items may say that they have this index.
            found = next((item for item in self.few() if item.index == index and item.type == kind), found)
        if found is None:
            return self._guess(index, item_id, kind)
        found.misplaced = found.misplaced and found.index != index
        return found

    def _guess(self, index: int | None, item_id: str | None, kind: str) -> OpenItem | None:
        """Return the only open item that an event can speak of which names none."""
        if index is None:
            return next(iter(self.open.values())) if len(self.open) == 1 else None
        if self.places.of(index) is not None:
            return None
        meant = [one for one in self.few() if one.misplaced and item_id in (None, one.id) and kind in ("", one.type)]
        return meant[0] if len(meant) == 1 else None

    def of_kind(self, kind: str) -> list[OpenItem]:
        """Return the open items of a type."""
        return [item for item in self.few() if item.type == kind]


def likeness(item: OpenItem, fields: Mapping[str, Any]) -> int:
    """Return how much a finished item has in common with an open one; whether that one can be done counts too."""
    if fields.get("type") != item.type:
        return 0
    mine: dict[str, Any] = {**item.added, "call_id": item.call_id, "id": item.id}
    same = [fields.get(member) == value for member, value in mine.items() if value is not None]
    if item.type in STRINGS and item.value is not None:
        same.append(at(fields, STRINGS[item.type][1]) == item.value)
    for member, row in item.rows.items():
        same.append(at(fields, tuple(member.split("."))) == [part.final for part in row.parts])
    same.append(fields.get("status") in tuple(item.grammar.ends.get(item.state, ())) and not any(item.owed()))
    return same.count(True)
