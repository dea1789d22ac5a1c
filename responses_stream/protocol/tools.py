"""Tools, how they are chosen, and the settings of text and reasoning (request-response.md section 5)."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from responses_stream.protocol.base import Tagged, Tool, UnknownObject, UnknownTool, Wire

JsonObject: TypeAlias = dict[str, Any]
"""A JSON object whose members the protocol does not name."""

ReasoningEffort: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Verbosity: TypeAlias = Literal["low", "medium", "high"]


class FunctionTool(Tool, frozen=True, tag="function"):
    """A function of the client; *parameters* is a JSON schema."""

    name: str
    description: str | None | UnsetType = UNSET
    parameters: JsonObject | None | UnsetType = UNSET
    strict: bool | None | UnsetType = UNSET
    allowed_callers: list[str] | None | UnsetType = UNSET
    # The wire calls it `async`, which is a keyword of Python.
    is_async: bool | None | UnsetType = msgspec.field(default=UNSET, name="async")
    defer_loading: bool | None | UnsetType = UNSET
    output_schema: JsonObject | None | UnsetType = UNSET


class RankingOptions(Wire, frozen=True):
    """How the results of a file search are ranked."""

    ranker: str | None | UnsetType = UNSET
    score_threshold: int | float | None | UnsetType = UNSET
    hybrid_search: JsonObject | None | UnsetType = UNSET


class FileSearchTool(Tool, frozen=True, tag="file_search"):
    """Search in vector stores; *filters* compare attributes and may nest."""

    vector_store_ids: list[str]
    filters: JsonObject | None | UnsetType = UNSET
    max_num_results: int | None | UnsetType = UNSET
    ranking_options: RankingOptions | None | UnsetType = UNSET
    name: str | None | UnsetType = UNSET
    description: str | None | UnsetType = UNSET


class ComputerTool(Tool, frozen=True, tag="computer"):
    """The use of a computer."""


class ComputerUsePreviewTool(Tool, frozen=True, tag="computer_use_preview"):
    """The use of a computer, in its preview form; sizes in pixels."""

    display_height: int
    display_width: int
    environment: str


class UserLocation(Wire, frozen=True):
    """Where the user roughly is."""

    type: str | UnsetType = UNSET
    city: str | None | UnsetType = UNSET
    country: str | None | UnsetType = UNSET
    region: str | None | UnsetType = UNSET
    timezone: str | None | UnsetType = UNSET


class WebSearchFilters(Wire, frozen=True):
    """Which sites a web search may use."""

    allowed_domains: list[str] | None | UnsetType = UNSET


class WebSearchTool(Tool, frozen=True, tag="web_search"):
    """Search the web."""

    external_web_access: bool | None | UnsetType = UNSET
    filters: WebSearchFilters | None | UnsetType = UNSET
    search_context_size: str | None | UnsetType = UNSET
    user_location: UserLocation | None | UnsetType = UNSET
    name: str | None | UnsetType = UNSET
    description: str | None | UnsetType = UNSET
    custom_search_configuration: JsonObject | None | UnsetType = UNSET


class WebSearch20250826Tool(WebSearchTool, frozen=True, tag="web_search_2025_08_26"):
    """Search the web, by the dated name."""


class WebSearchPreviewTool(Tool, frozen=True, tag="web_search_preview"):
    """Search the web, in its preview form."""

    search_content_types: list[str] | None | UnsetType = UNSET
    search_context_size: str | None | UnsetType = UNSET
    user_location: UserLocation | None | UnsetType = UNSET
    name: str | None | UnsetType = UNSET
    description: str | None | UnsetType = UNSET


class WebSearchPreview20250311Tool(WebSearchPreviewTool, frozen=True, tag="web_search_preview_2025_03_11"):
    """Search the web, in its preview form, by the dated name."""


class McpToolFilter(Wire, frozen=True):
    """Which tools of an MCP server are meant."""

    read_only: bool | None | UnsetType = UNSET
    tool_names: list[str] | None | UnsetType = UNSET


class McpApprovalFilter(Wire, frozen=True):
    """Which tools of an MCP server always or never need approval."""

    always: McpToolFilter | None | UnsetType = UNSET
    never: McpToolFilter | None | UnsetType = UNSET


class McpTool(Tool, frozen=True, tag="mcp"):
    """The tools of an MCP server. *authorization* is a secret: keep it out of logs and echoes."""

    server_label: str
    allowed_callers: list[str] | None | UnsetType = UNSET
    allowed_tools: list[str] | McpToolFilter | None | UnsetType = UNSET
    authorization: str | None | UnsetType = UNSET
    connector_id: str | None | UnsetType = UNSET
    defer_loading: bool | None | UnsetType = UNSET
    headers: dict[str, str] | None | UnsetType = UNSET
    project_connection_id: str | None | UnsetType = UNSET
    require_approval: str | McpApprovalFilter | None | UnsetType = UNSET
    server_description: str | None | UnsetType = UNSET
    server_url: str | None | UnsetType = UNSET
    tunnel_id: str | None | UnsetType = UNSET


class CodeInterpreterContainerAuto(Tagged, frozen=True, tag="auto"):
    """A container that the service makes."""

    file_ids: list[str] | None | UnsetType = UNSET
    memory_limit: str | None | UnsetType = UNSET
    network_policy: JsonObject | None | UnsetType = UNSET


class CodeInterpreterTool(Tool, frozen=True, tag="code_interpreter"):
    """Python in a container, named or made for the purpose."""

    container: str | CodeInterpreterContainerAuto | UnknownObject
    allowed_callers: list[str] | None | UnsetType = UNSET
    name: str | None | UnsetType = UNSET
    description: str | None | UnsetType = UNSET


class ProgrammaticToolCallingTool(Tool, frozen=True, tag="programmatic_tool_calling"):
    """Lets the model write programs that call tools."""


class InputImageMask(Wire, frozen=True):
    """The part of an image that may change."""

    file_id: str | None | UnsetType = UNSET
    image_url: str | None | UnsetType = UNSET


class ImageGenerationTool(Tool, frozen=True, tag="image_generation"):
    """Make or change images; *partial_images* is 0 to 3, *output_compression* 0 to 100."""

    action: str | None | UnsetType = UNSET
    background: str | None | UnsetType = UNSET
    complexity: str | None | UnsetType = UNSET
    frame_count: int | None | UnsetType = UNSET
    frame_duration_ms: int | None | UnsetType = UNSET
    input_fidelity: str | None | UnsetType = UNSET
    input_image_mask: InputImageMask | None | UnsetType = UNSET
    model: str | None | UnsetType = UNSET
    moderation: str | None | UnsetType = UNSET
    output_compression: int | None | UnsetType = UNSET
    output_format: str | None | UnsetType = UNSET
    partial_images: int | None | UnsetType = UNSET
    quality: str | None | UnsetType = UNSET
    size: str | None | UnsetType = UNSET
    svg: JsonObject | None | UnsetType = UNSET
    name: str | None | UnsetType = UNSET
    description: str | None | UnsetType = UNSET


class LocalShellTool(Tool, frozen=True, tag="local_shell"):
    """Commands on the client's machine, in the older form."""


class ShellTool(Tool, frozen=True, tag="shell"):
    """Commands in a shell; *environment* says where it runs and with which skills."""

    allowed_callers: list[str] | None | UnsetType = UNSET
    environment: JsonObject | None | UnsetType = UNSET
    name: str | None | UnsetType = UNSET
    description: str | None | UnsetType = UNSET


class CustomToolFormatText(Tagged, frozen=True, tag="text"):
    """Any text."""


class CustomToolFormatGrammar(Tagged, frozen=True, tag="grammar"):
    """Text of a grammar, in the syntax `lark` or `regex`."""

    definition: str
    syntax: str


class CustomTool(Tool, frozen=True, tag="custom"):
    """A tool of the client that takes free text."""

    name: str
    allowed_callers: list[str] | None | UnsetType = UNSET
    # The wire calls it `async`, which is a keyword of Python.
    is_async: bool | None | UnsetType = msgspec.field(default=UNSET, name="async")
    defer_loading: bool | None | UnsetType = UNSET
    description: str | None | UnsetType = UNSET
    format: CustomToolFormatText | CustomToolFormatGrammar | UnknownObject | None | UnsetType = UNSET


class NamespaceTool(Tool, frozen=True, tag="namespace"):
    """Tools under one name."""

    name: str
    description: str
    tools: list[ToolDefinition]


class ToolSearchTool(Tool, frozen=True, tag="tool_search"):
    """Lets the model look for deferred tools."""

    description: str | None | UnsetType = UNSET
    execution: str | None | UnsetType = UNSET
    parameters: Any | UnsetType = UNSET


class ApplyPatchTool(Tool, frozen=True, tag="apply_patch"):
    """Lets the model create, change and delete files."""

    allowed_callers: list[str] | None | UnsetType = UNSET


class NamedPlatformTool(Tool, frozen=True):
    """A tool of the Azure platform; what it needs is in `extra`, under its own name."""

    name: str | None | UnsetType = UNSET
    description: str | None | UnsetType = UNSET


class A2APreviewTool(NamedPlatformTool, frozen=True, kw_only=True, tag="a2a_preview"):
    """Another agent."""

    base_url: str | None | UnsetType = UNSET
    agent_card_path: str | None | UnsetType = UNSET
    project_connection_id: str | None | UnsetType = UNSET


class AzureAISearchTool(NamedPlatformTool, frozen=True, kw_only=True, tag="azure_ai_search"):
    """Search in an index."""

    azure_ai_search: JsonObject


class AzureFunctionTool(Tool, frozen=True, tag="azure_function"):
    """An Azure function."""

    azure_function: JsonObject


class BingCustomSearchPreviewTool(NamedPlatformTool, frozen=True, kw_only=True, tag="bing_custom_search_preview"):
    """A custom Bing search."""

    bing_custom_search_preview: JsonObject


class BingGroundingTool(NamedPlatformTool, frozen=True, kw_only=True, tag="bing_grounding"):
    """A Bing search."""

    bing_grounding: JsonObject


class BrowserAutomationPreviewTool(NamedPlatformTool, frozen=True, kw_only=True, tag="browser_automation_preview"):
    """A browser."""

    browser_automation_preview: JsonObject


class CaptureStructuredOutputsTool(NamedPlatformTool, frozen=True, kw_only=True, tag="capture_structured_outputs"):
    """Asks for `structured_outputs` items."""

    outputs: JsonObject


class FabricDataAgentPreviewTool(NamedPlatformTool, frozen=True, kw_only=True, tag="fabric_dataagent_preview"):
    """A Fabric data agent."""

    fabric_dataagent_preview: JsonObject


class MemorySearchPreviewTool(NamedPlatformTool, frozen=True, kw_only=True, tag="memory_search_preview"):
    """Search in the memory of a user; *update_delay* in seconds."""

    memory_store_name: str
    scope: str
    search_options: JsonObject | None | UnsetType = UNSET
    update_delay: int | float | None | UnsetType = UNSET


class OpenAPITool(Tool, frozen=True, tag="openapi"):
    """An HTTP API."""

    openapi: JsonObject


class SharepointGroundingPreviewTool(NamedPlatformTool, frozen=True, kw_only=True, tag="sharepoint_grounding_preview"):
    """A SharePoint search."""

    sharepoint_grounding_preview: JsonObject


class WorkIQPreviewTool(NamedPlatformTool, frozen=True, kw_only=True, tag="work_iq_preview"):
    """Work IQ."""

    work_iq_preview: JsonObject


ToolDefinition: TypeAlias = (
    FunctionTool
    | FileSearchTool
    | ComputerTool
    | ComputerUsePreviewTool
    | WebSearchTool
    | WebSearch20250826Tool
    | WebSearchPreviewTool
    | WebSearchPreview20250311Tool
    | McpTool
    | CodeInterpreterTool
    | ProgrammaticToolCallingTool
    | ImageGenerationTool
    | LocalShellTool
    | ShellTool
    | CustomTool
    | NamespaceTool
    | ToolSearchTool
    | ApplyPatchTool
    | A2APreviewTool
    | AzureAISearchTool
    | AzureFunctionTool
    | BingCustomSearchPreviewTool
    | BingGroundingTool
    | BrowserAutomationPreviewTool
    | CaptureStructuredOutputsTool
    | FabricDataAgentPreviewTool
    | MemorySearchPreviewTool
    | OpenAPITool
    | SharepointGroundingPreviewTool
    | WorkIQPreviewTool
    | UnknownTool
)
"""What may stand in `tools`."""


class ToolChoiceFunction(Tagged, frozen=True, tag="function"):
    """This function and no other."""

    name: str | UnsetType = UNSET


class ToolChoiceAllowed(Tagged, frozen=True, tag="allowed_tools"):
    """Only these tools; *mode* is `auto` or `required`."""

    tools: list[JsonObject]
    mode: str | UnsetType = UNSET


class ToolChoiceCustom(Tagged, frozen=True, tag="custom"):
    """This custom tool."""

    name: str


class ToolChoiceMcp(Tagged, frozen=True, tag="mcp"):
    """This MCP server, or one tool of it."""

    server_label: str
    name: str | None | UnsetType = UNSET


class ToolChoiceTypes(Wire, frozen=True):
    """Any other tool, by its type alone."""

    type: Literal[
        "file_search",
        "web_search_preview",
        "web_search_preview_2025_03_11",
        "computer",
        "computer_use_preview",
        "computer_use",
        "image_generation",
        "code_interpreter",
        "apply_patch",
        "shell",
        "programmatic_tool_calling",
    ]


ToolChoice: TypeAlias = (
    str | ToolChoiceFunction | ToolChoiceAllowed | ToolChoiceCustom | ToolChoiceMcp | ToolChoiceTypes | UnknownObject
)
"""`none`, `auto`, `required`, or an object that names what to use (request-response.md section 5.2)."""


class ResponseFormatText(Tagged, frozen=True, tag="text"):
    """Plain text."""


class ResponseFormatJSONObject(Tagged, frozen=True, tag="json_object"):
    """A JSON object, in the older mode without a schema."""


class ResponseFormatTextJSONSchema(Tagged, frozen=True, tag="json_schema"):
    """JSON that fits a schema."""

    name: str | UnsetType = UNSET
    schema: JsonObject | None | UnsetType = UNSET
    description: str | None | UnsetType = UNSET
    strict: bool | None | UnsetType = UNSET


TextFormat: TypeAlias = ResponseFormatText | ResponseFormatJSONObject | ResponseFormatTextJSONSchema | UnknownObject


class ResponseTextConfig(Wire, frozen=True):
    """The form of the answer (request-response.md section 5.3)."""

    format: TextFormat | None | UnsetType = UNSET
    verbosity: str | None | UnsetType = UNSET


class Reasoning(Wire, frozen=True):
    """How much the model thinks, and what it shows of it (request-response.md section 5.4)."""

    effort: str | None | UnsetType = UNSET
    summary: str | None | UnsetType = UNSET
    generate_summary: str | None | UnsetType = UNSET
    context: str | None | UnsetType = UNSET
    mode: str | None | UnsetType = UNSET
