"""Frames side by side in one row of a table, and apart again: a row for each token would cost more than its text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

_MOST_ROW_BYTES: Final = 256 * 1024
"""How many bytes of frames stand in one row at most, unless one frame alone is larger."""

_FRAME_END: Final = b"\n\n"


def chunks(frames: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Cut *frames* into runs that each fit into a row and can be told apart again in it."""
    if len(frames) > 1 and any(frame.find(_FRAME_END) + len(_FRAME_END) != len(frame) for frame in frames):
        # Not one frame each, or not frames at all: each has a row of its own, which is not cut when it is read.
        yield from ([frame] for frame in frames)
        return
    if frames and sum(map(len, frames)) <= _MOST_ROW_BYTES:
        yield frames
        return
    chunk: list[bytes] = []
    size = 0
    for frame in frames:
        if chunk and size + len(frame) > _MOST_ROW_BYTES:
            yield chunk
            chunk, size = [], 0
        chunk.append(frame)
        size += len(frame)
    if chunk:
        yield chunk


def split(joined: bytes) -> list[bytes]:
    """Return the frames of a row; each ends with the first empty line in it."""
    return [frame + _FRAME_END for frame in joined.split(_FRAME_END)[:-1]]


def frames_of(count: int, joined: bytes) -> list[bytes]:
    """Return the *count* frames of a row."""
    return [joined] if count == 1 else split(joined)
