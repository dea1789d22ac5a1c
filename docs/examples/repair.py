"""Sample 23: an upstream whose streams are broken, mended on the way, so that clients can read them.

    responses-stream serve docs/examples/repair.py

The upstream here forgets half of what a stream needs: it numbers nothing, begins and ends neither the message nor its
text, gives each event another item id, and says in the end that the output is empty. `responses-stream validate` tells
what is wrong with an upstream of yours.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import aclosing

from responses_stream import (
    AsyncYield,
    CreateResponse,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
)
from responses_stream.agents import Upstream, relay

server = ResponsesServer(options=ResponsesServerOptions(default_model="mended"))

log = logging.getLogger("mended")


@server.response_handler
async def answer(_: CreateResponse, context: ResponseContext) -> AsyncIterator[AsyncYield]:
    async with aclosing(relay(broken(), stream=context.stream(), repair=True)) as relayed:
        async for event in relayed:
            yield event
    # What was done, by the rules that were broken; `responses-stream explain R082` tells more of each. An upstream that
    # breaks off is ended with response.failed: what it has not said, nobody can mend.
    log.warning("%s", relayed.report)


async def broken() -> AsyncIterator[Upstream]:
    """Stands for the upstream; for a real one, see relay_streaming.py."""
    response = {"id": "resp_1", "object": "response", "output": []}
    yield {"type": "response.created", "response": {**response, "status": "in_progress"}}
    for number, delta in enumerate(["It ", "was ", "broken."]):
        yield {"type": "response.output_text.delta", "item_id": f"msg_{number}", "output_index": 0, "delta": delta}
    yield {"type": "response.completed", "response": {**response, "status": "completed"}}
