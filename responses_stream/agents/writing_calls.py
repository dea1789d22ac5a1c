"""Calls while an agent speaks of them: they go on until their result comes, whatever is said meanwhile.

Those of the client's functions are answered by the client; tools, code and images are the agent's own.
"""

from __future__ import annotations

from typing import Any, Final

import attrs
import msgspec

from responses_stream.agents.contents import CodeInterpreter, FunctionCall, Image, ToolCall, ToolResult
from responses_stream.agents.writing_items import ItemInMaking, Told
from responses_stream.builders import values
from responses_stream.builders.conversation import CustomToolCallBuilder, FunctionCallBuilder
from responses_stream.builders.hosted import CodeInterpreterCallBuilder, ImageGenerationCallBuilder
from responses_stream.builders.item import FinalStatus
from responses_stream.builders.mcp import McpCallBuilder
from responses_stream.lifecycle import MOST_PARTIAL_IMAGES
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.protocol.hosted_items import CodeInterpreterOutput, McpToolExecutionError

_NO_ARGUMENTS: Final = "{}"
_NOT_ANSWERED: Final = "The call was not answered."


@attrs.define(eq=False)
class ClientCall(ItemInMaking):
    """A call that the client has to answer."""

    first: FunctionCall
    _item: FunctionCallBuilder | CustomToolCallBuilder = attrs.field(init=False)
    _pieces: list[str] = attrs.field(init=False, factory=list)

    def note(self, content: FunctionCall | ToolCall) -> None:
        """Keep a piece of the arguments in mind, whether or not it is said already."""
        self._pieces.append(values.text("arguments", content.arguments))

    @property
    def arguments(self) -> str:
        """All of the arguments so far."""
        return "".join(self._pieces)

    @property
    def is_whole(self) -> bool:
        """Whether its arguments are a JSON object: nothing can be added to one."""
        arguments = self.arguments
        if self.first.custom or not arguments.rstrip().endswith("}"):
            return False
        try:
            msgspec.json.decode(arguments, type=msgspec.Raw)
        except (msgspec.DecodeError, RecursionError):
            return False
        return True

    @property
    def may_stand(self) -> bool:
        return self.is_whole

    def begin(self) -> Told:
        add = (
            self._stream.add_output_item_custom_tool_call
            if self.first.custom
            else self._stream.add_output_item_function_call
        )
        self._item = add(self.first.name, self.first.call_id)
        yield self._item.emit_added()

    def take(self, content: FunctionCall) -> Told:
        if content.arguments:
            yield self._delta(content.arguments)

    def finish(self) -> Told:
        if not self.first.custom and not any(self._pieces):
            # Clients parse what they get.
            yield self._delta(_NO_ARGUMENTS)
        yield from self._end("completed")

    def cut(self, last: bool) -> Told:
        yield from self._end("incomplete" if last else "completed")

    def _delta(self, delta: str) -> ResponseStreamEvent:
        item = self._item
        if isinstance(item, CustomToolCallBuilder):
            return item.emit_input_delta(delta)
        return item.emit_arguments_delta(delta)

    def _end(self, status: FinalStatus) -> Told:
        item = self._item
        yield item.emit_input_done() if isinstance(item, CustomToolCallBuilder) else item.emit_arguments_done()
        yield item.emit_done(status=status)


@attrs.define(eq=False)
class OwnCall(ItemInMaking):
    """A call that the agent has run itself, shown as one of the client's.

    It is said once it has all of its arguments: a call of a function cannot fail, so that with half of them nothing
    could stand behind it.
    """

    call: ClientCall

    def take(self, content: Any) -> Told:
        raise AssertionError(f"a call that is held back takes no {type(content).__name__}")

    def finish(self) -> Told:
        yield from self._begin()
        yield from self.call.finish()

    def cut(self, last: bool) -> Told:
        if last:
            yield from self._begin()
            yield from self.call.cut(last)
        elif self.call.is_whole:
            yield from self.finish()

    def _begin(self) -> Told:
        yield from self.call.begin()
        yield from self.call.take(FunctionCall(self.call.first.call_id, arguments=self.call.arguments))


@attrs.define(eq=False)
class HostedCall(ItemInMaking):
    """A call that the agent has run itself: a call of an MCP server, as far as a client sees."""

    name: str
    _server_label: str
    result: ToolResult | None = attrs.field(init=False, default=None)
    _item: McpCallBuilder = attrs.field(init=False)
    _said: bool = attrs.field(init=False, default=False)

    def begin(self) -> Told:
        self._item = self._stream.add_output_item_mcp_call(self._server_label, self.name)
        yield self._item.emit_added()
        yield self._item.emit_in_progress()

    def take(self, content: ToolCall) -> Told:
        if content.arguments:
            self._said = True
            yield self._item.emit_arguments_delta(content.arguments)

    def finish(self) -> Told:
        result = self.result
        if not self._said:
            yield self._item.emit_arguments_delta(_NO_ARGUMENTS)
        yield self._item.emit_arguments_done()
        if result is None:
            yield from self._fail("", _NOT_ANSWERED)
        elif result.error is not None:
            yield from self._fail(result.output, result.error)
        else:
            yield self._item.emit_completed()
            yield self._item.emit_done(output=result.output)

    def cut(self, last: bool) -> Told:
        yield self._item.emit_arguments_done()
        if last:
            yield self._item.emit_done(status="incomplete")
        else:
            yield from self._fail("", _NOT_ANSWERED)

    def _fail(self, output: str, error: str) -> Told:
        told = McpToolExecutionError(content=[{"type": "text", "text": error}])
        yield self._item.emit_failed()
        yield self._item.emit_done(output=output or None, error=told)


@attrs.define(eq=False)
class CodeRun(ItemInMaking):
    """Code that ran."""

    _container_id: str
    outputs: list[CodeInterpreterOutput] | None = attrs.field(init=False, default=None)
    _item: CodeInterpreterCallBuilder = attrs.field(init=False)

    def begin(self) -> Told:
        self._item = self._stream.add_output_item_code_interpreter_call(self._container_id)
        yield self._item.emit_added()
        yield self._item.emit_in_progress()

    def take(self, content: CodeInterpreter) -> Told:
        if content.code:
            yield self._item.emit_code_delta(content.code)

    def finish(self) -> Told:
        yield self._item.emit_code_done()
        yield self._item.emit_interpreting()
        yield self._item.emit_completed()
        yield self._item.emit_done(outputs=self.outputs)

    def cut(self, last: bool) -> Told:
        yield self._item.emit_code_done()
        yield self._item.emit_done(outputs=None, status="incomplete" if last else "failed")


@attrs.define(eq=False)
class Picture(ItemInMaking):
    """An image in the making."""

    result: str | None = attrs.field(init=False, default=None)
    _item: ImageGenerationCallBuilder = attrs.field(init=False)
    _shown: int = attrs.field(init=False, default=0)

    def begin(self) -> Told:
        self._item = self._stream.add_output_item_image_generation_call()
        yield self._item.emit_added()
        yield self._item.emit_in_progress()
        yield self._item.emit_generating()

    def take(self, content: Image) -> Told:
        if content.partial and self._shown < MOST_PARTIAL_IMAGES:
            self._shown += 1
            yield self._item.emit_partial_image(content.partial)

    def finish(self) -> Told:
        if self.result is None:
            yield self._item.emit_done(status="failed")
            return
        yield self._item.emit_completed()
        yield self._item.emit_done(self.result)
