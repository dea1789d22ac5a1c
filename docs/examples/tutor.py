"""A tutor to try clients on: it thinks, explains with a source, and calls the tool that it was given.

    responses-stream serve docs/examples/tutor.py

No model is behind it. What it says is canned and depends on the question, so that every run is the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator

import anyio

from responses_stream import (
    AsyncEvents,
    CreateResponse,
    Events,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
    ResponseUsage,
)
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.protocol.items import InputMessage
from responses_stream.protocol.tools import FunctionTool

server = ResponsesServer(options=ResponsesServerOptions(default_model="tutor"))

WIKI = "https://en.wikipedia.org/wiki/"

LESSONS = {
    "sky": ("Air scatters blue light far more than red, so it reaches your eye from all over.", "Rayleigh scattering"),
    "moon": ("The Moon turns on its axis once in each orbit, so we always see one face.", "Tidal locking"),
    "": ("I only know about the sky and the moon. Ask me why the sky is blue.", "Socratic method"),
}


@server.response_handler
async def teach(
    request: CreateResponse, context: ResponseContext
) -> AsyncIterator[ResponseStreamEvent | Events | AsyncEvents]:
    question = question_of(request)
    explanation, source = next(LESSONS[topic] for topic in LESSONS if topic in question.lower())

    stream = context.stream()
    yield stream.emit_created()
    yield stream.emit_in_progress()

    # A whole item in one call.
    yield stream.output_item_reasoning(summary=f"The question is: {question} I explain, and name my source.")

    # An item event by event, because the annotation needs to know where in the text it stands.
    message = stream.add_output_item_message()
    yield message.emit_added()
    text = message.add_text_content()
    yield text.emit_added()
    async for token in model(f"{explanation} See {source}."):
        yield text.emit_delta(token)
    start = len(f"{explanation} See ")
    citation = {"type": "url_citation", "title": source, "url": WIKI + source.replace(" ", "_")}
    yield text.emit_annotation_added({**citation, "start_index": start, "end_index": start + len(source)})
    yield text.emit_text_done()  # the text is what the deltas said; there is no need to repeat it
    yield text.emit_done()
    yield message.emit_done()

    # A call of the client's own function. Its arguments come in pieces too, here from an async iterable.
    tools = [tool for tool in request.tools or [] if isinstance(tool, FunctionTool)]
    if tools and request.tool_choice != "none":
        arguments = json.dumps(dict.fromkeys(parameters_of(tools[0]), question))
        yield stream.output_item_function_call(tools[0].name, f"call_{tools[0].name}", model(arguments))

    read, said = len(question.split()), len(explanation.split())
    yield stream.emit_completed(usage=ResponseUsage(input_tokens=read, output_tokens=said, total_tokens=read + said))


async def model(text: str) -> AsyncIterator[str]:
    """Stands for a language model: says *text* word by word."""
    for word in re.findall(r"\s*\S+", text):
        await anyio.sleep(0.01)
        yield word


def question_of(request: CreateResponse) -> str:
    """Return what the user asked last."""
    if isinstance(request.input, str):
        return request.input
    for item in reversed(request.input or []):
        if isinstance(item, InputMessage) and item.role == "user":
            if isinstance(item.content, str):
                return item.content
            return " ".join(str(getattr(part, "text", "")) for part in item.content)
    return ""


def parameters_of(tool: FunctionTool) -> list[str]:
    """Return the names of the parameters of *tool* that are strings."""
    properties = (tool.parameters or {}).get("properties", {})
    return [name for name, schema in properties.items() if schema.get("type") == "string"]


if __name__ == "__main__":
    server.run()
