"""Wire types without their open ends, for the question that is asked of every event: is it built as it should be?

Where a type of the wire keeps what it does not know, msgspec alone cannot read it. But most events hold nothing that is
not known, and to see that takes msgspec a twentieth of the time that reading by plans takes. So each type has a closed
twin, made from its hints: the same members, unions without their ``Unknown*`` branch. What fits the twin is built
rightly; what does not fit may still be, and is read by plans.
"""

from __future__ import annotations

import functools
import types
import typing
from typing import Any, Final, Union

import msgspec

from responses_stream.protocol.base import EXTRA_KEY, Unknown, Wire
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.protocol.plans import tags_of


class _Recursive(Exception):
    """A type that holds itself: its twin would have to be there before it is made."""


class _Twins:
    """Makes twins, each once; None stands for a type that has none."""

    def __init__(self) -> None:
        self._made: dict[type[Wire], type | None] = {}

    def of(self, struct: type[Wire]) -> type:
        """Return the twin of *struct*.

        Raises:
            _Recursive: it has none, or is being made.
        """
        if struct not in self._made:
            self._made[struct] = None
            self._made[struct] = self._make(struct)
        twin = self._made[struct]
        if twin is None:
            raise _Recursive
        return twin

    def _make(self, struct: type[Wire]) -> type | None:
        hints = typing.get_type_hints(struct)
        members = []
        try:
            for field in msgspec.structs.fields(struct):
                if field.encode_name != EXTRA_KEY:
                    default = {} if field.required else {"default": None}
                    twin = self._closed(hints[field.name])
                    members.append((field.name, twin, msgspec.field(name=field.encode_name, **default)))
        except _Recursive:
            return None
        config = struct.__struct_config__
        return msgspec.defstruct(
            struct.__name__, members, kw_only=True, tag_field=config.tag_field, tag=config.tag, gc=False
        )

    def _closed(self, hint: Any) -> Any:
        if isinstance(hint, type) and issubclass(hint, Wire):
            return self.of(hint)
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin in (Union, types.UnionType):
            # A branch that has no twin is left out: what is of it is read by plans.
            known = [twin for argument in arguments for twin in self._branch(argument)]
            if not known:
                raise _Recursive
            return Union[tuple(known)]  # noqa: UP007 - there is no `|` for a list of types
        if origin is list:
            return types.GenericAlias(list, (self._closed(arguments[0]),))
        if origin is dict:
            return types.GenericAlias(dict, (str, self._closed(arguments[1])))
        return hint

    def _branch(self, hint: Any) -> list[Any]:
        if isinstance(hint, type) and issubclass(hint, Unknown):
            return []
        try:
            return [self._closed(hint)]
        except _Recursive:
            return []


_TWINS: Final = _Twins()


@functools.cache
def twin_of(name: str) -> type | None:
    """Return the closed twin of the events of the type *name*; None where there is none."""
    struct = tags_of(ResponseStreamEvent).get(name)
    if struct is None:
        return None
    try:
        twin = _TWINS.of(struct)
        msgspec.json.Decoder(twin)
    except (_Recursive, TypeError):
        # msgspec tells two objects apart by `type` only; a union of others has no twin.
        return None
    return twin


def fits(event: dict[str, Any], name: str) -> bool:
    """Whether *event* is certainly built as an event of the type *name*; if not, a closer look has to tell."""
    twin = twin_of(name)
    if twin is None:
        return False
    try:
        msgspec.convert(event, twin)
    except (msgspec.ValidationError, RecursionError, UnicodeError):
        return False
    return True
