"""A bar for those who wait: how much of a file is read. It is shown on a terminal only."""

from __future__ import annotations

import shutil
import sys
import time
from typing import Final

import attrs

_INTERVAL: Final = 0.1
_CLEAR: Final = "\r\x1b[K"
_WIDTH: Final = 30


@attrs.define
class Progress:
    """The bar of one file on stderr.

    Attributes:
        name: the file.
        size: how many bytes it has.
        read: how many were read.
    """

    name: str
    size: int
    read: int = 0
    _drawn: bool = False
    _next: float = 0.0

    def advance(self, count: int) -> None:
        """Take notice that *count* bytes more were read."""
        self.read += count
        now = time.monotonic()
        if now >= self._next:
            self._next, self._drawn = now + _INTERVAL, True
            sys.stderr.write(f"{_CLEAR}{self._line()}")
            sys.stderr.flush()

    def clear(self) -> None:
        """Take the bar away, until the next bytes are read."""
        if self._drawn:
            self._drawn, self._next = False, 0.0
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()

    def _line(self) -> str:
        share = min(self.read / self.size, 1.0)
        full = round(share * _WIDTH)
        line = f"[{'#' * full}{'.' * (_WIDTH - full)}] {share:4.0%} of {self.size / 1e6:.1f} MB  {self.name}"
        # A bar that is wider than the terminal would not be cleared.
        return line[: shutil.get_terminal_size().columns - 1]


def progress_of(name: str, size: int | None, wanted: bool) -> Progress | None:
    """Return a bar for a file of known size if it is *wanted* and somebody can see it."""
    return Progress(name, size) if wanted and size and sys.stderr.isatty() else None
