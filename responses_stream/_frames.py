"""Reading `text/event-stream` by the rules of WHATWG: bytes in, however cut, and frames out.

Knows the framing and nothing of responses. The decoder keeps the open line and the open frame between calls, because a
network may cut anywhere, even inside a UTF-8 character or between CR and LF. A frame that lies whole in one chunk and
looks as servers write it takes a short way; all others go line by line. Either way each byte is looked at once.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Generic, Literal, TypeVar, overload

import attrs
import msgspec

from responses_stream.errors import DecodeError, InvalidType, InvalidValue, OutOfOrder

COMMENT_FIELD: Final = ":"
"""What stands in `Frame.fields` for a comment."""

UNKNOWN_FIELD: Final = "?"
"""What stands in `Frame.fields` for a field that the standard does not name; readers ignore it."""

MAX_FRAME_BYTES: Final = 16 * 1024 * 1024
"""How many bytes a frame may have unless the decoder is told otherwise."""

_BOM: Final = b"\xef\xbb\xbf"
_LF: Final = 0x0A
# What is kept of an open line whose frame is skipped: enough to know that it is not the line that closes the frame.
_NOT_EMPTY: Final = b"?"
_KNOWN_FIELDS: Final = {b"event": "event", b"data": "data", b"id": "id", b"retry": "retry", b"": COMMENT_FIELD}
_USUAL_FIELDS: Final = ("event", "data")
_LONGEST_USUAL_HEAD: Final = 256
_LONGEST_RETRY: Final = 18


# msgspec makes these six times faster than attrs does, and one is made for every token that is read.
class Frame(msgspec.Struct, frozen=True, gc=False):
    """One frame, as it stood on the wire.

    Attributes:
        event: the value of its last `event:` line; empty when there was none.
        data: the values of its `data:` lines, joined by LF; the bytes are not checked to be UTF-8.
        id: the value of its last `id:` line; None when there was none or it held a NUL.
        retry: the value of its last `retry:` line in milliseconds; None when there was none or it was no number.
        offset: the place of its first byte, counted from the first byte that was fed.
        line: the number of its first line, from 1.
        data_offset: the place of the first byte of `data`; `offset` when there is no `data:` line.
        data_lines: how many `data:` lines it has; more than one is against R008.
        fields: the names of its lines in the order of their first appearance, `:` for comments and `?` for what the
            standard does not name (R003, R004, R009, R010).
        lf: whether each of its lines, the empty one included, ends with a lone LF (R008).
    """

    event: str
    data: bytes
    id: str | None
    retry: int | None
    offset: int
    line: int
    data_offset: int
    data_lines: int
    fields: tuple[str, ...]
    lf: bool

    @property
    def text(self) -> str:
        """The data as text; what is not UTF-8 is replaced by U+FFFD, as the standard wants it."""
        return self.data.decode("utf-8", "replace")


class Comment(msgspec.Struct, frozen=True, gc=False):
    """One comment line: its text behind the colon and one space, its place in bytes, its number from 1."""

    text: str
    offset: int
    line: int


Token = TypeVar("Token", bound=Frame | Comment)


class FrameTooLarge(DecodeError):
    """A frame with more bytes than the decoder may keep. It is skipped; the frame after it can be read.

    Attributes:
        limit: how many bytes a frame may have.
        offset: the place of the first byte of the frame.
    """

    offset: int

    def __init__(self, limit: int, offset: int) -> None:
        self.limit = limit
        super().__init__(f"the frame has more than {limit} bytes; set max_frame_bytes to allow that", offset=offset)


@attrs.define
class _OpenFrame:
    """What is known of the frame whose closing empty line has not come yet."""

    offset: int
    line: int
    event: str = ""
    data: bytes | bytearray = b""
    id: str | None = None
    retry: int | None = None
    data_offset: int | None = None
    data_lines: int = 0
    # Distinct names only: a list of all lines would take more memory than the bytes that it stands for.
    fields: dict[str, None] = attrs.field(factory=dict)
    lf: bool = True
    too_large: bool = False

    def add(self, line: bytes, end: int) -> str | None:
        """Take the field of one line, which ends before the place *end*. Return the text of a comment."""
        name, _, value = line.partition(b":")
        if value.startswith(b" "):
            value = value[1:]
        field = _KNOWN_FIELDS.get(name, UNKNOWN_FIELD)
        self.fields[field] = None
        if field == "data":
            self._add_data(value, end)
        elif field == "event":
            self.event = value.decode("utf-8", "replace")
        elif field == "id" and b"\0" not in value:
            self.id = value.decode("utf-8", "replace")
        elif field == "retry" and value.isdigit() and len(value) <= _LONGEST_RETRY:
            self.retry = int(value)
        return value.decode("utf-8", "replace") if field == COMMENT_FIELD else None

    def _add_data(self, value: bytes, end: int) -> None:
        self.data_lines += 1
        if self.data_offset is None:
            self.data, self.data_offset = value, end - len(value)
            return
        if not isinstance(self.data, bytearray):
            self.data = bytearray(self.data)
        self.data += b"\n"
        self.data += value

    def frame(self) -> Frame:
        return Frame(
            event=self.event,
            data=bytes(self.data),
            id=self.id,
            retry=self.retry,
            offset=self.offset,
            line=self.line,
            data_offset=self.offset if self.data_offset is None else self.data_offset,
            data_lines=self.data_lines,
            fields=tuple(self.fields),
            lf=self.lf,
        )


class FrameDecoder(Generic[Token]):
    """Cuts a stream of bytes into frames.

    Feed it what came, iterate it for what is complete, and so on; at the end, `close` it::

        for chunk in chunks:
            for frame in decoder.feed(chunk):
                ...
        rest = decoder.close()

    An exception out of the iteration loses nothing: iterating again goes on with the next frame. Iterating does not
    block and does not end the decoder; it stops where the bytes stop.

    Args:
        comments: also yield a `Comment` for each comment line, before the frame in which it stands.
        dataless: also yield the frames without a `data:` line, which the standard tells readers to drop; a lone
            ``retry:`` is one (R010). Frames of comments only are never yielded.
        max_frame_bytes: how long a frame may be, from its first byte to the last one before the line ends that close
            it. The decoder keeps no more than this of it, however long it is.

    Raises:
        InvalidValue: *max_frame_bytes* is less than 1.
    """

    __slots__ = (
        "_after_cr",
        "_at",
        "_base",
        "_begun",
        "_block",
        "_closed",
        "_comments",
        "_cr",
        "_dataless",
        "_head",
        "_lf",
        "_limit",
        "_line",
        "_name",
        "_open",
        "_piece",
        "_queue",
        "_ready",
        "_rest",
    )

    @overload
    def __init__(
        self: FrameDecoder[Frame],
        *,
        comments: Literal[False] = False,
        dataless: bool = False,
        max_frame_bytes: int = MAX_FRAME_BYTES,
    ) -> None: ...
    @overload
    def __init__(
        self: FrameDecoder[Frame | Comment],
        *,
        comments: bool,
        dataless: bool = False,
        max_frame_bytes: int = MAX_FRAME_BYTES,
    ) -> None: ...
    def __init__(
        self, *, comments: bool = False, dataless: bool = False, max_frame_bytes: int = MAX_FRAME_BYTES
    ) -> None:
        if max_frame_bytes < 1:
            raise InvalidValue("max_frame_bytes", f"has to be at least 1, got {max_frame_bytes}")
        self._comments, self._dataless, self._limit = comments, dataless, max_frame_bytes
        self._queue: deque[bytes] = deque()
        # The chunk that is being read, its place in the stream, how far it is read, and its next CR and LF.
        self._block = b""
        self._base = self._at = self._cr = self._lf = 0
        self._line = 1
        self._begun = self._after_cr = self._closed = False
        self._open: _OpenFrame | None = None
        self._piece = bytearray()
        # How the last usual frame began, up to its data: most frames of a stream begin like the one before.
        self._head, self._name = b"event: message\ndata: ", "message"
        self._ready: deque[Frame | Comment | FrameTooLarge] = deque()
        self._rest: Frame | None = None

    @property
    def buffered(self) -> int:
        """How many bytes are kept: those not read yet, the open line, and the data of the open frame."""
        data = len(self._open.data) if self._open else 0
        return sum(map(len, self._queue)) + len(self._block) - self._at + len(self._piece) + data

    def feed(self, chunk: bytes | bytearray | memoryview | str) -> FrameDecoder[Token]:
        """Take the next bytes, and return the decoder, to be iterated. A str counts as its UTF-8.

        Raises:
            OutOfOrder: the decoder is closed.
            InvalidType: *chunk* is neither bytes nor str.
            InvalidValue: *chunk* is a str that holds half a surrogate pair.
        """
        if self._closed:
            raise OutOfOrder("feed", "closed")
        if type(chunk) is bytes:
            if chunk:
                self._queue.append(chunk)
            return self
        if isinstance(chunk, str):
            try:
                chunk = chunk.encode()
            except UnicodeEncodeError as error:
                raise InvalidValue("chunk", f"holds half a surrogate pair, at character {error.start}") from None
        elif not isinstance(chunk, bytes | bytearray | memoryview):
            raise InvalidType("chunk", "bytes or str", chunk)
        if len(chunk):
            self._queue.append(bytes(chunk))
        return self

    def close(self) -> Frame | None:
        """Say that the stream has ended, and return what was left of a frame without its closing empty line (R007).

        The rest is as the frame would have been if an empty line had come; the standard tells readers to drop it. It
        is None when the stream ended between frames, in comments, or in a frame that was too large. What was complete
        and not yet taken can still be iterated. Closing again returns the same.
        """
        if self._closed:
            return self._rest
        self._begin(ended=True)
        while True:
            try:
                self._ready.append(next(self))
            except FrameTooLarge as error:
                self._ready.append(error)
            except StopIteration:
                break
        self._closed = True
        rest, self._open = self._open, None
        if rest is not None and not rest.too_large:
            if self._piece:
                rest.add(bytes(self._piece), self._base)
            if rest.fields.keys() - {COMMENT_FIELD}:
                self._rest = rest.frame()
        self._piece.clear()
        return self._rest

    def __iter__(self) -> FrameDecoder[Token]:
        return self

    def __next__(self) -> Token:
        """Return the next complete frame.

        Raises:
            StopIteration: there is none yet; feed more.
            FrameTooLarge: a frame has more than *max_frame_bytes*. This is told once for the frame.
        """
        if self._closed:
            return self._next_ready()
        if self._at == len(self._block) and not self._load():
            raise StopIteration
        if self._open is None:
            block, at = self._block, self._at
            if block.startswith(self._head, at) or self._learn_head():
                begin = at + len(self._head)
                end = block.find(b"\n", begin)
                after = end + 2
                # Without a CR before it, this LF ends the data; a second one right behind it ends the frame.
                whole = begin <= end < self._cr and after <= len(block) and block[end + 1] == _LF
                if whole and end - at <= self._limit:
                    data, line, where = block[begin:end], self._line, self._base
                    self._at, self._line = after, line + 3
                    # By place, and without a cast: names and a cast would cost more than the frame itself.
                    return Frame(  # type: ignore[return-value]
                        self._name, data, None, None, where + at, line, where + begin, 1, _USUAL_FIELDS, True
                    )
        return self._next_by_lines()

    def _learn_head(self) -> bool:
        """Note how the frame begins that stands next, where it begins as servers write it."""
        block, at = self._block, self._at
        if not block.startswith(b"event: ", at):
            return False
        end = block.find(b"\n", at, at + _LONGEST_USUAL_HEAD)
        if not 0 <= end < self._cr or not block.startswith(b"data: ", end + 1):
            return False
        self._head, self._name = block[at : end + 7], block[at + 7 : end].decode("utf-8", "replace")
        return True

    def _next_by_lines(self) -> Token:
        while True:
            line, end = self._next_line()
            frame = self._open
            assert frame is not None
            if not line:
                self._open = None
                # The standard drops what has no data; an empty data: line is data.
                if not frame.too_large and (
                    frame.data_lines or (self._dataless and frame.fields.keys() - {COMMENT_FIELD})
                ):
                    return frame.frame()  # type: ignore[return-value]
            elif not frame.too_large:
                comment = frame.add(line, end)
                if comment is not None and self._comments:
                    return Comment(comment, end - len(line), self._line - 1)  # type: ignore[return-value]

    def _next_line(self) -> tuple[bytes, int]:
        """Return the next line without its end, and the place where that end begins. The frame it is of is open."""
        while True:
            if self._at == len(self._block) and not self._load():
                raise StopIteration
            block, at = self._block, self._at
            if self._open is None:
                self._open = _OpenFrame(self._base + at, self._line)
            end = self._end_of_line()
            if end < len(block):
                break
            self._at = end
            if self._open.too_large:
                self._piece[:] = _NOT_EMPTY
            else:
                self._check_size(end)
                self._piece += block[at:]
        self._at = end + 1
        self._line += 1
        if block[end] != _LF:
            self._open.lf = False
            # The LF after a CR may come with the next chunk; the line need not wait for it.
            self._after_cr = self._at == len(block)
            if block.startswith(b"\n", self._at):
                self._at += 1
        line = block[at:end]
        if self._piece:
            self._piece += line
            line = bytes(self._piece)
            self._piece.clear()
        if line and not self._open.too_large:
            self._check_size(end)
        return line, self._base + end

    def _check_size(self, end: int) -> None:
        frame = self._open
        assert frame is not None
        if self._base + end - frame.offset <= self._limit:
            return
        frame.too_large, frame.data = True, b""
        if self._at == end:
            self._piece[:] = _NOT_EMPTY
        raise FrameTooLarge(self._limit, frame.offset)

    def _end_of_line(self) -> int:
        """Return where the next CR or LF stands, or the end of the block. Each of the two is searched for once."""
        block, at = self._block, self._at
        if self._lf < at:
            self._lf = block.find(b"\n", at)
            if self._lf < 0:
                self._lf = len(block)
        if self._cr < at:
            self._cr = block.find(b"\r", at)
            if self._cr < 0:
                self._cr = len(block)
        return min(self._lf, self._cr)

    def _load(self) -> bool:
        """Go on to the next chunk; say whether there is one with something to read."""
        self._base += len(self._block)
        self._block, self._at = b"", 0
        if not self._queue or not (self._begun or self._begin(ended=False)):
            return False
        while self._queue:
            block = self._queue.popleft()
            skipped = 0
            if self._after_cr:
                self._after_cr = False
                skipped = int(block[0] == _LF)
            if skipped < len(block):
                self._block, self._at, self._lf = block, skipped, -1
                self._cr = block.find(b"\r", skipped)
                if self._cr < 0:
                    self._cr = len(block)
                return True
            self._base += skipped
        return False

    def _begin(self, *, ended: bool) -> bool:
        """Drop the BOM, once the first bytes tell whether there is one; say whether reading may begin."""
        if self._begun:
            return True
        start = b"".join(self._queue)
        if not ended and len(start) < len(_BOM) and _BOM.startswith(start):
            return False
        self._begun = True
        self._queue.clear()
        if start.startswith(_BOM):
            self._base, start = len(_BOM), start[len(_BOM) :]
        if start:
            self._queue.append(start)
        return True

    def _next_ready(self) -> Token:
        if not self._ready:
            raise StopIteration
        found = self._ready.popleft()
        if isinstance(found, FrameTooLarge):
            raise found
        return found  # type: ignore[return-value]
