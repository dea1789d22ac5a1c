"""Sample 15 (H19.15): a message with annotations: a file that it cites, a file that it made, and a web page.

responses-stream serve docs/examples/annotations.py
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from responses_stream import (
    AsyncYield,
    CreateResponse,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
)
from responses_stream.protocol.parts import (
    AnnotationFileCitation,
    AnnotationFilePath,
    AnnotationURLCitation,
    TextAnnotation,
)

server = ResponsesServer(options=ResponsesServerOptions(default_model="librarian"))

TEXT = "The sky is blue because of Rayleigh scattering. I have drawn it in sky.png."
SOURCE = "Rayleigh scattering"


@server.response_handler
async def cite(_: CreateResponse, context: ResponseContext) -> AsyncIterator[AsyncYield]:
    stream = context.stream()
    yield stream.emit_created()
    yield stream.emit_in_progress()
    start = TEXT.index(SOURCE)
    # `index` is a place in the text. An annotation that does not lie in it is refused here, not by the client.
    annotations: list[TextAnnotation] = [
        AnnotationFileCitation(file_id="file_optics", filename="optics.pdf", index=start + len(SOURCE)),
        AnnotationURLCitation(
            url="https://en.wikipedia.org/wiki/Rayleigh_scattering",
            title=SOURCE,
            start_index=start,
            end_index=start + len(SOURCE),
        ),
        AnnotationFilePath(file_id="file_sky", index=TEXT.index("sky.png")),
    ]
    # They are sent after the text. `emit_annotation_added` of the text's builder sends one earlier: see tutor.py.
    yield stream.output_item_message(TEXT.split(" and "), annotations=annotations)
    yield stream.emit_completed()
