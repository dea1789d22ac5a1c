"""Junk over real sockets: whatever comes, no answer is a 500, nothing hangs or is left, and the server goes on."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from responses_stream import CreateResponse, ResponsesServer, ResponsesServerOptions, SyncResponseContext, TextResponse
from responses_transports.h11_server import serve_async

from .mutating import junk
from .wire import connected

pytestmark = pytest.mark.anyio

AT_ONCE = 50
FILES = Path("/proc/self/fd")
STATUS = re.compile(rb"^HTTP/1\.1 ([0-9]{3}) ", re.MULTILINE)
UNDERSTOOD = {100, 101, 200, 204, 400, 404, 405, 408, 409, 413, 415, 417, 422, 426, 431, 501, 505}


def said_yes(request: CreateResponse, context: SyncResponseContext) -> TextResponse:
    return TextResponse(context, request, text="yes")


async def pour(port: int, requests: Iterator[bytes], statuses: set[int]) -> None:
    """Send one request after the other, each on a connection of its own, and read what comes until the end."""
    for number, request in enumerate(requests):
        async with connected(port) as wire:
            with contextlib.suppress(anyio.BrokenResourceError):
                half = len(request) // 2 if number % 3 == 0 else len(request)
                for piece in (request[:half], request[half:]):
                    if piece:
                        await wire.send(piece)
                if number % 4 == 0:
                    await wire.stream.send_eof()
                said = b""
                while data := await wire.more():
                    said += data
                statuses.update(map(int, STATUS.findall(said)))


async def survives(seed: int, count: int) -> None:
    # A request that stays unfinished ends by these; an answer is allowed to be any of those above.
    options = ResponsesServerOptions(
        idle_seconds=0.2, header_seconds=0.2, write_stall_seconds=0.2, sse_keep_alive_interval_seconds=None
    )
    server = ResponsesServer(options=options)
    server.response_handler(said_yes)
    statuses: set[int] = set()
    async with anyio.create_task_group() as tasks:
        port = await tasks.start(functools.partial(serve_async, server, port=0))
        before, files = len(anyio.get_running_tasks()), len(list(FILES.iterdir()))
        requests = junk(seed, count)
        async with anyio.create_task_group() as clients:
            for _ in range(AT_ONCE):
                clients.start_soon(pour, port, requests, statuses)
        while len(anyio.get_running_tasks()) > before:  # or the time of the test is over
            await anyio.lowlevel.checkpoint()
        assert len(list(FILES.iterdir())) <= files
        async with connected(port) as wire:
            await wire.send(b"GET /readiness HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await wire.answer()).status == 200
        tasks.cancel_scope.cancel()
    assert {200, 400} <= statuses <= UNDERSTOOD


async def test_a_few_hundred_junk_requests() -> None:
    await survives(seed=1, count=300)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_ten_thousand_junk_requests() -> None:
    await survives(seed=2, count=10_000)
