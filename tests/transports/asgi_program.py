"""An application for the commands of ASGI servers, and ``python -m tests.transports.asgi_program NAME=VALUE ...``.

Its handler goes on for ever, without a word or with many, and takes no notice of a shutdown.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator

import anyio

from responses_stream import CreateResponse, ResponseContext, ResponsesServer, ResponsesServerOptions
from responses_stream.hosting.listening import Listen
from responses_stream.protocol.events import ResponseStreamEvent
from responses_transports.asgi import ASGIApp
from responses_transports.asgi_servers import serve

server = ResponsesServer(options=ResponsesServerOptions(shutdown_grace_period_seconds=0.1))
app = ASGIApp(server)


@server.response_handler
async def handler(request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
    stream = context.stream()
    yield stream.emit_created()
    yield stream.emit_in_progress()
    if request.model == "endless":
        message = stream.add_output_item_message()
        yield message.emit_added()
        text = message.add_text_content()
        yield text.emit_added()
        while True:
            yield text.emit_delta("x" * 10_000)
    await anyio.sleep_forever()


def main(*settings: str) -> None:
    """Serve as `Listen` says, with the ``grace`` of a shutdown in seconds and the ``store``."""
    values = dict(one.split("=", 1) for one in settings)
    logging.basicConfig(level="INFO", format="%(name)s: %(message)s")
    grace, store = float(values.pop("grace", "0.1")), values.pop("store", None)
    server.configure(ResponsesServerOptions(shutdown_grace_period_seconds=grace, store=store))
    listen = Listen(
        **{name: int(value) if value.isdigit() else value for name, value in values.items()}  # type: ignore[arg-type]  # as it says
    )
    serve(server, listen)
    logging.getLogger("program").info("ended in order")


if __name__ == "__main__":
    main(*sys.argv[1:])
