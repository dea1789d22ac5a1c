"""How to drive it from a shell: ``responses-stream serve``, ``transports``, ``validate``, ``check`` and so on.

Exit statuses: 0 when all is well, 1 when something failed, 2 when the call itself was wrong; 130 when it was
interrupted, and 141 when nobody reads what it prints, as shells have it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from responses_stream._version import __version__
from responses_stream.cli import check, demo, doctor, explain, migrate, serve, tap, transports, validate
from responses_stream.cli.failure import CommandError

_INTERRUPTED = 130
_NO_READER = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that *arguments* name, by default those of the process, and return its exit status.

    Raises:
        SystemExit: the arguments do not fit, or they asked for help or the version.
    """
    parser = argparse.ArgumentParser(
        prog="responses-stream",
        description="Speak the Responses protocol: serve a handler, or judge the streams of somebody else.",
    )
    parser.add_argument("--version", action="version", version=f"responses-stream {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in (serve, transports, migrate, doctor, validate, explain, check, tap, demo):
        command.add_command(commands)
    chosen = parser.parse_args(arguments)
    try:
        status: int = chosen.command(chosen)
        # What is left to be printed may find nobody, too.
        if sys.stdout is not None:
            sys.stdout.flush()
    except CommandError as error:
        print(f"responses-stream: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # Python would say so at its end, when it flushes once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _NO_READER
    return status
