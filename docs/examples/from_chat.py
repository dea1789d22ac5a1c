"""Sample 24: a model server that speaks Chat Completions only, behind Responses.

    responses-stream serve docs/examples/from_chat.py
    UPSTREAM_BASE_URL=http://127.0.0.1:8000/v1 UPSTREAM_MODEL=... OPENAI_API_KEY=- responses-stream serve ...

Without an upstream in the environment, canned chunks are translated. Text, refusals, tool calls, the thinking that many
such servers send in fields of their own, and the usage all come through.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Any

import openai

from responses_stream import (
    AsyncEvents,
    CreateResponse,
    Events,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
)
from responses_stream.agents import ChatChunk, from_chat_completions

server = ResponsesServer(options=ResponsesServerOptions(default_model="chat"))


@server.response_handler
async def answer(request: CreateResponse, context: ResponseContext) -> AsyncEvents | Events:
    chunks = upstream(await context.get_input_text())
    # Without `model=` the response names the upstream's.
    return from_chat_completions(chunks, response_id=context.response_id, request=request, model=str(request.model))


def upstream(question: str) -> AsyncIterable[ChatChunk] | Iterable[ChatChunk]:
    """Return the chunks of the upstream: objects of the `openai` package, dicts, or the bytes of its body all do."""
    base_url = os.environ.get("UPSTREAM_BASE_URL")
    return canned(question) if base_url is None else asked(base_url, question)


async def asked(base_url: str, question: str) -> AsyncIterator[ChatChunk]:
    async with (
        openai.AsyncOpenAI(base_url=base_url) as client,
        await client.chat.completions.create(
            model=os.environ.get("UPSTREAM_MODEL", "default"),
            messages=[{"role": "user", "content": question}],
            stream=True,
            stream_options={"include_usage": True},  # or many servers count nothing
        ) as chunks,
    ):
        async for chunk in chunks:
            yield chunk


def canned(question: str) -> list[dict[str, Any]]:
    """Stand for an upstream."""
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "reasoning_content": "A question."},
        {"content": "You asked: "},
        {"content": question},
        {},
    ]
    head = {"id": "chatcmpl_1", "object": "chat.completion.chunk", "created": 1767225600, "model": "upstream"}
    chunks: list[dict[str, Any]] = [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}]}
        for delta in deltas
    ]
    usage = {"prompt_tokens": 4, "completion_tokens": 6, "total_tokens": 10}
    return [*chunks, {**head, "choices": [], "usage": usage}]
