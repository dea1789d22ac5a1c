"""How to read it: events in, the `ResponseObject` that they tell of out, at any moment of the stream.

An `Accumulator` takes typed events, plain dicts, and SSE bytes or text in any cuts. It keeps deltas as they come and
joins them when somebody asks for `response`; an item that is done is kept as its done event says. It is tolerant: it
folds what it is given, and leaves it to a validator to judge the order.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias, cast, overload

import attrs
import msgspec

from responses_stream.errors import DecodeError, InvalidType, Problem
from responses_stream.protocol.base import Event, UnknownEvent, Wire
from responses_stream.protocol.codec import decode_event, decode_union, to_builtins
from responses_stream.protocol.events import (
    LifecycleEvent,
    ResponseCompletedEvent,
    ResponseCreatedEvent,
    ResponseErrorEvent,
    ResponseInProgressEvent,
    ResponseOutputItemAddedEvent,
    ResponseOutputItemDoneEvent,
    ResponseStreamEvent,
)
from responses_stream.protocol.items import OutputItem
from responses_stream.protocol.response import ResponseObject
from responses_stream.sse import Chunk, EventDecoder

Source: TypeAlias = Event | UnknownEvent | Mapping[str, Any] | Chunk
"""An event, typed or plain, or a piece of an SSE stream, cut anywhere."""

_Path: TypeAlias = tuple[str | int, ...]

_INDEXES: Final = ("content_index", "summary_index", "command_index")

# Which member of the item an event speaks of (items.md section 2); "#" stands for the event's index.
_DELTAS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "response.output_text.delta": ("content", "#", "text"),
        "response.refusal.delta": ("content", "#", "refusal"),
        "response.reasoning_text.delta": ("content", "#", "text"),
        "response.reasoning.delta": ("content", "#", "text"),
        "response.reasoning_summary_text.delta": ("summary", "#", "text"),
        "response.function_call_arguments.delta": ("arguments",),
        "response.custom_tool_call_input.delta": ("input",),
        "response.mcp_call_arguments.delta": ("arguments",),
        "response.code_interpreter_call_code.delta": ("code",),
        "response.shell_call_command.delta": ("action", "commands", "#"),
        "response.apply_patch_call_operation_diff.delta": ("operation", "diff"),
    }
)
_VALUES: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = MappingProxyType(
    {
        "response.content_part.added": ("part", ("content", "#")),
        "response.content_part.done": ("part", ("content", "#")),
        "response.reasoning_summary_part.added": ("part", ("summary", "#")),
        "response.reasoning_summary_part.done": ("part", ("summary", "#")),
        "response.output_text.done": ("text", ("content", "#", "text")),
        "response.refusal.done": ("refusal", ("content", "#", "refusal")),
        "response.reasoning_text.done": ("text", ("content", "#", "text")),
        "response.reasoning.done": ("text", ("content", "#", "text")),
        "response.reasoning_summary_text.done": ("text", ("summary", "#", "text")),
        "response.function_call_arguments.done": ("arguments", ("arguments",)),
        "response.custom_tool_call_input.done": ("input", ("input",)),
        "response.mcp_call_arguments.done": ("arguments", ("arguments",)),
        "response.code_interpreter_call_code.done": ("code", ("code",)),
        "response.shell_call_command.added": ("command", ("action", "commands", "#")),
        "response.shell_call_command.done": ("command", ("action", "commands", "#")),
        "response.apply_patch_call_operation_diff.done": ("diff", ("operation", "diff")),
    }
)
_STATUSES: Final = frozenset({"searching", "interpreting", "generating"})


@attrs.define
class _OpenItem:
    """An item between its added and its done: what was shown of it, and the pieces that came since."""

    item: dict[str, Any]
    pieces: dict[_Path, list[str]] = attrs.field(factory=dict)

    def add(self, path: _Path, delta: str) -> None:
        self.pieces.setdefault(path, []).append(delta)

    def set(self, path: _Path, value: Any) -> None:
        # A done value stands for all pieces of it, those inside it too.
        for inner in [key for key in self.pieces if key[: len(path)] == path]:
            del self.pieces[inner]
        _put(self.item, path, value)

    def append(self, path: _Path, value: Any) -> None:
        found = _get(self.item, path)
        if isinstance(found, list):
            found.append(value)
        else:
            _put(self.item, path, [value])

    def snapshot(self) -> dict[str, Any]:
        for pieces in self.pieces.values():
            if len(pieces) > 1:
                pieces[:] = ["".join(pieces)]
        shown: dict[str, Any] = msgspec.to_builtins(self.item)
        for path, pieces in self.pieces.items():
            before = _get(shown, path)
            _put(shown, path, (before if isinstance(before, str) else "") + "".join(pieces))
        return shown


@attrs.define
class Accumulator:
    """Folds a stream, event by event.

    Attributes:
        error: the last `error` event, where one came; a stream may consist of it alone (H3.10).
    """

    error: ResponseErrorEvent | None = attrs.field(init=False, default=None)
    _said: ResponseObject | None = attrs.field(init=False, default=None)
    _ended: bool = attrs.field(init=False, default=False)
    _done: dict[int, OutputItem] = attrs.field(init=False, factory=dict)
    _open: dict[int, _OpenItem] = attrs.field(init=False, factory=dict)
    _again: bool = attrs.field(init=False, default=False)
    _events: int = attrs.field(init=False, default=0)
    _decoder: EventDecoder | None = attrs.field(init=False, default=None)

    @property
    def response(self) -> ResponseObject | None:
        """The response as far as it was told; None before anything was. Not changed by what comes later."""
        if self._said is None or self._ended:
            return self._said
        return msgspec.structs.replace(self._said, output=self._output())

    @property
    def ended(self) -> bool:
        """Whether a terminal event has come."""
        return self._ended

    def feed(self, source: Source) -> None:
        """Take an event, or a piece of an SSE stream.

        Raises:
            DecodeError: it is not an event. With SSE, feeding on goes on with the frame behind it.
            InvalidType: it is none of the kinds that can be read.
        """
        if isinstance(source, Event | UnknownEvent):
            self._fold(cast("ResponseStreamEvent", source))
        elif isinstance(source, Mapping):
            self._fold(decode_event(dict(source), number=self._events))
        elif isinstance(source, bytes | bytearray | memoryview | str):
            if self._decoder is None:
                self._decoder = EventDecoder(number_missing=True)
            for event in self._decoder.feed(source):
                self._fold(event)
        else:
            raise InvalidType("source", "an event, a dict, or SSE bytes or text", source)

    def _output(self) -> list[OutputItem]:
        items = dict(self._done)
        for index, item in self._open.items():
            items[index] = decode_union(item.snapshot(), OutputItem, "output item")
        return [items[index] for index in sorted(items)]

    def _fold(self, event: ResponseStreamEvent) -> None:
        self._events += 1
        if isinstance(event, LifecycleEvent):
            self._lifecycle(event)
        elif isinstance(event, ResponseErrorEvent):
            self.error = event
        elif isinstance(event, ResponseOutputItemAddedEvent):
            if self._again:
                self._take_back(event.output_index)
            self._open[event.output_index] = _OpenItem(to_builtins(event.item))
        elif isinstance(event, ResponseOutputItemDoneEvent):
            self._open.pop(event.output_index, None)
            self._done[event.output_index] = event.item
        else:
            item = self._open.get(getattr(event, "output_index", -1))
            if item is not None:
                _fold_inside(item, event)

    def _lifecycle(self, event: LifecycleEvent) -> None:
        response = event.response
        if self._ended and isinstance(event, ResponseCreatedEvent):
            # The next response of the same connection: nothing of the last one belongs to it.
            self._done.clear()
            self._open.clear()
            self.error = None
        self._ended = event.type in ("response.completed", "response.failed", "response.incomplete")
        if self._ended and not response.output and isinstance(event, ResponseCompletedEvent):
            # Some servers end with an empty output though they streamed items (A6); what was streamed was said.
            response = msgspec.structs.replace(response, output=self._output())
        elif isinstance(event, ResponseInProgressEvent) and response.output:
            # A stream that goes on from stored items tells them here (H17.20), and so does one that another server has
            # taken up: what it says stands for all that was said before (H18.35).
            self._open.clear()
            self._done = dict(enumerate(response.output))
        elif isinstance(event, ResponseInProgressEvent):
            # One that is taken up without any item, or a sign of life of a server that has nothing better (clients.md):
            # which of the two, the next item tells.
            self._again = bool(self._done or self._open)
        self._said = response

    def _take_back(self, index: int) -> None:
        """Forget what was said from an item on that is said once more (H18.36, H18.38)."""
        self._again = False
        for items in (self._done, self._open):
            for later in [at for at in items if at >= index]:
                del items[later]


def _fold_inside(item: _OpenItem, event: ResponseStreamEvent) -> None:
    """Take an event inside an open item."""
    name = event.type
    index = next((getattr(event, member) for member in _INDEXES if hasattr(event, member)), 0)
    if name in _DELTAS:
        item.add(_path(_DELTAS[name], index), getattr(event, "delta", ""))
        logprobs = getattr(event, "logprobs", None)
        for logprob in logprobs or ():
            item.append(("content", index, "logprobs"), to_builtins(logprob))
    elif name in _VALUES:
        member, path = _VALUES[name]
        value = getattr(event, member)
        item.set(_path(path, index), to_builtins(value) if isinstance(value, Wire) else value)
    elif name == "response.output_text.annotation.added":
        annotation = getattr(event, "annotation", None)
        item.append(("content", index, "annotations"), None if annotation is None else to_builtins(annotation))
    elif name == "response.shell_call_output_content.delta":
        delta = getattr(event, "delta", None)
        if _get(item.item, ("output", index)) is None:
            # How it ends is told at its end; until then the entry is one without.
            _put(item.item, ("output", index), {"stdout": "", "stderr": "", "outcome": {}})
        for channel in ("stdout", "stderr"):
            item.add(("output", index, channel), getattr(delta, channel, None) or "")
    elif name == "response.shell_call_output_content.done":
        entries = [to_builtins(entry) for entry in getattr(event, "output", ())]
        item.set(("output", index), entries[0] if entries else {})
    elif name.rpartition(".")[2] in _STATUSES:
        item.item["status"] = name.rpartition(".")[2]


def _path(template: tuple[str, ...], index: int) -> _Path:
    return tuple(index if step == "#" else step for step in template)


def _get(of: Any, path: _Path) -> Any:
    for step in path:
        if isinstance(step, int):
            of = of[step] if isinstance(of, list) and 0 <= step < len(of) else None
        else:
            of = of.get(step) if isinstance(of, dict) else None
    return of


def _put(of: dict[str, Any], path: _Path, value: Any) -> None:
    """Set a member at *path*, making what leads to it."""
    here: Any = of
    for step, below in zip(path, (*path[1:], None), strict=True):
        if isinstance(step, int):
            if not isinstance(here, list) or step < 0 or step > len(here) + 64:
                return
            # A hole is what a broken stream leaves; it is shown empty rather than moved.
            here.extend({} for _ in range(step + 1 - len(here)))
        if below is None:
            here[step] = value
            return
        inner = here[step] if isinstance(step, int) else here.get(step)
        if not isinstance(inner, list if isinstance(below, int) else dict):
            inner = [] if isinstance(below, int) else {}
            here[step] = inner
        here = inner


@overload
def accumulate(events: Iterable[Source] | Chunk) -> ResponseObject: ...
@overload
def accumulate(events: AsyncIterable[Source]) -> Awaitable[ResponseObject]: ...
def accumulate(
    events: Iterable[Source] | AsyncIterable[Source] | Chunk,
) -> ResponseObject | Awaitable[ResponseObject]:
    """Fold a whole stream: events, dicts, or SSE bytes, or an iterable of them. An async iterable is to be awaited.

    Raises:
        DecodeError: something in it is not an event, or it tells of no response.
        InvalidType: something in it is none of the kinds that can be read.
    """
    if isinstance(events, AsyncIterable) and not isinstance(events, Iterable):
        return _accumulate_async(events)
    accumulator = Accumulator()
    if isinstance(events, bytes | bytearray | memoryview | str):
        events = [events]
    elif isinstance(events, Mapping) or not isinstance(events, Iterable):
        raise InvalidType("events", "SSE bytes or text, or an iterable of events", events)
    for source in events:
        accumulator.feed(source)
    return _told(accumulator)


async def _accumulate_async(events: AsyncIterable[Source]) -> ResponseObject:
    accumulator = Accumulator()
    async for source in events:
        accumulator.feed(source)
    return _told(accumulator)


def _told(accumulator: Accumulator) -> ResponseObject:
    response = accumulator.response
    if response is None:
        error = accumulator.error
        reason = "an error and no response" if error is not None else "no response: response.created is missing"
        raise DecodeError.of("stream", [Problem("$", f"tells of {reason}")])
    return response
