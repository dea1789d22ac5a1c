"""Items that only the Azure platform knows (items.md section 8). All of them are added, then done."""

from __future__ import annotations

from typing import Any, TypeAlias

from msgspec import UNSET, UnsetType

from responses_stream.protocol.base import Item, UnknownObject, Wire


class StructuredOutputs(Item, frozen=True, tag="structured_outputs"):
    """Data in a form that was asked for; *output* is any JSON."""

    id: str
    output: Any


class OAuthConsentRequest(Item, frozen=True, tag="oauth_consent_request"):
    """The user has to consent at a link before a server can be used."""

    id: str
    consent_link: str
    server_label: str


class MemoryItem(Wire, frozen=True):
    """Something remembered of a user."""

    memory_id: str
    updated_at: int | float
    scope: str
    content: str
    kind: str | UnsetType = UNSET


class MemorySearchResult(Wire, frozen=True):
    """One memory that was found."""

    memory_item: MemoryItem | UnknownObject


class MemorySearchCall(Item, frozen=True, tag="memory_search_call"):
    """A search in the memory of a user."""

    id: str
    status: str
    results: list[MemorySearchResult] | None | UnsetType = UNSET


class WorkflowAction(Item, frozen=True, tag="workflow_action"):
    """A step of a workflow."""

    id: str
    kind: str
    action_id: str
    status: str
    parent_action_id: str | None | UnsetType = UNSET
    previous_action_id: str | None | UnsetType = UNSET


class PlatformToolCall(Item, frozen=True):
    """A call to a tool of the platform; *arguments* is JSON in a string."""

    id: str
    call_id: str
    arguments: str
    status: str
    name: str | UnsetType = UNSET


class PlatformToolCallOutput(Item, frozen=True):
    """What a tool of the platform returned."""

    id: str
    call_id: str
    status: str
    output: Any | UnsetType = UNSET
    name: str | UnsetType = UNSET


class A2APreviewCall(PlatformToolCall, frozen=True, tag="a2a_preview_call"):
    """A call to another agent."""


class A2APreviewCallOutput(PlatformToolCallOutput, frozen=True, tag="a2a_preview_call_output"):
    """What the other agent answered."""


class BingGroundingCall(PlatformToolCall, frozen=True, tag="bing_grounding_call"):
    """A Bing search."""


class BingGroundingCallOutput(PlatformToolCallOutput, frozen=True, tag="bing_grounding_call_output"):
    """What the Bing search found."""


class SharepointGroundingPreviewCall(PlatformToolCall, frozen=True, tag="sharepoint_grounding_preview_call"):
    """A SharePoint search."""


class SharepointGroundingPreviewCallOutput(
    PlatformToolCallOutput, frozen=True, tag="sharepoint_grounding_preview_call_output"
):
    """What the SharePoint search found."""


class AzureAISearchCall(PlatformToolCall, frozen=True, tag="azure_ai_search_call"):
    """A search in an index."""


class AzureAISearchCallOutput(PlatformToolCallOutput, frozen=True, tag="azure_ai_search_call_output"):
    """What the search in the index found."""


class BingCustomSearchPreviewCall(PlatformToolCall, frozen=True, tag="bing_custom_search_preview_call"):
    """A custom Bing search."""


class BingCustomSearchPreviewCallOutput(
    PlatformToolCallOutput, frozen=True, tag="bing_custom_search_preview_call_output"
):
    """What the custom Bing search found."""


class OpenAPICall(PlatformToolCall, frozen=True, tag="openapi_call"):
    """A call to an HTTP API."""


class OpenAPICallOutput(PlatformToolCallOutput, frozen=True, tag="openapi_call_output"):
    """What the HTTP API answered."""


class BrowserAutomationPreviewCall(PlatformToolCall, frozen=True, tag="browser_automation_preview_call"):
    """A task for a browser."""


class BrowserAutomationPreviewCallOutput(
    PlatformToolCallOutput, frozen=True, tag="browser_automation_preview_call_output"
):
    """What the browser brought back."""


class FabricDataAgentPreviewCall(PlatformToolCall, frozen=True, tag="fabric_dataagent_preview_call"):
    """A question to a Fabric data agent."""


class FabricDataAgentPreviewCallOutput(PlatformToolCallOutput, frozen=True, tag="fabric_dataagent_preview_call_output"):
    """What the data agent answered."""


class AzureFunctionCall(PlatformToolCall, frozen=True, tag="azure_function_call"):
    """A call to an Azure function."""


class AzureFunctionCallOutput(PlatformToolCallOutput, frozen=True, tag="azure_function_call_output"):
    """What the Azure function returned."""


PlatformItem: TypeAlias = (
    StructuredOutputs
    | OAuthConsentRequest
    | MemorySearchCall
    | WorkflowAction
    | A2APreviewCall
    | A2APreviewCallOutput
    | BingGroundingCall
    | BingGroundingCallOutput
    | SharepointGroundingPreviewCall
    | SharepointGroundingPreviewCallOutput
    | AzureAISearchCall
    | AzureAISearchCallOutput
    | BingCustomSearchPreviewCall
    | BingCustomSearchPreviewCallOutput
    | OpenAPICall
    | OpenAPICallOutput
    | BrowserAutomationPreviewCall
    | BrowserAutomationPreviewCallOutput
    | FabricDataAgentPreviewCall
    | FabricDataAgentPreviewCallOutput
    | AzureFunctionCall
    | AzureFunctionCallOutput
)
