"""Servers in processes of their own that share one engine, each test in a corner of it that is gone afterwards."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import anyio
import attrs

from responses_stream import ResponseStore, lifecycle
from responses_stream.sse import DONE
from responses_stream.stores.base import Key, NotStored

from ..hosting.test_processes import Nursery, Process, Said, id_of
from ..services import host_of
from ..stores.shared_stores import SHARED
from ..transports.wire import Answer, connected

ENGINES: Final = ("redis", "postgres")
_CORNERS: Final = {"redis": "prefix", "postgres": "schema"}
_ROOT: Final = Path(__file__).parents[2]
_ANEW: Final = ("x-request-id", "date")
PATIENCE: Final = 20.0
"""After how many seconds a test gives up that waits for something; nothing takes as long."""


@contextmanager
def forking() -> Iterator[Nursery]:
    """Start the process that the servers are forked from."""
    command = [sys.executable, "-m", "tests.cluster.child"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT) as process:
        try:
            yield Nursery(process)
        finally:
            process.kill()


@attrs.define(eq=False)
class Cluster:
    """The servers of a test.

    Attributes:
        nursery: where they come from.
        place: a folder of the test.
        store: what they share, as the test itself looks at it.
        url: its URL.
        settings: what they have in common.
    """

    nursery: Nursery
    place: Path
    store: ResponseStore
    url: str
    settings: Mapping[str, Any]
    _started: int = attrs.field(init=False, default=0)

    @property
    def journal(self) -> Path:
        """What the handlers have written down."""
        return self.place / "journal"

    @property
    def address(self) -> tuple[str, int]:
        """Where the engine listens."""
        return host_of(self.url)

    async def has(self, number: int) -> bool:
        """Tell whether there is a response of that number, also one that is not to be seen yet."""
        try:
            await self.store.get(Key("", id_of(number)))
        except NotStored:
            return False
        return True

    async def start(self, port: int | None = None, **more: Any) -> Process:
        """Start a server; *port* is where it is to look for the engine, if that is somewhere else."""
        self._started += 1
        url = self.url if port is None else moved(self.url, port)
        path = self.place / f"settings_{self._started}.json"
        path.write_text(json.dumps({"store": url, "journal": str(self.journal), **self.settings, **more}))
        return await self.nursery.start(path)


@asynccontextmanager
async def cluster(nursery: Nursery, place: Path, engine: str, **settings: Any) -> AsyncIterator[Cluster]:
    """Give a test the means to start servers on *engine*; all have ended when the context is left."""
    async with SHARED[engine](1) as [store]:
        corner = _CORNERS[engine]
        url = f"{store.url}{'&' if '?' in store.url else '?'}{corner}={getattr(store, corner)}"
        try:
            yield Cluster(nursery, place, store, url, settings)
        finally:
            with anyio.CancelScope(shield=True):
                await nursery.end_all()


@asynccontextmanager
async def servers(
    nursery: Nursery, place: Path, engine: str, count: int = 2, **settings: Any
) -> AsyncIterator[tuple[Cluster, list[Process]]]:
    """Start *count* servers, and give them some time for their test."""
    async with cluster(nursery, place, engine, **settings) as shared:
        with anyio.fail_after(2 * PATIENCE):
            yield shared, [await shared.start() for _ in range(count)]


async def answer(server: Process, method: str, path: str, body: object = None) -> Answer:
    """Ask, and return the whole answer but for what is another one each time."""
    async with connected(server.port) as wire:
        data = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(data)}\r\n\r\n"
        await wire.send(head.encode() + data)
        found = await wire.answer(method)
    # An error says it in its body as well, so that a user can tell it to the operator.
    said = found.body.replace(found.headers["x-request-id"].encode(), b"")
    return Answer(found.status, {name: value for name, value in found.headers.items() if name not in _ANEW}, said)


async def same_answer(servers: list[Process], method: str, path: str, body: object = None) -> Answer:
    """Ask all of *servers*, who have to say the same, byte for byte."""
    first, *others = [await answer(one, method, path, body) for one in servers]
    assert others == [first] * len(others), (method, path)
    return first


async def go(server: Process) -> None:
    """Let a handler of *server* that waits go on."""
    assert (await server.create("resp_" + "9" * 50, "go", store=False)).status == 200


def path_of(number: int, more: str = "") -> str:
    return f"/v1/responses/{id_of(number)}{more}"


async def asked(server: Process, number: int, input: object, **more: Any) -> dict[str, Any]:
    """Create a response, and return it."""
    body = {"model": "m", "input": input, "response_id": id_of(number), **more}
    found = await answer(server, "POST", "/v1/responses", body)
    assert found.status == 200, found.body
    created: dict[str, Any] = json.loads(found.body)
    return created


async def has_ended(server: Process, number: int) -> None:
    """Wait until a response has its end; one that is made in the foreground is not to be seen before."""
    while (await server.get(id_of(number))).json.get("status") in ("in_progress", None):
        await anyio.sleep(0.005)


def check(replay: bytes, ended: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the events of a log, which is whole: numbers without a hole, created once, one end."""
    events = Said(200, replay).events
    assert replay.endswith(DONE)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    types = Counter(event["type"] for event in events)
    assert types["response.created"] == 1
    assert sum(types[end] for end in lifecycle.TERMINAL) == 1
    assert events[-1]["response"] == ended
    return events


def moved(url: str, port: int) -> str:
    """Return the URL of an engine as it is behind the proxy at *port*."""
    parts = urlsplit(url)
    user = "" if parts.username is None else parts.netloc.rpartition("@")[0] + "@"
    return parts._replace(netloc=f"{user}127.0.0.1:{port}").geturl()
