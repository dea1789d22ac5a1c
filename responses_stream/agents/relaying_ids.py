"""The ids of an upstream's items: found, compared, and replaced wherever an item or an event has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import UNSET

from responses_stream.protocol.base import UnknownEvent
from responses_stream.protocol.items import OutputItem

__all__ = ["adopted_item", "id_of", "other_id", "renamed_item", "renamed_vendor_event"]

_REFERENCES: Final = ("approval_request_id",)
"""The members by which an item names another item. Calls and their outputs go by `call_id`, which is never changed."""


def id_of(item: OutputItem) -> str | None:
    """Return the id of an item; None where it has none."""
    found = getattr(item, "id", None)
    return found if isinstance(found, str) and found else None


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


def adopted_item(item: OutputItem, item_id: str, ours: Mapping[str, str], response_id: str) -> OutputItem:
    """Return an item as `renamed_item` does, for a response that is not the upstream's: it does not name the agent."""
    item = renamed_item(item, item_id, ours, response_id)
    return msgspec.structs.replace(item, agent_reference=UNSET) if getattr(item, "agent_reference", None) else item


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
