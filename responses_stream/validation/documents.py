"""Cutting JSON text into its values: bytes in, however cut, and one `Document` for each value out.

A capture holds one value on a line, several on a line, values printed over many lines, or one array of them all; the
decoder takes each of these and does not ask which. It looks for the ends of values and does not parse: what it cuts out
may still be no JSON, and whoever parses it will say so better. Each byte is looked at once, by searches in C; an event
that lies on a line of its own and has no object in it takes a short way.
"""

from __future__ import annotations

import re
from collections import deque
from typing import Final

import msgspec

from responses_stream.errors import DecodeError, InvalidValue, OutOfOrder

MAX_DOCUMENT_BYTES: Final = 64 * 1024 * 1024
"""How many bytes a value may have unless the decoder is told otherwise."""

_BOM: Final = b"\xef\xbb\xbf"
_LF: Final = 0x0A
_CR: Final = 0x0D
_QUOTE: Final = 0x22
_BACKSLASH: Final = 0x5C
_OBJECT: Final = 0x7B
_OBJECT_END: Final = 0x7D
_ARRAY: Final = 0x5B
_ARRAY_END: Final = 0x5D
_SPACE: Final = b" \t\r\n"
# Before an object that is a member or an element; anything else there means that the value before was cut off.
_BEFORE_AN_OBJECT: Final = b"[,:"

# Commas are of the list; a lone one between values does no harm.
_BETWEEN: Final = re.compile(rb"[ \t\r\n,]*+").match
# All that cannot open or close an object (or an array), strings included. A string that the bytes cut, or that runs
# into the end of its line, is not passed: it stops in front of its quote.
_TO_BRACE: Final = re.compile(rb'(?:[^"{}]++|"(?:[^"\\\r\n]++|\\[^\r\n])*+")*+').match
_TO_BRACKET: Final = re.compile(rb'(?:[^"\[\]]++|"(?:[^"\\\r\n]++|\\[^\r\n])*+")*+').match
_IN_STRING: Final = re.compile(rb'[^"\\\r\n]*+(?:\\[^\r\n][^"\\\r\n]*+)*+').match
_IN_SCALAR: Final = re.compile(rb'[^ \t\r\n,:"\[\]{}]*+').match
_SCALAR: Final = re.compile(rb"true|false|null|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?").fullmatch
_SCALAR_BEGINS: Final = b"-0123456789tfn"


# As with `Frame`, one is made for every event that is read.
class Document(msgspec.Struct, frozen=True, gc=False):
    """One JSON value as it stood in the text: its bytes, the place of the first one, and that one's line, from 1."""

    data: bytes
    offset: int
    line: int


class DocumentError(DecodeError):
    """Text that is no JSON value where one should begin. The rest of its line is skipped.

    Attributes:
        offset: the place of its first byte, counted from the first byte that was fed.
        line: its line, from 1.
    """

    offset: int

    def __init__(self, reason: str, offset: int, line: int) -> None:
        super().__init__(reason, offset=offset)
        self.line = line


class DocumentTooLarge(DocumentError):
    """A value with more bytes than the decoder may keep. It is skipped; the value after it can be read.

    Attributes:
        limit: how many bytes a value may have.
    """

    def __init__(self, limit: int, offset: int, line: int) -> None:
        super().__init__(f"the JSON value has more than {limit} bytes", offset, line)
        self.limit = limit


class DocumentDecoder:
    """Cuts a stream of bytes into JSON values.

    Feed it what came, iterate it for what is complete, and so on; at the end, `close` it, as `FrameDecoder` is. An
    exception out of the iteration loses nothing: iterating again goes on with the next value.

    An array that comes first is the list of the values, and so is each one behind its end; arrays elsewhere are values.
    A value ends where its brackets do. It also ends where the line does if that cuts one of its strings, and where
    a line begins with an object that cannot be part of it: one event that was cut off does not take the next with it.

    Args:
        max_bytes: how long a value may be. The decoder keeps no more than this of it, however long it is.

    Raises:
        InvalidValue: *max_bytes* is less than 1.
    """

    __slots__ = (
        "_after_lf",
        "_at",
        "_base",
        "_before",
        "_begun",
        "_block",
        "_closed",
        "_depth",
        "_escaped",
        "_in_list",
        "_in_string",
        "_lf",
        "_limit",
        "_line",
        "_lists",
        "_offset",
        "_offset_line",
        "_opened",
        "_piece",
        "_queue",
        "_ready",
        "_rest",
        "_skipping",
        "_too_large",
    )

    def __init__(self, *, max_bytes: int = MAX_DOCUMENT_BYTES) -> None:
        if max_bytes < 1:
            raise InvalidValue("max_bytes", f"has to be at least 1, got {max_bytes}")
        self._limit = max_bytes
        self._queue: deque[bytes] = deque()
        # The chunk that is being read, its place in the stream, how far it is read, and its next LF.
        self._block = b""
        self._base = self._at = self._lf = 0
        self._line = 1
        self._begun = self._closed = self._skipping = False
        # Whether the values stand in a list, and whether the list is open.
        self._lists = self._in_list = False
        # The open value: its first byte (0 for none), its depth, what was read of it; place and line stay when it ends.
        self._opened = self._offset = self._offset_line = self._depth = 0
        self._in_string = self._escaped = self._too_large = False
        self._piece = bytearray()
        # Of the open value in the chunks before: its last byte that is no space, and whether they end with a line.
        self._before, self._after_lf = 0, False
        self._ready: deque[Document | DocumentError] = deque()
        self._rest: Document | None = None

    @property
    def buffered(self) -> int:
        """How many bytes are kept: those not read yet, and those of the open value."""
        return sum(map(len, self._queue)) + len(self._block) - self._at + len(self._piece)

    @property
    def in_list(self) -> bool:
        """Whether the values stand in an array that is still open: at the end, the text was cut off."""
        return self._in_list

    def feed(self, chunk: bytes) -> DocumentDecoder:
        """Take the next bytes, and return the decoder, to be iterated.

        Raises:
            OutOfOrder: the decoder is closed.
        """
        if self._closed:
            raise OutOfOrder("feed", "closed")
        if chunk:
            self._queue.append(chunk)
        return self

    def close(self) -> Document | None:
        """Say that the text has ended, and return what was left of a value that did not.

        What was complete and not yet taken can still be iterated. Closing again returns the same.
        """
        if self._closed:
            return self._rest
        while True:
            try:
                self._ready.append(next(self))
            except DocumentError as error:
                self._ready.append(error)
            except StopIteration:
                break
        self._closed = True
        if not self._begun and self._block:
            # What could still have become the mark of UTF-8.
            self._ready.append(DocumentError(_not_a_value(self._block[0]), 0, 1))
        elif self._opened and not self._too_large:
            rest = Document(bytes(self._piece), self._offset, self._offset_line)
            if self._opened not in _SCALAR_BEGINS:
                self._rest = rest
            elif _SCALAR(rest.data):
                self._ready.append(rest)
            else:
                self._ready.append(_no_scalar(rest))
        self._piece.clear()
        return self._rest

    def __iter__(self) -> DocumentDecoder:
        return self

    def __next__(self) -> Document:
        """Return the next complete value.

        Raises:
            StopIteration: there is none yet; feed more.
            DocumentError: there is text that is no value.
            DocumentTooLarge: a value has more than *max_bytes*. This is told once for the value.
        """
        if self._closed:
            return self._next_ready()
        while True:
            block, at = self._block, self._at
            if at == len(block):
                if not self._load():
                    raise StopIteration
            elif self._opened:
                found = self._go_on()
                if found is not None:
                    return found
            elif self._skipping:
                end = self._end_of_line()
                self._skipping = end == len(block)
                self._at = end
            elif block[at] == _OBJECT:
                end = self._end_of_line()
                last = end - 2 if block[end - 1] == _CR else end - 1
                # One brace that opens and one that closes, as the last byte of the line: this is all of the line.
                if (
                    block[last] == _OBJECT_END
                    and end < len(block)
                    and block.find(b"}", at, last) < 0
                    and block.find(b"{", at + 1, last) < 0
                    and last - at < self._limit
                ):
                    self._offset_line = line = self._line
                    self._at, self._line = end + 1, line + 1
                    return Document(block[at : last + 1], self._base + at, line)
                self._open(_OBJECT)
            else:
                self._step(block[at])

    def _step(self, byte: int) -> None:
        """Pass what stands between values, or open the value that begins with *byte*."""
        if byte in b" \t\r\n,":
            end = _BETWEEN(self._block, self._at).end()  # type: ignore[union-attr]
            self._line += self._block.count(b"\n", self._at, end)
            self._at = end
        elif byte == _ARRAY and not self._in_list and (self._lists or not self._offset_line):
            self._lists = self._in_list = True
            self._at += 1
        elif byte == _ARRAY_END and self._in_list:
            self._in_list = False
            self._at += 1
        elif byte in b'{["' or byte in _SCALAR_BEGINS:
            self._open(byte)
        else:
            self._skipping = True
            raise DocumentError(_not_a_value(byte), self._base + self._at, self._line)

    def _open(self, byte: int) -> None:
        self._opened, self._offset, self._offset_line = byte, self._base + self._at, self._line
        self._depth, self._before, self._after_lf = 0, 0, False
        self._escaped = self._too_large = False
        self._in_string = byte == _QUOTE
        if self._in_string:
            self._piece += b'"'
            self._at += 1

    def _go_on(self) -> Document | None:
        """Read on in the open value; return it if it ends in this chunk."""
        block, begin = self._block, self._at
        if self._opened in _SCALAR_BEGINS:
            end = _IN_SCALAR(block, begin).end()  # type: ignore[union-attr]
            whole = end < len(block)
        else:
            end = self._end_of_value()
            whole = end >= 0
            if not whole:
                end = len(block)
                self._before = (block[begin:].rstrip(_SPACE) or bytes((self._before,)))[-1]
                self._after_lf = block[-1] == _LF
        self._at = end
        self._line += block.count(b"\n", begin, end)
        told = self._too_large
        if not told and len(self._piece) + end - begin > self._limit:
            self._too_large = True
            self._piece.clear()
        if not self._too_large and not whole:
            self._piece += block[begin:end]
        opened, self._opened = self._opened, 0 if whole else self._opened
        if self._too_large:
            if told:
                return None
            raise DocumentTooLarge(self._limit, self._offset, self._offset_line)
        if not whole:
            return None
        data = bytes(self._piece) + block[begin:end] if self._piece else block[begin:end]
        self._piece.clear()
        found = Document(data, self._offset, self._offset_line)
        if opened in _SCALAR_BEGINS and not _SCALAR(data):
            self._skipping = True
            raise _no_scalar(found)
        return found

    def _end_of_value(self) -> int:
        """Return the place behind the end of the open value; -1 when it does not lie in this chunk."""
        block, at, size = self._block, self._at, len(self._block)
        begin, opener = at, self._opened
        pass_others = _TO_BRACKET if opener == _ARRAY else _TO_BRACE
        while at < size:
            if self._in_string:
                if self._escaped:
                    self._escaped = False
                    at += block[at] not in b"\r\n"
                at = _IN_STRING(block, at).end()  # type: ignore[union-attr]
                if at == size:
                    break
                byte = block[at]
                if byte in b"\r\n":
                    return at
                at += 1
                self._in_string, self._escaped = byte != _QUOTE, byte == _BACKSLASH
                if byte == _QUOTE and not self._depth:
                    return at
                continue
            at = pass_others(block, at).end()  # type: ignore[union-attr]
            if at == size:
                break
            byte = block[at]
            if byte == _QUOTE:
                self._in_string = True
            elif byte == opener:
                if byte == _OBJECT and self._depth and not self._may_open(begin, at):
                    return at
                self._depth += 1
            else:
                self._depth -= 1
                if not self._depth:
                    return at + 1
            at += 1
        return -1

    def _may_open(self, begin: int, at: int) -> bool:
        """Whether the object at *at* can be part of the value that is read from *begin* in this chunk."""
        block, before = self._block, at - 1
        first_of_line = block[before] == _LF if before >= begin else self._after_lf
        if not first_of_line:
            return True
        while before >= begin and block[before] in _SPACE:
            before -= 1
        return (block[before] if before >= begin else self._before) in _BEFORE_AN_OBJECT

    def _end_of_line(self) -> int:
        """Return the place of the next LF, or the end of the chunk."""
        if self._lf < self._at:
            found = self._block.find(b"\n", self._at)
            self._lf = len(self._block) if found < 0 else found
        return self._lf

    def _load(self) -> bool:
        """Take the next chunk; return whether there is one to be read."""
        while self._queue:
            chunk = self._queue.popleft()
            if self._begun:
                self._base += len(self._block)
                self._block, self._at = chunk, 0
            else:
                # The mark of UTF-8 may be cut, too.
                self._block += chunk
                if len(self._block) < len(_BOM) and _BOM.startswith(self._block):
                    self._at = len(self._block)
                    continue
                self._begun = True
                self._at = len(_BOM) if self._block.startswith(_BOM) else 0
            self._lf = -1
            if self._at < len(self._block):
                return True
        return False

    def _next_ready(self) -> Document:
        if not self._ready:
            raise StopIteration
        found = self._ready.popleft()
        if isinstance(found, DocumentError):
            raise found
        return found


def _not_a_value(byte: int) -> str:
    return f"no JSON value begins with {bytes((byte,))!r}"


def _no_scalar(document: Document) -> DocumentError:
    return DocumentError(f"{document.data[:20]!r} is no JSON value", document.offset, document.line)
