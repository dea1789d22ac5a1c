"""The builders of items that are only added and done, and what makes a convenience of their factories."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Concatenate, Final, ParamSpec, TypeVar

import attrs
import msgspec

from responses_stream import lifecycle
from responses_stream.builders import values
from responses_stream.builders.core import StreamCore
from responses_stream.builders.events import Events
from responses_stream.builders.item import ItemBuilder
from responses_stream.builders.values import or_unset
from responses_stream.errors import InvalidType, InvalidValue
from responses_stream.protocol.base import Wire
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
    def _ends(self) -> frozenset[str | None]:
        return super()._ends & {self._final}

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
        return f"{self._item.type} {self._item_id} {self._state}"


@attrs.define(eq=False, repr=False)
class CompactionBuilder(ItemBuilder):
    """A compaction in the making; `emit_compacting` may tell that it runs."""

    item_type: ClassVar[str] = "compaction"

    _encrypted_content: str
    _created_by: str | None = None

    def _snapshot(self, status: str | None) -> ResponseCompactionItem:  # noqa: ARG002  # the type has no status
        return ResponseCompactionItem(
            id=self._item_id, encrypted_content=self._encrypted_content, created_by=or_unset(self._created_by)
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
        """Return the builder of *item*, whose ids are claimed.

        Raises:
            InvalidValue: it could never be done with its status (R077, R078), or one of its ids is empty or used.
        """
        item_type, given, call_id = str(item.type), getattr(item, "id", None), getattr(item, "call_id", None)
        grammar = lifecycle.grammar_of(item_type)
        status, ends = getattr(item, "status", None), grammar.ends[lifecycle.OPEN]
        if (None if status is msgspec.UNSET else status) not in tuple(ends):
            known = " or ".join(sorted(map(str, ends)))
            raise InvalidValue("status", f"is {status!r}, but an item of type {item_type} ends as {known} (R077, R078)")
        asked = given if isinstance(given, str) and given else None
        if grammar.calls and isinstance(call_id, str):
            item_id, _ = self._core.claim_call(item_type, asked, call_id)
        else:
            item_id = self._core.claim_item_id(item_type, asked)
        return PlainItemBuilder(self._core, item_id, msgspec.structs.replace(item, id=item_id))


_NATURAL: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "tool_search_call": {"call_id": None, "execution": "server"},
        "tool_search_output": {"call_id": None, "execution": "server"},
    }
)
_OWED: Final = MappingProxyType(
    {
        "function_call_output": "call_id",
        **dict.fromkeys(
            (
                f"{tool}_{kind}"
                for tool in ("a2a_preview", "openapi", "azure_function")
                for kind in ("call", "call_output")
            ),
            "name",
        ),
    }
)


def given_item(item: OutputItem | Mapping[str, Any]) -> OutputItem:
    """Return an item that is given whole: its id may be missing, and what else has one natural value.

    Raises:
        InvalidType: it is neither an item nor a dict, or its type or its id is no string.
        InvalidValue: a member of it does not fit or is missing (R068), it has a status that its type has not (R069),
            its type is never in the output (R080), or the type has events of its own.
    """
    if not isinstance(item, Wire | Mapping):
        raise InvalidType("item", "output item or a dict", item)
    data = values.plain("item", item)
    item_type = data.get("type")
    if not isinstance(item_type, str) or not item_type:
        raise InvalidType("item.type", "a string (R066)", item_type)
    if item_type in lifecycle.INPUT_ONLY:
        raise InvalidValue("item.type", f"is {item_type!r}, which is never an output item (R080)")
    grammar = lifecycle.grammar_of(item_type)
    if grammar.streams:
        raise InvalidValue(
            "item.type", f"is {item_type!r}, which has events of its own: use add_output_item_{item_type}()"
        )
    natural = {"id": "", **({"status": "completed"} if grammar.statuses else {}), **_NATURAL.get(item_type, {})}
    data = natural | {name: member for name, member in data.items() if member is not None or name not in natural}
    if not isinstance(data["id"], str):
        raise InvalidType("item.id", "a string (R067)", data["id"])
    if grammar.statuses == frozenset() and "status" in data:
        raise InvalidValue("item.status", f"is given, but an item of type {item_type} has none (R069)")
    owed = _OWED.get(item_type)
    if owed is not None and not data.get(owed):
        raise InvalidValue(f"item.{owed}", "is missing (R068)")
    if data.get("call_id") == "":
        raise InvalidValue("item.call_id", "is empty")
    taken: OutputItem = values.one_of("item", data, OutputItem, "output item")
    return taken


def item_id_of(item_id: str | None) -> str:
    """Return the id that was asked for; an empty one is replaced when the item's ids are claimed."""
    return "" if item_id is None else values.name("item_id", item_id)
