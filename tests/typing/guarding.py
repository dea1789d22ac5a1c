"""What mypy must accept of `guarded` and `encode_stream`, and what it must refuse."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from typing import assert_type

from responses_stream import (
    AsyncEvents,
    AsyncYield,
    Events,
    ResponseObject,
    SyncYield,
    TextResponse,
    accumulate,
    encode_stream,
    guarded,
)


def sync(source: Iterator[SyncYield], text: TextResponse) -> None:
    assert_type(guarded(source), Events)
    assert_type(guarded(text), Events)
    assert_type(encode_stream(source), Generator[bytes, None, None])
    assert_type(encode_stream(text, done=False), Generator[bytes, None, None])
    assert_type(accumulate(guarded(source)), ResponseObject)
    guarded(3)  # type: ignore[call-overload]
    encode_stream([b"bytes"])  # type: ignore[list-item]
    encode_stream(source, False)  # type: ignore[call-overload]


async def later(source: AsyncIterator[AsyncYield], text: TextResponse) -> None:
    assert_type(guarded(source), AsyncEvents)
    assert_type(guarded(aiter(text)), AsyncEvents)
    assert_type(encode_stream(source), AsyncGenerator[bytes, None])
    assert_type(encode_stream(aiter(text)), AsyncGenerator[bytes, None])
    assert_type(await accumulate(guarded(source)), ResponseObject)
    for _ in guarded(source):  # type: ignore[attr-defined]
        pass
