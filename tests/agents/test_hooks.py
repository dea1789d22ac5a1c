"""What runs around a turn, and what it may replace (H21.22, H21.35)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import anyio
import attrs
import pytest

from responses_stream import InvalidType, InvalidValue, ResponseObject, accumulate, validate_events
from responses_stream.agents.contents import Incomplete, Reasoning, Result, Said, Text, Update, Usage
from responses_stream.agents.handler import agent_handler
from responses_stream.agents.hooks import DROPPED, Hooks, text_of
from responses_stream.agents.isolation import current_turn
from responses_stream.agents.reading_input import run_input
from responses_stream.agents.turn import SessionAnchor, Turn
from responses_stream.protocol.conversions import get_input_text
from responses_stream.protocol.events import ResponseTextDeltaEvent
from responses_stream.protocol.items import ResponseOutputMessage
from responses_stream.protocol.parts import ResponseOutputText

pytestmark = pytest.mark.anyio


async def agent(turn: Turn) -> AsyncGenerator[Said, None]:
    yield Update(["You say: "], model="parrot-2")
    yield get_input_text(turn.run.messages)
    yield Usage(input_tokens=1, output_tokens=2)


async def played(hooks: Hooks, agent: Any = agent, **body: object) -> tuple[ResponseObject, list[str]]:
    """Return the response, and the pieces in which its text came."""
    handler = agent_handler(agent, hooks=hooks)
    events = [event async for event in handler.respond({"model": "m", "input": "hi", "stream": True, **body})]
    report = validate_events(events, profile="strict")
    assert report.ok
    assert not report.violations
    return accumulate(events), [event.delta for event in events if isinstance(event, ResponseTextDeltaEvent)]


def text(response: ResponseObject) -> str:
    return text_of(Result(response.output))


async def test_without_hooks() -> None:
    response, pieces = await played(Hooks())
    assert (text(response), pieces, response.status) == ("You say: hi", ["You say: ", "hi"], "completed")


@pytest.mark.parametrize("form", ["sync", "async", "turn", "none"])
async def test_before_run_may_replace_what_is_asked(form: str) -> None:
    def replace(turn: Turn) -> Any:
        assert current_turn() is not None
        other = attrs.evolve(turn.run, messages=run_input({"input": "bye"}).messages)
        if form == "turn":
            return attrs.evolve(turn, run=other)
        return None if form == "none" else other

    async def replace_later(turn: Turn) -> Any:
        await anyio.lowlevel.checkpoint()
        return replace(turn)

    response, _ = await played(Hooks(before_run=replace_later if form == "async" else replace))
    assert text(response) == ("You say: hi" if form == "none" else "You say: bye")


async def test_before_run_may_not_return_anything_else(caplog: pytest.LogCaptureFixture) -> None:
    response, _ = await played(Hooks(before_run=lambda _: "x"))  # type: ignore[arg-type,return-value]
    assert response.status == "failed"
    assert "before_run" in caplog.text


async def test_on_update_may_replace_and_drop() -> None:
    async def loud(update: Said, turn: Turn) -> Said | None:
        assert turn.response_id
        if isinstance(update, Usage):
            return DROPPED
        return update.upper() if isinstance(update, str) else None

    response, pieces = await played(Hooks(on_update=loud))
    assert pieces == ["You say: ", "HI"]
    assert response.usage is None


async def test_after_result_sees_all_and_may_leave_it() -> None:
    seen: list[Result] = []

    def look(result: Result, _turn: Turn) -> None:
        seen.append(result)

    _, pieces = await played(Hooks(after_result=look))
    assert pieces == ["You say: ", "hi"]
    assert seen == [Result((Update(["You say: "], "parrot-2"), "hi", Usage(1, 2)), "parrot-2")]


async def test_after_result_may_add_to_what_was_said() -> None:
    def sign(result: Result, _turn: Turn) -> Result:
        return Result([*result.said, Text(" (AI)")])

    response, pieces = await played(Hooks(after_result=sign))
    assert (text(response), pieces) == ("You say: hi (AI)", ["You say: ", "hi", " (AI)"])


async def test_what_was_said_cannot_be_taken_back(caplog: pytest.LogCaptureFixture) -> None:
    response, pieces = await played(Hooks(after_result=lambda _result, _turn: Result(["no"])))
    assert (response.status, pieces) == ("failed", ["You say: ", "hi"])
    assert "hold_back" in caplog.text


@pytest.mark.parametrize("stream", [True, False])
async def test_what_was_held_back_can(stream: bool) -> None:
    async def redact(result: Result, _turn: Turn) -> Result:
        await anyio.lowlevel.checkpoint()
        return Result(["X" * len(text_of(result))], model="censor")

    response, pieces = await played(Hooks(after_result=redact, hold_back=True), stream=stream)
    assert (text(response), pieces) == ("X" * 11, ["X" * 11])
    response, pieces = await played(Hooks(after_result=lambda *_: None, hold_back=True), stream=stream)
    assert pieces == ["You say: ", "hi"]


async def test_after_result_may_not_return_anything_else(caplog: pytest.LogCaptureFixture) -> None:
    response, _ = await played(Hooks(after_result=lambda *_: "x"))  # type: ignore[arg-type]
    assert response.status == "failed"
    assert "after_result" in caplog.text


async def test_an_agent_that_stops_early_has_not_broken_off() -> None:
    told: list[Result] = []

    async def short(_turn: Turn) -> AsyncIterator[Said]:
        yield "Hel"
        yield Incomplete()

    response, _ = await played(Hooks(on_break=lambda result, _: told.append(result)), short)
    assert (response.status, told) == ("incomplete", [])


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_on_break_gets_what_was_said_and_may_leave_it_for_the_next_turn(kind: str) -> None:
    """H21.20: the history has the partial answer."""

    async def breaking(turn: Turn) -> AsyncIterator[Said]:
        turn.session = messages = turn.session or []
        messages.append(["user", "hi"])
        yield Reasoning("hm")
        yield "Hel"
        yield Update([Text("lo")])
        raise ConnectionError("a secret")

    def keep(result: Result, turn: Turn) -> None:
        assert current_turn() is not None
        turn.session.append(["assistant", text_of(result)])

    async def keep_later(result: Result, turn: Turn) -> None:
        await anyio.lowlevel.checkpoint()
        keep(result, turn)

    handler = agent_handler(breaking, hooks=Hooks(on_break=keep if kind == "sync" else keep_later))
    events = [event async for event in handler.respond({"input": "hi"}, response_id="resp_1")]
    assert accumulate(events).status == "failed"
    async with handler.sessions.turn(SessionAnchor("resp_1", "snapshot"), "resp_2") as session:
        assert session.state == [["user", "hi"], ["assistant", "Hello"]]


async def test_an_on_break_that_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def breaking(_turn: Turn) -> AsyncIterator[Said]:
        yield "Hel"
        raise ConnectionError

    def fail(_result: Result, _turn: Turn) -> None:
        raise LookupError

    response, _ = await played(Hooks(on_break=fail), breaking)
    assert response.status == "failed"
    assert "on_break" in caplog.text


def test_hooks_are_functions() -> None:
    with pytest.raises(InvalidType, match="on_update"):
        Hooks(on_update="x")  # type: ignore[arg-type]
    with pytest.raises(InvalidValue, match="hold_back"):
        Hooks(hold_back=True)


def test_the_text_of_a_result() -> None:
    message = ResponseOutputMessage(
        id="msg_1", status="completed", role="assistant", content=[ResponseOutputText(text="c", annotations=[])]
    )
    assert text_of(Result(["a", Reasoning("no"), Update([Text("b"), {"type": "x"}]), message])) == "abc"
    at_once = [Update(["Roses "], speaker="a"), Update(["Violets."], speaker="b"), Update(["are red. "], speaker="a")]
    assert text_of(Result(at_once)) == "Roses are red. Violets."
