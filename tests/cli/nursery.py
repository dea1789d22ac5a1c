"""A process that has imported the command line, and forks a child for each command that it is told to run.

A command begins in a few milliseconds so, where a new interpreter takes a quarter of a second to import all of it. The
child has its own standard streams, directory and exit status, as any process has.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import IO, Final

import attrs

_ROOT: Final = Path(__file__).resolve().parents[2]


@attrs.define(eq=False)
class Nursery:
    """The process, from the side of the tests."""

    process: subprocess.Popen[bytes]

    def run(self, arguments: Sequence[str], stdin: bytes, cwd: Path | None) -> tuple[int, bytes, bytes]:
        """Run a command to its end; return its status and what it wrote to both streams."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.ExitStack() as kept:
            streams: list[IO[bytes]] = [kept.enter_context(tempfile.NamedTemporaryFile()) for _ in range(3)]
            streams[0].write(stdin)
            streams[0].flush()
            told = {"arguments": arguments, "cwd": str(cwd or _ROOT), "streams": [one.name for one in streams]}
            self.process.stdin.write(json.dumps(told).encode() + b"\n")
            self.process.stdin.flush()
            status = int(self.process.stdout.readline())
            return status, streams[1].read(), streams[2].read()


@cache
def nursery(environment: tuple[tuple[str, str], ...]) -> Nursery:
    """Return the nursery of this environment; it ends when this process does."""
    process = subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=dict(environment),
        cwd=_ROOT,
    )
    return Nursery(process)


def _live() -> None:
    for line in sys.stdin:
        told = json.loads(line)
        child = os.fork()
        if child == 0:
            os._exit(_child(told["arguments"], told["cwd"], told["streams"]))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _child(arguments: Sequence[str], cwd: str, streams: Sequence[str]) -> int:
    for number, (path, flags) in enumerate(zip(streams, (os.O_RDONLY, os.O_WRONLY, os.O_WRONLY), strict=True)):
        os.dup2(os.open(path, flags), number)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115  # for as long as it lives
    os.chdir(cwd)
    sys.argv = [str(_ROOT / "responses_stream" / "__main__.py"), *arguments]
    try:
        status = _status()
    except BaseException:
        traceback.print_exc()
        status = 1
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    return status


def _status() -> int:
    from responses_stream.cli import main

    try:
        return main()
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
            return 1
        return end.code or 0


if __name__ == "__main__":
    for name in (
        "httpx",
        "responses_stream.cli.judging",
        "responses_stream.cli.calling",
        "responses_stream.validation.whole",
    ):
        importlib.import_module(name)
    _live()
