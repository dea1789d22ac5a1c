"""JSON in and out, with nothing lost at the edges.

`decode` reads an event, `encode` writes any wire value. Members that a type does not list travel in `Wire.extra`,
objects of an unknown `type` in the ``Unknown*`` structs, and a member that was absent stays absent. Reading is
tolerant: an optional member whose value does not fit its type is kept in `extra` as it came, and an item, part, tool
or annotation that does not fit is kept whole. With ``strict=True`` each of these is a problem with its JSON path, and
all of them are told at once (decision 20).
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import msgspec
from msgspec import UNSET

from responses_stream.errors import DecodeError, InvalidValue, Problem
from responses_stream.protocol.base import EXTRA_KEY, Unknown, UnknownEvent, UnknownObject, Wire
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.protocol.plans import SCALARS, Branches, Plan, branches_of, plan_of, tags_of

W = TypeVar("W", bound=Wire)

_MISFIT: Final = object()
_CONTAINERS: Final = (list, tuple, dict)
_TOO_DEEP: Final = "is nested too deeply to be written"
_GETTERS: Final[dict[type, Callable[[Any], tuple[Any, ...]] | None]] = {}
_PLAIN_KEY: Final = re.compile(r"\w+\Z")


class AsItCame(list[Any]):
    """An empty list in the place of one that was absent or did not fit: `wire` is what came, UNSET for absent.

    Where a member is always a list in Python, this keeps the promise that it goes out as it came in. Once something is
    put into it, it is a list like any other.
    """

    def __init__(self, wire: object) -> None:
        super().__init__()
        self.wire = wire


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
        if isinstance(data, dict) and branches.structs:
            return self.object(data, branches, path)
        if branches.leaf is not None:
            try:
                return msgspec.convert(data, branches.leaf)
            except msgspec.ValidationError:
                pass  # msgspec tells the first misfit only, and not where in an object used as a map
        if isinstance(data, dict) and branches.value is not None:
            held = {key: self.value(member, branches.value, _below(path, key)) for key, member in data.items()}
            return _MISFIT if any(member is _MISFIT for member in held.values()) else held
        if isinstance(data, list) and branches.element is not None:
            elements = [self.value(member, branches.element, f"{path}[{at}]") for at, member in enumerate(data)]
            return _MISFIT if any(element is _MISFIT for element in elements) else elements
        got = _shown(data) if branches.choices else _json_name(data)
        return self.misfit(path, f"expected {branches.expected}, got {got}")

    def object(self, data: dict[str, Any], branches: Branches, path: str) -> Any:
        kind = data.get("type")
        struct = branches.known.get(kind) if isinstance(kind, str) else _untyped(data, branches)
        struct = struct or branches.single
        if struct is None:
            if branches.unknown is not None:
                # Smaller objects may do without: the Azure builder writes `action: {}` (items.md 3.8).
                if self.strict and branches.unknown is not UnknownObject and not _names_a_type(kind):
                    return self.misfit(f"{path}.type", _no_type(data))
                return _opaque(data, branches.unknown)
            choices = ", ".join(f"'{tag}'" for tag in branches.known)
            fault = f"expected one of {choices}, got {_shown(kind)}" if "type" in data else _no_type(data)
            return self.misfit(f"{path}.type", fault)
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
                elif member.listed:
                    values[member.attribute] = AsItCame(UNSET)
                continue
            mark = len(self.problems)
            value = self.value(data[name], member.branches, f"{path}.{name}")
            if value is not _MISFIT:
                values[member.attribute] = value
            elif member.required or self.strict:
                whole = False
            else:
                del self.problems[mark:]
                if member.listed:
                    values[member.attribute] = AsItCame(data[name])
                else:
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
        DecodeError: it is not JSON, or holds what cannot be kept: a number beyond the range of a float, half a
            surrogate pair, more levels than can be read. `offset` is where that shows in the UTF-8 of *data*.
    """
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        text, _, position = str(error).partition(" (byte ")
        offset = int(position.rstrip(")")) if position else None
        if "truncated" in text:
            offset = len(data.encode() if isinstance(data, str) else data)
        raise DecodeError(f"not JSON: {text}", offset=offset) from None
    except RecursionError:
        raise DecodeError("not readable JSON: it is nested too deeply") from None
    except UnicodeError as error:
        raise DecodeError("not JSON: it is not UTF-8", offset=_first_not_unicode(data, error)) from None


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
        raise DecodeError.of("event", [Problem("$.type", _no_type(data))])
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
        except (msgspec.ValidationError, RecursionError):
            pass  # read it again, member by member
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
    return _read(data, branches_of(union), what, strict)


def encode(value: Wire) -> bytes:
    """Write any wire value as compact JSON in UTF-8, its `extra` members merged in.

    Raises:
        InvalidValue: a string in it holds half a surrogate pair, or it is nested too deeply.
        TypeError: something in it is no JSON at all, as msgspec says it.
    """
    try:
        return msgspec.json.encode(to_wire(value))
    except UnicodeEncodeError as error:
        raise InvalidValue("value", f"holds text that UTF-8 cannot write: {error.object!r:.80}") from None
    except RecursionError:
        raise InvalidValue("value", _TOO_DEEP) from None


def to_builtins(value: Wire) -> dict[str, Any]:
    """Return any wire value as plain data, its `extra` members merged in.

    Raises:
        InvalidValue: it is nested too deeply.
        TypeError: something in it is no JSON at all, as msgspec says it.
    """
    try:
        plain: dict[str, Any] = msgspec.to_builtins(to_wire(value))
    except RecursionError:
        raise InvalidValue("value", _TOO_DEEP) from None
    return plain


def to_wire(value: Any) -> Any:
    """Return *value* in a form that msgspec writes exactly: itself, or a dict where an `extra` has to be merged in."""
    if isinstance(value, Wire):
        return value if _is_exact(value) else _merged(value)
    if not isinstance(value, _CONTAINERS) or not _holds_wire(value):
        return value
    if isinstance(value, dict):
        members = {key: to_wire(member) for key, member in value.items()}
        return members if any(members[key] is not value[key] for key in value) else value
    elements = [to_wire(element) for element in value]
    return elements if any(new is not old for new, old in zip(elements, value, strict=True)) else value


def _is_exact(value: Any) -> bool:
    """Whether msgspec alone writes *value* as `_merged` would: nothing was read into it that its types do not list.

    Almost every value is like that, and to see it costs a tenth of putting it together anew.
    """
    kind = type(value)
    if kind not in _GETTERS:
        _GETTERS[kind] = _held_by(kind)
    get = _GETTERS[kind]
    if get is None:
        return not isinstance(value, _CONTAINERS) or not (isinstance(value, AsItCame) or (value and _holds_wire(value)))
    extra, *members = get(value)
    if extra is not UNSET:
        return False
    for held in members:
        if type(held) in SCALARS:
            continue
        if type(held) is not list:
            if not _is_exact(held):
                return False
            continue
        for element in held:
            if type(element) not in SCALARS and not _is_exact(element):
                return False
    return True


def _held_by(kind: type) -> Callable[[Any], tuple[Any, ...]] | None:
    """Return what gets the `extra` of a wire value and all of it that may be more than a scalar; None for other types.

    Asked by type, because `isinstance` is slow with the metaclass of msgspec.
    """
    if not issubclass(kind, Wire):
        return None
    names = [member.attribute for member in plan_of(kind).members.values() if not member.branches.is_scalar]
    # Of one name alone it would get no tuple.
    get: Callable[[Any], tuple[Any, ...]] = operator.attrgetter("extra", *(names or ["extra"]))
    return get


def _merged(value: Wire) -> Any:
    changed = False
    plain: dict[str, Any] = {}
    tag = value.__struct_config__.tag
    if tag is not None:
        plain["type"] = tag
    for attribute, name in zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True):
        if name == EXTRA_KEY:
            continue
        old = getattr(value, attribute)
        if isinstance(old, AsItCame) and not old:
            old, changed = old.wire, True
        if old is UNSET:
            continue
        plain[name] = to_wire(old)
        changed = changed or plain[name] is not old
    if not value.extra:
        return plain if changed or value.extra is not UNSET else value
    # A member that the type lists wins over one of the same name in `extra`; reading never makes both.
    return {**plain, **{name: member for name, member in value.extra.items() if name not in plain}}


def _holds_wire(value: Any) -> bool:
    """Whether there is a wire value in plain data; a loop, because plain data may be as deep as JSON can be."""
    left, seen = [value], set()
    while left:
        held = left.pop()
        if isinstance(held, Wire):
            return True
        if isinstance(held, _CONTAINERS) and id(held) not in seen:
            seen.add(id(held))
            left.extend(held.values() if isinstance(held, dict) else held)
    return False


def _names_a_type(kind: object) -> bool:
    return isinstance(kind, str) and kind != ""


def _no_type(data: dict[str, Any]) -> str:
    return f"expected a non-empty string, got {_shown(data['type'])}" if "type" in data else "is required and missing"


def _untyped(data: dict[str, Any], branches: Branches) -> type[Wire] | None:
    """Input may leave out its type: a message is told by its role (H8.16f), a reference by its id (items.md 3.31)."""
    struct = branches.known.get("message" if "role" in data else "item_reference" if "id" in data else "")
    return struct if struct is not None and plan_of(struct).tag is None else None


@functools.cache
def _event_types() -> dict[str, type[Wire]]:
    return tags_of(ResponseStreamEvent)


def _read(data: object, branches: Branches, what: str, strict: bool) -> Any:
    reader = _Reader(strict)
    try:
        found = reader.value(data, branches, "$")
    except RecursionError:
        raise DecodeError(f"not a valid {what}: it is nested too deeply") from None
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


def _below(path: str, key: str) -> str:
    return f"{path}.{key}" if _PLAIN_KEY.match(key) else f"{path}[{key!a}]"


def _first_not_unicode(data: bytes | str, error: UnicodeError) -> int | None:
    """Where the text stops being UTF-8; msgspec counts from the start of the string that it was reading."""
    if isinstance(data, str):
        return len(data[: error.start].encode()) if isinstance(error, UnicodeEncodeError) else None
    try:
        data.decode()
    except UnicodeDecodeError as found:
        return found.start
    return None


def _json_name(value: object) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
    return names.get(type(value), "null" if value is None else type(value).__name__)


def _shown(value: object) -> str:
    return f"'{value[:80]}'" if isinstance(value, str) else _json_name(value)
