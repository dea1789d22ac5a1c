"""JSON in and out, with nothing lost at the edges.

`decode` reads an event, `encode` writes any wire value. Members that a type does not list travel in `Wire.extra`,
objects of an unknown `type` in the ``Unknown*`` structs, and a member that was absent stays absent. Reading is
tolerant: an optional member whose value does not fit its type is kept in `extra` as it came, and an item, part, tool
or annotation that does not fit is kept whole. With ``strict=True`` each of these is a problem with its JSON path, and
all of them are told at once (decision 20).
"""

from __future__ import annotations

import functools
from typing import Any, Final, TypeVar, cast

import msgspec
from msgspec import UNSET

from responses_stream.errors import DecodeError, Problem
from responses_stream.protocol.base import EXTRA_KEY, Unknown, UnknownEvent, Wire
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.protocol.plans import Branches, Plan, branches_of, plan_of, tags_of

W = TypeVar("W", bound=Wire)

_MISFIT: Final = object()


class _Reader:
    """One reading: collects the problems, and knows whether a misfit may be kept."""

    def __init__(self, strict: bool) -> None:
        self.strict = strict
        self.problems: list[Problem] = []

    def misfit(self, path: str, message: str) -> object:
        self.problems.append(Problem(path, message))
        return _MISFIT

    def value(self, data: Any, branches: Branches, path: str) -> Any:
        """Return *data* as one of *branches*, or `_MISFIT` with the problems told."""
        if isinstance(data, dict) and (branches.known or branches.single or branches.unknown):
            return self.object(data, branches, path)
        if isinstance(data, dict) and branches.value is not None:
            held = {key: self.value(member, branches.value, f"{path}.{key}") for key, member in data.items()}
            return _MISFIT if _MISFIT in held.values() else held
        if isinstance(data, list) and branches.element is not None:
            elements = [self.value(member, branches.element, f"{path}[{at}]") for at, member in enumerate(data)]
            return _MISFIT if any(element is _MISFIT for element in elements) else elements
        if branches.leaf is None:
            return self.misfit(path, f"expected {branches.expected}, got {_json_name(data)}")
        try:
            return msgspec.convert(data, branches.leaf)
        except msgspec.ValidationError as error:
            if branches.holds_structs:
                return self.misfit(path, f"expected {branches.expected}, got {_json_name(data)}")
            message, _, below = str(error).partition(" - at `$")
            return self.misfit(path + below.rstrip("`"), message[:1].lower() + message[1:])

    def object(self, data: dict[str, Any], branches: Branches, path: str) -> Any:
        kind = data.get("type")
        struct = branches.known.get(kind) if isinstance(kind, str) else _untyped(data, branches)
        struct = struct or branches.single
        if struct is None:
            if branches.unknown is not None:
                return _opaque(data, branches.unknown)
            choices = ", ".join(f"'{tag}'" for tag in branches.known)
            return self.misfit(f"{path}.type", f"expected one of {choices}, got {_shown(kind)}")
        mark = len(self.problems)
        found = self.struct(data, plan_of(struct), path)
        if found is _MISFIT and branches.unknown is not None and not self.strict:
            del self.problems[mark:]
            return _opaque(data, branches.unknown)
        return found

    def struct(self, data: dict[str, Any], plan: Plan, path: str) -> Any:
        values: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        whole = True
        for name, member in plan.members.items():
            if name not in data:
                if member.required:
                    self.misfit(f"{path}.{name}", "is required and missing")
                    whole = False
                elif member.unset:
                    values[member.attribute] = UNSET
                continue
            mark = len(self.problems)
            value = self.value(data[name], member.branches, f"{path}.{name}")
            if value is not _MISFIT:
                values[member.attribute] = value
            elif member.required or self.strict:
                whole = False
            else:
                del self.problems[mark:]
                values[member.attribute] = UNSET
                extra[name] = data[name]
        if plan.tag is not None and data.get("type", plan.tag) != plan.tag:
            self.misfit(f"{path}.type", f"expected '{plan.tag}', got {_shown(data.get('type'))}")
            whole = False
        if not whole:
            return _MISFIT
        for name in data:
            if name not in plan.members and (name != "type" or plan.tag is None):
                extra[name] = data[name]
        if extra:
            values["extra"] = extra
        return plan.struct(**values)


def decode(data: bytes | str, *, strict: bool = False) -> ResponseStreamEvent:
    """Read one event from its JSON.

    Raises:
        DecodeError: the bytes are not JSON, not an object with a string `type` (R001, R011), or a member that the
            event cannot be without is missing or of the wrong type (R013-R015). With *strict*, also when an optional
            member does not fit.
    """
    return decode_event(from_json(data), strict=strict)


def from_json(data: bytes | str) -> Any:
    """Return the plain value of a JSON text.

    Raises:
        DecodeError: it is not JSON; `offset` is the position in *data* where that shows.
    """
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        text = str(error)
        _, _, position = text.rpartition("(byte ")
        offset = int(position.rstrip(")")) if position.rstrip(")").isdigit() else len(data)
        raise DecodeError(f"not JSON: {text}", offset=offset) from None
    except RecursionError:
        raise DecodeError("not readable JSON: it is nested too deeply", offset=0) from None
    except UnicodeError as error:
        raise DecodeError(f"not JSON: {error}", offset=getattr(error, "start", 0)) from None


def decode_event(data: object, *, strict: bool = False, number: int | None = None) -> ResponseStreamEvent:
    """Read one event from plain data (a dict as ``json.loads`` gives it).

    Some services send events without numbers (R012); *number* is given to such a one. Without it, that is an error.

    Raises:
        DecodeError: as for `decode`.
    """
    if not isinstance(data, dict):
        raise DecodeError.of("event", [Problem("$", f"expected object, got {_json_name(data)}")])
    kind = data.get("type")
    if not isinstance(kind, str) or not kind:
        message = "is required and missing" if kind is None else f"expected a non-empty string, got {_shown(kind)}"
        raise DecodeError.of("event", [Problem("$.type", message)])
    struct = _event_types().get(kind)
    if struct is None:
        unknown: UnknownEvent = _opaque(data, UnknownEvent)
        return unknown
    plan = plan_of(struct)
    if number is not None and "sequence_number" not in data and plan.members["sequence_number"].required:
        data = {**data, "sequence_number": number}
    if plan.flat and data.keys() >= plan.filled:
        # The hot path: nothing is absent that has a default, and msgspec refuses members that the type does not list.
        try:
            return cast("ResponseStreamEvent", msgspec.convert(data, struct))
        except msgspec.ValidationError:
            pass
    found: ResponseStreamEvent = _read(data, branches_of(struct), f"{kind} event", strict)
    return found


def decode_as(data: object, struct: type[W], *, strict: bool = False) -> W:
    """Read plain data as one wire type, for instance a stored `ResponseObject`.

    Raises:
        DecodeError: the data does not fit; `problems` lists each place.
    """
    found: W = _read(data, branches_of(struct), struct.__name__, strict)
    return found


def decode_union(data: object, union: Any, what: str, *, strict: bool = False) -> Any:
    """Read plain data as one of *union*, for instance `OutputItem`; *what* names it in errors.

    Raises:
        DecodeError: the data does not fit; `problems` lists each place.
    """
    return _read(data, _branches(union), what, strict)


def encode(value: Wire) -> bytes:
    """Write any wire value as compact JSON in UTF-8, its `extra` members merged in.

    Raises:
        DecodeError: never; an `extra` that is not JSON raises `TypeError`, as msgspec does.
    """
    return msgspec.json.encode(to_wire(value))


def to_builtins(value: Wire) -> dict[str, Any]:
    """Return any wire value as plain data, its `extra` members merged in."""
    plain: dict[str, Any] = msgspec.to_builtins(to_wire(value))
    return plain


def to_wire(value: Any) -> Any:
    """Return *value* in a form that msgspec writes exactly: itself, or a dict where an `extra` has to be merged in."""
    if isinstance(value, list | tuple):
        elements = [to_wire(element) for element in value]
        return elements if any(new is not old for new, old in zip(elements, value, strict=True)) else value
    if isinstance(value, dict):
        members = {key: to_wire(member) for key, member in value.items()}
        return members if any(members[key] is not value[key] for key in value) else value
    if not isinstance(value, Wire):
        return value
    changed = False
    plain: dict[str, Any] = {}
    tag = value.__struct_config__.tag
    if tag is not None:
        plain["type"] = tag
    for attribute, name in zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True):
        if name == EXTRA_KEY:
            continue
        old = getattr(value, attribute)
        if old is UNSET:
            continue
        plain[name] = to_wire(old)
        changed = changed or plain[name] is not old
    if not value.extra:
        return plain if changed or value.extra is not UNSET else value
    # A member that the type lists wins over one of the same name in `extra`; reading never makes both.
    return {**plain, **{name: member for name, member in value.extra.items() if name not in plain}}


def _untyped(data: dict[str, Any], branches: Branches) -> type[Wire] | None:
    """Input may leave out its type: a message is told by its role (H8.16f), a reference by its id alone (items.md 3.31)."""
    struct = branches.known.get("message" if "role" in data else "item_reference" if "id" in data else "")
    return struct if struct is not None and plan_of(struct).tag is None else None


@functools.cache
def _event_types() -> dict[str, type[Wire]]:
    return tags_of(ResponseStreamEvent)


_branches = functools.cache(branches_of)


def _read(data: object, branches: Branches, what: str, strict: bool) -> Any:
    reader = _Reader(strict)
    found = reader.value(data, branches, "$")
    if found is _MISFIT:
        raise DecodeError.of(what, reader.problems)
    return found


def _opaque(data: dict[str, Any], unknown: type[Unknown]) -> Any:
    """Keep *data* whole. The members that `Unknown*` structs name are set, the rest stands in `extra`."""
    named = {name: data[name] for name in unknown.__struct_fields__ if name != "extra" and name in data}
    number = named.get("sequence_number", 0)
    if not isinstance(number, int) or isinstance(number, bool):
        del named["sequence_number"]
    rest = {name: member for name, member in data.items() if name not in named}
    return unknown(**named, extra=rest) if rest else unknown(**named)


def _json_name(value: object) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
    return names.get(type(value), "null" if value is None else type(value).__name__)


def _shown(value: object) -> str:
    return f"'{value[:80]}'" if isinstance(value, str) else _json_name(value)
