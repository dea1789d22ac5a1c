"""What mypy must accept of `relay` and `relay_response`, and what it must refuse."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, assert_type

import openai
from openai.types.responses import Response
from openai.types.responses import ResponseStreamEvent as OpenAIEvent

from responses_stream import AsyncYield, ResponseContext, ResponseEventStream, ResponseObject, encode_stream
from responses_stream.agents.relaying import AsyncRelayed, Relayed, Upstream, relay, relay_response
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.protocol.response import ResponseUsage


def sync(
    dicts: list[dict[str, Any]],
    events: Iterator[ResponseStreamEvent],
    chunks: Iterator[bytes],
    objects: openai.Stream[OpenAIEvent],
    stream: ResponseEventStream,
) -> None:
    relayed = relay(dicts, response_id="resp_1")
    assert_type(relayed, Relayed)
    assert_type(relayed.usage, ResponseUsage | None)
    assert_type(relayed.upstream, ResponseObject | None)
    assert_type(relayed.status, str | None)
    assert_type(relay(events, stream=stream), Relayed)
    assert_type(relay(chunks, ids="pinned"), Relayed)
    assert_type(relay(objects), Relayed)
    assert_type(relay(b"data: ..."), Relayed)
    assert_type(list(relayed), list[ResponseStreamEvent])
    stream.emit_completed(usage=relayed.usage)
    encode_stream(relayed)
    relay(3)  # type: ignore[call-overload]
    relay(dicts, ids="theirs")  # type: ignore[call-overload]
    relay([3])  # type: ignore[list-item]


async def later(
    chunks: AsyncIterator[bytes], client: openai.AsyncOpenAI, context: ResponseContext
) -> AsyncIterator[AsyncYield]:
    objects = await client.responses.create(model="m", input="Hi", stream=True)
    relayed = relay(objects, stream=context.stream())
    assert_type(relayed, AsyncRelayed)
    yield relayed
    yield relay(chunks, repair=True)
    for _ in relayed:  # type: ignore[attr-defined]
        pass


def whole(response: Response, plain: dict[str, Any], typed: ResponseObject, stream: ResponseEventStream) -> None:
    assert_type(relay_response(response, stream), Relayed)
    assert_type(relay_response(plain, stream, ids="pinned"), Relayed)
    assert_type(relay_response(typed, stream), Relayed)
    relay_response("resp_1", stream)  # type: ignore[arg-type]
    relay_response(plain)  # type: ignore[call-arg]


async def made_here(events: AsyncIterator[Upstream]) -> AsyncRelayed:
    return relay(events)
