"""Items of hosted tools: searches, code, images, MCP, and programs (items.md sections 3.7 to 3.14, 3.23 to 3.27)."""

from __future__ import annotations

from typing import Any, TypeAlias

from msgspec import UNSET, UnsetType

from responses_stream.protocol.base import Item, Tagged, UnknownObject, Wire
from responses_stream.protocol.parts import Number
from responses_stream.protocol.tools import ToolDefinition


class CallerDirect(Tagged, frozen=True, tag="direct"):
    """The model made the call itself."""


class CallerProgram(Tagged, frozen=True, tag="program"):
    """A program of the model made the call; *caller_id* is the `call_id` of the program."""

    caller_id: str


Caller: TypeAlias = CallerDirect | CallerProgram | UnknownObject


class FileSearchResult(Wire, frozen=True):
    """A passage that a file search found; *score* is between 0 and 1."""

    file_id: str | None | UnsetType = UNSET
    filename: str | None | UnsetType = UNSET
    score: Number | None | UnsetType = UNSET
    text: str | None | UnsetType = UNSET
    attributes: dict[str, str | int | float | bool] | None | UnsetType = UNSET


class ResponseFileSearchToolCall(Item, frozen=True, tag="file_search_call"):
    """A hosted search over vector stores, with what it found."""

    id: str
    status: str
    queries: list[str]
    results: list[FileSearchResult] | None | UnsetType = UNSET


class SearchSource(Tagged, frozen=True, tag="url"):
    """A page that a web search used."""

    url: str


class ActionSearch(Tagged, frozen=True, tag="search"):
    """Search the web."""

    query: str | None | UnsetType = UNSET
    queries: list[str] | None | UnsetType = UNSET
    sources: list[SearchSource | UnknownObject] | None | UnsetType = UNSET


class ActionOpenPage(Tagged, frozen=True, tag="open_page"):
    """Open a page."""

    url: str | None | UnsetType = UNSET


class ActionFind(Tagged, frozen=True, tag="find_in_page"):
    """Find a pattern in a page."""

    url: str
    pattern: str


WebSearchAction: TypeAlias = ActionSearch | ActionOpenPage | ActionFind | UnknownObject


class ResponseFunctionWebSearch(Item, frozen=True, tag="web_search_call"):
    """A hosted web search. Servers leave `action` out while it runs."""

    id: str
    status: str
    action: WebSearchAction | UnsetType = UNSET


class OutputLogs(Tagged, frozen=True, tag="logs"):
    """What a code interpreter printed."""

    logs: str


class OutputImage(Tagged, frozen=True, tag="image"):
    """A picture that a code interpreter made."""

    url: str


CodeInterpreterOutput: TypeAlias = OutputLogs | OutputImage | UnknownObject


class ResponseCodeInterpreterToolCall(Item, frozen=True, tag="code_interpreter_call"):
    """Python that ran in a container, with its outputs."""

    id: str
    status: str
    container_id: str
    code: str | None | UnsetType = None
    outputs: list[CodeInterpreterOutput] | None | UnsetType = None


class ImageModerationDetails(Wire, frozen=True):
    """Why an image was refused."""

    categories: list[str]
    moderation_stage: str


class ImageGenerationError(Wire, frozen=True):
    """Why an image was not made."""

    type: str
    message: str
    code: str | None | UnsetType = None
    param: str | None | UnsetType = None
    moderation_details: ImageModerationDetails | None | UnsetType = UNSET


class ImageSvgUsage(Wire, frozen=True):
    """Tokens that an SVG image cost."""

    model: str
    input_tokens: int
    output_tokens: int
    reasoning_tokens: int
    total_tokens: int


class ImageGenerationCall(Item, frozen=True, tag="image_generation_call"):
    """An image that was generated or edited; *result* is base64."""

    id: str
    status: str
    result: str | None | UnsetType = None
    action: str | None | UnsetType = UNSET
    background: str | None | UnsetType = UNSET
    error: ImageGenerationError | None | UnsetType = UNSET
    output_format: str | None | UnsetType = UNSET
    quality: str | None | UnsetType = UNSET
    revised_prompt: str | None | UnsetType = UNSET
    size: str | None | UnsetType = UNSET
    svg_usage: ImageSvgUsage | None | UnsetType = UNSET


class McpListToolsTool(Wire, frozen=True):
    """A tool of an MCP server; *input_schema* is a JSON schema."""

    name: str
    input_schema: Any
    annotations: Any | UnsetType = UNSET
    description: str | None | UnsetType = UNSET


class McpListTools(Item, frozen=True, tag="mcp_list_tools"):
    """The tools that an MCP server offers, or why they could not be listed."""

    id: str
    server_label: str
    tools: list[McpListToolsTool]
    error: str | None | UnsetType = UNSET


class McpProtocolError(Tagged, frozen=True, tag="mcp_protocol_error"):
    """The MCP server answered with a protocol error."""

    code: int
    message: str


class McpToolExecutionError(Tagged, frozen=True, tag="mcp_tool_execution_error"):
    """The tool ran and failed."""

    content: Any


class McpHttpError(Tagged, frozen=True, tag="http_error"):
    """The MCP server answered with an HTTP error."""

    code: int
    message: str


McpCallError: TypeAlias = McpProtocolError | McpToolExecutionError | McpHttpError | UnknownObject


class McpCall(Item, frozen=True, tag="mcp_call"):
    """A call to a tool of an MCP server. Older services send `error` as a string (D36)."""

    id: str
    server_label: str
    name: str
    arguments: str
    status: str | UnsetType = UNSET
    approval_request_id: str | None | UnsetType = UNSET
    output: str | None | UnsetType = UNSET
    error: McpCallError | str | None | UnsetType = UNSET


class McpApprovalRequest(Item, frozen=True, tag="mcp_approval_request"):
    """The service asks the human to approve an MCP call."""

    id: str
    server_label: str
    name: str
    arguments: str


class McpApprovalResponse(Item, frozen=True, tag="mcp_approval_response"):
    """The human's answer to an approval request. `id` may be absent in input."""

    approval_request_id: str
    approve: bool
    id: str | None | UnsetType = UNSET
    reason: str | None | UnsetType = UNSET


class ResponseToolSearchCall(Item, frozen=True, tag="tool_search_call"):
    """The model looks for deferred tools; *call_id* is null when the server searches."""

    arguments: Any
    id: str | None | UnsetType = UNSET
    call_id: str | None | UnsetType = UNSET
    execution: str | UnsetType = UNSET
    status: str | None | UnsetType = UNSET
    created_by: str | UnsetType = UNSET


class ResponseToolSearchOutputItem(Item, frozen=True, tag="tool_search_output"):
    """The tools that were found and loaded."""

    tools: list[ToolDefinition]
    id: str | None | UnsetType = UNSET
    call_id: str | None | UnsetType = UNSET
    execution: str | UnsetType = UNSET
    status: str | None | UnsetType = UNSET
    created_by: str | UnsetType = UNSET


class AdditionalTools(Item, frozen=True, tag="additional_tools"):
    """Tools that are there from this point of the conversation on."""

    role: str
    tools: list[ToolDefinition]
    id: str | None | UnsetType = UNSET


class Program(Item, frozen=True, tag="program"):
    """JavaScript that the model wrote to call tools; *fingerprint* is opaque and goes back as it came."""

    id: str
    call_id: str
    code: str
    fingerprint: str


class ProgramOutput(Item, frozen=True, tag="program_output"):
    """What a program returned."""

    id: str
    call_id: str
    result: str
    status: str
