"""Events and items in the words of others: dicts, objects of the `openai` package, attrs classes, dataclasses, structs.

A handler that passes on what another library gave it need not translate: what it yields is turned into our types here,
with nothing lost. Our own events go through untouched. What is read is not judged: an event that comes at the wrong
time is the order guard's to refuse.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import attrs
import msgspec

from responses_stream.builders.values import plain
from responses_stream.errors import DecodeError, InvalidType, InvalidValue, Problem
from responses_stream.lifecycle import INPUT_ONLY
from responses_stream.protocol.base import Event, UnknownEvent, UnknownItem, Wire
from responses_stream.protocol.codec import decode_event, decode_union
from responses_stream.protocol.dumping import dumped
from responses_stream.protocol.items import InputItem, InputMessage, OutputItem
from responses_stream.protocol.plans import tags_of

if TYPE_CHECKING:
    from cattrs import Converter

_FORMS: Final = (
    "of ours, a dict, an object of the openai package, or an instance of an attrs class, a dataclass or a msgspec "
    "struct"
)


def event_of(said: object) -> Event | UnknownEvent:
    """Return what a handler said as an event of ours; one of ours is returned as it is.

    An event without a number gets 0, because the run numbers events itself. An event of an unknown type is kept
    (decision 7), and so is an optional member that does not fit (decision 20).

    Raises:
        InvalidType: it is nothing that can be an event, or holds something that is not JSON.
        InvalidValue: it holds something that JSON in UTF-8 cannot say.
        DecodeError: it is plain data, and no event; `problems` has the path of each fault.
    """
    if isinstance(said, Event | UnknownEvent):
        return said
    if isinstance(said, Wire):
        raise _refused(said, "event")
    event = decode_event(_plain(said, "event"), number=0)
    if isinstance(event, UnknownEvent) and event.type in tags_of(InputItem):
        fault = f"'{event.type}' is an item; it is said inside 'response.output_item.added' and '.done'"
        raise DecodeError.of("event", [Problem("$.type", fault)])
    return event


def item_of(said: object) -> OutputItem:
    """Return what an application said as an output item of ours; one of ours is returned as it is.

    Raises:
        InvalidType, InvalidValue: as for `event_of`.
        DecodeError: it is plain data, and no item, or one that may only stand in `input` (R080).
    """
    if isinstance(said, OutputItem):
        return said
    if isinstance(said, Wire) and not isinstance(said, InputMessage):
        raise _refused(said, "item")
    data = _plain(said, "item")
    item: OutputItem = decode_union(data, OutputItem, "item")
    if isinstance(item, UnknownItem):
        if not isinstance(item.type, str) or not item.type:
            raise DecodeError.of("item", [Problem("$.type", "has to be a string that is not empty")])
        if item.type in INPUT_ONLY:
            raise DecodeError.of("item", [Problem("$.type", f"'{item.type}' may only stand in an input (R080)")])
    return item


def _plain(said: object, what: str) -> dict[str, Any]:
    """Return *said* as JSON of its own."""
    try:
        found = _converter().unstructure(said)
    except RecursionError:
        raise InvalidValue(what, "is nested too deeply to be sent") from None
    if not isinstance(found, dict | Wire):
        raise _refused(said, what)
    members: dict[str, Any] = plain(what, found)
    return members


def _refused(said: object, what: str) -> InvalidType:
    return InvalidType("what the handler said", f"an {what} {_FORMS}", said)


@functools.cache
def _converter() -> Converter:
    """Return the one converter that takes things apart, each by what it is and not by what an annotation promises.

    Annotations name a base where a value is of a subclass, and may not even be importable at run time.
    """
    import cattrs

    converter = cattrs.Converter()
    # What is registered later is asked first. Wire values stay: `plain` takes them apart, and says where one is wrong.
    converter.register_unstructure_hook_func(dataclasses.is_dataclass, _members_of(converter, dataclasses.fields))
    converter.register_unstructure_hook_func(attrs.has, _members_of(converter, attrs.fields))
    converter.register_unstructure_hook_func(_is_struct, _members_of_struct(converter))
    converter.register_unstructure_hook_func(_is_wire, lambda value: value)
    converter.register_unstructure_hook_func(_dumps, dumped)
    return converter


def _members_of(converter: Converter, fields: Callable[[Any], Any]) -> Callable[[Any], dict[str, Any]]:
    def members(value: Any) -> dict[str, Any]:
        return {field.name: converter.unstructure(getattr(value, field.name)) for field in fields(type(value))}

    return members


def _members_of_struct(converter: Converter) -> Callable[[Any], dict[str, Any]]:
    def members(value: Any) -> dict[str, Any]:
        config, found = value.__struct_config__, {}
        if config.tag is not None:
            found[config.tag_field] = config.tag
        required = len(value.__struct_fields__) - len(value.__struct_defaults__)
        defaults = (msgspec.NODEFAULT,) * required + value.__struct_defaults__
        names = zip(value.__struct_fields__, value.__struct_encode_fields__, defaults, strict=True)
        for attribute, name, default in names:
            member = getattr(value, attribute)
            if member is not msgspec.UNSET and not (config.omit_defaults and member is default):
                found[name] = converter.unstructure(member)
        return found

    return members


def _is_struct(kind: type) -> bool:
    return issubclass(kind, msgspec.Struct)


def _is_wire(kind: type) -> bool:
    return issubclass(kind, Wire)


def _dumps(kind: type) -> bool:
    return callable(getattr(kind, "model_dump", None))
