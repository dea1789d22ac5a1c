"""What all builders of one stream share: the state of the response, the next number, and the items so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from responses_stream import lifecycle
from responses_stream.builders import response as responses
from responses_stream.builders import values
from responses_stream.errors import InvalidValue, OutOfOrder
from responses_stream.protocol.ids import new_item_id
from responses_stream.protocol.items import OutputItem
from responses_stream.protocol.request import CreateResponse
from responses_stream.protocol.response import ResponseObject

if TYPE_CHECKING:
    from responses_stream.builders.response import ResponseDraft


class OpenItem(Protocol):
    """An item that was added and is not done."""

    @property
    def item_id(self) -> str: ...

    def _close(self) -> None:
        """Take no more events: the response has ended."""


@attrs.define(eq=False, repr=False)
class StreamCore:
    """The part of a stream that its builders work on.

    Attributes:
        state: where the response stands, a state of `lifecycle.RESPONSE`.
        number: the sequence number of the next event.
    """

    _draft: ResponseDraft
    _clock: Callable[[], float]
    _make_item_id: Callable[[str, str], str]
    state: str = lifecycle.BEFORE
    number: int = 0
    _made: ResponseObject = attrs.field(init=False)
    _said: ResponseObject | None = attrs.field(init=False, default=None)
    _shown: bool = attrs.field(init=False, default=False)
    _count: int = attrs.field(init=False, default=0)
    _open: dict[int, OpenItem] = attrs.field(init=False, factory=dict)
    _done: dict[int, OutputItem] = attrs.field(init=False, factory=dict)
    _item_ids: set[str] = attrs.field(init=False, factory=set)
    _call_ids: set[str] = attrs.field(init=False, factory=set)

    def __attrs_post_init__(self) -> None:
        self._made = responses.fixed(self._draft)
        for index, item in enumerate(self._draft.output):
            self._done[index] = item
            if self.state != lifecycle.ENDED:
                self._go_on_from(item, f"response.output[{index}]")
        self._count = len(self._done)

    @property
    def response_id(self) -> str:
        """The id of the response."""
        return self._made.id

    def next_number(self) -> int:
        """Return the number of the event that is being made, and count on."""
        number = self.number
        self.number = number + 1
        return number

    def new_item_id(self, item_type: str) -> str:
        """Return a new id for an item, in the response's partition. It is not claimed by that."""
        return self._make_item_id(item_type, self.response_id)

    def claim_item_id(self, item_type: str, item_id: str | None) -> str:
        """Return the id of a new item: the one that was asked for, or a new one in the response's partition.

        Raises:
            InvalidValue: the id is empty or already used in this response (R064, R067).
        """
        item_id = values.name("item_id", self.new_item_id(item_type) if item_id is None else item_id)
        if item_id in self._item_ids:
            raise InvalidValue("item_id", f"{item_id!r} is already the id of an item of this response (R064)")
        self._item_ids.add(item_id)
        return item_id

    def claim_call(self, item_type: str, item_id: str | None, call_id: str) -> tuple[str, str]:
        """Return the id of a new item that is a call, and its *call_id*, which is reserved; both or neither.

        Raises:
            InvalidValue: one of the ids is empty or already used in this response (R064, R067, R162).
        """
        call_id = values.name("call_id", call_id)
        if call_id in self._call_ids:
            raise InvalidValue("call_id", f"{call_id!r} is already the id of a call of this response (R162)")
        item_id = self.claim_item_id(item_type, item_id)
        self._call_ids.add(call_id)
        return item_id, call_id

    def has_item(self, item_id: str) -> bool:
        """Whether an item of this response has that id."""
        return item_id in self._item_ids

    def has_call(self, call_id: str) -> bool:
        """Whether a call of this response has that id."""
        return call_id in self._call_ids

    def _go_on_from(self, item: OutputItem, where: str) -> None:
        """Reserve the ids of an item that was there before (H17.20), which has to be one that may stay.

        Raises:
            InvalidValue: it is not done, or its id or call id is missing or used (R059, R064, R067, R089, R162).
        """
        item_id, status, call_id = (getattr(item, member, None) for member in ("id", "status", "call_id"))
        if not isinstance(item_id, str):
            raise InvalidValue(f"{where}.id", "is missing (R067)")
        if status in ("in_progress", "incomplete"):
            raise InvalidValue(f"{where}.status", f"is {status!r}: nothing can follow such an item (R059, R089)")
        if lifecycle.grammar_of(str(item.type)).calls and isinstance(call_id, str):
            self.claim_call(str(item.type), item_id, call_id)
        else:
            self.claim_item_id(str(item.type), item_id)

    @property
    def next_index(self) -> int:
        """The place that the next item will have in the output (R062)."""
        return self._count

    def add_item(self, item: OpenItem) -> int:
        """Let an item begin, and return its `output_index`.

        Raises:
            OutOfOrder: the response takes no items now (R060, R061, R038, R059).
        """
        self.state = self._step(lifecycle.ITEM_ADDED)
        index = self._count
        self._count = index + 1
        self._open[index] = item
        return index

    def may_cut(self, index: int) -> bool:
        """Tell whether the item at *index* may end as incomplete: it has to be the last one (R059)."""
        return index == self._count - 1 and self.state != lifecycle.CUT_SHORT

    def finish_item(self, index: int, item: OutputItem, status: str | None) -> None:
        """Let an item end in its final form; whether it may is for the item to know."""
        self.state = self._step(lifecycle.ITEM_CUT if status == "incomplete" else lifecycle.ITEM_DONE)
        del self._open[index]
        self._done[index] = item

    def say(self, name: str, variant: str = "", **changes: Any) -> ResponseObject:
        """Step on by the lifecycle event *name*, and return the response that it says.

        Raises:
            OutOfOrder: the order does not allow it; nothing was changed.
            InvalidValue: the draft was configured with something that cannot be sent.
        """
        state = self._step(name + variant)
        if name in (lifecycle.COMPLETED, lifecycle.INCOMPLETE) and self._open:
            rule = "R079" if name == lifecycle.COMPLETED else "R088"
            owed = ", ".join(f"{item.item_id} at {index}" for index, item in sorted(self._open.items()))
            raise OutOfOrder(name, f"response {self.state} with open items", self.allowed, f"open: {owed} ({rule})")
        base = self._said or (responses.settle(self._draft, self._made) if self._shown else self._made)
        said = responses.snapshot(base, **changes)
        if self._said is None and self._shown:
            responses.seal(self._draft)
        self.state, self._said = state, said
        if state == lifecycle.ENDED or state == lifecycle.ERRORED:
            self._close_open()
        return said

    def stop(self, name: str) -> None:
        """Step on by an event after which only `response.failed` may follow."""
        self.state = self._step(name)
        self._close_open()

    def output(self) -> list[OutputItem]:
        """Return the items that are done, in their order."""
        return [self._done[index] for index in sorted(self._done)]

    def view(self) -> ResponseDraft:
        """Return the response as it stands: the draft itself until it was said, then a copy that cannot be changed."""
        if self._said is None:
            self._shown = True
            return self._draft
        ended = self.state == lifecycle.ENDED
        return responses.said(self._said if ended else responses.snapshot(self._said, output=self.output()))

    def now(self) -> int:
        """Return the time in whole seconds since the epoch; never before the response was created (R052)."""
        created_at = self._made.created_at
        return max(int(self._clock()), int(created_at) if created_at else 0)

    @property
    def allowed(self) -> tuple[str, ...]:
        """The events that the response takes now; how an item ends is one of its own events."""
        ends = (lifecycle.ITEM_DONE, lifecycle.ITEM_CUT)
        return tuple(name for name in lifecycle.allowed_in(self.state, bool(self._open)) if name not in ends)

    def _step(self, name: str) -> str:
        try:
            return lifecycle.RESPONSE[self.state][name]
        except KeyError:
            broken = lifecycle.broken_by(self.state, name)
            raise OutOfOrder(name, f"response {self.state}", self.allowed, broken) from None

    def _close_open(self) -> None:
        for item in self._open.values():
            item._close()


def make_core(
    response_id: str,
    request: CreateResponse | Mapping[str, Any] | None,
    response: ResponseObject | Mapping[str, Any] | None,
    clock: Callable[[], float] | None,
    make_item_id: Callable[[str, str], str] | None,
    created: bool,
) -> StreamCore:
    """Return the core of a new stream."""
    clock = clock or time.time
    values.name("response_id", response_id)
    if response is None:
        draft = responses.seed(response_id, request, int(clock()))
        state = lifecycle.BEFORE
    else:
        draft = responses.resume(response_id, response)
        ended = draft.status not in ("queued", "in_progress")
        state = lifecycle.ENDED if ended else lifecycle.RESUMED if draft.output or created else lifecycle.BEFORE
    return StreamCore(draft, clock, make_item_id or new_item_id, state)
