"""How a wire type is read: for each struct, made once, which member goes where and which type it leads to.

A plan is derived from the type hints alone, so there is no second list of members that could disagree with the types.
An *open* union is one with an ``Unknown*`` struct in it: what fits none of its known types is kept as that one.
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Mapping
from typing import Any, Final, Literal, Union

import attrs
import msgspec
from msgspec import UNSET, UnsetType

from responses_stream.protocol.base import EXTRA_KEY, Unknown, Wire

SCALARS: Final = frozenset({str, int, float, bool, types.NoneType, UnsetType})


@attrs.frozen
class Branches:
    """What a member may be, by the kind of its JSON value.

    Attributes:
        leaf: the type of a value without structs below it, for msgspec to check; None when only structs fit.
        known: the structs an object may be, by `type`.
        single: the struct an object is whatever its `type` says; None when *known* decides.
        unknown: the struct that keeps an object of no known type; None when the union is closed.
        element: what an array holds; None when that may be anything, or when there is no array.
        value: what an object used as a map holds; None when that may be anything, or when there is no map.
    """

    leaf: Any = None
    known: Mapping[str, type[Wire]] = attrs.field(factory=dict)
    single: type[Wire] | None = None
    unknown: type[Unknown] | None = None
    element: Branches | None = None
    value: Branches | None = None

    @property
    def structs(self) -> bool:
        """Whether an object is read as a struct."""
        return bool(self.known or self.single or self.unknown)

    @property
    def holds_structs(self) -> bool:
        """Whether there may be a struct here or below, so that msgspec alone must not read it."""
        return self.structs or any(part is not None and part.holds_structs for part in (self.element, self.value))

    @property
    def is_scalar(self) -> bool:
        """Whether it is text, a number, true, false, null or absent. What may be anything may hold a struct."""
        return not self.holds_structs and all(
            option in SCALARS or typing.get_origin(option) is Literal for option in _options(self.leaf)
        )

    @property
    def choices(self) -> tuple[object, ...]:
        """The values that fit, where they are listed."""
        listed = [typing.get_args(option) for option in _options(self.leaf) if typing.get_origin(option) is Literal]
        return tuple(choice for group in listed for choice in group)

    @property
    def expected(self) -> str:
        """What would fit, for an error message."""
        names = ["object"] if self.structs or self.value else []
        names += ["array"] if self.element else []
        names += _names(self.leaf) if self.leaf is not None else []
        return " or ".join(dict.fromkeys(names))


@attrs.frozen
class Member:
    """One member of a struct: its name in Python, what it may be, and whether it has to be there.

    Attributes:
        unset: the attribute has to be set to UNSET when the member is absent, because its default is something else.
        listed: the attribute is always a list: a member that is absent or does not fit cannot be UNSET.
    """

    attribute: str
    branches: Branches
    required: bool
    unset: bool
    listed: bool


@attrs.frozen
class Plan:
    """How to read one struct. *flat*: msgspec can read it alone when every one of *filled* is there."""

    struct: type[Wire]
    tag: str | None
    members: Mapping[str, Member]
    filled: frozenset[str]
    flat: bool


@functools.cache
def plan_of(struct: type[Wire]) -> Plan:
    """Return the plan of *struct*."""
    hints = typing.get_type_hints(struct)
    members: dict[str, Member] = {}
    for field in msgspec.structs.fields(struct):
        if field.encode_name == EXTRA_KEY:
            continue
        may_be_unset = UnsetType in _options(hints[field.name])
        members[field.encode_name] = Member(
            attribute=field.name,
            branches=branches_of(hints[field.name]),
            required=field.required,
            unset=may_be_unset and field.default is not UNSET,
            listed=not (may_be_unset or field.required or field.default is UNSET),
        )
    filled = frozenset(name for name, member in members.items() if member.required or member.unset)
    tag = struct.__struct_config__.tag
    flat = not any(_is_open(member.branches) for member in members.values())
    return Plan(struct, tag if isinstance(tag, str) else None, members, filled, flat)


_ANYTHING: Final = Branches(leaf=Any)


def tags_of(union: object) -> dict[str, type[Wire]]:
    """Return the structs of a union by their `type`."""
    return dict(branches_of(union).known)


@functools.cache
def branches_of(hint: object) -> Branches:
    """Return what a value of the type *hint* may be."""
    leaves: list[Any] = []
    structs: list[type[Wire]] = []
    element: Branches | None = None
    value: Branches | None = None
    for option in _options(hint):
        origin = typing.get_origin(option)
        held = branches_of(typing.get_args(option)[-1]) if origin in (list, dict) else None
        if origin is list and held != _ANYTHING:
            element = held
        elif origin is dict and held != _ANYTHING:
            value = held
        if isinstance(option, type) and issubclass(option, Wire):
            structs.append(option)
        elif option is not UnsetType and not (held and held.holds_structs):
            leaves.append(option)
    # mypy cannot follow a union that is put together at run time.
    leaf: Any = Union[tuple(leaves)] if leaves else None  # noqa: UP007 - there is no `|` for a list of types
    unknown = next((struct for struct in structs if issubclass(struct, Unknown)), None)
    known = {tag: struct for struct in structs for tag in _tags(struct)}
    single = next((struct for struct in structs if not _tags(struct) and struct is not unknown), None)
    return Branches(leaf, known, single, unknown, element, value)


def _options(hint: object) -> list[object]:
    if typing.get_origin(hint) in (Union, types.UnionType):
        return [option for part in typing.get_args(hint) for option in _options(part)]
    return [hint]


def _tags(struct: type[Wire]) -> tuple[str, ...]:
    """The values of `type` that name *struct*: its tag, or the choices of its own member `type`."""
    tag = struct.__struct_config__.tag
    if isinstance(tag, str):
        return (tag,)
    hint = typing.get_type_hints(struct).get("type")
    choices = [typing.get_args(option) for option in _options(hint) if typing.get_origin(option) is Literal]
    return tuple(choice for group in choices for choice in group if isinstance(choice, str))


def _is_open(branches: Branches) -> bool:
    """Whether something below keeps unknown types, which msgspec alone cannot."""
    below = [branches.element, branches.value]
    structs = [*branches.known.values(), *([branches.single] if branches.single else [])]
    return (
        branches.unknown is not None
        or any(part is not None and _is_open(part) for part in below)
        or any(not plan_of(struct).flat or plan_of(struct).filled != _required(struct) for struct in structs)
    )


def _required(struct: type[Wire]) -> frozenset[str]:
    return frozenset(name for name, member in plan_of(struct).members.items() if member.required)


def _names(leaf: object) -> list[str]:
    names = {str: "string", int: "integer", float: "number", bool: "boolean", types.NoneType: "null"}
    options = _options(leaf)
    parts = []
    for option in options:
        if typing.get_origin(option) is Literal:
            parts.append("one of " + ", ".join(f"'{choice}'" for choice in typing.get_args(option)))
        elif typing.get_origin(option) in (list, dict):
            parts.append("array" if typing.get_origin(option) is list else "object")
        elif option is int and float in options:
            continue  # every integer is a number
        else:
            parts.append(names[option] if isinstance(option, type) else str(option))
    return parts
