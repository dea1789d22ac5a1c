"""Contents that are said at once: each is one item, whole as it is, of the type that the protocol has for it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from responses_stream.agents.contents import (
    ApprovalRequest,
    ApprovalResponse,
    FunctionResult,
    Media,
    Shell,
    ShellResult,
)
from responses_stream.builders import values
from responses_stream.builders.events import Events
from responses_stream.builders.stream import ResponseEventStream
from responses_stream.protocol.data_urls import get_media_type, is_data_url
from responses_stream.protocol.parts import AnnotationURLCitation

_IMAGE_FORMATS: Final = MappingProxyType({"image/png": "png", "image/jpeg": "jpeg", "image/webp": "webp"})


def answered(stream: ResponseEventStream, content: FunctionResult) -> Events:
    """Return the events of the answer to a call of the client's."""
    if content.custom:
        return stream.output_item_custom_tool_call_output(content.call_id, content.output)
    return stream.output_item_function_call_output(content.call_id, content.output)


def _shell(stream: ResponseEventStream, content: Shell, _: str) -> Events:
    return stream.output_item_shell_call(content.call_id, content.commands)


def _shell_result(stream: ResponseEventStream, content: ShellResult, _: str) -> Events:
    return stream.output_item_shell_call_output(content.call_id, content.output)


def _approval_request(stream: ResponseEventStream, content: ApprovalRequest, label: str) -> Events:
    # The answer names the item, so the item has the id that the agent knows the request by.
    return stream.output_item_mcp_approval_request(
        content.server_label or label, content.name, content.arguments or "{}", item_id=content.request_id
    )


def _approval_response(stream: ResponseEventStream, content: ApprovalResponse, _: str) -> Events:
    return stream.output_item_mcp_approval_response(content.request_id, content.approve, reason=content.reason)


def _media(stream: ResponseEventStream, content: Media, _: str) -> Events:
    """An image that is there is an image; the protocol has no item for the rest, and so it is text, cited as a page."""
    uri, name = values.name("uri", content.uri), values.text_or_none("name", content.name)
    kind = (content.media_type or get_media_type(uri) or "").partition(";")[0].lower()
    if is_data_url(uri) and kind.startswith("image/"):
        return stream.output_item_image_generation_call(_base64_of(uri), output_format=_IMAGE_FORMATS.get(kind))
    if not uri.lower().startswith(("http://", "https://")):
        return stream.output_item_message(f"{name}: {uri}" if name else uri)
    text = name or uri
    cited = AnnotationURLCitation(url=uri, title=text, start_index=0, end_index=len(text))
    return stream.output_item_message(text, annotations=[cited])


def _base64_of(url: str) -> str:
    """Return the payload of a data URL in base64, in which it need not be."""
    header, _, payload = url.partition(",")
    if ";base64" in header.lower():
        return values.name("uri", payload)
    return base64.b64encode(unquote_to_bytes(payload)).decode()


WHOLE: Final[Mapping[type, Callable[[ResponseEventStream, Any, str], Events]]] = MappingProxyType(
    {
        Shell: _shell,
        ShellResult: _shell_result,
        ApprovalRequest: _approval_request,
        ApprovalResponse: _approval_response,
        Media: _media,
    }
)
"""The events of a content, by its kind; the string names the agent, where the content does not say whose tool it is.

What it is made of is checked at once: the functions raise `InvalidType` and `InvalidValue` before there is any event.
"""
