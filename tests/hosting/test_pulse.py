"""One task wakes all who have waited long enough, in the order in which they are due (decision 14)."""

from __future__ import annotations

import anyio
import pytest

from responses_stream.hosting.pulse import Pulse

pytestmark = pytest.mark.anyio


async def test_who_is_due_is_woken_once_and_in_order() -> None:
    pulse, woken = Pulse(), list[str]()
    done = anyio.Event()

    def last() -> None:
        woken.append("last")
        done.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pulse.beat)
        await anyio.wait_all_tasks_blocked()
        now = anyio.current_time()
        pulse.add(lambda: woken.append("first"), now)
        pulse.add(lambda: woken.append("second"), now)
        pulse.add(last, now + 0.01)
        await done.wait()
        tasks.cancel_scope.cancel()
    assert woken == ["first", "second", "last"]


async def test_who_is_removed_is_not_woken() -> None:
    pulse, woken = Pulse(), list[str]()
    done = anyio.Event()

    def removed() -> None:
        woken.append("removed")

    now = anyio.current_time()
    pulse.add(removed, now)
    pulse.add(done.set, now + 0.01)
    pulse.remove(removed)
    pulse.remove(removed)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pulse.beat)
        await done.wait()
        tasks.cancel_scope.cancel()
    assert woken == []


async def test_who_comes_again_waits_anew() -> None:
    pulse, woken = Pulse(), list[str]()
    done = anyio.Event()

    def again() -> None:
        woken.append("again")
        done.set()

    now = anyio.current_time()
    pulse.add(again, now)
    pulse.add(lambda: woken.append("other"), now + 0.01)
    pulse.add(again, now + 0.02)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pulse.beat)
        await done.wait()
        tasks.cancel_scope.cancel()
    assert woken == ["other", "again"]


async def test_it_waits_for_the_first_to_come_and_for_the_next_after_the_last() -> None:
    pulse = Pulse()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pulse.beat)
        for _ in range(3):
            await anyio.wait_all_tasks_blocked()
            done = anyio.Event()
            pulse.add(done.set, anyio.current_time())
            await done.wait()
        tasks.cancel_scope.cancel()
    assert done.is_set()
