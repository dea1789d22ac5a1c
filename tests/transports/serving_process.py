"""``python -m tests.transports.serving_process TRANSPORT SERVER PLACE``: serve the engine that comes pickled by stdin.

PLACE is ``fd:`` and the number of an inherited listening socket, or ``port:`` and a port.
"""

from __future__ import annotations

import pickle
import sys

from responses_stream.hosting.listening import Listen
from responses_stream.hosting.transports import find_transport

from .launching import HOST, THREADS


def main(transport: str, server: str, place: str) -> None:
    """Serve until a signal comes."""
    engine = pickle.loads(sys.stdin.buffer.read())
    kind, _, number = place.partition(":")
    fd, port = (int(number), 0) if kind == "fd" else (None, int(number))
    listen = Listen(host=HOST, port=port, fd=fd, server=server or None, threads=THREADS)
    find_transport(transport)(engine, listen)


if __name__ == "__main__":
    main(*sys.argv[1:])
