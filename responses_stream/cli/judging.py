"""Judging one stream of an input: what is found goes to a writer at once, and what it comes to into a `Verdict`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

import attrs

from responses_stream.cli.verdicts import Source, Verdict
from responses_stream.validation import EventValidator, Profile, Transport, Violation
from responses_stream.validation.capture_layers import UnusableCapture
from responses_stream.validation.captures import Stream
from responses_stream.validation.documents import Document, DocumentDecoder, DocumentError, DocumentTooLarge
from responses_stream.validation.validator import MAX_FRAME_BYTES

HOPELESS: Final = 1000
"""How many times as many errors as are told there have to be for an input to be given up."""


@attrs.frozen(kw_only=True)
class Judging:
    """How streams are judged: the arguments of `EventValidator`, and how much is told.

    Attributes:
        max_line_bytes: how long one event may be; also how much may come before the first one.
        most: how many violations of one input are told; 0 for all.
    """

    profile: Profile = "strict"
    request: Mapping[str, Any] | None = None
    retrieved: Mapping[str, Any] | None = None
    original: Sequence[bytes] | None = None
    starting_after: int | None = None
    transport: Transport | None = None
    select: Collection[str] = ()
    ignore: Collection[str] = ()
    max_line_bytes: int = MAX_FRAME_BYTES
    most: int = 100

    def judge(self, source: Source, stream: Stream, tell: Callable[[Source, Violation], None]) -> Verdict:
        """Judge a stream to its end, or as far as it can be judged; *tell* what is found.

        Raises:
            InvalidValue: a rule is not known.
        """
        verdict = Verdict(source, self.profile)
        replayed = self.starting_after if self.starting_after is not None else stream.starting_after
        transport = self.transport or stream.transport
        validator = EventValidator(
            self.profile,
            request=self.request if self.request is not None else stream.request,
            retrieved=self.retrieved,
            original=self.original,
            starting_after=replayed,
            transport=transport,
            select=self.select,
            ignore=self.ignore,
            max_frame_bytes=self.max_line_bytes,
        )
        cut = _messages if transport == "websocket" else _chunks
        count = 0
        try:
            for piece, moved in cut(stream, self.max_line_bytes):
                count += len(piece)
                self._take(verdict, map(moved, validator.feed(piece)), tell)
                if validator.oversized:
                    raise _too_large(self.max_line_bytes)
                if self._is_hopeless(verdict, validator.events, count):
                    break
            else:
                last = validator.finish()
                # Of a replay, nothing may be left.
                if not validator.events and not verdict.errors and replayed is None:
                    raise UnusableCapture("there is no event in it")
                self._take(verdict, last, tell)
            if validator.dialect is not None and not verdict.errors:
                # The rule that says so was not asked for; the stream was not judged all the same.
                raise UnusableCapture(f"it speaks another protocol: {validator.dialect}")
        except UnusableCapture as error:
            verdict.error = str(error)
        verdict.events = validator.events
        return verdict

    def _take(self, verdict: Verdict, found: Iterable[Violation], tell: Callable[[Source, Violation], None]) -> None:
        for violation in found:
            if violation.severity == "error":
                verdict.errors += 1
            else:
                verdict.warnings += 1
            if not self.most or len(verdict.shown) < self.most:
                verdict.shown.append(violation)
                tell(verdict.source, violation)

    def _is_hopeless(self, verdict: Verdict, events: int, count: int) -> bool:
        """Whether there is no use in reading on.

        Raises:
            UnusableCapture: it goes on and on, and has no event.
        """
        if not events and not verdict.errors and count > self.max_line_bytes:
            raise UnusableCapture(f"there is no event in its first {count} bytes")
        if self.most and verdict.errors >= HOPELESS * self.most:
            verdict.notes.append(f"stopped after event {events}: it has {verdict.errors} errors by then")
            return True
        return False


def _too_large(limit: int) -> UnusableCapture:
    return UnusableCapture(f"an event has more than {limit} bytes; --max-line-bytes sets another limit")


Piece: TypeAlias = tuple[bytes, Callable[[Violation], Violation]]
"""What is fed at once, and what puts a violation in it where it is in the capture."""


def _chunks(stream: Stream, _limit: int) -> Iterator[Piece]:
    offset, line = stream.offset, stream.line

    def moved(violation: Violation) -> Violation:
        if violation.offset is None or not offset:
            return violation
        above = None if violation.line is None else violation.line + line
        return attrs.evolve(violation, offset=violation.offset + offset, line=above)

    for chunk in stream.chunks:
        yield chunk, moved


def _messages(stream: Stream, limit: int) -> Iterator[Piece]:
    """Cut the messages of a connection, which a WebSocket brings one by one."""
    decoder = DocumentDecoder(max_bytes=limit)
    for chunk in stream.chunks:
        decoder.feed(chunk)
        yield from _complete(decoder, stream)
    rest = decoder.close()
    yield from _complete(decoder, stream)
    if rest is not None:
        yield _message(rest, stream)


def _complete(decoder: DocumentDecoder, stream: Stream) -> Iterator[Piece]:
    try:
        for document in decoder:
            yield _message(document, stream)
    except DocumentTooLarge as error:
        raise _too_large(error.limit) from None
    except DocumentError as error:
        raise UnusableCapture(f"line {error.line + stream.line} is no message of a WebSocket: {error}") from None


def _message(document: Document, stream: Stream) -> Piece:
    offset, line = document.offset + stream.offset, document.line + stream.line
    return document.data, lambda violation: attrs.evolve(violation, offset=offset, line=line)
