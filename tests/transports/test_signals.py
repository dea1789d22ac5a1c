"""Draining when a signal comes, beside whoever else hears it."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import anyio
import anyio.from_thread
import anyio.lowlevel
import pytest

from responses_transports.asgi import ASGIApp
from responses_transports.signals import draining_on_signals

from .answering import FakeEngine, echo
from .asgi_calls import calling

pytestmark = pytest.mark.anyio


class Drain:
    """Notes that it was called."""

    def __init__(self) -> None:
        self.begun = anyio.Event()
        self.count = 0

    async def __call__(self) -> None:
        self.count += 1
        self.begun.set()


@contextmanager
def handling(number: signal.Signals) -> Iterator[list[int]]:
    """Handle a signal as a server does."""
    heard: list[int] = []

    def handler(number: int, _frame: FrameType | None) -> None:
        heard.append(number)

    before = signal.signal(number, handler)
    try:
        yield heard
        assert signal.getsignal(number) is handler
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_who_heard_it_before_hears_it_still(number: signal.Signals) -> None:
    drain = Drain()
    with handling(number) as heard:
        async with draining_on_signals(drain):
            signal.raise_signal(number)
            assert heard == [number]
            await drain.begun.wait()
            signal.raise_signal(number)
            for _ in range(3):  # the loop has yet to hear of it
                await anyio.lowlevel.checkpoint()
            await anyio.wait_all_tasks_blocked()
        assert heard == [number, number]
    assert drain.count == 1


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.usefixtures("anyio_backend")
async def test_who_hears_it_by_the_loop_hears_it_still() -> None:
    """As hypercorn and granian do."""
    drain, heard = Drain(), anyio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, heard.set)
    try:
        async with draining_on_signals(drain):
            signal.raise_signal(signal.SIGTERM)
            await heard.wait()
            await drain.begun.wait()
        heard = anyio.Event()
        loop.add_signal_handler(signal.SIGTERM, heard.set)
        signal.raise_signal(signal.SIGTERM)
        await heard.wait()
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
    assert drain.count == 1


async def test_a_signal_that_nobody_handles_is_left_alone() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        async with draining_on_signals(Drain()):
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


async def test_a_handler_that_came_later_stays() -> None:
    with handling(signal.SIGTERM):
        before = signal.getsignal(signal.SIGTERM)
        async with draining_on_signals(Drain()):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        signal.signal(signal.SIGTERM, before)


def test_a_handler_outlives_its_loop(anyio_backend: str) -> None:
    left: list[object] = []

    async def run() -> None:
        async with draining_on_signals(Drain()):
            left.append(signal.getsignal(signal.SIGTERM))

    with handling(signal.SIGTERM) as heard:
        anyio.run(run, backend=anyio_backend)
        [handler] = left
        assert callable(handler)
        handler(signal.SIGTERM, None)
        assert heard == [signal.SIGTERM]


def test_another_thread_hears_no_signals(anyio_backend: str) -> None:
    async def run() -> None:
        assert threading.current_thread() is not threading.main_thread()
        async with draining_on_signals(Drain()):
            signals.append(signal.getsignal(signal.SIGTERM))

    signals = [signal.getsignal(signal.SIGTERM)]
    with anyio.from_thread.start_blocking_portal(anyio_backend) as portal:
        portal.call(run)
    assert signals[0] is signals[1]


@pytest.mark.parametrize("drains", [True, False])
async def test_an_application_drains_while_its_lifespan_is_open(drains: bool) -> None:
    engine = FakeEngine(echo)
    with handling(signal.SIGTERM) as heard:
        async with calling(ASGIApp(engine, drain_on_signals=drains), {"type": "lifespan"}) as call:
            await call.put({"type": "lifespan.startup"})
            await call.take()
            signal.raise_signal(signal.SIGTERM)
            for _ in range(3):  # the loop has yet to hear of it
                await anyio.lowlevel.checkpoint()
            await anyio.wait_all_tasks_blocked()
            assert engine.drained is drains
            await call.put({"type": "lifespan.shutdown"})
            await call.take()
        assert heard == [signal.SIGTERM]
