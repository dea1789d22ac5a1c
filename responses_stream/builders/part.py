"""What the builders of all parts have in common: a part is added, gets its deltas and its done value, and is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from responses_stream import lifecycle
from responses_stream.builders.core import StreamCore
from responses_stream.protocol.base import Event

if TYPE_CHECKING:
    from responses_stream.builders.item import ItemBuilder


@attrs.define(eq=False, repr=False)
class PartBuilder:
    """One part of an item in the making."""

    part_type: ClassVar[str]
    member: ClassVar[str]

    _item: ItemBuilder
    _core: StreamCore = attrs.field(init=False)
    _item_id: str = attrs.field(init=False)
    _output_index: int = attrs.field(init=False, default=-1)
    _state: str = attrs.field(init=False, default=lifecycle.ABSENT)
    _pieces: list[str] = attrs.field(init=False, factory=list)
    _index: int = attrs.field(init=False, default=-1)

    def __attrs_post_init__(self) -> None:
        self._core = self._item._core
        self._item_id = self._item.item_id

    @property
    def index(self) -> int:
        """Its place among the parts of its item; -1 before it is added."""
        return self._index

    @property
    def is_open(self) -> bool:
        """Whether it was added and is not done."""
        return self._state not in (lifecycle.ABSENT, lifecycle.CLOSED)

    @property
    def allowed(self) -> tuple[str, ...]:
        """The events that may come next."""
        return tuple(lifecycle.PARTS[self.part_type].get(self._state, ()))

    def _close(self) -> None:
        """Take no more events: the response has ended."""
        self._state = lifecycle.CLOSED

    def _begin(self, name: str) -> None:
        """Let the part begin with the event *name*.

        Raises:
            OutOfOrder: it was added before (R092), or its item is not open (R083, R093).
        """
        state = self._step(name)
        self._index = self._item._begin_part(self)
        self._output_index = self._item.output_index
        self._state = state

    def _step(self, name: str) -> str:
        if self._state == lifecycle.ABSENT:
            self._item._check_takes_parts(name)
        return lifecycle.step_part(self.part_type, self._state, name, str(self))

    def __str__(self) -> str:
        return f"{self.part_type} {'' if self._index < 0 else f'{self._index} '}of {self._item_id}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}, {self._state}>"


def name_of(kind: type[Event]) -> str:
    """Return the `type` of the events of *kind*."""
    tag = kind.__struct_config__.tag
    assert isinstance(tag, str)
    return tag
