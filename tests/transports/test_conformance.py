"""Our transports under the public suite, each with every server that it is run by."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import ClassVar

import pytest

from responses_transports.conformance import TransportConformance
from responses_transports.conformance_client import Address, BrokenOff
from responses_transports.conformance_engine import DirectedEngine
from responses_transports.conformance_stage import open_stage

from .faulty import FAULTS
from .launching import SERVERS


class Launched(TransportConformance):
    """A server that is started once for all checks."""

    name: ClassVar[str]

    def serving(self, engine: DirectedEngine) -> AbstractContextManager[Address]:
        return SERVERS[self.name](engine)

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def started(cls) -> Iterator[None]:
        with open_stage(SERVERS[cls.name]) as cls.kept:
            yield
        cls.kept = None


class TestH11OnAsyncio(Launched):
    name = "h11-asyncio"


class TestH11OnTrio(Launched):
    name = "h11-trio"


@pytest.mark.slow
class TestUvicornWithH11(Launched):
    name = "uvicorn-h11"
    drains = False


class TestUvicornWithHttptools(Launched):
    name = "uvicorn-httptools"
    drains = False
    serves_old_clients = False  # it sends them chunks


@pytest.mark.slow
class TestHypercornOnAsyncio(Launched):
    name = "hypercorn-asyncio"
    drains = False


class TestHypercornOnTrio(Launched):
    name = "hypercorn-trio"
    drains = False


class TestGranian(Launched):
    name = "granian"
    drains = False


class OverWSGI(Launched):
    """What WSGI knows nothing of, whatever the server."""

    has_websocket = False
    notices_leaving = False
    keeps_fields_apart = False


class TestWaitress(OverWSGI):
    name = "waitress"
    streams_requests = False


class TestCheroot(OverWSGI):
    name = "cheroot"


class TestWsgiref(OverWSGI):
    name = "wsgiref"
    takes_chunks = False
    keeps_connections = False
    may_cut = False


@pytest.mark.slow
class TestGunicorn(OverWSGI):
    name = "gunicorn"


@pytest.mark.parametrize("fault", FAULTS)
def test_the_suite_finds_what_is_wrong(fault: str) -> None:
    distorted, check = FAULTS[fault]

    class Suite(TransportConformance):
        patience = 0.5

        def serving(self, engine: DirectedEngine) -> AbstractContextManager[Address]:
            return SERVERS["h11-asyncio"](distorted(engine))

    with pytest.raises((AssertionError, TimeoutError, BrokenOff)):
        getattr(Suite(), check)()
