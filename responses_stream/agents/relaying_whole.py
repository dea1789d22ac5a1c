"""A relay of a whole stream: the upstream's lifecycle and response, under ids of our own or as they are.

What changes is the id of the response, the ids of its items wherever they stand, and the numbers. Nothing is judged
here, and nothing is kept but two ids for each item.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import attrs
import msgspec

from responses_stream import lifecycle
from responses_stream.agents.relaying_ids import is_bound, other_id, renamed_item, renamed_vendor_event
from responses_stream.agents.relaying_upstream import Account
from responses_stream.protocol.base import Event, UnknownEvent
from responses_stream.protocol.events import (
    KeepaliveEvent,
    LifecycleEvent,
    ResponseErrorEvent,
    ResponseOutputItemAddedEvent,
    ResponseOutputItemDoneEvent,
    ResponseStreamEvent,
)
from responses_stream.protocol.ids import id_of, new_item_id
from responses_stream.protocol.items import OutputItem
from responses_stream.protocol.response import ResponseObject
from responses_stream.protocol.tool_events import ItemEvent

__all__ = ["WholeRelay"]

E = TypeVar("E", bound=Event)
L = TypeVar("L", bound=LifecycleEvent)
N = TypeVar("N", bound=ItemEvent)


class _Ids(NamedTuple):
    theirs: str | None
    ours: str


@attrs.define(eq=False)
class WholeRelay:
    """The state of one relay.

    Attributes:
        account: what the upstream has said of itself.
        response_id: the id that the response gets; None keeps the upstream's.
        pinned: whether items keep their ids.
    """

    account: Account
    response_id: str | None
    pinned: bool
    _number: int = 0
    _items: dict[int, _Ids] = attrs.field(init=False, factory=dict)
    _ours: dict[str, str] = attrs.field(init=False, factory=dict)

    def begin(self) -> None:
        """Begin; there is nothing to look at."""

    def take(self, event: ResponseStreamEvent) -> ResponseStreamEvent | None:
        """Return what becomes of the next event of the upstream; None where it is nobody else's business."""
        return _taking_of(type(event))(self, event)

    def finish(self) -> None:
        """Say that the upstream has no more.

        Raises:
            UpstreamFailed: it has not said how it ends.
        """
        if not self.account.ended:
            raise self.account.failure()

    def _next(self) -> int:
        number = self._number
        self._number = number + 1
        return number

    def _renumbered(self, event: E) -> E:
        number = self._next()
        if event.sequence_number == number:
            return event
        return msgspec.structs.replace(event, sequence_number=number)

    def _lifecycle(self, event: L) -> L:
        self.account.note(event)
        self.account.ended = event.type in lifecycle.TERMINAL
        response = self._response(event.response)
        if response is event.response:
            return self._renumbered(event)
        return msgspec.structs.replace(event, sequence_number=self._next(), response=response)

    def _error(self, event: ResponseErrorEvent) -> ResponseStreamEvent:
        self.account.note_error(event)
        return self._renumbered(event)

    def _added(self, event: ResponseOutputItemAddedEvent) -> ResponseStreamEvent:
        if self.pinned:
            return self._kept(event)
        theirs = id_of(event.item)
        ours = self._new_id(event.item)
        self._items[event.output_index] = _Ids(theirs, ours)
        if theirs is not None:
            self._ours[theirs] = ours
        return msgspec.structs.replace(event, sequence_number=self._next(), item=self._item(event.item, ours))

    def _done(self, event: ResponseOutputItemDoneEvent) -> ResponseStreamEvent:
        if self.pinned:
            return self._kept(event)
        ids = self._items.get(event.output_index)
        if ids is None or other_id(id_of(event.item), ids.theirs):
            return self._renumbered(event)  # whoever checks the order tells the rule: R071, R074
        return msgspec.structs.replace(event, sequence_number=self._next(), item=self._item(event.item, ids.ours))

    def _kept(self, event: ResponseOutputItemAddedEvent | ResponseOutputItemDoneEvent) -> ResponseStreamEvent:
        item = self._restamped(event.item)
        if item is event.item:
            return self._renumbered(event)
        return msgspec.structs.replace(event, sequence_number=self._next(), item=item)

    def _inside(self, event: N) -> N:
        number = self._number
        self._number = number + 1
        ids = self._items.get(event.output_index)
        if ids is None or (event.item_id != ids.theirs and ids.theirs is not None):
            # With ids that are kept; else whoever checks the order tells the rule: R081, R082.
            return msgspec.structs.replace(event, sequence_number=number)
        return msgspec.structs.replace(event, sequence_number=number, item_id=ids.ours)

    def _vendor(self, event: UnknownEvent) -> ResponseStreamEvent:
        changes: dict[str, Any] = {"sequence_number": self._next()}
        response = self.account.response
        theirs = {} if response is None or self.response_id is None else {response.id: self.response_id}
        return renamed_vendor_event(event, changes, self._ours, theirs, None)

    def _skip(self, _: KeepaliveEvent) -> None:
        return None

    def _new_id(self, item: OutputItem) -> str:
        assert self.response_id is not None
        theirs = id_of(item)
        if theirs is not None and theirs not in self._ours and is_bound(item):
            return theirs
        return new_item_id(item.type if isinstance(item.type, str) else "", self.response_id)

    def _restamped(self, item: OutputItem) -> OutputItem:
        """Return an item that keeps its id; the id of the response that a platform has put into it is ours (H2.33)."""
        if self.response_id is None or not getattr(item, "response_id", None):
            return item
        return msgspec.structs.replace(item, response_id=self.response_id)

    def _item(self, item: OutputItem, ours: str) -> OutputItem:
        return renamed_item(item, ours, self._ours, self.response_id)

    def _response(self, response: ResponseObject) -> ResponseObject:
        """Return the upstream's response under our ids."""
        changes: dict[str, Any] = {}
        if self.response_id is not None and response.id != self.response_id:
            changes["id"] = self.response_id
            if response.response_id:
                changes["response_id"] = self.response_id
        if response.output:
            changes["output"] = [
                self._restamped(item) if self.pinned else self._placed(index, item)
                for index, item in enumerate(response.output)
            ]
        return msgspec.structs.replace(response, **changes) if changes else response

    def _placed(self, index: int, item: OutputItem) -> OutputItem:
        """Return the item at *index* of the output under our id of it, which is a new one where it never came."""
        ids, theirs = self._items.get(index), id_of(item)
        if ids is not None and not other_id(theirs, ids.theirs):
            return self._item(item, ids.ours)
        if theirs is None:
            return self._item(item, self._new_id(item))
        ours = self._ours.get(theirs)
        if ours is None:
            ours = self._ours[theirs] = self._new_id(item)
        return self._item(item, ours)


@functools.cache
def _taking_of(kind: type) -> Callable[[WholeRelay, Any], ResponseStreamEvent | None]:
    # By class, and once: `isinstance` is slow with the metaclass of msgspec, and every token is asked.
    return next((take for classes, take in _TAKING if issubclass(kind, classes)), WholeRelay._renumbered)


_TAKING: Final[Sequence[tuple[type, Callable[[WholeRelay, Any], ResponseStreamEvent | None]]]] = (
    (LifecycleEvent, WholeRelay._lifecycle),
    (ResponseErrorEvent, WholeRelay._error),
    (ResponseOutputItemAddedEvent, WholeRelay._added),
    (ResponseOutputItemDoneEvent, WholeRelay._done),
    (ItemEvent, WholeRelay._inside),
    (KeepaliveEvent, WholeRelay._skip),
    (UnknownEvent, WholeRelay._vendor),
)
