"""The tasks of a server: they outlive who began them, and end in order when the server does."""

from __future__ import annotations

import logging

import anyio
import pytest

from responses_stream.hosting.owner import RunOwner

from .gates import quiet

pytestmark = pytest.mark.anyio


async def test_a_task_that_is_cancelled_writes_its_end_before_the_server_has_ended() -> None:
    began, writing, written = anyio.Event(), anyio.Event(), anyio.Event()
    done: list[str] = []

    async def run() -> None:
        try:
            began.set()
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                writing.set()
                await written.wait()
                done.append("written")

    async def serve() -> None:
        async with owner.lifespan():
            (await owner.home()).start(run)
            await began.wait()
        done.append("ended")

    owner = RunOwner(1)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        await writing.wait()
        await quiet()
        assert done == []
        written.set()
    assert done == ["written", "ended"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_task_that_fails_is_logged_and_ends_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """On asyncio, where the tasks are of no group."""
    owner, ended = RunOwner(1), anyio.Event()

    async def fails() -> None:
        raise ValueError("of the engine")

    async def goes_on() -> None:
        await quiet()
        ended.set()

    async with owner.lifespan():
        home = await owner.home()
        home.start(fails)
        home.start(goes_on)
        await ended.wait()
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.getMessage() == "a task of the server has failed"
