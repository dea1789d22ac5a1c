"""``responses-stream serve TARGET``: finds a `ResponsesServer` in a module or a file, and runs it."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import logging
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from responses_stream.cli.failure import CommandError

if TYPE_CHECKING:
    from responses_stream.hosting.server import ResponsesServer

DEFAULT_ATTRIBUTE = "server"


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

    place, attribute = _split(target)
    module = _load_file(Path(place)) if place.endswith(".py") else _load_module(place)
    try:
        found = getattr(module, attribute)
    except AttributeError:
        raise CommandError(f"{place} has no {attribute!r}; say which one it is with {place}:NAME") from None
    if not isinstance(found, ResponsesServer):
        raise CommandError(f"{place}:{attribute} is a {type(found).__name__}, not a ResponsesServer")
    return found


def _split(target: str) -> tuple[str, str]:
    # A path may hold a colon of its own, as on Windows; what ends with .py is all path.
    place, colon, attribute = ("", "", "") if target.endswith(".py") else target.rpartition(":")
    return (place, attribute or DEFAULT_ATTRIBUTE) if colon else (target, DEFAULT_ATTRIBUTE)


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise CommandError(f"there is no file {path}")
    # As with `python path/file.py`, what lies beside the file can be imported.
    sys.path.insert(0, str(path.resolve().parent))
    name = path.stem if path.stem not in sys.modules else f"served_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _load_module(name: str) -> ModuleType:
    sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # What the module itself misses is told as Python tells it.
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise CommandError(f"there is no module {name!r}; a file is named by its path, with .py") from None
