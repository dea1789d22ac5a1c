"""Events of tools: what happens inside their items (events.md sections 4.9 to 4.19)."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import UNSET, UnsetType

from responses_stream.protocol.base import Event, Wire
from responses_stream.protocol.machine_items import (
    ShellCallOutputContent,
)


class ItemEvent(Event, frozen=True):
    """An event inside the item *item_id*, which stands at *output_index* of the output."""

    item_id: str
    output_index: int


class StringDeltaEvent(ItemEvent, frozen=True):
    """A piece of a string of the item: of its arguments, input, code or diff."""

    delta: str
    obfuscation: str | UnsetType = UNSET


class CommandEvent(Event, frozen=True):
    """An event of the command *command_index* of a shell call; it names the item by its place only (D31)."""

    output_index: int
    command_index: int


class ShellOutputDelta(Wire, frozen=True):
    """What was printed since, on either channel."""

    stdout: str | UnsetType = UNSET
    stderr: str | UnsetType = UNSET


class ResponseFunctionCallArgumentsDeltaEvent(
    StringDeltaEvent, frozen=True, tag="response.function_call_arguments.delta"
):
    """E25: a piece of the arguments."""


class ResponseFunctionCallArgumentsDoneEvent(ItemEvent, frozen=True, tag="response.function_call_arguments.done"):
    """E26: the whole arguments, JSON in a string, and the name of the function (D11)."""

    arguments: str
    name: str | UnsetType = UNSET


class ResponseCustomToolCallInputDeltaEvent(StringDeltaEvent, frozen=True, tag="response.custom_tool_call_input.delta"):
    """E27: a piece of the input."""


class ResponseCustomToolCallInputDoneEvent(ItemEvent, frozen=True, tag="response.custom_tool_call_input.done"):
    """E28: the whole input."""

    input: str


class ResponseMcpCallInProgressEvent(ItemEvent, frozen=True, tag="response.mcp_call.in_progress"):
    """E29: the call begins."""


class ResponseMcpCallArgumentsDeltaEvent(StringDeltaEvent, frozen=True, tag="response.mcp_call_arguments.delta"):
    """E30: a piece of the arguments."""


class ResponseMcpCallArgumentsDoneEvent(ItemEvent, frozen=True, tag="response.mcp_call_arguments.done"):
    """E31: the whole arguments, JSON in a string."""

    arguments: str


class ResponseMcpCallCompletedEvent(ItemEvent, frozen=True, tag="response.mcp_call.completed"):
    """E32: the call worked."""


class ResponseMcpCallFailedEvent(ItemEvent, frozen=True, tag="response.mcp_call.failed"):
    """E33: the call failed; the done item says why."""


class ResponseMcpListToolsInProgressEvent(ItemEvent, frozen=True, tag="response.mcp_list_tools.in_progress"):
    """E34: the listing begins."""


class ResponseMcpListToolsCompletedEvent(ItemEvent, frozen=True, tag="response.mcp_list_tools.completed"):
    """E35: the listing worked."""


class ResponseMcpListToolsFailedEvent(ItemEvent, frozen=True, tag="response.mcp_list_tools.failed"):
    """E36: the listing failed; the done item says why."""


class ResponseFileSearchCallInProgressEvent(ItemEvent, frozen=True, tag="response.file_search_call.in_progress"):
    """E37: the call begins."""


class ResponseFileSearchCallSearchingEvent(ItemEvent, frozen=True, tag="response.file_search_call.searching"):
    """E38: the search runs."""


class ResponseFileSearchCallCompletedEvent(ItemEvent, frozen=True, tag="response.file_search_call.completed"):
    """E39: the search is finished."""


class ResponseWebSearchCallInProgressEvent(ItemEvent, frozen=True, tag="response.web_search_call.in_progress"):
    """E40: the call begins."""


class ResponseWebSearchCallSearchingEvent(ItemEvent, frozen=True, tag="response.web_search_call.searching"):
    """E41: the search runs."""


class ResponseWebSearchCallCompletedEvent(ItemEvent, frozen=True, tag="response.web_search_call.completed"):
    """E42: the search is finished."""


class ResponseCodeInterpreterCallInProgressEvent(
    ItemEvent, frozen=True, tag="response.code_interpreter_call.in_progress"
):
    """E43: the call begins."""


class ResponseCodeInterpreterCallCodeDeltaEvent(
    StringDeltaEvent, frozen=True, tag="response.code_interpreter_call_code.delta"
):
    """E44: a piece of the code."""


class ResponseCodeInterpreterCallCodeDoneEvent(ItemEvent, frozen=True, tag="response.code_interpreter_call_code.done"):
    """E45: the whole code."""

    code: str


class ResponseCodeInterpreterCallInterpretingEvent(
    ItemEvent, frozen=True, tag="response.code_interpreter_call.interpreting"
):
    """E46: the code runs."""


class ResponseCodeInterpreterCallCompletedEvent(ItemEvent, frozen=True, tag="response.code_interpreter_call.completed"):
    """E47: the code ran."""


class ResponseImageGenCallInProgressEvent(ItemEvent, frozen=True, tag="response.image_generation_call.in_progress"):
    """E48: the call begins."""


class ResponseImageGenCallGeneratingEvent(ItemEvent, frozen=True, tag="response.image_generation_call.generating"):
    """E49: the image is being made."""


class ResponseImageGenCallPartialImageEvent(ItemEvent, frozen=True, tag="response.image_generation_call.partial_image"):
    """E50: a whole image of lower quality, in base64; at most three, numbered from 0 (R155)."""

    partial_image_index: int
    partial_image_b64: str
    background: str | None | UnsetType = UNSET
    output_format: str | None | UnsetType = UNSET
    quality: str | None | UnsetType = UNSET
    size: str | None | UnsetType = UNSET


class ResponseImageGenCallCompletedEvent(ItemEvent, frozen=True, tag="response.image_generation_call.completed"):
    """E51: the image is made."""


class ResponseShellCallCommandAddedEvent(CommandEvent, frozen=True, tag="response.shell_call_command.added"):
    """E52: a command begins, empty."""

    command: str


class ResponseShellCallCommandDeltaEvent(CommandEvent, frozen=True, tag="response.shell_call_command.delta"):
    """E53: a piece of a command."""

    delta: str
    obfuscation: str | UnsetType = UNSET


class ResponseShellCallCommandDoneEvent(CommandEvent, frozen=True, tag="response.shell_call_command.done"):
    """E54: the whole command."""

    command: str


class ResponseShellCallOutputContentDeltaEvent(ItemEvent, frozen=True, tag="response.shell_call_output_content.delta"):
    """E55: a piece of what a command printed."""

    command_index: int
    delta: ShellOutputDelta
    obfuscation: str | UnsetType = UNSET


class ResponseShellCallOutputContentDoneEvent(ItemEvent, frozen=True, tag="response.shell_call_output_content.done"):
    """E56: all that a command printed, and how it ended."""

    command_index: int
    output: list[ShellCallOutputContent]


class ResponseApplyPatchCallOperationDiffDeltaEvent(
    StringDeltaEvent, frozen=True, tag="response.apply_patch_call_operation_diff.delta"
):
    """E57: a piece of a diff (seen on the wire only)."""


class ResponseApplyPatchCallOperationDiffDoneEvent(
    ItemEvent, frozen=True, tag="response.apply_patch_call_operation_diff.done"
):
    """E58: the whole diff (seen on the wire only)."""

    diff: str


class ResponseCompactionCompactingEvent(ItemEvent, frozen=True, tag="response.compaction.compacting"):
    """E59: the context is being compacted."""


ToolEvent: TypeAlias = (
    ResponseFunctionCallArgumentsDeltaEvent
    | ResponseFunctionCallArgumentsDoneEvent
    | ResponseCustomToolCallInputDeltaEvent
    | ResponseCustomToolCallInputDoneEvent
    | ResponseMcpCallInProgressEvent
    | ResponseMcpCallArgumentsDeltaEvent
    | ResponseMcpCallArgumentsDoneEvent
    | ResponseMcpCallCompletedEvent
    | ResponseMcpCallFailedEvent
    | ResponseMcpListToolsInProgressEvent
    | ResponseMcpListToolsCompletedEvent
    | ResponseMcpListToolsFailedEvent
    | ResponseFileSearchCallInProgressEvent
    | ResponseFileSearchCallSearchingEvent
    | ResponseFileSearchCallCompletedEvent
    | ResponseWebSearchCallInProgressEvent
    | ResponseWebSearchCallSearchingEvent
    | ResponseWebSearchCallCompletedEvent
    | ResponseCodeInterpreterCallInProgressEvent
    | ResponseCodeInterpreterCallCodeDeltaEvent
    | ResponseCodeInterpreterCallCodeDoneEvent
    | ResponseCodeInterpreterCallInterpretingEvent
    | ResponseCodeInterpreterCallCompletedEvent
    | ResponseImageGenCallInProgressEvent
    | ResponseImageGenCallGeneratingEvent
    | ResponseImageGenCallPartialImageEvent
    | ResponseImageGenCallCompletedEvent
    | ResponseShellCallCommandAddedEvent
    | ResponseShellCallCommandDeltaEvent
    | ResponseShellCallCommandDoneEvent
    | ResponseShellCallOutputContentDeltaEvent
    | ResponseShellCallOutputContentDoneEvent
    | ResponseApplyPatchCallOperationDiffDeltaEvent
    | ResponseApplyPatchCallOperationDiffDoneEvent
    | ResponseCompactionCompactingEvent
)
"""Every event inside the item of a tool."""
