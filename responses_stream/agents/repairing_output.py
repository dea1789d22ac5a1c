"""The items of the repaired response: which of them an event of the upstream speaks of.

An item is where its id says. An id that nobody has seen is taken as another name of the item at that index, for there
are servers that make a new id for each event; an index that is shared, counted from 1 or missing counts for nothing
beside an id. Where neither tells, the event goes to the only open item that can have such events, and where there is
none, its item is added before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from responses_stream import lifecycle
from responses_stream.agents.repairing_items import Item
from responses_stream.agents.repairing_report import Json, Outlet
from responses_stream.agents.repairing_shapes import ITEM_TYPES, type_of
from responses_stream.protocol.ids import new_id, new_item_id
from responses_stream.validation.differences import difference
from responses_stream.validation.parts import SPOKEN_OF
from responses_stream.validation.structure import index_of, word_of
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
_MAY_DIFFER: Final = ("encrypted_content", "fingerprint")
_MOST_NAMES: Final = 10_000


def kind_of(name: str, event: Mapping[str, Any]) -> str:
    """Return the type of item that has such events; empty where that does not show."""
    spoken = SPOKEN_OF.get(lifecycle.OPEN_REASONING_NAMES.get(name, name))
    part = event.get("part")
    if spoken is None and isinstance(part, dict):
        spoken = word_of(part.get("type"))
    return STEP_EVENTS.get(name) or _ITEM_OF_PART.get(spoken or "", "")


class Output:
    """The items of one response.

    Attributes:
        items: in the order of the output.
        response_id: the id of the response, in whose partition new ids are made.
    """

    def __init__(self, outlet: Outlet) -> None:
        self.items: list[Item] = []
        self.response_id = ""
        self._outlet = outlet
        self._by_id: dict[str, Item] = {}
        self._by_number: dict[int, Item] = {}
        self._calls: set[str] = set()
        # Ids that two items have: there, the index tells.
        self._shared: set[str] = set()
        # Names of items that cannot be said, so that what comes of them is left out.
        self._ignored_ids: set[str] = set()
        self._ignored_numbers: set[int] = set()

    @property
    def open(self) -> list[Item]:
        """The items that are not done."""
        return [item for item in self.items if not item.closed]

    @property
    def cut(self) -> bool:
        """Whether an item ended as incomplete, so that none may follow it (R059)."""
        return any(item.cut for item in self.items)

    @property
    def done(self) -> list[Json]:
        """The items that are done, as they were."""
        return [item.shown for item in self.items if item.closed]

    # Events of items.

    def added(self, event: Mapping[str, Any]) -> None:
        """Take `output_item.added`."""
        fields, kind = self._fields_of(event)
        if kind is None:
            return
        item_id, number = word_of(fields.get("id")) or None, index_of(event.get("output_index"))
        known = self._by_id.get(item_id) if item_id is not None else None
        if known is None and item_id is None and number is not None:
            known = self._by_number.get(number)
            known = known if known is not None and known.type == kind and not known.closed else None
        if known is not None and self._is_it(known, kind, number):
            if not known.closed and word_of(fields.get("status")) in lifecycle.FINAL and known.begun:
                self._outlet.mend("R063", "the item was added before, and this is its done")
                self._close(known, {**event, "type": lifecycle.ITEM_DONE}, fields)
                return
            self._outlet.mend("R063", "the item was added before; it was left out")
            return
        self._open(fields, kind, event, number)

    def _is_it(self, known: Item, kind: str, number: int | None) -> bool:
        """Whether an added is of an item that was added, or of another that has its id by mistake (R064)."""
        return number in (None, known.number) or (known.type == kind and number < len(self.items))

    def finish(self, event: Mapping[str, Any]) -> None:
        """Take `output_item.done`."""
        if not isinstance(event.get("item"), dict):
            # What the item came to is told once more at the end, mostly.
            self._outlet.mend("R066", "it had no item, and was left out")
            return
        fields, kind = self._fields_of(event, self._named(event))
        if kind is None:
            return
        item_id, number = word_of(fields.get("id")) or None, index_of(event.get("output_index"))
        found = self._find(item_id, number, kind if kind in ITEM_TYPES else "")
        if found is None:
            closed = self._closed(item_id, number, kind)
            if closed is not None and not self._is_another(closed, item_id, fields):
                self._outlet.mend("R072", "the item was done before; it was left out")
                return
            if fields.get("status") == "in_progress":
                self._outlet.mend("R078", "the item is not done yet, and was taken as added")
                self._open(fields, kind, event, number)
                return
            self._outlet.mend("R071", "the item was never added; that was said before it")
            found = self._open(fields, kind, None, number)
            if found is None:
                return
        self._close(found, event, fields)

    def _is_another(self, closed: Item, item_id: str | None, fields: Mapping[str, Any]) -> bool:
        """Whether a finished item is not the one that was done at its index: both its id and what it says are new."""
        if item_id is None or item_id in self._by_id:
            return False
        return difference(closed.shown, dict(fields), ("id", *_MAY_DIFFER)) is not None

    def inside(self, name: str, event: Mapping[str, Any]) -> None:
        """Take an event inside an item."""
        kind = kind_of(name, event)
        item_id, number = word_of(event.get("item_id")) or None, index_of(event.get("output_index"))
        if item_id in self._ignored_ids or (number in self._ignored_numbers and item_id not in self._by_id):
            self._outlet.mend("R082", "its item could not be said, and it was left out")
            return
        found = self._find(item_id, number, kind)
        if found is None:
            closed = self._closed(item_id, number, kind)
            if closed is not None:
                self._outlet.mend("R083", "its item was done; it was left out")
                return
            if not kind:
                self._outlet.mend("R082", "it belongs to no item, and was left out")
                return
            self._outlet.mend("R082", f"its item was never added; a {kind} was added before it")
            found = self._open({"id": item_id}, kind, None, number)
            if found is None:
                return
        if item_id is not None and item_id not in self._by_id and len(self._by_id) < _MOST_NAMES:
            self._by_id[item_id] = found
        found.take(name, event)

    def knows(self, event: Mapping[str, Any]) -> bool:
        """Whether the item that an event shows was added."""
        item = event.get("item")
        item_id = item.get("id") if isinstance(item, dict) else None
        return (isinstance(item_id, str) and item_id in self._by_id) or self._named(event) is not None

    def _named(self, event: Mapping[str, Any]) -> Item | None:
        """Return the open item that stands where an event says."""
        number = index_of(event.get("output_index"))
        found = self._by_number.get(number) if number is not None else None
        return found if found is not None and not found.closed else None

    # The end.

    def take_final(self, shown: Sequence[Any], *, cut: bool) -> None:
        """Close what is open, by what the final output shows; say the items that stand there only (A6, A7, A8)."""
        matched = self._matched(shown)
        for item in self.open:
            fields = matched.get(item.index)
            self._outlet.mend("R079" if not cut else "R088", f"{item.type} {item.id} was done before it")
            self._close(item, None, fields, cut=cut and (fields or {}).get("status") != "completed")
        said = {id(fields) for fields in matched.values()}
        for fields in shown:
            if isinstance(fields, dict) and id(fields) not in said:
                kind = word_of(fields.get("type")) or type_of(fields)
                if kind is None or kind in lifecycle.INPUT_ONLY:
                    continue
                self._outlet.mend("R180", f"a {kind} stood in the final output only, and was said before")
                said_only_here = self._open(fields, kind, None, None)
                if said_only_here is not None:
                    self._close(said_only_here, None, fields)

    def close_cut(self) -> None:
        """Close what was cut off: the last item, for only that one may be incomplete (R059)."""
        last = self.items[-1] if self.items else None
        if last is not None and not last.closed:
            self._outlet.mend("R088", f"{last.type} {last.id} was done as far as it had come")
            self._close(last, None, None, cut=True)

    def listed(self, shown: object, *, whole: bool) -> list[Any]:
        """Return the final output: *shown* where it lists what was said. *whole*: it has to list all of it."""
        done = self.done
        if isinstance(shown, list):
            if not whole and not shown:
                return shown
            same = len(shown) == len(done) and all(
                isinstance(one, dict) and difference(mine, one, _MAY_DIFFER) is None
                for mine, one in zip(done, shown, strict=True)
            )
            if same:
                return shown
        return done

    def _matched(self, shown: Sequence[Any]) -> dict[int, Mapping[str, Any]]:
        """Return what the final output shows of each item that was added, by its place."""
        left: list[Mapping[str, Any]] = [fields for fields in shown if isinstance(fields, dict)]
        matched: dict[int, Mapping[str, Any]] = {}

        def pair(alike: Callable[[Item, Mapping[str, Any]], bool]) -> None:
            for item in self.items:
                like = next((fields for fields in left if item.index not in matched and alike(item, fields)), None)
                if like is not None:
                    matched[item.index] = like
                    left[:] = [fields for fields in left if fields is not like]

        # Its id tells, or else what it calls; then its type, and at last that there are as many as were added.
        pair(lambda item, fields: self._by_id.get(word_of(fields.get("id")) or "") is item)
        pair(lambda item, fields: item.shown.get("call_id", "") == fields.get("call_id"))
        pair(lambda item, fields: item.type == fields.get("type"))
        rest = [item for item in self.items if item.index not in matched]
        if len(rest) == len(left):
            matched |= {item.index: fields for item, fields in zip(rest, left, strict=True)}
        return matched

    def _close(
        self,
        item: Item,
        event: Mapping[str, Any] | None,
        fields: Mapping[str, Any] | None,
        *,
        cut: bool = False,
    ) -> None:
        """Close an item; one that others stand behind is not incomplete (R059)."""
        last = item is self.items[-1]
        if fields is not None and fields.get("status") == "incomplete" and not last:
            self._outlet.mend("R059", "an item behind it was added, so it was not said to be incomplete")
        item.close(event, fields, cut=cut and last, last=last)

    # Who is who.

    def _fields_of(self, event: Mapping[str, Any], known: Item | None = None) -> tuple[Mapping[str, Any], str | None]:
        """Return the item of an event and its type; None as the type where nothing can be made of it."""
        item = event.get("item")
        fields: Mapping[str, Any] = item if isinstance(item, dict) else {}
        kind = word_of(fields.get("type")) or None
        if kind is None:
            kind = known.type if known is not None else type_of(fields)
            told = f"it was taken as a {kind}" if kind is not None else "nothing can be made of it; it was left out"
            self._outlet.mend("R066", f"its item had no type; {told}")
        if kind in lifecycle.INPUT_ONLY:
            self._outlet.mend("R080", f"a {kind} is no output item; it was left out")
            kind = None
        if kind is None and isinstance(item, dict) and known is None:
            self._ignore(fields, index_of(event.get("output_index")), typed="type" in fields)
        return fields, kind

    def _ignore(self, fields: Mapping[str, Any], number: int | None, *, typed: bool) -> None:
        if not typed or len(self._ignored_ids) > _MOST_NAMES:
            return  # its events tell what it is
        if isinstance(item_id := fields.get("id"), str):
            self._ignored_ids.add(item_id)
        if number is not None:
            self._ignored_numbers.add(number)

    def _open(
        self, fields: Mapping[str, Any], kind: str, event: Mapping[str, Any] | None, number: int | None
    ) -> Item | None:
        """Add an item; None where none may be added any more."""
        if self.cut:
            self._outlet.mend("R059", "an item stands before it that is incomplete, so it was left out")
            self._ignore(fields, number, typed=True)
            return None
        said = word_of(fields.get("id")) or None
        item_id = said
        if said is not None and said in self._by_id:
            self._shared.add(said)
        if said is None or said in self._by_id:
            item_id = new_item_id(kind, self.response_id)
            if event is not None:
                rule = "R064" if said is not None else "R067"
                self._outlet.mend(rule, "its item was given an id of its own")
        assert item_id is not None
        call_id = word_of(fields.get("call_id"))
        if call_id and lifecycle.grammar_of(kind).calls:
            if call_id in self._calls:
                self._outlet.mend("R162", "its call was given a call_id of its own")
                call_id = new_id("call", self.response_id)
                fields = {**fields, "call_id": call_id}
            self._calls.add(call_id)
        item = Item(fields, kind, item_id, len(self.items), number, self._outlet)
        self.items.append(item)
        self._by_id[item_id] = item
        if number is not None:
            self._by_number[number] = item
        item.open(event)
        return item

    def _find(self, item_id: str | None, number: int | None, kind: str) -> Item | None:
        """Return the open item that an event speaks of."""
        named = self._by_id.get(item_id) if item_id is not None else None
        placed = self._by_number.get(number) if number is not None else None
        named = named if named is not None and not named.closed else None
        placed = placed if placed is not None and not placed.closed else None
        if placed is not None and item_id in self._shared:
            return placed
        if named is not None and placed is not None and named is not placed:
            # One of the two names is wrong; the item that has no such events is not meant.
            return placed if kind not in ("", named.type) and kind == placed.type else named
        if named is not None:
            return named
        unheard = item_id is None or item_id not in self._by_id
        if placed is not None and (kind in ("", placed.type) or not unheard or item_id is None):
            return placed
        fitting = [item for item in self.open if kind in ("", item.type)]
        if len(fitting) != 1:
            return None
        if number is None:
            # Where nothing but ids tells, and each event has a new one, they tell nothing.
            return fitting[0]
        return fitting[0] if number not in self._by_number and (item_id is None or not unheard) else None

    def _closed(self, item_id: str | None, number: int | None, kind: str) -> Item | None:
        """Return the item that is done and that an event speaks of."""
        named = self._by_id.get(item_id) if item_id is not None else None
        if named is not None:
            return named
        placed = self._by_number.get(number) if number is not None else None
        if placed is not None and (item_id is None or kind in ("", placed.type)):
            return placed
        last = self.items[-1] if self.items else None
        if number is None and item_id is None and last is not None and kind in ("", last.type):
            return last
        return None
