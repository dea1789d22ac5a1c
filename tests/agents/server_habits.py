"""What real servers do all the time, each to a whole stream: the answer mostly stays the same, and its frame does not.

Where each comes from: llama.cpp has no `output_index`, names calls by their `call_id` and does all items at the end;
many gateways make a new id for each event, share one index among all items, or leave out what opens and closes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from responses_stream import ResponseEventStream
from responses_stream.protocol.codec import to_builtins
from responses_stream.protocol.events import ResponseStreamEvent

Json: TypeAlias = dict[str, Any]
Habit: TypeAlias = Callable[[Sequence[Json]], list[Json]]

_INDEXES: Final = ("output_index", "content_index", "summary_index", "annotation_index")
_OF_A_RESPONSE: Final = ("id", "object", "status", "output", "error", "incomplete_details", "usage")


def answer(kind: str) -> list[Json]:
    """Return a stream: one item for each letter, a message, a function call or a reasoning."""
    stream = ResponseEventStream("resp_01", {"model": "m"})
    events: list[ResponseStreamEvent] = [stream.emit_created(), stream.emit_in_progress()]
    for number, letter in enumerate(kind):
        if letter == "m":
            events += stream.output_item_message([f"text {number}", " and more"])
        elif letter == "f":
            events += stream.output_item_function_call(f"f{number}", f"call_{number}", ['{"x":', f"{number}}}"])
        else:
            events += stream.output_item_reasoning([f"thought {number}", " and more"])
    events.append(stream.emit_completed(usage={"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}))
    return [to_builtins(event) for event in events]


def _without_members(*members: str) -> Habit:
    return lambda events: [{name: one for name, one in event.items() if name not in members} for event in events]


def _without_events(*ends: str) -> Habit:
    return lambda events: [event for event in events if not event["type"].endswith(ends)]


def _with(events: Iterable[Json], member: str, made: Callable[[Any], Any]) -> list[Json]:
    return [{**event, member: made(event[member])} if member in event else event for event in events]


def _of_response(events: Iterable[Json], made: Callable[[Json], Json]) -> list[Json]:
    return _with(events, "response", made)


def _output(value: object) -> Habit:
    return lambda events: [*events[:-1], *_of_response(events[-1:], lambda response: {**response, "output": value})]


def _new_ids(events: Sequence[Json]) -> list[Json]:
    number = count()

    def renamed(item: Json) -> Json:
        return {**item, "id": f"it_{next(number)}"}

    events = _with(events, "item_id", lambda _: f"chatcmpl-{next(number)}")
    events = _with(events, "item", renamed)
    return _of_response(events, lambda response: {**response, "output": list(map(renamed, response["output"] or []))})


def _other_ids_at_the_end(events: Sequence[Json]) -> list[Json]:
    def renamed(response: Json) -> Json:
        output = response["output"] or []
        return {**response, "output": [{**item, "id": f"end_{place}"} for place, item in enumerate(output)]}

    return [*events[:-1], *_of_response(events[-1:], renamed)]


def _calls_by_call_id(events: Sequence[Json]) -> list[Json]:
    items = [event["item"] for event in events if isinstance(event.get("item"), dict)]
    calls = {item["id"]: item["call_id"] for item in items if "id" in item and "call_id" in item}

    def nameless(item: Json) -> Json:
        return {name: one for name, one in item.items() if name != "id"} if "call_id" in item else item

    events = _with(events, "item_id", lambda item_id: calls.get(item_id, item_id))
    events = _with(events, "item", nameless)
    return _of_response(events, lambda response: {**response, "output": list(map(nameless, response["output"] or []))})


def _done_at_the_end(events: Sequence[Json]) -> list[Json]:
    done = [event for event in events if event["type"] == "response.output_item.done"]
    return [*(event for event in events[:-1] if event not in done), *done, events[-1]]


def _bare_response(events: Sequence[Json]) -> list[Json]:
    return _of_response(events, lambda said: {name: one for name, one in said.items() if name in _OF_A_RESPONSE})


HABITS: Final[Mapping[str, Habit]] = MappingProxyType(
    {
        "no indexes": _without_members(*_INDEXES),
        "no output_index": _without_members("output_index"),
        "no numbers": _without_members("sequence_number"),
        "no item_id": _without_members("item_id"),
        "indexes from 1": lambda events: _with(events, "output_index", lambda index: index + 1),
        "one index": lambda events: _with(events, "output_index", lambda _: 0),
        "calls by call_id": _calls_by_call_id,
        "new ids": _new_ids,
        "other ids at the end": _other_ids_at_the_end,
        "done at the end": _done_at_the_end,
        "no created": _without_events(".created", ".in_progress"),
        "no added": _without_events("output_item.added"),
        "no parts": _without_events("_part.added", "_part.done"),
        "no values": _without_events("text.done", "arguments.done"),
        "no item done": _without_events("output_item.done"),
        "no done": _without_events("output_item.done", "text.done", "_part.done", "arguments.done"),
        "bare response": _bare_response,
        "empty output": _output([]),
        "null output": _output(None),
    }
)
"""What is done to a stream, by its name; in an order in which one can be done after the other."""


def done_to(events: Sequence[Json], habits: Iterable[str]) -> list[Json]:
    """Return a stream as a server with these habits sends it."""
    wanted, made = frozenset(habits), list(events)
    for name, habit in HABITS.items():
        if name in wanted:
            made = habit(made)
    return made


def tells_calls(habits: frozenset[str]) -> bool:
    """Whether the stream still tells what each call is named and answered by."""
    output = not habits & {"empty output", "null output"}
    return output or "no added" not in habits or not habits & {"no done", "no item done"}


def tells_items(habits: frozenset[str]) -> bool:
    """Whether the stream still tells which item each event is of: by added items, by ids, or by indexes."""
    ids = not habits & {"new ids", "no item_id"}
    indexes = not habits & {"no indexes", "no output_index", "one index"}
    return "no added" not in habits or ids or indexes
