"""The ground under all wire types: frozen msgspec structs that lose nothing.

A wire type lists the members that the protocol names. What else came in stands in `Wire.extra` and goes out again; a
member that was absent stays absent, as `msgspec.UNSET`; and an object whose `type` nobody had heard of becomes one of
the ``Unknown*`` structs. `responses_stream.protocol.codec` does this both ways.
"""

from __future__ import annotations

import builtins
import sys
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, UnsetType

EXTRA_KEY: Final = "*members not listed*"
"""The name under which msgspec alone would write `Wire.extra`; no member of the protocol is called so."""


class Wire(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Anything that travels. `extra` holds the members that its type does not list, as plain JSON values.

    While no `extra` is set, here or below, ``msgspec.json.encode(value)`` is exact; `protocol.encode` always is.
    """

    # No object is that long: msgspec alone never fills `extra`, not even from a member that is really called EXTRA_KEY.
    extra: Annotated[dict[str, Any], msgspec.Meta(min_length=sys.maxsize)] | UnsetType = msgspec.field(
        default=UNSET, name=EXTRA_KEY
    )


class Tagged(Wire, frozen=True, tag_field="type"):
    """A wire type that the member `type` names."""

    @property
    def type(self) -> str:
        """The discriminator, as it stands on the wire."""
        kind = self.__class__
        # msgspec makes an object each time it is asked for its configuration.
        return _TAGS.get(kind) or _tag_of(kind)


_TAGS: Final[dict[builtins.type, str]] = {}


def _tag_of(kind: builtins.type[Wire]) -> str:
    tag = kind.__struct_config__.tag
    assert isinstance(tag, str)
    _TAGS[kind] = tag
    return tag


class OnLane(Tagged, frozen=True, kw_only=True):
    """What a WebSocket may say of an event: the lane of the `response.create` that it answers (events.md section 2)."""

    stream_id: str | UnsetType = UNSET


class Event(OnLane, frozen=True):
    """One event of a stream. `sequence_number` counts from 0 in each response (R021-R023)."""

    sequence_number: int


class AgentReference(Wire, frozen=True):
    """Which agent answers (an extension of the Azure platform)."""

    type: str | UnsetType = "agent_reference"
    name: str | UnsetType = UNSET
    version: str | None | UnsetType = UNSET


class Item(Tagged, frozen=True, kw_only=True):
    """A unit of the model's context: what it reads and what it writes (items.md section 1).

    The Azure platform stamps *response_id* and *agent_reference* on what stands in `output` (H2.33).
    """

    response_id: str | None | UnsetType = UNSET
    agent_reference: AgentReference | None | UnsetType = UNSET


class Part(Tagged, frozen=True):
    """A piece of the content of an item (items.md section 5)."""


class Annotation(Tagged, frozen=True):
    """A remark about a span of output text (items.md section 6)."""


class Tool(Tagged, frozen=True):
    """Something that the model may use (request-response.md section 5.1)."""


class Unknown(Wire, frozen=True):
    """An object whose `type` this version does not know, or whose members did not fit it; all of it is in `extra`.

    `type` is absent or not a string where the object on the wire was so.
    """

    type: Any = UNSET


class UnknownEvent(Unknown, frozen=True):
    """An event of a type that this version does not know (decision 7); it goes out as it came in."""

    sequence_number: int | UnsetType = UNSET


class UnknownItem(Unknown, frozen=True):
    """An item of a type that this version does not know (W33)."""

    id: Any = UNSET
    status: Any = UNSET


class UnknownPart(Unknown, frozen=True):
    """A content part of a type that this version does not know."""


class UnknownAnnotation(Unknown, frozen=True):
    """An annotation of a type that this version does not know."""


class UnknownTool(Unknown, frozen=True):
    """A tool of a type that this version does not know."""


class UnknownObject(Unknown, frozen=True):
    """Any smaller object of a type that this version does not know."""
