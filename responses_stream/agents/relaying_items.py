"""A relay into a stream of our own: what is inside the upstream's items, at places and under ids of that stream.

The lifecycle is ours, and so is the response: nothing that the upstream says of itself reaches a client, but for how it
ends. Where the handler has created the response, that too is for the handler to say.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import attrs
import msgspec
from msgspec import UNSET

from responses_stream import lifecycle
from responses_stream.agents.relaying_ids import Adoption, other_id, renamed_vendor_event
from responses_stream.agents.relaying_upstream import Account
from responses_stream.builders.stream import ResponseEventStream
from responses_stream.errors import OutOfOrder
from responses_stream.protocol.base import Event, UnknownEvent
from responses_stream.protocol.events import (
    KeepaliveEvent,
    LifecycleEvent,
    ResponseErrorEvent,
    ResponseOutputItemAddedEvent,
    ResponseOutputItemDoneEvent,
    ResponseStreamEvent,
)
from responses_stream.protocol.ids import id_of
from responses_stream.protocol.tool_events import CommandEvent, ItemEvent

__all__ = ["ItemRelay", "told_end"]

E = TypeVar("E", bound=Event)
N = TypeVar("N", bound=ItemEvent)
C = TypeVar("C", bound=CommandEvent)


@attrs.define(eq=False)
class _OpenItem:
    """An item of the upstream that has begun and is not done: by their id, and by our id and our place of it."""

    theirs: str | None
    item_id: str
    index: int = -1
    closed: bool = False

    def _close(self) -> None:
        self.closed = True


@attrs.define(eq=False)
class ItemRelay:
    """The state of one relay.

    Attributes:
        account: what the upstream has said of itself.
        stream: the stream that the items go into.
        pinned: whether items keep their ids.
    """

    account: Account
    stream: ResponseEventStream
    pinned: bool
    _leads: bool = attrs.field(init=False, default=False)
    _items: dict[int, _OpenItem] = attrs.field(init=False, factory=dict)
    _ids: Adoption = attrs.field(
        init=False, default=attrs.Factory(lambda self: Adoption(self.stream._core, self.pinned), takes_self=True)
    )

    def begin(self) -> None:
        """Begin: a stream that has said nothing yet is led by the relay, its lifecycle told when the upstream's is."""
        self._leads = self.stream._core.state == lifecycle.BEFORE

    def take(self, event: ResponseStreamEvent) -> ResponseStreamEvent | None:
        """Return what becomes of the next event of the upstream; None where it is nobody else's business.

        Raises:
            OutOfOrder: our stream cannot take it now, or the upstream has broken the order.
            InvalidValue: an id that the item brings along is that of another one (R064, R162).
            UpstreamFailed: the upstream says that it failed, and the handler leads.
        """
        return _taking_of(type(event))(self, event)

    def finish(self) -> None:
        """Say that the upstream has no more.

        Raises:
            UpstreamFailed: it has not said how it ends.
        """
        if not self.account.ended:
            raise self.account.failure()

    def _lifecycle(self, event: LifecycleEvent) -> ResponseStreamEvent | None:
        name, status = event.type, event.response.status
        if status is not UNSET and status not in lifecycle.STATUS_SAID[name]:
            allowed = [f"{name} with status {one}" for one in sorted(lifecycle.STATUS_SAID[name])]
            raise OutOfOrder(f"{name} with status {status}", "the upstream's stream", allowed, "R040, R048")
        self.account.note(event)
        if name in lifecycle.TERMINAL:
            return self._terminal(name)
        if not self._leads:
            return None
        if name == lifecycle.CREATED:
            return self.stream.emit_created(status="queued" if status == "queued" else "in_progress")
        return self.stream.emit_queued() if name == lifecycle.QUEUED else self.stream.emit_in_progress()

    def _terminal(self, name: str) -> ResponseStreamEvent | None:
        account = self.account
        if name != lifecycle.FAILED and self._items:
            rule = "R079" if name == lifecycle.COMPLETED else "R088"
            owed = ", ".join(f"{item.theirs} at {index}" for index, item in sorted(self._items.items()))
            why = f"open: {owed} ({rule})"
            raise OutOfOrder(name, "the upstream's stream with open items", (lifecycle.ITEM_DONE,), why)
        account.ended = True
        if self._leads:
            return told_end(self.stream, account)
        if name == lifecycle.FAILED:
            raise account.failure()
        return None

    def _error(self, event: ResponseErrorEvent) -> ResponseStreamEvent:
        self.account.note_error(event)
        if not self._leads:
            raise self.account.failure()
        code, message = self.account.reason
        return self.stream.emit_error(code, message, param=event.param or None)

    def _added(self, event: ResponseOutputItemAddedEvent) -> ResponseStreamEvent:
        item, core = event.item, self.stream._core
        item_type = item.type if isinstance(item.type, str) else ""
        if event.output_index in self._items:
            raise OutOfOrder(f"{event.type} at {event.output_index}", "open there", (lifecycle.ITEM_DONE,), "R063")
        if item_type in lifecycle.INPUT_ONLY:
            raise OutOfOrder(f"{event.type} of {item_type}", core.state, ("an output item",), "R080")
        theirs, asked, call_id = id_of(item), self._ids.asked(item), self._ids.call_id(item)
        if call_id is not None:
            item_id, _ = core.claim_call(item_type, asked, call_id)
        else:
            item_id = core.claim_item_id(item_type, asked)
        held = _OpenItem(theirs, item_id)
        held.index = core.add_item(held)
        self._items[event.output_index] = held
        if theirs is not None:
            self._ids.items[theirs] = item_id
        return msgspec.structs.replace(
            event, sequence_number=core.next_number(), output_index=held.index, item=self._ids.adopted(item, item_id)
        )

    def _done(self, event: ResponseOutputItemDoneEvent) -> ResponseStreamEvent:
        theirs, core = id_of(event.item), self.stream._core
        held = self._items.get(event.output_index)
        if held is None or held.closed or other_id(theirs, held.theirs):
            raise self._refused(event, theirs)
        status = getattr(event.item, "status", None)
        if status == "incomplete" and not core.may_cut(held.index):
            raise OutOfOrder(
                lifecycle.ITEM_CUT,
                f"{event.item.type} {theirs}",
                (event.type,),
                "an incomplete item is the last one (R059)",
            )
        item = self._ids.adopted(event.item, held.item_id)
        core.finish_item(held.index, item, status if isinstance(status, str) else None)
        del self._items[event.output_index]
        return msgspec.structs.replace(event, sequence_number=core.next_number(), output_index=held.index, item=item)

    def _inside(self, event: N) -> N:
        held = self._items.get(event.output_index)
        if held is None or held.closed or (event.item_id != held.theirs and held.theirs is not None):
            raise self._refused(event, event.item_id)
        return msgspec.structs.replace(
            event, sequence_number=self.stream._core.next_number(), item_id=held.item_id, output_index=held.index
        )

    def _command(self, event: C) -> C:
        held = self._items.get(event.output_index)
        if held is None or held.closed:
            raise self._refused(event, None)
        return msgspec.structs.replace(event, sequence_number=self.stream._core.next_number(), output_index=held.index)

    def _vendor(self, event: UnknownEvent) -> ResponseStreamEvent | None:
        if event.extra and "response" in event.extra:
            return None  # an event of the lifecycle that nobody knows: it tells of the upstream's response
        changes: dict[str, Any] = {"sequence_number": self.stream._core.next_number()}
        response = self.account.response
        place = event.extra.get("output_index") if event.extra else None
        held = self._items.get(place) if isinstance(place, int) else None
        return renamed_vendor_event(
            event,
            changes,
            self._ids.items,
            {} if response is None else {response.id: self.stream.response_id},
            None if held is None else held.index,
        )

    def _other(self, event: E) -> E:
        return msgspec.structs.replace(event, sequence_number=self.stream._core.next_number())

    def _skip(self, _: KeepaliveEvent) -> None:
        return None

    def _refused(self, event: Any, item_id: str | None) -> OutOfOrder:
        index = event.output_index
        held = self._items.get(index)
        if held is not None and not held.closed:
            allowed = (f"{event.type} of {held.theirs}",)
            return OutOfOrder(f"{event.type} of {item_id}", f"the upstream's item at {index}", allowed, "R074, R081")
        known = [f"{event.type} at {one}" for one in sorted(self._items)] or [lifecycle.ITEM_ADDED]
        return OutOfOrder(
            f"{event.type} at {index}",
            "the upstream's stream",
            known,
            "no item is open there (R071, R072, R082, R083)",
        )


@functools.cache
def _taking_of(kind: type) -> Callable[[ItemRelay, Any], ResponseStreamEvent | None]:
    # By class, and once: `isinstance` is slow with the metaclass of msgspec, and every token is asked.
    return next((take for classes, take in _TAKING if issubclass(kind, classes)), ItemRelay._other)


_TAKING: Final[Sequence[tuple[type, Callable[[ItemRelay, Any], ResponseStreamEvent | None]]]] = (
    (LifecycleEvent, ItemRelay._lifecycle),
    (ResponseErrorEvent, ItemRelay._error),
    (ResponseOutputItemAddedEvent, ItemRelay._added),
    (ResponseOutputItemDoneEvent, ItemRelay._done),
    (ItemEvent, ItemRelay._inside),
    (CommandEvent, ItemRelay._command),
    (KeepaliveEvent, ItemRelay._skip),
    (UnknownEvent, ItemRelay._vendor),
)


def told_end(stream: ResponseEventStream, account: Account) -> ResponseStreamEvent:
    """Return the end of *stream*, which is that of the upstream.

    Raises:
        OutOfOrder: an item of *stream* is open (R079, R088), or it is an incomplete one (R059).
    """
    response, usage = account.response, account.usage
    assert response is not None
    status = account.status
    if status == "cancelled":
        return stream.emit_cancelled()
    if status == "failed":
        return stream.emit_failed(*account.reason, usage=usage)
    if status == "incomplete":
        details = response.incomplete_details or None
        reason = details.reason if details is not None else None
        return stream.emit_incomplete(reason or "max_output_tokens", usage=usage)
    return stream.emit_completed(usage=usage)
