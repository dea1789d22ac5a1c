"""A connection may end after any byte; who resumes with the last number that arrived whole misses nothing.

The events of all connections, one after the other, are byte for byte those of a connection that was never cut: live and
after the end, from memory and from the store, however the log has moved out of memory meanwhile.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import anyio
import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from responses_stream import (
    CreateResponse,
    HttpReply,
    MemoryStore,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
    ResponseStore,
    SqliteStore,
    validate_events,
)
from responses_stream.hosting import log
from responses_stream.hosting.modes import MODES, Mode
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.sse import DONE

from .asking import Answer, answer_of, ask, request_for
from .gates import Client

STORES: Final = ("memory", "sqlite")
PROPERTY: Final = settings(deadline=None, derandomize=True, database=None, max_examples=15)
OPTIONS: Final = ResponsesServerOptions(sse_keep_alive_interval_seconds=None, shutdown_grace_period_seconds=1)
TEXTS: Final = ["Hé", "llo\n\n", "data: [DONE]", "", "\u2028 \U0001f600", "event: x"]

StoreName: TypeAlias = Literal["memory", "sqlite"]


@attrs.define(eq=False)
class Talker:
    """A server whose handler says one delta for each that it is allowed, and ends when there is none left.

    Attributes:
        texts: what it says.
        allowed: how many deltas it may have said.
        said: how many it has said.
    """

    server: ResponsesServer
    texts: list[str]
    allowed: int = 0
    said: int = 0
    _moved: anyio.Event = attrs.field(init=False, factory=anyio.Event)

    def __attrs_post_init__(self) -> None:
        self.server.response_handler(self.handler)

    def allow(self, count: int | None = None) -> None:
        """Let the handler go on by so many deltas; to its end by default."""
        self.allowed = len(self.texts) + 1 if count is None else self.allowed + count
        self._move()

    async def has_said(self, count: int) -> None:
        while self.said < min(count, len(self.texts)):
            await self._moved.wait()

    def _move(self) -> None:
        moved, self._moved = self._moved, anyio.Event()
        moved.set()

    async def handler(self, _request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
        self.allowed = self.said = 0
        stream = context.stream()
        yield stream.emit_created()
        yield stream.emit_in_progress()
        message = stream.add_output_item_message()
        yield message.emit_added()
        text = message.add_text_content()
        yield text.emit_added()
        for piece in self.texts:
            while self.said >= self.allowed:
                await self._moved.wait()
            yield text.emit_delta(piece)
            self.said += 1
            self._move()
        while self.allowed <= len(self.texts):
            await self._moved.wait()
        yield text.emit_text_done()
        yield text.emit_done()
        yield message.emit_done()
        yield stream.emit_completed()

    async def created(self) -> tuple[str, HttpReply, bytes]:
        """Create a background stream; return its id, the reply and the first bytes of it."""
        reply = await self.server.handle(request_for({"model": "m", "background": True, "stream": True}))
        assert not isinstance(reply.body, bytes)
        first = await anext(aiter(reply.body))
        found = re.search(rb'"id":"(resp_\w+)"', first)
        assert found is not None
        return found[1].decode(), reply, first

    def resumption(self, response_id: str, after: int | None) -> Any:
        query = "stream=true" if after is None else f"stream=true&starting_after={after}"
        return request_for(method="GET", path=f"/v1/responses/{response_id}", query=query)

    async def resumed(self, response_id: str, after: int | None) -> bytes:
        """Return all that a client gets who resumes behind the number *after*."""
        answer = await answer_of(await self.server.handle(self.resumption(response_id, after)))
        assert answer.status == 200, answer
        return answer.body


@asynccontextmanager
async def talking(store: StoreName, texts: list[str]) -> AsyncIterator[Talker]:
    with tempfile.TemporaryDirectory() as place:
        kept: ResponseStore = MemoryStore() if store == "memory" else SqliteStore(Path(place) / "r", poll_interval=0.01)
        server = ResponsesServer(store=kept, options=OPTIONS)
        with anyio.fail_after(20):
            async with server.lifespan():
                yield Talker(server, texts)
        await kept.aclose()


def whole_frames(received: bytes) -> tuple[bytes, int | None]:
    """Return the frames that arrived whole, and the number of the last of them that has one."""
    complete = received[: received.rfind(b"\n\n") + 2] if b"\n\n" in received else b""
    last = complete.removesuffix(DONE).removesuffix(b"\n\n").rpartition(b"\n\n")[2].partition(b"data: ")[2]
    return complete, json.loads(last)["sequence_number"] if last else None


async def finished(talker: Talker) -> tuple[str, bytes]:
    """Return the id and the uncut stream of a response that has ended."""
    response_id, reply, first = await talker.created()
    talker.allow()
    assert not isinstance(reply.body, bytes)
    whole = first + b"".join([piece async for piece in reply.body])
    await reply.body.aclose()
    assert whole.endswith(DONE)
    assert validate_events(whole).ok
    return response_id, whole


@pytest.mark.anyio
@pytest.mark.parametrize("store", STORES)
async def test_after_the_end_every_cut_is_mended(store: StoreName) -> None:
    """H5.15 to H5.17, every single byte."""
    async with talking(store, TEXTS) as talker:
        response_id, whole = await finished(talker)
        rests: dict[int | None, bytes] = {}
        for cut in range(len(whole) + 1):
            complete, last = whole_frames(whole[:cut])
            if last not in rests:
                rests[last] = await talker.resumed(response_id, last)
            # The marker has no number, so that it comes once more.
            assert complete.removesuffix(DONE) + rests[last] == whole
        assert [*rests] == [None, *range(len(whole.split(b"\n\n")) - 2)]


@pytest.mark.anyio
@pytest.mark.parametrize("window", [0, 300, 1_000_000])
@pytest.mark.parametrize("store", STORES)
async def test_live_every_cut_is_mended(store: StoreName, window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """H5.17: for each event, one client that is cut in the middle of the next, and resumes while the run goes on."""
    monkeypatch.setattr(log, "WINDOW", window)
    async with talking(store, TEXTS) as talker, anyio.create_task_group() as tasks:
        response_id, reply, first = await talker.created()
        resumed: list[tuple[int, Client]] = []
        got, count = first, 0
        assert not isinstance(reply.body, bytes)
        pieces = aiter(reply.body)
        while True:
            complete, last = whole_frames(got)
            assert complete == got
            client = Client()
            resumed.append((len(got), client))
            query = f"stream=true&starting_after={last}"
            tasks.start_soon(_follow, client, talker.server, f"/v1/responses/{response_id}", query)
            if got.endswith(DONE):
                break
            talker.allow(1)
            count += 1
            await talker.has_said(count)
            got += await anext(pieces)
        whole = got
        for at, client in resumed:
            assert whole[:at].removesuffix(DONE) + (await client.got()).body == whole


async def _follow(client: Client, server: ResponsesServer, path: str, query: str) -> None:
    await client.ask(server, None, method="GET", path=path, query=query)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("store", STORES)
@PROPERTY
@given(
    texts=st.lists(st.text(max_size=60), max_size=8),
    window=st.sampled_from([0, 100, 1_500, 1_000_000]),
    cuts=st.lists(st.tuples(st.integers(1, 2_500), st.integers(1, 3)), max_size=5),
)
def test_any_number_of_cuts_is_mended(
    store: StoreName, backend: str, texts: list[str], window: int, cuts: list[tuple[int, int]]
) -> None:
    """A client that is cut again and again, each time after so many bytes, while the run goes on by so many steps."""

    async def run() -> None:
        async with talking(store, texts) as talker:
            response_id, reply, first = await talker.created()
            joined, received = b"", first
            for after, steps in [*cuts, (None, None)]:
                assert not isinstance(reply.body, bytes)
                talker.allow(steps)
                async for piece in reply.body:
                    received += piece
                    if after is not None and len(received) >= after:
                        break
                    if after is not None:
                        talker.allow(1)
                await reply.body.aclose()
                complete, _ = whole_frames(received[:after])
                joined = joined.removesuffix(DONE) + complete
                reply = await talker.server.handle(talker.resumption(response_id, whole_frames(joined)[1]))
                received = b""
            assert joined == await talker.resumed(response_id, None)
            assert joined.endswith(DONE)
            assert validate_events(joined).ok

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log, "WINDOW", window)
        anyio.run(run, backend=backend)


@pytest.mark.anyio
@pytest.mark.parametrize("store", STORES)
async def test_readers_of_every_speed_get_the_same(store: StoreName, monkeypatch: pytest.MonkeyPatch) -> None:
    """H5.17: one that keeps up, one that is left behind by what memory holds, and one that comes when all is over."""
    monkeypatch.setattr(log, "WINDOW", 2_000)
    texts = [f"{number} " * 20 for number in range(200)]
    async with talking(store, texts) as talker:
        response_id, reply, first = await talker.created()
        assert not isinstance(reply.body, bytes)
        slow = await talker.server.handle(talker.resumption(response_id, None))
        stalled = await talker.server.handle(talker.resumption(response_id, 1))
        assert not isinstance(slow.body, bytes)
        fast, lagging = first, b""
        while not fast.endswith(DONE):
            talker.allow(10)
            await talker.has_said(talker.allowed)
            fast += await anext(aiter(reply.body))
            if len(fast) % 3 == 0:
                lagging += await anext(aiter(slow.body))
        [run] = talker.server._host().runs._live.values() or [None]
        assert run is None or run.log.first > 0
        lagging += b"".join([piece async for piece in slow.body])
        assert lagging == fast
        assert fast.endswith((await answer_of(stalled)).body)
        assert await talker.resumed(response_id, None) == fast


@pytest.mark.anyio
@pytest.mark.parametrize("store", STORES)
async def test_a_reader_goes_back_and_forth_between_memory_and_the_store(
    store: StoreName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow reader is overtaken, reads from the store, catches up, and is overtaken again."""
    monkeypatch.setattr(log, "WINDOW", 0)
    texts = ["x" * 50] * 60
    async with talking(store, texts) as talker:
        response_id, reply, _ = await talker.created()
        slow = await talker.server.handle(talker.resumption(response_id, None))
        assert not isinstance(slow.body, bytes)
        assert not isinstance(reply.body, bytes)
        read, shown = b"", 0
        for _ in range(6):
            talker.allow(10)
            # The creator keeps up, and what it has read is shown.
            shown += 10
            while True:
                piece = await anext(aiter(reply.body))
                if b'"sequence_number":%d,' % (shown + 3) in piece:
                    break
            while b'"sequence_number":%d,' % (shown + 3) not in read:
                read += await anext(aiter(slow.body))
        talker.allow()
        read += b"".join([piece async for piece in slow.body])
        assert read == await talker.resumed(response_id, None)


@pytest.mark.anyio
@pytest.mark.parametrize("mode", MODES.values(), ids=lambda mode: mode.name)
async def test_only_background_streams_can_be_resumed(mode: Mode) -> None:
    """H5.6 to H5.8: whoever was cut from another mode asks for its JSON."""
    async with talking("memory", ["x"]) as talker:

        async def handler(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
            stream = context.stream()
            yield stream.emit_created()
            yield stream.emit_completed()

        talker.server.response_handler(handler)
        body = {"model": "m", "stream": mode.stream, "background": mode.background, "store": mode.store}
        made = await ask(talker.server, body)
        response_id = made.events[0]["response"]["id"] if mode.stream else made.json["id"]
        replay = await ask(talker.server, method="GET", path=f"/v1/responses/{response_id}", query="stream=true")
        assert (replay.status == 200) == (mode.name == "BS")
        assert replay.status == 200 or replay.status == (400 if mode.store else 404)


@pytest.mark.anyio
@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("live", [True, False])
async def test_a_keyed_stream_is_resumed_by_asking_again(store: StoreName, background: bool, live: bool) -> None:
    """Decision 22: the same request with the same key gets the same bytes, from the first on."""
    async with talking(store, TEXTS) as talker:
        request = request_for(
            {"model": "m", "stream": True, "background": background}, headers={"idempotency-key": "k"}
        )
        reply = await talker.server.handle(request)
        assert not isinstance(reply.body, bytes)
        got = b""
        if live:
            again = await talker.server.handle(request)
            talker.allow(2)
            got = await anext(aiter(reply.body))
            await reply.body.aclose()
            talker.allow()
            whole = (await answer_of(again)).body
        else:
            talker.allow()
            whole = got = (await answer_of(reply)).body
        assert whole.startswith(got)
        assert validate_events(whole).ok
        answer: Answer = await answer_of(await talker.server.handle(request))
        assert answer.body == whole
