"""A response always says all of W31; and every body of request-response.md has the members that the tables name."""

from __future__ import annotations

import json
from typing import Any, Final, get_args

import msgspec
import pytest
from msgspec import UNSET
from openai.types.responses import Response
from openresponses_types.types import ResponseResource
from pydantic import TypeAdapter

from responses_stream.errors import DecodeError
from responses_stream.protocol.base import Wire
from responses_stream.protocol.codec import decode_as, encode, to_builtins
from responses_stream.protocol.items import ResponseFunctionToolCall, ResponseOutputMessage
from responses_stream.protocol.parts import ResponseOutputRefusal, ResponseOutputText
from responses_stream.protocol.plans import plan_of
from responses_stream.protocol.request import (
    CompactedResponse,
    CompactResponse,
    CreateResponse,
    DeletedResponse,
    IncludeValue,
    InputTokenCount,
    ResponseItemList,
    given,
)
from responses_stream.protocol.response import (
    ErrorBody,
    IncompleteReason,
    ResponseObject,
    ResponseStatus,
    ResponseUsage,
)

from .facts import canonical, examples, undeclared

_W31: Final = (
    "id object created_at completed_at status incomplete_details model previous_response_id instructions output error"
    " tools tool_choice truncation parallel_tool_calls text top_p presence_penalty frequency_penalty top_logprobs"
    " temperature reasoning usage max_output_tokens max_tool_calls store background service_tier metadata"
    " safety_identifier prompt_cache_key"
)
W31: Final = _W31.split()
"""What a response object always has (websocket-and-compact.md)."""

BODIES: Final[dict[str, tuple[type[Wire], str]]] = {
    "create": (
        CreateResponse,
        "model input instructions previous_response_id conversation.id tools tool_choice parallel_tool_calls"
        " max_tool_calls stream stream_options.include_obfuscation background store include text.format text.verbosity"
        " background_options.completion_window"
        " reasoning.effort temperature top_p presence_penalty frequency_penalty top_logprobs max_output_tokens"
        " truncation metadata service_tier safety_identifier prompt_cache_key prompt_cache_retention"
        " prompt_cache_options prompt.id prompt.version prompt.variables context_management[].type"
        " context_management[].compact_threshold moderation image access_programs user agent_reference.type"
        " agent_reference.name agent_reference.version structured_inputs agent_session_id response_id",
    ),
    "response": (
        ResponseObject,
        "id object created_at completed_at status background error.code error.message error.param error.type"
        " error.misalignment incomplete_details.reason model output usage instructions previous_response_id"
        " conversation.id tools tool_choice parallel_tool_calls max_tool_calls text.format text.verbosity reasoning"
        " temperature top_p presence_penalty frequency_penalty top_logprobs max_output_tokens truncation metadata store"
        " service_tier safety_identifier prompt_cache_key prompt_cache_retention prompt_cache_options"
        " prompt_cache_diagnostics prompt moderation input_transformations image tool_usage access_programs user"
        " agent_reference agent_session_id response_id",
    ),
    "usage": (
        ResponseUsage,
        "input_tokens input_tokens_details.cached_tokens input_tokens_details.cache_write_tokens"
        " input_tokens_details.cache_write_tokens_details output_tokens output_tokens_details.reasoning_tokens"
        " total_tokens",
    ),
    "http error": (
        ErrorBody,
        "error.message error.type error.param error.code error.details error.additionalInfo error.debugInfo",
    ),
    "deleted": (DeletedResponse, "id object deleted"),
    "list": (ResponseItemList, "object data first_id last_id has_more"),
    "compact": (
        CompactResponse,
        "model input previous_response_id instructions prompt_cache_key prompt_cache_retention prompt_cache_options"
        " service_tier image",
    ),
    "compacted": (CompactedResponse, "id object created_at output usage image"),
    "token count": (InputTokenCount, "object input_tokens"),
}
"""The bodies of request-response.md sections 2, 3, 6, 7, 8 and of items.md section 9, each with its members."""

EXAMPLES: Final[tuple[type[Wire], ...]] = (
    CreateResponse,
    ResponseObject,
    ErrorBody,
    DeletedResponse,
    ResponseItemList,
    InputTokenCount,
)
"""What the lines of `bodies.jsonl` are."""


def test_a_response_made_with_an_id_alone_has_every_member_of_w31_and_no_other() -> None:
    wire = json.loads(encode(ResponseObject(id="resp_x")))
    assert set(wire) == set(W31)
    assert len(W31) == 31


def test_members_without_a_value_are_written_as_null() -> None:
    wire = json.loads(encode(ResponseObject(id="resp_x")))
    assert {name for name in W31 if wire[name] is None} == {
        "completed_at",
        "incomplete_details",
        "previous_response_id",
        "instructions",
        "error",
        "reasoning",
        "usage",
        "max_output_tokens",
        "max_tool_calls",
        "safety_identifier",
        "prompt_cache_key",
    }


def test_the_rest_of_w31_are_the_documented_defaults() -> None:
    wire = json.loads(encode(ResponseObject(id="resp_x")))
    assert {name: wire[name] for name in W31 if wire[name] is not None} == {
        "id": "resp_x",
        "object": "response",
        "created_at": 0,
        "status": "in_progress",
        "model": "",
        "output": [],
        "tools": [],
        "tool_choice": "auto",
        "truncation": "disabled",
        "parallel_tool_calls": True,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "top_p": 1,
        "presence_penalty": 0,
        "frequency_penalty": 0,
        "top_logprobs": 0,
        "temperature": 1,
        "store": True,
        "background": False,
        "service_tier": "auto",
        "metadata": {},
    }


@pytest.mark.parametrize("model", [Response, ResponseResource], ids=["openai", "open responses"])
def test_a_response_made_with_an_id_alone_is_valid_for_both_foreign_packages(model: type[Any]) -> None:
    TypeAdapter(model).validate_json(encode(ResponseObject(id="resp_x")), strict=True)


def test_the_extensions_of_the_platform_are_written_only_where_they_have_a_value() -> None:
    # decision 1
    wire = json.loads(encode(ResponseObject(id="resp_x", agent_session_id="s", response_id="resp_x")))
    assert set(wire) == {*W31, "agent_session_id", "response_id"}


def test_two_responses_do_not_share_what_can_change() -> None:
    one, other = ResponseObject(id="a"), ResponseObject(id="b")
    assert one.output is not other.output
    assert one.metadata is not other.metadata
    assert one.tools is not other.tools


def test_a_response_that_was_read_keeps_what_it_left_out() -> None:
    data = {"id": "resp_01", "status": "completed"}
    response = decode_as(data, ResponseObject, strict=True)
    assert response.metadata is UNSET
    assert to_builtins(response) == data


@pytest.mark.parametrize("data", [{}, {"output": None}, {"output": ["<the item above>"]}, {"output": {}}], ids=str)
def test_output_is_a_list_even_where_it_was_absent_or_no_list_of_items(data: dict[str, Any]) -> None:
    # clients.md: recorded servers send `output: null`, and leave it out of the terminal event (events.md 8.6).
    response = decode_as({"id": "resp_01", **data}, ResponseObject)
    assert list(response.output) == []
    assert response.output_text == ""
    assert to_builtins(response) == {"id": "resp_01", **data}


def test_an_output_that_was_absent_can_be_replaced() -> None:
    message = ResponseOutputMessage(id="msg_01", status="completed", content=[ResponseOutputText(text="Hi")])
    read = decode_as({"id": "resp_01", "output": None}, ResponseObject)
    assert to_builtins(msgspec.structs.replace(read, output=[message]))["output"] == [to_builtins(message)]


def test_an_output_that_was_absent_can_be_filled() -> None:
    message = ResponseOutputMessage(id="msg_01", status="completed", content=[])
    read = decode_as({"id": "resp_01"}, ResponseObject)
    read.output.append(message)
    assert to_builtins(read) == {"id": "resp_01", "output": [to_builtins(message)]}


def test_an_output_that_is_no_list_of_items_is_a_problem_for_a_strict_reader() -> None:
    with pytest.raises(DecodeError) as caught:
        decode_as({"id": "resp_01", "output": None}, ResponseObject, strict=True)
    assert [str(problem) for problem in caught.value.problems] == ["$.output: expected array, got null"]


def test_output_text_joins_the_texts_of_all_messages_as_the_openai_package_does() -> None:
    def message(*content: ResponseOutputText | ResponseOutputRefusal) -> ResponseOutputMessage:
        return ResponseOutputMessage(id="m", status="completed", content=list(content))

    call = ResponseFunctionToolCall(call_id="c", name="f", arguments="{}")
    response = ResponseObject(
        id="resp_x",
        output=[
            message(ResponseOutputText(text="Hel"), ResponseOutputRefusal(refusal="No.")),
            call,
            message(ResponseOutputText(text="lo"), ResponseOutputText(text="!")),
        ],
    )
    assert response.output_text == "Hello!"
    assert Response.model_validate_json(encode(response)).output_text == "Hello!"
    assert "output_text" not in to_builtins(response)


def test_an_output_text_on_the_wire_is_kept_as_it_came() -> None:
    # The Azure types name such a member; here the name is a property, so the member stays in `extra`.
    data = {"id": "resp_01", "output": [], "output_text": "from the wire"}
    response = decode_as(data, ResponseObject, strict=True)
    assert response.output_text == ""
    assert to_builtins(response) == data


def test_usage_is_always_written_with_full_details() -> None:
    # B1: clients break on empty details.
    wire = to_builtins(ResponseUsage(input_tokens=1, output_tokens=2, total_tokens=3))
    assert wire == {
        "input_tokens": 1,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 3,
    }


@pytest.mark.parametrize("details", [{}, {"cached_tokens": 3}, {"cache_write_tokens": 0, "acme": 1}], ids=str)
def test_usage_that_was_read_keeps_what_it_left_out(details: dict[str, Any]) -> None:
    data = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3, "input_tokens_details": details}
    assert canonical(to_builtins(decode_as(data, ResponseUsage, strict=True))) == canonical(data)


@pytest.mark.parametrize("name", BODIES)
def test_each_member_of_a_body_is_declared(name: str) -> None:
    struct, names = BODIES[name]
    assert undeclared({name: struct}, {name: names}) == set()


@pytest.mark.parametrize("name", BODIES)
def test_a_body_declares_nothing_beyond_the_tables(name: str) -> None:
    struct, names = BODIES[name]
    assert set(plan_of(struct).members) == {part.partition(".")[0].partition("[")[0] for part in names.split()}


@pytest.mark.parametrize(("data", "struct"), list(zip(examples("bodies"), EXAMPLES, strict=True)))
def test_every_example_of_a_body_survives(data: dict[str, Any], struct: type[Wire]) -> None:
    body = decode_as(data, struct, strict=True)
    assert body.extra is UNSET
    assert canonical(to_builtins(body)) == canonical(data)
    assert decode_as(json.loads(encode(body)), struct) == body


@pytest.mark.parametrize(
    ("body", "wire"),
    [
        (DeletedResponse(id="resp_01"), {"id": "resp_01", "object": "response", "deleted": True}),
        (
            ResponseItemList(data=[], has_more=False),
            {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False},
        ),
        (InputTokenCount(input_tokens=11), {"object": "response.input_tokens", "input_tokens": 11}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_body_that_we_make_says_all_it_can(body: Wire, wire: dict[str, Any]) -> None:
    assert to_builtins(body) == wire


@pytest.mark.parametrize(
    ("struct", "data"),
    [
        (DeletedResponse, {"id": "resp_01"}),
        (ResponseItemList, {"data": [], "has_more": True}),
        (InputTokenCount, {"input_tokens": 11}),
        (CompactedResponse, {"id": "r", "output": [], "created_at": 1, "usage": {}}),
        (CreateResponse, {}),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_a_body_that_we_read_keeps_what_it_left_out(struct: type[Wire], data: dict[str, Any]) -> None:
    if struct is CompactedResponse:
        data = data | {"usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}}
    assert to_builtins(decode_as(data, struct, strict=True)) == data


def test_null_is_kept_in_a_request_and_counts_as_absent() -> None:
    # decision 20
    data = {"model": None, "input": None, "stream": None, "store": None, "tools": None, "metadata": None}
    request = decode_as(data, CreateResponse, strict=True)
    assert to_builtins(request) == data
    assert given(request.model) is None
    assert given(request.temperature) is None
    assert given("m") == "m"


def test_unknown_members_of_a_request_are_kept_and_passed_on() -> None:
    data = {"model": "m", "input": [], "acme_option": {"deep": [1.0]}, "extra": 1}
    request = decode_as(data, CreateResponse, strict=True)
    assert request.extra == {"acme_option": {"deep": [1.0]}, "extra": 1}
    assert canonical(to_builtins(request)) == canonical(data)


def test_a_strict_reader_tells_each_place_of_a_request_that_does_not_fit() -> None:
    # decision 20: exact paths, all problems at once
    with pytest.raises(DecodeError) as caught:
        decode_as(
            {
                "model": 3,
                "input": [
                    {"role": 3, "content": "x"},
                    {"type": "message", "role": "user", "content": [{"type": "input_text"}, "x"]},
                    {"type": "function_call_output", "output": 7},
                    7,
                    {"hello": "world"},
                ],
                "include": ["a", 3, None],
                "metadata": {"a": 1, "b": "x", "a b": []},
                "reasoning": {"effort": 3},
                "temperature": "hot",
                "tool_choice": 7,
                "conversation": {},
            },
            CreateResponse,
            strict=True,
        )
    assert [str(problem) for problem in caught.value.problems] == [
        "$.model: expected string or null, got integer",
        "$.input[0].role: expected string, got integer",
        "$.input[1].content[0].text: is required and missing",
        "$.input[1].content[1]: expected object, got string",
        "$.input[2].output: expected array or string, got integer",
        "$.input[3]: expected object, got integer",
        "$.input[4].type: is required and missing",
        "$.conversation.id: is required and missing",
        "$.tool_choice: expected object or string or null, got integer",
        "$.include[1]: expected string, got integer",
        "$.include[2]: expected string, got null",
        "$.reasoning.effort: expected string or null, got integer",
        "$.temperature: expected number or null, got string",
        "$.metadata.a: expected string, got integer",
        "$.metadata['a b']: expected string, got array",
    ]
    assert str(caught.value).endswith("; and 10 more")


def test_the_words_of_the_protocol_are_those_of_the_tables() -> None:
    statuses = {"queued", "in_progress", "completed", "incomplete", "failed", "cancelled"}
    assert set(get_args(ResponseStatus)) == statuses
    assert set(get_args(IncompleteReason)) == {"max_output_tokens", "content_filter", "max_messages", "steered"}
    assert set(get_args(IncludeValue)) == {
        "file_search_call.results",
        "web_search_call.results",
        "web_search_call.action.sources",
        "code_interpreter_call.outputs",
        "computer_call_output.output.image_url",
        "message.input_image.image_url",
        "reasoning.encrypted_content",
        "message.output_text.logprobs",
        "memory_search_call.results",
    }
