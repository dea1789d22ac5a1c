"""`OrderGuard`: steps through the tables of `responses_stream.lifecycle` with events that somebody else made.

The hosting engine asks it before an event is committed, so that no handler can put a broken stream on the wire. It
knows what is open and nothing more: its memory does not grow with the stream.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import attrs

from responses_stream import lifecycle
from responses_stream.errors import OutOfOrder
from responses_stream.protocol.base import Event, UnknownEvent
from responses_stream.protocol.events import (
    LifecycleEvent,
    PartEvent,
    ResponseContentPartAddedEvent,
    ResponseErrorEvent,
    ResponseOutputItemAddedEvent,
    ResponseOutputItemDoneEvent,
    SummaryEvent,
)
from responses_stream.protocol.tool_events import CommandEvent, ItemEvent, ResponseShellCallOutputContentDeltaEvent
from responses_stream.protocol.tool_events import ResponseShellCallOutputContentDoneEvent as _OutputDone

_Key = tuple[str, int]

_AUDIO: Final = frozenset(
    {
        "response.audio.delta",
        "response.audio.done",
        "response.audio.transcript.delta",
        "response.audio.transcript.done",
    }
)

_FAMILIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        name: part_type
        for part_type, table in lifecycle.PARTS.items()
        for steps in table.values()
        for name in steps
        if name not in (lifecycle.PART_ADDED, lifecycle.PART_DONE)
    }
)
"""The type of part that an event speaks of, where its name tells."""


@attrs.define
class _Part:
    part_type: str
    state: str


@attrs.define
class _Item:
    item_id: str | None
    item_type: str
    grammar: lifecycle.Grammar
    state: str = lifecycle.OPEN
    parts: dict[_Key, _Part] = attrs.field(factory=dict)
    counts: dict[str, int] = attrs.field(factory=dict)

    def __str__(self) -> str:
        return f"{self.item_type} {self.item_id} {self.state}"


@attrs.define
class OrderGuard:
    """Tells whether an event may come next.

    Attributes:
        response_id: the id that every copy of the response has to carry; None takes that of the first.
    """

    response_id: str | None = None
    _state: str = attrs.field(init=False, default=lifecycle.BEFORE)
    _items: dict[int, _Item] = attrs.field(init=False, factory=dict)
    _count: int = attrs.field(init=False, default=0)

    def resume(self) -> None:
        """Let a response go on whose beginning somebody else has checked: `response.in_progress` comes next, and says
        which items stay (H17.20, H18.35)."""
        self._state = lifecycle.RESUMED

    @property
    def finished(self) -> bool:
        """Whether the stream has ended: nothing may follow."""
        return self._state == lifecycle.ENDED

    @property
    def created(self) -> bool:
        """Whether `response.created` has come."""
        return self._state != lifecycle.BEFORE

    def check(self, event: Event | UnknownEvent) -> None:
        """Step on by *event*. Events of unknown types, keep-alives and steering change nothing.

        Raises:
            OutOfOrder: the event may not come now; nothing was changed.
        """
        check = _check_of(type(event))
        if check is not None:
            check(self, event)

    def _lifecycle(self, event: LifecycleEvent) -> None:
        name, response = event.type, event.response
        status = str(response.status)
        if status not in lifecycle.STATUS_SAID[name]:
            allowed = [f"{name} with status {one}" for one in sorted(lifecycle.STATUS_SAID[name])]
            raise OutOfOrder(f"{name} with status {status}", self._state, allowed, "R040, R048")
        if self.response_id is not None and response.id != self.response_id:
            raise OutOfOrder(
                f"{name} of {response.id}", self._state, (f"{name} of {self.response_id}",), "the id is another (R042)"
            )
        created = name == lifecycle.CREATED
        if (created or name == lifecycle.QUEUED) and response.output:
            raise OutOfOrder(f"{name} with output", self._state, (f"{name} with output []",), "R045")
        if name == lifecycle.IN_PROGRESS and self._state == lifecycle.RESUMED:
            self._count = len(response.output)
        if name == lifecycle.IN_PROGRESS and len(response.output) > self._count:
            raise OutOfOrder(f"{name} with output", self._state, (f"{name} with the items that were added",), "R046")
        state = self._step(f"{name}[queued]" if created and status == "queued" else name)
        if name in (lifecycle.COMPLETED, lifecycle.INCOMPLETE) and self._items:
            rule = "R079" if name == lifecycle.COMPLETED else "R088"
            owed = ", ".join(f"{item.item_id} at {index}" for index, item in sorted(self._items.items()))
            raise OutOfOrder(name, f"response {self._state} with open items", self._allowed(), f"open: {owed} ({rule})")
        self._state, self.response_id = state, response.id

    def _added(self, event: ResponseOutputItemAddedEvent) -> None:
        state = self._step(lifecycle.ITEM_ADDED)
        if event.output_index != self._count:
            raise OutOfOrder(
                f"{event.type} at {event.output_index}", self._state, (f"{event.type} at {self._count}",), "R062, R063"
            )
        item_type = event.item.type if isinstance(event.item.type, str) else ""
        if item_type in lifecycle.INPUT_ONLY:
            raise OutOfOrder(f"{event.type} of {item_type}", self._state, ("an output item",), "R080")
        item_id = getattr(event.item, "id", None)
        self._items[event.output_index] = _Item(
            item_id if isinstance(item_id, str) else None, item_type, lifecycle.grammar_of(item_type)
        )
        self._count += 1
        self._state = state

    def _done(self, event: ResponseOutputItemDoneEvent) -> None:
        item_id = getattr(event.item, "id", None)
        item = self._item(event, event.output_index, item_id if isinstance(item_id, str) else None)
        if event.item.type != item.item_type:
            raise OutOfOrder(
                f"{event.type} of {event.item.type}", str(item), (f"{event.type} of {item.item_type}",), "R073"
            )
        given = getattr(event.item, "status", None)
        status = given if isinstance(given, str) else None
        ends = item.grammar.ends.get(item.state)
        if ends is None or status not in ends | ({None} if item.grammar.statuses in (None, frozenset()) else set()):
            raise OutOfOrder(
                f"{event.type}[{status}]",
                str(item),
                (
                    *item.grammar.steps.get(item.state, ()),
                    *(f"{event.type}[{end}]" for end in sorted(map(str, ends or ()))),
                ),
                f"R077, R078, {item.grammar.rules}",
            )
        owed = [f"part {key[1]} of {key[0]}" for key, part in item.parts.items() if part.state != lifecycle.CLOSED]
        if owed:
            raise OutOfOrder(event.type, f"{item} with open parts", owed, "its parts come first (R104)")
        cut = status == "incomplete"
        if cut and event.output_index != self._count - 1:
            raise OutOfOrder(lifecycle.ITEM_CUT, str(item), (event.type,), "an incomplete item is the last one (R059)")
        self._state = self._step(lifecycle.ITEM_CUT if cut else lifecycle.ITEM_DONE)
        del self._items[event.output_index]

    def _part(self, event: PartEvent | SummaryEvent) -> None:
        item = self._item(event, event.output_index, event.item_id)
        if isinstance(event, SummaryEvent):
            member, index = "summary", event.summary_index
        else:
            member, index = "content", event.content_index
        said = event.type
        name = lifecycle.OPEN_REASONING_NAMES.get(said, said)
        part = item.parts.get((member, index))
        if isinstance(event, ResponseContentPartAddedEvent):
            part_type = event.part.type if isinstance(event.part.type, str) else ""
        else:
            part_type = part.part_type if part is not None else _FAMILIES.get(name, "")
        self._step_part(item, (member, index), part_type, name)

    def _command(self, event: CommandEvent) -> None:
        item = self._item(event, event.output_index, None)
        self._step_part(item, ("action.commands", event.command_index), "command", event.type)

    def _output(self, event: ResponseShellCallOutputContentDeltaEvent | _OutputDone) -> None:
        item = self._item(event, event.output_index, event.item_id)
        self._step_part(item, ("output", event.command_index), "command output", event.type)

    def _step_part(self, item: _Item, key: _Key, part_type: str, name: str) -> None:
        member, index = key
        if part_type not in item.grammar.parts.get(member, frozenset()):
            known = [f"events of {one}" for one in sorted(item.grammar.parts.get(member, ()))]
            rules = "R085, R090, R125" if part_type else "R085, R097"
            raise OutOfOrder(name, str(item), known or item.grammar.steps.get(item.state, ()), rules)
        part = item.parts.get(key)
        before = part.state if part is not None else lifecycle.ABSENT
        state = lifecycle.step_part(part_type, before, name, f"{part_type} {index} of {item.item_id}")
        if part is None:
            count = item.counts.get(member, 0)
            if index != count:
                raise OutOfOrder(f"{name} at {index}", str(item), (f"{name} at {count}",), "R091, R126, R157")
            item.counts[member] = count + 1
            item.parts[key] = _Part(part_type, state)
        else:
            part.state = state

    def _plain(self, event: ItemEvent) -> None:
        item = self._item(event, event.output_index, event.item_id)
        item.state = _grammar_step(item, event.type)

    def _error(self, _event: ResponseErrorEvent) -> None:
        self._state = self._step(lifecycle.ERROR)

    def _audio(self, event: Event) -> None:
        if event.type in _AUDIO:
            self._step(lifecycle.INSIDE_ITEM, event.type)

    def _item(self, event: Event, index: int, item_id: str | None) -> _Item:
        if self._state not in _WITH_ITEMS:
            self._step(lifecycle.INSIDE_ITEM, event.type)
        item = self._items.get(index)
        if item is None:
            known = [f"{event.type} at {one}" for one in sorted(self._items)] or self._allowed()
            raise OutOfOrder(
                f"{event.type} at {index}", self._state, known, "no item is open there (R071, R072, R082, R083)"
            )
        if item_id is not None and item.item_id is not None and item_id != item.item_id:
            raise OutOfOrder(
                f"{event.type} of {item_id}", str(item), (f"{event.type} of {item.item_id}",), "R074, R081"
            )
        return item

    def _allowed(self) -> tuple[str, ...]:
        return lifecycle.allowed_in(self._state, bool(self._items))

    def _step(self, name: str, event: str = "") -> str:
        """Return the state after *name*, by which the table knows *event*."""
        try:
            return lifecycle.RESPONSE[self._state][name]
        except KeyError:
            broken = lifecycle.broken_by(self._state, name)
            raise OutOfOrder(event or name, f"response {self._state}", self._allowed(), broken) from None


_WITH_ITEMS: Final = frozenset(state for state, steps in lifecycle.RESPONSE.items() if lifecycle.INSIDE_ITEM in steps)
"""The states of a response in which there may be events inside an item."""

_CHECKS: Final[Sequence[tuple[type[Event] | tuple[type[Event], ...], Callable[[OrderGuard, Any], None]]]] = (
    (LifecycleEvent, OrderGuard._lifecycle),
    (ResponseErrorEvent, OrderGuard._error),
    (ResponseOutputItemAddedEvent, OrderGuard._added),
    (ResponseOutputItemDoneEvent, OrderGuard._done),
    ((PartEvent, SummaryEvent), OrderGuard._part),
    (CommandEvent, OrderGuard._command),
    ((ResponseShellCallOutputContentDeltaEvent, _OutputDone), OrderGuard._output),
    (ItemEvent, OrderGuard._plain),
    (Event, OrderGuard._audio),
)
"""How each class of events is checked; the first that fits counts."""


@functools.cache
def _check_of(kind: type[Event | UnknownEvent]) -> Callable[[OrderGuard, Any], None] | None:
    # By class, and once: every event is checked, and `issubclass` is slow with the metaclass of msgspec.
    return next((check for classes, check in _CHECKS if issubclass(kind, classes)), None)


def _grammar_step(item: _Item, name: str) -> str:
    try:
        return item.grammar.steps[item.state][name]
    except KeyError:
        done = (lifecycle.ITEM_DONE,) if item.state in item.grammar.ends else ()
        allowed = (*item.grammar.steps.get(item.state, ()), *done)
        rules = lifecycle.broken_in_item(item.grammar, item.state, name)
        raise OutOfOrder(name, str(item), allowed, rules) from None
