"""What the parts of the conformance suite share: how they come by a transport, and how a check is run."""

from __future__ import annotations

import threading
import unittest
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

from responses_transports.conformance_client import SECONDS, Address
from responses_transports.conformance_engine import DirectedEngine
from responses_transports.conformance_stage import Stage, open_stage

Self_ = TypeVar("Self_", bound="Conforming")


class Conforming:
    """How the suite comes by a transport, and what that cannot do. A test class of your own says it.

    Attributes:
        kept: a stage that all checks share which do not stop the transport; for one that takes long to start. Made by
            `open_stage` and closed by who sets it. Without one, each check has its own.
        has_websocket: whether it opens WebSockets; else it hands their handshakes to `Engine.handle`.
        tells_refusals: whether the reply that refuses a WebSocket reaches the client; else that is told 403.
        notices_leaving: whether it notices at once that a client has gone; else when it next writes.
        streams_requests: whether a request reaches the engine before all of its body has come.
        takes_chunks: whether a request may have a body in chunks.
        keeps_connections: whether a connection is used for the next request.
        keeps_fields_apart: whether a header that comes more than once is not joined to one.
        serves_old_clients: whether a client of HTTP/1.0 gets a stream without chunks.
        may_cut: whether a client can tell a body that was cut short from one that has ended.
        drains: whether it drains the engine when it is stopped.
        patience: how many seconds a check waits for what has to come; only who fails is waited for so long.
        most_ahead: how many bytes it may take of a stream that nobody reads, with all buffers on the way.
    """

    kept: Stage | None = None
    has_websocket: bool = True
    tells_refusals: bool = True
    notices_leaving: bool = True
    streams_requests: bool = True
    takes_chunks: bool = True
    keeps_connections: bool = True
    keeps_fields_apart: bool = True
    serves_old_clients: bool = True
    may_cut: bool = True
    drains: bool = True
    patience: float = SECONDS
    most_ahead: int = 16 * 1024 * 1024

    def serving(self, engine: DirectedEngine) -> AbstractContextManager[Address]:
        """Return a context in which the transport serves *engine*, with the address that it listens on.

        It may listen on a free port. Leaving the context stops it as its users would, and waits for its end. The
        engine can be pickled.
        """
        raise NotImplementedError("override serving: the context of a transport that serves the engine")

    @contextmanager
    def stage(self) -> Iterator[Stage]:
        """Return the stage of one check."""
        if self.kept is None:
            with open_stage(self.serving, patience=self.patience) as stage:
                yield stage
        else:
            try:
                yield self.kept
            finally:
                self.kept.clear()


def conforms(check: Callable[[Self_, Stage], None]) -> Callable[[Self_], None]:
    """Make a test of a check."""
    return _test(check, ())


def conforms_where(*flags: str) -> Callable[[Callable[[Self_, Stage], None]], Callable[[Self_], None]]:
    """Make a test of a check that asks for what only some transports can do."""
    return lambda check: _test(check, flags)


def _test(check: Callable[[Self_, Stage], None], flags: tuple[str, ...]) -> Callable[[Self_], None]:
    def test(suite: Self_) -> None:
        for flag in flags:
            if not getattr(suite, flag):
                raise unittest.SkipTest(f"{flag} is False")
        with suite.stage() as stage:
            check(suite, stage)

    # Not functools.wraps: a test runner would look for fixtures with the names of the check's parameters.
    test.__name__, test.__qualname__, test.__doc__ = check.__name__, check.__qualname__, check.__doc__
    return test


@contextmanager
def meanwhile(do: Callable[[], object]) -> Iterator[None]:
    """Let *do* go on in a thread while the context is open, and raise what it raises."""
    trouble: list[BaseException] = []

    def run() -> None:
        try:
            do()
        except BaseException as error:
            trouble.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield
    thread.join(SECONDS)
    assert not thread.is_alive(), "what was begun has not ended"
    if trouble:
        raise trouble[0]
