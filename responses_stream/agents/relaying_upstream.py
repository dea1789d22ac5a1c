"""What an upstream sends, read as typed events, and what it has said of itself so far.

An upstream is another server's Responses stream. It may come as events of ours, as dicts, as objects of the `openai`
package, or as SSE in pieces that a network has cut anywhere. Nothing here judges the order of it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import attrs

from responses_stream import lifecycle
from responses_stream.builders import values
from responses_stream.builders.stream import SERVER_ERROR, SERVER_ERROR_MESSAGE
from responses_stream.errors import DecodeError, InvalidType, InvalidValue, ResponsesStreamError
from responses_stream.protocol.base import Event, UnknownEvent
from responses_stream.protocol.codec import decode_as, decode_event, from_json
from responses_stream.protocol.dumping import Dumps, dumped
from responses_stream.protocol.events import LifecycleEvent, ResponseErrorEvent, ResponseStreamEvent
from responses_stream.protocol.response import (
    InputTokensDetails,
    OutputTokensDetails,
    ResponseObject,
    ResponseUsage,
)
from responses_stream.sse import Chunk, EventDecoder

if TYPE_CHECKING:
    from responses_stream.agents.repairing_report import RepairReport

__all__ = [
    "Account",
    "Reader",
    "Upstream",
    "UpstreamFailed",
    "counted",
]

P = TypeVar("P")

Upstream: TypeAlias = Event | UnknownEvent | Mapping[str, Any] | Dumps | Chunk
"""A piece of an upstream: an event in any of its forms, or some of its bytes."""

TRUNCATED: Final = "upstream_truncated"
CANCELLED: Final = "upstream_cancelled"
BROKE: Final = "upstream_broke"

# How much of a body that is no stream of events is kept to tell its error, and how much of it is shown.
_KEPT: Final = 4096
_SHOWN: Final = 200

_FORMS: Final = "an event of ours, a dict, an object of the openai package, or bytes or text of SSE"


class UpstreamFailed(ResponsesStreamError):
    """The upstream said that it failed or was cancelled, or it broke off before it had said how it ends.

    The text is for the operator. A client is told of it what the handler decides.

    Attributes:
        code: the upstream's own; or ``upstream_truncated``, ``upstream_cancelled``, or ``upstream_broke`` where
            reading it has raised, which is the `__cause__`.
        message: what the upstream says of it.
    """

    def __init__(self, code: str, message: str) -> None:
        self.code, self.message = code, message
        super().__init__(f"the upstream failed with {code}: {message}")


@attrs.define(eq=False)
class Account:
    """What the upstream has said of itself.

    Attributes:
        response: its response, as the last event has it that carried one.
        error: its `error` event, where one came.
        ended: whether it has said how it ends.
        unread: how many bytes of it were left over that are no whole event.
        head: how its text begins, where that holds no event.
        raised: what reading it has raised.
        report: what was repaired of it; None where nothing is.
    """

    response: ResponseObject | None = None
    error: ResponseErrorEvent | None = None
    ended: bool = False
    unread: int = 0
    head: bytes = b""
    raised: Exception | None = None
    report: RepairReport | None = None
    _status: str | None = None

    @classmethod
    def of(cls, response: ResponseObject, status: str) -> Account:
        """Return the account of a response that has ended as *status*."""
        return cls(response, ended=True, status=status)

    def note(self, event: LifecycleEvent) -> None:
        """Take what a lifecycle event says."""
        self.response = event.response
        # Some servers leave the status to the name of the event.
        said = event.type.removeprefix("response.")
        self._status = event.response.status or ("in_progress" if event.type == lifecycle.CREATED else said)

    def note_error(self, event: ResponseErrorEvent) -> None:
        """Take an `error` event: the end, where nothing came before it (H3.10), and else the reason of the end."""
        self.error, self.ended = event, self.response is None

    @property
    def status(self) -> str | None:
        """How it stands; None where it has not told."""
        return "failed" if self.error is not None and (not self.ended or self.response is None) else self._status

    @property
    def usage(self) -> ResponseUsage | None:
        """What it has cost, see `counted`."""
        if self.response is None:
            return None
        misfit = (self.response.extra or {}).get("usage")
        return counted(self.response.usage or None if misfit is None else _fitted(misfit))

    @property
    def reason(self) -> tuple[str, str]:
        """The code and the message of its failure, as far as it told them."""
        if self.response is not None and self.response.error:
            return self.response.error.code or SERVER_ERROR, self.response.error.message or SERVER_ERROR_MESSAGE
        if self.error is not None:
            nested = self.error.error or None
            code = self.error.code or (nested.code if nested else None)
            message = self.error.message or (nested.message if nested else None)
            return code or SERVER_ERROR, message or SERVER_ERROR_MESSAGE
        return SERVER_ERROR, SERVER_ERROR_MESSAGE

    def failure(self) -> UpstreamFailed:
        """Return the error that tells why it came to no good end."""
        if self.raised is not None:
            return broken_by(self.raised)
        if self.report is not None and self.error is None and "R029" in self.report.rules:
            return UpstreamFailed(TRUNCATED, "it ended without a terminal event (R029)")
        if self.ended and self.status == "cancelled":
            return UpstreamFailed(CANCELLED, "it was cancelled")
        if self.ended or self.error is not None:
            return UpstreamFailed(*self.reason)
        # What an iterator of lines yields has lost its line ends, and is one endless line.
        left = f"; {self.unread} bytes at its end are no whole event" if self.unread else ""
        if self.response is None and self.head.strip():
            return _answered(self.head, left)
        last = "before any response" if self.response is None else f"while {self.response.id} was {self.status}"
        return UpstreamFailed(TRUNCATED, f"it ended {last}, without a terminal event (R029){left}")


def broken_by(error: Exception) -> UpstreamFailed:
    """Return the error to raise where reading the upstream has raised, with the code that *error* tells, if it does.

    The `openai` package raises what an `error` event says, and what its connection does.
    """
    failed = UpstreamFailed(_code_of(error) or BROKE, f"{type(error).__name__}: {error}")
    failed.__cause__ = error
    return failed


def _code_of(error: object) -> str | None:
    code = error.get("code") if isinstance(error, Mapping) else getattr(error, "code", None)
    return code if isinstance(code, str) and code else None


def _answered(head: bytes, left: str) -> UpstreamFailed:
    """Return the error for a body that is no stream of events: an answer of HTTP that tells an error, say."""
    try:
        body = from_json(head)
    except DecodeError:
        body = None
    error = body.get("error", body) if isinstance(body, dict) else None
    shown = head[:_SHOWN].decode("utf-8", "replace").strip()
    return UpstreamFailed(_code_of(error) or TRUNCATED, f"it answered with no event (R029), but with {shown!r}{left}")


def counted(usage: ResponseUsage | None) -> ResponseUsage | None:
    """Return a usage that our streams take: one that adds up, its details in full (R057, B1).

    Where the upstream's own does not, its input and output count: an answer is not lost for how its tokens were added.
    """
    try:
        return values.usage(usage)
    except InvalidValue:
        assert usage is not None
    read, written = max(usage.input_tokens, 0), max(usage.output_tokens, 0)
    details_in = usage.input_tokens_details or InputTokensDetails()
    details_out = usage.output_tokens_details or OutputTokensDetails()
    return ResponseUsage(
        input_tokens=read,
        output_tokens=written,
        total_tokens=read + written,
        input_tokens_details=InputTokensDetails(
            cached_tokens=_within(details_in.cached_tokens or 0, read),
            cache_write_tokens=_within(details_in.cache_write_tokens or 0, read),
        ),
        output_tokens_details=OutputTokensDetails(reasoning_tokens=_within(details_out.reasoning_tokens or 0, written)),
    )


def _fitted(usage: object) -> ResponseUsage | None:
    """Return a usage that the protocol does not know so, without a total for instance; None where it tells nothing."""
    from responses_stream.agents.repairing_response import counted as added_up

    added = added_up(usage)
    return None if added is None else decode_as(added, ResponseUsage)


def _within(count: int, whole: int) -> int:
    return min(max(count, 0), whole)


class Reader:
    """Reads the pieces of one upstream as events; comments are skipped, and what stands behind ``[DONE]``.

    Attributes:
        done: whether ``[DONE]`` was read.
    """

    __slots__ = ("_decoder", "_head")

    def __init__(self) -> None:
        self._decoder: EventDecoder | None = None
        self._head: bytes | None = b""

    @property
    def done(self) -> bool:
        return self._decoder is not None and self._decoder.done

    @property
    def unread(self) -> int:
        """How many bytes are kept that are no whole event yet."""
        return 0 if self._decoder is None else self._decoder.buffered

    @property
    def head(self) -> bytes:
        """How the text begins, up to some kilobytes; empty once an event was read."""
        return self._head or b""

    def events(self, piece: Upstream) -> Iterable[ResponseStreamEvent]:
        """Return the events that are complete with *piece*. One without a number has any (A9).

        Raises:
            InvalidType: it is nothing that an upstream may be made of.
            DecodeError, FrameTooLarge: it holds what is no event.
        """
        return _reading_of(type(piece))(self, piece)

    def decoded(self, chunk: Chunk) -> Iterable[ResponseStreamEvent]:
        """Return the events that are complete with a piece of SSE."""
        if self._decoder is None:
            self._decoder = EventDecoder(number_missing=True)
        if self._head is not None:
            return self._first(self._decoder, chunk)
        return self._decoder.feed(chunk).until_done()

    def _first(self, decoder: EventDecoder, chunk: Chunk) -> Iterator[ResponseStreamEvent]:
        """Yield what `decoded` does, and keep the text while it holds no event."""
        text = chunk.encode("utf-8", "replace") if isinstance(chunk, str) else bytes(chunk)
        self._head = ((self._head or b"") + text)[:_KEPT]
        for event in decoder.feed(chunk).until_done():
            self._head = None
            yield event


@functools.cache
def _reading_of(kind: type) -> Callable[[Reader, Any], Iterable[ResponseStreamEvent]]:
    # By class, and once: `isinstance` is slow with the metaclass of msgspec, and every token is asked.
    if issubclass(kind, Event | UnknownEvent):
        return lambda _, event: (event,)
    if issubclass(kind, dict):
        return lambda _, plain: (decode_event(plain, number=0),)
    if issubclass(kind, Mapping):
        return lambda _, plain: (decode_event(dict(plain), number=0),)
    if issubclass(kind, bytes | bytearray | memoryview | str):
        return Reader.decoded
    if callable(getattr(kind, "model_dump", None)):
        return lambda _, said: (decode_event(dumped(said), number=0),)
    return _refuse


def _refuse(_: Reader, piece: object) -> Iterable[ResponseStreamEvent]:
    raise InvalidType("a piece of the upstream", _FORMS, piece)
