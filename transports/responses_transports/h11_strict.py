"""What of a request h11 would let through and this server does not, so that nobody in front can read it otherwise.

h11 takes a bare LF for the end of a line, joins folded lines, drops a content-length beside a transfer-encoding, and
looks neither into control characters nor into what stands behind the size of a chunk. Two programs that read such bytes
differently see different requests in them: that is how requests are smuggled. Here they are a 400, and the end of the
connection.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

import attrs
import h11

from responses_stream.hosting.errors import bad_http
from responses_stream.hosting.http import Headers

END_OF_HEAD: Final = b"\r\n\r\n"

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_FIELDS: Final = rb"(?:%b:[\t\x20-\x7e\x80-\xff]*+\r\n)*+" % _TOKEN
_HEAD: Final = re.compile(rb"%b [!-~]++ HTTP/([0-9]\.[0-9])\r\n%b\r\n" % (_TOKEN, _FIELDS))
_TRAILERS: Final = re.compile(rb"%b\r\n" % _FIELDS)
_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;[\t\x20-\x7e\x80-\xff]*+)?\r\n")
_NEVER: Final = re.compile(rb"[^\t\r\n\x20-\x7e\x80-\xff]|(?<!\r)\n|\r(?=[^\n])")
_TARGET: Final = re.compile(rb"(?:(?i:https?)://[^/?#@]+)?/[^#]*|(?i:https?)://[^/?#@]+(?:\?[^#]*)?")
_TARGETS: Final = {b"OPTIONS": re.compile(rb"\*|" + _TARGET.pattern), b"CONNECT": re.compile(rb"[^/?#@]+:[0-9]+")}
_HOST: Final = re.compile(r"[A-Za-z0-9\-._~%!$&'()*+,;=:\[\]]*")
_LENGTHS: Final = re.compile(rb"\n(?i:content-length):([^\r]*+)\r")
_MOST_FIELDS: Final = 256
_LONGEST_CHUNK_LINE: Final = 256


def check_beginning(head: bytearray, checked: int = 0) -> None:
    """Check what has come of a head that is not whole, but for the first *checked* bytes of it.

    Who does not speak HTTP is told so at once.

    Raises:
        HttpError: no head can begin so (400).
    """
    if _NEVER.search(head, max(0, checked - 1)):  # the last may be a CR, whose LF was yet to come
        raise bad_http()


@attrs.define
class Head:
    """What stands above the body of a request.

    Attributes:
        method: in capitals, as it came.
        target: what is asked for, without scheme and authority.
        version: "1.0" or "1.1".
        headers: the fields, names in lower case.
        framing: where the body ends.
    """

    method: str
    target: str
    version: str
    headers: Headers
    framing: Framing


def read_head(http: h11.Connection, head: bytes, most: int) -> Head:
    """Return what a whole head says, which *http* is given; *most* is how large the fields behind a body may be.

    Raises:
        HttpError: the head could be read in more than one way, or not at all (400); it has too many fields (431); it is
            of another version of HTTP (505).
        h11.RemoteProtocolError: h11 sees that it is wrong.
    """
    matched = _HEAD.fullmatch(head)
    if matched is None:
        raise bad_http()
    version = matched[1]
    if version not in (b"1.0", b"1.1"):
        raise bad_http(505)
    if head.count(b"\n") - 2 > _MOST_FIELDS:
        raise bad_http(431)
    http.receive_data(head)
    request = http.next_event()
    assert isinstance(request, h11.Request), request
    if not _TARGETS.get(request.method, _TARGET).fullmatch(request.target):
        raise bad_http()
    headers = tuple(
        (name.decode("ascii").lower(), value.decode("latin-1")) for name, value in request.headers.raw_items()
    )
    known = dict(headers)
    framing: Framing = Sized(0)
    if "content-length" in known:
        # What is said twice, h11 has made one of.
        lengths = _LENGTHS.findall(head)
        if len(lengths) > 1 or not lengths[0].strip().isdigit() or "transfer-encoding" in known:
            raise bad_http()
        framing = Sized(int(known["content-length"]))
    elif "transfer-encoding" in known:
        if version == b"1.0":
            raise bad_http()
        framing = Chunked(most)
    if not _HOST.fullmatch(known.get("host", "")):
        raise bad_http()
    return Head(request.method.decode("ascii"), _relative(request.target), version.decode("ascii"), headers, framing)


def _relative(target: bytes) -> str:
    if b"://" not in target.partition(b"?")[0] or target.startswith(b"/"):
        return target.decode("ascii")
    # As proxies are asked, with the whole URL.
    above, mark, query = target.decode("ascii").partition("?")
    return f"/{''.join(above.split('/', 3)[3:])}{mark}{query}"


class Framing(Protocol):
    """Where the body of a request ends in the bytes of a connection."""

    def take(self, buffer: bytearray) -> bytes:
        """Take from *buffer* what is of the body and can be read, as it came; empty where more has to come.

        Raises:
            HttpError: it is not framed as it has to be (400).
        """
        ...


class Sized:
    """A body of so many bytes."""

    def __init__(self, size: int) -> None:
        self._left = size

    def take(self, buffer: bytearray) -> bytes:
        taken = _cut(buffer, self._left)
        self._left -= len(taken)
        return taken


class Chunked:
    """A body in chunks, with whatever fields behind the last of them.

    Args:
        most: how large these fields may be.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._left = 0
        self._last = False

    def take(self, buffer: bytearray) -> bytes:
        if self._left > 0:
            taken = _cut(buffer, self._left)
            self._left -= len(taken)
            return taken
        if self._last:
            return self._take_trailers(buffer)
        line = _line(buffer, b"\r\n", _LONGEST_CHUNK_LINE)
        if not line:
            check_beginning(buffer)
            return b""
        matched = _CHUNK.fullmatch(line)
        if matched is None:
            raise bad_http()
        size = int(matched[1], 16)
        self._last = size == 0
        self._left = size + 2 if size else 0  # with the end of line behind it, which h11 looks at
        return line

    def _take_trailers(self, buffer: bytearray) -> bytes:
        taken = _cut(buffer, 2) if buffer.startswith(b"\r\n") else _line(buffer, END_OF_HEAD, self._most)
        if taken and not _TRAILERS.fullmatch(taken):
            raise bad_http()
        return taken


def _line(buffer: bytearray, end: bytes, most: int) -> bytes:
    """Take what comes before *end*, and that; empty where it has yet to come."""
    found = buffer.find(end, 0, most)
    if found >= 0:
        return _cut(buffer, found + len(end))
    if len(buffer) >= most:
        raise bad_http()
    return b""


def _cut(buffer: bytearray, size: int) -> bytes:
    taken = bytes(buffer[:size])
    del buffer[:size]
    return taken
