"""Sample 18: a conversation that survives its server, because the responses are kept in SQLite.

    responses-stream serve docs/examples/sqlite_restart.py

Ask something, stop the server, start it again, and go on with `previous_response_id`. A response that was in the making
when a process died is ended by the next one: as failed, with the code `server_restarted`.
"""

from __future__ import annotations

import os

from responses_stream import (
    CreateResponse,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
    TextResponse,
)
from responses_stream.protocol.conversions import get_input_text

PROCESS = os.getpid()

server = ResponsesServer(
    options=ResponsesServerOptions(default_model="elephant", store="sqlite:///elephant.sqlite3"),
)


@server.response_handler
async def remember(request: CreateResponse, context: ResponseContext) -> TextResponse:
    # Nothing is kept in this module: what was said stands in the store, and comes with the request.
    told = get_input_text(await context.get_history()).splitlines()
    text = f"You told me: {', '.join(told) or 'nothing yet'}. (Process {PROCESS})"
    return TextResponse(context, request, text=text)
