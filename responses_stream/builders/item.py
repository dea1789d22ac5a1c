"""What the builders of all items have in common: an item is added once, lives by its grammar, and is done once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Final, Literal, TypeAlias, TypeVar

import attrs
import msgspec

from responses_stream import lifecycle
from responses_stream.builders import values
from responses_stream.builders.core import StreamCore
from responses_stream.builders.part import PartBuilder, name_of
from responses_stream.builders.streamed import confirmed
from responses_stream.errors import OutOfOrder
from responses_stream.protocol.events import ResponseOutputItemAddedEvent, ResponseOutputItemDoneEvent
from responses_stream.protocol.items import OutputItem
from responses_stream.protocol.tool_events import ItemEvent, StringDeltaEvent

E = TypeVar("E", bound=ItemEvent)
D = TypeVar("D", bound=StringDeltaEvent)
P = TypeVar("P", bound=PartBuilder)

_NOT_WHOLE: Final = frozenset({"incomplete", "failed"})

FinalStatus: TypeAlias = Literal["completed", "incomplete"]
"""How most items may end."""

ToolStatus: TypeAlias = Literal["completed", "incomplete", "failed"]
"""How the items of hosted tools may end."""


@attrs.define(eq=False, repr=False)
class ItemBuilder(ABC):
    """One output item in the making. `emit_added` begins it, `emit_done` ends it.

    What it is made with can be read and not changed: no event can say another id than the one before (A3).
    """

    item_type: ClassVar[str]

    _core: StreamCore
    _item_id: str
    _state: str = attrs.field(init=False, default=lifecycle.ABSENT)
    _index: int = attrs.field(init=False, default=-1)
    _parts: dict[str, list[PartBuilder]] = attrs.field(init=False, factory=dict)

    @property
    def item_id(self) -> str:
        """Its id, minted once."""
        return self._item_id

    @property
    def output_index(self) -> int:
        """Its place in the output; before it is added, the place that it would get now (R062)."""
        return self._index if self._index >= 0 else self._core.next_index

    @property
    def grammar(self) -> lifecycle.Grammar:
        """What may happen inside it."""
        return lifecycle.grammar_of(self.item_type)

    @property
    def has_failed(self) -> bool:
        """Whether its own events said that it failed."""
        return self._state == lifecycle.BROKEN

    @abstractmethod
    def _snapshot(self, status: str | None) -> OutputItem:
        """Return the item as it stands, with *status*."""

    def _added_status(self) -> str | None:
        """The status that `output_item.added` carries (R069)."""
        return "in_progress" if "in_progress" in (self.grammar.statuses or ()) else None

    def emit_added(self) -> ResponseOutputItemAddedEvent:
        """Begin the item.

        Raises:
            OutOfOrder: it was added before, or the response takes no items now (R060-R063).
        """
        if self._state != lifecycle.ABSENT:
            raise self._refuse(lifecycle.ITEM_ADDED)
        item = self._snapshot(self._added_status())
        self._index = self._core.add_item(self)
        self._state = lifecycle.OPEN
        return ResponseOutputItemAddedEvent(
            sequence_number=self._core.next_number(), output_index=self._index, item=item
        )

    def _finish(self, status: str | None, **members: object) -> ResponseOutputItemDoneEvent:
        """End the item with *status*; *members* are those that it has only in its final form.

        Raises:
            InvalidType: the status is no text.
            OutOfOrder: it is not open, owes events, or may not end so (R071, R072, R104, R143-R158).
        """
        status = values.text_or_none("status", status)
        self._check_may_end()
        if self._owed:
            raise OutOfOrder(
                lifecycle.ITEM_DONE, f"{self} with open parts", self._allowed, "its parts come first (R104, R127)"
            )
        if status not in self.grammar.ends[self._state]:
            raise OutOfOrder(
                f"{lifecycle.ITEM_DONE}[{status}]",
                str(self),
                self._allowed,
                "its status has to fit its events (R077, R078, R143, R156)",
            )
        if status == "incomplete" and not self._core.may_cut(self._index):
            raise OutOfOrder(
                lifecycle.ITEM_CUT,
                str(self),
                self._allowed or self._core.allowed,
                "an incomplete item is the last one (R059)",
            )
        item = msgspec.structs.replace(self._snapshot(status), **members)
        self._core.finish_item(self._index, item, status)
        self._state = lifecycle.CLOSED
        return ResponseOutputItemDoneEvent(
            sequence_number=self._core.next_number(), output_index=self._index, item=item
        )

    def _check_may_end(self) -> None:
        """Refuse to end the item where its events do not let it end, whatever the arguments are."""
        if self._state not in self.grammar.ends:
            raise self._refuse(lifecycle.ITEM_DONE)

    def _close(self) -> None:
        """Take no more events: the response has ended."""
        self._state = lifecycle.CLOSED
        for parts in self._parts.values():
            for part in parts:
                part._close()

    def _advance(self, name: str) -> str:
        """Return the state after the item's own event *name*; the caller stores it.

        Raises:
            OutOfOrder: the item's grammar does not list it here.
        """
        try:
            return self.grammar.steps[self._state][name]
        except KeyError:
            raise self._refuse(name) from None

    def _state_event(self, kind: type[E]) -> E:
        """Step on by an event that says nothing but its name."""
        self._state = self._advance(name_of(kind))
        return kind(sequence_number=self._core.next_number(), item_id=self._item_id, output_index=self._index)

    def _begin_part(self, part: PartBuilder) -> int:
        """Let a part begin, and return its index."""
        parts = self._parts.setdefault(part.member, [])
        parts.append(part)
        return len(parts) - 1

    def _check_takes_parts(self, name: str) -> None:
        """Refuse the event *name* of a part that has not begun, where the item is not open (R083, R093)."""
        if self._state != lifecycle.OPEN:
            raise self._refuse(name)

    def _parts_of(self, member: str, kind: type[P]) -> list[P]:
        """Return the parts that *member* has so far."""
        return [part for part in self._parts.get(member, ()) if isinstance(part, kind)]

    @property
    def _owed(self) -> list[PartBuilder]:
        """The parts that are open."""
        return [part for parts in self._parts.values() for part in parts if part.is_open]

    @property
    def _allowed(self) -> tuple[str, ...]:
        """What may be said now, of the item, of its parts, or on the way to it."""
        if self._state == lifecycle.ABSENT:
            now = self._core.allowed
            return (lifecycle.ITEM_ADDED,) if lifecycle.ITEM_ADDED in now else now
        grammar = self.grammar
        steps = [*grammar.steps.get(self._state, ())]
        if self._state == lifecycle.OPEN:
            kinds = sorted(kind for kinds in grammar.parts.values() for kind in kinds)
            steps += dict.fromkeys(name for kind in kinds for name in lifecycle.PARTS[kind][lifecycle.ABSENT])
        if self._owed:
            return (*steps, *(f"{event} of part {part.index}" for part in self._owed for event in part.allowed))
        ends = self._ends - (set() if self._core.may_cut(self._index) else {"incomplete"})
        whole = (lifecycle.ITEM_DONE,) if ends & {None, "completed"} else ()
        return (*steps, *whole, *(f"{lifecycle.ITEM_DONE}[{end}]" for end in sorted(map(str, ends & _NOT_WHOLE))))

    @property
    def _ends(self) -> frozenset[str | None]:
        """The statuses that the item may end with, by its events so far."""
        return self.grammar.ends.get(self._state, frozenset())

    def _refuse(self, name: str) -> OutOfOrder:
        return OutOfOrder(name, str(self), self._allowed, lifecycle.broken_in_item(self.grammar, self._state, name))

    def __str__(self) -> str:
        return f"{self.item_type} {self._item_id} {self._state}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._item_id} {self._state}>"


@attrs.define(eq=False, repr=False)
class StringItemBuilder(ItemBuilder):
    """An item that streams one string: arguments, input, code, or a diff."""

    _pieces: list[str] = attrs.field(init=False, factory=list)

    def _delta_event(self, kind: type[D], delta: str) -> D:
        """Say a piece of the string.

        Raises:
            InvalidType: *delta* is not a string.
            InvalidValue: *delta* holds a lone surrogate.
            OutOfOrder: the item is not open, or the string is done (R140).
        """
        delta = values.text("delta", delta)
        self._state = self._advance(name_of(kind))
        self._pieces.append(delta)
        return kind(
            sequence_number=self._core.next_number(), item_id=self._item_id, output_index=self._index, delta=delta
        )

    def _whole(self, kind: type[ItemEvent], given: str | None) -> str:
        """Step on by the done value, and return it: what the deltas said.

        Raises:
            OutOfOrder: *given* is something else (R141), or the string was done before (R140).
        """
        name = name_of(kind)
        state = self._advance(name)
        whole = confirmed(self._pieces, given, name, str(self), "R141")
        self._state = state
        return whole
