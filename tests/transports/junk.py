"""Requests that went wrong on their way, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Final

_CREATE: Final = b'{"input": "Hi", "store": false}'
_GOOD: Final = (
    b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v1/responses/resp_1?stream=true&starting_after=3 HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n",
    b"POST /v1/responses HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
    % (len(_CREATE), _CREATE),
    b"POST /v1/responses HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
    % (len(_CREATE), _CREATE),
    b"GET /v1/responses HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
    b"DELETE /v1/responses/resp_1 HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n",
)
_PIECES: Final = (
    b"\r\n", b"\n", b"\r", b"\x00", b"\xff", b" ", b"\t", b":", b"%", b"%zz", b"%00", b"\xc3\x28", b"HTTP/9.9", b"0",
    b"Content-Length: 5\r\n", b"Content-Length: 99999999999999999999\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n", b"Expect: 100-continue\r\n", b"Host: y\r\n", b" folded\r\n", b"X" * 5000,
    b"Upgrade: h2c\r\n", b"Connection: close\r\n", b"ffffffffffffffff\r\n", b"{", b'"', b"../../", b"//", b"?", b"#",
)  # fmt: skip


def junk(seed: int, count: int) -> Iterator[bytes]:
    """Make *count* damaged requests."""
    chance = random.Random(seed)
    for _ in range(count):
        request = bytearray(chance.choice(_GOOD))
        for _ in range(chance.choice((1, 1, 2, 3, 8))):
            chance.choice(_DAMAGES)(chance, request)
        yield bytes(request)


def _insert(chance: random.Random, request: bytearray) -> None:
    at = chance.randint(0, len(request))
    request[at:at] = chance.choice(_PIECES)


def _remove(chance: random.Random, request: bytearray) -> None:
    at = chance.randint(0, len(request))
    del request[at : at + chance.choice((1, 1, 2, 5, 50))]


def _flip(chance: random.Random, request: bytearray) -> None:
    if request:
        request[chance.randrange(len(request))] = chance.randrange(256)


def _repeat(chance: random.Random, request: bytearray) -> None:
    at = chance.randint(0, len(request))
    request[at:at] = request[at : at + chance.choice((1, 10, 40))]


def _break_off(chance: random.Random, request: bytearray) -> None:
    del request[chance.randint(0, len(request)) :]


_DAMAGES: Final[tuple[Callable[[random.Random, bytearray], None], ...]] = (_insert, _remove, _flip, _repeat, _break_off)
