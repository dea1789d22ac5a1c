"""Heads of random pieces: what is let through has one reading only, that of a reader who takes nothing for granted."""

from __future__ import annotations

from typing import Final

import h11
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from responses_stream.hosting.errors import HttpError
from responses_transports.h11_strict import Head, read_head

MOST: Final = 64 * 1024

METHODS: Final = st.sampled_from([b"GET", b"POST", b"OPTIONS", b"CONNECT", b"get", b"G T", b"", b"P\xd6ST"])
TARGETS: Final = st.sampled_from(
    [b"/", b"/v1/responses?a=b", b"*", b"http://x/y", b"x:443", b"//x/y", b"/a#b", b"/a b", b"", b"/\x00"]
)
VERSIONS: Final = st.sampled_from([b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTP/1.1"])
ENDS: Final = st.sampled_from([b"\r\n"] * 12 + [b"\n", b"\r", b"\r\r\n", b"\n\r\n", b"\r\n "])
NAMES: Final = st.sampled_from(
    [
        b"Host",
        b"host",
        b"Content-Length",
        b"content-length",
        b"Transfer-Encoding",
        b"X",
        b"X ",
        b" X",
        b"",
        b"X\t",
        b"\xff",
    ]
)
VALUES: Final = st.sampled_from(
    [b" x", b" 3", b" 03", b" -3", b" 3, 3", b" chunked", b" gzip, chunked", b" identity", b"", b" a\x00b", b" a\x0bb"]
) | st.binary(max_size=6)
FIELDS: Final = st.lists(st.tuples(NAMES, st.sampled_from([b":", b":", b":", b" :", b""]), VALUES, ENDS), max_size=5)
GOOD_FIELDS: Final = st.lists(
    st.tuples(
        st.sampled_from([b"Content-Length", b"Transfer-Encoding", b"X", b"Accept"]),
        st.just(b":"),
        st.sampled_from([b" 3", b"4 ", b" chunked", b" Chunked", b" y"]),
        st.just(b"\r\n"),
    ),
    max_size=3,
).map(lambda fields: [(b"Host", b":", b" x", b"\r\n"), *fields])


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """A head that is whole, and more often wrong than right."""
    fields = draw(FIELDS | GOOD_FIELDS)
    line = b" ".join([draw(METHODS), draw(TARGETS), draw(VERSIONS)]) + draw(ENDS)
    return line + b"".join(b"".join(field) for field in fields) + b"\r\n"


def read(head: bytes) -> Head | None:
    """Return what the server reads in a head; None where it refuses it in one of the ways that it may."""
    try:
        return read_head(h11.Connection(h11.SERVER, MOST), head, MOST)
    except HttpError as refused:
        status = refused.status
    except h11.RemoteProtocolError as refused:
        status = refused.error_status_hint
    assert status in (400, 431, 501, 505)
    return None


def check(head: bytes) -> None:
    """Read a head anew, with no more than splitting, and compare."""
    found = read(head)
    if found is None:
        return
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    assert not any(one in head for one in (b"\x00", b"\r\n ", b"\r\n\t"))
    assert head.count(b"\n") == head.count(b"\r") == head.count(b"\r\n")
    method, target, version = first.split(b" ")
    assert (found.method, f"HTTP/{found.version}") == (method.decode(), version.decode())
    assert target.decode().endswith(found.target)
    pairs = [line.split(b":", 1) for line in lines]
    assert all(name and name == name.strip() for name, _ in pairs)
    named = [(name.decode().lower(), value.strip(b" \t").decode("latin-1")) for name, value in pairs]
    names = [name for name, _ in named]
    assert names.count("host") == 1 or found.version == "1.0"
    assert names.count("content-length") + names.count("transfer-encoding") <= 1
    assert [value.lower() for name, value in named if name == "transfer-encoding"] in ([], ["chunked"])
    assert all(value.isdigit() for name, value in named if name == "content-length")
    # h11 writes the one coding that there is in small letters.
    assert list(found.headers) == [
        (name, value.lower() if name == "transfer-encoding" else value) for name, value in named
    ]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(heads())
def test_what_is_let_through_has_one_reading(head: bytes) -> None:
    check(head)


@pytest.mark.slow
@pytest.mark.timeout(600)
@settings(max_examples=20_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(heads())
def test_whatever_is_let_through_has_one_reading(head: bytes) -> None:
    check(head)
