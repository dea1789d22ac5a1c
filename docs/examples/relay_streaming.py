"""Sample 10 (H19.10): a streaming upstream behind a response of our own: our items first, then its items as they come.

    responses-stream serve docs/examples/relay_streaming.py
    UPSTREAM_BASE_URL=https://api.openai.com/v1 UPSTREAM_MODEL=... OPENAI_API_KEY=... responses-stream serve ...

Without an upstream in the environment, a canned one answers. Any server that speaks Responses can be one.
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import aclosing

import openai

from responses_stream import (
    AsyncYield,
    CreateResponse,
    ResponseContext,
    ResponseEventStream,
    ResponsesServer,
    ResponsesServerOptions,
    flatten,
)
from responses_stream.agents import Upstream, UpstreamFailed, relay

server = ResponsesServer(options=ResponsesServerOptions(default_model="relay"))

log = logging.getLogger("relay")


async def answer(_: CreateResponse, context: ResponseContext) -> AsyncIterator[AsyncYield]:
    stream = context.stream()
    yield stream.emit_created()
    yield stream.emit_in_progress()
    yield stream.output_item_reasoning("I ask somebody who knows.")
    # The items of the upstream get ids, numbers and places of ours; what is in them is not touched. When our client
    # leaves, the request to the upstream is closed.
    async with aclosing(relay(upstream(await context.get_input_text()), stream=stream)) as relayed:
        try:
            async for event in relayed:
                yield event
        except UpstreamFailed:
            log.exception("the upstream has failed")
            yield stream.emit_failed("upstream_failed", "The model behind this server has failed.")
            return
        if relayed.status == "incomplete":
            yield stream.emit_incomplete(usage=relayed.usage)
        else:
            yield stream.emit_completed(usage=relayed.usage)


# Nothing here looks at the cancellation signal: a grace would only make `POST /responses/{id}/cancel` wait.
answer.cancelled_at_once = True  # type: ignore[attr-defined]  # a function may have any attribute
server.response_handler(answer)


def upstream(question: str) -> AsyncIterable[Upstream]:
    """Return the events of the upstream: objects of the `openai` package, dicts, or bytes of SSE would all do."""
    base_url = os.environ.get("UPSTREAM_BASE_URL")
    return flatten(canned(question)) if base_url is None else asked(base_url, question)


async def asked(base_url: str, question: str) -> AsyncIterator[Upstream]:
    model = os.environ.get("UPSTREAM_MODEL", "tutor")
    async with (
        openai.AsyncOpenAI(base_url=base_url) as client,
        await client.responses.create(model=model, input=question, stream=True) as events,
    ):
        async for event in events:
            yield event


async def canned(question: str) -> AsyncIterator[AsyncYield]:
    """Stands for an upstream."""
    stream = ResponseEventStream("resp_upstream", {"model": "upstream", "input": question})
    yield stream.emit_created()
    yield stream.emit_in_progress()
    yield stream.output_item_message(["You asked: ", question], item_id="msg_upstream")
    yield stream.emit_completed(usage={"input_tokens": 4, "output_tokens": 6, "total_tokens": 10})
