"""The base streams of ordering-rules.md section 4, and the steps that break them.

Knows nothing of the package under test: plain dicts in, plain dicts out.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, TypeAlias

Json: TypeAlias = dict[str, Any]

_HERE: Final = Path(__file__).parent
_FILE: Final[Json] = json.loads((_HERE / "base_streams.json").read_text("utf-8"))

NAMES: Final[tuple[str, ...]] = tuple(_FILE["streams"])
EXAMPLES: Final[dict[str, list[str]]] = json.loads((_HERE / "rule_examples.json").read_text("utf-8"))
"""For a rule, the stream and the steps that break it (the last column of the catalogue)."""


def base_stream(name: str) -> list[Json]:
    """Return a base stream, written out and numbered."""
    events: list[Json] = []
    for compact in _FILE["streams"][name]["events"]:
        events.append(_written_out(compact, events))
    return numbered(events)


def broken(name: str, steps: Iterable[str]) -> list[Json]:
    """Return a base stream after *steps*."""
    events = base_stream(name)
    for step in steps:
        verb, _, rest = step.partition(" ")
        events = _STEPS[verb](events, rest)
    return events


def numbered(events: list[Json]) -> list[Json]:
    """Number events anew, from 0."""
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def _written_out(value: Any, before: list[Json]) -> Any:
    if value == "$U":
        return copy.deepcopy(_FILE["$U"])
    if isinstance(value, list):
        return [_written_out(element, before) for element in value]
    if not isinstance(value, dict):
        return value
    if "$R" in value:
        return copy.deepcopy(_FILE["RESP"]) | _written_out(value["$R"], before)
    if "$item" in value:
        return copy.deepcopy(before[value["$item"]]["item"])
    return {name: _written_out(member, before) for name, member in value.items()}


def _span(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    return int(first), int(last or first)


def _drop(events: list[Json], rest: str) -> list[Json]:
    first, last = _span(rest)
    return numbered(events[:first] + events[last + 1 :])


def _dup(events: list[Json], rest: str) -> list[Json]:
    at = int(rest)
    return numbered([*events[: at + 1], copy.deepcopy(events[at]), *events[at + 1 :]])


def _move(events: list[Json], rest: str) -> list[Json]:
    at, before = map(int, rest.split())
    others = events[:at] + events[at + 1 :]
    place = before if before < at else before - 1
    return numbered([*others[:place], events[at], *others[place:]])


def _insert(events: list[Json], rest: str) -> list[Json]:
    place, _, text = rest.partition(" ")
    at = int(place)
    return numbered([*events[:at], _written_out(json.loads(text), events), *events[at:]])


def _set(events: list[Json], rest: str) -> list[Json]:
    place, _, text = rest.partition("=")
    value = _written_out(json.loads(text), events)
    at, *path = place.split(".")
    if not path:
        value = {"sequence_number": int(at)} | value
    _put([events], [at, *path], value)
    return events


def _del(events: list[Json], rest: str) -> list[Json]:
    at, *path = rest.split(".")
    holder: Any = events[int(at)]
    for step in path[:-1]:
        holder = holder[int(step)] if isinstance(holder, list) else holder[step]
    del holder[path[-1]]
    return events


def _every(events: list[Json], rest: str) -> list[Json]:
    found = re.fullmatch(r"(\S+) (\w+)=(.*)", rest)
    assert found is not None
    first, last = _span(found[1])
    for event in events[first : last + 1]:
        if found[2] in event:
            event[found[2]] = json.loads(found[3])
    return events


def _renumber(events: list[Json], rest: str) -> list[Json]:
    start = int(rest.removeprefix("from "))
    return [{**event, "sequence_number": number} for number, event in enumerate(events, start)]


def _put(root: list[Any], path: list[str], value: Any) -> None:
    holder: Any = root[0]
    for step in path[:-1]:
        holder = holder[int(step)] if isinstance(holder, list) else holder[step]
    last: Any = int(path[-1]) if isinstance(holder, list) else path[-1]
    holder[last] = value


_STEPS: Final = {
    "drop": _drop,
    "dup": _dup,
    "move": _move,
    "insert": _insert,
    "set": _set,
    "del": _del,
    "every": _every,
    "renumber": _renumber,
}
