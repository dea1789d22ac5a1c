"""The bodies of requests and of lists (request-response.md sections 2 and 8)."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from msgspec import UNSET, UnsetType

from responses_stream.protocol.base import AgentReference, Wire
from responses_stream.protocol.items import InputItem, OutputItem
from responses_stream.protocol.parts import Number
from responses_stream.protocol.response import Conversation, Prompt, ResponseUsage
from responses_stream.protocol.tools import JsonObject, Reasoning, ResponseTextConfig, ToolChoice, ToolDefinition

IncludeValue: TypeAlias = Literal[
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "message.input_image.image_url",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
    "memory_search_call.results",
]
"""What `include` switches on (items.md section 10)."""


class StreamOptions(Wire, frozen=True):
    """How a stream is sent."""

    include_obfuscation: bool | None | UnsetType = UNSET


class BackgroundOptions(Wire, frozen=True):
    """How a background run may be put off: *completion_window* is ``soonest`` or a number of hours (openai 3.54)."""

    completion_window: str | None | UnsetType = UNSET


class ContextManagement(Wire, frozen=True):
    """When the context is compacted, in tokens."""

    type: str
    compact_threshold: int | None | UnsetType = UNSET


class CreateResponse(Wire, frozen=True):
    """The body of `POST /responses`. Absent members are UNSET; null counts as absent (decision 20)."""

    model: str | None | UnsetType = UNSET
    input: str | list[InputItem] | None | UnsetType = UNSET
    instructions: str | None | UnsetType = UNSET
    previous_response_id: str | None | UnsetType = UNSET
    conversation: str | Conversation | None | UnsetType = UNSET
    tools: list[ToolDefinition] | None | UnsetType = UNSET
    tool_choice: ToolChoice | None | UnsetType = UNSET
    parallel_tool_calls: bool | None | UnsetType = UNSET
    max_tool_calls: int | None | UnsetType = UNSET
    stream: bool | None | UnsetType = UNSET
    stream_options: StreamOptions | None | UnsetType = UNSET
    background: bool | None | UnsetType = UNSET
    background_options: BackgroundOptions | None | UnsetType = UNSET
    store: bool | None | UnsetType = UNSET
    include: list[str] | None | UnsetType = UNSET
    text: ResponseTextConfig | None | UnsetType = UNSET
    reasoning: Reasoning | None | UnsetType = UNSET
    temperature: Number | None | UnsetType = UNSET
    top_p: Number | None | UnsetType = UNSET
    presence_penalty: Number | None | UnsetType = UNSET
    frequency_penalty: Number | None | UnsetType = UNSET
    top_logprobs: int | None | UnsetType = UNSET
    max_output_tokens: int | None | UnsetType = UNSET
    truncation: str | None | UnsetType = UNSET
    metadata: dict[str, str] | None | UnsetType = UNSET
    service_tier: str | None | UnsetType = UNSET
    safety_identifier: str | None | UnsetType = UNSET
    prompt_cache_key: str | None | UnsetType = UNSET
    prompt_cache_retention: str | None | UnsetType = UNSET
    prompt_cache_options: JsonObject | None | UnsetType = UNSET
    prompt: Prompt | None | UnsetType = UNSET
    context_management: list[ContextManagement] | None | UnsetType = UNSET
    moderation: JsonObject | None | UnsetType = UNSET
    image: JsonObject | None | UnsetType = UNSET
    access_programs: JsonObject | None | UnsetType = UNSET
    user: str | None | UnsetType = UNSET
    agent_reference: AgentReference | None | UnsetType = UNSET
    structured_inputs: JsonObject | None | UnsetType = UNSET
    agent_session_id: str | None | UnsetType = UNSET
    response_id: str | None | UnsetType = UNSET


class CompactResponse(Wire, frozen=True):
    """The body of `POST /responses/compact` (W20)."""

    model: str
    input: str | list[InputItem] | None | UnsetType = UNSET
    previous_response_id: str | None | UnsetType = UNSET
    instructions: str | None | UnsetType = UNSET
    prompt_cache_key: str | None | UnsetType = UNSET
    prompt_cache_retention: str | None | UnsetType = UNSET
    prompt_cache_options: JsonObject | None | UnsetType = UNSET
    service_tier: str | None | UnsetType = UNSET
    image: JsonObject | None | UnsetType = UNSET


class CompactedResponse(Wire, frozen=True):
    """The answer of `POST /responses/compact` (W21)."""

    id: str
    output: list[OutputItem]
    created_at: Number
    usage: ResponseUsage
    object: str | UnsetType = "response.compaction"
    image: JsonObject | UnsetType = UNSET


class DeletedResponse(Wire, frozen=True):
    """The answer of `DELETE /responses/{id}`."""

    id: str
    object: str | UnsetType = "response"
    deleted: bool | UnsetType = True


class ResponseItemList(Wire, frozen=True):
    """A page of input items (request-response.md section 8.4)."""

    data: list[InputItem]
    has_more: bool
    first_id: str | None | UnsetType = None
    last_id: str | None | UnsetType = None
    object: str | UnsetType = "list"


class InputTokenCount(Wire, frozen=True):
    """The answer of `POST /responses/input_tokens`."""

    input_tokens: int
    object: str | UnsetType = "response.input_tokens"


def given(value: Any) -> Any:
    """Return *value*, or None where a member of a request was absent or null."""
    return None if value is UNSET else value
