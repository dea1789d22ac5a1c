"""Two servers on one store: each shows, stops and deletes what the other makes, and ends what the other has left.

Time is that of a clock which the tests set: a lease is over when they say so. What a server looks at now and then, the
gates of its store let it look at when a test wants that.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, cast

import anyio
import attrs
import pytest

from responses_stream import (
    MemoryStore,
    ResponsesServer,
    ResponsesServerOptions,
    ResponseStore,
    SqliteStore,
)
from responses_stream.hosting import attendance
from responses_stream.hosting.http import CutShort
from responses_stream.stores import sqlite
from responses_stream.stores.base import Key, NewResponse, Notices, StoredResponse

from .asking import Answer, ask
from .gates import BS, ID, PATH, SS, B, Client, GatedStore, Stage, one_story

pytestmark = pytest.mark.anyio

LEASE: Final = 0.3
"""By the clock of the tests, which stands still. By that of the wall, a third of it is what one look waits."""

OPTIONS: Final = ResponsesServerOptions(
    cancel_grace_seconds=1000,
    shutdown_grace_period_seconds=0.01,
    sse_keep_alive_interval_seconds=None,
    lease_seconds=LEASE,
)


@attrs.define
class Clock:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@attrs.define(eq=False)
class Pair:
    """Two servers, each with its own handler and its own view of the store."""

    first: Stage
    second: Stage
    clock: Clock

    def both(self) -> tuple[Stage, Stage]:
        return self.first, self.second


@pytest.fixture(params=["memory", "sqlite"])
def shared(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sqlite, "_LOOK", 0.02)
    return str(request.param)


@asynccontextmanager
async def paired(shared: str, options: ResponsesServerOptions = OPTIONS) -> AsyncIterator[Pair]:
    clock = Clock()
    stores: list[ResponseStore]
    with tempfile.TemporaryDirectory() as place:
        if shared == "memory":
            stores = [MemoryStore(clock=clock)] * 2
        else:
            stores = [SqliteStore(Path(place) / "r", clock=clock, poll_interval=0.005) for _ in range(2)]
        gated = [GatedStore(store) for store in stores]
        servers = [ResponsesServer(store=cast("ResponseStore", store), options=options) for store in gated]
        with anyio.fail_after(30):
            async with AsyncExitStack() as stack:
                # Not one in the lifespan of the other: each has the end that a process of its own has.
                for server in servers:
                    await stack.enter_async_context(server.lifespan())
                async with anyio.create_task_group() as tasks:
                    first, second = stages = [
                        Stage(server, store, tasks) for server, store in zip(servers, gated, strict=True)
                    ]
                    try:
                        yield Pair(first, second, clock)
                    finally:
                        for stage in stages:
                            for gate in (*stage.steps.held.values(), *stage.store.gates.held.values()):
                                gate.open()
        for store in stores:
            await store.aclose()


async def reached(client: Client, what: bytes) -> None:
    while what not in client.pieces:
        await anyio.sleep(0.001)


async def replayed(stage: Stage, query: str = "stream=true") -> Answer:
    return await ask(stage.server, method="GET", path=PATH, query=query)


async def shown(stage: Stage) -> Any:
    return (await ask(stage.server, method="GET", path=PATH)).json


async def test_the_other_server_shows_replays_and_follows(shared: str) -> None:
    """Issue 4, point 5; H2.22, H5.17."""
    async with paired(shared) as pair:
        last = pair.first.steps.hold("completed")
        wire = pair.first.create(BS)
        await reached(wire, b"response.in_progress")
        followers = [pair.second.get("stream=true"), pair.second.get("stream=true&starting_after=0")]
        for follower in followers:
            await reached(follower, b"response.in_progress")
        assert (await shown(pair.second))["status"] == "in_progress"
        assert await shown(pair.second) == await shown(pair.first)
        last.open()
        whole = (await wire.got()).body
        assert (await followers[0].got()).body == whole
        assert whole.endswith((await followers[1].got()).body)
        for stage in pair.both():
            assert (await replayed(stage)).body == whole
            one_story(whole, await shown(stage))


async def test_the_progress_of_a_response_without_stream_is_shown_by_the_other(shared: str) -> None:
    """Decision 15: polling a B run shows its progress, whoever makes it."""
    async with paired(shared) as pair:
        last = pair.first.steps.hold("completed")
        created = await pair.first.create(B).got()
        await last.reached.wait()
        assert (await shown(pair.second))["status"] == created.json["status"] == "in_progress"
        refused = await replayed(pair.second)
        assert (refused.status, refused.error["param"]) == (400, "stream")
        last.open()
        while (await shown(pair.second))["status"] != "completed":
            await anyio.sleep(0.001)
        assert await shown(pair.second) == await shown(pair.first)


async def test_a_foreground_response_of_the_other_is_not_there_until_it_has_ended(shared: str) -> None:
    """Decision 16, H4.3, H6.2."""
    async with paired(shared) as pair:
        last = pair.first.steps.hold("completed")
        wire = pair.first.create(SS)
        await last.reached.wait()
        for request in (pair.second.get(), pair.second.cancel(), pair.second.delete()):
            assert (await request.got()).status == 404
        assert (await replayed(pair.second)).status == 400
        last.open()
        one_story((await wire.got()).body, await shown(pair.second))


@pytest.mark.parametrize("mode", [B, BS])
async def test_the_other_server_cancels(shared: str, mode: dict[str, Any]) -> None:
    """Issue 4, point 5; H4.7 to H4.12: the owner is told, and the answer waits for it."""
    async with paired(shared) as pair:
        last = pair.first.steps.hold("completed")
        wire = pair.first.create(mode)
        await last.reached.wait()
        cancel = pair.second.cancel()
        await pair.first.contexts[0].cancellation.wait()
        assert pair.first.contexts[0].client_cancelled
        assert not cancel.done.is_set()
        for stage in pair.both():
            assert (await shown(stage))["status"] == "cancelled"
        last.open()
        answer = await cancel.got()
        assert (answer.status, answer.json["status"]) == (200, "cancelled")
        for stage in pair.both():
            assert await shown(stage) == answer.json
        if mode is BS:
            one_story((await wire.got()).body, answer.json)
            assert (await replayed(pair.second)).body == (await wire.got()).body


async def test_the_other_server_deletes(shared: str) -> None:
    """H6.1, H4.14, E2: not in flight; at any time after a cancel, which ends its readers everywhere."""
    async with paired(shared) as pair:
        last = pair.first.steps.hold("completed")
        wire = pair.first.create(BS)
        await last.reached.wait()
        refused = await pair.second.delete().got()
        assert (refused.status, refused.error["message"]) == (400, "Cannot delete an in-flight response.")
        follower = pair.second.get("stream=true")
        await reached(follower, b"response.in_progress")
        cancel = pair.second.cancel()
        await pair.first.contexts[0].cancellation.wait()
        assert (await pair.second.delete().got()).status == 200
        await follower.done.wait()
        assert isinstance(follower.error, CutShort)
        last.open()
        assert (await cancel.got()).json["status"] == "cancelled"
        await wire.done.wait()
        assert isinstance(wire.error, CutShort)
        for stage in pair.both():
            assert (await ask(stage.server, method="GET", path=PATH)).status == 404


async def test_a_response_that_has_ended_is_deleted_by_the_other(shared: str) -> None:
    async with paired(shared) as pair:
        await pair.first.create(BS).got()
        assert (await pair.second.delete().got()).status == 200
        assert (await pair.first.delete().got()).status == 404
        assert (await replayed(pair.first)).status == 404


async def die(stage: Stage) -> None:
    """Let a server fall silent, as one does whose machine is gone: its store hears nothing of it any more."""
    stage.store.gates.hold("before append")
    stage.store.gates.hold("before end")
    await stage.store.gates.hold("before attend").reached.wait()


async def test_what_a_dead_owner_left_is_ended_by_the_other(shared: str) -> None:
    """Issue 4, point 6; E5: an error and a failure, whose numbers go on; without events, the snapshot alone."""
    async with paired(shared) as pair:
        pair.first.steps.hold("completed")
        wire = pair.first.create(BS)
        await reached(wire, b"response.in_progress")
        foreground = pair.first.send({"model": "m", "stream": True})
        await reached(foreground, b"response.in_progress")
        found = re.search(rb'"id":"(resp_\w+)"', foreground.pieces)
        assert found is not None
        other = found[1].decode()
        follower = pair.second.get("stream=true")
        await reached(follower, b"response.in_progress")
        await die(pair.first)
        pair.clock.now += LEASE + 1
        body = (await follower.got()).body
        assert body.startswith(bytes(wire.pieces))
        ended = await shown(pair.second)
        assert (ended["status"], ended["error"]["code"]) == ("failed", "server_restarted")
        one_story(body, ended)
        events = (await replayed(pair.second)).events
        assert [event["type"] for event in events] == [
            "response.created",
            "response.in_progress",
            "error",
            "response.failed",
        ]
        assert events[2]["code"] == events[2]["error"]["code"] == "server_restarted"
        while (answer := await ask(pair.second.server, method="GET", path=f"/v1/responses/{other}")).status == 404:
            await anyio.sleep(0.001)
        assert (answer.json["status"], answer.json["error"]["code"]) == ("failed", "server_restarted")


async def test_an_owner_that_comes_back_finds_its_response_ended(shared: str) -> None:
    """Fenced: what it says after that is refused, and its readers get the end that is stored."""
    async with paired(shared) as pair:
        last = pair.first.steps.hold("completed")
        wire = pair.first.create(BS)
        await reached(wire, b"response.in_progress")
        await die(pair.first)
        pair.clock.now += LEASE + 1
        body = (await pair.second.get("stream=true").got()).body
        for gate in pair.first.store.gates.held.values():
            gate.open()
        last.open()
        assert (await wire.got()).body == body
        for stage in pair.both():
            one_story(body, await shown(stage))
            assert (await replayed(stage)).body == body


async def test_a_response_that_was_being_cancelled_when_its_owner_died_ends_as_cancelled(shared: str) -> None:
    """Decision 6, H4.10."""
    async with paired(shared) as pair:
        pair.first.steps.hold("completed")
        wire = pair.first.create(BS)
        await reached(wire, b"response.in_progress")
        await die(pair.first)
        cancel = pair.second.cancel()
        while (await shown(pair.second))["status"] != "cancelled":
            await anyio.sleep(0.001)
        pair.clock.now += LEASE + 1
        answer = await cancel.got()
        assert (answer.status, answer.json["status"]) == (200, "cancelled")
        one_story((await replayed(pair.second)).body, answer.json)


@pytest.mark.parametrize("verb", ["after get", "before events", "before end"])
async def test_an_orphan_whose_store_fails_is_tried_again(
    shared: str, verb: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """E5: nothing stays in flight for ever; an orphan is told of once, and is not forgotten."""
    monkeypatch.setattr(attendance, "_RETRY_SECONDS", 0.001)
    async with paired(shared, attrs.evolve(OPTIONS, lease_seconds=0.03)) as pair:
        pair.first.steps.hold("completed")
        wire = pair.first.create(BS)
        await reached(wire, b"response.in_progress")
        trouble = pair.second.store.gates.hold(verb)
        await die(pair.first)
        pair.clock.now += LEASE + 1
        await trouble.reached.wait()
        del pair.second.store.gates.held[verb]
        trouble.open(OSError("the disk is away"))
        while (ended := await shown(pair.second))["status"] != "failed":
            await anyio.sleep(0.001)
        assert ended["error"]["code"] == "server_restarted"
        one_story((await replayed(pair.second)).body, ended)
    assert "could not be given an end; trying again" in caplog.text


async def test_an_end_that_the_store_did_not_take_is_told_to_it_later(
    shared: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Decision 11, H12.35 to H12.39: failed on the wire and in memory at once, in the store as soon as it can."""
    async with paired(shared, attrs.evolve(OPTIONS, lease_seconds=0.03)) as pair:
        end = pair.first.store.gates.hold("before end")
        wire = pair.first.create(BS)
        await end.reached.wait()
        end.open(OSError("the disk is full"))
        body = (await wire.got()).body
        assert (await shown(pair.first))["error"]["code"] == "storage_error"
        assert pair.first.live == 1
        del pair.first.store.gates.held["before end"]
        while pair.first.live:
            await anyio.sleep(0.001)
        for stage in pair.both():
            ended = await shown(stage)
            assert (ended["status"], ended["error"]["code"]) == ("failed", "storage_error")
            one_story(body, ended)
            assert (await replayed(stage)).body == body
    assert "the store did not take the end" in caplog.text


async def test_a_lease_is_renewed_before_it_is_over(shared: str) -> None:
    """E5: who is alive keeps its responses, however long they take."""
    async with paired(shared, attrs.evolve(OPTIONS, lease_seconds=0.03)) as pair:
        last = pair.first.steps.hold("completed")
        wire = pair.first.create(BS)
        await reached(wire, b"response.in_progress")
        for _ in range(5):
            attended = pair.first.store.gates.hold("after attend")
            await attended.reached.wait()
            pair.clock.now += 0.02
            attended.open()
        last.open()
        one_story((await wire.got()).body, await shown(pair.second))
        assert (await shown(pair.second))["status"] == "completed"


async def test_a_server_that_has_closed_gives_its_lease_up(shared: str) -> None:
    """Issue 4, point 8: what it left, a sibling ends at once, and not when its lease is over."""
    async with paired(shared) as pair:
        store = pair.second.store.inner
        key = Key("", ID)
        new = NewResponse(
            key=key,
            owner=pair.first.server._host().owner,
            response=b'{"id":"%b","object":"response","created_at":0,"status":"in_progress","model":"m","output":[]}'
            % ID.encode(),
            status="in_progress",
            background=True,
            stream=False,
        )
        await store.create(new)
        await pair.first.server.aclose()
        while not (stored := await store.get(key)).ended:
            await anyio.sleep(0.001)
        assert stored.status == "failed"


async def test_a_store_that_cannot_be_attended_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A server whose store is away for a while goes on, and sees to its orphans when it is back."""
    monkeypatch.setattr(attendance, "_RETRY_SECONDS", 0.001)
    clock = Clock()
    inner = MemoryStore(clock=clock)
    store = GatedStore(inner)
    server = ResponsesServer(store=cast("ResponseStore", store), options=attrs.evolve(OPTIONS, lease_seconds=0.03))
    async with server.lifespan():
        away = store.gates.hold("before attend")
        away.open(OSError("the disk is away"))
        while "the store cannot be attended" not in caplog.text:
            await anyio.sleep(0.001)
        assert (await ask(server, method="GET", path="/readiness")).status == 200
        del store.gates.held["before attend"]
        seen = store.gates.hold("after attend")
        await seen.reached.wait()
        seen.open()


async def test_the_first_caller_is_told_that_the_store_is_away_and_the_next_one_tries_again() -> None:
    """`Attendance.begin`: a server whose store cannot be reached answers 500, and recovers by itself."""
    store = GatedStore(MemoryStore())
    server = ResponsesServer(store=cast("ResponseStore", store), options=OPTIONS)
    away = store.gates.hold("before attend")
    away.open(OSError("the disk is away"))
    assert (await ask(server, method="GET", path=PATH)).status == 500
    del store.gates.held["before attend"]
    assert (await ask(server, method="GET", path=PATH)).status == 404
    await server.aclose()


class Laden(MemoryStore):
    """A store in which a dead owner has left much, and which is slow to tell of it."""

    def __init__(self) -> None:
        super().__init__()
        self.attended: list[float] = []
        self.asked = 0
        self.told = anyio.Event()

    async def leave(self, count: int) -> list[Key]:
        keys = [Key("", f"resp_{number:050}") for number in range(count)]
        await super().attend("gone", 1000, 0)
        for key in keys:
            await self.create(
                NewResponse(
                    key=key,
                    owner="gone",
                    response=b'{"id": "%b", "object": "response", "status": "in_progress", "output": []}'
                    % key.response_id.encode(),
                    status="in_progress",
                    background=True,
                    stream=False,
                )
            )
        await self.release("gone")
        return keys

    async def attend(self, owner: str, lease: float, seconds: float, *, grace: float = 0.0) -> Notices:
        self.attended.append(grace)
        return await super().attend(owner, lease, seconds, grace=grace)

    async def get(self, key: Key) -> StoredResponse:
        self.asked += 1
        await self.told.wait()
        return await super().get(key)


async def test_what_the_dead_have_left_does_not_cost_a_server_its_lease() -> None:
    """However much there is, and however long the store takes over it: some at a time, beside the lease."""
    store = Laden()
    keys = await store.leave(30)
    async with ResponsesServer(store=store, options=OPTIONS).lifespan():
        with anyio.fail_after(10):
            while len(store.attended) < 5:
                await anyio.sleep(0.001)
            assert store.asked == 8
            store.told.set()
            for key in keys:
                while not (await store.get(key)).ended:
                    await anyio.sleep(0.001)


async def test_who_was_away_leaves_the_others_a_lease_to_come_back(caplog: pytest.LogCaptureFixture) -> None:
    """Where the engine was away all leases are over, and whoever comes first would end what all others make."""

    class Away(Laden):
        is_away = False

        async def attend(self, owner: str, lease: float, seconds: float, *, grace: float = 0.0) -> Notices:
            if self.is_away:
                raise OSError("the engine is away")
            return await super().attend(owner, lease, seconds, grace=grace)

    store = Away()
    server = ResponsesServer(store=store, options=OPTIONS)
    async with server.lifespan():
        looking = server._host().attendance
        with anyio.fail_after(10):
            while len(store.attended) < 2:
                await anyio.sleep(0.001)
            store.is_away = True
            while (looking.lease_age() or 0) <= LEASE:
                await anyio.sleep(0.001)
            before = len(store.attended)
            store.is_away = False
            while not any(grace > 2 * LEASE for grace in store.attended):
                await anyio.sleep(0.001)
            while store.attended[-1] != 0:
                await anyio.sleep(0.001)
    assert set(store.attended[:before]) == {0.0}
    assert "the lease was not renewed in time" in caplog.text
