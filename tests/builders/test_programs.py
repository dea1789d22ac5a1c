"""What holds for all programs that can be written with the builders."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from responses_stream import Accumulator, OrderGuard, accumulate
from responses_stream.protocol.codec import decode, encode, to_builtins
from responses_stream.protocol.events import (
    ResponseCompletedEvent,
    ResponseIncompleteEvent,
    ResponseOutputItemDoneEvent,
    ResponseStreamEvent,
)
from responses_stream.sse import DONE, encode_event

from .oracle import judge
from .programs import Program, as_dicts, programs, random_calls

# What no event but `output_item.done` tells of an item.
TOLD_WHEN_DONE = {
    "reasoning": {"encrypted_content"},
    "file_search_call": {"queries", "results"},
    "web_search_call": {"action"},
    "code_interpreter_call": {"outputs"},
    "image_generation_call": {"result", "error", "revised_prompt", "quality"},
    "mcp_list_tools": {"tools", "error"},
    "mcp_call": {"output", "error"},
    "compaction": {"encrypted_content"},
}

# Making a failing program small takes longer than running all the others.
pytestmark = pytest.mark.timeout(600)

all_programs = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])


@all_programs
@given(programs())
def test_no_program_breaks_a_rule(program: Program) -> None:
    assert judge(as_dicts(program.events)) == []


@settings(all_programs)
@given(random_calls())
def test_calls_without_any_sense_break_no_rule_either(program: Program) -> None:
    """A stream that has begun can be ended, and is right however it came about."""
    if program.events:
        assert judge(as_dicts(program.events)) == []


@all_programs
@given(programs(), st.data())
def test_what_a_program_says_is_accepted_kept_and_folded(program: Program, data: st.DataObject) -> None:
    events = program.events
    guard = OrderGuard("resp_1")
    for number, event in enumerate(events):
        assert event.sequence_number == number
        assert decode(encode(event)) == event
        # What came after it has not changed it.
        assert encode_event(event) == program.frames[number]
        guard.check(event)
    assert guard.finished
    _folds(events, b"".join(program.frames) + DONE, data)


def _folds(events: list[ResponseStreamEvent], wire: bytes, data: st.DataObject) -> None:
    terminal: Any = events[-1]
    if terminal.type == "error":
        return
    before = _fold_and_compare(events[:-1])
    if isinstance(terminal, ResponseCompletedEvent | ResponseIncompleteEvent):
        assert before.response is not None
        assert before.response.output == terminal.response.output
    assert not before.ended
    assert accumulate(events) == terminal.response
    assert accumulate(as_dicts(events)) == terminal.response
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=4)))
    pieces = [wire[start:end] for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    assert accumulate(pieces) == terminal.response


def _fold_and_compare(events: list[ResponseStreamEvent]) -> Accumulator:
    """Fold *events*; before an item is done, what was folded of it is what the done item says."""
    reader = Accumulator()
    streamed: set[int] = set()
    for event in events:
        if event.type == "response.apply_patch_call_operation_diff.done":
            streamed.add(event.output_index)  # type: ignore[union-attr]
        if isinstance(event, ResponseOutputItemDoneEvent):
            assert reader.response is not None
            partial, done = to_builtins(reader.response.output[event.output_index]), to_builtins(event.item)
            kind = done["type"]
            later = {"status"} | TOLD_WHEN_DONE.get(kind, set())
            if kind == "apply_patch_call" and event.output_index not in streamed:
                later |= {"operation"}
            assert _without(partial, later) == _without(done, later)
        reader.feed(event)
    return reader


def _without(item: dict[str, Any], members: set[str]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name not in members}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(all_programs, max_examples=5000)
@given(programs())
def test_no_program_of_very_many_breaks_a_rule(program: Program) -> None:
    assert judge(as_dicts(program.events)) == []
    guard = OrderGuard("resp_1")
    for event in program.events:
        guard.check(event)
    assert guard.finished
