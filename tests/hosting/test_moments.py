"""A `Moment` comes once, whoever waits for it and whenever."""

from __future__ import annotations

import anyio
import pytest

from responses_stream.hosting.moments import Moment

pytestmark = pytest.mark.anyio


async def test_all_who_wait_are_woken() -> None:
    moment, woken = Moment(), []

    async def wait(number: int) -> None:
        await moment.wait()
        woken.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(3):
            tasks.start_soon(wait, number)
        await anyio.wait_all_tasks_blocked()
        assert not moment.is_set()
        assert woken == []
        moment.set()
    assert sorted(woken) == [0, 1, 2]


async def test_who_comes_later_does_not_wait() -> None:
    moment = Moment()
    moment.set()
    moment.set()
    assert moment.is_set()
    with anyio.fail_after(1):
        await moment.wait()


async def test_who_comes_later_can_be_cancelled() -> None:
    """As with an event of anyio, to wait for what has come is a checkpoint."""
    moment = Moment()
    moment.set()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await moment.wait()
    assert scope.cancelled_caught
