"""Any whole item is said by all of its events, and what was given is what is done."""

from __future__ import annotations

import typing
from typing import Any, Final

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from responses_stream import InvalidType, InvalidValue, OutOfOrder, ResponseEventStream, accumulate, validate_events
from responses_stream.lifecycle import ITEMS
from responses_stream.protocol.base import UnknownItem, Wire
from responses_stream.protocol.codec import to_builtins
from responses_stream.protocol.events import ResponseOutputItemDoneEvent
from responses_stream.protocol.hosted_items import ImageGenerationCall, McpCall
from responses_stream.protocol.items import OutputItem
from responses_stream.protocol.platform_items import PlatformToolCall, PlatformToolCallOutput

from ..protocol.samples import variants
from . import samples
from .programs import Program, as_dicts, programs
from .samples import names, running

STREAMED: Final = sorted(kind for kind, grammar in ITEMS.items() if grammar.streams)

# What an item breaks by itself, however it is told: a type that nobody sends, nothing said, arguments that are no JSON,
# an annotation of an unknown type, an answer to no call.
ITS_OWN: Final = frozenset({"R065", "R113", "R119", "R144", "R161"})

LOGPROB: Final = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}
TEXT: Final = {"type": "output_text", "text": "Hi", "annotations": [samples.CITATION], "logprobs": [LOGPROB]}
REFUSAL: Final = {"type": "refusal", "refusal": "No."}
CALL: Final = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
MCP_CALL: Final = {"type": "mcp_call", "server_label": "docs", "name": "search", "arguments": "{}"}
IMAGE: Final = {"type": "image_generation_call", "result": "aGk="}
CODE: Final = {"type": "code_interpreter_call", "container_id": "cntr_1", "code": "1"}


def whole(item: Any, item_id: str | None = None) -> list[Any]:
    """Return a stream that says *item* and nothing else."""
    stream = ResponseEventStream("resp_1")
    events: list[Any] = [stream.emit_created(), stream.emit_in_progress()]
    events += stream.output_item(item, item_id=item_id)
    cut = getattr(events[-1].item, "status", None) == "incomplete"
    events.append(stream.emit_incomplete() if cut else stream.emit_completed())
    return events


def found(events: list[Any]) -> set[str]:
    """Return the rules that *events* break."""
    return {violation.rule for violation in validate_events(events, profile="strict").violations}


def inside(item: Any) -> str:
    """Return what is said between the added and the done of *item*, which breaks no rule."""
    events = whole(item)
    assert not found(events)
    return " ".join(names(events)[3:-2])


def done(item: Any) -> dict[str, Any]:
    """Return *item* as it is done."""
    plain: dict[str, Any] = as_dicts(whole(item))[-2]["item"]
    return plain


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(programs())
def test_what_any_program_made_is_said_again_as_it_is(program: Program) -> None:
    for event in program.events:
        if isinstance(event, ResponseOutputItemDoneEvent):
            for item in (event.item, to_builtins(event.item)):
                events = whole(item)
                assert accumulate(events).output == [event.item]
                assert found(events) <= ITS_OWN


@pytest.mark.parametrize(
    "kind", [kind for kind in typing.get_args(OutputItem) if kind is not UnknownItem], ids=lambda kind: kind.__name__
)
def test_every_type_of_item_is_said_with_all_that_may_stand_in_it(kind: type[Wire]) -> None:
    for sample in variants(kind):
        item = _consistent(sample)
        events = whole(item)
        given = to_builtins(item)
        assert to_builtins(events[-2].item) == given | _filled_in(given, done(item))
        assert accumulate(events).output == [events[-2].item]
        assert found(events) <= ITS_OWN


def _consistent(item: Any) -> Any:
    """Return a sample that could be: samples have every member, or as few as may be."""
    if isinstance(item, McpCall) and item.error:
        return msgspec.structs.replace(item, status="failed")
    if isinstance(item, ImageGenerationCall) and not item.result:
        return msgspec.structs.replace(item, status="failed")
    if isinstance(item, PlatformToolCall | PlatformToolCallOutput):
        return msgspec.structs.replace(item, name="n")
    return item


def _filled_in(given: dict[str, Any], done: dict[str, Any]) -> dict[str, Any]:
    """Return the members that may be filled in, where *given* has none."""
    natural = {"status": "completed", "code": "", "max_output_length": None}
    return {name: value for name, value in natural.items() if given.get(name) is None and name in done}


@pytest.mark.parametrize("kind", STREAMED)
def test_the_events_are_those_of_the_convenience(kind: str) -> None:
    events = list(getattr(running(), f"output_item_{kind}")(**samples.CONVENIENCES[kind]))
    plain = [name for name in names(events) if not name.endswith("partial_image")]
    assert names(whole(events[-1].item))[2:-1] == plain


@pytest.mark.parametrize("kind", sorted(ITEMS))
def test_members_that_nobody_knows_are_kept(kind: str) -> None:
    made = to_builtins(list(getattr(running(), f"output_item_{kind}")(**samples.CONVENIENCES[kind]))[-1].item)
    given = {**made, "acme": {"score": 3}, "response_id": "resp_1"}
    events = whole(given)
    assert to_builtins(events[-2].item) == given
    assert to_builtins(events[2].item)["response_id"] == "resp_1"  # H2.33
    assert to_builtins(accumulate(events).output[0]) == given
    assert found(events) <= ITS_OWN


def test_members_that_nobody_knows_are_kept_in_parts_too() -> None:
    content = [{**TEXT, "acme": 1, "annotations": [{**samples.CITATION, "acme": 2}]}, {**REFUSAL, "acme": 3}]
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}
    assert done(message) == message
    assert inside(message).split().count("content_part.done") == 2
    summary, thought = {"type": "summary_text", "text": "", "acme": 1}, {"type": "reasoning_text", "text": "Hm", "a": 2}
    reasoning = {"type": "reasoning", "id": "rs_1", "status": "completed", "summary": [summary], "content": [thought]}
    assert done(reasoning) == reasoning
    assert not found(whole(reasoning))
    printed = {"stdout": "a", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}, "created_by": "me"}
    output = {"type": "shell_call_output", "id": "o_1", "status": "completed", "call_id": "c", "output": [printed]}
    assert done(output) == {**output, "max_output_length": None}
    assert found(whole(output)) <= ITS_OWN


def test_a_message_says_all_of_its_parts() -> None:
    message = {
        "type": "message",
        "phase": "commentary",
        "content": [TEXT, REFUSAL, {"type": "output_text", "text": ""}],
    }
    assert inside(message) == (
        "content_part.added output_text.delta output_text.annotation.added output_text.done content_part.done "
        "content_part.added refusal.delta refusal.done content_part.done "
        "content_part.added output_text.done content_part.done"  # R107
    )
    events = whole(message)
    assert events[4].logprobs == events[6].logprobs == events[-2].item.content[0].logprobs
    assert events[2].item.phase == events[-2].item.phase == "commentary"
    assert done(message)["content"][2] == {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    assert (done(message)["role"], done(message)["status"]) == ("assistant", "completed")


def test_log_probabilities_are_told_in_full() -> None:
    short = {"type": "output_text", "text": "Hi", "logprobs": [{"token": "Hi", "logprob": -0.5}]}
    assert done({"type": "message", "content": [short]})["content"][0]["logprobs"] == [LOGPROB]


def test_reasoning_may_have_any_parts_and_no_status() -> None:
    thought = {"type": "reasoning_text", "text": "Hm"}
    assert inside({"type": "reasoning", "summary": [], "encrypted_content": "gA"}) == ""
    assert inside({"type": "reasoning", "summary": [{"type": "summary_text", "text": "S"}], "content": [thought]}) == (
        "reasoning_summary_part.added reasoning_summary_text.delta reasoning_summary_text.done "
        "reasoning_summary_part.done content_part.added reasoning_text.delta reasoning_text.done content_part.done"
    )
    for status in ({}, {"status": None}):
        events = as_dicts(whole({"type": "reasoning", "id": "rs_1", "summary": [], **status}))
        assert "status" not in events[2]["item"]
        assert events[3]["item"] == {"type": "reasoning", "id": "rs_1", "summary": []}


MCP: Final = "mcp_call.in_progress mcp_call_arguments.delta mcp_call_arguments.done"
RAN: Final = "code_interpreter_call.in_progress code_interpreter_call_code.delta code_interpreter_call_code.done"


@pytest.mark.parametrize(
    ("item", "events"),
    [
        ({**MCP_CALL, "output": "o"}, f"{MCP} mcp_call.completed"),
        ({**MCP_CALL, "error": samples.MCP_ERROR}, f"{MCP} mcp_call.failed"),
        ({**MCP_CALL, "status": "incomplete"}, MCP),
        (
            {**IMAGE, "result": None, "status": "failed"},
            "image_generation_call.in_progress image_generation_call.generating",
        ),
        ({**CODE, "status": "incomplete"}, RAN),
        ({**CODE, "status": "failed"}, f"{RAN} code_interpreter_call.interpreting"),
        ({"type": "web_search_call", "status": "failed"}, "web_search_call.in_progress web_search_call.searching"),
        (
            {"type": "file_search_call", "status": "incomplete", "queries": []},
            "file_search_call.in_progress file_search_call.searching",
        ),
        (
            {"type": "mcp_list_tools", "server_label": "docs", "tools": [], "error": "Not there."},
            "mcp_list_tools.in_progress mcp_list_tools.failed",
        ),
        (
            {**CALL, "status": "incomplete", "arguments": '{"a'},
            "function_call_arguments.delta function_call_arguments.done",
        ),
        ({**CALL, "arguments": ""}, "function_call_arguments.done"),
    ],
)
def test_an_item_that_did_not_succeed_says_how_far_it_came(item: dict[str, Any], events: str) -> None:
    stream = whole(item)
    assert " ".join(names(stream)[3:-2]) == events
    assert found(stream) <= ITS_OWN
    told = to_builtins(stream[-2].item)
    assert told == told | item


def test_an_error_of_an_mcp_call_is_told_as_an_object() -> None:
    events = whole({**MCP_CALL, "error": "Not there."})  # D36
    assert to_builtins(events[-2].item)["error"] == {"type": "mcp_tool_execution_error", "content": "Not there."}
    assert not found(events)


def test_an_id_is_kept_made_or_given() -> None:
    for item in (CALL, {"type": "acme:verdict"}, {"type": "structured_outputs", "output": 1}):
        for own in ({}, {"id": None}, {"id": ""}):
            assert done({**item, **own})["id"]
        events = whole({**item, "id": "own_1"}, "mine_1")
        assert events[2].item.id == events[-2].item.id == "mine_1"
        assert done({**item, "id": "own_1"})["id"] == "own_1"
    item = whole(CALL)[-2].item
    assert whole(item, "mine_1")[-2].item == msgspec.structs.replace(item, id="mine_1")


def test_ids_are_claimed_when_the_item_is_given_and_not_later() -> None:
    stream = running()
    first = stream.output_item({**CALL, "id": "fc_1"})
    with pytest.raises(InvalidValue, match=r"item_id: 'fc_1' is already the id of an item.*R064"):
        stream.output_item({**CALL, "id": "fc_1", "call_id": "call_2"})
    with pytest.raises(InvalidValue, match=r"call_id: 'call_1' is already the id of a call.*R162"):
        stream.output_item(CALL)
    assert len(list(first)) == 4


def test_events_are_made_while_they_are_iterated() -> None:
    stream = running()
    message, call = iter(stream.output_item({"type": "message", "content": [TEXT]})), iter(stream.output_item(CALL))
    assert [next(call).output_index, next(message).output_index] == [0, 1]  # type: ignore[union-attr]  # of an item


def test_an_incomplete_item_is_the_last_one() -> None:
    stream = running()
    cut = iter(stream.output_item({**CALL, "status": "incomplete"}))
    next(cut)
    list(stream.output_item({"type": "message", "content": [TEXT]}))
    with pytest.raises(OutOfOrder, match="R059"):
        list(cut)


@pytest.mark.parametrize(
    ("item", "where"),
    [
        (3, "item: expected output item or a dict, got int"),
        ({**CALL, "id": 3}, r"item\.id: expected a string \(R067\), got int"),
        ({**CALL, "status": "in_progress"}, r"item\.status: is 'in_progress', but .* ends as completed or incomplete"),
        ({**CALL, "status": "failed"}, r"item\.status: is 'failed'.*R077"),
        ({**CALL, "status": ["x"]}, r"item\.status: is \['x'\]"),
        ({**CALL, "call_id": ""}, "call_id: is empty"),
        ({**CALL, "name": ""}, "name: is empty"),
        ({**CALL, "arguments": {"a": 1}}, r"\$\.arguments: expected string"),
        ({"type": "function_call", "call_id": "c", "name": "f"}, r"\$\.arguments: .*missing"),
        ({"type": "message", "content": "Hi"}, r"\$\.content: expected"),
        ({"type": "message", "content": [{"type": "input_text", "text": ""}]}, r"item\.content\[0\]\.type: .*R090"),
        ({"type": "message", "content": [TEXT, {"type": "acme:x"}]}, r"item\.content\[1\]\.type: is 'acme:x'.*R090"),
        (
            {"type": "message", "content": [{**TEXT, "text": "H"}]},
            r"item\.content\[0\]\.annotations\[0\]\.end_index: is 2, but the text has 1 characters \(R119\)",
        ),
        ({"type": "reasoning", "summary": [TEXT]}, r"item\.summary\[0\]\.type: is 'output_text'.*R131"),
        (
            {"type": "reasoning", "summary": [], "content": [TEXT]},
            r"item\.content\[0\]\.type: .*'reasoning_text'.*R090",
        ),
        ({**MCP_CALL, "status": "failed"}, r"item\.error: is missing, but the call is failed \(R148\)"),
        ({**MCP_CALL, "status": "completed", "error": "x"}, r"item\.error: is given, but the call is completed"),
        ({**MCP_CALL, "status": "calling"}, r"item\.status: is 'calling'"),
        ({"type": "mcp_list_tools", "server_label": "d", "tools": [], "error": ""}, r"item\.error: is empty"),
        ({"type": "mcp_list_tools", "server_label": "d", "tools": [], "status": "completed"}, r"item\.status: .*R069"),
        ({**IMAGE, "result": None}, r"item\.result: is missing"),
        ({**IMAGE, "status": "incomplete"}, r"item\.status: is 'incomplete', but .* ends as completed or failed"),
        ({"type": "web_search_call"}, r"item\.action: is missing"),
        (
            {"type": "apply_patch_call", "call_id": "c", "operation": samples.OPERATION, "status": "failed"},
            r"item\.status: is 'failed'",
        ),
        ({"type": "compaction", "encrypted_content": "\ud800"}, r"item\.encrypted_content: holds a lone surrogate"),
    ],
)
def test_what_no_events_can_tell_is_refused_and_changes_nothing(item: Any, where: str) -> None:
    stream = running()
    with pytest.raises((InvalidType, InvalidValue), match=where):
        stream.output_item(item)
    assert len(list(stream.output_item({**CALL, "id": "fc_1"}))) == 4
