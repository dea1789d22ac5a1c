"""Sample 22 (H21.30): an agent on a route of your own, in FastAPI, with no server of ours.

    uvicorn --app-dir docs/examples agent_route:app
    curl -N http://127.0.0.1:8000/v1/responses -d '{"input": "Hi", "stream": true}'

In place of `greet` there may be the agent of a framework: what `bridge(agent)` returns has `respond` as well.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from responses_stream import DecodeError, InvalidType, InvalidValue, accumulate, encode_stream
from responses_stream.agents import Said, Turn, agent_handler, error_body, run_input
from responses_stream.protocol import encode
from responses_stream.protocol.conversions import get_input_text
from responses_stream.sse import SSE_HEADERS

app = FastAPI()


async def greet(turn: Turn) -> AsyncIterator[Said]:
    """The agent."""
    known = turn.session or []
    name = get_input_text(turn.run.messages)
    turn.session = [*known, name]
    yield f"Hello, {name}."
    if known:
        yield f" I know {' and '.join(known)} as well."


handler = agent_handler(greet)


@app.post("/v1/responses")
async def create(asked: Request) -> Response:
    body = await asked.body()
    try:
        run = run_input(body)
        events = handler.respond(body)
    except (DecodeError, InvalidType, InvalidValue) as error:
        return Response(error_body(error), 400, media_type="application/json")
    if run.stream:
        return StreamingResponse(encode_stream(events), headers=SSE_HEADERS)
    return Response(encode(await accumulate(events)), media_type="application/json")
