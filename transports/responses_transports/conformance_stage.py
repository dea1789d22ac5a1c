"""The stage of a check: a transport that serves a `DirectedEngine`, its clients, and the calls that they cause."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TypeAlias

import msgspec

from responses_stream.hosting.http import Headers, Limits
from responses_transports.conformance_client import SECONDS, Address, Client
from responses_transports.conformance_engine import LENGTH, TELLINGS, Asked, DirectedEngine, Order, Told

Serving: TypeAlias = Callable[[DirectedEngine], AbstractContextManager[Address]]
"""What runs the transport around an engine while the context is open, and says where it listens."""


class Unexpected(AssertionError):
    """The transport does something else than it was to do.

    Attributes:
        what: what it does.
    """

    def __init__(self, what: str, expected: Sequence[str]) -> None:
        self.what = what
        super().__init__(f"the engine was to see {' or '.join(expected)}, and sees {what}")


class Call:
    """The check's end of the line: one call of the engine's door, to be directed."""

    def __init__(self, line: socket.socket, patience: float = SECONDS) -> None:
        line.settimeout(patience)
        self._line, self._patience = line, patience
        self._asked_next = False
        try:
            told = self._told()
        except BaseException:
            line.close()
            raise
        self.what, self._asked = told.what, told.asked

    @property
    def asked(self) -> Asked:
        """What the engine was asked."""
        assert self._asked is not None, f"{self.what} asks nothing"
        return self._asked

    def close(self) -> None:
        """Hang up; an engine that still waits for an order ends what it does."""
        self._line.close()

    def read(self) -> bytes | None:
        """Let the engine read a piece of the request's body, and return it, or None at the end.

        Raises:
            Unexpected: reading it was an error, or the call was cancelled.
        """
        self.begin_to_read()
        told = self._told()
        if told.what not in ("piece", "end"):
            raise Unexpected(told.what, ("a piece of the request", "its end"))
        return None if told.what == "end" else told.data

    def begin_to_read(self) -> None:
        """Let the engine read a piece, which may not be there yet, or never."""
        # A call that was cancelled takes no orders any more, and has told so.
        with contextlib.suppress(ConnectionError):
            self._order("read")

    def read_all(self) -> bytes:
        """Let the engine read the body to its end."""
        return b"".join(iter(self.read, None))

    def reply(self, body: bytes = b"", *headers: tuple[str, str], status: int = 200, sized: bool = True) -> None:
        """Let the engine reply with all of a body; its length is among the headers if it is to be *sized*."""
        length = (("content-length", str(len(body))),) if sized else ()
        self._order("reply", body, status, (*headers, *length))

    def stream(self, *headers: tuple[str, str], status: int = 200) -> None:
        """Let the engine reply with a stream."""
        with contextlib.suppress(ConnectionError):  # as above
            self._order("stream", status=status, headers=(("content-type", "text/event-stream"), *headers))

    def fail(self) -> None:
        """Let the engine, or the body it has replied with, raise an error of its own."""
        self._order("fail")

    def piece(self, data: bytes) -> None:
        """Give the next piece of the body, or the next message, as soon as the transport asks for it."""
        self.wait_for_next()
        self._asked_next = False
        self._order("piece", data)

    def end(self, close_code: int = 1000) -> None:
        """Let the body end, or the session with this close code."""
        self.wait_for_next()
        self._order("end", status=close_code)

    def cut(self) -> None:
        """Let the body break off."""
        self.wait_for_next()
        self._order("cut")

    def accept(self) -> None:
        """Let the handshake open a session."""
        self._order("accept")

    def wait_for_next(self, seconds: float | None = None) -> None:
        """Wait until the transport asks for the next piece.

        Raises:
            TimeoutError: it does not.
        """
        if not self._asked_next:
            self.wait_for("next", seconds=seconds)

    def wait_for(self, *what: str, seconds: float | None = None) -> bytes:
        """Wait until the engine tells one of *what*; return what it tells with it.

        That the next piece is asked for is remembered, and may come before.

        Raises:
            Unexpected: it tells something else.
            TimeoutError: it tells nothing.
        """
        self._line.settimeout(seconds or self._patience)
        while True:
            told = self._told()
            if told.what == "next":
                self._asked_next = True
            if told.what in what:
                self._line.settimeout(self._patience)
                return told.data
            if told.what != "next":
                raise Unexpected(told.what, what)

    def _order(self, do: str, data: bytes = b"", status: int = 200, headers: Headers = ()) -> None:
        message = msgspec.msgpack.encode(Order(do, data, status, headers))
        self._line.sendall(LENGTH.pack(len(message)) + message)

    def _told(self) -> Told:
        [length] = LENGTH.unpack(self._exactly(LENGTH.size))
        return TELLINGS.decode(self._exactly(length))

    def _exactly(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            piece = self._line.recv(length - len(data))
            assert piece, "the engine has gone: its process has ended, or it was not closed in order"
            data += piece
        return data


class Stage:
    """A transport that serves a `DirectedEngine`, and what its engine tells. Made by `open_stage`.

    Attributes:
        address: where the transport listens.
    """

    def __init__(self, listener: socket.socket, patience: float = SECONDS) -> None:
        self.address: Address = ("", 0)
        self._listener, self._patience = listener, patience
        self._calls: list[Call] = []
        self._waiting: list[Call] = []
        self._clients: list[Client] = []
        self._serving = ExitStack()

    def serve(self, serving: Serving, limits: Limits) -> None:
        """Serve an engine that this stage directs."""
        host, port = self._listener.getsockname()[:2]
        self.address = self._serving.enter_context(serving(DirectedEngine((host, port), limits)))

    def stop(self) -> None:
        """Stop the transport, and wait for its end. What is under way has to be brought to its end meanwhile."""
        self._serving.close()

    def connect(self, *, small: bool = False) -> Client:
        """Return a new client, with a *small* buffer for what it receives if so."""
        client = Client(self.address, small=small, patience=self._patience)
        self._clients.append(client)
        return client

    def call(self, what: str = "call") -> Call:
        """Return the next call of the engine: a ``call`` of `handle`, ``websocket``, ``lifespan`` or ``drain``.

        Raises:
            TimeoutError: there is none.
        """
        for waiting in self._waiting:
            if waiting.what == what:
                self._waiting.remove(waiting)
                return waiting
        self._listener.settimeout(self._patience)
        while True:
            line, _ = self._listener.accept()
            call = Call(line, self._patience)
            self._calls.append(call)
            if call.what == what:
                return call
            self._waiting.append(call)

    def clear(self) -> None:
        """Hang up on whoever is left of a check."""
        for client in self._clients:
            client.leave()
        self._listener.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:  # those that nobody has waited for
                line, _ = self._listener.accept()
                with contextlib.suppress(AssertionError, OSError):
                    self._calls.append(Call(line, self._patience))
        for call in self._calls:
            if call.what != "lifespan":
                call.close()
        self._clients.clear()
        self._calls = [call for call in self._calls if call.what == "lifespan"]
        self._waiting = [call for call in self._waiting if call.what == "lifespan"]

    def close(self) -> None:
        """Hang up on everybody."""
        self.clear()
        for call in self._calls:
            call.close()


@contextmanager
def open_stage(serving: Serving, limits: Limits | None = None, patience: float = SECONDS) -> Iterator[Stage]:
    """Serve a `DirectedEngine`; in the end, nothing is left of it.

    Args:
        serving: runs the transport around it.
        limits: what the transport is to let clients do.
        patience: how many seconds a check waits for what has to come.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        stage = Stage(listener, patience)
        try:
            stage.serve(serving, limits or Limits())
            yield stage
        finally:
            stage.clear()
            stage.stop()
            stage.close()


def pairs(headers: Sequence[tuple[str, str]], *names: str) -> list[tuple[str, str]]:
    """Return the *headers* of these names, in their order."""
    return [(name, value) for name, value in headers if name in names]
