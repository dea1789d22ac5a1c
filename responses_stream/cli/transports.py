"""``responses-stream transports``: what ``--transport`` and ``--server`` may name, and what would bring more."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from responses_stream.hosting.transports import InstalledServer, InstalledTransport


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``transports`` to the commands."""
    parser = commands.add_parser(
        "transports",
        help="list what carries the bytes",
        description="List the transports that are installed, and the server programs that they can use.",
    )
    parser.add_argument("--format", choices=("human", "json"), default="human", help="(default: %(default)s)")
    parser.set_defaults(command=run)


def run(chosen: argparse.Namespace) -> int:
    """Print the transports, and return 0."""
    from responses_stream.hosting.transports import DEFAULT, VARIABLE, installed_transports

    found = installed_transports()
    default = os.environ.get(VARIABLE) or DEFAULT
    if chosen.format == "json":
        print(json.dumps([_data(transport, default) for transport in found], indent=2))
        return 0
    if not found:
        print("no transport is installed")
    for transport in found:
        print("\n".join(_lines(transport, default)))
    return 0


def _default_server(servers: Sequence[InstalledServer]) -> InstalledServer | None:
    """Return the program that is used where none is named."""
    return next((server for server in servers if server.version is not None), None)


def _data(transport: InstalledTransport, default: str) -> dict[str, object]:
    servers = [
        {**attrs.asdict(server), "default": server is _default_server(transport.servers)}
        for server in transport.servers
    ]
    return {**attrs.asdict(transport), "default": transport.name == default, "servers": servers}


def _lines(transport: InstalledTransport, default: str) -> Iterator[str]:
    origin = f"{transport.distribution} {transport.version}".strip() or "of an unknown package"
    yield f"{transport.name:<12}{origin}{_mark(transport.name == default)}"
    if transport.trouble is not None:
        yield f"  cannot be loaded: {transport.trouble}"
    for server in transport.servers:
        if server.version is None:
            yield f"  {server.name:<10}not installed: {server.install}"
        else:
            yield f"  {server.name:<10}{server.version}{_mark(server is _default_server(transport.servers))}"


def _mark(is_default: bool) -> str:
    return " (default)" if is_default else ""
