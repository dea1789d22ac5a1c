"""What the bare server takes for a request and what not: whatever two programs could read in two ways is refused."""

from __future__ import annotations

import json

import anyio.lowlevel
import pytest

from responses_stream.hosting.http import HttpReply, HttpRequest, Limits

from .answering import FakeEngine, echo, serving, talking, text
from .wire import connected

pytestmark = pytest.mark.anyio

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


def get(*lines: bytes, target: bytes = b"/", version: bytes = b"1.1", host: bytes = b"Host: x\r\n") -> bytes:
    return b"GET %b HTTP/%b\r\n%b%b\r\n" % (target, version, host, b"".join(line + b"\r\n" for line in lines))


def post(*lines: bytes, body: bytes = b"", version: bytes = b"1.1") -> bytes:
    return b"POST / HTTP/%b\r\nHost: x\r\n%b\r\n%b" % (version, b"".join(line + b"\r\n" for line in lines), body)


def chunked(body: bytes, *lines: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", *lines, body=body)


REFUSED: dict[str, tuple[bytes, int]] = {
    # lengths
    "two lengths": (post(b"Content-Length: 1", b"Content-Length: 2", body=b"ab"), 400),
    "one length twice": (post(b"Content-Length: 1", b"Content-Length: 1", body=b"a"), 400),
    "one length twice in one line": (post(b"Content-Length: 1, 1", body=b"a"), 400),
    "two lengths in one line": (post(b"Content-Length: 1, 2", body=b"ab"), 400),
    "negative length": (post(b"Content-Length: -1"), 400),
    "length with a plus": (post(b"Content-Length: +1", body=b"a"), 400),
    "hexadecimal length": (post(b"Content-Length: 0x1", body=b"a"), 400),
    "length with an underscore": (post(b"Content-Length: 1_0", body=b"a" * 10), 400),
    "length with a space": (post(b"Content-Length: 1 0", body=b"a"), 400),
    "empty length": (post(b"Content-Length:"), 400),
    "length of letters": (post(b"Content-Length: one"), 400),
    "length in other digits": (post("Content-Length: \u0661".encode()), 400),
    "length of 30 digits": (post(b"Content-Length: " + b"9" * 30), 400),
    "length and chunks": (chunked(b"0\r\n\r\n", b"Content-Length: 3"), 400),
    "length and chunks, the other way": (post(b"Content-Length: 3", b"Transfer-Encoding: chunked", body=b"0\r\n"), 400),
    # transfer codings
    "another coding": (post(b"Transfer-Encoding: gzip"), 501),
    "two codings": (post(b"Transfer-Encoding: gzip, chunked"), 501),
    "chunked twice": (post(b"Transfer-Encoding: chunked, chunked"), 501),
    "two fields of codings": (chunked(b"0\r\n\r\n", b"Transfer-Encoding: chunked"), 501),
    "identity": (post(b"Transfer-Encoding: identity"), 501),
    "chunked with a parameter": (post(b"Transfer-Encoding: chunked;a=b"), 501),
    "quoted coding": (post(b'Transfer-Encoding: "chunked"'), 501),
    "coding behind a vertical tab": (post(b"Transfer-Encoding: \x0bchunked"), 400),
    "no coding": (post(b"Transfer-Encoding:"), 501),
    "chunks in HTTP/1.0": (post(b"Transfer-Encoding: chunked", body=b"0\r\n\r\n", version=b"1.0"), 400),
    # chunks
    "no size": (chunked(b"\r\n\r\n"), 400),
    "size of letters": (chunked(b"zz\r\n"), 400),
    "negative size": (chunked(b"-1\r\n"), 400),
    "size with a prefix": (chunked(b"0x1\r\na\r\n0\r\n\r\n"), 400),
    "size behind a space": (chunked(b" 1\r\na\r\n0\r\n\r\n"), 400),
    "size before a space": (chunked(b"1 \r\na\r\n0\r\n\r\n"), 400),
    "size of 20 digits": (chunked(b"1" * 20 + b"\r\n"), 400),
    "size line that never ends": (chunked(b"1;" + b"a" * 300), 400),
    "size line too long": (chunked(b"1;" + b"a" * 300 + b"\r\na\r\n0\r\n\r\n"), 400),
    "size line with a bare LF": (chunked(b"1\na\r\n0\r\n\r\n"), 400),
    "extension with a bare LF": (chunked(b"1;a\nb\r\na\r\n0\r\n\r\n"), 400),
    "extension with a bare CR": (chunked(b"1;a\rb\r\na\r\n0\r\n\r\n"), 400),
    "extension with NUL": (chunked(b"1;\x00\r\na\r\n0\r\n\r\n"), 400),
    "chunk longer than its size": (chunked(b"1\r\nabc\r\n0\r\n\r\n"), 400),
    "chunk without an end": (chunked(b"1\r\na0\r\n\r\n"), 400),
    "chunk that a bare LF ends": (chunked(b"1\r\na\n0\r\n\r\n"), 400),
    "last chunk with a bare LF": (chunked(b"0\r\n\n"), 400),
    "trailer that is none": (chunked(b"0\r\nno field\r\n\r\n"), 400),
    "folded trailer": (chunked(b"0\r\na: b\r\n c\r\n\r\n"), 400),
    "trailer with a bare LF": (chunked(b"0\r\na: b\nc: d\r\n\r\n"), 400),
    "trailer with NUL": (chunked(b"0\r\na: \x00\r\n\r\n"), 400),
    # lines and fields
    "bare LFs": (b"GET / HTTP/1.1\nHost: x\n\n", 400),
    "one bare LF": (b"GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", 400),
    "bare CR": (get(b"A: b\rC: d"), 400),
    "CR before CRLF": (get(b"A: b\r"), 400),
    "folded field": (get(b"A: b", b" c"), 400),
    "folded length": (post(b"Content-Length:", b" 1", body=b"a"), 400),
    "fold before all fields": (get(host=b" Host: x\r\n"), 400),
    "space before the colon": (post(b"Content-Length : 1", body=b"a"), 400),
    "tab before the colon": (get(b"A\t: b"), 400),
    "space before the name": (get(b" A: b"), 400),
    "no colon": (get(b"A"), 400),
    "no name": (get(b": b"), 400),
    "name of other letters": (get("Ä: b".encode("latin-1")), 400),
    "name with a bracket": (get(b"A(b): c"), 400),
    "NUL in a name": (get(b"A\x00: b"), 400),
    "NUL in a value": (get(b"A: b\x00c"), 400),
    "control byte in a value": (get(b"A: b\x01c"), 400),
    "DEL in a value": (get(b"A: b\x7fc"), 400),
    "escape in a value": (get(b"A: \x1b[31m"), 400),
    "form feed in a value": (get(b"A: b\x0cc"), 400),
    # the request line
    "no host": (get(host=b""), 400),
    "two hosts": (get(b"Host: x"), 400),
    "host with a space": (get(host=b"Host: x y\r\n"), 400),
    "host with a path": (get(host=b"Host: x/y\r\n"), 400),
    "host with a user": (get(host=b"Host: u@x\r\n"), 400),
    "method with a bracket": (b"G(T / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "no method": (b" / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "no target": (b"GET HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "two spaces": (b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "tab for a space": (b"GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "space in the target": (get(target=b"/a b"), 400),
    "NUL in the target": (get(target=b"/a\x00b"), 400),
    "other letters in the target": (get(target="/ä".encode()), 400),
    "fragment": (get(target=b"/a#b"), 400),
    "relative target": (get(target=b"a"), 400),
    "authority as target": (get(target=b"host:80"), 400),
    "target of another scheme": (get(target=b"ftp://host/"), 400),
    "target with a user": (get(target=b"http://user@host/"), 400),
    "target without an authority": (get(target=b"http:///x"), 400),
    "star for a GET": (get(target=b"*"), 400),
    "CONNECT with a path": (b"CONNECT / HTTP/1.1\r\nHost: host:80\r\n\r\n", 400),
    "HTTP/0.9": (b"GET /\r\n\r\n", 400),
    "HTTP/2.0": (get(version=b"2.0"), 505),
    "HTTP/1.2": (get(version=b"1.2"), 505),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "HTTP in small letters": (b"GET / http/1.1\r\nHost: x\r\n\r\n", 400),
    "no HTTP": (b"nonsense\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    # sizes
    "large head that has not ended": (b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000, 431),
    "large head": (get(b"X: " + b"x" * 70_000), 431),
    "300 fields": (get(*[b"A: b"] * 300), 431),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
async def test_it_is_refused_in_the_envelope_and_nothing_behind_it_is_read(case: str) -> None:
    sent, status = REFUSED[case]
    async with talking(echo) as (wire, engine):
        await wire.send(sent + SMUGGLED)
        answer = await wire.answer(sent.partition(b" ")[0].decode() if sent.startswith(b"POST") else "GET")
        assert answer.status == status
        error = json.loads(answer.body)["error"]
        assert (error["code"], error["type"], error["param"]) == ("bad_request", "invalid_request_error", None)
        assert answer.headers["x-request-id"] == error["additionalInfo"]["request_id"]
        assert answer.headers["connection"] == "close"
        assert await wire.is_closed()
        assert not [asked for asked in engine.asked if asked.path == "/smuggled" or asked.method == "GET"]


ACCEPTED: dict[str, tuple[bytes, bytes]] = {
    "empty lines before it": (b"\r\n\r\n" + get(), b""),
    "no space behind the colon": (get(b"A:b"), b""),
    "tabs and spaces around a value": (get(b"A: \t b\tc \t "), b""),
    "empty value": (get(b"A:"), b""),
    "other letters in a value": (get(b"A: caf\xe9"), b""),
    "names and codings in capitals": (post(b"TRANSFER-ENCODING: Chunked", body=b"1\r\na\r\n0\r\n\r\n"), b"a"),
    "extensions of chunks": (chunked(b'1;a=b;c="d e"\r\na\r\n0;last\r\n\r\n'), b"a"),
    "size in capitals and with zeros": (chunked(b"00A\r\n0123456789\r\n0\r\n\r\n"), b"0123456789"),
    "trailers": (chunked(b"1\r\na\r\n0\r\nA: b\r\nC: d\r\n\r\n"), b"a"),
    "no body": (post(b"Content-Length: 0"), b""),
    "length with zeros": (post(b"Content-Length: 0003", body=b"abc"), b"abc"),
    "empty host": (get(host=b"Host:\r\n"), b""),
    "host of numbers": (get(host=b"Host: [::1]:8088\r\n"), b""),
    "the whole URL": (get(target=b"https://Host:80/a?b=http://c/"), b""),
    "256 fields": (get(*[b"A: b"] * 255), b""),
}  # fmt: skip


@pytest.mark.parametrize("case", ACCEPTED)
async def test_it_is_odd_and_right(case: str) -> None:
    sent, body = ACCEPTED[case]
    async with talking(echo) as (wire, engine):
        await wire.send(sent + get(target=b"/next"))
        method = "POST" if sent.startswith(b"POST") else "GET"
        assert (await wire.answer(method)).body == body
        assert (await wire.answer()).status == 200
        assert engine.asked[1].path == "/next"


@pytest.mark.parametrize("size", [1, 2, 3, 5])
async def test_it_does_not_matter_how_the_bytes_are_cut(size: int) -> None:
    sent = chunked(b"3;x=y\r\nabc\r\n00b\r\n" + b"d" * 11 + b"\r\n0\r\nA: b\r\n\r\n") + get(target=b"/next")
    async with talking(echo) as (wire, engine):
        for start in range(0, len(sent), size):
            await wire.send(sent[start : start + size])
        assert (await wire.answer("POST")).body == b"abc" + b"d" * 11
        assert (await wire.answer()).status == 200
        assert engine.asked[1].path == "/next"


async def test_a_head_that_comes_byte_by_byte_is_refused_at_the_first_that_is_wrong() -> None:
    async with talking(echo) as (wire, _):
        for byte in b"\r\nGET / HTTP/1.1\r\nHost: x\r\nA: b\nC":
            await wire.send(bytes([byte]))
            await anyio.lowlevel.checkpoint()
        assert (await wire.answer()).status == 400


async def test_what_would_make_a_search_slow_is_fast() -> None:
    async with talking(echo) as (wire, _):
        await wire.send(post(b"Content-Length: 1," + b" " * 60_000 + b"1", body=b"a"))
        assert (await wire.answer("POST")).status == 400


async def test_trailers_are_no_larger_than_a_head() -> None:
    async with talking(echo, Limits(max_header_bytes=1000)) as (wire, _):
        await wire.send(chunked(b"0\r\nA: " + b"b" * 2000))
        assert (await wire.answer("POST")).status == 400
        assert await wire.is_closed()


async def test_a_head_may_be_as_large_as_the_limit_says() -> None:
    head = get(b"A: " + b"b" * 1000)
    async with serving(FakeEngine(echo, limits=Limits(max_header_bytes=len(head)))) as port:
        async with connected(port) as wire:
            await wire.send(head)
            assert (await wire.answer()).status == 200
        async with connected(port) as wire:
            await wire.send(head.replace(b"b\r\n", b"bb\r\n"))
            assert (await wire.answer()).status == 431


async def test_a_body_of_http_1_0_without_a_length_is_none() -> None:
    async with talking(echo) as (wire, _):
        await wire.send(b"POST / HTTP/1.0\r\n\r\nbody")
        assert (await wire.answer("POST")).body == b""
        assert await wire.is_closed()


async def test_a_proxy_is_the_engines_to_refuse() -> None:
    async def refuse(_: HttpRequest) -> HttpReply:
        return text(b"no proxy", 501)

    async with talking(refuse) as (wire, engine):
        await wire.send(b"CONNECT host:80 HTTP/1.1\r\nHost: host:80\r\n\r\n" + get())
        for _ in range(2):
            assert (await wire.answer()).status == 501
        assert (engine.asked[0].method, engine.asked[0].target) == ("CONNECT", "host:80")
