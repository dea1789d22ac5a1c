"""A server whose every byte is known before: its clock stands still, and its ids are counted.

What it answers depends on the text that it is asked: ``wait`` goes on until it is cancelled, ``fail`` breaks, ``call``
calls a function until it has an answer, ``report`` tells what is left over in its process, and all else is echoed.
"""

from __future__ import annotations

import functools
import gc
import itertools
import json
import os
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import anyio

from responses_stream import (
    CreateResponse,
    ResponseContext,
    ResponseEventStream,
    ResponsesServer,
    ResponsesServerOptions,
)
from responses_stream.builders.events import AsyncYield
from responses_stream.hosting.telemetry import NoTelemetry

NOW: Final = 1_760_000_000.0
MOST: Final = 64 * 1024
WORDS: Final = ["Grüße,", "☃", "and", "🐍;", "\u2028", "too."]


def id_of(number: int) -> str:
    """Return the id of the response that is made as the one of this number, from 1."""
    return f"resp_{number:050d}"


class _Exemplar(ResponsesServer):
    """A server that can be sent to another process, which makes it anew."""

    def __reduce__(self) -> tuple[object, ...]:
        options = self.options
        return functools.partial(
            make_server,
            websocket=options.websocket,
            grace=options.shutdown_grace_period_seconds,
            keep_alive=options.sse_keep_alive_interval_seconds,
        ), ()


def make_server(*, websocket: bool = False, grace: float = 10.0, keep_alive: float | None = None) -> ResponsesServer:
    """Return a new server that has made no response yet."""
    numbers = itertools.count(1)
    server = _Exemplar(
        options=ResponsesServerOptions(
            default_model="exemplar",
            models=("another", "third"),
            max_body_bytes=MOST,
            websocket=websocket,
            sse_keep_alive_interval_seconds=keep_alive,
            shutdown_grace_period_seconds=grace,
            additional_server_version="exemplary/1",
            agent_session_id="session-1",
        ),
        clock=lambda: NOW,
        make_response_id=lambda _: id_of(next(numbers)),
        telemetry=NoTelemetry(),
    )

    @server.response_handler
    async def handler(request: CreateResponse, context: ResponseContext) -> AsyncIterator[AsyncYield]:
        items = itertools.count(1)
        stream = ResponseEventStream(
            context.response_id,
            request=request,
            clock=lambda: NOW,
            make_item_id=lambda kind, response_id: f"{kind}_{response_id[-4:]}_{next(items)}",
        )
        asked = await context.get_input_text()
        yield stream.emit_created()
        yield stream.emit_in_progress()
        answers = [item for item in await context.get_input_items() if item.type == "function_call_output"]
        if asked == "call" and not answers:
            yield stream.output_item_function_call("look", "call_1", json.dumps({"at": "ü"}))
        else:
            words = [json.dumps(_left_over(server))] if asked == "report" else _words(asked)
            yield stream.output_item_reasoning(summary=["Hm."])
            yield stream.output_item_message(words)
        if asked == "wait":
            await context.cancellation.wait()
            return
        if asked == "fail":
            raise RuntimeError("the secret")
        yield stream.emit_completed(usage={"input_tokens": 3, "output_tokens": 5, "total_tokens": 8})

    return server


def _words(asked: str) -> Iterator[str]:
    yield from (f"{word} " for word in WORDS)
    yield from asked.split()


def _left_over(server: ResponsesServer) -> dict[str, int]:
    gc.collect()
    return {
        "runs": len(server._host().runs) - 1,
        "threads": threading.active_count(),
        "tasks": len(anyio.get_running_tasks()),
        "files": len(list(Path("/proc/self/fd").iterdir())),
        "process": os.getpid(),
    }
