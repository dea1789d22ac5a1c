"""Items of the tools of the Azure platform: nine calls and their outputs, all of one form (items.md section 8)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from responses_stream.builders import values
from responses_stream.builders.item import ToolStatus
from responses_stream.builders.plain import PlainItemBuilder, item_id_of, whole
from responses_stream.builders.plain_items import PlainItems
from responses_stream.builders.values import or_unset
from responses_stream.protocol.items import OutputItem
from responses_stream.protocol.platform_items import (
    A2APreviewCall,
    A2APreviewCallOutput,
    AzureAISearchCall,
    AzureAISearchCallOutput,
    AzureFunctionCall,
    AzureFunctionCallOutput,
    BingCustomSearchPreviewCall,
    BingCustomSearchPreviewCallOutput,
    BingGroundingCall,
    BingGroundingCallOutput,
    BrowserAutomationPreviewCall,
    BrowserAutomationPreviewCallOutput,
    FabricDataAgentPreviewCall,
    FabricDataAgentPreviewCallOutput,
    OpenAPICall,
    OpenAPICallOutput,
    PlatformToolCall,
    PlatformToolCallOutput,
    SharepointGroundingPreviewCall,
    SharepointGroundingPreviewCallOutput,
)

K = TypeVar("K")
P = ParamSpec("P")
S = TypeVar("S", bound=PlainItems)


def _for(
    kind: type[K], template: Callable[Concatenate[S, type[K], P], PlainItemBuilder]
) -> Callable[Concatenate[S, P], PlainItemBuilder]:
    """Make the factory of one *kind* from the method that serves them all."""

    def factory(stream: S, /, *args: P.args, **kwargs: P.kwargs) -> PlainItemBuilder:
        return template(stream, kind, *args, **kwargs)

    tag = cast("type[PlatformToolCall]", kind).__struct_config__.tag
    factory.__name__ = f"add_output_item_{tag}"
    factory.__qualname__, factory.__doc__ = f"ResponseEventStream.{factory.__name__}", template.__doc__
    return factory


class PlatformItems(PlainItems):
    """The part of `ResponseEventStream` that makes the items of platform tools."""

    __slots__ = ()

    def _platform_call(
        self,
        kind: type[PlatformToolCall],
        call_id: str,
        arguments: str,
        *,
        name: str | None = None,
        status: ToolStatus = "completed",
        item_id: str | None = None,
    ) -> PlainItemBuilder:
        """Begin a call to a tool of the platform; *arguments* is JSON in a string.

        Raises:
            InvalidType, InvalidValue: an argument does not fit.
        """
        item = kind(
            id=item_id_of(item_id),
            call_id=values.name("call_id", call_id),
            arguments=values.text("arguments", arguments),
            name=or_unset(values.text_or_none("name", name)),
            status=status,
        )
        return self._plain(cast("OutputItem", item))

    def _platform_output(
        self,
        kind: type[PlatformToolCallOutput],
        call_id: str,
        output: Any = None,
        *,
        name: str | None = None,
        status: ToolStatus = "completed",
        item_id: str | None = None,
    ) -> PlainItemBuilder:
        """Begin what a tool of the platform returned; *output* is any JSON, left out when None.

        Raises:
            InvalidType, InvalidValue: an argument does not fit.
        """
        item = kind(
            id=item_id_of(item_id),
            call_id=values.name("call_id", call_id),
            output=or_unset(values.plain("output", output)),
            name=or_unset(values.text_or_none("name", name)),
            status=status,
        )
        return self._plain(cast("OutputItem", item))

    def _named_call(
        self,
        kind: type[PlatformToolCall],
        call_id: str,
        arguments: str,
        *,
        name: str,
        status: ToolStatus = "completed",
        item_id: str | None = None,
    ) -> PlainItemBuilder:
        """Begin a call to the tool *name* of the platform; *arguments* is JSON in a string.

        Raises:
            InvalidType, InvalidValue: an argument does not fit.
        """
        told = values.name("name", name)
        return self._platform_call(kind, call_id, arguments, name=told, status=status, item_id=item_id)

    def _named_output(
        self,
        kind: type[PlatformToolCallOutput],
        call_id: str,
        output: Any = None,
        *,
        name: str,
        status: ToolStatus = "completed",
        item_id: str | None = None,
    ) -> PlainItemBuilder:
        """Begin what the tool *name* of the platform returned; *output* is any JSON, left out when None.

        Raises:
            InvalidType, InvalidValue: an argument does not fit.
        """
        told = values.name("name", name)
        return self._platform_output(kind, call_id, output, name=told, status=status, item_id=item_id)

    # The types of these three require a name (items.md section 8); the other six may do without.
    add_output_item_a2a_preview_call = _for(A2APreviewCall, _named_call)
    output_item_a2a_preview_call = whole(add_output_item_a2a_preview_call)
    add_output_item_a2a_preview_call_output = _for(A2APreviewCallOutput, _named_output)
    output_item_a2a_preview_call_output = whole(add_output_item_a2a_preview_call_output)

    add_output_item_bing_grounding_call = _for(BingGroundingCall, _platform_call)
    output_item_bing_grounding_call = whole(add_output_item_bing_grounding_call)
    add_output_item_bing_grounding_call_output = _for(BingGroundingCallOutput, _platform_output)
    output_item_bing_grounding_call_output = whole(add_output_item_bing_grounding_call_output)

    add_output_item_sharepoint_grounding_preview_call = _for(SharepointGroundingPreviewCall, _platform_call)
    output_item_sharepoint_grounding_preview_call = whole(add_output_item_sharepoint_grounding_preview_call)
    add_output_item_sharepoint_grounding_preview_call_output = _for(
        SharepointGroundingPreviewCallOutput, _platform_output
    )
    output_item_sharepoint_grounding_preview_call_output = whole(
        add_output_item_sharepoint_grounding_preview_call_output
    )

    add_output_item_azure_ai_search_call = _for(AzureAISearchCall, _platform_call)
    output_item_azure_ai_search_call = whole(add_output_item_azure_ai_search_call)
    add_output_item_azure_ai_search_call_output = _for(AzureAISearchCallOutput, _platform_output)
    output_item_azure_ai_search_call_output = whole(add_output_item_azure_ai_search_call_output)

    add_output_item_bing_custom_search_preview_call = _for(BingCustomSearchPreviewCall, _platform_call)
    output_item_bing_custom_search_preview_call = whole(add_output_item_bing_custom_search_preview_call)
    add_output_item_bing_custom_search_preview_call_output = _for(BingCustomSearchPreviewCallOutput, _platform_output)
    output_item_bing_custom_search_preview_call_output = whole(add_output_item_bing_custom_search_preview_call_output)

    add_output_item_openapi_call = _for(OpenAPICall, _named_call)
    output_item_openapi_call = whole(add_output_item_openapi_call)
    add_output_item_openapi_call_output = _for(OpenAPICallOutput, _named_output)
    output_item_openapi_call_output = whole(add_output_item_openapi_call_output)

    add_output_item_browser_automation_preview_call = _for(BrowserAutomationPreviewCall, _platform_call)
    output_item_browser_automation_preview_call = whole(add_output_item_browser_automation_preview_call)
    add_output_item_browser_automation_preview_call_output = _for(BrowserAutomationPreviewCallOutput, _platform_output)
    output_item_browser_automation_preview_call_output = whole(add_output_item_browser_automation_preview_call_output)

    add_output_item_fabric_dataagent_preview_call = _for(FabricDataAgentPreviewCall, _platform_call)
    output_item_fabric_dataagent_preview_call = whole(add_output_item_fabric_dataagent_preview_call)
    add_output_item_fabric_dataagent_preview_call_output = _for(FabricDataAgentPreviewCallOutput, _platform_output)
    output_item_fabric_dataagent_preview_call_output = whole(add_output_item_fabric_dataagent_preview_call_output)

    add_output_item_azure_function_call = _for(AzureFunctionCall, _named_call)
    output_item_azure_function_call = whole(add_output_item_azure_function_call)
    add_output_item_azure_function_call_output = _for(AzureFunctionCallOutput, _named_output)
    output_item_azure_function_call_output = whole(add_output_item_azure_function_call_output)
