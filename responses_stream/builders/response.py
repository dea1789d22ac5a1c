"""The response of a stream: seeded from a request, configured until `response.created`, copied into every event."""

from __future__ import annotations

import copy
import operator
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from responses_stream.builders import values
from responses_stream.errors import InvalidType, InvalidValue, OutOfOrder
from responses_stream.protocol.base import AgentReference
from responses_stream.protocol.items import InputItem
from responses_stream.protocol.parts import Number
from responses_stream.protocol.plans import SCALARS, plan_of
from responses_stream.protocol.request import CreateResponse
from responses_stream.protocol.response import Conversation, Prompt, ResponseObject, default_text
from responses_stream.protocol.tools import (
    FunctionTool,
    McpTool,
    NamespaceTool,
    Reasoning,
    ResponseFormatText,
    ResponseFormatTextJSONSchema,
    ResponseTextConfig,
    ToolChoice,
    ToolChoiceAllowed,
    ToolDefinition,
)

_ECHOED: Final = tuple(
    member
    for member in CreateResponse.__struct_fields__
    if member in ResponseObject.__struct_fields__ and member not in ("extra", "response_id", "conversation")
)
_TAKEN: Final = (*_ECHOED, "conversation")
_take: Final = operator.attrgetter(*_TAKEN)
_OWNED: Final = (
    "id",
    "object",
    "created_at",
    "status",
    "output",
    "error",
    "incomplete_details",
    "completed_at",
    "usage",
)
# What `_in_full` fills in.
_FILLED: Final = ("tools", "tool_choice", "text", "reasoning")
# Decision 1: every response says these, null where they have no value.
_ALWAYS: Final = tuple(
    field.name
    for field in msgspec.structs.fields(ResponseObject)
    if field.default is not UNSET and field.name not in _OWNED
)


class ResponseDraft(ResponseObject, frozen=False, kw_only=True):  # type: ignore[misc]  # the same, but assignable
    """The response before `response.created`: assign the members that are listed here to configure it.

    The others (`id`, `status`, `output`, `usage` ...) are filled in by the stream.
    """

    model: str = ""
    previous_response_id: str | None = None
    instructions: str | list[InputItem] | None = None
    tools: list[ToolDefinition] = []
    tool_choice: ToolChoice = "auto"
    truncation: str | None = "disabled"
    parallel_tool_calls: bool = True
    text: ResponseTextConfig = msgspec.field(default_factory=default_text)
    top_p: Number | None = 1
    presence_penalty: Number | None = 0
    frequency_penalty: Number | None = 0
    top_logprobs: int | None = 0
    temperature: Number | None = 1
    reasoning: Reasoning | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    store: bool | None = True
    background: bool | None = False
    service_tier: str | None = "auto"
    metadata: dict[str, str] | None = msgspec.field(default_factory=dict)
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    conversation: Conversation | None | UnsetType = UNSET
    prompt: Prompt | None | UnsetType = UNSET
    prompt_cache_retention: str | None | UnsetType = UNSET
    user: str | None | UnsetType = UNSET
    agent_reference: AgentReference | None | UnsetType = UNSET
    agent_session_id: str | None | UnsetType = UNSET

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ResponseObject):
            return NotImplemented
        return all(getattr(self, member) == getattr(other, member) for member in ResponseObject.__struct_fields__)

    __hash__ = None  # type: ignore[assignment]  # it changes


class SaidResponse(ResponseDraft):  # type: ignore[misc]  # mypy takes the draft for frozen
    """The response after `response.created`: it can be read, and no longer configured."""

    def __setattr__(self, name: str, value: object) -> None:
        raise OutOfOrder(
            f"response.{name} = ...", "created", ("reading it",), "it is configured before response.created is emitted"
        )


def seed(response_id: str, request: CreateResponse | Mapping[str, Any] | None, created_at: int) -> ResponseDraft:
    """Return the draft of a response that echoes *request*, with the documented defaults for the rest (decision 1).

    Raises:
        InvalidType: *request* is neither a `CreateResponse` nor a dict.
        InvalidValue: a member of it does not fit.
    """
    draft = ResponseDraft(id=response_id, created_at=created_at)
    if request is None:
        return draft
    if isinstance(request, CreateResponse):  # its input may be large, and is not echoed
        echoed = zip(_TAKEN, _take(request), strict=True)
        request = {member: value for member, value in echoed if value is not UNSET and value is not None}
        if _are_plain(request):
            for member, value in request.items():
                setattr(draft, member, value)
            return draft
    # A private copy: what the owner of the request changes later must not change events that were emitted (H3.30).
    taken = values.struct("request", request, CreateResponse)
    for member in _ECHOED:
        value = getattr(taken, member)
        if value is not UNSET and value is not None:
            setattr(draft, member, _in_full(value))
    conversation = taken.conversation
    if conversation:
        draft.conversation = Conversation(id=conversation) if isinstance(conversation, str) else conversation
    return draft


def _are_plain(members: Mapping[str, Any]) -> bool:
    """Whether all members of a request are scalars that fit, and can be echoed as they are; most requests are so."""
    known = plan_of(CreateResponse).members
    for name, value in members.items():
        if type(value) not in SCALARS or type(value) is float or (type(value) is str and not value.isascii()):
            return False
        if name == "conversation" or name not in known:
            return False
        try:
            msgspec.convert(value, known[name].branches.leaf)
        except msgspec.ValidationError:
            return False
    return True


def resume(response_id: str, response: ResponseObject | Mapping[str, Any]) -> ResponseDraft:
    """Return the draft of a response that goes on from *response* (H17.20).

    Raises:
        InvalidType: *response* is neither a `ResponseObject` nor a dict.
        InvalidValue: a member of it does not fit, or it has another id.
    """
    taken = values.struct("response", response, ResponseObject)
    if taken.id != response_id:
        raise InvalidValue("response.id", f"is {taken.id!r}, but the stream is that of {response_id!r} (R042)")
    present = {member: getattr(taken, member) for member in ResponseObject.__struct_fields__}
    present |= {member: _in_full(present[member]) for member in _FILLED}
    present["model"] = present["model"] or UNSET  # null in some stores, and never in an event (R053)
    if taken.status in (UNSET, "queued", "in_progress"):
        # How it ends is told by the stream that goes on, and not by the one before.
        present |= dict.fromkeys(("object", "error", "incomplete_details", "completed_at", "usage"), UNSET)
    return ResponseDraft(**{member: value for member, value in present.items() if value is not UNSET})


def settle(draft: ResponseDraft, before: ResponseObject) -> ResponseObject:
    """Return what a configured *draft* says, checked and its own; *before* is the draft as the stream made it.

    Raises:
        InvalidType: a member that has to have a value has none, or something in it is no JSON.
        InvalidValue: a member does not fit its type, or one that the stream fills in was changed.
    """
    for member in _OWNED:
        if getattr(draft, member) != getattr(before, member):
            raise InvalidValue(f"response.{member}", "is filled in by the stream and cannot be configured (R040-R046)")
    settled = values.struct("response", draft, ResponseObject)
    for member in _ALWAYS:
        value = getattr(settled, member)
        if value is UNSET or (value is None and member == "model"):
            raise InvalidType(f"response.{member}", "a value (R053)", value)
    return msgspec.structs.replace(settled, **{member: _in_full(getattr(settled, member)) for member in _FILLED})


def seal(draft: ResponseDraft) -> None:
    """Let a draft that was said refuse what is assigned to it: somebody may have kept it."""
    draft.__class__ = SaidResponse


def snapshot(of: ResponseObject, **changes: Any) -> ResponseObject:
    """Return a copy of a response with *changes*, whose containers nobody else holds (H3.30)."""
    containers = {member: copy.copy(getattr(of, member)) for member in ("metadata", "tools", "output")}
    return msgspec.structs.replace(of, **(containers | changes))


def fixed(draft: ResponseDraft) -> ResponseObject:
    """Return what a draft says now; the draft may change after it."""
    return snapshot(ResponseObject(**{member: getattr(draft, member) for member in ResponseObject.__struct_fields__}))


def said(response: ResponseObject) -> SaidResponse:
    """Return a response as `ResponseEventStream.response` shows it after `response.created`; no event shares in it."""
    shown = copy.deepcopy(response)
    return SaidResponse(**{member: getattr(shown, member) for member in ResponseObject.__struct_fields__})


def _in_full(value: Any) -> Any:
    """Fill in the members that the Open Responses schema wants present in an echo, though requests may omit them."""
    if isinstance(value, Reasoning):
        return msgspec.structs.replace(value, effort=value.effort or None, summary=value.summary or None)
    if isinstance(value, ToolChoiceAllowed):
        return msgspec.structs.replace(value, mode=value.mode or "auto")
    if isinstance(value, ResponseTextConfig):
        return msgspec.structs.replace(value, format=_format_in_full(value), verbosity=value.verbosity or "medium")
    return [_tool_in_full(tool) for tool in value] if isinstance(value, list) else value


def _format_in_full(text: ResponseTextConfig) -> Any:
    if isinstance(text.format, ResponseFormatTextJSONSchema):
        return msgspec.structs.replace(
            text.format, description=text.format.description or None, strict=bool(text.format.strict)
        )
    return text.format or ResponseFormatText()


def _tool_in_full(tool: ToolDefinition) -> ToolDefinition:
    if isinstance(tool, FunctionTool):
        return msgspec.structs.replace(
            tool,
            description=None if tool.description is UNSET else tool.description,
            parameters=None if tool.parameters is UNSET else tool.parameters,
            strict=None if tool.strict is UNSET else tool.strict,
        )
    if isinstance(tool, McpTool):
        # A secret of the client; it came in for us, and goes nowhere else (request-response.md section 5.1).
        return msgspec.structs.replace(tool, authorization=UNSET)
    if isinstance(tool, NamespaceTool):
        return msgspec.structs.replace(tool, tools=[_tool_in_full(inner) for inner in tool.tools])
    return tool
