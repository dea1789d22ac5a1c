"""Making a JSON object fit its wire type: what is missing is filled in, what does not fit is replaced or left out.

Works by the plans of the wire types, so there is no second list of members. What is known of an object from before is
taken first; a value that says nothing (an empty string, 0, an empty array) is the last resort. Members that the type
does not list stay as they are.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from responses_stream.protocol.base import UnknownObject, Wire
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.protocol.items import OutputItem
from responses_stream.protocol.plans import Branches, Plan, plan_of, tags_of
from responses_stream.protocol.response import ResponseObject
from responses_stream.validation.closed import fits
from responses_stream.validation.findings import Findings
from responses_stream.validation.structure import judge_structure

EVENTS: Final[Mapping[str, type[Wire]]] = MappingProxyType(tags_of(ResponseStreamEvent))
"""The wire types of events, by their names."""

ITEM_TYPES: Final[Mapping[str, type[Wire]]] = MappingProxyType(tags_of(OutputItem))
"""The wire types of output items, by their types."""

_NOTHING: Final = object()
# In this order: what says least, and is no null where the protocol wants a value.
_EMPTY: Final[tuple[Any, ...]] = ("", 0, [], {}, False, None)
_ROUNDS: Final = 3
# What the wire types leave optional and the protocol does not, where nothing is not the empty string.
_USUAL: Final[Mapping[str, Any]] = MappingProxyType(
    {"role": "assistant", "status": "in_progress", "execution": "server", "result": None, "code": None}
)


def fitted_event(event: Mapping[str, Any], name: str, known: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return *event* as an event of the type *name*, and the paths of what had to be changed.

    Args:
        event: the event as it came.
        name: a type that the protocol knows.
        known: what its members have to be where they are missing.
    """
    told: list[str] = []
    made: dict[str, Any] = {**event, "type": name, "sequence_number": 0}
    if not fits(made, name):
        made = _struct(made, plan_of(EVENTS[name]), known, told, "$")
    for _ in range(_ROUNDS if "item" in made or "part" in made else 0):
        odd = judge_structure(made, name, Findings("strict"))
        if not odd:
            break
        made = msgspec.to_builtins(made)
        for path in sorted(odd):
            told.append(path)
            _settle(made, path.removeprefix("$.").split("."), known)
    return made, told


def fitted_response(response: Mapping[str, Any], known: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a copy of a response whose members have their types, its output aside, and the paths of the changes."""
    told: list[str] = []
    output = response.get("output")
    made = _struct({**response, "output": []}, plan_of(ResponseObject), known, told, "$.response")
    return {**made, "output": output}, told


def type_of(fields: Mapping[str, Any]) -> str | None:
    """Return the type of an item that tells none, by its members; None where they do not tell either."""
    best, most = None, 1
    for kind, struct in ITEM_TYPES.items():
        plan = plan_of(struct)
        needed = {name for name, member in plan.members.items() if member.required} - {"id", "status"}
        shared = len(plan.members.keys() & fields.keys() - {"id", "status"})
        if needed and needed <= fields.keys() and shared > most:
            best, most = kind, shared
    return best


def accepts(branches: Branches, value: object) -> bool:
    """Whether a scalar fits."""
    if branches.leaf is None:
        return False
    try:
        msgspec.convert(value, branches.leaf)
    except (msgspec.ValidationError, RecursionError):
        return False
    return True


def _fit(value: Any, branches: Branches, known: Any, told: list[str], path: str) -> Any:
    """Return *value* so that it fits; `_NOTHING` where nothing of it does."""
    if isinstance(value, dict) and branches.structs:
        return _object(value, branches, known, told, path)
    if branches.leaf is not None and accepts(branches, value):
        return value
    if isinstance(value, dict) and branches.value is not None:
        inner = {key: _fit(member, branches.value, None, told, f"{path}.{key}") for key, member in value.items()}
        return {key: member for key, member in inner.items() if member is not _NOTHING}
    if isinstance(value, list) and branches.element is not None:
        before = known if isinstance(known, list) else []
        elements = []
        for at, element in enumerate(value):
            like = before[at] if at < len(before) else None
            elements.append(_fit(element, branches.element, like, told, f"{path}[{at}]"))
        if any(element is _NOTHING for element in elements):
            told.append(path)
        return [element for element in elements if element is not _NOTHING]
    return _NOTHING


def _object(value: dict[str, Any], branches: Branches, known: Any, told: list[str], path: str) -> Any:
    kind = value.get("type")
    struct = branches.known.get(kind) if isinstance(kind, str) else None
    struct = struct or branches.single
    if struct is None and branches.unknown is not None and (isinstance(kind, str) or branches.unknown is UnknownObject):
        return value
    if struct is None:
        if isinstance(known, dict) and isinstance(known.get("type"), str):
            struct = branches.known.get(known["type"])
        if struct is None:
            return _NOTHING
        told.append(f"{path}.type")
        value = {**value, "type": struct.__struct_config__.tag}
    return _struct(value, plan_of(struct), known if isinstance(known, Mapping) else {}, told, path)


def _struct(value: dict[str, Any], plan: Plan, known: Mapping[str, Any], told: list[str], path: str) -> dict[str, Any]:
    made = dict(value)
    for name, member in plan.members.items():
        here, given = f"{path}.{name}", made.get(name)
        if given is None and not accepts(member.branches, None):
            # An optional member that is null is as good as absent (R181).
            if member.required:
                told.append(here)
                made[name] = _known(name, member.branches, known)
            continue
        if name not in made:
            if member.required:
                told.append(here)
                made[name] = _known(name, member.branches, known)
            continue
        fitting = _fit(given, member.branches, known.get(name), told, here)
        if fitting is not _NOTHING:
            made[name] = fitting
            continue
        told.append(here)
        if member.required or name in known:
            made[name] = _known(name, member.branches, known)
        else:
            del made[name]
    return made


def _known(name: str, branches: Branches, known: Mapping[str, Any]) -> Any:
    value = _fit(known[name], branches, None, [], "") if name in known else _NOTHING
    if value is not _NOTHING and (value is not None or accepts(branches, None)):
        return value
    if name in _USUAL and accepts(branches, _USUAL[name]):
        return _USUAL[name]
    return least(branches)


def least(branches: Branches) -> Any:
    """Return a value that fits and says as little as may be."""
    if branches.choices:
        return branches.choices[0]
    if branches.leaf is not None:
        fitting = [value for value in _EMPTY if accepts(branches, value)]
        if fitting:
            return msgspec.to_builtins(fitting[0])
    if branches.element is not None:
        return []
    struct = branches.single or next(iter(branches.known.values()), None)
    if struct is None:
        return {}
    tag = struct.__struct_config__.tag
    return _struct({"type": tag} if isinstance(tag, str) else {}, plan_of(struct), {}, [], "")


@functools.cache
def _member_of(kind: str, name: str) -> Branches | None:
    struct = ITEM_TYPES.get(kind)
    member = plan_of(struct).members.get(name) if struct is not None else None
    return member.branches if member is not None else None


def _settle(event: dict[str, Any], steps: list[str], known: Mapping[str, Any]) -> None:
    """Set the member that *steps* lead to: one that the wire type does without, and the protocol does not."""
    holder: Any = event
    before: Any = known
    for step in steps[:-1]:
        holder = holder.get(step) if isinstance(holder, dict) else None
        before = before.get(step) if isinstance(before, Mapping) else None
    if not isinstance(holder, dict) or "[" in "".join(steps):
        return
    last = steps[-1]
    said = before.get(last) if isinstance(before, Mapping) else None
    if said is not None:
        holder[last] = said
    elif last in _USUAL:
        holder[last] = _USUAL[last]
    elif last == "annotations":
        holder[last] = []
    elif last == "error":
        holder[last] = {"type": "mcp_error", "message": holder[last]} if isinstance(holder.get(last), str) else None
    elif last == "type":
        holder[last] = "update_file"
    else:
        branches = _member_of(str(event.get("item", {}).get("type")), last)
        holder[last] = "" if branches is None else least(branches)
