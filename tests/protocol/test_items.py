"""Every item, part and annotation of items.md is a type of its own, with every member that the tables name."""

from __future__ import annotations

from typing import Any, Final

import pytest
from msgspec import UNSET

from responses_stream.errors import DecodeError
from responses_stream.protocol import machine_items
from responses_stream.protocol.base import Item, UnknownAnnotation, UnknownItem, UnknownPart
from responses_stream.protocol.codec import decode_as, decode_union, to_builtins
from responses_stream.protocol.items import (
    InputItem,
    InputMessage,
    ItemReference,
    OutputItem,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
)
from responses_stream.protocol.parts import ContentPart, Logprob, ResponseOutputText, TextAnnotation
from responses_stream.protocol.plans import plan_of, tags_of

from .facts import canonical, examples, undeclared

ITEMS: Final[dict[str, str]] = {
    "message": "id status role content phase",
    "reasoning": "id status summary content encrypted_content",
    "function_call": "id call_id status name namespace arguments async caller<program>.caller_id",
    "function_call_output": "id call_id status name namespace output caller<program>.caller_id created_by",
    "custom_tool_call": "id call_id status name namespace input async caller<program>.caller_id created_by",
    "custom_tool_call_output": "id call_id status output caller<program>.caller_id created_by",
    "file_search_call": (
        "id status queries results[].attributes results[].file_id results[].filename results[].score results[].text"
    ),
    "web_search_call": (
        "id status action<search>.queries action<search>.query action<search>.sources[].type"
        " action<search>.sources[].url action<open_page>.url action<find_in_page>.pattern action<find_in_page>.url"
    ),
    "code_interpreter_call": "id status code container_id outputs[]<logs>.logs outputs[]<image>.url",
    "image_generation_call": (
        "id status result action background output_format quality revised_prompt size"
        " error.code error.message error.param error.type"
        " error.moderation_details.categories error.moderation_details.moderation_stage"
        " svg_usage.input_tokens svg_usage.model svg_usage.output_tokens svg_usage.reasoning_tokens"
        " svg_usage.total_tokens"
    ),
    "mcp_list_tools": (
        "id server_label tools[].input_schema tools[].name tools[].annotations tools[].description error"
    ),
    "mcp_call": (
        "id status name arguments server_label approval_request_id output"
        " error<mcp_protocol_error>.code error<mcp_protocol_error>.message"
        " error<mcp_tool_execution_error>.content error<http_error>.code error<http_error>.message"
    ),
    "mcp_approval_request": "id name arguments server_label",
    "mcp_approval_response": "id approval_request_id approve reason",
    "computer_call": (
        "id call_id status pending_safety_checks[].id pending_safety_checks[].code pending_safety_checks[].message"
        " action actions"
    ),
    "computer_call_output": (
        "id call_id status output.type output.file_id output.image_url acknowledged_safety_checks[].id"
        " acknowledged_safety_checks[].code acknowledged_safety_checks[].message created_by"
    ),
    "local_shell_call": (
        "id call_id status action.command action.env action.type action.timeout_ms action.user action.working_directory"
    ),
    "local_shell_call_output": "id status output",
    "shell_call": (
        "id call_id status action.commands action.max_output_length action.timeout_ms environment<local>.skills"
        " environment<container_reference>.container_id caller<program>.caller_id created_by"
    ),
    "shell_call_output": (
        "id call_id status max_output_length output[].outcome<exit>.exit_code output[].outcome<timeout>.type"
        " output[].stderr output[].stdout output[].created_by caller<program>.caller_id created_by"
    ),
    "apply_patch_call": (
        "id call_id status operation<create_file>.diff operation<create_file>.path operation<delete_file>.path"
        " operation<update_file>.diff operation<update_file>.path caller<program>.caller_id created_by"
    ),
    "apply_patch_call_output": "id call_id status caller<program>.caller_id created_by output",
    "tool_search_call": "id call_id status arguments execution created_by",
    "tool_search_output": "id call_id status execution tools created_by",
    "additional_tools": "id role tools",
    "program": "id call_id code fingerprint",
    "program_output": "id call_id status result",
    "compaction": "id encrypted_content created_by",
    "compaction_trigger": "id",
    "configuration_update": "id reasoning text",
    "item_reference": "id",
    "structured_outputs": "id output",
    "oauth_consent_request": "id consent_link server_label",
    "memory_search_call": (
        "id status results[].memory_item.memory_id results[].memory_item.updated_at results[].memory_item.scope"
        " results[].memory_item.content results[].memory_item.kind"
    ),
    "workflow_action": "id kind action_id parent_action_id previous_action_id status",
    "output_message": "id status role content phase",
}
"""Rows 1 to 35 and 54 of items.md section 2, each with the members of sections 3, 7 and 8."""

PLATFORM_TOOLS: Final = (
    "a2a_preview",
    "bing_grounding",
    "sharepoint_grounding_preview",
    "azure_ai_search",
    "bing_custom_search_preview",
    "openapi",
    "browser_automation_preview",
    "fabric_dataagent_preview",
    "azure_function",
)
"""The nine tools of items.md section 8: rows 36 to 53 are their calls and the outputs of these."""

ITEMS_OF_TOOLS: Final = {f"{tool}_call": "id call_id arguments status name" for tool in PLATFORM_TOOLS} | {
    f"{tool}_call_output": "id call_id output status name" for tool in PLATFORM_TOOLS
}

ONLY_INPUT: Final = {"compaction_trigger", "configuration_update", "item_reference"}
"""Rows 29 to 31: never in `response.output`."""

STAMPS: Final = "type response_id agent_reference.type agent_reference.name agent_reference.version"
"""What the Azure platform puts on every output item (items.md section 1)."""

PARTS: Final[dict[str, str]] = {
    "output_text": "type text annotations logprobs",
    "refusal": "type refusal",
    "reasoning_text": "type text",
    "summary_text": "type text",
    "text": "type text",
    "input_text": "type text prompt_cache_breakpoint.mode prompt_cache_breakpoint.ttl",
    "input_image": "type detail image_url file_id prompt_cache_breakpoint.mode prompt_cache_breakpoint.ttl",
    "input_file": (
        "type file_id file_data file_url filename detail prompt_cache_breakpoint.mode prompt_cache_breakpoint.ttl"
    ),
    "input_video": "type video_url",
    "input_audio": "type input_audio.data input_audio.format",
    "computer_screenshot": "type image_url file_id",
}
"""The parts of items.md section 5.2."""

ANNOTATIONS: Final[dict[str, str]] = {
    "file_citation": "type file_id filename index",
    "url_citation": "type url title start_index end_index",
    "container_file_citation": "type container_id file_id filename start_index end_index",
    "file_path": "type file_id index",
}
"""The annotations of items.md section 6."""

ACTIONS: Final[dict[str, str]] = {
    "click": "button x y keys",
    "double_click": "x y keys",
    "drag": "path[].x path[].y keys",
    "keypress": "keys",
    "move": "x y keys",
    "screenshot": "",
    "scroll": "x y scroll_x scroll_y keys",
    "type": "text",
    "wait": "",
}
"""The computer actions of items.md section 7."""

ALL_ITEMS: Final = ITEMS | ITEMS_OF_TOOLS


def test_the_table_of_items_has_54_rows() -> None:
    assert len(ALL_ITEMS) == 54


def test_an_output_item_may_be_each_row_that_is_not_only_input() -> None:
    assert set(tags_of(OutputItem)) == set(ALL_ITEMS) - ONLY_INPUT


def test_an_input_item_may_be_each_row() -> None:
    # Some Azure items are marked "out"; history sends them back, so a reader of input has to know them.
    assert set(tags_of(InputItem)) == set(ALL_ITEMS)


def test_each_member_of_an_output_item_is_declared() -> None:
    table = {kind: f"{STAMPS} {names}" for kind, names in ALL_ITEMS.items() if kind not in ONLY_INPUT}
    assert undeclared(tags_of(OutputItem), table) == set()


def test_each_member_of_an_input_item_is_declared() -> None:
    assert undeclared(tags_of(InputItem), ALL_ITEMS) == set()


def test_an_item_declares_nothing_beyond_the_tables() -> None:
    # In listings of the `openai` package a function call may carry it, as a custom tool call does (items.md 3.5).
    listings = {"function_call.created_by"}
    beyond = set()
    for kind, struct in (tags_of(InputItem) | tags_of(OutputItem)).items():
        named = {name.partition("[")[0].partition("<")[0].partition(".")[0] for name in ALL_ITEMS[kind].split()}
        stamps = {"response_id", "agent_reference"} if issubclass(struct, Item) else {"type"}
        beyond |= {f"{kind}.{member}" for member in plan_of(struct).members if member not in named | stamps}
    assert beyond == listings


def test_each_part_and_each_of_its_members_is_declared() -> None:
    assert set(tags_of(ContentPart)) == set(PARTS)
    assert undeclared(tags_of(ContentPart), PARTS) == set()


def test_each_annotation_and_each_of_its_members_is_declared() -> None:
    assert set(tags_of(TextAnnotation)) == set(ANNOTATIONS)
    assert undeclared(tags_of(TextAnnotation), ANNOTATIONS) == set()


def test_each_computer_action_and_each_of_its_members_is_declared() -> None:
    assert set(tags_of(machine_items.ComputerAction)) == set(ACTIONS)
    assert undeclared(tags_of(machine_items.ComputerAction), ACTIONS) == set()


def test_log_probabilities_have_the_members_of_both_their_forms() -> None:
    table = {"logprob": "token logprob bytes top_logprobs[].token top_logprobs[].logprob top_logprobs[].bytes"}
    assert undeclared({"logprob": Logprob}, table) == set()


@pytest.mark.parametrize("data", examples("items"), ids=lambda data: data["type"])
def test_every_example_of_an_item_survives(data: dict[str, Any]) -> None:
    unions: list[Any] = [InputItem] if data["type"] in ONLY_INPUT else [InputItem, OutputItem]
    for union in unions:
        item = decode_union(data, union, "item", strict=True)
        assert isinstance(item, tags_of(union)[data["type"]])
        assert item.extra is UNSET
        assert canonical(to_builtins(item)) == canonical(data)


@pytest.mark.parametrize(
    ("name", "union"),
    [("parts", ContentPart), ("annotations", TextAnnotation)],
    ids=["parts", "annotations"],
)
def test_every_example_of_a_part_or_an_annotation_survives(name: str, union: Any) -> None:
    for data in examples(name):
        found = decode_union(data, union, name, strict=True)
        assert isinstance(found, tags_of(union)[data["type"]])
        assert found.extra is UNSET
        assert canonical(to_builtins(found)) == canonical(data)


def test_the_example_of_a_log_probability_survives() -> None:
    [data] = examples("logprobs")
    assert canonical(to_builtins(decode_as(data, Logprob, strict=True))) == canonical(data)


def test_the_event_form_of_a_log_probability_is_read_too() -> None:
    data = {"token": "Hi", "logprob": -0.1, "top_logprobs": [{"token": "Hi", "logprob": -0.1}]}
    assert canonical(to_builtins(decode_as(data, Logprob, strict=True))) == canonical(data)


@pytest.mark.parametrize("tool", PLATFORM_TOOLS)
def test_a_call_to_a_platform_tool_and_its_output_survive(tool: str) -> None:
    call = {"type": f"{tool}_call", "id": "x_01", "call_id": "call_09", "arguments": "{}", "status": "completed"}
    outputs: list[Any] = [{"rows": [1]}, "[]", [1.0, None]]
    answers: list[dict[str, Any]] = [
        {"type": f"{tool}_call_output", "id": "x_02", "call_id": "call_09", "output": output, "status": "completed"}
        for output in outputs
    ]
    for data in [call, *answers]:
        for union in (OutputItem, InputItem):
            item = decode_union(data, union, "item", strict=True)
            assert item.type == data["type"]
            assert item.extra is UNSET
            assert canonical(to_builtins(item)) == canonical(data)


def test_a_platform_item_may_be_stamped_with_its_response_and_its_agent() -> None:
    data = {
        "type": "message",
        "id": "msg_01",
        "role": "assistant",
        "status": "completed",
        "content": [],
        "response_id": "resp_01",
        "agent_reference": {"type": "agent_reference", "name": "tutor", "version": "2"},
    }
    message = decode_union(data, OutputItem, "item", strict=True)
    assert message.response_id == "resp_01"
    assert message.agent_reference.name == "tutor"
    assert message.extra is UNSET
    assert canonical(to_builtins(message)) == canonical(data)
    unstamped = data | {"agent_reference": None}
    assert canonical(to_builtins(decode_union(unstamped, OutputItem, "item", strict=True))) == canonical(unstamped)


@pytest.mark.parametrize(
    ("data", "struct"),
    [
        ({"role": "user", "content": "Hi"}, InputMessage),
        ({"role": "developer", "content": [{"type": "input_text", "text": "Be brief."}], "id": "m"}, InputMessage),
        ({"type": "message", "role": "assistant", "content": "Hello", "phase": "commentary"}, InputMessage),
        ({"type": "message", "role": "user", "content": []}, InputMessage),
        ({"id": "msg_01"}, ItemReference),
        ({"id": "msg_01", "type": None}, ItemReference),
        ({"id": "msg_01", "type": "item_reference"}, ItemReference),
    ],
    ids=str,
)
def test_messages_and_references_in_input_may_leave_out_their_type(data: dict[str, Any], struct: Any) -> None:
    item = decode_union(data, InputItem, "input item", strict=True)
    assert type(item) is struct
    assert canonical(to_builtins(item)) == canonical(data)


@pytest.mark.parametrize("union", [OutputItem, InputItem], ids=["output", "input"])
def test_an_item_of_an_unknown_type_is_kept_whole(union: Any) -> None:
    data = {"type": "acme:search_result", "id": "x", "hits": [{"score": 1.0}, None], "extra": {"extra": 1}}
    item = decode_union(data, union, "item", strict=True)
    assert isinstance(item, UnknownItem)
    assert item.type == "acme:search_result"
    assert canonical(to_builtins(item)) == canonical(data)


def test_an_item_that_does_not_fit_its_type_is_kept_whole_by_a_tolerant_reader() -> None:
    data = {"type": "function_call", "id": "fc_01", "call_id": 7, "name": "f", "arguments": {"not": "a string"}}
    item = decode_union(data, OutputItem, "item")
    assert isinstance(item, UnknownItem)
    assert canonical(to_builtins(item)) == canonical(data)
    with pytest.raises(DecodeError) as caught:
        decode_union(data, OutputItem, "item", strict=True)
    assert [str(problem) for problem in caught.value.problems] == [
        "$.call_id: expected string, got integer",
        "$.arguments: expected string, got object",
    ]


def test_a_part_or_annotation_of_an_unknown_type_is_kept_whole_in_its_place() -> None:
    data = {
        "type": "message",
        "id": "msg_01",
        "role": "assistant",
        "status": "completed",
        "content": [
            {"type": "acme:chart", "points": [1, 2.0]},
            {"type": "output_text", "text": "x", "annotations": [{"type": "acme:note", "n": 1}], "logprobs": []},
        ],
    }
    message = decode_union(data, OutputItem, "item", strict=True)
    assert isinstance(message, ResponseOutputMessage)
    chart, text = message.content
    assert isinstance(chart, UnknownPart)
    assert isinstance(text, ResponseOutputText)
    assert isinstance(text.annotations, list)
    assert isinstance(text.annotations[0], UnknownAnnotation)
    assert canonical(to_builtins(message)) == canonical(data)


def test_a_citation_with_only_an_address_is_kept() -> None:
    # items.md section 6: one provider sends no title and no indexes; readers must not require them.
    data = {"type": "url_citation", "url": "https://example.com/a"}
    assert canonical(to_builtins(decode_union(data, TextAnnotation, "annotation"))) == canonical(data)


def test_an_optional_member_that_does_not_fit_stays_in_extra() -> None:
    data = {"type": "function_call", "call_id": "call_01", "name": "f", "arguments": "{}", "async": "yes", "id": None}
    call = decode_union(data, OutputItem, "item")
    assert isinstance(call, ResponseFunctionToolCall)
    assert (call.is_async, call.id, call.extra) == (UNSET, None, {"async": "yes"})
    assert canonical(to_builtins(call)) == canonical(data)


def test_the_error_of_an_mcp_call_may_be_the_string_of_older_services() -> None:
    base = {"type": "mcp_call", "id": "mcp_01", "server_label": "docs", "name": "search", "arguments": "{}"}
    errors: list[Any] = ["it broke", None, {"type": "http_error", "code": 500, "message": "x"}, {"type": "acme:e"}, {}]
    for error in errors:
        data = {**base, "error": error}
        assert canonical(to_builtins(decode_union(data, OutputItem, "item", strict=True))) == canonical(data)
