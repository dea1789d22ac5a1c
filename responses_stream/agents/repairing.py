"""`repaired`: the events of a broken Responses stream in, those of a legal one out, and a report of what was mended.

What the upstream forgot is opened and closed for it, ids that drift are pinned to the first, members that are missing
are filled in, the final output is what was streamed, and there is exactly one terminal event, whatever the upstream
does. A stream that breaks no rule comes through event by event as it is. Nothing is waited for: each event is said when
it comes, so what a client has read already is never taken back.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Iterable, Iterator, Mapping
from typing import Final, TypeAlias, cast, overload

from responses_stream.agents.releasing import held, held_async, release, release_async
from responses_stream.agents.repairing_characters import without_halves
from responses_stream.agents.repairing_course import Course
from responses_stream.agents.repairing_numbers import Numbers
from responses_stream.agents.repairing_report import Json, Outlet, Repair, RepairReport
from responses_stream.agents.repairing_sources import TextReading
from responses_stream.builders.events import AsyncEvents, Events
from responses_stream.errors import InvalidType
from responses_stream.protocol.base import Event, UnknownEvent
from responses_stream.protocol.codec import decode_event
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.validation.sources import TEXT, Source, plain
from responses_stream.validation.structure import word_of

__all__ = ["AsyncRepaired", "Repair", "RepairReport", "Repaired", "repaired"]

_log: Final = logging.getLogger("responses_stream")

# What a frame is called that has no name.
_NO_NAME: Final = "message"

Damaged: TypeAlias = Source
"""An event of an upstream, in any of its forms, or a piece of its SSE, cut anywhere."""


class Repaired(Events):
    """The events of a repaired stream; iterated once, either way.

    Attributes:
        report: what was mended so far.
    """

    __slots__ = ("_upstream", "report")

    def __init__(self, source: Iterable[ResponseStreamEvent], report: RepairReport, upstream: object) -> None:
        super().__init__(source)
        self.report, self._upstream = report, upstream

    def close(self) -> None:
        """Make no more events, and let go of the upstream, also where nothing was read of it."""
        super().close()
        release(self._upstream)


class AsyncRepaired(AsyncEvents):
    """The events of a repaired stream whose upstream is asynchronous; iterated once, with ``async for``.

    Attributes:
        report: what was mended so far.
    """

    __slots__ = ("_upstream", "report")

    def __init__(self, source: AsyncIterable[ResponseStreamEvent], report: RepairReport, upstream: object) -> None:
        super().__init__(source)
        self.report, self._upstream = report, upstream

    async def aclose(self) -> None:
        """Make no more events, and let go of the upstream, also where nothing was read of it."""
        await super().aclose()
        await release_async(self._upstream)


@overload
def repaired(events: Iterable[Damaged] | bytes | str) -> Repaired: ...
@overload
def repaired(events: AsyncIterable[Damaged]) -> AsyncRepaired: ...
def repaired(events: Iterable[Damaged] | bytes | str | AsyncIterable[Damaged]) -> Repaired | AsyncRepaired:
    """Return the events of one response so that they keep the rules of the profile ``strict``, numbered from 0.

    Mended is what that profile calls an error; what it calls a warning (two items open at once, a type that nobody
    knows) is odd and legal, and stays. Reading stops at the terminal event or at ``[DONE]``, and the
    upstream is closed. One that stops without a terminal event, or raises, is ended with `response.completed` where all
    it said was finished and was an answer, and with `response.failed` otherwise: half an answer is never told as a
    whole one.

    Args:
        events: dicts, events of ours, objects of the `openai` package, or SSE bytes or text in any cuts; whole SSE
            bytes or text, too. What can be iterated both ways is iterated with ``for``.

    Raises:
        InvalidType: *events* is not iterable; or, while iterating, it yields what is no event.
        InvalidValue: while iterating, at the first event: the stream speaks another protocol.
    """
    report = RepairReport()
    if isinstance(events, TEXT):
        events = [events]
    if isinstance(events, Iterable) and not isinstance(events, Mapping):
        return Repaired(_repaired(held(events), report), report, events)
    if isinstance(events, AsyncIterable):
        return AsyncRepaired(_repaired_async(held_async(events), report), report, events)
    raise InvalidType("events", "an iterable of events, or SSE bytes or text", events)


def _repaired(source: Iterable[Damaged], report: RepairReport) -> Generator[ResponseStreamEvent, None, None]:
    repair = _Repairing(report)
    try:
        pieces = iter(source)
        while not repair.ended:
            try:
                piece = next(pieces)
            except StopIteration:
                break
            except Exception as error:
                repair.blame(error)
                break
            yield from repair.take(piece)
        yield from repair.finish()
    finally:
        release(source)


async def _repaired_async(
    source: AsyncIterable[Damaged], report: RepairReport
) -> AsyncGenerator[ResponseStreamEvent, None]:
    repair = _Repairing(report)
    try:
        pieces: AsyncIterator[Damaged] = aiter(source)
        while not repair.ended:
            try:
                piece = await anext(pieces)
            except StopAsyncIteration:
                break
            except Exception as error:
                repair.blame(error)
                break
            for event in repair.take(piece):
                yield event
        for event in repair.finish():
            yield event
    finally:
        await release_async(source)


class _Repairing:
    """One repair, without I/O: pieces of the upstream in, typed events out."""

    def __init__(self, report: RepairReport) -> None:
        self._outlet = Outlet(report)
        self._numbers, self._course = Numbers(self._outlet), Course(self._outlet)
        self._text: TextReading | None = None
        self._count = self._number = 0
        self._broke = False
        self._code = ""

    @property
    def ended(self) -> bool:
        """Whether nothing more is read: the terminal event was said, or ``[DONE]`` was read."""
        return self._course.ended or (self._text is not None and self._text.done)

    def blame(self, error: Exception) -> None:
        """Take it that the upstream broke off; what it raised is for the operator."""
        _log.error("the upstream of a repaired stream raised", exc_info=error)
        self._broke = True
        self._code = word_of(getattr(error, "code", None)) or ""

    def take(self, piece: Damaged) -> Iterator[ResponseStreamEvent]:
        """Yield what is to be said now that *piece* has come.

        Raises:
            InvalidType, InvalidValue: as for `repaired`.
        """
        if isinstance(piece, TEXT):
            if self._text is None:
                self._text = TextReading()
            yield from self._of_text(self._text.take(piece))
        else:
            typed = piece if isinstance(piece, Event | UnknownEvent) else None
            yield from self._taken(plain(piece, "an event"), cast("ResponseStreamEvent | None", typed))

    def finish(self) -> Iterator[ResponseStreamEvent]:
        """Yield what is owed when nothing more comes."""
        if self._text is not None and not self._course.ended:
            yield from self._of_text(self._text.end())
        for index, event in self._numbers.rest():
            yield from self._repaired(index, event, None)
        if not self._course.ended:
            self._course.finish(broke=self._broke, code=self._code)
            yield from self._said(None, None)

    def _taken(self, event: Json, typed: ResponseStreamEvent | None) -> Iterator[ResponseStreamEvent]:
        index, self._count = self._count, self._count + 1
        for at, one in self._numbers.take(index, event):
            yield from self._repaired(at, one, typed if at == index else None)

    def _repaired(self, index: int, event: Json, typed: ResponseStreamEvent | None) -> Iterator[ResponseStreamEvent]:
        self._outlet.begin(index, str(event.get("type", "")))
        whole = without_halves(event)
        if whole is not event:
            self._outlet.mend("R001", "half characters in it were replaced", habit="halves")
        self._course.take(index, whole)
        yield from self._said(event, typed)

    def _said(self, event: Json | None, typed: ResponseStreamEvent | None) -> Iterator[ResponseStreamEvent]:
        """Yield the events that were said, numbered; the one that came is itself where nothing of it was changed."""
        whole = self._outlet.take()
        if event is not None and whole and not self._outlet.mended and not any(_is(said, event) for said in whole):
            self._outlet.mend("R068" if "item" in event else "R013", "what it left out was written out")
        for said in whole:
            said["sequence_number"] = self._number
            self._number += 1
            yield typed if typed is not None and said == event else decode_event(said)

    def _of_text(self, events: Iterable[tuple[Json | None, str]]) -> Iterator[ResponseStreamEvent]:
        """Yield what is to be said now that these have come, each with the name of its frame."""
        for event, name in events:
            if event is None:
                self._outlet.begin(self._count, name)
                self._outlet.mend("R001", "it was no JSON object, and was left out")
                self._count += 1
                continue
            if name and name != _NO_NAME and "type" not in event:
                self._outlet.begin(self._count, name)
                self._outlet.mend("R011", "its type stood beside it only, as the name of its frame", habit="frame")
                event = {"type": name, **event}
            yield from self._taken(event, None)


def _is(said: Json, event: Json) -> bool:
    """Whether an event was said as it came, its number aside."""
    return {**said, "sequence_number": 0} == {**event, "sequence_number": 0}
