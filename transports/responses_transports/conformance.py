"""Hold any transport to what `Engine` asks of it: subclass `TransportConformance` in a test module of your own.

It needs no test runner in particular: its ``test_`` methods take nothing and assert. They speak HTTP over real sockets
to the transport, which serves an engine that they direct.
"""

from __future__ import annotations

from responses_transports.conformance_exchanges import ExchangeConformance
from responses_transports.conformance_streams import StreamConformance
from responses_transports.conformance_websockets import WebSocketConformance


class TransportConformance(ExchangeConformance, StreamConformance, WebSocketConformance):
    """What every transport does, as tests.

    Override `serving`. What the transport lacks and need not have, say with the attributes of `conforming.Conforming`.

    Example:
        A transport that serves in a thread of its own, until it is told to stop:

        >>> from contextlib import contextmanager
        >>> class TestOurs(TransportConformance):
        ...     has_websocket = False
        ...
        ...     @contextmanager
        ...     def serving(self, engine):
        ...         server = OurServer(engine, port=0)
        ...         server.start()
        ...         yield "127.0.0.1", server.port
        ...         server.stop()
    """
