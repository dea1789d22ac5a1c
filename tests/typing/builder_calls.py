"""What mypy infers of each call of each builder. Read by mypy (`make types`), run by nobody; see `builders.py`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import assert_type

from responses_stream import AsyncEvents, Events, ResponseEventStream
from responses_stream.builders.conversation import (
    CustomToolCallBuilder,
    FunctionCallBuilder,
    MessageBuilder,
    ReasoningBuilder,
)
from responses_stream.builders.hosted import (
    CodeInterpreterCallBuilder,
    FileSearchCallBuilder,
    ImageGenerationCallBuilder,
    WebSearchCallBuilder,
)
from responses_stream.builders.mcp import McpCallBuilder, McpListToolsBuilder
from responses_stream.builders.plain import CompactionBuilder, PlainItemBuilder
from responses_stream.builders.shell import (
    ApplyPatchCallBuilder,
    ShellCallBuilder,
    ShellCallOutputBuilder,
    ShellCommandBuilder,
    ShellOutputBuilder,
)
from responses_stream.builders.texts import (
    ReasoningTextBuilder,
    RefusalContentBuilder,
    SummaryPartBuilder,
    TextContentBuilder,
)
from responses_stream.protocol import (
    ResponseApplyPatchCallOperationDiffDeltaEvent,
    ResponseApplyPatchCallOperationDiffDoneEvent,
    ResponseCodeInterpreterCallCodeDeltaEvent,
    ResponseCodeInterpreterCallCodeDoneEvent,
    ResponseCodeInterpreterCallCompletedEvent,
    ResponseCodeInterpreterCallInProgressEvent,
    ResponseCodeInterpreterCallInterpretingEvent,
    ResponseCompactionCompactingEvent,
    ResponseContentPartAddedEvent,
    ResponseContentPartDoneEvent,
    ResponseCustomToolCallInputDeltaEvent,
    ResponseCustomToolCallInputDoneEvent,
    ResponseFileSearchCallCompletedEvent,
    ResponseFileSearchCallInProgressEvent,
    ResponseFileSearchCallSearchingEvent,
    ResponseFunctionCallArgumentsDeltaEvent,
    ResponseFunctionCallArgumentsDoneEvent,
    ResponseImageGenCallCompletedEvent,
    ResponseImageGenCallGeneratingEvent,
    ResponseImageGenCallInProgressEvent,
    ResponseImageGenCallPartialImageEvent,
    ResponseMcpCallArgumentsDeltaEvent,
    ResponseMcpCallArgumentsDoneEvent,
    ResponseMcpCallCompletedEvent,
    ResponseMcpCallFailedEvent,
    ResponseMcpCallInProgressEvent,
    ResponseMcpListToolsCompletedEvent,
    ResponseMcpListToolsFailedEvent,
    ResponseMcpListToolsInProgressEvent,
    ResponseOutputItemAddedEvent,
    ResponseOutputItemDoneEvent,
    ResponseOutputTextAnnotationAddedEvent,
    ResponseReasoningSummaryPartAddedEvent,
    ResponseReasoningSummaryPartDoneEvent,
    ResponseReasoningSummaryTextDeltaEvent,
    ResponseReasoningSummaryTextDoneEvent,
    ResponseReasoningTextDeltaEvent,
    ResponseReasoningTextDoneEvent,
    ResponseRefusalDeltaEvent,
    ResponseRefusalDoneEvent,
    ResponseShellCallCommandAddedEvent,
    ResponseShellCallCommandDeltaEvent,
    ResponseShellCallCommandDoneEvent,
    ResponseShellCallOutputContentDeltaEvent,
    ResponseShellCallOutputContentDoneEvent,
    ResponseTextDeltaEvent,
    ResponseTextDoneEvent,
    ResponseWebSearchCallCompletedEvent,
    ResponseWebSearchCallInProgressEvent,
    ResponseWebSearchCallSearchingEvent,
    StructuredOutputs,
)


def message(builder: MessageBuilder) -> None:
    assert_type(builder.emit_added(), ResponseOutputItemAddedEvent)
    assert_type(builder.add_text_content(), TextContentBuilder)
    assert_type(builder.add_refusal_content(), RefusalContentBuilder)
    assert_type(builder.emit_done(), ResponseOutputItemDoneEvent)


def text_content(builder: TextContentBuilder) -> None:
    assert_type(builder.emit_added(), ResponseContentPartAddedEvent)
    assert_type(builder.emit_delta("x"), ResponseTextDeltaEvent)
    builder.emit_delta(3)  # type: ignore[arg-type]
    assert_type(builder.emit_annotation_added({"type": "file_path"}), ResponseOutputTextAnnotationAddedEvent)
    assert_type(builder.emit_text_done(), ResponseTextDoneEvent)
    assert_type(builder.emit_done(), ResponseContentPartDoneEvent)


def refusal_content(builder: RefusalContentBuilder) -> None:
    assert_type(builder.emit_added(), ResponseContentPartAddedEvent)
    assert_type(builder.emit_delta("x"), ResponseRefusalDeltaEvent)
    builder.emit_delta(3)  # type: ignore[arg-type]
    assert_type(builder.emit_refusal_done(), ResponseRefusalDoneEvent)
    assert_type(builder.emit_done(), ResponseContentPartDoneEvent)


def reasoning(builder: ReasoningBuilder) -> None:
    assert_type(builder.emit_added(), ResponseOutputItemAddedEvent)
    assert_type(builder.add_summary_part(), SummaryPartBuilder)
    assert_type(builder.add_text_content(), ReasoningTextBuilder)
    assert_type(builder.emit_done(), ResponseOutputItemDoneEvent)


def reasoning_text(builder: ReasoningTextBuilder) -> None:
    assert_type(builder.emit_added(), ResponseContentPartAddedEvent)
    assert_type(builder.emit_delta("x"), ResponseReasoningTextDeltaEvent)
    builder.emit_delta(3)  # type: ignore[arg-type]
    assert_type(builder.emit_text_done(), ResponseReasoningTextDoneEvent)
    assert_type(builder.emit_done(), ResponseContentPartDoneEvent)


def summary_part(builder: SummaryPartBuilder) -> None:
    assert_type(builder.emit_added(), ResponseReasoningSummaryPartAddedEvent)
    assert_type(builder.emit_delta("x"), ResponseReasoningSummaryTextDeltaEvent)
    builder.emit_delta(3)  # type: ignore[arg-type]
    assert_type(builder.emit_text_done(), ResponseReasoningSummaryTextDoneEvent)
    assert_type(builder.emit_done(), ResponseReasoningSummaryPartDoneEvent)


def function_call(builder: FunctionCallBuilder) -> None:
    assert_type(builder.emit_added(), ResponseOutputItemAddedEvent)
    assert_type(builder.emit_arguments_delta("x"), ResponseFunctionCallArgumentsDeltaEvent)
    builder.emit_arguments_delta(3)  # type: ignore[arg-type]
    assert_type(builder.emit_arguments_done(), ResponseFunctionCallArgumentsDoneEvent)
    assert_type(builder.emit_done(), ResponseOutputItemDoneEvent)


def custom_tool_call(builder: CustomToolCallBuilder) -> None:
    assert_type(builder.emit_added(), ResponseOutputItemAddedEvent)
    assert_type(builder.emit_input_delta("x"), ResponseCustomToolCallInputDeltaEvent)
    builder.emit_input_delta(3)  # type: ignore[arg-type]
    assert_type(builder.emit_input_done(), ResponseCustomToolCallInputDoneEvent)
    assert_type(builder.emit_done(), ResponseOutputItemDoneEvent)


def file_search_call(builder: FileSearchCallBuilder) -> None:
    assert_type(builder.emit_added(), ResponseOutputItemAddedEvent)
    assert_type(builder.emit_in_progress(), ResponseFileSearchCallInProgressEvent)
    assert_type(builder.emit_searching(), ResponseFileSearchCallSearchingEvent)
    assert_type(builder.emit_completed(), ResponseFileSearchCallCompletedEvent)
    assert_type(builder.emit_done(), ResponseOutputItemDoneEvent)


def web_search_call(builder: WebSearchCallBuilder) -> None:
    assert_type(builder.emit_added(), ResponseOutputItemAddedEvent)
    assert_type(builder.emit_in_progress(), ResponseWebSearchCallInProgressEvent)
    assert_type(builder.emit_searching(), ResponseWebSearchCallSearchingEvent)
    assert_type(builder.emit_completed(), ResponseWebSearchCallCompletedEvent)
    assert_type(builder.emit_done(), ResponseOutputItemDoneEvent)


def code_interpreter_call(builder: CodeInterpreterCallBuilder) -> None:
    assert_type(builder.emit_added(), ResponseOutputItemAddedEvent)
    assert_type(builder.emit_in_progress(), ResponseCodeInterpreterCallInProgressEvent)
    assert_type(builder.emit_code_delta("x"), ResponseCodeInterpreterCallCodeDeltaEvent)
    builder.emit_code_delta(3)  # type: ignore[arg-type]
    assert_type(builder.emit_code_done(), ResponseCodeInterpreterCallCodeDoneEvent)
    assert_type(builder.emit_interpreting(), ResponseCodeInterpreterCallInterpretingEvent)
    assert_type(builder.emit_completed(), ResponseCodeInterpreterCallCompletedEvent)
    assert_type(builder.emit_done(), ResponseOutputItemDoneEvent)


def image_generation_call(builder: ImageGenerationCallBuilder) -> None:
    assert_type(builder.emit_added(), ResponseOutputItemAddedEvent)
    assert_type(builder.emit_in_progress(), ResponseImageGenCallInProgressEvent)
    assert_type(builder.emit_generating(), ResponseImageGenCallGeneratingEvent)
    assert_type(builder.emit_partial_image("aGk="), ResponseImageGenCallPartialImageEvent)
    builder.emit_partial_image(3)  # type: ignore[arg-type]
    assert_type(builder.emit_completed(), ResponseImageGenCallCompletedEvent)
    assert_type(builder.emit_done(), ResponseOutputItemDoneEvent)


def mcp_list_tools(builder: McpListToolsBuilder) -> None:
    assert_type(builder.emit_added(), ResponseOutputItemAddedEvent)
    assert_type(builder.emit_in_progress(), ResponseMcpListToolsInProgressEvent)
    assert_type(builder.emit_completed(), ResponseMcpListToolsCompletedEvent)
    assert_type(builder.emit_failed(), ResponseMcpListToolsFailedEvent)
    assert_type(builder.emit_done(), ResponseOutputItemDoneEvent)


def mcp_call(builder: McpCallBuilder) -> None:
    assert_type(builder.emit_added(), ResponseOutputItemAddedEvent)
    assert_type(builder.emit_in_progress(), ResponseMcpCallInProgressEvent)
    assert_type(builder.emit_arguments_delta("x"), ResponseMcpCallArgumentsDeltaEvent)
    builder.emit_arguments_delta(3)  # type: ignore[arg-type]
    assert_type(builder.emit_arguments_done(), ResponseMcpCallArgumentsDoneEvent)
    assert_type(builder.emit_completed(), ResponseMcpCallCompletedEvent)
    assert_type(builder.emit_failed(), ResponseMcpCallFailedEvent)
    assert_type(builder.emit_done(), ResponseOutputItemDoneEvent)


def shell_call(builder: ShellCallBuilder) -> None:
    assert_type(builder.emit_added(), ResponseOutputItemAddedEvent)
    assert_type(builder.add_command(), ShellCommandBuilder)
    assert_type(builder.emit_done(), ResponseOutputItemDoneEvent)


def shell_command(builder: ShellCommandBuilder) -> None:
    assert_type(builder.emit_added(), ResponseShellCallCommandAddedEvent)
    assert_type(builder.emit_delta("x"), ResponseShellCallCommandDeltaEvent)
    builder.emit_delta(3)  # type: ignore[arg-type]
    assert_type(builder.emit_done(), ResponseShellCallCommandDoneEvent)


def shell_call_output(builder: ShellCallOutputBuilder) -> None:
    assert_type(builder.emit_added(), ResponseOutputItemAddedEvent)
    assert_type(builder.add_output(), ShellOutputBuilder)
    assert_type(builder.emit_done(), ResponseOutputItemDoneEvent)


def shell_output(builder: ShellOutputBuilder) -> None:
    assert_type(builder.emit_delta(), ResponseShellCallOutputContentDeltaEvent)
    assert_type(builder.emit_done(), ResponseShellCallOutputContentDoneEvent)


def apply_patch_call(builder: ApplyPatchCallBuilder) -> None:
    assert_type(builder.emit_added(), ResponseOutputItemAddedEvent)
    assert_type(builder.emit_diff_delta("x"), ResponseApplyPatchCallOperationDiffDeltaEvent)
    builder.emit_diff_delta(3)  # type: ignore[arg-type]
    assert_type(builder.emit_diff_done(), ResponseApplyPatchCallOperationDiffDoneEvent)
    assert_type(builder.emit_done(), ResponseOutputItemDoneEvent)


def compaction(builder: CompactionBuilder) -> None:
    assert_type(builder.emit_added(), ResponseOutputItemAddedEvent)
    assert_type(builder.emit_compacting(), ResponseCompactionCompactingEvent)
    assert_type(builder.emit_done(), ResponseOutputItemDoneEvent)


def plain_item(builder: PlainItemBuilder) -> None:
    assert_type(builder.emit_added(), ResponseOutputItemAddedEvent)
    assert_type(builder.emit_done(), ResponseOutputItemDoneEvent)


def factories(stream: ResponseEventStream) -> None:
    assert_type(stream.add_output_item_function_call_output("call_1", "1"), PlainItemBuilder)
    assert_type(stream.add_output_item_custom_tool_call_output("call_1", "1"), PlainItemBuilder)
    assert_type(stream.add_output_item_mcp_approval_request("docs", "delete", "{}"), PlainItemBuilder)
    assert_type(stream.add_output_item_mcp_approval_response("mcpr_1", True), PlainItemBuilder)
    assert_type(stream.add_output_item_computer_call("call_1", {"type": "wait"}), PlainItemBuilder)
    assert_type(
        stream.add_output_item_computer_call_output("call_1", {"type": "computer_screenshot"}), PlainItemBuilder
    )
    assert_type(stream.add_output_item_local_shell_call("call_1", ["ls"]), PlainItemBuilder)
    assert_type(stream.add_output_item_local_shell_call_output("{}"), PlainItemBuilder)
    assert_type(stream.add_output_item_apply_patch_call_output("call_1"), PlainItemBuilder)
    assert_type(stream.add_output_item_tool_search_call({}), PlainItemBuilder)
    assert_type(stream.add_output_item_tool_search_output([]), PlainItemBuilder)
    assert_type(stream.add_output_item_additional_tools([]), PlainItemBuilder)
    assert_type(stream.add_output_item_program("call_1", "1", "f"), PlainItemBuilder)
    assert_type(stream.add_output_item_program_output("call_1", "1"), PlainItemBuilder)
    assert_type(stream.add_output_item_compaction("gAAA"), CompactionBuilder)
    assert_type(stream.add_output_item_structured_outputs({"score": 3}), PlainItemBuilder)
    assert_type(stream.add_output_item_oauth_consent_request("https://example.com", "mail"), PlainItemBuilder)
    assert_type(stream.add_output_item_memory_search_call(), PlainItemBuilder)
    assert_type(stream.add_output_item_workflow_action("SetVariable", "a1"), PlainItemBuilder)
    assert_type(stream.add_output_item_a2a_preview_call("call_1", "{}", name="n"), PlainItemBuilder)
    assert_type(stream.add_output_item_bing_grounding_call("call_1", "{}"), PlainItemBuilder)
    assert_type(stream.add_output_item_sharepoint_grounding_preview_call("call_1", "{}"), PlainItemBuilder)
    assert_type(stream.add_output_item_azure_ai_search_call("call_1", "{}"), PlainItemBuilder)
    assert_type(stream.add_output_item_bing_custom_search_preview_call("call_1", "{}"), PlainItemBuilder)
    assert_type(stream.add_output_item_openapi_call("call_1", "{}", name="n"), PlainItemBuilder)
    assert_type(stream.add_output_item_browser_automation_preview_call("call_1", "{}"), PlainItemBuilder)
    assert_type(stream.add_output_item_fabric_dataagent_preview_call("call_1", "{}"), PlainItemBuilder)
    assert_type(stream.add_output_item_azure_function_call("call_1", "{}", name="n"), PlainItemBuilder)
    assert_type(stream.add_output_item_a2a_preview_call_output("call_1", [1], name="n"), PlainItemBuilder)
    assert_type(stream.add_output_item_bing_grounding_call_output("call_1", [1]), PlainItemBuilder)
    assert_type(stream.add_output_item_sharepoint_grounding_preview_call_output("call_1", [1]), PlainItemBuilder)
    assert_type(stream.add_output_item_azure_ai_search_call_output("call_1", [1]), PlainItemBuilder)
    assert_type(stream.add_output_item_bing_custom_search_preview_call_output("call_1", [1]), PlainItemBuilder)
    assert_type(stream.add_output_item_openapi_call_output("call_1", [1], name="n"), PlainItemBuilder)
    assert_type(stream.add_output_item_browser_automation_preview_call_output("call_1", [1]), PlainItemBuilder)
    assert_type(stream.add_output_item_fabric_dataagent_preview_call_output("call_1", [1]), PlainItemBuilder)
    assert_type(stream.add_output_item_azure_function_call_output("call_1", [1], name="n"), PlainItemBuilder)
    assert_type(stream.add_output_item_message(), MessageBuilder)
    assert_type(stream.add_output_item_reasoning(), ReasoningBuilder)
    assert_type(stream.add_output_item_function_call("f", "call_1"), FunctionCallBuilder)
    assert_type(stream.add_output_item_custom_tool_call("f", "call_1"), CustomToolCallBuilder)
    assert_type(stream.add_output_item_file_search_call(), FileSearchCallBuilder)
    assert_type(stream.add_output_item_web_search_call(), WebSearchCallBuilder)
    assert_type(stream.add_output_item_code_interpreter_call(), CodeInterpreterCallBuilder)
    assert_type(stream.add_output_item_image_generation_call(), ImageGenerationCallBuilder)
    assert_type(stream.add_output_item_mcp_list_tools("docs"), McpListToolsBuilder)
    assert_type(stream.add_output_item_mcp_call("docs", "search"), McpCallBuilder)
    assert_type(stream.add_output_item_shell_call("call_1"), ShellCallBuilder)
    assert_type(stream.add_output_item_shell_call_output("call_1"), ShellCallOutputBuilder)
    assert_type(
        stream.add_output_item_apply_patch_call("call_1", {"type": "delete_file", "path": "a"}), ApplyPatchCallBuilder
    )
    stream.add_output_item_a2a_preview_call("call_1", "{}")  # type: ignore[call-arg]
    stream.add_output_item_openapi_call("call_1", "{}")  # type: ignore[call-arg]
    stream.add_output_item_azure_function_call("call_1", "{}")  # type: ignore[call-arg]


def conveniences(stream: ResponseEventStream) -> None:
    assert_type(stream.output_item_function_call_output("call_1", "1"), Events)
    assert_type(stream.output_item_custom_tool_call_output("call_1", "1"), Events)
    assert_type(stream.output_item_mcp_approval_request("docs", "delete", "{}"), Events)
    assert_type(stream.output_item_mcp_approval_response("mcpr_1", True), Events)
    assert_type(stream.output_item_computer_call("call_1", {"type": "wait"}), Events)
    assert_type(stream.output_item_computer_call_output("call_1", {"type": "computer_screenshot"}), Events)
    assert_type(stream.output_item_local_shell_call("call_1", ["ls"]), Events)
    assert_type(stream.output_item_local_shell_call_output("{}"), Events)
    assert_type(stream.output_item_apply_patch_call_output("call_1"), Events)
    assert_type(stream.output_item_tool_search_call({}), Events)
    assert_type(stream.output_item_tool_search_output([]), Events)
    assert_type(stream.output_item_additional_tools([]), Events)
    assert_type(stream.output_item_program("call_1", "1", "f"), Events)
    assert_type(stream.output_item_program_output("call_1", "1"), Events)
    assert_type(stream.output_item_compaction("gAAA"), Events)
    assert_type(stream.output_item_structured_outputs({"score": 3}), Events)
    assert_type(stream.output_item_oauth_consent_request("https://example.com", "mail"), Events)
    assert_type(stream.output_item_memory_search_call(), Events)
    assert_type(stream.output_item_workflow_action("SetVariable", "a1"), Events)
    assert_type(stream.output_item_a2a_preview_call("call_1", "{}", name="n"), Events)
    assert_type(stream.output_item_bing_grounding_call("call_1", "{}"), Events)
    assert_type(stream.output_item_sharepoint_grounding_preview_call("call_1", "{}"), Events)
    assert_type(stream.output_item_azure_ai_search_call("call_1", "{}"), Events)
    assert_type(stream.output_item_bing_custom_search_preview_call("call_1", "{}"), Events)
    assert_type(stream.output_item_openapi_call("call_1", "{}", name="n"), Events)
    assert_type(stream.output_item_browser_automation_preview_call("call_1", "{}"), Events)
    assert_type(stream.output_item_fabric_dataagent_preview_call("call_1", "{}"), Events)
    assert_type(stream.output_item_azure_function_call("call_1", "{}", name="n"), Events)
    assert_type(stream.output_item_a2a_preview_call_output("call_1", [1], name="n"), Events)
    assert_type(stream.output_item_bing_grounding_call_output("call_1", [1]), Events)
    assert_type(stream.output_item_sharepoint_grounding_preview_call_output("call_1", [1]), Events)
    assert_type(stream.output_item_azure_ai_search_call_output("call_1", [1]), Events)
    assert_type(stream.output_item_bing_custom_search_preview_call_output("call_1", [1]), Events)
    assert_type(stream.output_item_openapi_call_output("call_1", [1], name="n"), Events)
    assert_type(stream.output_item_browser_automation_preview_call_output("call_1", [1]), Events)
    assert_type(stream.output_item_fabric_dataagent_preview_call_output("call_1", [1]), Events)
    assert_type(stream.output_item_azure_function_call_output("call_1", [1], name="n"), Events)
    assert_type(stream.output_item_message("Hello"), Events)
    assert_type(stream.output_item_refusal("No."), Events)
    assert_type(stream.output_item_reasoning("Hm."), Events)
    assert_type(stream.output_item_function_call("f", "call_1", "{}"), Events)
    assert_type(stream.output_item_custom_tool_call("f", "call_1", "x"), Events)
    assert_type(stream.output_item_file_search_call(["q"]), Events)
    assert_type(stream.output_item_web_search_call({"type": "search"}), Events)
    assert_type(stream.output_item_code_interpreter_call("1"), Events)
    assert_type(stream.output_item_image_generation_call("aGk="), Events)
    assert_type(stream.output_item_mcp_list_tools("docs"), Events)
    assert_type(stream.output_item_mcp_call("docs", "search", "{}"), Events)
    assert_type(stream.output_item_shell_call("call_1", ["ls"]), Events)
    assert_type(stream.output_item_shell_call_output("call_1", []), Events)
    assert_type(stream.output_item_apply_patch_call("call_1", {"type": "delete_file", "path": "a"}), Events)
    assert_type(stream.output_item({"type": "acme:thing"}), Events)
    assert_type(stream.output_item(StructuredOutputs(id="so_1", output=1), item_id="so_2"), Events)
    stream.output_item("Hello")  # type: ignore[arg-type]


def from_chunks(stream: ResponseEventStream, now: list[str], later: AsyncIterator[str]) -> None:
    assert_type(stream.output_item_message(now), Events)
    assert_type(stream.output_item_message(later), AsyncEvents)
    stream.output_item_message(3)  # type: ignore[call-overload]
    assert_type(stream.output_item_refusal(now), Events)
    assert_type(stream.output_item_refusal(later), AsyncEvents)
    stream.output_item_refusal(3)  # type: ignore[call-overload]
    assert_type(stream.output_item_reasoning(now), Events)
    assert_type(stream.output_item_reasoning(later), AsyncEvents)
    stream.output_item_reasoning(3)  # type: ignore[call-overload]
    assert_type(stream.output_item_reasoning(text=now), Events)
    assert_type(stream.output_item_reasoning(text=later), AsyncEvents)
    stream.output_item_reasoning(text=3)  # type: ignore[call-overload]
    assert_type(stream.output_item_function_call("f", "call_1", now), Events)
    assert_type(stream.output_item_function_call("f", "call_1", later), AsyncEvents)
    stream.output_item_function_call("f", "call_1", 3)  # type: ignore[call-overload]
    assert_type(stream.output_item_custom_tool_call("f", "call_1", now), Events)
    assert_type(stream.output_item_custom_tool_call("f", "call_1", later), AsyncEvents)
    stream.output_item_custom_tool_call("f", "call_1", 3)  # type: ignore[call-overload]
    assert_type(stream.output_item_code_interpreter_call(now), Events)
    assert_type(stream.output_item_code_interpreter_call(later), AsyncEvents)
    stream.output_item_code_interpreter_call(3)  # type: ignore[call-overload]
    assert_type(stream.output_item_mcp_call("docs", "search", now), Events)
    assert_type(stream.output_item_mcp_call("docs", "search", later), AsyncEvents)
    stream.output_item_mcp_call("docs", "search", 3)  # type: ignore[call-overload]


def what_a_builder_was_made_with(call: FunctionCallBuilder, message: MessageBuilder, part: TextContentBuilder) -> None:
    assert_type(call.item_id, str)
    assert_type(call.call_id, str)
    assert_type(call.output_index, int)
    assert_type(part.index, int)
    call.item_id = "fc_2"  # type: ignore[misc]
    call.call_id = "call_2"  # type: ignore[misc]
    call.name = "g"  # type: ignore[misc]
    message.phase = "commentary"  # type: ignore[misc]
    part.index = 1  # type: ignore[misc]
