"""Which item of the repaired response an event of the upstream speaks of.

An item is where its id says, or the `call_id` of what it calls, which some servers use for both. An id that nobody has
seen is taken as another name of the item at that index, for there are servers that make a new id for each event; an
index that is shared, counted from 1 or missing counts for nothing beside an id. Where neither tells, a piece goes to
the newest open item that can have it, and what is done to the first one that goes on to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from responses_stream import lifecycle
from responses_stream.agents.repairing_items import Item
from responses_stream.validation.items import STRINGS, at
from responses_stream.validation.parts import SPOKEN_OF
from responses_stream.validation.structure import word_of
from responses_stream.validation.table import STEP_EVENTS

_ITEM_OF_PART: Final[Mapping[str, str]] = MappingProxyType(
    {
        "output_text": "message",
        "refusal": "message",
        "reasoning_text": "reasoning",
        "summary_text": "reasoning",
        "command": "shell_call",
        "command output": "shell_call_output",
    }
)
_MOST_NAMES: Final = 10_000
_TEXTS: Final = ("text", "refusal", "arguments", "input", "code", "diff", "command")
# What a new item may begin with; what else comes behind the end of an item is of that item.
_BEGINNINGS: Final = (".delta", ".in_progress", "_part.added", "_command.added")


def kind_of(name: str, event: Mapping[str, Any]) -> str:
    """Return the type of item that has such events; empty where that does not show."""
    spoken = SPOKEN_OF.get(lifecycle.OPEN_REASONING_NAMES.get(name, name))
    part = event.get("part")
    if spoken is None and isinstance(part, dict):
        spoken = word_of(part.get("type"))
    return STEP_EVENTS.get(name) or _ITEM_OF_PART.get(spoken or "", "")


class Identities:
    """The items of one response, by all their names."""

    def __init__(self) -> None:
        self._items: list[Item] = []
        self._by_id: dict[str, Item] = {}
        self._by_call: dict[str, Item] = {}
        self._by_number: dict[int, Item] = {}
        # Names that two items have: there, the other name tells.
        self._shared: set[str] = set()
        self._shared_calls: set[str] = set()
        self._shared_numbers: set[int] = set()
        # Items that were never added and whose id came twice: it is no new one in each event, so another one tells.
        self._steady: set[Item] = set()

    def add(self, item: Item, said: str | None) -> None:
        """Take an item; *said* is the id that the upstream gives it."""
        if said is not None and said in self._by_id:
            self._shared.add(said)
        if item.number is not None:
            if item.number in self._by_number:
                self._shared_numbers.add(item.number)
            self._by_number[item.number] = item
        self._items.append(item)
        self._by_id[item.id] = item

    def call(self, item: Item, fields: Mapping[str, Any]) -> None:
        """Take what an item calls, where *fields* tell it."""
        call_id = word_of(fields.get("call_id"))
        if not call_id or not lifecycle.grammar_of(item.type).calls or call_id in self._shared_calls:
            return
        if self._by_call.setdefault(call_id, item) is not item:
            self._shared_calls.add(call_id)
            del self._by_call[call_id]

    def hear(self, item: Item, item_id: str | None) -> None:
        """Note that an event inside of an item had this id."""
        if item_id is None:
            return
        named = self.named(item_id)
        if named is item and item.implied:
            self._steady.add(item)
        elif named is None and len(self._by_id) < _MOST_NAMES:
            self._by_id[item_id] = item

    def named(self, item_id: str | None) -> Item | None:
        """Return the item that has an id, or calls by it."""
        return self.of_id(item_id) or (self._by_call.get(item_id) if item_id is not None else None)

    def of_id(self, item_id: str | None) -> Item | None:
        """Return the item that has an id."""
        return self._by_id.get(item_id) if item_id is not None else None

    def placed(self, number: int | None) -> Item | None:
        """Return the item that was last seen at an index of the upstream."""
        return self._by_number.get(number) if number is not None else None

    def called(self, kind: str, fields: Mapping[str, Any]) -> Item | None:
        """Return the item that makes a call."""
        call_id = word_of(fields.get("call_id")) or ""
        found = self._by_call.get(call_id) or self._by_id.get(call_id)
        return found if found is not None and found.type == kind else None

    # Events.

    def open_of(
        self, item_id: str | None, number: int | None, kind: str, name: str, event: Mapping[str, Any]
    ) -> Item | None:
        """Return the open item that an event inside of an item speaks of.

        Args:
            item_id: the id that it has.
            number: the index that it has.
            kind: the type of item that has such events; empty where that does not show.
            name: its type.
            event: the event.
        """
        named = self.of_id(item_id)
        if named is not None and not named.closed and named is self.placed(number):
            return named
        found, left = self._told(item_id, number, kind)
        if name.endswith(_BEGINNINGS):
            # Items that are never added come one after the other, so more is said of the last one only.
            left = [item for item in left if not item.implied or item is self._items[-1]]
            left = [item for item in left if not (item.implied and item.has_closed(event))]
            if found is not None and found.implied and found.has_closed(event) and self.named(item_id) is not found:
                return None
        if found is not None or not left:
            return found
        value = None if name.endswith(".delta") else _value_of(event)
        return self._likely(left, item_id, [] if value is None else [value])

    def open_as(self, item_id: str | None, number: int | None, kind: str, fields: Mapping[str, Any]) -> Item | None:
        """Return the open item that is done, as *fields* show it."""
        called = self.called(kind, fields)
        if called is not None and self.of_id(item_id) is None:
            return called if not called.closed else None
        found, left = self._told(item_id, number, kind)
        if found is not None:
            other = item_id is not None and self.named(item_id) is None and is_another_call(found, fields)
            return None if other else found
        left = [item for item in left if not is_another_call(item, fields)]
        return self._likely(left, item_id, list(texts_of(fields)))

    def _likely(self, left: list[Item], item_id: str | None, texts: list[str]) -> Item | None:
        """Return the first item that goes on to what it is shown to say, or the newest that may have another id."""
        for item in left:
            if texts and item.texts and all(any(text.startswith(said) for text in texts) for said in item.texts):
                return item
        unheard = item_id is not None and self.named(item_id) is None
        return next((item for item in reversed(left) if not (unheard and item in self._steady)), None)

    def closed_of(
        self, item_id: str | None, number: int | None, kind: str, name: str, event: Mapping[str, Any]
    ) -> Item | None:
        """Return the item that is done and that an event inside of an item speaks of, none being open."""
        named, placed = self.named(item_id), self.placed(number)
        if named is not None:
            return named
        if placed is not None and kind not in ("", placed.type):
            return None
        begins = name.endswith(_BEGINNINGS)
        if placed is not None and item_id is None and not (begins and placed.implied):
            return placed
        if placed is None:
            placed = next((item for item in reversed(self._items) if kind in ("", item.type)), None)
        # Behind an item that is done, pieces under an id of their own are those of the next one.
        if placed is None or begins or number not in (None, placed.number):
            return None
        value = _value_of(event)
        return placed if value is None or value in texts_of(placed.shown) else None

    def closed_as(self, item_id: str | None, number: int | None, kind: str, fields: Mapping[str, Any]) -> Item | None:
        """Return the item that is done and that *fields* may show once more."""
        named = self.named(item_id) or self.called(kind, fields)
        if named is not None:
            return named
        placed = self.placed(number)
        if placed is not None:
            return placed if item_id is None or kind in ("", placed.type) else None
        last = self._items[-1] if self._items else None
        return last if number is None and item_id is None and last is not None and kind in ("", last.type) else None

    def _told(self, item_id: str | None, number: int | None, kind: str) -> tuple[Item | None, list[Item]]:
        """Return the open item that the id or the index tells; where neither does, those that may be meant."""
        named, placed = self.named(item_id), self.placed(number)
        known, shared = named is not None, number in self._shared_numbers
        own = named is not None and named.id == item_id
        named = named if named is not None and not named.closed else None
        placed = placed if placed is not None and not placed.closed else None
        if placed is not None and item_id in self._shared:
            return placed, []
        if named is not None and placed is not None and named is not placed:
            # One of the two names is wrong; the item that has no such events is not meant.
            return (placed if kind not in ("", named.type) and kind == placed.type else named), []
        if named is not None:
            return named, []
        fits = placed is not None and kind in ("", placed.type)
        if placed is not None and known and not (shared and own):
            return placed, []
        if placed is not None and item_id is None and (fits or not (shared or placed.implied)):
            return placed, []
        if placed is not None and fits and not known:
            return (None, [placed]) if placed in self._steady else (placed, [])
        fitting = [item for item in self._items if not item.closed and kind in ("", item.type)]
        if number is not None and not shared:
            # An item that was added under another index may be counted otherwise inside of it.
            alone = len(fitting) == 1 and number not in self._by_number and (item_id is None or known)
            return (fitting[0] if alone and not (fitting[0].implied and item_id is None) else None), []
        if known and own:
            return None, []
        # Where nothing but ids tells, and each event has a new one, they tell nothing.
        return None, fitting


def is_another_call(item: Item, fields: Mapping[str, Any]) -> bool:
    """Whether an item calls something else than *fields* show."""
    mine = [word_of(item.shown.get(member)) for member in ("call_id", "name")]
    theirs = [word_of(fields.get(member)) for member in ("call_id", "name")]
    return any(one and other and one != other for one, other in zip(mine, theirs, strict=True))


def _value_of(event: Mapping[str, Any]) -> str | None:
    """Return the text that a done event shows."""
    holders = [holder for holder in (event, event.get("part")) if isinstance(holder, dict)]
    return next((text for holder in holders for one in _TEXTS if isinstance(text := holder.get(one), str)), None)


def texts_of(fields: Mapping[str, Any]) -> Iterator[str]:
    """Yield the texts that an item shows."""
    kind = word_of(fields.get("type")) or ""
    if kind in STRINGS:
        value = at(fields, STRINGS[kind][1])
        yield from (value,) if isinstance(value, str) else ()
    for member in ("content", "summary"):
        parts = fields.get(member)
        for part in parts if isinstance(parts, list) else ():
            yield from filter(None, (_value_of(part) if isinstance(part, dict) else None,))


def texts_by_kind(items: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the texts of all items of each type, joined."""
    texts: dict[str, str] = {}
    for fields in items:
        kind = word_of(fields.get("type")) or ""
        texts[kind] = texts.get(kind, "") + "".join(texts_of(fields))
    return texts
