"""Sample 4 (H19.4): a function call over two turns. The first asks the client to call, the second reads what it got.

    responses-stream serve docs/examples/function_call.py

A client sends `tools` with a function, reads a `function_call` item, calls the function, and sends the result as a
`function_call_output` item with `previous_response_id`.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from responses_stream import (
    AsyncYield,
    CreateResponse,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
)
from responses_stream.protocol.ids import new_id
from responses_stream.protocol.items import ResponseFunctionToolCallOutputItem
from responses_stream.protocol.tools import FunctionTool

server = ResponsesServer(options=ResponsesServerOptions(default_model="weather"))


@server.response_handler
async def answer(request: CreateResponse, context: ResponseContext) -> AsyncIterator[AsyncYield]:
    stream = context.stream()
    yield stream.emit_created()
    yield stream.emit_in_progress()

    results = [item for item in await context.get_input_items() if isinstance(item, ResponseFunctionToolCallOutputItem)]
    functions = [tool for tool in request.tools or [] if isinstance(tool, FunctionTool)]
    if results:
        yield stream.output_item_message(f"The function says: {results[-1].output}")
    elif functions:
        # The client answers to the call id. It may be any string that is unique in the conversation.
        call_id = new_id("call")
        arguments = json.dumps({"city": await context.get_input_text()})
        yield stream.output_item_function_call(functions[0].name, call_id, arguments)
    else:
        yield stream.output_item_message("Give me a function that knows the weather, and I call it.")

    yield stream.emit_completed()
