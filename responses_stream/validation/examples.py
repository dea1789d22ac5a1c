"""Streams to learn a rule from: fifteen whole ones, and the steps that change them, as ordering-rules.md writes them.

``V1: drop 3; set 9.response.output=[]`` is the first base stream without its fourth event and with another member in
what is then its tenth. Positions count in the list as it stands at that step. After `drop`, `dup`, `move` and `insert`
the numbers are written anew, from 0 in each response. ``V1+V2`` is one stream behind the other.
"""

from __future__ import annotations

import copy
import functools
import importlib.resources
import json
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

import attrs
import msgspec

from responses_stream import lifecycle
from responses_stream.validation.profiles import Profile

Json: TypeAlias = dict[str, Any]

_CLIENT: Final = frozenset({"response.create", "response.steer"})


@attrs.frozen
class Example:
    """A stream, and how it is judged.

    Attributes:
        notation: the base stream and the steps that change it.
        profile: the profile it is judged in.
        edits: what is replaced, once each and in order, in the stream written as Server-Sent Events; None where the
            events are judged and not their text. ``()`` is the text as it is.
        messages: raw text messages behind the events; for WebSocket.
        starting_after: the cursor of the replay that the stream is.
        original: the stream that it replays, as notation.
        retrieved: the stream whose last copy of the response is what GET returned.
        request: the body that the stream answers.
        transport: how the events travelled.
    """

    notation: str
    profile: Profile = "strict"
    edits: tuple[tuple[str, str], ...] | None = None
    messages: tuple[str, ...] = ()
    starting_after: int | None = None
    original: str | None = None
    retrieved: str | None = None
    request: Mapping[str, Any] | None = None
    transport: Literal["sse", "websocket"] = "sse"

    @property
    def events(self) -> list[Json]:
        """The events as plain dicts."""
        return stream_of(self.notation)

    @property
    def source(self) -> list[Json | str] | str:
        """What is judged: text where there are `edits`, else the events and the raw messages behind them."""
        if self.edits is None:
            return [*self.events, *self.messages]
        text = "".join(frame_of(event) for event in self.events)
        for old, new in self.edits:
            if old not in text:
                raise ValueError(f"{self.notation}: no {old!r} in the text")
            text = text.replace(old, new, 1)
        return text

    @property
    def settings(self) -> Mapping[str, Any]:
        """The keyword arguments of `validate_events` that judge it."""
        settings: Json = {"profile": self.profile, "transport": self.transport}
        if self.starting_after is not None:
            settings["starting_after"] = self.starting_after
        if self.original is not None:
            settings["original"] = stream_of(self.original)
        if self.retrieved is not None:
            settings["retrieved"] = stream_of(self.retrieved)[-1]["response"]
        if self.request is not None:
            settings["request"] = self.request
        return settings


def frame_of(event: Mapping[str, Any]) -> str:
    """Return an event as the frame that a well-behaved server writes."""
    return f"event: {event.get('type')}\ndata: {msgspec.json.encode(event).decode()}\n\n"


def stream_of(notation: str) -> list[Json]:
    """Return the events that *notation* stands for, which the caller may change.

    Raises:
        ValueError, KeyError, IndexError: it names no stream, no step, or no place in the stream.
    """
    names, _, steps = notation.partition(":")
    events = numbered([event for name in names.split("+") for event in base_stream(name.strip())])
    for step in filter(None, map(str.strip, steps.split("; "))):
        verb, _, rest = step.partition(" ")
        events = _STEPS[verb](events, rest)
    return events


def base_stream(name: str) -> list[Json]:
    """Return a base stream, ``V1`` to ``V15``, written out and numbered."""
    events: list[Json] = []
    for compact in _file()["streams"][name]["events"]:
        events.append(_written_out(compact, events))
    return numbered(events)


def numbered(events: list[Json]) -> list[Json]:
    """Number events anew, from 0, and from 0 again where another response begins."""
    number, before, again = 0, "", []
    for event in events:
        name = event.get("type", "")
        if name == lifecycle.CREATED and before in lifecycle.TERMINAL:
            number = 0
        again.append(event if name in _CLIENT else {**event, "sequence_number": number})
        number += name not in _CLIENT
        before = before if name in _CLIENT else name
    return again


def names() -> tuple[str, ...]:
    """Return the names of the base streams."""
    return tuple(_file()["streams"])


@functools.cache
def _file() -> Json:
    text = importlib.resources.files(__package__).joinpath("base_streams.json").read_text("utf-8")
    found: Json = json.loads(text)
    return found


def _written_out(value: Any, before: list[Json]) -> Any:
    if value == "$U":
        return copy.deepcopy(_file()["$U"])
    if isinstance(value, list):
        return [_written_out(element, before) for element in value]
    if not isinstance(value, dict):
        return value
    if "$R" in value:
        return copy.deepcopy(_file()["RESP"]) | _written_out(value["$R"], before)
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
    if path:
        holder, last = _holder(events[int(at)], path)
        holder[last] = value
    else:
        events[int(at)] = {"sequence_number": int(at)} | value
    return events


def _del(events: list[Json], rest: str) -> list[Json]:
    at, *path = rest.split(".")
    holder, last = _holder(events[int(at)], path)
    del holder[last]
    return events


def _every(events: list[Json], rest: str) -> list[Json]:
    found = re.fullmatch(r"(\S+) (\w+)=(.*)", rest)
    if found is None:
        raise ValueError(f"every {rest}: expected 'every a-b field=value'")
    first, last = _span(found[1])
    for event in events[first : last + 1]:
        if found[2] in event:
            event[found[2]] = json.loads(found[3])
    return events


def _renumber(events: list[Json], rest: str) -> list[Json]:
    start = int(rest.removeprefix("from "))
    return [{**event, "sequence_number": number} for number, event in enumerate(events, start)]


def _holder(of: Any, path: list[str]) -> tuple[Any, Any]:
    for step in path[:-1]:
        of = of[int(step)] if isinstance(of, list) else of[step]
    return of, int(path[-1]) if isinstance(of, list) else path[-1]


_STEPS: Final[Mapping[str, Callable[[list[Json], str], list[Json]]]] = MappingProxyType(
    {
        "drop": _drop,
        "dup": _dup,
        "move": _move,
        "insert": _insert,
        "set": _set,
        "del": _del,
        "every": _every,
        "renumber": _renumber,
    }
)
