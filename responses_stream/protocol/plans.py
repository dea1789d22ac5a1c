"""How a wire type is read: for each struct, made once, which member goes where and which type it leads to.

A plan is derived from the type hints alone, so there is no second list of members that could disagree with the types.
An *open* union is one with an ``Unknown*`` struct in it: what fits none of its known types is kept as that one.
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, Union

import attrs
import msgspec
from msgspec import UNSET, UnsetType

from responses_stream.protocol.base import EXTRA_KEY, Unknown, Wire


@attrs.frozen
class Branches:
    """What a member may be, by the kind of its JSON value.

    Attributes:
        leaf: the type of a value without structs below it, for msgspec to check; None when only structs fit.
        known: the structs an object may be, by `type`.
        single: the struct an object is whatever its `type` says; None when *known* decides.
        unknown: the struct that keeps an object of no known type; None when the union is closed.
        element: what an array holds; None when *leaf* covers arrays or there are none.
        value: what an object used as a map holds; None when there is none.
    """

    leaf: Any = None
    known: Mapping[str, type[Wire]] = attrs.field(factory=dict)
    single: type[Wire] | None = None
    unknown: type[Unknown] | None = None
    element: Branches | None = None
    value: Branches | None = None

    @property
    def holds_structs(self) -> bool:
        return bool(self.known or self.single or self.unknown or self.element or self.value)

    @property
    def expected(self) -> str:
        """What would fit, for an error message."""
        names = []
        if self.known or self.single or self.unknown or self.value:
            names.append("object")
        if self.element:
            names.append("array")
        if self.leaf is not None:
            names.append(_name(self.leaf))
        return " or ".join(names)


@attrs.frozen
class Member:
    """One member of a struct: its name in Python and on the wire, what it may be, and whether it has to be there."""

    attribute: str
    branches: Branches
    required: bool
    unset: bool
    """Whether the attribute has to be set to UNSET when the member is absent, because its default is something else."""


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
        unset = field.default is not UNSET and UnsetType in _options(hints[field.name])
        members[field.encode_name] = Member(field.name, branches_of(hints[field.name]), field.required, unset)
    filled = frozenset(name for name, member in members.items() if member.required or member.unset)
    tag = struct.__struct_config__.tag
    flat = not any(_is_open(member.branches) for member in members.values())
    return Plan(struct, tag if isinstance(tag, str) else None, members, filled, flat)


def tags_of(union: object) -> dict[str, type[Wire]]:
    """Return the structs of a union by their `type`."""
    return dict(branches_of(union).known)


def branches_of(hint: object) -> Branches:
    """Return what a value of the type *hint* may be."""
    leaves: list[Any] = []
    structs: list[type[Wire]] = []
    element: Branches | None = None
    value: Branches | None = None
    for option in _options(hint):
        origin = typing.get_origin(option)
        if isinstance(option, type) and issubclass(option, Wire):
            structs.append(option)
        elif origin is list and branches_of(typing.get_args(option)[0]).holds_structs:
            element = branches_of(typing.get_args(option)[0])
        elif origin is dict and branches_of(typing.get_args(option)[1]).holds_structs:
            value = branches_of(typing.get_args(option)[1])
        elif option is not UnsetType:
            leaves.append(option)
    # mypy cannot follow a union that is put together at run time.
    leaf: Any = Union[tuple(leaves)] if leaves else None
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


def _name(leaf: object) -> str:
    names = {str: "string", int: "integer", float: "number", bool: "boolean", types.NoneType: "null"}
    parts = []
    for option in _options(leaf):
        if typing.get_origin(option) is Literal:
            parts.append("one of " + ", ".join(f"'{choice}'" for choice in typing.get_args(option)))
        elif typing.get_origin(option) is list:
            parts.append("array")
        elif typing.get_origin(option) is dict:
            parts.append("object")
        elif isinstance(option, type):
            parts.append(names.get(option, option.__name__))
        else:
            parts.append(str(option))
    return " or ".join(parts)
