"""What we emit is accepted by the models of `openai` and of `openresponses-types`, in their strictest mode.

Each type is tried as little as we write of it, with every member, and once for each alternative of a member. What a
foreign package does not know is listed by name, so that a release that learns it is noticed.
"""

from __future__ import annotations

import enum
import functools
import json
import typing
from typing import Any, Final, cast

import msgspec
import openresponses_types.types as open_responses
import pytest
from openai.types.responses import Response
from openai.types.responses import ResponseErrorEvent as OpenAIErrorEvent
from pydantic import BaseModel, TypeAdapter, ValidationError

from responses_stream.protocol.base import Wire
from responses_stream.protocol.codec import encode
from responses_stream.protocol.events import (
    ResponseContentPartAddedEvent,
    ResponseContentPartDoneEvent,
    ResponseErrorEvent,
    ResponseOutputItemAddedEvent,
    ResponseOutputItemDoneEvent,
    ResponseStreamEvent,
)
from responses_stream.protocol.items import InputItem, InputMessage, OutputItem, ResponseOutputMessage
from responses_stream.protocol.parts import (
    ReasoningText,
    ResponseInputText,
    ResponseOutputRefusal,
    ResponseOutputText,
    TextAnnotation,
)
from responses_stream.protocol.plans import tags_of
from responses_stream.protocol.response import (
    Conversation,
    ErrorPayload,
    IncompleteDetails,
    ResponseError,
    ResponseObject,
    ResponseUsage,
)
from responses_stream.protocol.tools import (
    Reasoning,
    ResponseFormatJSONObject,
    ResponseFormatTextJSONSchema,
    ResponseTextConfig,
    ToolChoiceAllowed,
    ToolChoiceFunction,
    ToolDefinition,
)

from . import openai_types
from .samples import full, minimal, variants

UNKNOWN_TO_OPENAI: Final = {
    "events": {
        "keepalive",  # E64: in none of the typed unions
        "response.apply_patch_call_operation_diff.delta",  # E57, E58: seen on the wire only
        "response.apply_patch_call_operation_diff.done",
        "response.reasoning.delta",  # E19, E20: the names of Open Responses
        "response.reasoning.done",
        "response.steer.accepted",  # E65 to E67: in the WebSocket union only
        "response.steer.failed",
        "response.steer.pending",
    },
    "output items": {
        "a2a_preview_call",
        "a2a_preview_call_output",
        "azure_ai_search_call",
        "azure_ai_search_call_output",
        "azure_function_call",
        "azure_function_call_output",
        "bing_custom_search_preview_call",
        "bing_custom_search_preview_call_output",
        "bing_grounding_call",
        "bing_grounding_call_output",
        "browser_automation_preview_call",
        "browser_automation_preview_call_output",
        "fabric_dataagent_preview_call",
        "fabric_dataagent_preview_call_output",
        "memory_search_call",
        "oauth_consent_request",
        "openapi_call",
        "openapi_call_output",
        "output_message",
        "sharepoint_grounding_preview_call",
        "sharepoint_grounding_preview_call_output",
        "structured_outputs",
        "workflow_action",
    },
    "tools": {
        "a2a_preview",
        "azure_ai_search",
        "azure_function",
        "bing_custom_search_preview",
        "bing_grounding",
        "browser_automation_preview",
        "capture_structured_outputs",
        "fabric_dataagent_preview",
        "memory_search_preview",
        "openapi",
        "sharepoint_grounding_preview",
        "work_iq_preview",
    },
}
"""Types of ours that the `openai` package has no model for; all but the events are the Azure platform's."""

UNKNOWN_TO_OPEN_RESPONSES: Final = {
    "events": {
        *(UNKNOWN_TO_OPENAI["events"] - {"response.reasoning.delta", "response.reasoning.done"}),
        "response.audio.delta",
        "response.audio.done",
        "response.audio.transcript.delta",
        "response.audio.transcript.done",
        "response.code_interpreter_call.completed",
        "response.code_interpreter_call.in_progress",
        "response.code_interpreter_call.interpreting",
        "response.code_interpreter_call_code.delta",
        "response.code_interpreter_call_code.done",
        "response.compaction.compacting",
        "response.custom_tool_call_input.delta",
        "response.custom_tool_call_input.done",
        "response.file_search_call.completed",
        "response.file_search_call.in_progress",
        "response.file_search_call.searching",
        "response.image_generation_call.completed",
        "response.image_generation_call.generating",
        "response.image_generation_call.in_progress",
        "response.image_generation_call.partial_image",
        "response.mcp_call.completed",
        "response.mcp_call.failed",
        "response.mcp_call.in_progress",
        "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.done",
        "response.mcp_list_tools.completed",
        "response.mcp_list_tools.failed",
        "response.mcp_list_tools.in_progress",
        "response.reasoning_text.delta",  # it calls them response.reasoning.* (D03)
        "response.reasoning_text.done",
        "response.shell_call_command.added",
        "response.shell_call_command.delta",
        "response.shell_call_command.done",
        "response.shell_call_output_content.delta",
        "response.shell_call_output_content.done",
        "response.web_search_call.completed",
        "response.web_search_call.in_progress",
        "response.web_search_call.searching",
    },
    "annotations": {"container_file_citation", "file_citation", "file_path"},
}
"""Types of ours that `openresponses-types` has no model for."""

OPEN_RESPONSES_ITEMS: Final = {
    "message": open_responses.Message,
    "function_call": open_responses.FunctionCall,
    "function_call_output": open_responses.FunctionCallOutput,
    "reasoning": open_responses.ReasoningBody,
    "compaction": open_responses.CompactionBody,
}
"""The items that `openresponses-types` has a model for."""

OPEN_RESPONSES_EVENTS: Final = {
    kind.value: model
    for name, model in vars(open_responses).items()
    if name.endswith("StreamingEvent")
    for kind in cast("type[enum.StrEnum]", model.model_fields["type"].annotation)
}
"""The events that `openresponses-types` has a model for."""

MESSAGES: Final[dict[str, Wire]] = {
    "EasyInputMessage": full(InputMessage),
    "Message": InputMessage(role="user", content=[ResponseInputText(text="Hi")]),
    "ResponseOutputMessage": full(ResponseOutputMessage),
    "ResponseInputMessageItem": InputMessage(
        role="user", content=[ResponseInputText(text="Hi")], id="msg_01", status="completed"
    ),
}
"""Four models of the `openai` package have the type `message`, each with content of its own."""


def short_name(value: Any) -> str:
    """Return how a type or a model is called in the name of a test."""
    return value if isinstance(value, str) else str(value.__name__)


@functools.cache
def adapter(model: Any) -> TypeAdapter[Any]:
    """Return the validator of a foreign model; making one is slow."""
    return TypeAdapter(model)


def accepts(model: Any, value: Wire) -> None:
    """Fail with the value and the foreign complaint when *model* refuses it."""
    written = encode(value)
    try:
        adapter(model).validate_json(written, strict=True)
    except ValidationError as error:
        pytest.fail(f"{model.__name__} refuses {written.decode()}\n{error}")


def samples_for(kind: str, model: type[BaseModel], known: dict[str, type[Wire]]) -> list[Wire]:
    if kind == "message" and model.__module__.startswith("openai."):
        return [MESSAGES[model.__name__]]
    return list(variants(known[kind]))


# openai


def test_the_events_that_openai_has_no_model_for_are_known_by_name() -> None:
    theirs = {kind for kind, _ in openai_types.by_type(openai_types.STREAM_EVENTS)}
    assert set(tags_of(ResponseStreamEvent)) - theirs == UNKNOWN_TO_OPENAI["events"]


def test_the_items_that_openai_has_no_model_for_are_known_by_name() -> None:
    theirs = {kind for kind, _ in openai_types.by_type(openai_types.OUTPUT_ITEMS)}
    assert set(tags_of(OutputItem)) - theirs == UNKNOWN_TO_OPENAI["output items"]
    theirs = {kind for kind, _ in openai_types.by_type(openai_types.INPUT_ITEMS)}
    assert set(tags_of(InputItem)) - theirs == UNKNOWN_TO_OPENAI["output items"]


def test_the_tools_that_openai_has_no_model_for_are_known_by_name() -> None:
    theirs = {kind for kind, _ in openai_types.by_type(openai_types.TOOLS)}
    assert set(tags_of(ToolDefinition)) - theirs == UNKNOWN_TO_OPENAI["tools"]


@pytest.mark.parametrize(("kind", "model"), openai_types.by_type(openai_types.STREAM_EVENTS), ids=short_name)
def test_openai_accepts_each_event_that_we_emit(kind: str, model: type[BaseModel]) -> None:
    for value in samples_for(kind, model, tags_of(ResponseStreamEvent)):
        accepts(model, value)
        accepts(openai_types.STREAM_EVENTS, value)


@pytest.mark.parametrize(("kind", "model"), openai_types.by_type(openai_types.WEBSOCKET_EVENTS), ids=short_name)
def test_openai_accepts_each_event_on_a_websocket(kind: str, model: type[BaseModel]) -> None:
    for value in samples_for(kind, model, tags_of(ResponseStreamEvent)):
        accepts(model, value)


@pytest.mark.parametrize(
    ("kind", "model"),
    [*openai_types.by_type(openai_types.OUTPUT_ITEMS), *openai_types.by_type(openai_types.LISTED_ITEMS)],
    ids=short_name,
)
def test_openai_accepts_each_output_item_that_we_emit(kind: str, model: type[BaseModel]) -> None:
    for value in samples_for(kind, model, tags_of(InputItem) | tags_of(OutputItem)):
        accepts(model, value)


@pytest.mark.parametrize(("kind", "model"), openai_types.by_type(openai_types.INPUT_ITEMS), ids=short_name)
def test_openai_accepts_each_input_item_that_we_write(kind: str, model: type[BaseModel]) -> None:
    for value in samples_for(kind, model, tags_of(InputItem)):
        accepts(model, value)


@pytest.mark.parametrize(("kind", "model"), openai_types.by_type(openai_types.OUTPUT_ITEMS), ids=short_name)
def test_openai_accepts_each_output_item_in_its_events(kind: str, model: type[BaseModel]) -> None:
    for item in samples_for(kind, model, tags_of(OutputItem)):
        for event in (ResponseOutputItemAddedEvent, ResponseOutputItemDoneEvent):
            accepts(openai_types.STREAM_EVENTS, event(sequence_number=1, output_index=0, item=cast("Any", item)))


@pytest.mark.parametrize("event", [ResponseContentPartAddedEvent, ResponseContentPartDoneEvent])
def test_the_parts_of_a_message_are_accepted_in_their_events(
    event: type[ResponseContentPartAddedEvent | ResponseContentPartDoneEvent],
) -> None:
    # events.md 4.4: `openai` types three kinds, Open Responses eight, of which these are three.
    for part in (ResponseOutputText(text=""), ResponseOutputRefusal(refusal=""), ReasoningText(text="")):
        value = event(sequence_number=3, item_id="msg_01", output_index=0, content_index=0, part=part)
        accepts(openai_types.STREAM_EVENTS, value)
        accepts(OPEN_RESPONSES_EVENTS[value.type], value)


@pytest.mark.parametrize(("kind", "model"), openai_types.by_type(openai_types.TOOLS), ids=short_name)
def test_openai_accepts_each_tool_that_we_echo(kind: str, model: type[BaseModel]) -> None:
    for value in samples_for(kind, model, tags_of(ToolDefinition)):
        accepts(model, value)


# Open Responses


def test_the_types_that_open_responses_has_no_model_for_are_known_by_name() -> None:
    ours = set(tags_of(ResponseStreamEvent))
    assert len(OPEN_RESPONSES_EVENTS) == 24
    assert set(OPEN_RESPONSES_EVENTS) <= ours
    assert ours - set(OPEN_RESPONSES_EVENTS) == UNKNOWN_TO_OPEN_RESPONSES["events"]
    theirs = {"url_citation"}
    assert open_responses.Annotation.model_fields["root"].annotation is open_responses.UrlCitationBody
    assert set(tags_of(TextAnnotation)) - theirs == UNKNOWN_TO_OPEN_RESPONSES["annotations"]


def test_open_responses_has_a_model_for_five_output_items_and_one_tool() -> None:
    # Everything else is an extension to it; then its own model refuses the whole response (a closed union).
    output = open_responses.ResponseResource.model_fields["output"].annotation
    [element] = typing.get_args(output)
    assert set(typing.get_args(typing.get_args(element)[0])) == set(OPEN_RESPONSES_ITEMS.values())
    assert open_responses.Tool.model_fields["root"].annotation is open_responses.FunctionTool


@pytest.mark.parametrize(("kind", "model"), list(OPEN_RESPONSES_EVENTS.items()), ids=short_name)
def test_open_responses_accepts_each_event_that_we_emit(kind: str, model: type[BaseModel]) -> None:
    for value in samples_for(kind, model, tags_of(ResponseStreamEvent)):
        accepts(model, value)


@pytest.mark.parametrize(("kind", "model"), list(OPEN_RESPONSES_ITEMS.items()), ids=short_name)
def test_open_responses_accepts_each_item_that_we_emit(kind: str, model: type[BaseModel]) -> None:
    for value in samples_for(kind, model, tags_of(OutputItem)):
        accepts(model, value)
        accepts(open_responses.ResponseResource, ResponseObject(id="resp_01", output=[cast("Any", value)]))


def test_open_responses_accepts_log_probabilities_only_with_their_bytes() -> None:
    # items.md section 6: the event form of OpenAI has none. A stream that is to be valid for both writes the long form.
    [delta] = [model for kind, model in OPEN_RESPONSES_EVENTS.items() if kind == "response.output_text.delta"]
    long_form = full(tags_of(ResponseStreamEvent)["response.output_text.delta"])
    accepts(delta, long_form)
    short = json.loads(encode(long_form))
    short["logprobs"] = [{"token": "x", "logprob": -1, "top_logprobs": []}]
    with pytest.raises(ValidationError, match="bytes"):
        adapter(delta).validate_json(json.dumps(short), strict=True)


# Responses, which both know


BOTH: Final = [Response, open_responses.ResponseResource]

MESSAGE: Final = ResponseOutputMessage(
    id="msg_01",
    status="completed",
    phase="final_answer",
    content=[ResponseOutputText(text="Hello"), ResponseOutputRefusal(refusal="No.")],
)

RESPONSES: Final[dict[str, ResponseObject]] = {
    "minimal": minimal(ResponseObject),
    "full": full(ResponseObject),
    "made with an id alone": ResponseObject(id="resp_01"),
    "completed": ResponseObject(
        id="resp_01",
        created_at=1767225600,
        completed_at=1767225602,
        status="completed",
        model="example-model",
        output=[MESSAGE],
        usage=ResponseUsage(input_tokens=12, output_tokens=3, total_tokens=15),
        conversation=Conversation(id="conv_01"),
    ),
    "incomplete": ResponseObject(
        id="resp_01", status="incomplete", incomplete_details=IncompleteDetails(reason="max_output_tokens")
    ),
    "failed": ResponseObject(
        id="resp_01", status="failed", error=ResponseError(code="server_error", message="It stopped.")
    ),
    "cancelled": ResponseObject(id="resp_01", status="cancelled"),
    "queued": ResponseObject(id="resp_01", status="queued", background=True),
    "reasoning": ResponseObject(id="resp_01", reasoning=Reasoning(effort="low", summary=None)),
    "json mode": ResponseObject(
        id="resp_01", text=ResponseTextConfig(format=ResponseFormatJSONObject(), verbosity="low")
    ),
    "a chosen function": ResponseObject(id="resp_01", tool_choice=ToolChoiceFunction(name="get_weather")),
    "allowed tools": ResponseObject(
        id="resp_01", tool_choice=ToolChoiceAllowed(mode="auto", tools=[{"type": "function", "name": "get_weather"}])
    ),
}


@pytest.mark.parametrize("model", BOTH, ids=["openai", "open responses"])
@pytest.mark.parametrize("name", RESPONSES)
def test_both_packages_accept_each_response_that_we_emit(name: str, model: type[BaseModel]) -> None:
    accepts(model, RESPONSES[name])


@pytest.mark.parametrize("model", BOTH, ids=["openai", "open responses"])
@pytest.mark.parametrize("name", RESPONSES)
@pytest.mark.parametrize("event", ["created", "queued", "in_progress", "completed", "failed", "incomplete"])
def test_both_packages_accept_each_lifecycle_event_that_we_emit(name: str, model: type[BaseModel], event: str) -> None:
    kind = f"response.{event}"
    struct: Any = tags_of(ResponseStreamEvent)[kind]
    theirs = dict(openai_types.by_type(openai_types.STREAM_EVENTS)) if model is BOTH[0] else OPEN_RESPONSES_EVENTS
    accepts(theirs[kind], struct(sequence_number=0, response=RESPONSES[name]))


def test_open_responses_refuses_a_schema_in_a_json_schema_format() -> None:
    # A slip of its generator: `JsonSchemaResponseFormat.schema` is typed as null and `strict` as never null, so no
    # real schema can pass. We send the schema; `openai` accepts it.
    schema = ResponseFormatTextJSONSchema(name="answer", schema={"type": "object"}, strict=True)
    response = ResponseObject(id="resp_01", text=ResponseTextConfig(format=schema, verbosity="medium"))
    accepts(Response, response)
    with pytest.raises(ValidationError, match="schema"):
        adapter(open_responses.ResponseResource).validate_json(encode(response), strict=True)
    assert open_responses.JsonSchemaResponseFormat.model_fields["schema_"].annotation is type(None)
    emptied = msgspec.structs.replace(schema, schema=None, description=None)
    accepts(
        open_responses.ResponseResource,
        msgspec.structs.replace(response, text=ResponseTextConfig(format=emptied, verbosity="medium")),
    )


def test_open_responses_knows_instructions_only_as_text() -> None:
    # A prompt template makes them a list of items (request-response.md section 3); `openai` accepts both.
    listed = ResponseObject(id="resp_01", instructions=[InputMessage(role="user", content="Hi")])
    accepts(Response, listed)
    with pytest.raises(ValidationError, match="instructions"):
        adapter(open_responses.ResponseResource).validate_json(encode(listed), strict=True)


def test_open_responses_wants_its_times_whole() -> None:
    accepts(Response, ResponseObject(id="resp_01", created_at=1.5))
    with pytest.raises(ValidationError, match="created_at"):
        adapter(open_responses.ResponseResource).validate_json(
            encode(ResponseObject(id="resp_01", created_at=1.5)), strict=True
        )


def test_an_error_with_both_its_shapes_is_accepted_by_all() -> None:
    # decision 5
    event = ResponseErrorEvent(
        sequence_number=2,
        code="rate_limit_exceeded",
        message="Too many requests.",
        param=None,
        error=ErrorPayload(type="too_many_requests", code="rate_limit_exceeded", message="Too many requests."),
    )
    accepts(OpenAIErrorEvent, event)
    accepts(open_responses.ErrorStreamingEvent, event)
    on_a_socket = msgspec.structs.replace(event, status=429)
    accepts(open_responses.WebSocketErrorEvent, on_a_socket)
    [websocket_error] = [
        model for kind, model in openai_types.by_type(openai_types.WEBSOCKET_EVENTS) if kind == "error"
    ]
    accepts(websocket_error, on_a_socket)
