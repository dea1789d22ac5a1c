"""Sample 5 (H19.5): a study tutor that remembers: it reads the turns before this one, the newest 20 items of them.

    responses-stream serve docs/examples/study_tutor.py

A client continues with `previous_response_id`, or with a `conversation`.
"""

from __future__ import annotations

from responses_stream import (
    CreateResponse,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
    TextResponse,
)
from responses_stream.protocol.conversions import get_input_text

server = ResponsesServer(
    options=ResponsesServerOptions(
        default_model="study-tutor",
        default_fetch_history_count=20,  # items, not turns: a turn has a question and an answer at least
    )
)


@server.response_handler
async def teach(request: CreateResponse, context: ResponseContext) -> TextResponse:
    history = await context.get_history()  # oldest first, questions and answers
    asked = [text for item in history if (text := get_input_text([item]))]
    question = await context.get_input_text()
    if not asked:
        return TextResponse(context, request, text=f"Let us begin with this: {question}")
    return TextResponse(context, request, text=f"You asked {len(asked)} before, last {asked[-1]!r}. Now: {question}")
