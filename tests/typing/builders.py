"""What mypy infers of the builders, and what it refuses. Read by mypy (`make types`), run by nobody.

An ignore that is not needed fails the build (`warn_unused_ignores`), so each one tests that its line is refused.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import assert_type

from responses_stream import AsyncEvents, Events, ResponseEventStream, ResponseObject, accumulate, flatten
from responses_stream.builders.conversation import FunctionCallBuilder, MessageBuilder, ReasoningBuilder
from responses_stream.builders.hosted import CodeInterpreterCallBuilder, ImageGenerationCallBuilder
from responses_stream.builders.mcp import McpCallBuilder
from responses_stream.builders.plain import CompactionBuilder, PlainItemBuilder
from responses_stream.builders.shell import ShellCallBuilder, ShellCommandBuilder
from responses_stream.builders.texts import SummaryPartBuilder, TextContentBuilder
from responses_stream.protocol import (
    ResponseCodeInterpreterCallCodeDeltaEvent,
    ResponseCompactionCompactingEvent,
    ResponseCompletedEvent,
    ResponseContentPartAddedEvent,
    ResponseContentPartDoneEvent,
    ResponseCreatedEvent,
    ResponseErrorEvent,
    ResponseFailedEvent,
    ResponseFunctionCallArgumentsDeltaEvent,
    ResponseFunctionCallArgumentsDoneEvent,
    ResponseImageGenCallPartialImageEvent,
    ResponseIncompleteEvent,
    ResponseInProgressEvent,
    ResponseMcpCallFailedEvent,
    ResponseOutputItemAddedEvent,
    ResponseOutputItemDoneEvent,
    ResponseOutputTextAnnotationAddedEvent,
    ResponseQueuedEvent,
    ResponseReasoningSummaryTextDeltaEvent,
    ResponseRefusalDeltaEvent,
    ResponseShellCallCommandDoneEvent,
    ResponseStreamEvent,
    ResponseTextDeltaEvent,
    ResponseTextDoneEvent,
)


def lifecycle(stream: ResponseEventStream) -> None:
    assert_type(stream.emit_created(), ResponseCreatedEvent)
    assert_type(stream.emit_created(status="queued"), ResponseCreatedEvent)
    assert_type(stream.emit_queued(), ResponseQueuedEvent)
    assert_type(stream.emit_in_progress(), ResponseInProgressEvent)
    assert_type(stream.emit_completed(usage=None), ResponseCompletedEvent)
    assert_type(stream.emit_failed("server_error", "Broken."), ResponseFailedEvent)
    assert_type(stream.emit_cancelled(), ResponseFailedEvent)
    assert_type(stream.emit_incomplete("max_output_tokens"), ResponseIncompleteEvent)
    assert_type(stream.emit_error("server_error", "Broken."), ResponseErrorEvent)
    stream.emit_created(status="completed")  # type: ignore[arg-type]
    stream.emit_completed(usage=3)  # type: ignore[arg-type]
    stream.emit_failed(500, "Broken.")  # type: ignore[arg-type]


def configuration(stream: ResponseEventStream) -> None:
    stream.response.temperature = 0.5
    stream.response.metadata = {"team": "a"}
    assert_type(stream.response.model, str)
    stream.response.temperature = "warm"  # type: ignore[assignment]
    stream.response.id = "resp_2"  # type: ignore[misc]
    stream.response.temprature = 0.5  # type: ignore[attr-defined]


def text(stream: ResponseEventStream) -> None:
    message = assert_type(stream.add_output_item_message(), MessageBuilder)
    assert_type(message.emit_added(), ResponseOutputItemAddedEvent)
    part = assert_type(message.add_text_content(), TextContentBuilder)
    assert_type(part.emit_added(), ResponseContentPartAddedEvent)
    assert_type(part.emit_delta("Hel"), ResponseTextDeltaEvent)
    assert_type(part.emit_annotation_added({"type": "file_path"}), ResponseOutputTextAnnotationAddedEvent)
    assert_type(part.emit_text_done(), ResponseTextDoneEvent)
    assert_type(part.emit_done(), ResponseContentPartDoneEvent)
    assert_type(message.add_refusal_content().emit_delta("No"), ResponseRefusalDeltaEvent)
    assert_type(message.emit_done(status="incomplete"), ResponseOutputItemDoneEvent)
    part.emit_delta(3)  # type: ignore[arg-type]
    part.emit_delta(None)  # type: ignore[arg-type]
    part.emit_delta()  # type: ignore[call-arg]
    message.emit_delta("Hel")  # type: ignore[attr-defined]
    message.emit_done(status="failed")  # type: ignore[arg-type]
    stream.add_output_item_message(phase="final")  # type: ignore[arg-type]


def tools(stream: ResponseEventStream) -> None:
    reasoning = assert_type(stream.add_output_item_reasoning(), ReasoningBuilder)
    summary = assert_type(reasoning.add_summary_part(), SummaryPartBuilder)
    assert_type(summary.emit_delta("Hm"), ResponseReasoningSummaryTextDeltaEvent)
    call = assert_type(stream.add_output_item_function_call("f", "call_1"), FunctionCallBuilder)
    assert_type(call.emit_arguments_delta("{}"), ResponseFunctionCallArgumentsDeltaEvent)
    assert_type(call.emit_arguments_done(), ResponseFunctionCallArgumentsDoneEvent)
    code = assert_type(stream.add_output_item_code_interpreter_call(), CodeInterpreterCallBuilder)
    assert_type(code.emit_code_delta("1"), ResponseCodeInterpreterCallCodeDeltaEvent)
    image = assert_type(stream.add_output_item_image_generation_call(), ImageGenerationCallBuilder)
    assert_type(image.emit_partial_image("aGk="), ResponseImageGenCallPartialImageEvent)
    mcp = assert_type(stream.add_output_item_mcp_call("docs", "search"), McpCallBuilder)
    assert_type(mcp.emit_failed(), ResponseMcpCallFailedEvent)
    shell = assert_type(stream.add_output_item_shell_call("call_2"), ShellCallBuilder)
    command = assert_type(shell.add_command(), ShellCommandBuilder)
    assert_type(command.emit_done(), ResponseShellCallCommandDoneEvent)
    compaction = assert_type(stream.add_output_item_compaction("gAAA"), CompactionBuilder)
    assert_type(compaction.emit_compacting(), ResponseCompactionCompactingEvent)
    assert_type(stream.add_output_item_computer_call("call_3", {"type": "wait"}), PlainItemBuilder)
    assert_type(stream.add_output_item_azure_ai_search_call("call_4", "{}"), PlainItemBuilder)
    assert_type(stream.add_output_item({"type": "acme:thing"}), PlainItemBuilder)
    stream.add_output_item_function_call("f")  # type: ignore[call-arg]
    stream.add_output_item_azure_ai_search_call("call_4", 3)  # type: ignore[arg-type]
    call.emit_text_done()  # type: ignore[attr-defined]


def whole_items(stream: ResponseEventStream, now: list[str], later: AsyncIterator[str]) -> None:
    assert_type(stream.output_item_message("Hello"), Events)
    assert_type(stream.output_item_message(now), Events)
    assert_type(stream.output_item_message(later), AsyncEvents)
    assert_type(stream.output_item_refusal(later), AsyncEvents)
    assert_type(stream.output_item_reasoning("Hm"), Events)
    assert_type(stream.output_item_reasoning(text=later), AsyncEvents)
    assert_type(stream.output_item_function_call("f", "call_1", "{}"), Events)
    assert_type(stream.output_item_function_call("f", "call_1", later), AsyncEvents)
    assert_type(stream.output_item_mcp_call("docs", "search", later), AsyncEvents)
    assert_type(stream.output_item_computer_call("call_3", {"type": "wait"}), Events)
    assert_type(stream.output_item_azure_function_call("call_4", "{}", name="f"), Events)
    assert_type(stream.output_item({"type": "acme:thing"}), Events)
    stream.output_item_message(3)  # type: ignore[call-overload]
    stream.output_item_computer_call()  # type: ignore[call-arg]
    for _ in stream.output_item_message(later):  # type: ignore[attr-defined]
        pass


async def both_ways(stream: ResponseEventStream, later: AsyncIterator[str]) -> None:
    for event in stream.output_item_message("Hello"):
        assert_type(event, ResponseStreamEvent)
    async for event in stream.output_item_message("Hello"):
        assert_type(event, ResponseStreamEvent)
    async for event in stream.output_item_message(later):
        assert_type(event, ResponseStreamEvent)


def flattened(now: Iterator[ResponseStreamEvent | Events], later: AsyncIterator[Events | AsyncEvents]) -> None:
    assert_type(flatten(now), Events)
    assert_type(flatten(later), AsyncEvents)
    flatten(3)  # type: ignore[call-overload]


async def folded(now: list[ResponseStreamEvent], later: AsyncIterator[bytes]) -> None:
    assert_type(accumulate(now), ResponseObject)
    assert_type(accumulate(b"data: {}\n\n"), ResponseObject)
    assert_type(await accumulate(later), ResponseObject)


def told_apart(event: ResponseStreamEvent) -> str:
    match event:
        case ResponseTextDeltaEvent(delta=delta):
            return assert_type(delta, str)
        case ResponseCompletedEvent():
            return assert_type(event.response, ResponseObject).id
        case _:
            return event.type
