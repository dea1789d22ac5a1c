"""Which event it was: a name is doubted where the members speak against it, and guessed where there is none."""

from __future__ import annotations

import pytest

from responses_stream.agents.repairing_names import guessed, is_misnamed, meant
from responses_stream.validation.examples import Json, names, stream_of

EACH_BASE = pytest.mark.parametrize("base", names())
# Their members are those of others.
ALIKE = {
    "response.refusal.delta": "response.output_text.delta",
    "response.reasoning_text.delta": "response.output_text.delta",
    "response.reasoning_text.done": "response.output_text.done",
    "response.custom_tool_call_input.delta": "response.function_call_arguments.delta",
    "response.mcp_call_arguments.delta": "response.function_call_arguments.delta",
    "response.mcp_call_arguments.done": "response.function_call_arguments.done",
    "response.code_interpreter_call_code.delta": "response.function_call_arguments.delta",
    "response.apply_patch_call_operation_diff.delta": "response.function_call_arguments.delta",
}


@EACH_BASE
def test_the_name_of_a_good_event_is_not_doubted(base: str) -> None:
    assert [event["type"] for event in stream_of(base) if is_misnamed(event, event["type"])] == []


@EACH_BASE
def test_an_event_without_a_name_is_known_by_its_members(base: str) -> None:
    for event in stream_of(base):
        check_guess(event)


def check_guess(event: Json) -> None:
    name, nameless = event["type"], {member: value for member, value in event.items() if member != "type"}
    found = guessed(nameless, known=name == "response.output_item.done")
    if name in ("response.created", "response.queued"):
        assert found in (name, "response.in_progress")
    elif found is not None:
        assert found == ALIKE.get(name, name)
    else:
        # It says where it stands, and nothing else.
        assert event.keys() <= {
            *("type", "sequence_number", "item_id", "output_index", "partial_image_index", "partial_image_b64"),
            *("command_index", "output"),
        }


@pytest.mark.parametrize(
    ("name", "response", "event"),
    [
        ("response.in_progress", {"status": "completed", "completed_at": 1}, "response.completed"),
        ("response.in_progress", {"status": "completed"}, "response.in_progress"),
        ("response.completed", {"status": "in_progress"}, "response.in_progress"),
        ("response.completed", {"status": "in_progress", "output": [{}]}, "response.completed"),
        ("response.completed", {"status": "failed", "error": {}}, "response.failed"),
        ("response.completed", {"status": "incomplete", "incomplete_details": {}}, "response.incomplete"),
        ("response.in_progress", {"status": "cancelled"}, "response.failed"),
        ("response.completed", {}, "response.completed"),
        ("response.created", {"status": "queued"}, "response.created"),
    ],
)
def test_a_name_and_a_status_that_disagree_are_settled_by_what_else_is_told(
    name: str, response: Json, event: str
) -> None:
    assert meant(name, response) == event


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ({"item": {}, "output_index": 0}, "response.output_text.delta"),
        ({"delta": "a", "content_index": 0}, "response.content_part.added"),
        ({"delta": "a", "item_id": "x"}, "response.mcp_call.completed"),
        ({"part": {}, "content_index": 0}, "response.reasoning_summary_part.added"),
        ({"item_id": "x", "output_index": 0}, "error"),
    ],
)
def test_a_name_that_the_members_speak_against_is_doubted(event: Json, name: str) -> None:
    assert is_misnamed(event, name)


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ({"delta": "a"}, "response.output_text.delta"),
        ({"output_index": 0}, "response.output_item.added"),
        ({"item_id": "x", "output": []}, "response.web_search_call.completed"),
        ({}, "error"),
    ],
)
def test_what_only_lacks_something_keeps_its_name(event: Json, name: str) -> None:
    assert not is_misnamed(event, name)
