"""Items of tools: searches, code, images, MCP, computer, shells and patches (items.md sections 3.7 to 3.27 and 7)."""

from __future__ import annotations

from typing import Any, TypeAlias

from msgspec import UNSET, UnsetType

from responses_stream.protocol.base import Item, Tagged, UnknownObject, Wire
from responses_stream.protocol.parts import ComputerScreenshot, Number
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


class SafetyCheck(Wire, frozen=True):
    """Something to confirm before a computer action is done."""

    id: str
    code: str | None | UnsetType = UNSET
    message: str | None | UnsetType = UNSET


class Point(Wire, frozen=True):
    """A place on the screen, in pixels."""

    x: int
    y: int


class ActionClick(Tagged, frozen=True, tag="click"):
    """Click with a button."""

    button: str
    x: int
    y: int
    keys: list[str] | None | UnsetType = UNSET


class ActionDoubleClick(Tagged, frozen=True, tag="double_click"):
    """Click twice."""

    x: int
    y: int
    keys: list[str] | None | UnsetType = None


class ActionDrag(Tagged, frozen=True, tag="drag"):
    """Drag along a path."""

    path: list[Point]
    keys: list[str] | None | UnsetType = UNSET


class ActionKeypress(Tagged, frozen=True, tag="keypress"):
    """Press keys together."""

    keys: list[str]


class ActionMove(Tagged, frozen=True, tag="move"):
    """Move the pointer."""

    x: int
    y: int
    keys: list[str] | None | UnsetType = UNSET


class ActionScreenshot(Tagged, frozen=True, tag="screenshot"):
    """Take a picture of the screen."""


class ActionScroll(Tagged, frozen=True, tag="scroll"):
    """Scroll at a place."""

    x: int
    y: int
    scroll_x: int
    scroll_y: int
    keys: list[str] | None | UnsetType = UNSET


class ActionType(Tagged, frozen=True, tag="type"):
    """Type text."""

    text: str


class ActionWait(Tagged, frozen=True, tag="wait"):
    """Wait."""


ComputerAction: TypeAlias = (
    ActionClick
    | ActionDoubleClick
    | ActionDrag
    | ActionKeypress
    | ActionMove
    | ActionScreenshot
    | ActionScroll
    | ActionType
    | ActionWait
    | UnknownObject
)


class ResponseComputerToolCall(Item, frozen=True, tag="computer_call"):
    """An action on a screen: `action` for the preview tool, `actions` for the newer one."""

    id: str
    call_id: str
    status: str
    pending_safety_checks: list[SafetyCheck]
    action: ComputerAction | UnsetType = UNSET
    actions: list[ComputerAction] | UnsetType = UNSET


class ResponseComputerToolCallOutputItem(Item, frozen=True, tag="computer_call_output"):
    """A screenshot after the action."""

    call_id: str
    output: ComputerScreenshot | UnknownObject
    id: str | None | UnsetType = UNSET
    status: str | None | UnsetType = UNSET
    acknowledged_safety_checks: list[SafetyCheck] | None | UnsetType = UNSET
    created_by: str | UnsetType = UNSET


class LocalShellCallAction(Tagged, frozen=True, tag="exec"):
    """One command for the client to run."""

    command: list[str]
    env: dict[str, str]
    timeout_ms: int | None | UnsetType = UNSET
    user: str | None | UnsetType = UNSET
    working_directory: str | None | UnsetType = UNSET


class LocalShellCall(Item, frozen=True, tag="local_shell_call"):
    """A command of the older local shell tool."""

    id: str
    call_id: str
    status: str
    action: LocalShellCallAction | UnknownObject


class LocalShellCallOutput(Item, frozen=True, tag="local_shell_call_output"):
    """What the local shell printed; *output* is JSON in a string, *id* is that of the call."""

    id: str
    output: str
    status: str | None | UnsetType = UNSET


class ShellAction(Wire, frozen=True):
    """Commands for a shell, and its limits (milliseconds, characters)."""

    commands: list[str]
    timeout_ms: int | None | UnsetType = UNSET
    max_output_length: int | None | UnsetType = UNSET


class LocalEnvironment(Tagged, frozen=True, tag="local"):
    """The client's own machine."""

    skills: list[Any] | None | UnsetType = UNSET


class ContainerReference(Tagged, frozen=True, tag="container_reference"):
    """A hosted container."""

    container_id: str


ShellEnvironment: TypeAlias = LocalEnvironment | ContainerReference | UnknownObject


class ResponseFunctionShellToolCall(Item, frozen=True, tag="shell_call"):
    """Commands to run in a shell. `id`, `status` and `environment` may be absent in input."""

    call_id: str
    action: ShellAction
    id: str | None | UnsetType = UNSET
    status: str | None | UnsetType = UNSET
    environment: ShellEnvironment | None | UnsetType = None
    caller: Caller | None | UnsetType = UNSET
    created_by: str | UnsetType = UNSET


class OutcomeExit(Tagged, frozen=True, tag="exit"):
    """The command ended."""

    exit_code: int


class OutcomeTimeout(Tagged, frozen=True, tag="timeout"):
    """The command took too long."""


ShellOutcome: TypeAlias = OutcomeExit | OutcomeTimeout | UnknownObject


class ShellCallOutputContent(Wire, frozen=True):
    """What one command printed, and how it ended."""

    stdout: str
    stderr: str
    outcome: ShellOutcome
    created_by: str | UnsetType = UNSET


class ResponseFunctionShellToolCallOutput(Item, frozen=True, tag="shell_call_output"):
    """The output of shell commands. `id` and `status` may be absent in input."""

    call_id: str
    output: list[ShellCallOutputContent]
    id: str | None | UnsetType = UNSET
    status: str | None | UnsetType = UNSET
    max_output_length: int | None | UnsetType = None
    caller: Caller | None | UnsetType = UNSET
    created_by: str | UnsetType = UNSET


class OperationCreateFile(Tagged, frozen=True, tag="create_file"):
    """Create a file; *diff* is its content as a diff."""

    path: str
    diff: str


class OperationUpdateFile(Tagged, frozen=True, tag="update_file"):
    """Change a file by a diff."""

    path: str
    diff: str


class OperationDeleteFile(Tagged, frozen=True, tag="delete_file"):
    """Delete a file."""

    path: str


PatchOperation: TypeAlias = OperationCreateFile | OperationUpdateFile | OperationDeleteFile | UnknownObject


class ResponseApplyPatchToolCall(Item, frozen=True, tag="apply_patch_call"):
    """A file to create, change or delete. `id` may be absent in input."""

    call_id: str
    status: str
    operation: PatchOperation
    id: str | None | UnsetType = UNSET
    caller: Caller | None | UnsetType = UNSET
    created_by: str | UnsetType = UNSET


class ResponseApplyPatchToolCallOutput(Item, frozen=True, tag="apply_patch_call_output"):
    """Whether the patch was applied. `id` may be absent in input."""

    call_id: str
    status: str
    id: str | None | UnsetType = UNSET
    output: str | None | UnsetType = UNSET
    caller: Caller | None | UnsetType = UNSET
    created_by: str | UnsetType = UNSET


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
