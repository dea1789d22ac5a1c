"""What builders say is what the types of the `openai` package and of Open Responses accept, strictly (pains.md B4)."""

from __future__ import annotations

import json
from collections.abc import Callable

import openresponses_types.types as open_responses
import pydantic
import pytest

from responses_stream import Events, ResponseEventStream
from responses_stream.protocol.codec import encode
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.protocol.parts import Logprob, TopLogprob
from tests.protocol.openai_types import STREAM_EVENTS, by_type

OPENAI = {kind: pydantic.TypeAdapter(model) for kind, model in by_type(STREAM_EVENTS)}
OPEN_RESPONSES = {
    next(iter(model.model_fields["type"].annotation)).value: model
    for name, model in vars(open_responses).items()
    if name.endswith("StreamingEvent")
}
OPEN_RESPONSES_ITEMS = {"message", "function_call", "function_call_output", "reasoning", "compaction"}
# Seen on the wire of OpenAI, in no release of its package (events.md section 4.18).
NOT_IN_OPENAI = {
    "response.apply_patch_call_operation_diff.delta",
    "response.apply_patch_call_operation_diff.done",
}

Say = Callable[[ResponseEventStream], Events]

ITEMS: dict[str, Say] = {
    "message": lambda stream: stream.output_item_message(
        ["See ", "A."],
        annotations=[{"type": "url_citation", "url": "u", "title": "t", "start_index": 4, "end_index": 5}],
        phase="final_answer",
    ),
    "refusal": lambda stream: stream.output_item_refusal("No."),
    "summary": lambda stream: stream.output_item_reasoning("Hm.", encrypted_content="gAAA"),
    "raw reasoning": lambda stream: stream.output_item_reasoning(text="Hm."),
    "bare reasoning": lambda stream: stream.output_item_reasoning(),
    "function_call": lambda stream: stream.output_item_function_call("f", "call_1", '{"a":1}'),
    "function_call_output": lambda stream: stream.output_item_function_call_output("call_1", "1"),
    "custom_tool_call": lambda stream: stream.output_item_custom_tool_call("sql", "call_1", "SELECT 1"),
    "custom_tool_call_output": lambda stream: stream.output_item_custom_tool_call_output("call_1", "1"),
    "file_search_call": lambda stream: stream.output_item_file_search_call(
        ["q"], [{"file_id": "file_1", "filename": "a", "score": 0.5, "text": "t", "attributes": {}}]
    ),
    "web_search_call": lambda stream: stream.output_item_web_search_call({"type": "search", "query": "q"}),
    "code_interpreter_call": lambda stream: stream.output_item_code_interpreter_call(
        "print(1)", container_id="cntr_1", outputs=[{"type": "logs", "logs": "1"}]
    ),
    "image_generation_call": lambda stream: stream.output_item_image_generation_call(
        "aGk=", partial_images=["aGk=", "aGk="], revised_prompt="A dot", quality="low", size="1024x1024"
    ),
    "mcp_list_tools": lambda stream: stream.output_item_mcp_list_tools("docs", [{"name": "s", "input_schema": {}}]),
    "failed mcp_list_tools": lambda stream: stream.output_item_mcp_list_tools("docs", error="Not there."),
    "mcp_call": lambda stream: stream.output_item_mcp_call("docs", "s", "{}", output="[]"),
    "failed mcp_call": lambda stream: stream.output_item_mcp_call(
        "docs", "s", "{}", error={"type": "http_error", "code": 500, "message": "Broken."}
    ),
    "mcp_approval_request": lambda stream: stream.output_item_mcp_approval_request("docs", "delete", "{}"),
    "mcp_approval_response": lambda stream: stream.output_item_mcp_approval_response("mcpr_1", True),
    "computer_call": lambda stream: stream.output_item_computer_call(
        "call_1", {"type": "click", "button": "left", "x": 1, "y": 2}
    ),
    "computer_call_output": lambda stream: stream.output_item_computer_call_output(
        "call_1", {"type": "computer_screenshot", "image_url": "data:image/png;base64,aGk="}
    ),
    "local_shell_call": lambda stream: stream.output_item_local_shell_call("call_1", ["ls"]),
    "local_shell_call_output": lambda stream: stream.output_item_local_shell_call_output("{}"),
    "shell_call": lambda stream: stream.output_item_shell_call("call_1", ["ls", "cd"]),
    "shell_call_output": lambda stream: stream.output_item_shell_call_output(
        "call_1", [{"stdout": "a", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]
    ),
    "apply_patch_call": lambda stream: stream.output_item_apply_patch_call(
        "call_1", {"type": "update_file", "path": "a", "diff": "+b"}
    ),
    "apply_patch_call_output": lambda stream: stream.output_item_apply_patch_call_output("call_1", output="ok"),
    "tool_search_call": lambda stream: stream.output_item_tool_search_call({"paths": ["crm"]}),
    "tool_search_output": lambda stream: stream.output_item_tool_search_output([]),
    "additional_tools": lambda stream: stream.output_item_additional_tools([{"type": "web_search"}]),
    "program": lambda stream: stream.output_item_program("call_1", "return 1", "f1"),
    "program_output": lambda stream: stream.output_item_program_output("call_1", "1"),
    "compaction": lambda stream: stream.output_item_compaction("gAAA"),
}


def finished(say: Say) -> list[ResponseStreamEvent]:
    stream = ResponseEventStream("resp_1", {"model": "m", "tools": [{"type": "function", "name": "f"}]})
    events: list[ResponseStreamEvent] = [stream.emit_created(), stream.emit_in_progress(), *say(stream)]
    events.append(stream.emit_completed(usage={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}))
    return events


@pytest.mark.parametrize("say", ITEMS.values(), ids=ITEMS)
def test_the_openai_types_accept_every_event_strictly(say: Say) -> None:
    for event in finished(say):
        if event.type in NOT_IN_OPENAI:
            assert event.type not in OPENAI, "the package has learned it: take it off the list"
        else:
            OPENAI[event.type].validate_json(encode(event), strict=True)


@pytest.mark.parametrize("say", ITEMS.values(), ids=ITEMS)
def test_the_open_responses_types_accept_every_event_that_they_know_strictly(say: Say) -> None:
    for event in finished(say):
        model = OPEN_RESPONSES.get(event.type)
        items = _items(json.loads(encode(event)))
        if model is not None and items <= OPEN_RESPONSES_ITEMS:
            model.model_validate_json(encode(event), strict=True)


def test_both_accept_log_probabilities_in_events_and_parts() -> None:
    stream = ResponseEventStream("resp_1")
    events: list[ResponseStreamEvent] = [stream.emit_created(), stream.emit_in_progress()]
    message = stream.add_output_item_message()
    text = message.add_text_content()
    probable = Logprob(token="Hé", logprob=-0.5, top_logprobs=[TopLogprob(token="Hé", logprob=-0.5)])
    events += [message.emit_added(), text.emit_added(), text.emit_delta("Hé", logprobs=[probable])]
    events += [text.emit_text_done(), text.emit_done(), message.emit_done(), stream.emit_completed()]
    for event in events:
        OPENAI[event.type].validate_json(encode(event), strict=True)
        OPEN_RESPONSES[event.type].model_validate_json(encode(event), strict=True)


def test_both_accept_every_end_of_a_response() -> None:
    ends: list[Callable[[ResponseEventStream], ResponseStreamEvent]] = [
        lambda stream: stream.emit_failed("server_error", "Broken."),
        lambda stream: stream.emit_cancelled(),
        lambda stream: stream.emit_incomplete("max_output_tokens"),
    ]
    for end in ends:
        stream = ResponseEventStream("resp_1")
        events = [stream.emit_created(status="queued"), stream.emit_queued(), stream.emit_in_progress(), end(stream)]
        for event in events:
            OPENAI[event.type].validate_json(encode(event), strict=True)
            OPEN_RESPONSES[event.type].model_validate_json(encode(event), strict=True)


def _items(event: dict[str, object]) -> set[str]:
    """The types of the items that an event carries."""
    response, item = event.get("response"), event.get("item")
    carried = [item] if isinstance(item, dict) else response["output"] if isinstance(response, dict) else []
    return {one["type"] for one in carried}
