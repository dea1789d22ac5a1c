"""What the builders of all items have in common: an item is added once, lives by its grammar, and is done once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal, TypeAlias, TypeVar

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

FinalStatus: TypeAlias = Literal["completed", "incomplete"]
"""How most items may end."""

ToolStatus: TypeAlias = Literal["completed", "incomplete", "failed"]
"""How the items of hosted tools may end."""


@attrs.define(eq=False, repr=False)
class ItemBuilder(ABC):
    """One output item in the making. `emit_added` begins it, `emit_done` ends it.

    Attributes:
        core: the stream that it belongs to.
        item_id: its id, minted once; no event can carry another (A3).
    """

    item_type: ClassVar[str]

    core: StreamCore
    item_id: str
    _state: str = attrs.field(init=False, default=lifecycle.ABSENT)
    _index: int = attrs.field(init=False, default=-1)
    _parts: dict[str, list[PartBuilder]] = attrs.field(init=False, factory=dict)

    @property
    def output_index(self) -> int:
        """Its place in the output; before it is added, the place that it would get now (R062)."""
        return self._index if self._index >= 0 else self.core.next_index

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
        self._index = self.core.add_item(self)
        self._state = lifecycle.OPEN
        return ResponseOutputItemAddedEvent(
            sequence_number=self.core.next_number(), output_index=self._index, item=item
        )

    def _finish(self, status: str | None, **members: object) -> ResponseOutputItemDoneEvent:
        """End the item with *status*; *members* are those that it has only in its final form.

        Raises:
            OutOfOrder: it is not open, owes events, or may not end so (R071, R072, R104, R143-R158).
        """
        ends = self.grammar.ends.get(self._state)
        if ends is None:
            raise self._refuse(lifecycle.ITEM_DONE)
        owed = [part for parts in self._parts.values() for part in parts if part.is_open]
        if owed:
            raise OutOfOrder(
                lifecycle.ITEM_DONE,
                f"{self} with open parts",
                [f"{event} of part {part.index}" for part in owed for event in part.allowed],
                "its parts come first (R104)",
            )
        if status not in ends:
            raise OutOfOrder(
                f"{lifecycle.ITEM_DONE}[{status}]",
                str(self),
                (
                    *self.grammar.steps.get(self._state, ()),
                    *(f"{lifecycle.ITEM_DONE}[{end}]" for end in sorted(map(str, ends))),
                ),
                "its status has to fit its events (R077, R078, R156)",
            )
        item = msgspec.structs.replace(self._snapshot(status), **members)
        self.core.finish_item(self._index, item, status)
        self._state = lifecycle.CLOSED
        return ResponseOutputItemDoneEvent(sequence_number=self.core.next_number(), output_index=self._index, item=item)

    def close(self) -> None:
        """Take no more events: the response has ended."""
        self._state = lifecycle.CLOSED
        for parts in self._parts.values():
            for part in parts:
                part.close()

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
        return kind(sequence_number=self.core.next_number(), item_id=self.item_id, output_index=self._index)

    def begin_part(self, member: str, part: PartBuilder) -> int:
        """Let a part begin, and return its index in *member*.

        Raises:
            OutOfOrder: the item is not open (R093, R083).
        """
        if self._state != lifecycle.OPEN:
            raise self._refuse(f"a part of {member}")
        parts = self._parts.setdefault(member, [])
        parts.append(part)
        return len(parts) - 1

    def parts(self, member: str, kind: type[P]) -> list[P]:
        """Return the parts that *member* has so far."""
        return [part for part in self._parts.get(member, ()) if isinstance(part, kind)]

    def _refuse(self, name: str) -> OutOfOrder:
        if self._state == lifecycle.ABSENT:
            return OutOfOrder(name, str(self), (lifecycle.ITEM_ADDED,))
        done = (lifecycle.ITEM_DONE,) if self._state in self.grammar.ends else ()
        return OutOfOrder(name, str(self), (*self.grammar.steps.get(self._state, ()), *done))

    def __str__(self) -> str:
        return f"{self.item_type} {self.item_id} {self._state}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.item_id} {self._state}>"


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
        values.text("delta", delta)
        self._state = self._advance(name_of(kind))
        self._pieces.append(delta)
        return kind(
            sequence_number=self.core.next_number(), item_id=self.item_id, output_index=self._index, delta=delta
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
