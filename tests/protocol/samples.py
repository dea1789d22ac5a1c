"""Instances of every wire type, made from the types themselves: as little as a builder writes, and all that there is.

A type that is added is sampled at once. Where foreign models take only some values, `CHOICES` names one that they take.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Any, Final, Literal, TypeVar

import msgspec

from responses_stream.protocol import items, parts, tools
from responses_stream.protocol.base import Wire
from responses_stream.protocol.plans import Branches, plan_of

W = TypeVar("W", bound=Wire)

USUAL_NEEDS: Final[dict[str, tuple[str, ...]]] = {
    "AdditionalTools": ("id",),
    "ConfigurationUpdate": ("id",),
    "ErrorPayload": ("type", "code"),
    "IncompleteDetails": ("reason",),
    "Logprob": ("bytes", "top_logprobs"),
    "McpApprovalResponse": ("id",),
    "Reasoning": ("effort", "summary"),
    "ResponseApplyPatchToolCall": ("id",),
    "ResponseApplyPatchToolCallOutput": ("id",),
    "ResponseCompactionItem": ("id",),
    "ResponseComputerToolCallOutputItem": ("id", "status"),
    "ResponseCustomToolCall": ("id", "status"),
    "ResponseCustomToolCallOutputItem": ("id", "status"),
    "ResponseErrorEvent": ("sequence_number", "code", "message", "param", "error"),
    "ResponseFunctionShellToolCall": ("id", "status"),
    "ResponseFunctionShellToolCallOutput": ("id", "status"),
    "ResponseFunctionToolCall": ("id", "status"),
    "ResponseFunctionToolCallOutputItem": ("id", "status", "call_id"),
    "ResponseFunctionWebSearch": ("action",),
    "ResponseReasoningItem": ("id",),
    "ResponseToolSearchCall": ("id", "status", "execution", "call_id"),
    "ResponseToolSearchOutputItem": ("id", "status", "execution", "call_id"),
    "TopLogprob": ("bytes",),
    "UserLocation": ("type",),
}
"""What is optional in a type, because clients or older services leave it out, and always there where we write it."""

_FUNCTION: Final = tools.FunctionTool(name="get_weather", description=None, parameters={"type": "object"}, strict=True)

_MESSAGE: Final = items.ResponseOutputMessage(
    id="msg_01", status="completed", content=[parts.ResponseOutputText(text="Hello")]
)

CHOICES: Final[dict[str, Any]] = {
    # one value that every type with such a member takes
    "status": "completed",
    "role": "assistant",
    "phase": "final_answer",
    "execution": "server",
    "background": "opaque",
    "output_format": "png",
    "quality": "low",
    "size": "1024x1024",
    "detail": "auto",
    "search_context_size": "low",
    "memory_limit": "1g",
    "allowed_callers": ["direct", "programmatic"],
    "service_tier": "default",
    "truncation": "disabled",
    "verbosity": "medium",
    # and where one type takes others
    "ActionClick.button": "left",
    "AdditionalTools.role": "developer",
    "AdditionalTools.tools": [_FUNCTION],
    "AgentReference.type": "agent_reference",
    "CreateResponse.background": True,
    "CodeInterpreterContainerAuto.network_policy": {"type": "allowlist", "allowed_domains": ["example.com"]},
    "ComputerUsePreviewTool.environment": "linux",
    "ConfigurationUpdate.reasoning": {"effort": "low"},
    "ConfigurationUpdate.text": {"format": {"type": "text"}},
    "CustomToolFormatGrammar.syntax": "lark",
    "FileSearchTool.filters": {"type": "eq", "key": "team", "value": "a"},
    "ImageGenerationCall.action": "generate",
    "ImageGenerationTool.action": "generate",
    "ImageGenerationTool.complexity": "low",
    "ImageGenerationTool.input_fidelity": "high",
    "ImageGenerationTool.moderation": "auto",
    "ImageGenerationTool.svg": {"model": "example-model", "reasoning": {"effort": "low"}},
    "ImageModerationDetails.moderation_stage": "output",
    "IncompleteDetails.reason": "max_output_tokens",
    "InputAudio.format": "mp3",
    "InputTokensDetails.cache_write_tokens_details": {"ttl_30m_tokens": 1, "ttl_12h_tokens": 0},
    "LocalEnvironment.skills": [{"name": "pdf", "description": "Reads PDFs", "path": "/skills/pdf"}],
    "McpTool.connector_id": "connector_gmail",
    "McpTool.require_approval": "always",
    "MemoryItem.kind": "user_profile",
    "NamespaceTool.tools": [_FUNCTION, tools.CustomTool(name="sql")],
    "Prompt.variables": {"city": "Oslo"},
    "PromptCacheBreakpoint.mode": "explicit",
    "PromptCacheBreakpoint.ttl": "30m",
    "RankingOptions.hybrid_search": {"embedding_weight": 0.5, "text_weight": 0.5},
    "RankingOptions.ranker": "auto",
    "Reasoning.context": "auto",
    "Reasoning.effort": "low",
    "Reasoning.generate_summary": "auto",
    "Reasoning.summary": "auto",
    "ResponseError.code": "server_error",
    "ResponseError.misalignment": {
        "detailed_explanation": "x",
        "error_type": "x",
        "review_target": "x",
        "steer": {"message": "x"},
    },
    "ErrorPayload.code": "invalid_input",
    "ErrorPayload.type": "invalid_request_error",
    "ErrorPayload.misalignment": {
        "detailed_explanation": "x",
        "error_type": "x",
        "review_target": "x",
        "steer": {"message": "x"},
    },
    "AliasOutputMessage.content": _MESSAGE.content,
    "ResponseOutputMessage.content": [*_MESSAGE.content, parts.ResponseOutputRefusal(refusal="No.")],
    "ResponseReasoningItem.content": [parts.ReasoningText(text="First, count.")],
    "ResponseReasoningItem.summary": [parts.SummaryText(text="Counted letters.")],
    "ResponseReasoningSummaryPartAddedEvent.part": parts.SummaryText(text=""),
    "ResponseReasoningSummaryPartDoneEvent.part": parts.SummaryText(text="Counted letters."),
    "ResponseReasoningSummaryPartDoneEvent.status": "incomplete",
    "ResponseOutputTextAnnotationAddedEvent.annotation": parts.AnnotationURLCitation(
        url="https://example.com/a", title="A", start_index=0, end_index=5
    ),
    "ResponseContentPartAddedEvent.part": parts.ResponseOutputText(text=""),
    "ResponseContentPartDoneEvent.part": parts.ResponseOutputText(text="Hello"),
    "ResponseOutputItemAddedEvent.item": _MESSAGE,
    "ResponseOutputItemDoneEvent.item": _MESSAGE,
    "ResponseErrorEvent.status": 400,
    "ResponseToolSearchOutputItem.tools": [_FUNCTION],
    "ResponseFunctionToolCallOutputItem.output": [
        parts.ResponseInputText(text="12 C"),
        parts.ResponseInputImage(detail="auto", image_url="https://example.com/a.png"),
        parts.ResponseInputFile(filename="a.txt", file_data="YQ=="),
    ],
    "ResponseCustomToolCallOutputItem.output": [parts.ResponseInputText(text="1")],
    "InputMessage.content": [parts.ResponseInputText(text="Hi")],
    "InputMessage.role": "user",
    "ShellTool.environment": {"type": "container_auto", "skills": [{"type": "skill_reference", "skill_id": "s_01"}]},
    "ToolChoiceAllowed.mode": "auto",
    "ToolChoiceAllowed.tools": [{"type": "function", "name": "get_weather"}],
    "ToolSearchTool.execution": "client",
    "UserLocation.type": "approximate",
    "WebSearchPreviewTool.search_content_types": ["text", "image"],
    "WebSearchPreview20250311Tool.search_content_types": ["text", "image"],
    "ResponseSteerAcceptedEvent.steer": {"id": "steer_01", "previous_response_id": "resp_01"},
    "ResponseSteerPendingEvent.steer": {"id": "steer_01", "previous_response_id": "resp_01"},
    "ResponseSteerPendingEvent.reason": "waiting_for_required_input",
    "ResponseSteerPendingEvent.required_input": [{"type": "computer_call_output", "call_id": "call_01"}],
    "ResponseSteerFailedEvent.steer": {"id": "steer_01", "previous_response_id": "resp_01", "input": "Use metric."},
    # a whole response that both foreign packages take; its parts have samples of their own
    "ResponseObject.object": "response",
    "ResponseObject.background": False,
    "ResponseObject.output": [_MESSAGE],
    "ResponseObject.tools": [_FUNCTION],
    "ResponseObject.tool_choice": "auto",
    "ResponseObject.instructions": "Be brief.",
    "ResponseObject.prompt_cache_retention": "24h",
    "ResponseObject.prompt_cache_options": {"mode": "implicit", "ttl": "30m", "comparison_response_id": "resp_00"},
    "ResponseObject.prompt_cache_diagnostics": {"type": "cache_hit"},
    "ResponseObject.moderation": {
        "input": {"type": "error", "code": "x", "message": "x"},
        "output": {"type": "error", "code": "x", "message": "x"},
    },
    "ResponseObject.input_transformations": [
        {"type": "reasoning", "id": "rs_01", "action": "removed", "reason": "turn_boundary"}
    ],
    "ResponseObject.image": {"context_compression": "enabled"},
    "ResponseObject.tool_usage": {
        "image_gen": {
            "input_tokens": 1,
            "input_tokens_details": {"image_tokens": 0, "text_tokens": 1},
            "output_tokens": 1,
            "total_tokens": 2,
        },
        "web_search": {"num_requests": 1},
    },
    "ResponseObject.access_programs": {"cyber": "standard"},
    "ResponseObject.text": tools.ResponseTextConfig(format=tools.ResponseFormatText(), verbosity="medium"),
}


def minimal(struct: type[W]) -> W:
    """As little of *struct* as we would write: what it requires, what it has by default, and its `USUAL_NEEDS`."""
    return _sample(struct, whole=False)


def full(struct: type[W]) -> W:
    """An instance of *struct* with every member set."""
    return _sample(struct, whole=True)


def variants(struct: type[Wire]) -> Iterator[Wire]:
    """Yield the minimal and the full instance, and one for each type that a member may be, however deep."""
    whole = full(struct)
    yield minimal(struct)
    yield whole
    for member in plan_of(struct).members.values():
        branches, in_list = member.branches, False
        if branches.element is not None and branches.element.structs:
            branches, in_list = branches.element, True
        if f"{struct.__name__}.{member.attribute}" in CHOICES:
            continue  # there the foreign models take less than we do
        for choice in _structs(branches):
            for held in variants(choice):
                yield msgspec.structs.replace(whole, **{member.attribute: [held] if in_list else held})


def _structs(branches: Branches) -> list[type[Wire]]:
    return [*branches.known.values(), *([branches.single] if branches.single else [])]


def _sample(struct: type[W], whole: bool) -> W:
    needs = USUAL_NEEDS.get(struct.__name__, ())
    values = {
        member.attribute: _value(f"{struct.__name__}.{name}", member.branches, whole)
        for name, member in plan_of(struct).members.items()
        if whole or member.required or name in needs
    }
    return struct(**values)


def _value(place: str, branches: Branches, whole: bool) -> Any:
    chosen = [CHOICES[key] for key in (place, place.partition(".")[2]) if key in CHOICES]
    if chosen and (whole or not isinstance(chosen[0], list)):
        return chosen[0]
    if _structs(branches):
        return _sample(_structs(branches)[0], whole)
    if branches.element is None:
        return _leaf(branches.leaf)
    if not whole:
        return []
    return [_sample(choice, whole) for choice in _structs(branches.element)] or [_leaf(branches.element.leaf)]


def _leaf(hint: Any) -> Any:
    """A value of a type without structs; of a union, one of its first type."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _leaf(typing.get_args(hint)[0])
    if origin is Literal:
        return typing.get_args(hint)[0]
    if origin is list:
        return [_leaf(typing.get_args(hint)[0])]
    if origin is dict:
        return {"a": _leaf(typing.get_args(hint)[1])}
    return {str: "x", int: 1, float: 0.5, bool: True, Any: {"a": [1]}}[hint]
