"""Junk requests: good ones, broken in ways that a seed decides."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

_CREATE: Final = b'{"model":"m","input":"x"}'

GOOD: Final = (
    b"GET /readiness HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v1/models HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"HEAD /v1/responses/resp_none?stream=true&starting_after=3 HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n",
    b"POST /v1/responses HTTP/1.1\r\nHost: x\r\nContent-Length: 25\r\n\r\n" + _CREATE,
    b"POST /v1/responses HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"19;a=b\r\n" + _CREATE + b"\r\n0\r\nA: b\r\n\r\n",
    b"POST /responses HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 25\r\n\r\n" + _CREATE,
    b"DELETE http://x/v1/responses/resp_none HTTP/1.1\r\nHost: x\r\nX-Request-Id: 1\r\n\r\n"
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v1/responses HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    b"\x81\x85\x01\x02\x03\x04abcde\x88\x82\x01\x02\x03\x04\x02\xea",
)

_PIECES: Final = (
    b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\x00", b" ", b"\t", b":", b";", b",", b"%", b"#", b"\xff", b"0", b"-1",
    b"f" * 20, b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: y\r\n",
    b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"Upgrade: websocket\r\n",
    b"A: " + b"a" * 3000 + b"\r\n", b"0\r\n\r\n", b"HTTP/1.0",
)  # fmt: skip


def junk(seed: int, count: int) -> Iterator[bytes]:
    """Make *count* requests; the same for the same seed."""
    choice = random.Random(seed)
    for _ in range(count):
        made = bytearray(choice.choice(GOOD))
        for _ in range(choice.choice((0, 1, 1, 1, 2, 3, 8))):
            _break(made, choice)
        yield bytes(made)


def _break(made: bytearray, choice: random.Random) -> None:
    at = choice.randrange(len(made) + 1)
    end = min(len(made), at + choice.choice((1, 1, 2, 5, 30)))
    kind = choice.randrange(6)
    if kind == 0:
        made[at:end] = b""
    elif kind == 1:
        made[at:at] = choice.choice(_PIECES)
    elif kind == 2:
        made[at:end] = bytes(choice.randrange(256) for _ in range(end - at))
    elif kind == 3:
        made[at:at] = made[at:end] * 2
    elif kind == 4:
        del made[at:]
    else:
        made += choice.choice(GOOD)
