"""`News`: who waits is woken by what is told, and by every change of the connection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from typing import Final

import anyio
import attrs
import pytest

from responses_stream.stores.base import Key
from responses_stream.stores.news import EVERYBODY, News, topic_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Lost(Exception):
    """What a connection that is lost raises."""


@attrs.define(eq=False)
class Engine:
    """Tells what a test wants, over connections that succeed, fail or hang as it says."""

    will: list[str] = attrs.field(factory=list)
    connections: int = 0
    closed: int = 0
    pauses: list[float] = attrs.field(factory=list)
    connecting: anyio.Event = attrs.field(factory=anyio.Event)
    _said: asyncio.Queue[str | Exception] = attrs.field(factory=asyncio.Queue)

    def news(self) -> News:
        return News("Engine", self.listen, (Lost,), self.pause)

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0)

    def say(self, *told: str | Exception) -> None:
        for one in told:
            self._said.put_nowait(one)

    async def listen(self) -> AsyncGenerator[str, None]:
        self.connections += 1
        self.connecting.set()
        will = self.will.pop(0) if self.will else "connect"
        try:
            if will == "hang":
                await asyncio.Event().wait()
            if will == "fail":
                raise Lost("refused")
            if will == "break":
                raise ZeroDivisionError
            yield ""
            while will != "end":
                told = await self._said.get()
                if isinstance(told, Exception):
                    raise told
                yield told
        finally:
            self.closed += 1


SOON: Final = 5.0


def listens(news: News) -> bool:
    return news._is_listening


async def test_it_begins_once_and_wakes_by_topic() -> None:
    engine = Engine()
    news = engine.news()
    try:
        await asyncio.gather(*(news.begin() for _ in range(5)))
        await news.begin()
        assert engine.connections == 1
        with news.waiting("a") as mine, news.waiting("a") as same, news.waiting("b") as other:
            engine.say("c", "a")
            with anyio.fail_after(SOON):
                await mine.wait()
            assert same.is_set()
            assert not other.is_set()
            engine.say(EVERYBODY)
            with anyio.fail_after(SOON):
                await other.wait()
    finally:
        await news.aclose()
    assert engine.closed == 1


async def test_what_is_written_here_wakes_without_the_engine() -> None:
    news = Engine().news()
    with news.waiting("a") as mine, news.waiting("b") as other:
        news.wake("a")
        assert (mine.is_set(), other.is_set()) == (True, False)
        news.wake("nobody")


async def test_nothing_is_left_of_who_waits_no_more() -> None:
    news = Engine().news()
    with news.waiting("a") as first:
        with news.waiting("a"):
            pass
        news.wake("a")
        assert first.is_set()
    assert news._topics == {}


async def test_a_wait_ends_with_its_time_and_forgets_what_it_was_told() -> None:
    news = Engine().news()
    with news.waiting("a") as told:
        assert not await news.wait(told, anyio.current_time())
        news.wake("a")
        assert await news.wait(told, anyio.current_time() + SOON)
        assert not told.is_set()
        assert await news.wait(told, anyio.current_time() + SOON, longest=0.001)  # time to look for oneself


async def test_everybody_is_woken_when_the_connection_is_lost_and_when_it_is_back() -> None:
    """What was told in between, nobody knows."""
    engine = Engine(["connect", "fail", "connect"])
    news = engine.news()
    try:
        await news.begin()
        with news.waiting("a") as told:
            engine.say(Lost("cut"))
            woken = 0
            with anyio.fail_after(SOON):
                while engine.connections < 3 or not listens(news):
                    await told.wait()
                    told.clear()
                    woken += 1
            assert woken >= 2
            engine.say("a")
            with anyio.fail_after(SOON):
                await told.wait()
    finally:
        await news.aclose()


async def test_pauses_grow_up_to_a_bound_and_begin_anew_with_success(caplog: pytest.LogCaptureFixture) -> None:
    engine = Engine(["fail"] * 9 + ["connect", "fail", "connect"])
    news = engine.news()
    with caplog.at_level(logging.WARNING, "responses_stream"):
        try:
            await news.begin()  # returns after the first attempt, though that has failed
            assert not listens(news)
            with anyio.fail_after(SOON):
                while not listens(news):
                    await asyncio.sleep(0)
                engine.say(Lost("cut"))
                while engine.connections < 12:
                    await asyncio.sleep(0)
        finally:
            await news.aclose()
    assert engine.pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0, 0.1, 0.2]
    assert caplog.messages[0] == "Engine tells no news (Lost: refused); trying again in 0.1 s"
    assert all(record.exc_info is None or not record.exc_info for record in caplog.records)


async def test_a_connection_that_ends_without_a_word_is_made_again() -> None:
    engine = Engine(["end", "connect"])
    news = engine.news()
    try:
        await news.begin()
        with anyio.fail_after(SOON):
            while engine.connections < 2:
                await asyncio.sleep(0)
    finally:
        await news.aclose()


async def test_what_nobody_expected_is_logged_whole_and_survived(caplog: pytest.LogCaptureFixture) -> None:
    engine = Engine(["break", "connect"])
    news = engine.news()
    try:
        await news.begin()
        with anyio.fail_after(SOON):
            while not listens(news):
                await asyncio.sleep(0)
    finally:
        await news.aclose()
    [record] = caplog.records
    assert record.exc_info is not None
    assert record.getMessage().startswith("Engine tells no news (ZeroDivisionError)")


async def test_it_is_closed_before_it_has_begun() -> None:
    news = Engine().news()
    await news.aclose()
    await news.aclose()


async def test_who_begins_is_let_go_when_it_is_closed_at_once() -> None:
    """A task that is cancelled before its first step runs no line of its own."""
    engine = Engine()
    news = engine.news()
    beginning = asyncio.ensure_future(news.begin())
    closing = asyncio.ensure_future(news.aclose())
    with anyio.fail_after(SOON):
        await asyncio.gather(beginning, closing)
    await news.aclose()


async def test_it_is_closed_while_it_connects() -> None:
    engine = Engine(["hang"])
    news = engine.news()
    beginning = asyncio.ensure_future(news.begin())
    with anyio.fail_after(SOON):
        await engine.connecting.wait()
        await news.aclose()
        await beginning
    assert engine.closed == 1


async def test_who_waits_is_woken_when_it_is_closed() -> None:
    engine = Engine()
    news = engine.news()
    await news.begin()
    with news.waiting("a") as told:
        await news.aclose()
        assert told.is_set()
    assert engine.closed == 1
    assert not listens(news)


async def test_topics_are_short_and_apart() -> None:
    ids: list[Key | str] = [Key("", "x"), Key("x", ""), Key("", "o\0x"), "x", "", "r\0\0x", Key("\ud800", "y")]
    topics = {topic_of(one) for one in ids}
    assert len(topics) == len(ids)
    assert all(len(topic) == 24 for topic in topics)
    assert topic_of(Key("a", "b")) == topic_of(Key("a", "b"))
