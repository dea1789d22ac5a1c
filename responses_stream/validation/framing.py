"""The text of a stream: Server-Sent Events as they came, with what is wrong about the framing (R001-R010).

It turns bytes into events for the judge, and tells the findings where each one stands. In the place of an event that
cannot be read stands `UNREADABLE`: why is said here, and the judge has to know that something is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal

from responses_stream._frames import COMMENT_FIELD, Comment, Frame, FrameDecoder, FrameTooLarge
from responses_stream.errors import DecodeError
from responses_stream.protocol.codec import from_json
from responses_stream.validation.differences import shown
from responses_stream.validation.findings import Findings

UNREADABLE: Final = object()
"""What is yielded for an event that could not be read."""

_DONE: Final = b"[DONE]"
_USUAL: Final = ("event", "data")
_MANY_LINES: Final = "its JSON on one data: line"
_SHOWN: Final = 60


def event_of(data: bytes, line: int, offset: int, findings: Findings, *, exact: bool = True) -> Any:
    """Return the value that JSON text stands for; where it is none, say why and return `UNREADABLE`.

    What is not UTF-8 is said and replaced, as the standard wants readers to do (R008).

    Args:
        data: the text.
        line: the line in which it begins.
        offset: the byte at which it begins.
        findings: takes what is wrong.
        exact: whether it stood in the stream as it is here, so that a place in it is a place in the stream.
    """
    try:
        return from_json(data)
    except DecodeError as error:
        within = error.offset or 0
        findings.line = line + data.count(b"\n", 0, within)
        findings.offset = offset + (within if exact else 0)
        if not _is_utf8(data):
            findings.say("R008", "$", "bytes that are not UTF-8", "UTF-8", once="utf-8")
            try:
                return from_json(data.decode("utf-8", "replace"))
            except DecodeError:
                pass
        text = data[: _SHOWN + 1].decode("utf-8", "replace")
        findings.say("R001", "$", f"{shown(text)}: {error.reason}", "one JSON object")
        return UNREADABLE


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


class Framing:
    """Reads the frames of one stream.

    Attributes:
        ended: whether a terminal event was read; whoever judges them says so.
        done: whether ``[DONE]`` was read.
        cut: whether the stream ended inside a frame whose data is no event.
        too_large: whether a frame was too large to be read.
    """

    def __init__(self, findings: Findings, max_frame_bytes: int) -> None:
        self._findings = findings
        self._frames = FrameDecoder(comments=True, dataless=True, max_frame_bytes=max_frame_bytes)
        self._nameless: tuple[int, int, int] | None = None
        self._named = self._style_told = False
        self.ended = self.done = self.cut = self.too_large = False

    def feed(self, chunk: bytes) -> Iterator[Any]:
        """Take the next bytes; yield the JSON values of the frames, while the findings stand at their place."""
        self._frames.feed(chunk)
        yield from self._read()

    def close(self) -> Iterator[Any]:
        """Say that the stream has ended; yield what was left of it, where that is an event."""
        rest = self._frames.close()
        yield from self._read()
        if rest is None:
            return
        self._at(rest)
        if rest.data != _DONE:
            try:
                from_json(rest.data)
            except DecodeError:
                self.cut = not self.ended
                if self.ended:
                    self._findings.say("R007", "$", "the stream ends inside a frame", "an empty line behind each frame")
                return
        self._findings.say("R007", "$", "the last frame has no empty line behind it", "an empty line")
        yield from self._frame(rest)

    def finish(self) -> None:
        """Say what only the end shows (R003, R006)."""
        if self._nameless is not None:
            self._say_nameless("warning")
        if not self.done and self.ended and self._findings.profile == "open-responses":
            self._findings.say("R006", "$", "the stream ends without [DONE]", "data: [DONE]")

    def _read(self) -> Iterator[Any]:
        findings = self._findings
        while True:
            try:
                token = next(self._frames)
            except StopIteration:
                return
            except FrameTooLarge as error:
                self.too_large = True
                findings.line, findings.offset = None, error.offset
                findings.say("R001", "$", error.reason, f"a frame of at most {error.limit} bytes")
                yield UNREADABLE
                continue
            if isinstance(token, Comment):
                if self.ended:
                    findings.line, findings.offset = token.line, token.offset
                    findings.say("R009", "$", "a comment after the terminal event", "nothing", once="comment")
                continue
            self._at(token)
            yield from self._frame(token)

    def _at(self, frame: Frame) -> None:
        self._findings.line, self._findings.offset = frame.line, frame.offset

    def _frame(self, frame: Frame) -> Iterator[Any]:
        findings = self._findings
        if frame.fields != _USUAL or not frame.lf or frame.data_lines != 1:
            self._judge_form(frame)
        if not frame.data_lines:
            return
        if self.done:
            findings.say("R005", "$", "a frame after [DONE]", "nothing but comments", once="done")
            return
        if frame.data == _DONE:
            self.done = True
            if findings.profile in ("openai", "azure"):
                findings.say("R006", "$", "[DONE]", f"no such frame in profile {findings.profile}")
            return
        # Of a field that is there several times, the frame knows the first place only; that is rare enough.
        line = frame.line + frame.fields.index("data")
        event = event_of(frame.data, line, frame.data_offset, findings, exact=frame.data_lines == 1)
        if event is not UNREADABLE:
            self._judge_name(frame, event)
        yield event

    def _judge_form(self, frame: Frame) -> None:
        """R004, R008-R010."""
        findings, fields = self._findings, frame.fields
        if "id" in fields:
            findings.say("R004", "$", "an id: field", "none", once="id")
        if "retry" in fields:
            findings.say("R010", "$", "a retry: field", "none", once="retry")
        if COMMENT_FIELD in fields and frame.data_lines:
            findings.say("R009", "$", "a comment inside a frame", "comments between frames", once="inside")
        if not frame.lf:
            findings.say("R008", "$", "line ends other than LF", "LF", once="lf")
        if frame.data_lines > 1:
            findings.say("R008", "$", f"{frame.data_lines} data: lines", _MANY_LINES, once="lines")

    def _judge_name(self, frame: Frame, event: Any) -> None:
        """R002, R003. A stream that names no frame at all is odd, and all clients that were measured read it."""
        findings = self._findings
        if "event" in frame.fields:
            if self._nameless is not None:
                self._say_nameless("error")
            self._named = True
            name = event.get("type") if isinstance(event, dict) else None
            if isinstance(name, str) and name and frame.event != name:
                seen = f"event: {shown(frame.event)} over data of type {shown(name)}"
                findings.say("R002", "$.type", seen, f"event: {shown(name)}", once=f"{frame.event} {name}")
        elif self._named:
            findings.say("R003", "$", "a frame without an event: field", "event: with the type", once="frame")
        elif self._nameless is None and not self._style_told:
            self._nameless = (findings.index, frame.line, frame.offset)

    def _say_nameless(self, gravity: Literal["error", "warning"]) -> None:
        assert self._nameless is not None
        findings, here = self._findings, (self._findings.index, self._findings.line, self._findings.offset)
        findings.index, findings.line, findings.offset = self._nameless
        seen = "no frame has an event: field" if gravity == "warning" else "a frame without an event: field"
        findings.say("R003", "$", seen, "event: with the type", at_most=gravity, once="frame")
        findings.index, findings.line, findings.offset = here
        self._nameless, self._style_told = None, True
