"""Damage to a legal stream: one thing is done to it, at one place.

Each kind of damage lists all that it can do to a stream, so that a test may draw one or go through them all. A damage
knows by when it has to be noticed: what is wrong in itself where it stands, what is missed later by the event that
repeats it, or by the end of the item or of the stream.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import attrs

Json: TypeAlias = dict[str, Any]
Stream: TypeAlias = Sequence[Json]
Path: TypeAlias = tuple[str | int, ...]

_TERMINAL: Final = ("response.completed", "response.failed", "response.incomplete")
_TYPES: Final = (
    *("response.created", "response.queued", "response.in_progress", *_TERMINAL, "error"),
    *("response.output_item.added", "response.output_item.done"),
    *("response.content_part.added", "response.content_part.done"),
    *("response.output_text.delta", "response.output_text.done", "response.refusal.delta", "response.refusal.done"),
    *("response.reasoning_text.delta", "response.reasoning_text.done", "response.reasoning.delta"),
    *("response.reasoning_summary_part.added", "response.reasoning_summary_part.done"),
    *("response.reasoning_summary_text.delta", "response.reasoning_summary_text.done"),
    *("response.function_call_arguments.delta", "response.function_call_arguments.done"),
    *("response.mcp_call_arguments.delta", "response.mcp_call_arguments.done"),
    *("response.mcp_call.in_progress", "response.mcp_call.completed", "response.mcp_call.failed"),
    *("response.web_search_call.in_progress", "response.web_search_call.completed"),
    *("response.shell_call_command.added", "response.shell_call_command.done", "response.compaction.compacting"),
    *("acme:trace", "response.output_text.magic", "keepalive"),
)
_TEXTS: Final = frozenset({"delta", "text", "refusal", "arguments", "input", "code", "diff", "command", "stdout"})
_IDS: Final = frozenset({"item_id", "id", "call_id"})
_INDEXES: Final = frozenset(
    {"output_index", "content_index", "summary_index", "command_index", "annotation_index", "partial_image_index"}
)
_VALUES: Final[tuple[Any, ...]] = (None, True, 7, -1, 2.5, "x", [], ["x"], {}, {"type": "x"})


@attrs.frozen
class Damage:
    """What is done to a stream.

    Attributes:
        kind: the name of the kind.
        at: the event that it is done to.
        path: the member within the event, where it is done to one.
        value: what is put there, or what else the kind needs to know.
        numbered: whether the events are numbered anew afterwards, so that the numbers do not tell.
    """

    kind: str
    at: int
    path: Path = ()
    value: Any = None
    numbered: bool = False

    def done_to(self, events: Stream) -> list[Json]:
        """Return the damaged stream; *events* stay as they are."""
        damaged = _WAYS[self.kind](list(events), self)
        return renumbered(damaged) if self.numbered else damaged

    def __str__(self) -> str:
        where = f".{'.'.join(map(str, self.path))}" if self.path else ""
        what = "" if self.value is None else f" {self.value!r:.60}"
        return f"{self.kind} {self.at}{where}{what}{', numbered anew' if self.numbered else ''}"


def renumbered(events: Stream) -> list[Json]:
    """Number events anew, from 0."""
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


# The structure of the stream.


def _drops(events: Stream) -> Iterator[Damage]:
    for at in range(len(events)):
        yield Damage("drop", at)
        yield Damage("drop", at, numbered=True)


def _drop(events: list[Json], damage: Damage) -> list[Json]:
    return events[: damage.at] + events[damage.at + 1 :]


def _duplicates(events: Stream) -> Iterator[Damage]:
    for at in range(len(events)):
        yield Damage("duplicate", at)
        yield Damage("duplicate", at, numbered=True)


def _duplicate(events: list[Json], damage: Damage) -> list[Json]:
    return [*events[: damage.at + 1], *events[damage.at :]]


def _swaps(events: Stream) -> Iterator[Damage]:
    for at in range(len(events) - 1):
        yield Damage("swap", at)
        yield Damage("swap", at, numbered=True)


def _swap(events: list[Json], damage: Damage) -> list[Json]:
    at = damage.at
    return [*events[:at], events[at + 1], events[at], *events[at + 2 :]]


def _renumberings(events: Stream) -> Iterator[Damage]:
    for at in range(len(events)):
        for number in {at - 1, at + 1, at + 7, 0} - {at, -1}:
            yield Damage("renumber", at, ("sequence_number",), number)


def _reopenings(events: Stream) -> Iterator[Damage]:
    begun: dict[tuple[Any, ...], int] = {}
    for at, event in enumerate(events):
        stem, _, word = str(event["type"]).rpartition(".")
        where = (stem.removesuffix("_text"), *(event.get(index) for index in sorted(_INDEXES)))
        if word == "added":
            begun[where] = at
        elif word == "done" and where in begun:
            yield Damage("reopen", at, value=begun[where])
            yield Damage("reopen", at, value=begun[where], numbered=True)


def _reopen(events: list[Json], damage: Damage) -> list[Json]:
    return [*events[: damage.at + 1], events[damage.value], *events[damage.at + 1 :]]


def _truncations(events: Stream) -> Iterator[Damage]:
    for at in range(len(events)):
        yield Damage("truncate", at)


def _truncate(events: list[Json], damage: Damage) -> list[Json]:
    return events[: damage.at]


# The members of an event.


def _retaggings(events: Stream) -> Iterator[Damage]:
    for at, event in enumerate(events):
        for name in _TYPES:
            if name != event["type"]:
                yield Damage("retag", at, ("type",), name)


def _renamings(events: Stream) -> Iterator[Damage]:
    for at, event in enumerate(events):
        for path, value in places(event):
            if path[-1] in _IDS and isinstance(value, str):
                yield Damage("change an id", at, path, f"{value}x")
                for other in {other for other in _ids(events) if other != value}:
                    yield Damage("change an id", at, path, other)


def _ids(events: Stream) -> Iterator[str]:
    for event in events:
        item = event.get("item")
        if isinstance(item, Mapping):
            yield from (item[name] for name in _IDS if isinstance(item.get(name), str))


def _cuts(events: Stream) -> Iterator[Damage]:
    for at, event in enumerate(events):
        for path, value in places(event):
            if path[-1] in _TEXTS and isinstance(value, str) and value:
                yield Damage("cut a text", at, path, value[:-1])
                yield Damage("cut a text", at, path, value[1:])


def _miscounts(events: Stream) -> Iterator[Damage]:
    for at, event in enumerate(events):
        for index in _INDEXES & event.keys():
            for value in {event[index] - 1, event[index] + 1, event[index] + 5}:
                yield Damage("change an index", at, (index,), value)


def _deletions(events: Stream) -> Iterator[Damage]:
    for at, event in enumerate(events):
        for path, _ in places(event):
            if isinstance(path[-1], str):
                yield Damage("delete a member", at, path)


def _mistypings(events: Stream) -> Iterator[Damage]:
    for at, event in enumerate(events):
        for path, before in places(event):
            for value in _VALUES:
                if _sort(value) != _sort(before):
                    yield Damage("set to a wrong type", at, path, value)


def _exchanges(events: Stream) -> Iterator[Damage]:
    for at, event in enumerate(events):
        for path, before in places(event):
            holder = _at(event, path[:-1])
            if not isinstance(holder, dict):
                continue
            later = list(holder)[list(holder).index(path[-1]) + 1 :]
            for other in later:
                if _same(holder[other], before):
                    continue
                yield Damage("exchange members", at, path, other)


def places(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield each place within an event, and what is there."""
    within: Any = ()
    if isinstance(value, dict):
        within = value.items()
    elif isinstance(value, list):
        within = enumerate(value)
    for key, inner in within:
        yield (*path, key), inner
        yield from places(inner, (*path, key))


def _at(value: Any, path: Path) -> Any:
    for key in path:
        value = value[key]
    return value


def _sort(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return repr(value is None)
    return "number" if isinstance(value, int | float) else type(value).__name__


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) and _sort(one) == _sort(other)


def _changed(change: Callable[[Any, Damage], None]) -> Callable[[list[Json], Damage], list[Json]]:
    """Return what applies *change* to a copy of the event."""

    def apply(events: list[Json], damage: Damage) -> list[Json]:
        events[damage.at] = copy.deepcopy(events[damage.at])
        change(_at(events[damage.at], damage.path[:-1]), damage)
        return events

    return apply


def _set(holder: Any, damage: Damage) -> None:
    holder[damage.path[-1]] = damage.value


def _delete(holder: Any, damage: Damage) -> None:
    del holder[damage.path[-1]]


def _exchange(holder: Any, damage: Damage) -> None:
    one, other = damage.path[-1], damage.value
    holder[one], holder[other] = holder[other], holder[one]


KINDS: Final[Mapping[str, Callable[[Stream], Iterator[Damage]]]] = MappingProxyType(
    {
        "drop": _drops,
        "duplicate": _duplicates,
        "swap": _swaps,
        "renumber": _renumberings,
        "reopen": _reopenings,
        "truncate": _truncations,
        "retag": _retaggings,
        "change an id": _renamings,
        "cut a text": _cuts,
        "change an index": _miscounts,
        "delete a member": _deletions,
        "set to a wrong type": _mistypings,
        "exchange members": _exchanges,
    }
)
"""All that each kind of damage can do to a stream."""

_WAYS: Final[Mapping[str, Callable[[list[Json], Damage], list[Json]]]] = MappingProxyType(
    {
        "drop": _drop,
        "duplicate": _duplicate,
        "swap": _swap,
        "reopen": _reopen,
        "truncate": _truncate,
        "delete a member": _changed(_delete),
        "exchange members": _changed(_exchange),
        **dict.fromkeys(
            ("renumber", "retag", "change an id", "cut a text", "change an index", "set to a wrong type"),
            _changed(_set),
        ),
    }
)
