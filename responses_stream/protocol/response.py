"""The response object, its usage and its errors (request-response.md sections 3 and 7, items.md section 9)."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from responses_stream.protocol.base import AgentReference, Wire
from responses_stream.protocol.items import InputItem, OutputItem, ResponseOutputMessage
from responses_stream.protocol.parts import Number, ResponseOutputText
from responses_stream.protocol.tools import (
    JsonObject,
    Reasoning,
    ResponseFormatText,
    ResponseTextConfig,
    ToolChoice,
    ToolDefinition,
)

ResponseStatus: TypeAlias = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
IncompleteReason: TypeAlias = Literal["max_output_tokens", "content_filter", "max_messages", "steered"]


class ResponseError(Wire, frozen=True):
    """Why a response failed; *code* is an open set (request-response.md section 7)."""

    code: str
    message: str
    param: str | None | UnsetType = UNSET
    type: str | None | UnsetType = UNSET
    misalignment: JsonObject | None | UnsetType = UNSET


class IncompleteDetails(Wire, frozen=True):
    """Why a response stopped early (request-response.md section 3.3)."""

    reason: str | UnsetType = UNSET


class InputTokensDetails(Wire, frozen=True):
    """Where the input tokens came from."""

    cached_tokens: int | UnsetType = 0
    cache_write_tokens: int | UnsetType = 0
    cache_write_tokens_details: JsonObject | UnsetType = UNSET


class OutputTokensDetails(Wire, frozen=True):
    """What the output tokens were spent on."""

    reasoning_tokens: int | UnsetType = 0


class ResponseUsage(Wire, frozen=True):
    """The tokens of a response. The details are always written in full: clients break on empty ones (B1).

    Attributes:
        total_tokens: input plus output (R057).
    """

    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_tokens_details: InputTokensDetails | UnsetType = msgspec.field(default_factory=InputTokensDetails)
    output_tokens_details: OutputTokensDetails | UnsetType = msgspec.field(default_factory=OutputTokensDetails)


class Conversation(Wire, frozen=True):
    """The conversation that a response belongs to."""

    id: str


class Prompt(Wire, frozen=True):
    """A stored prompt template and its variables."""

    id: str
    version: str | None | UnsetType = UNSET
    variables: JsonObject | None | UnsetType = UNSET


def default_text() -> ResponseTextConfig:
    """Return the text settings of a response whose request said nothing of them."""
    return ResponseTextConfig(format=ResponseFormatText(), verbosity="medium")


class ResponseObject(Wire, frozen=True):
    """A response, as `POST /responses` answers it and as lifecycle events carry it.

    Made in Python it has every member of W31, nulls written out (decision 1); read from elsewhere, a member that was
    absent is UNSET and stays absent.
    """

    id: str
    object: str | UnsetType = "response"
    created_at: Number | UnsetType = 0
    completed_at: Number | None | UnsetType = None
    status: str | UnsetType = "in_progress"
    incomplete_details: IncompleteDetails | None | UnsetType = None
    model: str | None | UnsetType = ""
    previous_response_id: str | None | UnsetType = None
    instructions: str | list[InputItem] | None | UnsetType = None
    output: list[OutputItem] = []
    error: ResponseError | None | UnsetType = None
    tools: list[ToolDefinition] | UnsetType = []
    tool_choice: ToolChoice | UnsetType = "auto"
    truncation: str | None | UnsetType = "disabled"
    parallel_tool_calls: bool | UnsetType = True
    text: ResponseTextConfig | UnsetType = msgspec.field(default_factory=default_text)
    top_p: Number | None | UnsetType = 1
    presence_penalty: Number | None | UnsetType = 0
    frequency_penalty: Number | None | UnsetType = 0
    top_logprobs: int | None | UnsetType = 0
    temperature: Number | None | UnsetType = 1
    reasoning: Reasoning | None | UnsetType = None
    usage: ResponseUsage | None | UnsetType = None
    max_output_tokens: int | None | UnsetType = None
    max_tool_calls: int | None | UnsetType = None
    store: bool | None | UnsetType = True
    background: bool | None | UnsetType = False
    service_tier: str | None | UnsetType = "auto"
    metadata: dict[str, str] | None | UnsetType = msgspec.field(default_factory=dict)
    safety_identifier: str | None | UnsetType = None
    prompt_cache_key: str | None | UnsetType = None
    conversation: Conversation | None | UnsetType = UNSET
    prompt: Prompt | None | UnsetType = UNSET
    prompt_cache_retention: str | None | UnsetType = UNSET
    prompt_cache_options: JsonObject | None | UnsetType = UNSET
    prompt_cache_diagnostics: JsonObject | None | UnsetType = UNSET
    moderation: JsonObject | None | UnsetType = UNSET
    input_transformations: list[JsonObject] | None | UnsetType = UNSET
    image: JsonObject | None | UnsetType = UNSET
    tool_usage: JsonObject | None | UnsetType = UNSET
    access_programs: JsonObject | None | UnsetType = UNSET
    user: str | None | UnsetType = UNSET
    agent_reference: AgentReference | None | UnsetType = UNSET
    agent_session_id: str | None | UnsetType = UNSET
    response_id: str | None | UnsetType = UNSET

    @property
    def output_text(self) -> str:
        """The text of all `output_text` parts of all messages, joined, as the property of the `openai` package."""
        messages = [item for item in self.output if isinstance(item, ResponseOutputMessage)]
        return "".join(part.text for item in messages for part in item.content if isinstance(part, ResponseOutputText))


class ErrorPayload(Wire, frozen=True):
    """An error as clients read it: in an HTTP body, in the nested form of an `error` event, on a WebSocket."""

    message: str
    type: str | None | UnsetType = UNSET
    code: str | None | UnsetType = None
    param: str | None | UnsetType = None
    headers: dict[str, str] | None | UnsetType = UNSET
    details: list[JsonObject] | UnsetType = UNSET
    additional_info: JsonObject | UnsetType = msgspec.field(default=UNSET, name="additionalInfo")
    debug_info: Any | UnsetType = msgspec.field(default=UNSET, name="debugInfo")
    misalignment: JsonObject | None | UnsetType = UNSET


class ErrorBody(Wire, frozen=True):
    """The JSON body of an HTTP error (H8.1)."""

    error: ErrorPayload
