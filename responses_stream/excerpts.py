"""Events as people read them: one line each, and the few around a place that is meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from responses_stream.errors import InvalidValue
from responses_stream.protocol.base import Event, UnknownEvent
from responses_stream.protocol.codec import to_builtins

_INDEXES: Final[Mapping[str, str]] = {
    "output_index": "output",
    "content_index": "content",
    "summary_index": "summary",
    "command_index": "command",
    "annotation_index": "annotation",
}
_WIDEST: Final = 60
_SPOKEN: Final = ("delta", "text", "refusal", "arguments", "input", "message", "code", "diff")


Shown: TypeAlias = Event | UnknownEvent | Mapping[str, Any] | str
"""An event, typed or plain, or the text of something that could not be read as one."""


def line_of(event: Shown) -> str:
    """Return one event on one line: its type, number and indexes, and what is worth reading of it."""
    if isinstance(event, str):
        return _short(event)
    try:
        plain = event if isinstance(event, Mapping) else to_builtins(event)
    except (InvalidValue, TypeError):  # what a handler makes need not be JSON
        return str(getattr(event, "type", "not JSON"))
    kind, number = str(plain.get("type", "no type")), plain.get("sequence_number", "none")
    indexes = [f"{word} {plain[name]}" for name, word in _INDEXES.items() if name in plain]
    return f"{kind:<40} #{number:<4} {' '.join(indexes):<20} {_gist(plain)}".rstrip()


def excerpt(
    events: Sequence[Shown],
    at: int,
    *,
    seen: str = "",
    expected: str = "",
    around: int = 2,
    end: str = "the stream ends here",
) -> tuple[str, ...]:
    """Return the events around the one that is meant, which is marked, and what is wrong with it, as a diff.

    Args:
        events: all events.
        at: which event is meant; the number of all events is the end of the stream.
        seen: what is there.
        expected: what should be.
        around: how many events to show on either side.
        end: what to say where the place is behind the last event.
    """
    width = len(str(len(events)))
    lines: list[str] = []
    for index in range(max(at - around, 0), min(at + around + 1, len(events))):
        lines.append(f"{'>' if index == at else ' '} {index:>{width}}  {line_of(events[index])}")
        if index == at:
            lines += _difference(seen, expected, width)
    if at >= len(events):
        lines += [f"> {'':>{width}}  ({end})", *_difference(seen, expected, width)]
    return tuple(lines)


def _difference(seen: str, expected: str, width: int) -> Iterator[str]:
    for sign, text in (("-", seen), ("+", expected)):
        if text:
            yield f"{sign} {'':>{width}}  {text}"


def _gist(event: Mapping[str, Any]) -> str:
    """Return what is worth reading of an event, in a few words."""
    for member in _SPOKEN:
        if isinstance(event.get(member), str):
            return _short(repr(event[member]))
    for member in ("response", "item", "part", "annotation", "error", "delta"):
        value = event.get(member)
        if isinstance(value, Mapping):
            return _short(" ".join(_words(value)))
    return f"item {event['item_id']}" if "item_id" in event else ""


def _words(value: Mapping[str, Any]) -> Iterator[str]:
    """The members of an object that tell it from others."""
    for member in ("type", "status", "name", "code", "url"):
        if isinstance(value.get(member), str) and value[member]:
            yield value[member]
    parts = [*_list(value.get("summary")), *_list(value.get("content"))]
    text = "".join(str(part.get("text", "")) for part in parts if isinstance(part, Mapping))
    said = next((value[name] for name in _SPOKEN if isinstance(value.get(name), str) and value[name]), text)
    if said:
        yield repr(said)
    # Last, because a long one is cut.
    if isinstance(value.get("id"), str):
        yield value["id"]


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _short(text: str) -> str:
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 3]}..."
