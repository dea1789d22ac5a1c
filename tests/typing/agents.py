"""What mypy must accept of `responses_stream.agents`, and what it must refuse."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import assert_type

from responses_stream import AsyncEvents, Events, ResponseEventStream, ResponseObject, accumulate
from responses_stream.agents.contents import Result, Said, Text, Update
from responses_stream.agents.reading_input import error_body, run_input
from responses_stream.agents.rendering import render, render_stream, said_on
from responses_stream.agents.turn import RunInput
from responses_stream.errors import DecodeError, InvalidValue


def reading(body: bytes, bad: InvalidValue | DecodeError) -> None:
    assert_type(run_input(body), RunInput)
    assert_type(run_input({"input": "Hi"}), RunInput)
    assert_type(error_body(bad), bytes)
    run_input(3)  # type: ignore[arg-type]
    error_body(KeyError())  # type: ignore[arg-type]


def now(said: Iterator[Said], stream: ResponseEventStream) -> None:
    assert_type(render_stream(said, response_id="resp_1"), Events)
    assert_type(render_stream(["Hi", Text("!"), Update(["?"])], response_id="resp_1", tool_calls="hidden"), Events)
    assert_type(said_on(stream, said), Events)
    assert_type(render("Hi", response_id="resp_1"), ResponseObject)
    assert_type(render(Result(["Hi"]), response_id="resp_1", model="m"), ResponseObject)
    assert_type(accumulate(render_stream(said, response_id="resp_1")), ResponseObject)
    render_stream(said)  # type: ignore[call-overload]
    render_stream([3], response_id="resp_1")  # type: ignore[list-item]
    render("Hi", response_id="resp_1", tool_calls="shouted")  # type: ignore[arg-type]


async def later(said: AsyncIterator[Said], stream: ResponseEventStream) -> None:
    assert_type(render_stream(said, response_id="resp_1"), AsyncEvents)
    assert_type(said_on(stream, said, model="m"), AsyncEvents)
    render(said, response_id="resp_1")  # type: ignore[arg-type]
