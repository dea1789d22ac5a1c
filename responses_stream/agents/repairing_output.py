"""The items of the repaired response: each is added, filled and done, whatever the upstream leaves out of that.

`repairing_identities` tells which item an event speaks of. Where it is none that was added, its item is added before
it; a call waits until it is told what it calls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from responses_stream import lifecycle
from responses_stream.agents.repairing_calls import Waiting, lacking
from responses_stream.agents.repairing_identities import Identities, is_another_call, kind_of, texts_by_kind, texts_of
from responses_stream.agents.repairing_items import Item
from responses_stream.agents.repairing_report import Json, Outlet
from responses_stream.agents.repairing_shapes import ITEM_TYPES, type_of
from responses_stream.protocol.ids import new_id, new_item_id
from responses_stream.validation.differences import difference
from responses_stream.validation.structure import index_of, word_of

_MAY_DIFFER: Final = ("encrypted_content", "fingerprint")
_MOST_NAMES: Final = 10_000


class Output:
    """The items of one response.

    Attributes:
        items: in the order of the output.
        response_id: the id of the response, in whose partition new ids are made.
        nameless: whether a call came whose function nobody named, so that nobody can answer it.
    """

    def __init__(self, outlet: Outlet) -> None:
        self.items: list[Item] = []
        self.response_id = ""
        self.nameless = False
        self._outlet = outlet
        self._identities = Identities()
        self._waiting: dict[Item, Waiting] = {}
        self._calls: set[str] = set()
        # How much text the finished items of each type have shown, joined.
        self._told: dict[str, int] = {}
        # Names of items that cannot be said, so that what comes of them is left out.
        self._ignored_ids: set[str] = set()
        self._ignored_numbers: set[int] = set()

    @property
    def open(self) -> list[Item]:
        """The items that are not done, those that were not even said behind the others."""
        return [*(item for item in self.items if not item.closed), *self._waiting]

    @property
    def cut(self) -> bool:
        """Whether an item ended as incomplete, so that none may follow it (R059)."""
        return any(item.cut for item in self.items)

    @property
    def done(self) -> list[Json]:
        """The items that are done, as they were."""
        return [item.shown for item in self.items if item.closed]

    @property
    def so_far(self) -> list[Json]:
        """The items that are done, and the texts that are not, as far as they had come."""
        texts = ("message", "reasoning")
        shown = [item for item in self.items if item.closed or (item.type in texts and item.begun)]
        return [item.shown if item.closed else item.so_far() for item in shown]

    # Events of items.

    def added(self, event: Mapping[str, Any]) -> None:
        """Take `output_item.added`."""
        fields, kind = self._fields_of(event)
        if kind is None:
            return
        item_id, number = word_of(fields.get("id")) or None, index_of(event.get("output_index"))
        known = self._identities.of_id(item_id)
        called = self._identities.called(kind, fields)
        if known is None and called in self._waiting:
            known = called
        if known is None and item_id is None:
            known = self._identities.placed(number)
            same = known is not None and known.type == kind and not is_another_call(known, fields)
            known = known if known is not None and same and not known.closed else None
        if known is not None and known in self._waiting:
            self._learn(known, fields, event)
        elif known is not None and self._is_it(known, kind, number):
            if not known.closed and word_of(fields.get("status")) in lifecycle.FINAL and known.begun:
                self._outlet.mend("R063", "the item was added before, and this is its done")
                self._close(known, {**event, "type": lifecycle.ITEM_DONE}, fields)
                return
            self._outlet.mend("R063", "the item was added before; it was left out")
        else:
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
        among = kind if kind in ITEM_TYPES else ""
        found = self._identities.open_as(item_id, number, among, fields)
        if found is None:
            closed = self._identities.closed_as(item_id, number, kind, fields)
            if closed is not None and not self._is_another(closed, item_id, number, fields):
                self._outlet.mend("R072", "the item was done before; it was left out")
                return
            if closed is None and self._is_told(kind, fields):
                self._outlet.mend("R072", "its text was said in another item, so it was not said again")
                return
            if fields.get("status") == "in_progress":
                self._outlet.mend("R078", "the item is not done yet, and was taken as added")
                self._open(fields, kind, event, number)
                return
            self._outlet.mend("R071", "the item was never added; that was said before it")
            found = self._open(fields, kind, None, number)
            if found is None:
                return
        self._identities.call(found, fields)
        self._told[kind] = self._told.get(kind, 0) + len("".join(texts_of(fields)))
        if found in self._waiting:
            self._waiting[found].learn(fields)
            if "name" in lacking(kind, self._waiting[found].fields):
                return  # the response may tell it
            if not self._say_waiting(found, fields):
                return
        self._close(found, event, fields)

    def _is_told(self, kind: str, fields: Mapping[str, Any]) -> bool:
        """Whether an item that nothing told apart from the one before has said the text of a finished item."""
        said = texts_by_kind(item.shown for item in self.items if item.implied).get(kind, "")
        told, text = self._told.get(kind, 0), "".join(texts_of(fields))
        return bool(text) and said[told : told + len(text)] == text

    def _is_another(self, closed: Item, item_id: str | None, number: int | None, fields: Mapping[str, Any]) -> bool:
        """Whether a finished item is not the one that was done before: neither a name nor what it says is the same."""
        if is_another_call(closed, fields):
            return True
        if (item_id is None and number is not None) or self._identities.named(item_id) is not None:
            return False
        if self._identities.called(closed.type, fields) is closed:
            return False
        return difference(closed.shown, dict(fields), ("id", *_MAY_DIFFER)) is not None

    def inside(self, name: str, event: Mapping[str, Any]) -> None:
        """Take an event inside an item."""
        kind = kind_of(name, event)
        item_id, number = word_of(event.get("item_id")) or None, index_of(event.get("output_index"))
        ignored = number in self._ignored_numbers and self._identities.named(item_id) is None
        if item_id in self._ignored_ids or ignored:
            self._outlet.mend("R082", "its item could not be said, and it was left out")
            return
        found = self._identities.open_of(item_id, number, kind, name, event)
        if found is not None:
            self._identities.hear(found, item_id)
        else:
            closed = self._identities.closed_of(item_id, number, kind, name, event)
            if closed is not None:
                self._outlet.mend("R083", "its item was done; it was left out")
                return
            if not kind:
                self._outlet.mend("R082", "it belongs to no item, and was left out")
                return
            waits = " when it was told what it calls" if lacking(kind, {}) else " before it"
            self._outlet.mend("R082", f"its item was never added; a {kind} was added{waits}")
            found = self._open({"id": item_id}, kind, None, number)
            if found is None:
                return
        if found in self._waiting:
            self._waiting[found].take(name, event)
        else:
            found.take(name, event)

    def knows(self, event: Mapping[str, Any]) -> bool:
        """Whether the item that an event shows was added."""
        item = event.get("item")
        item_id = item.get("id") if isinstance(item, dict) else None
        told = isinstance(item_id, str) and self._identities.of_id(item_id) is not None
        return told or self._named(event) is not None

    def _named(self, event: Mapping[str, Any]) -> Item | None:
        """Return the open item that stands where an event says."""
        found = self._identities.placed(index_of(event.get("output_index")))
        return found if found is not None and not found.closed else None

    # The end.

    def take_final(self, shown: Sequence[Any], *, cut: bool) -> None:
        """Close what is open, by what the final output shows; say the items that stand there only (A6, A7, A8)."""
        matched = self._matched(shown)
        for item in list(self._waiting):
            self._waiting[item].learn(matched.get(item, {}))
            self._say_waiting(item, matched.get(item, {}))
        for item in self.open:
            fields = matched.get(item)
            self._outlet.mend("R079" if not cut else "R088", f"{item.type} {item.id} was done before it")
            self._close(item, None, fields, cut=cut and (fields or {}).get("status") != "completed")
        told = {id(fields) for fields in matched.values()}
        texts_said = texts_by_kind(item.shown for item in self.items)
        texts_shown = texts_by_kind(fields for fields in shown if isinstance(fields, dict))
        for fields in shown:
            if isinstance(fields, dict) and id(fields) not in told:
                kind = word_of(fields.get("type")) or type_of(fields)
                if kind is None or kind in lifecycle.INPUT_ONLY:
                    continue
                if texts_said.get(kind) and texts_said[kind] == texts_shown.get(kind):
                    # Where nothing told them apart, one item has said all of it.
                    self._outlet.mend("R180", f"the text of a {kind} was said in another one, so it was not said again")
                    continue
                self._outlet.mend("R180", f"a {kind} stood in the final output only, and was said before")
                only_here = self._open(fields, kind, None, None)
                if only_here is not None and (only_here.said or self._say_waiting(only_here, fields)):
                    self._close(only_here, None, fields)

    def close_cut(self) -> None:
        """Close what was cut off: the last item, for only that one may be incomplete (R059)."""
        self._give_up_waiting()
        last = self.items[-1] if self.items else None
        if last is not None and not last.closed:
            self._outlet.mend("R088", f"{last.type} {last.id} was done as far as it had come")
            self._close(last, None, None, cut=True)

    def _give_up_waiting(self) -> None:
        """Say the last call that waits, where its function is known and it may be incomplete; leave the others out."""
        idle = not self.items or self.items[-1].closed
        for item in list(self._waiting):
            if idle and item is list(self._waiting)[-1]:
                self._say_waiting(item, {})
            else:
                self._leave_out(item)

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

    def _matched(self, shown: Sequence[Any]) -> dict[Item, Mapping[str, Any]]:
        """Return what the final output shows of each item that came before it."""
        left: list[Mapping[str, Any]] = [fields for fields in shown if isinstance(fields, dict)]
        items = [*self.items, *self._waiting]
        matched: dict[Item, Mapping[str, Any]] = {}

        def pair(alike: Callable[[Item, Mapping[str, Any]], bool]) -> None:
            for item in items:
                like = next((fields for fields in left if item not in matched and alike(item, fields)), None)
                if like is not None:
                    matched[item] = like
                    left[:] = [fields for fields in left if fields is not like]

        # Its id tells, or else what it calls; then its type, and at last that there are as many as were added.
        named = self._identities.named
        pair(lambda item, fields: named(word_of(fields.get("id"))) is item and not is_another_call(item, fields))
        pair(lambda item, fields: self._identities.called(item.type, fields) is item)
        pair(lambda item, fields: item.type == fields.get("type"))
        rest = [item for item in items if item not in matched]
        if len(rest) == len(left):
            matched |= dict(zip(rest, left, strict=True))
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
        """Add an item, or let it wait; None where none may be added any more."""
        if self.cut:
            self._outlet.mend("R059", "an item stands before it that is incomplete, so it was left out")
            self._ignore(fields, number, typed=True)
            return None
        said = word_of(fields.get("id")) or None
        item_id = said
        if said is None or self._identities.of_id(said) is not None:
            item_id = new_item_id(kind, self.response_id)
            if event is not None:
                rule = "R064" if said is not None else "R067"
                self._outlet.mend(rule, "its item was given an id of its own")
        assert item_id is not None
        item = Item(fields, kind, item_id, number, self._outlet, implied=event is None)
        self._identities.add(item, said)
        self._identities.call(item, fields)
        missing = lacking(kind, fields)
        if missing:
            if event is not None:
                self._outlet.mend("R068", f"its {' and '.join(missing)} was missing, so it waited for that")
            self._waiting[item] = Waiting(item, event, dict(fields))
        else:
            self._say(item, fields, event)
        return item

    def _say(self, item: Item, fields: Mapping[str, Any], event: Mapping[str, Any] | None) -> None:
        """Say that an item is added."""
        call_id = word_of(fields.get("call_id"))
        if call_id and lifecycle.grammar_of(item.type).calls:
            if call_id in self._calls:
                self._outlet.mend("R162", "its call was given a call_id of its own")
                call_id = new_id("call", self.response_id)
                fields = {**fields, "call_id": call_id}
            self._calls.add(call_id)
        self.items.append(item)
        item.open(len(self.items) - 1, fields, event)

    # Calls that wait.

    def _learn(self, item: Item, fields: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        """Take a late added of a call that waits."""
        waiting = self._waiting[item]
        waiting.added, waiting.fields = event, {**waiting.fields, **fields}
        self._identities.call(item, fields)
        item.implied = False
        if not lacking(item.type, waiting.fields):
            self._say_waiting(item, {})

    def _say_waiting(self, item: Item, shown: Mapping[str, Any]) -> bool:
        """Say a call that waits, and what was kept of it; return whether that could be. *shown*: the finished item."""
        waiting = self._waiting[item]
        missing = lacking(item.type, waiting.fields)
        if "name" in missing or self.cut:
            self._leave_out(item)
            return False
        if missing:
            # The only name that the upstream may know it by again is its id.
            call_id = word_of(waiting.fields.get("id"))
            if not call_id or call_id in self._calls:
                call_id = new_id("call", self.response_id)
            waiting.fields["call_id"] = call_id
            self._outlet.mend("R068", f"nobody told what the call answers to; it was given the call_id {call_id!r}")
        del self._waiting[item]
        self._say(item, {**shown, **waiting.fields} if waiting.added is None else waiting.fields, waiting.added)
        for name, event in waiting.held(shown):
            item.take(name, event)
        return True

    def _leave_out(self, item: Item) -> None:
        nameless = "name" in lacking(item.type, self._waiting.pop(item).fields)
        self.nameless = self.nameless or nameless
        why = "nobody told the name of its function" if nameless else "it was cut off"
        self._outlet.mend("R076" if nameless else "R088", f"{item.type} {item.id} was left out: {why}")
        item.closed = True
