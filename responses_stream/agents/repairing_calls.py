"""A call of which it is not known yet what it calls: it waits, for nobody can do anything with it.

A client answers a call by its `call_id` and finds its function by its name, so an item that is added without them has
to be read as a call that nobody can answer. Its events are kept until both are told, at the latest by the response.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs

from responses_stream import lifecycle
from responses_stream.agents.repairing_items import Item
from responses_stream.agents.repairing_report import Json
from responses_stream.agents.repairing_shapes import ITEM_TYPES
from responses_stream.protocol.plans import plan_of
from responses_stream.validation.items import STRINGS, at
from responses_stream.validation.structure import word_of

CALLED: Final = ("call_id", "name")
"""The members that tell what a call calls."""


def lacking(kind: str, fields: Mapping[str, Any]) -> list[str]:
    """Return the members that a call of this type cannot do without, and lacks."""
    struct = ITEM_TYPES.get(kind)
    if struct is None or not lifecycle.grammar_of(kind).calls:
        return []
    members = plan_of(struct).members
    needed = [member for member in CALLED if member in members and members[member].required]
    return [member for member in needed if not word_of(fields.get(member))]


@attrs.define(eq=False)
class Waiting:
    """A call that waits.

    Attributes:
        item: the item.
        added: the event that added it; None where none did.
        fields: what is known of it.
    """

    item: Item
    added: Mapping[str, Any] | None
    fields: Json
    _held: list[tuple[str, Mapping[str, Any]]] = attrs.field(factory=list)

    def take(self, name: str, event: Mapping[str, Any]) -> None:
        """Keep an event inside of it; the done event of the arguments may tell the name."""
        if self.item.type == "function_call" and word_of(event.get("name")):
            self.learn({"name": event["name"]})
        self._held.append((name, event))

    def learn(self, shown: Mapping[str, Any]) -> None:
        """Take what the upstream shows of it later."""
        self.fields |= {member: shown[member] for member in CALLED if word_of(shown.get(member))}

    def held(self, shown: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield what was kept; nothing where the finished item is *shown* to say something else, for nobody read it."""
        place = STRINGS.get(self.item.type, ("", ()))[1]
        said = "".join(word_of(event.get("delta")) or "" for name, event in self._held if name.endswith(".delta"))
        whole = at(shown, place) if place else None
        if not (isinstance(whole, str) and whole) or whole.startswith(said):
            yield from self._held
