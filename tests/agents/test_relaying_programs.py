"""What a relay makes of any stream that can be written with the builders: the same, but for ids and numbers."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai._models import construct_type
from openai.types.responses import ResponseStreamEvent as OpenAIEvent

from responses_stream import ResponseEventStream, validate_events
from responses_stream.agents.relaying import UpstreamFailed, relay
from responses_stream.errors import OutOfOrder, ResponsesStreamError
from responses_stream.protocol.events import ResponseOutputItemAddedEvent, ResponseStreamEvent
from responses_stream.sse import DONE, encode_event
from responses_stream.validation.examples import stream_of

from ..builders.programs import Draw, Program, as_dicts, programs
from ..validation.damage import KINDS

OURS: Final = "resp_" + "a" * 50
PARTITION: Final = "a" * 18
BOUND: Final = ("reasoning", "compaction", "mcp_approval_request")
REQUEST: Final = {"model": "ours", "metadata": {"whose": "ours"}}

# Making a failing program small takes longer than running all the others.
pytestmark = pytest.mark.timeout(600)

some_programs = settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.too_slow])


@some_programs
@given(programs(), st.data())
def test_a_whole_stream_comes_through_in_every_form(program: Program, data: st.DataObject) -> None:
    events, plain = program.events, as_dicts(program.events)
    assert list(relay(events, ids="pinned")) == events
    assert list(relay([event | {"sequence_number": 0} for event in plain], ids="pinned")) == events
    assert list(relay(list(cut(b"".join(program.frames) + DONE, data)), ids="pinned")) == events
    said: list[Any] = [construct_type(value=event, type_=OpenAIEvent) for event in plain]
    assert list(relay(said, ids="pinned")) == events


@some_programs
@given(programs())
def test_with_ids_of_ours_they_are_the_same_wherever_they_stand(program: Program) -> None:
    events = program.events
    told = list(relay(events, response_id=OURS))
    assert rules_broken(told) == rules_broken(events)
    theirs, ours = ids_of(events), ids_of(told)
    assert all(mine == its or f"_{PARTITION}" in mine for mine, its in zip(ours, theirs, strict=True))
    assert [mine for mine, its in zip(ours, theirs, strict=True) if mine == its] == bound_ids_of(events)
    assert len(set(ours)) == len(ours)
    back = dict(zip([*ours, OURS], [*theirs, "resp_1"], strict=True))
    assert [renamed(event, back) for event in as_dicts(told)] == as_dicts(events)


@some_programs
@given(programs())
def test_between_items_of_our_own(program: Program) -> None:
    events = program.events
    stream = ResponseEventStream(OURS, REQUEST)
    told: list[ResponseStreamEvent] = [stream.emit_created(), stream.emit_in_progress()]
    told += stream.output_item_message("before", item_id="item_1")
    relayed = relay(as_dicts(events), stream=stream)
    inside = len(told)
    try:
        told += relayed
    except UpstreamFailed:
        assert relayed.status in ("failed", "cancelled")
        told.append(stream.emit_failed())
    else:
        assert relayed.status == events[-1].type.removeprefix("response.")
        if relayed.status == "incomplete":
            told.append(stream.emit_incomplete(usage=relayed.usage))
        else:
            told += stream.output_item_message("after")
            told.append(stream.emit_completed(usage=relayed.usage))
        ours, theirs = (as_dicts(said)[-1]["response"] for said in (told, events))
        assert ours["usage"] == theirs["usage"]
        assert without_ids(ours["output"][1 : len(theirs["output"]) + 1]) == without_ids(theirs["output"])
    assert set(rules_broken(told)) <= set(rules_broken(events))
    kept = {*bound_ids_of(events)} - {"item_1"}
    assert all(f"_{PARTITION}" in item_id for item_id in ids_of(told)[1:] if item_id not in kept)
    assert kept <= {*ids_of(told)}
    for event in as_dicts(told)[inside:]:
        assert event.get("output_index") != 0, "the place of our own item"


@some_programs
@given(programs())
def test_into_a_stream_that_has_said_nothing_yet(program: Program) -> None:
    events = program.events
    stream = ResponseEventStream(OURS, REQUEST)
    told = list(relay(events, stream=stream, ids="pinned"))
    assert [event.type for event in told] == [event.type for event in events]
    assert set(rules_broken(told)) <= set(rules_broken(events))
    for ours, theirs in zip(as_dicts(told), as_dicts(events), strict=True):
        if "response" not in ours:
            assert ours == theirs
            continue
        assert (ours["response"]["id"], ours["response"]["metadata"]) == (OURS, REQUEST["metadata"])
        members = ("status", "output", "usage", "error", "incomplete_details")
        assert [ours["response"][member] for member in members] == [theirs["response"][member] for member in members]


@st.composite
def short_programs(draw: Draw) -> Program:
    """Streams of a few items that mostly come to a good end."""
    program = Program(draw, ResponseEventStream("resp_1", clock=lambda: 1767225600.0))
    program.begin()
    for _ in range(draw(st.integers(0, 12))):
        program.step()
    program.finish_items()
    program.call(program.stream.emit_completed, None)
    program.end()
    return program


@settings(some_programs, max_examples=6)
@given(short_programs(), short_programs(), st.data())
def test_two_upstreams_at_once(one: Program, other: Program, data: st.DataObject) -> None:
    # Two models may give their calls the same names; into one response only one of them may.
    renaming = json.loads(re.sub(r'"call_(\d+)"', r'"their_call_\1"', json.dumps(as_dicts(other.events))))
    stream = ResponseEventStream(OURS, REQUEST)
    told: list[ResponseStreamEvent] = [stream.emit_created(), stream.emit_in_progress()]
    relays = [relay(one.events, stream=stream), relay(renaming, stream=stream)]
    left = list(relays)
    try:
        while left:
            chosen = left[data.draw(st.integers(0, len(left) - 1))]
            event = next(iter(chosen), None)
            if event is None:
                left.remove(chosen)
            else:
                told.append(event)
    except UpstreamFailed:
        told.append(stream.emit_failed())
    except OutOfOrder as error:
        # An item that is cut short is the last one.
        if "R059" not in error.reason:
            raise
        told.append(stream.emit_failed())
    else:
        cut_short = any(relayed.status == "incomplete" for relayed in relays)
        told.append(stream.emit_incomplete() if cut_short else stream.emit_completed())
        output = without_ids(as_dicts(told)[-1]["response"]["output"])
        theirs = [*as_dicts(one.events)[-1]["response"]["output"], *renaming[-1]["response"]["output"]]
        for item in without_ids(theirs):
            output.remove(item)
        assert output == []
    # R084, R087: items are open at once. R088: they were when the response failed.
    assert set(rules_broken(told)) <= {"R084", "R087", "R088", *rules_broken(one.events), *rules_broken(other.events)}


@settings(some_programs, max_examples=40)
@given(st.data())
def test_damage_is_refused_or_passed_on_and_breaks_no_relay(data: st.DataObject) -> None:
    """Whatever an upstream does, what is raised says what happened, and our stream can still be ended."""
    base = stream_of(f"V{data.draw(st.integers(1, 15))}")
    kind = data.draw(st.sampled_from(sorted(KINDS)))
    damages = list(KINDS[kind](base))
    if damages:
        base = data.draw(st.sampled_from(damages)).done_to(base)
    with contextlib.suppress(ResponsesStreamError):
        for event in relay(base, response_id=OURS):
            encode_event(event)
    stream = ResponseEventStream(OURS, REQUEST)
    told: list[ResponseStreamEvent] = [stream.emit_created(), stream.emit_in_progress()]
    with contextlib.suppress(ResponsesStreamError):
        told.extend(relay(base, stream=stream))
    told.append(stream.emit_failed())
    numbers = [json.loads(encode_event(event).split(b"data: ", 1)[1])["sequence_number"] for event in told]
    assert numbers == list(range(len(told)))


def cut(body: bytes, data: st.DataObject) -> Iterator[bytes]:
    """Cut a body where the test's data wants it."""
    places = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    for start, end in zip([0, *places], [*places, len(body)], strict=True):
        yield body[start:end]


def ids_of(events: list[ResponseStreamEvent]) -> list[str]:
    """Return the ids of the items, in the order in which they begin."""
    added = [event for event in events if isinstance(event, ResponseOutputItemAddedEvent)]
    return [str(event.item.id) for event in added]


def bound_ids_of(events: list[ResponseStreamEvent]) -> list[str]:
    """Return the ids that the upstream has to get back as they were."""
    added = [event for event in events if isinstance(event, ResponseOutputItemAddedEvent)]
    return [str(event.item.id) for event in added if event.item.type in BOUND]


def rules_broken(events: list[ResponseStreamEvent]) -> list[str]:
    return [violation.rule for violation in validate_events(events, "strict").violations]


def renamed(value: Any, names: dict[str, str]) -> Any:
    """Return plain data with the strings in *names* replaced; none of our ids is like any other text."""
    if isinstance(value, dict):
        return {key: renamed(held, names) for key, held in value.items()}
    if isinstance(value, list):
        return [renamed(held, names) for held in value]
    return names.get(value, value) if isinstance(value, str) else value


def without_ids(items: list[Any]) -> list[Any]:
    return [{name: member for name, member in item.items() if name != "id"} for item in items]
