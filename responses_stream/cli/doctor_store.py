"""What ``doctor`` does with a store: it has its engine examined, and then writes and reads a response of its own.

That response stands in a partition that nobody else has. The store is never attended: who attends is given what dead
servers have left, and has to see to that.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import anyio
import attrs

from responses_stream.hosting.storing import open_store, without_password
from responses_stream.stores.base import Ending, Key, NewResponse, NotStored, ResponseStore
from responses_stream.stores.examination import Examined, Finding, Findings, said_by
from responses_stream.stores.memory import MemoryStore

_PATIENCE: Final = 10.0
"""How many seconds news of a write may take before it counts as lost."""

_SOON: Final = 0.5
"""Within how many seconds a follower on another server hears of a write where the engine tells of it."""

_CREATED: Final = b'event: response.created\ndata: {"type":"response.created"}\n\n'
_SAID: Final = b'event: response.in_progress\ndata: {"type":"response.in_progress"}\n\n'
_ENDED: Final = b'event: response.completed\ndata: {"type":"response.completed"}\n\n'


def look_at_store(url: str) -> Sequence[Finding]:
    """Look at the store that *url* stands for."""
    return anyio.run(_look, url)


async def _look(url: str) -> Sequence[Finding]:
    store, other = open_store(url), open_store(url)
    findings = Findings()
    try:
        if isinstance(store, Examined):
            findings.found += await store.examine()
        if not findings.is_final:
            await write(store, findings)
        if not findings.is_final and not isinstance(store, MemoryStore):
            await follow(store, other, findings)
    finally:
        for one in (store, other):
            with suppress(Exception):  # an engine that is not there any more cannot be left in order
                await one.aclose()
    # Some clients repeat in their errors what they were given.
    return [attrs.evolve(finding, said=without_password(finding.said)) for finding in findings.found]


async def write(store: ResponseStore, findings: Findings) -> None:
    """Do with a response of our own what a server does with each: create, append, read, end, delete."""
    began = time.perf_counter()
    step = "create"
    key, owner = _key(), _owner()
    try:
        await store.create(_new(key, owner), [_CREATED])
        step = "append"
        await store.append(key, owner, 1, [_SAID])
        step = "note"
        await store.note(key, owner, b"{}")
        step = "read"
        page = await store.events(key)
        if list(page.frames) != [_CREATED, _SAID]:
            raise ValueError(f"what was read is not what was written: {len(page.frames)} events instead of 2")
        step = "end"
        await store.append(key, owner, 2, [_ENDED], Ending(b"{}", "completed"))
        step = "delete"
        await store.delete(key)
        step = "release"
        await store.release(owner)
    except Exception as error:  # whatever the engine has to say, its user has to hear
        with suppress(Exception):
            await _clear(store, key, owner)
        remedy = "may this user write, is there room, and does another version of the package use the same store?"
        findings.fail("write", f"a response cannot be stored, at {step!r}: {said_by(error)}", remedy, final=True)
        return
    seconds = time.perf_counter() - began
    findings.ok("write", f"a response was created, appended to, read, ended and deleted in {seconds * 1000:.1f} ms")


async def follow(store: ResponseStore, other: ResponseStore, findings: Findings) -> None:
    """Measure how soon one who follows a response on another server hears of a write."""
    key, owner = _key(), _owner()
    heard: list[float] = []
    try:
        await store.create(_new(key, owner), [_CREATED])
        # Whoever listens has connected before the measured write.
        await other.changed(key, -1, _PATIENCE)

        async def listen() -> None:
            await other.changed(key, 0, _PATIENCE)
            heard.append(time.perf_counter())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listen)
            with anyio.move_on_after(1):  # a driver that looks at its socket at intervals may never be seen to wait
                await anyio.wait_all_tasks_blocked()
            began = time.perf_counter()
            await store.append(key, owner, 1, [_ENDED], Ending(b"{}", "completed"))
    except Exception as error:
        findings.fail("news", said_by(error), "does the engine still answer?")
        return
    finally:
        with suppress(Exception):
            await _clear(store, key, owner)
    seconds = heard[0] - began
    said = f"a follower on another server hears of a write after {seconds * 1000:.1f} ms"
    if seconds > _SOON:
        findings.warn(
            "news", said, "no notification came: a proxy before the engine may not pass them, such as a pooler"
        )
    else:
        findings.ok("news", said)


async def _clear(store: ResponseStore, key: Key, owner: str) -> None:
    """Leave nothing behind, however far it went."""
    with suppress(NotStored):
        await store.cancel(key)  # one that is live can only be deleted while it is being cancelled
        await store.delete(key)
    await store.release(owner)


def _key() -> Key:
    name = uuid.uuid4().hex
    return Key(f"responses-stream doctor {name}", f"resp_{name}")


def _owner() -> str:
    return f"doctor-{uuid.uuid4().hex}"


def _new(key: Key, owner: str) -> NewResponse:
    return NewResponse(key=key, owner=owner, response=b"{}", status="in_progress", background=True, stream=True)
