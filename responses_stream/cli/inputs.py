"""The inputs of ``validate``: files, the standard input and URLs, read as they come, 256 KiB at a time."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from responses_stream.cli.failure import CommandError
from responses_stream.cli.progress import progress_of
from responses_stream.cli.verdicts import Source
from responses_stream.errors import DecodeError
from responses_stream.protocol.codec import from_json
from responses_stream.validation.capture_layers import CHUNK_BYTES, UnusableCapture
from responses_stream.validation.captures import MAX_CAPTURE_BYTES, Stream, read_capture

STDIN: Final = "-"

_SCHEMES: Final = ("http://", "https://")
_BOM: Final = b"\xef\xbb\xbf"
_LONGEST_BODY: Final = 64 * 1024 * 1024
# It is kept as a whole, to be looked up while the replay comes.
_LONGEST_ORIGINAL: Final = 512 * 1024 * 1024


@attrs.frozen(kw_only=True)
class Reading:
    """How inputs are read.

    Attributes:
        max_bytes: how long one may be.
        progress: whether a bar may be shown.
        timeout: after how many seconds of silence a URL is given up.
        request: the body that URLs are called with; None for GET.
        headers: the headers that they are called with.
    """

    max_bytes: int = MAX_CAPTURE_BYTES
    progress: bool = False
    timeout: float = 60.0
    request: Mapping[str, Any] | None = None
    headers: Sequence[tuple[str, str]] = ()


def _nothing() -> None:
    pass


@attrs.define
class Input:
    """One argument of the command line: the path of a file, ``-``, or a URL.

    Attributes:
        argument: it, as it was given.
        clear: takes away what is shown of the reading, before something else is printed.
    """

    argument: str
    _reading: Reading
    clear: Callable[[], None] = attrs.field(default=_nothing, init=False)

    @property
    def source(self) -> Source:
        """What to call it."""
        if is_url(self.argument):
            from responses_stream.cli.calling import without_secrets

            return Source(without_secrets(self.argument))
        # A name that is no UTF-8 has to be told in formats that are.
        name = os.fsencode(self.argument).decode("utf-8", "replace")
        return Source(name, is_file=self.argument != STDIN)

    def streams(self, note: Callable[[str], None]) -> Iterator[tuple[Source, Stream]]:
        """Yield the streams in it, each with what to call it; tell *note* what else there is to know.

        Raises:
            CommandError: it is a URL, and what it takes to call it is not installed.
            UnusableCapture: there is no stream in it, or it cannot be read.
        """
        found: Iterable[Stream]
        if is_url(self.argument):
            from responses_stream.cli.calling import call

            found = call(self.argument, self._reading, note)
        else:
            found = read_capture(self._chunks(), max_bytes=self._reading.max_bytes, note=note)
        source = self.source
        for stream in found:
            yield attrs.evolve(source, part=stream.part), stream

    def _chunks(self) -> Iterator[bytes]:
        try:
            if self.argument != STDIN:
                with Path(self.argument).open("rb", buffering=0) as file:
                    yield from self._shown(file.fileno())
            elif sys.stdin is None:
                raise UnusableCapture("the standard input is closed")
            else:
                yield from _read(sys.stdin.fileno())
        except OSError as error:
            raise UnusableCapture(f"it cannot be read: {error.strerror or error}") from None

    def _shown(self, descriptor: int) -> Iterator[bytes]:
        """Read a file, and show how far it is read."""
        progress = progress_of(self.source.name, _size(descriptor), self._reading.progress)
        if progress is None:
            yield from _read(descriptor)
            return
        self.clear = progress.clear
        try:
            for chunk in _read(descriptor):
                progress.advance(len(chunk))
                yield chunk
        finally:
            progress.clear()


def is_url(argument: str) -> bool:
    """Whether an argument is called and not opened."""
    return argument.lower().startswith(_SCHEMES)


def read_object(path: str, what: str) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises:
        CommandError: it cannot be read, or is none.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(_LONGEST_BODY + 1)
    except OSError as error:
        raise CommandError(f"{what} {path} cannot be read: {error.strerror or error}") from None
    if len(data) > _LONGEST_BODY:
        raise CommandError(f"{what} {path} has more than {_LONGEST_BODY} bytes")
    try:
        value = from_json(data.removeprefix(_BOM))
    except DecodeError as error:
        raise CommandError(f"{what} {path} cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise CommandError(f"{what} {path} is no JSON object")
    return value


def read_original(path: str) -> list[bytes]:
    """Return the bytes of the one stream in a capture.

    Raises:
        CommandError: it cannot be read, or holds more than one stream.
    """
    streams = Input(path, Reading(max_bytes=_LONGEST_ORIGINAL)).streams(lambda _: None)
    try:
        found = [list(stream.chunks) for _, stream in streams]
    except UnusableCapture as error:
        raise CommandError(f"--original {path}: {error}") from None
    if len(found) > 1:
        raise CommandError(f"--original {path} holds {len(found)} streams; which one is replayed is not known")
    return found[0]


def _read(descriptor: int) -> Iterator[bytes]:
    # Straight from the descriptor: a pipe gives what there is, and does not wait for a full chunk.
    while chunk := os.read(descriptor, CHUNK_BYTES):
        yield chunk


def _size(descriptor: int) -> int | None:
    found = os.fstat(descriptor)
    return found.st_size if stat.S_ISREG(found.st_mode) else None
