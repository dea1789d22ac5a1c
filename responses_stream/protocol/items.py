"""Items: what a model reads and writes (items.md), with the unions of what may stand in `output` and in `input`."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from responses_stream.protocol.base import Item, UnknownItem, Wire
from responses_stream.protocol.hosted_items import (
    AdditionalTools,
    Caller,
    ImageGenerationCall,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpListTools,
    Program,
    ProgramOutput,
    ResponseCodeInterpreterToolCall,
    ResponseFileSearchToolCall,
    ResponseFunctionWebSearch,
    ResponseToolSearchCall,
    ResponseToolSearchOutputItem,
)
from responses_stream.protocol.machine_items import (
    LocalShellCall,
    LocalShellCallOutput,
    ResponseApplyPatchToolCall,
    ResponseApplyPatchToolCallOutput,
    ResponseComputerToolCall,
    ResponseComputerToolCallOutputItem,
    ResponseFunctionShellToolCall,
    ResponseFunctionShellToolCallOutput,
)
from responses_stream.protocol.parts import ContentPart
from responses_stream.protocol.platform_items import PlatformItem

ItemStatus: TypeAlias = Literal["in_progress", "completed", "incomplete"]
"""The status of most items while they are made; the wire knows more (items.md section 3)."""

MessagePhase: TypeAlias = Literal["commentary", "final_answer"]
"""What a message of the assistant is for."""


class ResponseOutputMessage(Item, frozen=True, tag="message"):
    """Text or refusals that the model wrote."""

    id: str
    status: str
    content: list[ContentPart]
    role: str | UnsetType = "assistant"
    phase: str | None | UnsetType = UNSET


class AliasOutputMessage(Item, frozen=True, tag="output_message"):
    """A message under the name that the Azure types give it; nothing is known to emit it."""

    id: str
    status: str
    content: list[ContentPart]
    role: str | UnsetType = "assistant"
    phase: str | None | UnsetType = UNSET


class ResponseReasoningItem(Item, frozen=True, tag="reasoning"):
    """The model's thinking: summary, raw text, and an encrypted form to send back."""

    summary: list[ContentPart]
    id: str | None | UnsetType = UNSET
    status: str | None | UnsetType = UNSET
    content: list[ContentPart] | None | UnsetType = UNSET
    encrypted_content: str | None | UnsetType = UNSET


class ResponseFunctionToolCall(Item, frozen=True, tag="function_call"):
    """The model asks the client to run a function; *arguments* is JSON in a string."""

    call_id: str
    name: str
    arguments: str
    id: str | None | UnsetType = UNSET
    status: str | None | UnsetType = UNSET
    namespace: str | None | UnsetType = UNSET
    # The wire calls it `async`, which is a keyword of Python.
    is_async: bool | UnsetType = msgspec.field(default=UNSET, name="async")
    caller: Caller | None | UnsetType = UNSET
    created_by: str | UnsetType = UNSET


class ResponseFunctionToolCallOutputItem(Item, frozen=True, tag="function_call_output"):
    """The result of a function call."""

    output: str | list[ContentPart]
    call_id: str | None | UnsetType = UNSET
    id: str | None | UnsetType = UNSET
    status: str | None | UnsetType = UNSET
    name: str | None | UnsetType = UNSET
    namespace: str | None | UnsetType = UNSET
    caller: Caller | None | UnsetType = UNSET
    created_by: str | UnsetType = UNSET


class ResponseCustomToolCall(Item, frozen=True, tag="custom_tool_call"):
    """The model calls a custom tool with free text."""

    call_id: str
    name: str
    input: str
    id: str | None | UnsetType = UNSET
    status: str | None | UnsetType = UNSET
    namespace: str | None | UnsetType = UNSET
    # The wire calls it `async`, which is a keyword of Python.
    is_async: bool | UnsetType = msgspec.field(default=UNSET, name="async")
    caller: Caller | None | UnsetType = UNSET
    created_by: str | UnsetType = UNSET


class ResponseCustomToolCallOutputItem(Item, frozen=True, tag="custom_tool_call_output"):
    """The result of a custom tool call."""

    call_id: str
    output: str | list[ContentPart]
    id: str | None | UnsetType = UNSET
    status: str | None | UnsetType = UNSET
    caller: Caller | None | UnsetType = UNSET
    created_by: str | UnsetType = UNSET


class ResponseCompactionItem(Item, frozen=True, tag="compaction"):
    """An encrypted summary that stands for older context."""

    encrypted_content: str
    id: str | None | UnsetType = UNSET
    created_by: str | UnsetType = UNSET


class CompactionTrigger(Item, frozen=True, tag="compaction_trigger"):
    """Asks for compaction in this turn; it has to be the last input item."""

    id: str | None | UnsetType = UNSET


class ConfigurationUpdate(Item, frozen=True, tag="configuration_update"):
    """Changes the reasoning effort or the text format from here on."""

    id: str | None | UnsetType = UNSET
    reasoning: dict[str, Any] | UnsetType = UNSET
    text: dict[str, Any] | UnsetType = UNSET


class ItemReference(Wire, frozen=True):
    """Stands for an earlier item. Clients may leave `type` out or send it as null."""

    id: str
    type: Literal["item_reference"] | None | UnsetType = "item_reference"


class InputMessage(Wire, frozen=True):
    """A message in `input`: of a user, of the system, or an answer sent back. Clients may leave `type` out (H8.16f)."""

    role: str
    content: str | list[ContentPart]
    type: Literal["message"] | UnsetType = "message"
    id: str | None | UnsetType = UNSET
    status: str | None | UnsetType = UNSET
    phase: str | None | UnsetType = UNSET


SharedItem: TypeAlias = (
    ResponseReasoningItem
    | ResponseFunctionToolCall
    | ResponseFunctionToolCallOutputItem
    | ResponseCustomToolCall
    | ResponseCustomToolCallOutputItem
    | ResponseFileSearchToolCall
    | ResponseFunctionWebSearch
    | ResponseCodeInterpreterToolCall
    | ImageGenerationCall
    | McpListTools
    | McpCall
    | McpApprovalRequest
    | McpApprovalResponse
    | ResponseComputerToolCall
    | ResponseComputerToolCallOutputItem
    | LocalShellCall
    | LocalShellCallOutput
    | ResponseFunctionShellToolCall
    | ResponseFunctionShellToolCallOutput
    | ResponseApplyPatchToolCall
    | ResponseApplyPatchToolCallOutput
    | ResponseToolSearchCall
    | ResponseToolSearchOutputItem
    | AdditionalTools
    | Program
    | ProgramOutput
    | ResponseCompactionItem
    | AliasOutputMessage
    | PlatformItem
    | UnknownItem
)
"""What may stand both in `output` and in `input`."""

OutputItem: TypeAlias = ResponseOutputMessage | SharedItem
"""What may stand in `response.output` and in item events."""

InputItem: TypeAlias = InputMessage | SharedItem | CompactionTrigger | ConfigurationUpdate | ItemReference
"""What may stand in `input`."""
