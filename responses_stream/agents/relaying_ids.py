"""The ids of an upstream's items: found, compared, and replaced wherever an item or an event has them.

Some have to come back to the upstream as they were, and are kept: those that something encrypted was made for, and
those that an approval names. Ids of calls are kept as well, but for one that a call of another upstream has already.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs
import msgspec
from msgspec import UNSET

from responses_stream import lifecycle
from responses_stream.builders.core import StreamCore
from responses_stream.protocol.base import UnknownEvent, UnknownItem
from responses_stream.protocol.hosted_items import CallerProgram
from responses_stream.protocol.ids import id_of, new_id
from responses_stream.protocol.items import OutputItem

__all__ = ["Adoption", "is_bound", "other_id", "renamed_item", "renamed_vendor_event"]

_REFERENCES: Final = ("approval_request_id",)
"""The members by which an item names another item. Calls and their outputs go by `call_id`."""

_BOUND: Final = frozenset({"reasoning", "compaction", "mcp_approval_request"})


def is_bound(item: OutputItem) -> bool:
    """Tell whether the upstream knows an item by its id when it comes back, so that no other will do.

    What is encrypted holds the id, and often comes only when the item is done; reasoning is taken to have it.
    """
    if isinstance(item, UnknownItem) and "encrypted_content" in (item.extra or {}):
        return True
    return isinstance(item.type, str) and item.type in _BOUND


def other_id(said: str | None, known: str | None) -> bool:
    """Tell whether an event names another item than the one that is known there; an id that is missing names none."""
    return said is not None and known is not None and said != known


def renamed_item(item: OutputItem, item_id: str, ours: Mapping[str, str], response_id: str | None) -> OutputItem:
    """Return an item with an id of ours, also where it names another item of its response, or the response (H2.33)."""
    changes: dict[str, Any] = {"id": item_id}
    for member in _REFERENCES:
        named = getattr(item, member, None)
        if isinstance(named, str) and named in ours:
            changes[member] = ours[named]
    if response_id is not None and getattr(item, "response_id", None):
        changes["response_id"] = response_id
    return msgspec.structs.replace(item, **changes)


@attrs.define(eq=False)
class Adoption:
    """The ids that the items of one upstream have in a stream of ours.

    Attributes:
        core: our stream.
        pinned: whether items keep their ids.
        items: our ids by theirs.
    """

    core: StreamCore
    pinned: bool
    items: dict[str, str] = attrs.field(init=False, factory=dict)
    _calls: dict[str, str] = attrs.field(init=False, factory=dict)

    def asked(self, item: OutputItem) -> str | None:
        """Return the id that an item is to have in our stream; None for a new one."""
        theirs = id_of(item)
        if self.pinned or theirs is None:
            return theirs
        # Two upstreams may count alike; an id that counts is no name that something was encrypted for.
        return theirs if is_bound(item) and not self.core.has_item(theirs) else None

    def call_id(self, item: OutputItem) -> str | None:
        """Return the `call_id` that a call is to have in our stream; None for an item that is no call.

        It is that of the upstream, which has to know it. Where a call of another upstream has it, it is a new one.
        """
        theirs, item_type = getattr(item, "call_id", None), item.type if isinstance(item.type, str) else ""
        if not isinstance(theirs, str) or not lifecycle.grammar_of(item_type).calls:
            return None
        if theirs not in self._calls:
            taken = not self.pinned and self.core.has_call(theirs)
            self._calls[theirs] = new_id("call") if taken else theirs
        return self._calls[theirs]

    def adopted(self, item: OutputItem, item_id: str) -> OutputItem:
        """Return an item for our response, which is not the upstream's: it does not name the agent."""
        item = renamed_item(item, item_id, self.items, self.core.response_id)
        changes: dict[str, Any] = {}
        if getattr(item, "agent_reference", None):
            changes["agent_reference"] = UNSET
        call_id, caller = self._other_call(getattr(item, "call_id", None)), getattr(item, "caller", None)
        if call_id is not None:
            changes["call_id"] = call_id
        if isinstance(caller, CallerProgram) and (by := self._other_call(caller.caller_id)) is not None:
            changes["caller"] = msgspec.structs.replace(caller, caller_id=by)
        return msgspec.structs.replace(item, **changes) if changes else item

    def _other_call(self, theirs: object) -> str | None:
        ours = self._calls.get(theirs) if isinstance(theirs, str) else None
        return None if ours == theirs else ours


def renamed_vendor_event(
    event: UnknownEvent,
    changes: dict[str, Any],
    items: Mapping[str, str],
    responses: Mapping[str, str],
    index: int | None,
) -> UnknownEvent:
    """Return an event of an unknown type with *changes*, its ids renamed and its place moved where it has them."""
    extra = event.extra or {}
    renamed: dict[str, Any] = {}
    for member, names in (("item_id", items), ("response_id", responses)):
        named = extra.get(member)
        if isinstance(named, str) and named in names:
            renamed[member] = names[named]
    if index is not None and "output_index" in extra:
        renamed["output_index"] = index
    told = extra.get("response")
    if isinstance(told, dict) and told.get("id") in responses:
        renamed["response"] = told | {"id": responses[told["id"]]}
    if renamed:
        changes["extra"] = extra | renamed
    return msgspec.structs.replace(event, **changes)
