"""The builders of items that are only added and done, and what makes a convenience of their factories."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar, Concatenate, ParamSpec, TypeVar

import attrs
import msgspec

from responses_stream import lifecycle
from responses_stream.builders import values
from responses_stream.builders.core import StreamCore
from responses_stream.builders.events import Events
from responses_stream.builders.item import ItemBuilder
from responses_stream.builders.values import or_unset
from responses_stream.protocol.events import ResponseOutputItemDoneEvent, ResponseStreamEvent
from responses_stream.protocol.items import (
    OutputItem,
    ResponseCompactionItem,
)
from responses_stream.protocol.tool_events import ResponseCompactionCompactingEvent

P = ParamSpec("P")
S = TypeVar("S")


@attrs.define(eq=False, repr=False)
class PlainItemBuilder(ItemBuilder):
    """An item that is given whole: `emit_added` shows it, `emit_done` ends it."""

    item_type: ClassVar[str] = ""

    _item: OutputItem

    @property
    def grammar(self) -> lifecycle.Grammar:
        """What may happen inside it."""
        return lifecycle.grammar_of(str(self._item.type))

    def _added_status(self) -> str | None:
        """R069: calls begin in progress, one-shot items are what they are from the beginning."""
        whole = self._final in (None, "completed") and not self.grammar.calls
        return self._final if whole or "in_progress" not in (self.grammar.statuses or ()) else "in_progress"

    @property
    def _final(self) -> str | None:
        status = getattr(self._item, "status", None)
        return status if isinstance(status, str) else None

    def _snapshot(self, status: str | None) -> OutputItem:
        if status is None or "status" not in self._item.__struct_fields__:
            return self._item
        return msgspec.structs.replace(self._item, status=status)

    def emit_done(self) -> ResponseOutputItemDoneEvent:
        """End the item, with the status that it was given.

        Raises:
            OutOfOrder: it is not open, or it is incomplete and not the last item (R059).
        """
        return self._finish(self._final)

    def __str__(self) -> str:
        return f"{self._item.type} {self.item_id} {self._state}"


@attrs.define(eq=False, repr=False)
class CompactionBuilder(ItemBuilder):
    """A compaction in the making; `emit_compacting` may tell that it runs."""

    item_type: ClassVar[str] = "compaction"

    _encrypted_content: str
    _created_by: str | None = None

    def _snapshot(self, status: str | None) -> ResponseCompactionItem:  # noqa: ARG002  # the type has no status
        return ResponseCompactionItem(
            id=self.item_id, encrypted_content=self._encrypted_content, created_by=or_unset(self._created_by)
        )

    def emit_compacting(self) -> ResponseCompactionCompactingEvent:
        """Say that the context is being compacted. Raises `OutOfOrder` when it was said, or the item is not open."""
        return self._state_event(ResponseCompactionCompactingEvent)

    def emit_done(self, *, encrypted_content: str | None = None) -> ResponseOutputItemDoneEvent:
        """End the item.

        Args:
            encrypted_content: its final form; None keeps the one given when it was added.

        Raises:
            InvalidType, InvalidValue: it is not a string that can be sent.
            OutOfOrder: the item is not open.
        """
        if encrypted_content is None:
            return self._finish(None)
        return self._finish(None, encrypted_content=values.text("encrypted_content", encrypted_content))


def whole(
    factory: Callable[Concatenate[S, P], PlainItemBuilder | CompactionBuilder],
) -> Callable[Concatenate[S, P], Events]:
    """Make the convenience of a factory: it takes the same arguments, and says the whole item."""

    def convenience(stream: S, /, *args: P.args, **kwargs: P.kwargs) -> Events:
        return Events(both(factory(stream, *args, **kwargs)))

    kind = factory.__name__.removeprefix("add_")
    convenience.__name__, convenience.__qualname__ = kind, f"ResponseEventStream.{kind}"
    convenience.__doc__ = f"Say the whole item: the events of `{factory.__name__}`, which takes the same arguments."
    return convenience


def both(item: PlainItemBuilder | CompactionBuilder) -> Iterator[ResponseStreamEvent]:
    """Say that *item* begins, and that it ends."""
    yield item.emit_added()
    yield item.emit_done()


class PlainItemsBase:
    """What the factories of plain items stand on."""

    __slots__ = ("_core",)

    _core: StreamCore

    def _plain(self, item: OutputItem) -> PlainItemBuilder:
        """Return the builder of *item*, whose ids are claimed."""
        item_type, given = str(item.type), getattr(item, "id", None)
        asked = given if isinstance(given, str) and given else None
        call_id = getattr(item, "call_id", None)
        if lifecycle.grammar_of(item_type).calls and isinstance(call_id, str):
            item_id = self._core.claim_call(item_type, asked, call_id)
        else:
            item_id = self._core.claim_item_id(item_type, asked)
        return PlainItemBuilder(self._core, item_id, msgspec.structs.replace(item, id=item_id))


def item_id_of(item_id: str | None) -> str:
    """Return the id that was asked for; an empty one is replaced when the item's ids are claimed."""
    return "" if item_id is None else values.name("item_id", item_id)
