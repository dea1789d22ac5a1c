"""The body of a request as a WSGI server gives it: to be read to a length that is known, or to an end of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol, cast

from responses_stream.hosting.errors import HttpError, bad_http

_CHUNK: Final = 64 * 1024


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Input:
    """Reads the body of one request, no more of it than is wanted. Reading may wait for the client.

    Attributes:
        lost: the error that the server program has lost its client with.
        broken: whether the body was no HTTP, or came to its end too early.
    """

    def __init__(self, environ: Mapping[str, object]) -> None:
        self.lost: Exception | None = None
        self.broken = False
        self._stream = cast("_Readable", environ["wsgi.input"])
        self._wrong: HttpError | None = None
        self._left: int | None = 0
        length = str(environ.get("CONTENT_LENGTH") or "")
        if length:
            if length.isascii() and length.isdigit():
                self._left = int(length)
            else:
                self._wrong = bad_http()
        elif environ.get("wsgi.input_terminated"):
            self._left = None
        elif environ.get("HTTP_TRANSFER_ENCODING"):
            # Nobody has taken the chunks apart, and where they end cannot be known (wsgiref).
            self._wrong = HttpError(411, "length_required", "The request has to have a Content-Length.")
        self.broken = self._wrong is not None

    def small(self) -> bytes | None:
        """Return the whole body where that is small; None where `read` is to be asked for it.

        Raises:
            OSError: the client has gone.
        """
        if self._wrong is not None or self._left is None or self._left > _CHUNK:
            return None
        pieces: list[bytes] = []
        try:
            while piece := self.read():
                pieces.append(piece)
        except HttpError:
            return None  # told when the engine asks
        return b"".join(pieces)

    def read(self) -> bytes:
        """Return the next piece; empty at the end.

        Raises:
            HttpError: it is no HTTP, it has ended too early, or its length is not known.
            OSError: the client has gone.
        """
        if self._wrong is not None:
            raise self._wrong
        if self._left == 0:
            return b""
        try:
            data = self._stream.read(_CHUNK if self._left is None else min(_CHUNK, self._left))
        except (ConnectionError, TimeoutError) as error:
            self.lost = error
            raise
        except Exception as error:  # each server program has errors of its own for chunks that are none
            raise self._fails() from error
        if self._left is not None:
            if not data:
                raise self._fails()
            self._left -= len(data)
        return data

    def _fails(self) -> HttpError:
        self.broken = True
        self._wrong = bad_http()
        return self._wrong
