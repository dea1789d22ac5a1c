"""Which process of which machine this is, and whether another one is still there (pains E6).

A process id alone is no name: it is given again. With the time of its start it is one, on Linux, within one boot of
one machine and one namespace of process ids. Elsewhere only the id is known, and a lease has to run out where that was
given again.
"""

from __future__ import annotations

import functools
import os
import platform
from pathlib import Path
from typing import Final

import attrs

_PROC: Final = Path("/proc")


@attrs.frozen
class Process:
    """A process, named so that nothing else ever has its name.

    Attributes:
        machine: the boot and the namespace in which its id holds; the name of the machine where they are not known.
        pid: its id there.
        started: when it was started, in the words of the system; empty where it does not say.
    """

    machine: str
    pid: int
    started: str


def this_process() -> Process:
    """Return the process that asks."""
    return _process(os.getpid())


def is_dead(process: Process) -> bool:
    """Tell whether *process* is certainly gone; of one of another machine nothing is certain."""
    if process.machine != _machine():
        return False
    if process.started:
        return _started(process.pid) != process.started
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False  # it is there and somebody else's
    return False


@functools.lru_cache(maxsize=1)
def _process(pid: int) -> Process:
    return Process(_machine(), pid, _started(pid) or "")


@functools.cache
def _machine() -> str:
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {(_PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return platform.node()


def _started(pid: int) -> str | None:
    try:
        stat = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    # The name of the program may contain blanks and brackets; the fields are counted from behind it.
    fields = stat.rpartition(")")[2].split()
    state, started = fields[0], fields[19]
    return None if state in "ZX" else started
