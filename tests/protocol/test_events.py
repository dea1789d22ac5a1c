"""Every event of events.md is a type of its own, with every member that the tables name."""

from __future__ import annotations

from typing import Any, Final

import pytest
from msgspec import UNSET

from responses_stream.errors import DecodeError
from responses_stream.protocol.base import UnknownEvent
from responses_stream.protocol.codec import decode, decode_event, encode, to_builtins
from responses_stream.protocol.events import ResponseErrorEvent, ResponseStreamEvent
from responses_stream.protocol.plans import plan_of, tags_of

from .facts import canonical, examples, undeclared

EVENTS: Final[dict[str, str]] = {
    "response.created": "response",
    "response.queued": "response",
    "response.in_progress": "response",
    "response.completed": "response",
    "response.failed": "response",
    "response.incomplete": "response",
    "error": (
        "code message param error.type error.code error.message error.param error.headers error.misalignment status"
    ),
    "response.output_item.added": "item output_index",
    "response.output_item.done": "item output_index",
    "response.content_part.added": "item_id output_index content_index part",
    "response.content_part.done": "item_id output_index content_index part",
    "response.output_text.delta": "item_id output_index content_index delta logprobs obfuscation",
    "response.output_text.done": "item_id output_index content_index text logprobs",
    "response.output_text.annotation.added": "item_id output_index content_index annotation_index annotation",
    "response.refusal.delta": "item_id output_index content_index delta",
    "response.refusal.done": "item_id output_index content_index refusal",
    "response.reasoning_text.delta": "item_id output_index content_index delta",
    "response.reasoning_text.done": "item_id output_index content_index text",
    "response.reasoning.delta": "item_id output_index content_index delta obfuscation",
    "response.reasoning.done": "item_id output_index content_index text",
    "response.reasoning_summary_part.added": "item_id output_index summary_index part",
    "response.reasoning_summary_text.delta": "item_id output_index summary_index delta obfuscation",
    "response.reasoning_summary_text.done": "item_id output_index summary_index text",
    "response.reasoning_summary_part.done": "item_id output_index summary_index part status",
    "response.function_call_arguments.delta": "item_id output_index delta obfuscation",
    "response.function_call_arguments.done": "item_id output_index arguments name",
    "response.custom_tool_call_input.delta": "item_id output_index delta obfuscation",
    "response.custom_tool_call_input.done": "item_id output_index input",
    "response.mcp_call.in_progress": "item_id output_index",
    "response.mcp_call_arguments.delta": "item_id output_index delta obfuscation",
    "response.mcp_call_arguments.done": "item_id output_index arguments",
    "response.mcp_call.completed": "item_id output_index",
    "response.mcp_call.failed": "item_id output_index",
    "response.mcp_list_tools.in_progress": "item_id output_index",
    "response.mcp_list_tools.completed": "item_id output_index",
    "response.mcp_list_tools.failed": "item_id output_index",
    "response.file_search_call.in_progress": "item_id output_index",
    "response.file_search_call.searching": "item_id output_index",
    "response.file_search_call.completed": "item_id output_index",
    "response.web_search_call.in_progress": "item_id output_index",
    "response.web_search_call.searching": "item_id output_index",
    "response.web_search_call.completed": "item_id output_index",
    "response.code_interpreter_call.in_progress": "item_id output_index",
    "response.code_interpreter_call_code.delta": "item_id output_index delta obfuscation",
    "response.code_interpreter_call_code.done": "item_id output_index code",
    "response.code_interpreter_call.interpreting": "item_id output_index",
    "response.code_interpreter_call.completed": "item_id output_index",
    "response.image_generation_call.in_progress": "item_id output_index",
    "response.image_generation_call.generating": "item_id output_index",
    "response.image_generation_call.partial_image": (
        "item_id output_index partial_image_index partial_image_b64 background output_format quality size"
    ),
    "response.image_generation_call.completed": "item_id output_index",
    "response.shell_call_command.added": "output_index command_index command",
    "response.shell_call_command.delta": "output_index command_index delta obfuscation",
    "response.shell_call_command.done": "output_index command_index command",
    "response.shell_call_output_content.delta": "item_id output_index command_index delta.stdout delta.stderr",
    "response.shell_call_output_content.done": (
        "item_id output_index command_index output[].stdout output[].stderr output[].outcome output[].created_by"
    ),
    "response.apply_patch_call_operation_diff.delta": "item_id output_index delta obfuscation",
    "response.apply_patch_call_operation_diff.done": "item_id output_index diff",
    "response.compaction.compacting": "item_id output_index",
    "response.audio.delta": "delta",
    "response.audio.transcript.delta": "delta",
    "response.audio.transcript.done": "",
    "response.audio.done": "",
    "keepalive": "",
    "response.steer.accepted": "steer",
    "response.steer.pending": "steer reason required_input",
    "response.steer.failed": "error.type error.code error.message steer",
}
"""E01 to E67 of events.md, in its order, each with the members of section 4 (for `error` those of section 6 too)."""

ENVELOPE: Final = "type sequence_number stream_id"
"""What every event may have (events.md section 2)."""

OFTEN_OMITTED: Final = {"logprobs"}
"""Members that our types write by default and some servers leave out."""


def test_the_table_of_events_has_67_rows() -> None:
    assert len(EVENTS) == 67


def test_each_event_of_the_table_is_a_type_and_there_is_no_other() -> None:
    assert set(tags_of(ResponseStreamEvent)) == set(EVENTS)


def test_each_member_of_the_tables_is_declared() -> None:
    table = {kind: f"{ENVELOPE} {names}" for kind, names in EVENTS.items()}
    assert undeclared(tags_of(ResponseStreamEvent), table) == set()


def test_an_event_declares_nothing_beyond_the_tables_but_padding() -> None:
    listed = {
        kind: {name.partition("[]")[0].partition(".")[0] for name in f"{ENVELOPE} {names}".split()}
        for kind, names in EVENTS.items()
    }
    beyond = {
        f"{kind}.{member}"
        for kind, struct in tags_of(ResponseStreamEvent).items()
        for member in plan_of(struct).members
        if member not in listed[kind]
    }
    # events.md section 2 allows padding on every delta event, whether or not the table of the event repeats it.
    assert {name.rpartition(".")[2] for name in beyond} == {"obfuscation"}
    assert all(name.endswith(".delta.obfuscation") for name in beyond)


@pytest.mark.parametrize("strict", [False, True], ids=["tolerant", "strict"])
@pytest.mark.parametrize("data", examples("events"), ids=lambda data: data["type"])
def test_every_example_of_the_document_survives(data: dict[str, Any], strict: bool) -> None:
    # Two examples shorten the output to a string where an item should be; only a tolerant reader takes that.
    if strict and "<the item above>" in str(data):
        with pytest.raises(DecodeError) as caught:
            decode_event(data, strict=True)
        assert [problem.path for problem in caught.value.problems] == ["$.response.output[0]"]
        return
    event = decode(canonical(data), strict=strict)
    assert type(event) is tags_of(ResponseStreamEvent).get(data["type"], UnknownEvent)
    assert to_builtins(event) == data
    assert canonical(to_builtins(event)) == canonical(data)
    assert decode(encode(event)) == event


def test_the_examples_cover_every_event() -> None:
    client_messages = {"response.create", "response.steer"}
    assert {data["type"] for data in examples("events")} == set(EVENTS) | client_messages


@pytest.mark.parametrize("kind", EVENTS)
def test_an_event_knows_its_type(kind: str) -> None:
    data = next(data for data in examples("events") if data["type"] == kind)
    assert decode_event(data).type == kind


@pytest.mark.parametrize("kind", EVENTS)
def test_the_members_of_a_known_event_do_not_land_in_extra(kind: str) -> None:
    for data in examples("events"):
        if data["type"] == kind and "<the item above>" not in str(data):
            assert decode_event(data).extra is UNSET


@pytest.mark.parametrize("kind", EVENTS)
def test_a_required_member_cannot_be_missing(kind: str) -> None:
    data = next(data for data in examples("events") if data["type"] == kind)
    for name, member in plan_of(tags_of(ResponseStreamEvent)[kind]).members.items():
        if not member.required:
            continue
        rest = {key: value for key, value in data.items() if key != name}
        with pytest.raises(DecodeError) as caught:
            decode_event(rest)
        assert [(problem.path, problem.message) for problem in caught.value.problems] == [
            (f"$.{name}", "is required and missing")
        ]


@pytest.mark.parametrize("kind", EVENTS)
def test_what_the_tables_require_is_required_in_our_types(kind: str) -> None:
    example = next(data for data in examples("events") if data["type"] == kind)
    needed = {name for name, member in plan_of(tags_of(ResponseStreamEvent)[kind]).members.items() if member.required}
    if kind == "error":  # it has two shapes and two transports: each member is missing somewhere (events.md 4.2 and 6)
        assert needed == set()
        return
    optional_in_the_example = {"stream_id", *OFTEN_OMITTED}
    assert needed == set(example) - {"type"} - optional_in_the_example


@pytest.mark.parametrize(
    "data",
    [
        {"type": "error", "sequence_number": 0, "code": None, "message": "Sorry.", "param": None},
        {
            "type": "error",
            "sequence_number": 2,
            "error": {"type": "insufficient_quota", "code": "insufficient_quota", "message": "Sorry.", "param": None},
        },
        {
            "type": "error",
            "sequence_number": 2,
            "code": "rate_limit_exceeded",
            "message": "Sorry.",
            "param": None,
            "error": {
                "type": "rate_limit",
                "code": "rate_limit_exceeded",
                "message": "Sorry.",
                "param": None,
                "headers": {"retry-after": "2"},
            },
        },
        {
            "type": "error",
            "status": 400,
            "stream_id": "lane-a",
            "error": {"code": "previous_response_not_found", "message": "Sorry.", "param": "previous_response_id"},
        },
    ],
    ids=["flat", "nested", "both", "websocket"],
)
def test_an_error_is_read_in_each_of_its_shapes(data: dict[str, Any]) -> None:
    event = decode_event(data, strict=True)
    assert isinstance(event, ResponseErrorEvent)
    assert event.extra is UNSET
    assert canonical(to_builtins(event)) == canonical(data)


def test_a_vendor_event_passes_through_with_all_it_has() -> None:
    data = {"type": "acme:trace", "sequence_number": 4, "span": {"id": 7, "notes": [None, 1.0]}}
    event = decode_event(data, strict=True)
    assert isinstance(event, UnknownEvent)
    assert (event.type, event.sequence_number) == ("acme:trace", 4)
    assert event.extra == {"span": {"id": 7, "notes": [None, 1.0]}}
    assert canonical(to_builtins(event)) == canonical(data)


@pytest.mark.parametrize("number", [None, True, "4", 1.0, [], -1.5], ids=repr)
def test_a_vendor_event_keeps_even_a_number_that_is_none(number: object) -> None:
    data = {"type": "acme:trace", "sequence_number": number}
    event = decode_event(data)
    assert isinstance(event, UnknownEvent)
    assert event.sequence_number is UNSET
    assert canonical(to_builtins(event)) == canonical(data)


def test_an_event_without_a_number_takes_the_one_that_is_given() -> None:
    data = {"type": "response.audio.done"}
    assert to_builtins(decode_event(data, number=7)) == {"type": "response.audio.done", "sequence_number": 7}
    assert data == {"type": "response.audio.done"}


def test_a_number_that_is_given_does_not_replace_one_that_is_there() -> None:
    assert decode_event({"type": "keepalive", "sequence_number": 3}, number=7).sequence_number == 3
    with pytest.raises(DecodeError, match=r"\$\.sequence_number: expected integer, got null"):
        decode_event({"type": "keepalive", "sequence_number": None}, number=7)
