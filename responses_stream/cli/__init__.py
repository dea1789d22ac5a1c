"""How to drive it from a shell: ``responses-stream serve``, ``responses-stream demo``.

Exit statuses: 0 when all is well, 1 when something failed, 2 when the call itself was wrong.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from responses_stream._version import __version__
from responses_stream.cli import demo, serve
from responses_stream.cli.failure import CommandError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that *arguments* name, by default those of the process, and return its exit status.

    Raises:
        SystemExit: the arguments do not fit, or they asked for help or the version.
    """
    parser = argparse.ArgumentParser(
        prog="responses-stream", description="Speak the Responses protocol: serve a handler, or watch a demonstration."
    )
    parser.add_argument("--version", action="version", version=f"responses-stream {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    serve.add_command(commands)
    demo.add_command(commands)
    chosen = parser.parse_args(arguments)
    try:
        status: int = chosen.command(chosen)
    except CommandError as error:
        print(f"responses-stream: {error}", file=sys.stderr)
        return error.status
    return status
