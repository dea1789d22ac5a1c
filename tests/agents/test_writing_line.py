"""Several that speak at the same time: whole messages, one on the wire, the others in line behind it."""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from responses_stream import ResponseEventStream, ResponseObject, accumulate, validate_events
from responses_stream.agents.contents import (
    FunctionCall,
    Incomplete,
    Reasoning,
    Refusal,
    Result,
    Said,
    Text,
    ToolCall,
    ToolResult,
    Update,
    Usage,
)
from responses_stream.agents.rendering import render, render_stream, said_on
from responses_stream.errors import InvalidType
from responses_stream.protocol.codec import to_builtins
from responses_stream.protocol.events import ResponseStreamEvent
from tests.agents.speeches import Draw, anything

LOGGER: Final = "responses_stream"


def by(speaker: str | None, *contents: Any, ends: bool = False) -> Update:
    return Update(contents, speaker=speaker, ends=ends)


def heard(said: Iterable[Said], status: str = "completed") -> ResponseObject:
    """Return the response of what is said, to whose stream the strict profile has no objection."""
    events = list(render_stream(said, response_id="resp_1"))
    report = validate_events([to_builtins(event) for event in events], profile="strict")
    assert not report.violations, report
    response = accumulate(events)
    assert response.status == status
    return response


def told(item: Any) -> tuple[str, str]:
    """Return what kind of item it is, and what it says."""
    match to_builtins(item):
        case {"type": "message", "content": content}:
            return "message", "".join(part.get("text") or part.get("refusal") for part in content)
        case {"type": "reasoning", "summary": summary, **others}:
            return "reasoning", "".join(part["text"] for part in [*(others.get("content") or ()), *summary])
        case {"type": "mcp_call", "arguments": arguments, "output": output}:
            return "mcp_call", f"{arguments} {output}"
        case {"type": kind, "arguments": arguments}:
            return kind, arguments
        case other:
            raise AssertionError(other)


def items_of(*said: Said) -> list[tuple[str, str]]:
    return [told(item) for item in heard(said).output]


def deltas(said: Iterable[Said]) -> Iterator[str]:
    """Say what is said, and yield each delta when it comes."""
    for event in said_on(ResponseEventStream("resp_1"), said, model="m"):
        if isinstance(delta := getattr(event, "delta", None), str):
            yield delta


class TestSpeakers:
    def test_each_is_heard_in_whole_messages(self) -> None:
        said = by("a", "A0 "), by("b", "B0 "), by("a", "A1 "), by("b", "B1 "), by("a", "A2"), by("b", "B2")
        assert items_of(*said) == [("message", "A0 A1 A2"), ("message", "B0 B1 B2")]

    def test_who_began_first_is_heard_live_and_the_others_when_it_has_ended(self) -> None:
        said = [by("a", "A0"), by("b", "B0"), by("a", "A1"), by("b", "B1"), by("a", ends=True), by("b", "B2")]
        asked: list[int] = []

        def speaking() -> Iterator[Said]:
            for number, each in enumerate(said):
                asked.append(number)
                yield each

        told = [(delta, asked[-1]) for delta in deltas(speaking())]
        assert told == [("A0", 0), ("A1", 2), ("B0", 4), ("B1", 4), ("B2", 5)]

    def test_what_a_speaker_says_next_ends_what_it_was_saying(self) -> None:
        said = [by("a", "A0"), by("b", "B0"), by("a", ToolCall("t", "look", "{}")), by("b", "B1")]
        assert list(deltas(said[:2])) == ["A0", "B0"]
        assert items_of(*said, by(None, ToolResult("t", "sun")), by("a", "A1"), by("b", "B2")) == [
            *(("message", "A0"), ("message", "B0B1B2"), ("mcp_call", "{} sun"), ("message", "A1")),
        ]

    def test_thoughts_and_text_of_each_are_told_apart(self) -> None:
        said = [by("a", Reasoning("ta")), by("b", Reasoning("tb")), by("a", Reasoning("ta2")), by("a", "A0")]
        assert items_of(*said, by("b", Reasoning("tb2")), by("b", "B0"), by("a", "A1")) == [
            *(("reasoning", "tata2"), ("reasoning", "tbtb2"), ("message", "A0A1"), ("message", "B0")),
        ]

    def test_calls_of_the_client_go_on_while_another_speaks(self) -> None:
        said = [by("a", FunctionCall("f", "look", "{")), by("b", "B0"), by("a", FunctionCall("f", arguments="}"))]
        assert items_of(*said, by("b", "B1")) == [("function_call", "{}"), ("message", "B0B1")]

    def test_a_speaker_that_has_ended_may_go_on_with_something_else(self) -> None:
        said = [by("a", "A0", ends=True), by("a", "A1"), by("a", ends=True), by("a", ends=True), by("b", "B")]
        assert items_of(*said) == [("message", "A0"), ("message", "A1"), ("message", "B")]

    def test_ids_are_those_of_the_speaker(self) -> None:
        said = [by("a", Text("A0", message_id="1")), by("b", Text("B0", message_id="1"))]
        more = [by("a", Text("A1", message_id="2")), by("b", Text("B1", message_id="1"), Refusal("no"))]
        assert items_of(*said, *more) == [("message", "A0"), ("message", "B0B1no"), ("message", "A1")]

    def test_what_is_announced_is_for_its_speaker(self) -> None:
        said = [by("a", Text("", phase="commentary")), by("b", Text("B")), by("a", "A")]
        assert [to_builtins(item).get("phase") for item in heard(said).output] == [None, "commentary"]

    def test_the_agent_as_a_whole_is_interrupted_by_anybody(self) -> None:
        said: list[Said] = ["x", by("a", "A0"), "y", by("b", "B0"), by("a", "A1"), "z", Usage(1, 1), "!"]
        assert [text for _, text in items_of(*said)] == ["x", "A0A1", "y", "B0", "z!"]
        assert list(deltas(["x", by("a", "A0", ends=True), "y"])) == ["x", "A0", "y"]

    def test_the_agent_as_a_whole_may_say_that_it_has_ended(self) -> None:
        assert [text for _, text in items_of("x", by(None, ends=True), "y")] == ["x", "y"]

    def test_nobody_is_lost_where_the_agent_has_to_stop(self) -> None:
        said: list[Said] = [by("a", "A0"), by("b", "B0"), by("a", "A1"), Incomplete("content_filter")]
        response = heard([*said, by("a", ends=True)], "incomplete")
        assert [told(item) for item in response.output] == [("message", "A0A1"), ("message", "B0")]
        assert [to_builtins(item)["status"] for item in response.output] == ["completed", "incomplete"]

    def test_what_is_whole_comes_before_a_call_that_broke_off(self) -> None:
        def breaking() -> Iterator[Said]:
            yield from (by("a", "A0"), by("b", FunctionCall("f", "look", '{"x')), by("c", "C0"), by("a", "A1"))
            raise RuntimeError("broken")

        response = heard(breaking(), "failed")
        assert [told(item) for item in response.output] == [
            *(("message", "A0A1"), ("message", "C0"), ("function_call", '{"x')),
        ]

    def test_the_latest_form_of_an_item_is_where_its_first_was(self) -> None:
        first, last = ({"type": "acme:thing", "id": "at_1", "n": n} for n in range(2))
        said = [by("a", "A0"), by("b", "B0", first, ends=True), by("a", "A1", last), by("b", "B1")]
        *texts, thing, _ = render(Result(said), response_id="resp_1").output
        assert [told(item) for item in texts] == [("message", "A0A1"), ("message", "B0")]
        assert to_builtins(thing)["n"] == 1

    def test_a_speaker_has_a_name(self) -> None:
        speaker: Any = 3
        with pytest.raises(InvalidType, match="speaker"):
            render([by(speaker, "x")], response_id="r")


class TestMessagesWithoutSpeakers:
    """Nobody knows whether a message goes on when the next one begins, and so the next one ends it, and is live."""

    def test_each_is_live(self) -> None:
        said = [Text(f"{key}{number}", message_id=key) for key in "ab" for number in range(2)]
        assert_live(said)

    def test_one_that_comes_again_is_cut_and_the_log_tells_once_what_to_do(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        said = [Text(f"{key}{number}", message_id=key) for number in range(3) for key in "ab"]
        with caplog.at_level(logging.WARNING, LOGGER):
            assert [text for _, text in items_of(*said)] == ["a0", "b0", "a1", "b1", "a2", "b2"]
        (record,) = caplog.records
        assert record.getMessage() == (
            "resp_1: the message 'a' goes on behind another, and is cut; "
            "where several speak at the same time, say who with Update(speaker=...)"
        )

    def test_one_that_something_else_has_ended_may_come_again(self, caplog: pytest.LogCaptureFixture) -> None:
        said: list[Said] = [Text("a", message_id="1"), Reasoning("hm"), Text("b", message_id="1")]
        with caplog.at_level(logging.WARNING, LOGGER):
            assert items_of(*said) == [("message", "a"), ("reasoning", "hm"), ("message", "b")]
        assert not caplog.records


# Any number of speakers, in turns of any kind.

_PIECES: Final = st.lists(st.text("xyz{ ", min_size=1, max_size=3), min_size=1, max_size=4)


@attrs.frozen(eq=False)
class Unit:
    """One item, as its speaker says it, and as it is to be told."""

    said: list[Any]
    kind: str
    text: str


@st.composite
def units(draw: Draw) -> list[Unit]:
    """What one speaker says, one after the other."""
    made: list[Unit] = []
    for _ in range(draw(st.integers(1, 4))):
        key, pieces = f"{draw(st.uuids())}", draw(_PIECES)
        match draw(st.sampled_from(["message", "reasoning", "summary", "mcp_call", "function_call"])):
            case "message":
                said: list[Any] = [Text(piece, message_id=key) for piece in pieces]
                made.append(Unit(said, "message", "".join(pieces)))
            case "mcp_call":
                arguments, output = json.dumps(pieces), draw(st.sampled_from(["sun", "rain"]))
                said = [ToolCall(key, "look", arguments[:2]), ToolCall(key, arguments=arguments[2:])]
                made.append(Unit([*said, ToolResult(key, output)], "mcp_call", f"{arguments} {output}"))
            case "function_call":
                arguments = json.dumps({"x": pieces})
                said = [FunctionCall(key, "ask", arguments[:4]), FunctionCall(key, arguments=arguments[4:])]
                made.append(Unit(said, "function_call", arguments))
            case kind:
                summary = kind == "summary"
                said = [Reasoning(piece, summary=summary, reasoning_id=key) for piece in pieces]
                made.append(Unit(said, "reasoning", "".join(pieces)))
    return made


@attrs.frozen
class Turns:
    """What is said, in turns, and what is to be told of it, in order."""

    said: list[Update]
    told: list[tuple[str, str]]


@st.composite
def turns(draw: Draw) -> Turns:
    """Any interleaving of what some speakers say; those that end may say so."""
    threads = draw(st.lists(units(), min_size=1, max_size=4))
    waiting = {
        str(key): [(unit, piece) for unit in thread for piece in unit.said] for key, thread in enumerate(threads)
    }
    said: list[Update] = []
    begun: list[Unit] = []
    while waiting:
        speaker = draw(st.sampled_from(sorted(waiting)))
        several = waiting[speaker][: draw(st.integers(1, 3))]
        del waiting[speaker][: len(several)]
        for unit, _ in several:
            if unit not in begun:
                begun.append(unit)
        ends = not waiting[speaker] and draw(st.booleans())
        said.append(by(speaker, *(piece for _, piece in several), ends=ends))
        if not waiting[speaker]:
            del waiting[speaker]
    return Turns(said, [(unit.kind, unit.text) for unit in begun])


@settings(deadline=None, max_examples=150)
@given(turns())
def test_whatever_the_turns_each_item_is_whole_and_in_the_order_of_its_beginning(speech: Turns) -> None:
    assert items_of(*speech.said) == speech.told
    assert [told(item) for item in render(speech.said, response_id="resp_1").output] == speech.told


@settings(deadline=None, max_examples=60)
@given(turns(), st.integers(0, 99))
def test_whoever_was_speaking_when_the_agent_broke_off_is_heard(speech: Turns, after: int) -> None:
    # Nothing may come behind half a call of the client's, so that one that is on the wire silences the others.
    said = [
        attrs.evolve(each, contents=[one for one in each.contents if not isinstance(one, FunctionCall)])
        for each in speech.said[: after % (len(speech.said) + 1)]
    ]

    def breaking() -> Iterator[Said]:
        yield from said
        raise RuntimeError("broken")

    logging.disable()
    try:
        response = heard(breaking(), "failed")
    finally:
        logging.disable(logging.NOTSET)
    pieces = [piece for each in said for piece in each.contents]
    for kind, texts in (
        ("message", [piece.text for piece in pieces if isinstance(piece, Text)]),
        ("reasoning", [piece.text for piece in pieces if isinstance(piece, Reasoning)]),
    ):
        known = "".join(text for each, text in map(told, response.output) if each == kind)
        assert sorted(known) == sorted("".join(texts))


def assert_live(said: Sequence[Said]) -> None:
    """Check that each piece is on the wire before the next is asked for."""
    events: list[ResponseStreamEvent] = []

    def speaking() -> Iterator[Said]:
        so_far = ""
        for each in said:
            for piece in each.contents if isinstance(each, Update) else [each]:
                so_far += getattr(piece, "text", getattr(piece, "arguments", ""))
            yield each
            assert so_far == "".join(str(getattr(event, "delta", "")) for event in events)

    for event in said_on(ResponseEventStream("resp_1"), speaking(), model="m"):
        events.append(event)  # noqa: PERF402 - the speaker looks at them meanwhile
    assert events[-1].type == "response.completed"


@settings(deadline=None, max_examples=60)
@given(st.lists(units(), max_size=4), st.booleans())
def test_who_speaks_one_after_the_other_is_heard_live(threads: list[list[Unit]], named: bool) -> None:
    said: list[Said] = []
    for key, thread in enumerate(threads):
        pieces = list(itertools.chain.from_iterable(unit.said for unit in thread))
        for number, piece in enumerate(pieces):
            said.append(by(str(key), piece, ends=number == len(pieces) - 1) if named else piece)
    assert_live(said)


_SPEAKERS: Final = st.sampled_from([None, "a", "b"])


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(anything, _SPEAKERS, st.booleans()), max_size=8))
def test_nonsense_of_several_makes_a_stream_as_well(turns: list[tuple[Said, str | None, bool]]) -> None:
    said = [by(speaker, each, ends=ends) for each, speaker, ends in turns]
    logging.disable()
    try:
        events = list(render_stream(said, response_id="resp_1"))
    finally:
        logging.disable(logging.NOTSET)
    report = validate_events([to_builtins(event) for event in events], profile="strict")
    # Arguments that are no JSON, and answers to nothing, are the agent's own.
    assert not [broken for broken in report.violations if broken.rule not in ("R144", "R161")], report
