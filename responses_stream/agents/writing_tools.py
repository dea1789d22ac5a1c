"""Which call a piece is of: calls of the client, and of the agent's own tools, found again by their ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias, TypeVar, get_args

import attrs

from responses_stream.agents.contents import (
    CodeInterpreter,
    FunctionCall,
    FunctionResult,
    Image,
    ToolCall,
    ToolResult,
)
from responses_stream.agents.writing_calls import ClientCall, CodeRun, HostedCall, OwnCall, Picture
from responses_stream.agents.writing_items import ItemInMaking, Told, WholeItem
from responses_stream.agents.writing_line import Line
from responses_stream.agents.writing_whole import answered
from responses_stream.builders import values
from responses_stream.builders.stream import ResponseEventStream
from responses_stream.errors import InvalidValue
from responses_stream.protocol.hosted_items import CodeInterpreterOutput

ToolCalls: TypeAlias = Literal["hosted", "function", "hidden"]
"""How a `ToolCall` and its `ToolResult` look to a client.

``hosted``: an `mcp_call`, which no client tries to answer; ``function``: a `function_call` and its
`function_call_output`, for clients that show those; ``hidden``: not at all.
"""

_TOOL: Final = "tool"

_I = TypeVar("_I", bound=ItemInMaking)


@attrs.define(eq=False)
class Calls:
    """The calls of a response, by their ids.

    Those that have ended are known as well: what comes of them afterwards is understood, or refused by name.

    Attributes:
        label: whose tools those are of which nobody says it.
    """

    _stream: ResponseEventStream
    _line: Line
    _tool_calls: ToolCalls
    label: str = "agent"
    _calls: dict[str, ClientCall] = attrs.field(init=False, factory=dict)
    _own: dict[str, OwnCall] = attrs.field(init=False, factory=dict)
    _tools: dict[str, HostedCall] = attrs.field(init=False, factory=dict)
    _runs: dict[str, CodeRun] = attrs.field(init=False, factory=dict)
    _pictures: dict[str, Picture] = attrs.field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        values.choice("tool_calls", self._tool_calls, *get_args(ToolCalls))

    def function_call(self, content: FunctionCall) -> Told:
        """Take a piece of a call of the client's."""
        call = self._calls.get(content.call_id)
        if call is None:
            _check_first("FunctionCall", content.call_id, content.name)
            yield from self._end_whole()
            call = self._calls[content.call_id] = ClientCall(self._stream, content)
            call.note(content)
            yield from self._line.stand(call, content)
        elif not call.ended:
            yield from self._line.end_flow()
            call.note(content)
            yield from self._line.give(call, content)
        else:
            _check_ended(content)

    def function_result(self, content: FunctionResult) -> Told:
        """Take the answer to one."""
        yield from self._answer(self._calls.get(content.call_id), content)

    def _answer(self, call: ItemInMaking | None, content: FunctionResult) -> Told:
        events = answered(self._stream, content)
        yield from self._line.end_flow()
        if call is not None and not call.ended:
            yield from self._line.end(call)
        yield from self._line.stand(WholeItem(self._stream, events))

    def tool_call(self, content: ToolCall) -> Told:
        """Take a piece of a call of the agent's own."""
        if self._tool_calls == "function":
            yield from self._own_call(content)
            return
        call = self._tools.get(content.call_id)
        if call is not None and not call.ended:
            yield from self._line.end_flow()
            yield from self._line.give(call, content)
            return
        if self._tool_calls == "hidden":
            yield from self._line.end_flow()
            return
        _check_first("ToolCall", content.call_id, content.name)
        yield from self._end_whole()
        call = self._tools[content.call_id] = HostedCall(self._stream, content.name, content.server_label or self.label)
        yield from self._line.stand(call, content)

    def _end_whole(self) -> Told:
        """End what a new call ends: a call that has all of its arguments; others go on beside it."""
        yield from self._line.end_flow()
        for call in self._line.open(ClientCall):
            if call.is_whole:
                yield from self._line.end(call)

    def _own_call(self, content: ToolCall) -> Told:
        yield from self._line.end_flow()
        own = self._own.get(content.call_id)
        if own is None:
            _check_first("ToolCall", content.call_id, content.name)
            yield from self._end_whole()
            call = ClientCall(self._stream, FunctionCall(content.call_id, content.name))
            own = self._own[content.call_id] = OwnCall(self._stream, call)
            yield from self._line.stand(own)
        elif own.ended:
            _check_ended(content)
            return
        own.call.note(content)
        if own.call.is_whole:
            yield from self._line.end(own)

    def tool_result(self, content: ToolResult) -> Told:
        """Take what such a call came to."""
        output, error = values.text("output", content.output), values.text_or_none("error", content.error)
        if self._tool_calls == "function":
            own = self._own.get(content.call_id)
            told = FunctionResult(content.call_id, "\n".join(filter(None, (output, error))))
            yield from self._answer(own, told)
            return
        yield from self._line.end_flow()
        if self._tool_calls == "hidden":
            return
        call = self._tools.get(content.call_id)
        if call is None or call.ended:
            # Nobody told of the call, or it was answered before; what was returned is told all the same.
            name = _TOOL if call is None else call.name
            call = self._tools[content.call_id] = HostedCall(self._stream, name, self.label)
            yield from self._line.stand(call)
        call.result = content
        yield from self._line.end(call)

    def code(self, content: CodeInterpreter) -> Told:
        """Take a piece of code that ran, or its outputs."""
        outputs = content.outputs
        if outputs is not None:
            outputs = values.all_of("outputs", outputs, CodeInterpreterOutput, "output")
        container = values.text("container_id", content.container_id)
        run = _open_of(self._runs, content.call_id)
        if run is None:
            run = self._runs[content.call_id] = CodeRun(self._stream, container)
            yield from self._line.end_others()
            yield from self._line.stand(run, content)
        else:
            yield from self._line.end_others()
            yield from self._line.give(run, content)
        if outputs is not None:
            run.outputs = outputs
            yield from self._line.end(run)

    def image(self, content: Image) -> Told:
        """Take an image, or a first idea of it."""
        result = None if content.result is None else values.name("result", content.result)
        picture = _open_of(self._pictures, content.call_id)
        if picture is None:
            picture = self._pictures[content.call_id] = Picture(self._stream)
            yield from self._line.end_others()
            yield from self._line.stand(picture, content)
        else:
            yield from self._line.end_others()
            yield from self._line.give(picture, content)
        if result is not None:
            picture.result = result
            yield from self._line.end(picture)


CALLS: Final[Mapping[type, Callable[[Calls, Any], Told]]] = MappingProxyType(
    {
        FunctionCall: Calls.function_call,
        FunctionResult: Calls.function_result,
        ToolCall: Calls.tool_call,
        ToolResult: Calls.tool_result,
        CodeInterpreter: Calls.code,
        Image: Calls.image,
    }
)
"""What takes a content, by its kind."""


def _open_of(items: Mapping[str, _I], call_id: str) -> _I | None:
    item = items.get(call_id)
    return None if item is None or item.ended else item


def _check_ended(content: FunctionCall | ToolCall) -> None:
    if content.arguments.strip():
        raise InvalidValue("call_id", f"{content.call_id!r} is of a call that has ended; no piece may follow")


def _check_first(kind: str, call_id: str, name: str) -> None:
    values.name("call_id", call_id)
    if not name:
        raise InvalidValue("name", f"is missing in the first piece of the {kind} {call_id!r}")
    values.name("name", name)
