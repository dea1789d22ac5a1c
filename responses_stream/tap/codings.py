"""Content codings, undone while the bytes come in: what was compressed has to be read before it can be judged.

Memory is bounded whatever the bytes say: a decoder gives pieces of a limited size, however far they unfold.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final, Protocol

PIECE: Final = 65536
"""The most bytes that a decoder gives at once of what it unfolds."""

_GZIP, _ZLIB, _BARE_DEFLATE = 31, 15, -15


class Decoder(Protocol):
    """Undoes one coding."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what *data* stands for; it may be cut anywhere.

        Raises:
            ValueError: these bytes are not what the coding promises.
        """
        ...

    @property
    def is_complete(self) -> bool:
        """Whether the coded data could end here."""
        ...


def decoder_of(coding: str | None) -> Decoder | None:
    """Return what undoes the value of a `content-encoding`, or None where nothing here can (``br``, ``zstd``)."""
    match (coding or "").strip().lower():
        case "" | "identity":
            return _Identity()
        case "gzip" | "x-gzip":
            return _Inflate(_GZIP)
        case "deflate":
            return _Deflate()
    return None


class _Identity:
    is_complete = True

    def feed(self, data: bytes) -> Iterator[bytes]:
        yield data


class _Inflate:
    def __init__(self, window: int) -> None:
        self._window = window
        self._stream = zlib.decompressobj(window)
        self._begun = False

    @property
    def is_complete(self) -> bool:
        return self._stream.eof or not self._begun

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._begun = self._begun or bool(data)
        while data:
            if self._stream.eof:  # gzip may have several members, one behind the other
                self._stream = zlib.decompressobj(self._window)
            piece = b" " * PIECE
            while data or len(piece) == PIECE:  # a full piece may have left more inside
                try:
                    piece = self._stream.decompress(data, PIECE)
                except zlib.error as error:
                    raise ValueError(str(error)) from None
                if piece:
                    yield piece
                data = self._stream.unconsumed_tail
                if self._stream.eof:
                    break
            data = self._stream.unused_data


class _Deflate:
    """The coding that has two meanings: zlib, as the standard says, and the bare stream, as some servers send it."""

    def __init__(self) -> None:
        self._head = b""
        self._inflate: _Inflate | None = None

    @property
    def is_complete(self) -> bool:
        return self._inflate.is_complete if self._inflate else not self._head

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._inflate is None:
            self._head += data
            if len(self._head) < 2:
                return
            data = self._head
            is_zlib = data[0] & 15 == 8 and int.from_bytes(data[:2]) % 31 == 0
            self._inflate = _Inflate(_ZLIB if is_zlib else _BARE_DEFLATE)
        yield from self._inflate.feed(data)
