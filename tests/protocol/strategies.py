"""Hypothesis strategies for JSON of any wire type, made from the types' own plans.

*fitting* JSON has each member as its type says, or without it where it may be absent. *loose* JSON is what a tolerant
reader has to keep too: optional members of any form, and items, parts, tools and annotations that fit nothing.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec
from hypothesis import strategies as st

from responses_stream.protocol.base import EXTRA_KEY, Wire
from responses_stream.protocol.plans import Branches, Plan, plan_of

Draw = Callable[[st.SearchStrategy[Any]], Any]

_TEXT: Final = st.text(max_size=6)
_INTEGERS: Final = st.integers() | st.sampled_from([2**63, 2**64, -(2**63) - 1, 10**40])
_FLOATS: Final = st.floats(allow_nan=False, allow_infinity=False)
JSON: Final[st.SearchStrategy[Any]] = st.recursive(
    st.none() | st.booleans() | _INTEGERS | _FLOATS | _TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_TEXT, inner, max_size=2),
    max_leaves=4,
)
"""Any JSON value."""

NAMES: Final = _TEXT | st.sampled_from(
    [EXTRA_KEY, "extra", "type_", "", "type", "is_async", "a.b", "$", "additional_info"]
)
"""Names of members that no type lists, some of them traps."""


@st.composite
def wire_json(draw: Draw, struct: type[Wire], loose: bool = False, depth: int = 4) -> dict[str, Any]:
    """JSON of one wire type."""
    return _object(draw, plan_of(struct), loose, depth)


def _object(draw: Draw, plan: Plan, loose: bool, depth: int) -> dict[str, Any]:
    data: dict[str, Any] = {}
    if plan.tag is not None:
        data["type"] = plan.tag
    optional = [name for name, member in plan.members.items() if not member.required]
    chosen = draw(st.lists(st.sampled_from(optional), max_size=3, unique=True)) if optional and depth > 0 else []
    for name, member in plan.members.items():
        if name == "type" and member.branches.choices and not member.required:
            data["type"] = draw(st.sampled_from(member.branches.choices))
        elif name in chosen and loose and draw(st.booleans()):
            data[name] = draw(JSON)
        elif member.required or name in chosen:
            data[name] = _value(draw, member.branches, loose, depth - 1)
    extras = draw(st.dictionaries(NAMES, JSON, max_size=2))
    listed = {*plan.members, *([] if plan.tag is None else ["type"])}
    data.update((name, value) for name, value in extras.items() if name not in listed)
    return data


def _value(draw: Draw, branches: Branches, loose: bool, depth: int) -> Any:
    kinds = ["leaf"] if branches.leaf is not None else []
    structs = [*branches.known.values(), *([branches.single] if branches.single else [])]
    kinds += ["struct"] if structs and (depth > 0 or not kinds) else []
    # Where an object is one struct whatever its type, an unknown one is what does not fit that.
    kinds += ["unknown"] if branches.unknown is not None and (loose or branches.single is None) else []
    kinds += ["array"] if branches.element is not None and branches.element.holds_structs else []
    kind = draw(st.sampled_from(kinds))
    if kind == "leaf":
        return draw(leaf(branches.leaf))
    if kind == "struct":
        return _object(draw, plan_of(draw(st.sampled_from(structs))), loose, depth)
    if kind == "array":
        assert branches.element is not None
        return [
            _value(draw, branches.element, loose, depth) for _ in range(draw(st.integers(0, 2 if depth > 0 else 0)))
        ]
    data = draw(st.dictionaries(NAMES, JSON, max_size=2))
    if not loose:
        return {**data, "type": draw(_TEXT.map("acme:{}".format))}
    kinds_known = st.sampled_from(sorted(branches.known) or ["x"])
    return {**data, **draw(st.fixed_dictionaries({}, optional={"type": JSON | kinds_known}))}


def leaf(hint: Any) -> st.SearchStrategy[Any]:
    """JSON values of a type without structs."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([leaf(option) for option in args])
    if origin is Literal:
        return st.sampled_from(args)
    if origin is list:
        return st.lists(leaf(args[0]), max_size=2)
    if origin is dict:
        return st.dictionaries(_TEXT, leaf(args[1]), max_size=2)
    plain: dict[Any, st.SearchStrategy[Any]] = {
        str: _TEXT,
        int: _INTEGERS,
        float: _FLOATS,
        bool: st.booleans(),
        types.NoneType: st.none(),
        Any: JSON,
    }
    return plain[hint]


class Place(typing.NamedTuple):
    """A member in some JSON that could be broken: the object that holds it, its name, its path and what it may be."""

    holder: dict[str, Any]
    name: str
    path: str
    branches: Branches
    required: bool


def places(data: Any, branches: Branches, path: str = "$") -> list[Place]:
    """Return the members of known objects in *data* that hold no object themselves."""
    if isinstance(data, list) and branches.element is not None:
        return [place for at, held in enumerate(data) for place in places(held, branches.element, f"{path}[{at}]")]
    if not isinstance(data, dict):
        return []
    kind = data.get("type")
    struct = (branches.known.get(kind) if isinstance(kind, str) else None) or branches.single
    if struct is None:
        return []
    found: list[Place] = []
    for name, member in plan_of(struct).members.items():
        if name not in data or name == "type":
            continue  # without its type an object would be read as another one
        if member.branches.holds_structs:
            found += places(data[name], member.branches, f"{path}.{name}")
        elif wrong_values(member.branches):
            found.append(Place(data, name, f"{path}.{name}", member.branches, member.required))
    return found


def wrong_values(branches: Branches) -> list[Any]:
    """Return values that do not fit at all, so that the path of the problem is that of the member itself."""
    tries: list[Any] = [None, True, 7, 1.5, "wrong", ["x"], {"x": 1}]
    return [value for value in tries if not _fits(value, branches)]


def _fits(value: Any, branches: Branches) -> bool:
    if (isinstance(value, list) and branches.element) or (isinstance(value, dict) and branches.value):
        return True
    try:
        msgspec.convert(value, branches.leaf)
    except msgspec.ValidationError:
        return False
    return True
