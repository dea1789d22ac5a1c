"""Servers that are killed, sleep, and lose their engine, again and again, with many streams running (issue 7).

Every response ends, exactly once; what a client has read is in every later replay; no number is there twice.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import anyio
import attrs
import h11
import pytest

from responses_stream import validate_events
from responses_stream.sse import DONE

from ..hosting.test_processes import Nursery, Process, Said, id_of, whole_frames
from .proxy import Proxy, proxied
from .serving import Cluster, check, cluster, path_of

pytestmark = pytest.mark.anyio

ROUNDS: Final = int(os.environ.get("CLUSTER_ROUNDS", "100"))
LEASE: Final = 1.5
STREAMS: Final = 50
SEASONS: Final = ((2, False), (3, True), (4, False), (3, True))
"""How many servers there are, and whether they make again what another one has left."""

FAULTS: Final = ("kill", "sleep", "cut", "hold")
# The last is what a connection comes to that is closed in front of its first answer.
_BROKEN: Final = (OSError, anyio.BrokenResourceError, anyio.EndOfStream, h11.RemoteProtocolError, AssertionError)
_SETTLED: Final = 60.0
"""How many seconds it may take until all has its end; what nobody makes any more takes a lease."""


@attrs.define(eq=False)
class Fleet:
    """The servers of a season, each behind a proxy of its own."""

    shared: Cluster
    proxies: list[Proxy]
    resilient: bool
    chance: random.Random
    servers: list[Process] = attrs.field(init=False, factory=list)

    async def start(self, place: int) -> Process:
        return await self.shared.start(self.proxies[place].port, resilient=self.resilient, lease=LEASE)

    def any(self) -> Process:
        return self.chance.choice(self.servers)

    async def trouble(self, kind: str) -> None:
        """Bring trouble over one of the servers; when this returns it is over."""
        place = self.chance.randrange(len(self.servers))
        server, proxy = self.servers[place], self.proxies[place]
        seconds = LEASE * self.chance.uniform(1.3, 2.0)
        if kind == "kill":
            await server.end()
            self.servers[place] = await self.start(place)
        elif kind == "sleep":
            os.kill(server.pid, signal.SIGSTOP)
            await anyio.sleep(seconds)
            os.kill(server.pid, signal.SIGCONT)
        elif kind == "cut":
            proxy.cut()
            await anyio.sleep(self.chance.choice([0.0, 0.1, seconds]))
            proxy.pass_on()
        else:
            proxy.hold()
            await anyio.sleep(self.chance.choice([0.1, seconds]))
            proxy.pass_on()


@asynccontextmanager
async def fleet_of(shared: Cluster, count: int, resilient: bool, chance: random.Random) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as closing:
        proxies = [await closing.enter_async_context(proxied(shared.address)) for _ in range(count)]
        fleet = Fleet(shared, proxies, resilient, chance)
        try:
            fleet.servers = [await fleet.start(place) for place in range(count)]
            yield fleet
        finally:
            with anyio.CancelScope(shield=True):
                await shared.nursery.end_all()


@attrs.define(eq=False)
class Client:
    """Who asks for one response, and reads it wherever it can be read.

    Attributes:
        number: of the response.
        input: what is asked for.
        mode: how.
        read: the frames that it has read, from the first one on.
        has_end: whether it has read the end.
    """

    number: int
    input: str
    mode: dict[str, bool]
    read: bytes = b""
    has_end: bool = False

    @property
    def follows(self) -> bool:
        return self.mode == {"background": True, "stream": True}

    async def live(self, fleet: Fleet) -> None:
        """Ask, and where the answer breaks off, read on somewhere else, as long as there may be something."""
        body = {"model": "m", "input": self.input, "response_id": id_of(self.number), **self.mode}
        await self._ask(fleet.any(), "POST", "/v1/responses", body)
        while self.follows and not self.has_end:
            after = self.read.count(b"\n\n") - 1
            more = f"?stream=true&starting_after={after}" if after >= 0 else "?stream=true"
            if await self._ask(fleet.any(), "GET", path_of(self.number, more)) == 404:
                break
            await anyio.sleep(0.02)

    async def _ask(self, server: Process, method: str, path: str, body: object = None) -> int:
        pieces, status = bytearray(), 0
        with suppress(*_BROKEN):
            status = (await server.request(method, path, body, pieces)).status
        if self.mode.get("stream"):
            self.has_end = self.has_end or pieces.endswith(DONE)
            self.read += whole_frames(bytes(pieces)).removesuffix(DONE)
        return status


@attrs.define(eq=False)
class Rounds:
    """What was seen so far.

    Attributes:
        seen: how many responses ended in which way.
        logs: what the logs said, digested.
    """

    chance: random.Random
    seen: Counter[str] = attrs.field(factory=Counter)
    logs: dict[int, bytes] = attrs.field(factory=dict)
    _asked: int = 0

    async def one(self, fleet: Fleet, kind: str, streams: int) -> None:
        """Let clients ask for *streams* responses, bring trouble over their servers, and see what comes of it."""
        clients = [self._client() for _ in range(streams)]
        enough = self.chance.randrange(streams * 4_000)
        async with anyio.create_task_group() as tasks:
            for client in clients:
                tasks.start_soon(client.live, fleet)
            while sum(len(client.read) for client in clients) < enough:
                if all(client.has_end for client in clients):
                    break
                await anyio.sleep(0.001)
            await fleet.trouble(kind)
        self.seen[kind] += 1
        with anyio.fail_after(_SETTLED):
            async with anyio.create_task_group() as tasks:
                for client in clients:
                    tasks.start_soon(self._check, client, fleet)

    def _client(self) -> Client:
        self._asked += 1
        steps = self.chance.choice([0, 10, 40, 160])
        text = f"say {steps}" if self.chance.random() < 0.7 else f"items {steps // 20 + 1}"
        modes: list[dict[str, bool]] = [{"background": True, "stream": True}] * 8
        modes += [{"stream": True}, {"background": True}]
        return Client(self._asked, text, self.chance.choice(modes))

    async def _check(self, client: Client, fleet: Fleet) -> None:
        """Check that the response has come to its end, once, and that its log has all that its client has read."""
        while True:
            found = await fleet.any().get(id_of(client.number))
            if found.status == 200 and found.json["status"] not in ("queued", "in_progress"):
                break
            if found.status == 404 and not await fleet.shared.has(client.number):
                assert client.read == b"", "what a client has read is not there"
                self.seen["never stored"] += 1
                return
            await anyio.sleep(0.05)
        ended = found.json
        self.seen[ended["status"] if ended["error"] is None else ended["error"]["code"]] += 1
        if client.has_end:
            assert Said(200, client.read).events[-1]["response"] == ended, "its client has read another end"
        if not client.follows:
            return
        asked = self.chance.sample(fleet.servers, 2)
        replays = [await server.get(id_of(client.number), "?stream=true") for server in asked]
        assert {replay.status for replay in replays} == {200}
        [log] = {replay.body for replay in replays}
        events = check(log, ended)
        self.seen["events"] += len(events)
        self.seen["begun again"] += [event["type"] for event in events].count("response.in_progress") > 1
        if not fleet.resilient:  # who reads a log strictly takes a second beginning for a mistake (R035)
            assert validate_events(log, retrieved=ended).ok
        self.logs[client.number] = hashlib.sha256(log).digest()
        assert log.startswith(client.read), "what a client has read is not there"
        self.seen["read to its end" if client.has_end else "read in part"] += 1
        assert not client.has_end or log == client.read + DONE

    async def look_again(self, fleet: Fleet) -> None:
        """Check that nothing has changed since."""
        for number, digest in self.chance.sample(sorted(self.logs.items()), min(300, len(self.logs))):
            replay = await fleet.any().get(id_of(number), "?stream=true")
            assert hashlib.sha256(replay.body).digest() == digest


@pytest.mark.parametrize(("kind", "resilient"), [("kill", True), ("cut", False)])
async def test_one_round(nursery: Nursery, tmp_path: Path, engine: str, kind: str, resilient: bool) -> None:
    past = Rounds(random.Random(7))
    async with cluster(nursery, tmp_path, engine) as shared, fleet_of(shared, 2, resilient, past.chance) as fleet:
        await past.one(fleet, kind, 12)
        await past.look_again(fleet)
    assert past.seen["read to its end"] > 0


@pytest.mark.slow
@pytest.mark.timeout(1_800)
async def test_a_hundred_rounds(nursery: Nursery, tmp_path: Path, engine: str) -> None:
    """Issue 7: kill -9, sleeps for longer than the lease, and severed connections, at random moments."""
    past = Rounds(random.Random(7))
    async with cluster(nursery, tmp_path, engine) as shared:
        for season, (count, resilient) in enumerate(SEASONS):
            async with fleet_of(shared, count, resilient, past.chance) as fleet:
                for round in range(season, ROUNDS, len(SEASONS)):
                    await past.one(fleet, FAULTS[(round // len(SEASONS) + season) % len(FAULTS)], STREAMS)
                await past.look_again(fleet)
    print(dict(past.seen))
    outcomes = ("completed", "server_restarted", "begun again", "read to its end", *FAULTS)
    assert min(past.seen[outcome] for outcome in outcomes) >= ROUNDS // len(FAULTS)
