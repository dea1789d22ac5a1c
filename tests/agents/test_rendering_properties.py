"""`render_stream` and `render`: whatever an agent says, and wherever it breaks off, the stream is whole and says it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from responses_stream import AsyncEvents, Events, ResponseEventStream, ResponseObject, accumulate, validate_events
from responses_stream.agents.contents import FunctionCall, Incomplete, Said, ToolCall
from responses_stream.agents.rendering import ToolCalls, render, render_stream, said_on
from responses_stream.errors import InvalidType, InvalidValue, OutOfOrder
from responses_stream.protocol.codec import to_builtins
from responses_stream.protocol.events import ResponseStreamEvent
from tests.agents.speeches import Speech, Told, anything, speeches, told_by, told_in

_TOOL_CALLS: Final = st.sampled_from(["hosted", "function", "hidden"])


def judged(events: Sequence[ResponseStreamEvent], status: str) -> ResponseObject:
    """Return what *events* make, when the strict profile has no objection to them whatever."""
    report = validate_events([to_builtins(event) for event in events], profile="strict")
    assert not report.violations, report
    response = accumulate(events)
    assert response.status == status
    return response


def expected(speech: Sequence[Any], tool_calls: ToolCalls) -> Told:
    """Return what has to be told of *speech*: arguments and results as clients read them."""
    said = told_by(speech)
    calls = dict(said.calls)
    custom = {piece.call_id for piece in speech if isinstance(piece, FunctionCall) and piece.custom}
    tools = said.tools
    if tool_calls == "function":
        for piece in speech:
            if isinstance(piece, ToolCall):
                calls[piece.call_id] = calls.get(piece.call_id, "") + piece.arguments
    if tool_calls != "hosted":
        tools = type(tools)()
    told = sorted((call_id, text or ("" if call_id in custom else "{}")) for call_id, text in calls.items())
    answered = type(tools)()
    for (arguments, output, error), count in tools.items():
        known = output is not None or error is not None
        answered[arguments, output, error if known else "?"] += count
    return Told(said.text, said.thoughts, said.summary, told, answered)


def comparable(told: Told) -> Told:
    """Return *told* without the difference between a call that was not answered and one that gave an empty answer."""
    tools = type(told.tools)()
    for (arguments, output, error), count in told.tools.items():
        tools[
            arguments, output, "?" if output is None and error in (None, "The call was not answered.") else error
        ] += count
    return Told(told.text, told.thoughts, told.summary, told.calls, tools)


def is_all_said(speech: Speech, tool_calls: ToolCalls) -> None:
    events = list(said_on(_stream(), speech.said, tool_calls=tool_calls))
    response = judged(events, "completed")
    assert comparable(told_in(response)) == comparable(expected(speech.pieces, tool_calls))
    # Neither does it matter whether the agent is waited for, nor whether anybody listens while it speaks.
    assert _waited_for(said_on(_stream(), _slowly(speech.said), tool_calls=tool_calls)) == events
    whole = render(speech.said, response_id="resp_1", tool_calls=tool_calls)
    assert _without_ids(whole) == _without_ids(response)


test_all_that_is_said_is_in_a_stream_to_which_nobody_objects = settings(deadline=None, max_examples=25)(
    given(speeches(), _TOOL_CALLS)(is_all_said)
)
test_so_it_is_with_many_speeches = pytest.mark.slow(
    settings(deadline=None, max_examples=400)(given(speeches(), _TOOL_CALLS)(is_all_said))
)


@settings(deadline=None, max_examples=25)
@given(speeches(), _TOOL_CALLS, st.integers(0, 99))
def test_an_agent_that_breaks_off_leaves_what_it_has_said(speech: Speech, tool_calls: ToolCalls, after: int) -> None:
    said = speech.pieces[: after % (len(speech.pieces) + 1)]

    def breaking() -> Iterator[Said]:
        yield from said
        raise RuntimeError("a secret")

    logging.disable()
    try:
        events = list(render_stream(breaking(), response_id="resp_1", tool_calls=tool_calls))
    finally:
        logging.disable(logging.NOTSET)
    response = judged(events, "failed")
    told, known = told_in(response), told_by(said)
    assert (told.text, told.thoughts, told.summary) == (known.text, known.thoughts, known.summary)
    assert "secret" not in repr(events)


@settings(deadline=None, max_examples=25)
@given(speeches(), _TOOL_CALLS, st.integers(0, 99))
def test_an_agent_that_has_to_stop_leaves_what_it_has_said(speech: Speech, tool_calls: ToolCalls, after: int) -> None:
    said = speech.pieces[: after % (len(speech.pieces) + 1)]
    logging.disable()
    try:
        events = list(render_stream([*said, Incomplete("content_filter")], response_id="r", tool_calls=tool_calls))
    finally:
        logging.disable(logging.NOTSET)
    response = judged(events, "incomplete")
    assert told_in(response).text == told_by(said).text
    assert to_builtins(response)["incomplete_details"] == {"reason": "content_filter"}


@settings(deadline=None, max_examples=60)
@given(st.lists(anything, max_size=8), _TOOL_CALLS)
def test_nonsense_makes_a_stream_as_well(said: list[Said], tool_calls: ToolCalls) -> None:
    with contextlib.suppress(InvalidType, InvalidValue, OutOfOrder):  # what it says is wrong, and nothing else is
        list(said_on(_stream(), said, tool_calls=tool_calls))
    events = list(render_stream(said, response_id="resp_1", tool_calls=tool_calls))
    report = validate_events([to_builtins(event) for event in events], profile="strict")
    # Arguments that are no JSON, and answers to nothing, are the agent's own.
    assert not [broken for broken in report.violations if broken.rule not in ("R144", "R161")], report


@settings(deadline=None, max_examples=25)
@given(speeches(), st.integers(0, 30))
def test_whoever_reads_no_more_releases_the_agent(speech: Speech, count: int) -> None:
    closed: list[str] = []

    def speaking() -> Generator[Said, None, None]:
        try:
            yield from speech.said
        finally:
            closed.append("closed")

    source: Any = speaking()
    events = render_stream(source, response_id="resp_1", model="m")
    assert isinstance(events, Events)
    for _, _event in zip(range(count), events, strict=False):
        pass
    events.close()
    assert source.gi_frame is None
    assert len(closed) <= 1


def _stream() -> ResponseEventStream:
    numbers = iter(range(10_000))
    make_id: Callable[[str, str], str] = lambda kind, _: f"{kind}_{next(numbers)}"  # noqa: E731
    return ResponseEventStream("resp_1", clock=lambda: 1.0, make_item_id=make_id)


def _waited_for(events: AsyncEvents) -> list[ResponseStreamEvent]:
    """Return all of *events*; what they come from does not wait for anything, so that no event loop is needed."""

    async def listen() -> list[ResponseStreamEvent]:
        return [event async for event in events]

    with pytest.raises(StopIteration) as ended:
        listen().send(None)
    taken: list[ResponseStreamEvent] = ended.value.value
    return taken


async def _slowly(said: Sequence[Said]) -> AsyncIterator[Said]:
    for each in said:
        yield each


def _without_ids(response: ResponseObject) -> dict[str, Any]:
    data = to_builtins(response)
    for item in data["output"]:
        item.pop("id")
    del data["created_at"], data["completed_at"]
    return data
