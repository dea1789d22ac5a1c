"""`validate_events`: a whole stream in, its `Report` out."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Awaitable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, Protocol, TypeAlias, cast, overload, runtime_checkable

from responses_stream.errors import InvalidType
from responses_stream.protocol.base import Wire
from responses_stream.validation.profiles import Profile
from responses_stream.validation.report import Report
from responses_stream.validation.sources import TEXT, Body, Dumps, Source
from responses_stream.validation.validator import MAX_FRAME_BYTES, EventValidator, Transport

_CHUNK: Final = 256 * 1024


@runtime_checkable
class Readable(Protocol):
    """An open file."""

    def read(self, size: int, /) -> bytes | str:
        """Return the next piece; empty at the end."""


Stream: TypeAlias = Source | Iterable[Source] | Readable | os.PathLike[str]
"""A whole stream: text, events, a file, or the path of one."""


@overload
def validate_events(
    source: Stream,
    profile: Profile = "strict",
    *,
    request: Body | None = None,
    retrieved: Body | None = None,
    original: Iterable[Source] | Source | None = None,
    starting_after: int | None = None,
    transport: Transport = "sse",
    select: Collection[str] = (),
    ignore: Collection[str] = (),
    max_frame_bytes: int = MAX_FRAME_BYTES,
) -> Report: ...
@overload
def validate_events(
    source: AsyncIterable[Source],
    profile: Profile = "strict",
    *,
    request: Body | None = None,
    retrieved: Body | None = None,
    original: Iterable[Source] | Source | None = None,
    starting_after: int | None = None,
    transport: Transport = "sse",
    select: Collection[str] = (),
    ignore: Collection[str] = (),
    max_frame_bytes: int = MAX_FRAME_BYTES,
) -> Awaitable[Report]: ...
def validate_events(
    source: Stream | AsyncIterable[Source],
    profile: Profile = "strict",
    *,
    request: Body | None = None,
    retrieved: Body | None = None,
    original: Iterable[Source] | Source | None = None,
    starting_after: int | None = None,
    transport: Transport = "sse",
    select: Collection[str] = (),
    ignore: Collection[str] = (),
    max_frame_bytes: int = MAX_FRAME_BYTES,
) -> Report | Awaitable[Report]:
    """Judge a whole stream and return what was found. An async iterable gives an awaitable.

    Args:
        source: typed events, dicts or objects of the `openai` package; SSE, JSON lines or a JSON array, as bytes or
            text; an iterable of any of these; an open file, or a path.
        profile: how strictly it is read.
        request: the body of the request that it answers.
        retrieved: what GET returned of the same response.
        original: the stream that it replays.
        starting_after: the cursor of the replay.
        transport: ``websocket`` for the messages of a connection.
        select: judge by these rules only.
        ignore: leave out these rules.
        max_frame_bytes: how long one event may be.

    Raises:
        InvalidValue: the profile, the transport or a rule is not known.
        InvalidType: something in it is nothing that can be read.
        OSError: the file cannot be read.
    """
    validator = EventValidator(
        profile,
        request=request,
        retrieved=retrieved,
        original=original,
        starting_after=starting_after,
        transport=transport,
        select=select,
        ignore=ignore,
        max_frame_bytes=max_frame_bytes,
    )
    if isinstance(source, AsyncIterable) and not isinstance(source, Iterable):
        return _judged_async(validator, source)
    for piece in _pieces(cast("Stream", source)):
        validator.feed(piece)
    validator.finish()
    return validator.report


async def _judged_async(validator: EventValidator, source: AsyncIterable[Source]) -> Report:
    async for piece in source:
        validator.feed(piece)
    validator.finish()
    return validator.report


def _pieces(source: Stream) -> Iterator[Source]:
    if isinstance(source, os.PathLike):
        with Path(source).open("rb") as file:
            yield from _of_file(file)
    elif isinstance(source, (*TEXT, Mapping, Wire, Dumps)):
        yield source
    elif isinstance(source, Readable):
        yield from _of_file(source)
    elif isinstance(source, Iterable):
        yield from source
    else:
        raise InvalidType("source", "events, bytes, text, a file, or an iterable of them", source)


def _of_file(file: Readable) -> Iterator[bytes | str]:
    while piece := file.read(_CHUNK):
        yield piece
