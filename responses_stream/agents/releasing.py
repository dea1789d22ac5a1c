"""Letting go of what is read no more: a generator, a stream of a client library, the answer of a server.

Whoever stops reading early has to reach the model's own stream, or it goes on for nobody. Client libraries call that
`close` or `aclose`, and have it on the stream, on its iterator, or on both.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable
from typing import TypeVar

P = TypeVar("P")


def release(source: object) -> None:
    """Let go of *source*, where it can be told to."""
    close = getattr(source, "close", None)
    if callable(close):
        close()


async def release_async(source: object) -> None:
    """Let go of *source* as `release` does, whichever way it is closed."""
    close = getattr(source, "aclose", None) or getattr(source, "close", None)
    if callable(close):
        closing = close()
        if inspect.isawaitable(closing):
            await closing


def held(source: Iterable[P]) -> Generator[P, None, None]:
    """Yield what *source* does, and let go of it and of its iterator, which may be two things, when it is over."""
    with contextlib.ExitStack() as leaving:
        leaving.callback(release, source)
        iterator = iter(source)
        leaving.callback(release, iterator)
        yield from iterator


async def held_async(source: AsyncIterable[P]) -> AsyncGenerator[P, None]:
    """Yield what *source* does, as `held`."""
    async with contextlib.AsyncExitStack() as leaving:
        leaving.push_async_callback(release_async, source)
        iterator = aiter(source)
        # The streams of the `openai` package are iterated by a generator of their own, which nobody else closes.
        leaving.push_async_callback(release_async, iterator)
        async for piece in iterator:
            yield piece
