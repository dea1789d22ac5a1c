"""``responses-stream serve TARGET``: finds a `ResponsesServer` in a module or a file, and runs it."""

from __future__ import annotations

import argparse
import logging
from typing import TYPE_CHECKING

from responses_stream.cli.failure import CommandError
from responses_stream.cli.targets import load_target

if TYPE_CHECKING:
    from responses_stream.hosting.server import ResponsesServer


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``serve`` to the commands."""
    parser = commands.add_parser("serve", help="serve a handler", description="Serve the responses of a handler.")
    parser.add_argument(
        "target",
        metavar="TARGET",
        help="module:name or path/file.py:name of a server; the name defaults to 'server'",
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8088, help="the port, 0 for a free one (default: %(default)s)")
    parser.add_argument(
        "--transport", help="the name of a transport (default: the server's, $RESPONSES_TRANSPORT, or h11)"
    )
    parser.set_defaults(command=run)


def run(chosen: argparse.Namespace) -> int:
    """Serve until the process is told to stop.

    Raises:
        CommandError: the target or the transport cannot be found, or the address cannot be listened on.
    """
    from responses_stream.hosting.transports import UnknownTransport

    server = load_server(chosen.target)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        server.run(chosen.transport, host=chosen.host, port=chosen.port)
    except UnknownTransport as error:
        raise CommandError(str(error)) from None
    except (OSError, OverflowError) as error:
        raise CommandError(f"cannot listen on {chosen.host}:{chosen.port}: {error}", status=1) from error
    return 0


def load_server(target: str) -> ResponsesServer:
    """Return the server that *target* names.

    Raises:
        CommandError: there is no such file, module or attribute, or it is no server.
    """
    from responses_stream.hosting.server import ResponsesServer

    name, found = load_target(target)
    if not isinstance(found, ResponsesServer):
        raise CommandError(f"{name} is a {type(found).__name__}, not a ResponsesServer")
    return found
