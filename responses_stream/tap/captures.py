"""Captures: a directory for each exchange, to look at later or to hand to ``responses-stream validate``.

``00001/request.json`` is the body of the request, ``body.sse`` (``.json``, ``.txt``, ``.bin``) that of the answer,
``exchange.json`` has both heads and how it ended, ``report.json`` what the validator found. Without credentials,
and for the eyes of their owner only: conversations are private.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from responses_stream.tap.redaction import Mask

_OWNER_ONLY: Final = 0o700
_SUFFIXES: Final = {"text/event-stream": "sse", "application/json": "json"}


class Captures:
    """A directory of captures. What is there already stays; numbers go on behind it.

    Attributes:
        directory: where they are.
        first: the number of the next one.

    Raises:
        OSError: the directory cannot be made or read.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=_OWNER_ONLY, parents=True, exist_ok=True)
        self.directory = directory
        self.first = 1 + max((int(there.name) for there in directory.iterdir() if there.name.isdecimal()), default=0)

    def begin(self, number: int, mask: Mask) -> Capture:
        """Make the capture of exchange *number*.

        Raises:
            OSError: it cannot be written, or is there already.
        """
        directory = self.directory / f"{number:05}"
        directory.mkdir(mode=_OWNER_ONLY)
        return Capture(directory, mask)


class Capture:
    """The capture of one exchange; credentials are taken out of whatever it is given.

    Attributes:
        body: the name of the file that has the body of the answer, once there is one.
    """

    def __init__(self, directory: Path, mask: Mask) -> None:
        self._directory, self._mask = directory, mask
        self._masked = mask.stream()
        self._file: BinaryIO | None = None
        self.body: str | None = None

    def save(self, name: str, value: Mapping[str, Any]) -> None:
        """Write *value* as the JSON file *name*."""
        text = msgspec.json.format(msgspec.json.encode(self._mask.value(value)), indent=2)
        (self._directory / name).write_bytes(text + b"\n")

    def open_body(self, suffix: str) -> None:
        """Begin the file of the body of the answer."""
        self.body = f"body.{suffix}"
        self._file = (self._directory / self.body).open("wb")

    def write(self, data: bytes) -> None:
        """Add to the body. It can be read in the file at once."""
        if self._file is not None:
            self._file.write(self._masked.feed(data))
            self._file.flush()

    def close(self) -> None:
        """End the body."""
        if self._file is not None:
            with self._file as file:
                file.write(self._masked.finish())
            self._file = None


def suffix_of(media_type: str) -> str:
    """Return how the name of a body ends whose `content-type` is *media_type*, without parameters."""
    if media_type in _SUFFIXES:
        return _SUFFIXES[media_type]
    return "txt" if media_type.startswith("text/") else "bin"
