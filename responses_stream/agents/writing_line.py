"""The line in which the items of a response stand: one is on the wire, the others wait for their turn.

Only one item is open at a time (R084), and they are done in the order in which they were added (R087): that is how
clients know it, and what nobody has to sort. What is said of an item that waits is kept until it is its turn.

An agent may have several speakers. What one says ends what it was saying before, and leaves alone what others are
saying. The agent as a whole, the speaker None, is interrupted by anybody: nobody would tell when it has ended.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final, TypeVar

import attrs

from responses_stream.agents.contents import Content
from responses_stream.agents.writing_calls import ClientCall
from responses_stream.agents.writing_items import ItemInMaking, Message, RawItem, Thought, Told
from responses_stream.protocol.events import ResponseOutputItemDoneEvent, ResponseStreamEvent

_log: Final = logging.getLogger("responses_stream")

_I = TypeVar("_I", bound=ItemInMaking)


@attrs.define(eq=False)
class Line:
    """The items of *response_id* that are not done, in their order.

    Attributes:
        speaker: who speaks now.
        stopped: whether an item was done as incomplete, so that nothing may follow (R059).
    """

    _response_id: str
    speaker: str | None = attrs.field(init=False, default=None)
    stopped: bool = attrs.field(init=False, default=False)
    _items: list[ItemInMaking] = attrs.field(init=False, factory=list)

    def __contains__(self, item: ItemInMaking) -> bool:
        return item in self._items

    @property
    def message(self) -> Message | None:
        """The message that is on the wire, where it is what the agent as a whole goes on with."""
        items = self._items
        return items[0] if len(items) == 1 and isinstance(items[0], Message) and items[0].speaker is None else None

    def tail(self, kind: type[_I]) -> _I | None:
        """Return the last item of who speaks now, where it is of *kind* and goes on."""
        tail = next((item for item in reversed(self._items) if item.speaker == self.speaker), None)
        return tail if isinstance(tail, kind) and not tail.ended else None

    def open(self, kind: type[_I]) -> list[_I]:
        """Return the items of *kind* that go on."""
        return [item for item in self._items if isinstance(item, kind) and not item.ended]

    def stand(self, item: ItemInMaking, content: Content | None = None) -> Told:
        """Let *item* stand in line, with its first piece."""
        item.speaker = self.speaker
        if content is not None:
            item.waiting.append(content)
        self._items.append(item)
        if len(self._items) == 1:
            yield from self._serve()

    def give(self, item: ItemInMaking, content: Content) -> Iterable[ResponseStreamEvent]:
        """Say a piece of *item*, or keep it until it is its turn."""
        if item is self._items[0]:
            return item.take(content)
        item.waiting.append(content)
        return ()

    def end(self, item: ItemInMaking) -> Told:
        """Let *item* end, now or when it is its turn."""
        item.ended = True
        if item is self._items[0]:
            yield from self._leave()
            yield from self._serve()

    def end_all(self) -> Told:
        """Let all items end, in their order."""
        while items := self.open(ItemInMaking):  # type: ignore[type-abstract]  # any of them
            yield from self.end(items[0])

    def end_flow(self) -> Told:
        """End what goes on only as long as nothing else comes: text, thoughts, and an item that was held back."""
        yield from self._interrupt(Message, Thought, RawItem)

    def end_others(self) -> Told:
        """End the client's calls as well: whoever says something else has said all of them."""
        yield from self._interrupt(Message, Thought, RawItem, ClientCall)

    def _interrupt(self, *kinds: type[ItemInMaking]) -> Told:
        for item in self.open(ItemInMaking):  # type: ignore[type-abstract]  # any of them
            if isinstance(item, kinds) and item.speaker in (None, self.speaker):
                yield from self.end(item)

    def cut(self, *, whatever_comes: bool = False) -> Told:
        """Say that what is open ends early: the last item as incomplete, others as failed where their type can.

        With *whatever_comes*, a piece that has waited and cannot be said is left out, and the log tells why.
        """
        for held in self.open(RawItem):
            held.ended = True
        # Nothing may come behind a call with half of its arguments, so what is whole comes before those that can wait.
        self._items.sort(key=lambda item: not (item.begun or item.ended or item.may_stand))
        while self._items:
            try:
                yield from self._cut_first()
            except Exception:
                if not whatever_comes:
                    raise
                _log.exception("%s: left out what cannot be said", self._response_id)

    def _cut_first(self) -> Told:
        yield from self._enter()
        item = self._items[0]
        if item.ended:
            yield from self._leave()
            return
        behind = len(self._items) - 1
        if behind and not item.may_stand:
            # A call with half of its arguments must not be run: it is incomplete, and thereby the last item.
            _log.warning("%s: left out %d items behind a call that broke off", self._response_id, behind)
            for other in self._items[1:]:
                other.ended = True
            del self._items[1:]
            behind = 0
        item.ended = True
        del self._items[0]
        yield from item.cut(not behind)

    def _serve(self) -> Told:
        """Say what is said of the first item, and of those behind it whose turn comes with its end."""
        while self._items:
            yield from self._enter()
            if not self._items[0].ended:
                return
            yield from self._leave()

    def _enter(self) -> Told:
        """Let the first item begin, where it has not, and say what is waiting."""
        item = self._items[0]
        if not item.begun:
            item.begun = True
            try:
                yield from item.begin()
            except Exception:
                item.ended = True
                del self._items[0]
                raise
        while item.waiting:
            yield from item.take(item.waiting.pop(0))

    def _leave(self) -> Told:
        """Say how the first item ends."""
        for event in self._items.pop(0).finish():
            if isinstance(event, ResponseOutputItemDoneEvent) and getattr(event.item, "status", None) == "incomplete":
                self.stopped = True
            yield event
