"""Where the bare server listens, how many it lets in, and TLS."""

from __future__ import annotations

import functools
import logging
import os
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.streams.tls
import pytest
import trustme

from responses_stream.errors import ResponsesStreamError
from responses_stream.hosting.http import HttpReply, HttpRequest, Limits
from responses_stream.hosting.listening import Listen
from responses_stream.hosting.transports import CannotServe
from responses_transports import h11_server
from responses_transports.h11_server import serve_async
from responses_transports.listeners import addresses_of, close_listeners, open_listeners, tls_of

from .answering import FakeEngine, echo, posted, serving, text
from .wire import Wire, connected

pytestmark = pytest.mark.anyio

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def yes(_: HttpRequest) -> HttpReply:
    return text(b"yes")


async def is_served(wire: Wire) -> bool:
    await wire.send(GET)
    return (await wire.answer()).body == b"yes"


# Unix sockets


@pytest.fixture
def path() -> Iterator[Path]:
    # Short: the path of a socket has a limit of some hundred bytes.
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        yield Path(directory, "s")


async def test_a_unix_socket_is_served_and_removed(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with serving(FakeEngine(yes), Listen(unix_socket=str(path))) as port:
        assert port == 0
        async with await anyio.connect_unix(path) as stream:
            assert await is_served(Wire(stream))
    assert not path.exists()
    assert f"listening on unix:{path}" in caplog.text


async def test_a_socket_that_nobody_listens_on_any_more_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    async with serving(FakeEngine(yes), Listen(unix_socket=str(path))), await anyio.connect_unix(path) as stream:
        assert await is_served(Wire(stream))


def test_a_socket_that_somebody_listens_on_and_a_file_are_left_alone(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(OSError, match="in use"):
            open_listeners(Listen(unix_socket=str(path)))
        assert path.is_socket()
    path.unlink()
    path.write_text("something else")
    with pytest.raises(OSError, match="in use"):
        open_listeners(Listen(unix_socket=str(path)))
    assert path.read_text() == "something else"


def test_the_socket_of_the_next_server_is_left_alone(path: Path) -> None:
    listen = Listen(unix_socket=str(path))
    [sockets] = open_listeners(listen)
    close_listeners(listen, sockets)
    [next_ones] = open_listeners(listen)
    close_listeners(listen, sockets)
    assert path.is_socket()
    close_listeners(listen, next_ones)
    assert not path.exists()


# Sockets of others


def listening() -> socket.socket:
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    made.listen()
    return made


async def test_a_passed_socket_is_served_and_closed() -> None:
    with listening() as passed:
        port = passed.getsockname()[1]
        async with serving(FakeEngine(yes), Listen(sockets=[passed])) as told, connected(port) as wire:
            assert told == port
            assert await is_served(wire)
        assert passed.fileno() == -1


async def test_an_inherited_socket_is_served() -> None:
    with listening() as parents:
        fd = os.dup(parents.fileno())
        async with serving(FakeEngine(yes), Listen(fd=fd)) as port, connected(port) as wire:
            assert await is_served(wire)


def test_what_was_inherited_has_to_be_a_socket_that_listens() -> None:
    with socket.socket() as quiet, pytest.raises(CannotServe, match="does not listen"):
        open_listeners(Listen(fd=quiet.fileno()))
    reader, writer = os.pipe()
    try:
        with pytest.raises(CannotServe, match="is no socket"):
            open_listeners(Listen(fd=reader))
    finally:
        os.close(reader)
        os.close(writer)


# Addresses


def resolved(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    def found(_: str, port: int, **_options: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", found)


def test_a_name_is_listened_on_at_each_of_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    resolved(monkeypatch, "127.0.0.1", "127.0.0.2", "127.0.0.2", "192.0.2.1")  # the last is not of this machine
    [sockets] = open_listeners(Listen(host="name", port=0))
    try:
        names = [one.getsockname() for one in sockets]
        assert [host for host, _ in names] == ["127.0.0.1", "127.0.0.2"]
        assert len({port for _, port in names}) == 1
        assert addresses_of(sockets, secure=True) == ", ".join(f"https://{host}:{port}" for host, port in names)
    finally:
        close_listeners(Listen(), sockets)


def test_an_address_that_is_not_here_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    resolved(monkeypatch, "192.0.2.1")
    with pytest.raises(OSError, match="assign"):
        open_listeners(Listen(host="name", port=0))


def test_a_port_that_is_taken_is_an_error_also_for_those_who_share() -> None:
    with listening() as other:
        for shares in (1, 2):
            with pytest.raises(OSError, match="in use"):
                open_listeners(Listen(port=other.getsockname()[1]), shares)
    shared = open_listeners(Listen(port=0), 2)
    try:
        with pytest.raises(OSError, match="in use"):
            open_listeners(Listen(port=shared[0][0].getsockname()[1]), 2)
    finally:
        close_listeners(Listen(), [one for sockets in shared for one in sockets])


def test_shares_of_an_address_have_sockets_of_their_own_and_one_port() -> None:
    shares = open_listeners(Listen(port=0), 3)
    sockets = [one for share in shares for one in share]
    try:
        assert len({one.fileno() for one in sockets}) == 3
        assert len({one.getsockname() for one in sockets}) == 1
    finally:
        close_listeners(Listen(), sockets)


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
async def test_ipv6_is_served(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    try:
        ([probe],) = open_listeners(Listen(host="::1", port=0))
        probe.close()
    except OSError:
        pytest.skip("no IPv6 here")
    async with serving(FakeEngine(yes), Listen(host="::1", port=0)) as port:
        async with await anyio.connect_tcp("::1", port) as stream:
            assert await is_served(Wire(stream))
        assert f"listening on http://[::1]:{port}" in caplog.text


# How many


async def test_a_connection_above_the_most_is_told_so_and_the_next_has_its_place() -> None:
    async with serving(FakeEngine(yes), Listen(port=0, max_connections=1)) as port:
        async with connected(port) as first:
            assert await is_served(first)
            async with connected(port) as second:
                await second.send(GET)
                answer = await second.answer()
                assert (answer.status, answer.headers["retry-after"]) == (503, "1")
                assert b'"too_many_connections"' in answer.body
                assert await second.is_closed()
            assert await is_served(first)
            await first.send(GET.replace(b"Host", b"Connection: close\r\nHost"))
            await first.answer()
            assert await first.is_closed()
        async with connected(port) as third:
            assert await is_served(third)


async def test_connections_far_above_the_most_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(h11_server, "_TOLD_SO", 0)
    engine = FakeEngine(yes)
    async with serving(engine, Listen(port=0, max_connections=1)) as port, connected(port) as second:
        await anyio.wait_all_tasks_blocked()  # whatever comes next comes after it
        async with connected(port) as third:
            await third.send(GET)
            assert await is_served(second)
            await anyio.wait_all_tasks_blocked()
            assert len(engine.asked) == 1
            await second.stream.aclose()
            assert (await third.answer()).body == b"yes"


async def test_a_server_that_is_out_of_files_tries_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(h11_server, "_RETRY_SECONDS", 0.0)
    fails = iter([OSError(24, "Too many open files"), ConnectionAbortedError("left")])
    accept = socket.socket.accept

    def failing(self: socket.socket) -> tuple[socket.socket, object]:
        if (error := next(fails, None)) is not None:
            raise error
        return accept(self)

    with listening() as passed:
        port = passed.getsockname()[1]
        monkeypatch.setattr(socket.socket, "accept", failing)
        async with serving(FakeEngine(yes), Listen(sockets=[passed])), connected(port) as wire:
            assert await is_served(wire)
    assert "Too many open files" in caplog.text


# TLS

CA = trustme.CA()


@pytest.fixture(scope="module")
def certificate() -> Iterator[Path]:
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        CA.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(file.name)
        yield Path(file.name)


@asynccontextmanager
async def secure(port: int) -> AsyncIterator[Wire]:
    context = ssl.create_default_context()
    CA.configure_trust(context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with await anyio.connect_tcp("127.0.0.1", port, ssl_context=context, tls_standard_compatible=True) as stream:
        yield Wire(stream)


async def test_tls_is_spoken(certificate: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    body = bytes(range(256)) * 20_000
    async with serving(FakeEngine(echo), Listen(port=0, certfile=str(certificate))) as port:
        async with secure(port) as wire:
            for size in (0, 100, len(body)):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(wire.send, posted(body[:size]))
                    assert (await wire.answer("POST")).body == body[:size]
            await wire.send(posted(b"last", b"Connection: close"))
            assert (await wire.answer("POST")).body == b"last"
            assert await wire.is_closed()  # with the word that it is: a mere end would be an error here
            assert wire.stream.extra(anyio.streams.tls.TLSAttribute.alpn_protocol) == "http/1.1"
            assert wire.stream.extra(anyio.streams.tls.TLSAttribute.tls_version) == "TLSv1.3"
        assert f"listening on https://127.0.0.1:{port}" in caplog.text


async def test_a_context_of_ones_own_is_taken(certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    async with anyio.create_task_group() as tasks:
        serve = functools.partial(serve_async, FakeEngine(yes), port=0, ssl_context=context)
        async with secure(await tasks.start(serve)) as wire:
            assert await is_served(wire)
        tasks.cancel_scope.cancel()


async def test_a_failed_handshake_is_nobody_elses_trouble(certificate: Path, caplog: pytest.LogCaptureFixture) -> None:
    listen = Listen(port=0, certfile=str(certificate))
    async with serving(FakeEngine(yes), listen) as port, connected(port), connected(port) as plain:
        await plain.send(GET)
        while not await plain.is_closed():
            plain.push_back(b"")
        with pytest.raises(ssl.SSLCertVerificationError):
            await anyio.connect_tcp("127.0.0.1", port, ssl_context=ssl.create_default_context())
        async with secure(port) as wire:
            assert await is_served(wire)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_handshake_has_its_time(certificate: Path) -> None:
    engine = FakeEngine(yes, limits=Limits(header_seconds=0.05))
    async with serving(engine, Listen(port=0, certfile=str(certificate))) as port, connected(port) as silent:
        assert await silent.is_closed()


def test_tls_is_new_enough(certificate: Path) -> None:
    context = tls_of(Listen(certfile=str(certificate)))
    assert context is not None
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert tls_of(Listen()) is None


def test_a_certificate_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(CannotServe, match="none"):
        tls_of(Listen(certfile=str(tmp_path / "none.pem")))
    bad = tmp_path / "bad.pem"
    bad.write_text("nothing")
    with pytest.raises(ResponsesStreamError, match="bad"):
        tls_of(Listen(certfile=str(bad)))
