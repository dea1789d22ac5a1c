"""Where in somebody's code a thing happened: tracebacks without the frames of the engine, and where threads hang."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import Final

_PACKAGE: Final = Path(__file__).resolve().parent.parent
# What calls a handler. The builders are called by it.
_OURS: Final = tuple(f"{_PACKAGE / part}{os.sep}" for part in ("hosting", "checking"))
_DELIVERY: Final = str(_PACKAGE / "hosting" / "handlers.py")
_LOOPS: Final = ("asyncio", "anyio", "trio", "outcome", "concurrent.futures", "threading")
_SHOWN: Final = 12


def traceback_of(error: BaseException) -> str:
    """Return the traceback of *error* from the handler on, with what caused it."""
    told = traceback.TracebackException.from_exception(error)
    part: traceback.TracebackException | None = told
    while part is not None:
        part.stack = traceback.StackSummary.from_list(_from_handler(part.stack))
        part = part.__cause__ or (None if part.__suppress_context__ else part.__context__)
    return "".join(told.format()).rstrip()


def waited_at(error: BaseException) -> str:
    """Return where the handler was waiting when the cancellation *error* came; empty where that does not show."""
    return _told(traceback.extract_tb(error.__traceback__))


def stuck_at(thread: int) -> str:
    """Return where the thread with the identifier *thread* is now, from the handler on."""
    frame = sys._current_frames().get(thread)
    return "" if frame is None else _told(traceback.extract_stack(frame))


def threads_of(response_id: str) -> list[int]:
    """Return the identifiers of the threads in which the sync handler of a response runs; there is one at most."""
    found = []
    for thread, frame in sys._current_frames().items():
        inner: FrameType | None = frame
        while inner is not None:
            code = inner.f_code
            if code.co_filename == _DELIVERY and code.co_name in ("in_thread", "hand_over"):
                if inner.f_locals["self"].response_id == response_id:
                    found.append(thread)
                break
            inner = inner.f_back
    return found


def _from_handler(stack: traceback.StackSummary) -> list[traceback.FrameSummary]:
    """Return the frames below the last of the engine's, up to where they come back into this package."""
    last = max((at for at, frame in enumerate(stack) if frame.filename.startswith(_OURS)), default=-1)
    frames = list(stack)[last + 1 :]
    while frames and frames[-1].filename.startswith(f"{_PACKAGE}{os.sep}"):
        frames.pop()
    return frames


def _told(stack: traceback.StackSummary) -> str:
    """Return the handler's own frames of a place where it waits: how the event loop waits is no news."""
    frames = _from_handler(stack)
    loops = tuple(_home(name) for name in _LOOPS if name in sys.modules)
    while frames and frames[-1].filename.startswith(loops):
        frames.pop()
    return "".join(traceback.StackSummary.from_list(frames[-_SHOWN:]).format()).rstrip()


def _home(name: str) -> str:
    """Return the file of a module, or the directory of a package."""
    file = sys.modules[name].__file__ or name
    return str(Path(file).parent) if Path(file).name == "__init__.py" else file
