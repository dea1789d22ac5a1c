"""Agents for tests, servers of them, and what they are asked."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Final

import anyio
import attrs

from responses_stream import ResponsesServer, ResponsesServerOptions, validate_events
from responses_stream.agents.contents import Said
from responses_stream.agents.handler import AgentHandler
from responses_stream.agents.rendering import RunFailed
from responses_stream.agents.turn import SessionAnchor, Turn
from responses_stream.protocol.conversions import get_input_text

from ..hosting.asking import Answer, ask
from ..hosting.staging import id_of


async def counting(turn: Turn) -> AsyncGenerator[Said, None]:
    """An agent that knows how many turns it was asked, and nothing else."""
    turn.session = (turn.session or 0) + 1
    yield "Turn "
    yield str(turn.session)


def server_of(handler: AgentHandler, **options: Any) -> ResponsesServer:
    server = ResponsesServer(options=ResponsesServerOptions(**options))
    server.response_handler(handler)
    return server


async def asked(server: ResponsesServer, headers: dict[str, str] | None = None, **body: object) -> Answer:
    return await ask(server, {"model": "m", "input": "hi", **body}, headers=headers)


def text_in(answer: Answer) -> str:
    """Return the text of an answer, whose events are as they should be if it has any."""
    if not answer.headers["content-type"].startswith("text/event-stream"):
        response = answer.json
    else:
        report = validate_events(answer.body, profile="strict")
        assert report.ok
        assert not report.violations
        response = answer.events[-1]["response"]
    assert response["status"] == "completed", response
    return "".join(part["text"] for item in response["output"] for part in item["content"])


def id_in(answer: Answer) -> str:
    response = (
        answer.json if "text/event-stream" not in answer.headers["content-type"] else answer.events[0]["response"]
    )
    return str(response["id"])


@attrs.define(eq=False)
class Released:
    """An async iterable that is no generator, and has to be closed all the same."""

    left: list[Said]
    closed: bool = False

    def __aiter__(self) -> Released:
        return self

    async def __anext__(self) -> Said:
        await anyio.lowlevel.checkpoint()
        if not self.left:
            raise StopAsyncIteration
        return self.left.pop(0)

    async def aclose(self) -> None:
        self.closed = True


async def speaking(turn: Turn) -> AsyncGenerator[Said, None]:
    """An agent that keeps its messages, also that which broke off."""
    turn.session = messages = [*(turn.session or []), ["user", get_input_text(turn.run.messages)]]
    said = ""
    try:
        for piece in ("Hel", "lo"):
            said += piece
            yield piece
        if messages[-1][1] == "break":
            raise ConnectionError("a secret")
        if messages[-1][1] == "refuse":
            raise RunFailed("rate_limit_exceeded", "Ask later.")
        if messages[-1][1] == "wait":
            await anyio.sleep_forever()
    finally:
        messages.append(["assistant", said])


async def state_of(handler: AgentHandler, anchor: SessionAnchor) -> Any:
    async with handler.sessions.turn(anchor, id_of("x")) as session:
        return session.state


KEPT: Final = [["user", "wait"], ["assistant", "Hello"]]
