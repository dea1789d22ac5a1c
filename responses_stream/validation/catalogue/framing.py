"""R001 to R010: how the events of a stream are written as Server-Sent Events.

These rules need the text of the stream. Where events are judged that somebody has already read, nothing can break them.
"""

from __future__ import annotations

from typing import Final

from responses_stream.validation.examples import Example
from responses_stream.validation.rule import Breakage, Rule

# What stands at the very end of V1 as text, for examples about what follows it.
_LAST: Final = '"sequence_number":9}\n\n'
# Every client on openai-python but litellm, which reads frames itself.
_READS_EMPTY_DATA: Final = (
    *("openai-python", "openai-python .stream()", "openai-agents (py)", "langchain (py)"),
    *("pydantic-ai", "any-llm"),
)

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="R001",
        title="The data of every frame is one JSON object, or the literal `[DONE]`",
        why="A reader cannot tell what a frame says that is no JSON: most clients raise, the others lose the event.",
        source="Open Responses, and the reader of the OpenAI SDK",
        strict="error",
        lenient="error",
        hint="Write each event as one whole JSON object behind `data: `, and nothing else but `data: [DONE]`.",
        breaks=Example(
            "V1",
            edits=(
                ("event: response.completed\n", 'event: acme:a\ndata: {"type":"acme:a"\n\nevent: response.completed\n'),
            ),
        ),
        holds=Example('V1: insert 9 {"type":"acme:a"}', edits=()),
    ),
    Rule(
        id="R002",
        title="The `event:` field of a frame equals the `type` in its data",
        why="Readers that dispatch on the field and readers that dispatch on the data would see two different events.",
        source="Open Responses (must) and the Azure reference server",
        strict="error",
        lenient="warning",
        hint="Write the `event:` line from the `type` of the event that the frame carries.",
        breaks=Example("V1", edits=(("event: response.created\n", "event: response.in_progress\n"),)),
        holds=Example("V1", edits=(("event: response.created\n", "event:response.created\n"),)),
    ),
    Rule(
        id="R003",
        title="Every frame with data, `[DONE]` aside, has an `event:` field",
        why=(
            "A browser's `EventSource` and other readers by name never see a frame without one. Where a stream writes"
            " no `event:` line at all this is a warning: all measured clients take the type from the data."
        ),
        source="Open Responses and the Azure reference server; the OpenAI SDK does not look at the field",
        strict="error",
        lenient="off",
        hint="Begin each frame with an `event:` line that holds the type of the event.",
        breaks=Example("V1", edits=(("event: response.in_progress\n", ""),)),
        holds=Example("V1", edits=((_LAST, f"{_LAST}data: [DONE]\n\n"),)),
    ),
    Rule(
        id="R004",
        title="No frame has an `id:` field",
        why=(
            "The cursor of a replay is `sequence_number`; an id would make browsers resume with a header that no server"
            " reads. Clients that remember the id take a later comment for a frame with empty data, and raise."
        ),
        source="Open Responses (should not) and the Azure reference server (tested)",
        strict="warning",
        lenient="off",
        hint="Leave the `id:` line out: `sequence_number` in the data is the cursor.",
        breaks=Example("V1", edits=(("event: response.in_progress\n", "id: 1\nevent: response.in_progress\n"),)),
        holds=Example("V1", edits=(("event: response.in_progress\n", ": id: 1\n\nevent: response.in_progress\n"),)),
        clients=tuple(
            Breakage(client, "JSONDecodeError: Expecting value: line 1 column 1 (char 0)")
            for client in _READS_EMPTY_DATA
        ),
    ),
    Rule(
        id="R005",
        title="`[DONE]` stands at most once, and nothing but comments follows it",
        why="Readers stop at `[DONE]`, so whatever follows it is lost to them.",
        source="Open Responses, and the reader of the OpenAI SDK, which stops there",
        strict="error",
        lenient="warning",
        hint="Send `data: [DONE]` once, behind the terminal event, and close the body.",
        breaks=Example("V1", edits=((_LAST, f"{_LAST}data: [DONE]\n\ndata: [DONE]\n\n"),)),
        holds=Example("V1", edits=((_LAST, f"{_LAST}data: [DONE]\n\n"),)),
    ),
    Rule(
        id="R006",
        title="`[DONE]` ends the stream where the profile wants it, and is left out where it does not",
        why="A reader of Open Responses waits for the mark; the services of OpenAI and Azure never send it.",
        source="Open Responses demands it; OpenAI and the Azure reference server do not send it",
        strict="off",
        lenient="off",
        profiles={"open-responses": "error", "openai": "error", "azure": "error"},
        hint="End the stream with `data: [DONE]` for Open Responses, and without it for OpenAI and Azure.",
        breaks=Example("V1", "openai", edits=((_LAST, f"{_LAST}data: [DONE]\n\n"),)),
        holds=Example("V1", "openai", edits=()),
    ),
    Rule(
        id="R007",
        title="Every frame, the last one included, ends with an empty line",
        why="A frame is handed on at its empty line; without it readers drop the frame, here the terminal event.",
        source="The standard of Server-Sent Events, and the reader of the OpenAI SDK",
        strict="error",
        lenient="warning",
        hint="Write an empty line behind the data of every frame, also behind the last one.",
        breaks=Example("V1", edits=((_LAST, _LAST.removesuffix("\n")),)),
        holds=Example("V1", edits=()),
    ),
    Rule(
        id="R008",
        title="The text is UTF-8, its lines end with LF, and the JSON of an event stands on one `data:` line",
        why="The standard allows more than this, and hand-written readers understand less than the standard.",
        source="The Azure reference server, and every server seen on the wire",
        strict="warning",
        lenient="off",
        hint="Write UTF-8 with LF line ends and compact JSON, in which line ends are escaped.",
        breaks=Example("V1", edits=(("event: response.created\n", "event: response.created\r\n"),)),
        holds=Example(r'V1: insert 4 {"type":"acme:a","text":"a\r\nb"}', edits=()),
    ),
    Rule(
        id="R009",
        title="No comment stands behind the terminal event or inside a frame",
        why="A comment keeps a waiting reader awake; behind the end it holds open a stream that is over.",
        source="The Azure reference server",
        strict="warning",
        lenient="off",
        hint="Send comments as frames of their own, stop them before the terminal event, and close the body behind it.",
        breaks=Example("V1", edits=((_LAST, f"{_LAST}: keep-alive\n\n"),)),
        holds=Example("V1", edits=(("event: response.completed\n", ": keep-alive\n\nevent: response.completed\n"),)),
    ),
    Rule(
        id="R010",
        title="No frame has a `retry:` field",
        why="It tells browsers to post again after a break; a response that is lost is replayed by its cursor instead.",
        source="No source uses it",
        strict="warning",
        lenient="off",
        hint="Leave the `retry:` line out.",
        breaks=Example("V1", edits=(("event: response.in_progress\n", "retry: 1000\nevent: response.in_progress\n"),)),
        holds=Example(
            "V1", edits=(("event: response.in_progress\n", ": retry: 1000\n\nevent: response.in_progress\n"),)
        ),
    ),
)
