"""R170-R176: how a stream says that it broke: an `error` event, and `response.failed` behind it.

The sources disagree on the shape of the event and on what follows it, so the profiles differ here more than anywhere.
"""

from __future__ import annotations

from typing import Final

from responses_stream.validation.examples import Example
from responses_stream.validation.rule import Breakage, Rule

_FLAT: Final = '"type":"error","code":"server_error","message":"Broken.","param":null'

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="R170",
        title="An error event has its message at the top (flat) or in an error object (nested); where both, they agree",
        why="A reader that knows one shape finds no message in the other, and shows an error without a reason.",
        source="OpenAI types and Azure reference server: flat; Open Responses and seen on the wire (OpenAI): nested. "
        "Profiles openai and open-responses want nested only, azure flat only",
        strict="error",
        lenient="error",
        hint="Write the shape that the readers of this profile expect, or both with the same code, message and param.",
        breaks=Example('V6: set 2.message="Other."'),
        holds=Example('V6: set 2.message="Broken."; set 2.code="server_error"; set 2.param=null'),
    ),
    Rule(
        id="R171",
        title="An error event is followed by `response.failed`, unless it is the only event",
        why="Readers wait for a terminal event, and report a lost connection instead of the error.",
        source="Open Responses (must), seen on the wire; the Azure reference server sends one of the two",
        strict="error",
        lenient="warning",
        profiles={"azure": "off"},
        hint="Send `response.failed` with the same code and message directly after the error.",
        breaks=Example("V6: drop 3"),
        holds=Example("V6: drop 3; drop 0-1"),
        clients=(
            Breakage("codex", "stream disconnected before completion: stream closed before response.completed"),
            Breakage("openai-python .stream()", "RuntimeError: Didn't receive a `response.completed` event."),
            Breakage("langchain-js", "no error, but a wrong text"),
        ),
    ),
    Rule(
        id="R172",
        title="Nothing stands between an error event and `response.failed`",
        why="Clients that raise at the error never see it, so it is lost for them.",
        source="Seen on the wire",
        strict="error",
        lenient="warning",
        hint="Finish what is open before the error, or leave it open.",
        breaks=Example('V6: insert 3 {"type":"response.audio.done"}'),
        holds=Example('V6: insert 2 {"type":"response.audio.done"}'),
    ),
    Rule(
        id="R173",
        title="No error event follows `response.created`: later failures are told by `response.failed` only",
        why="Clients of the reference server take an error event as the sign that no response exists.",
        source="Azure reference server; Open Responses and OpenAI send both",
        strict="off",
        lenient="off",
        profiles={"azure": "error"},
        hint="Send `response.failed` alone once the response was created.",
        breaks=Example(f"V6: set 2={{{_FLAT}}}", profile="azure"),
        holds=Example("V6: drop 2", profile="azure"),
    ),
    Rule(
        id="R174",
        title="An error event that stands alone has the number 0",
        why="It is the first event of its stream, and a reader that asks for the rest asks from the wrong place.",
        source="Azure reference server",
        strict="off",
        lenient="off",
        profiles={"azure": "error"},
        hint="Number the lone error 0.",
        breaks=Example(f'V6: drop 3; drop 0-1; set 0={{{_FLAT},"sequence_number":3}}', profile="azure"),
        holds=Example(f"V6: drop 3; drop 0-1; set 0={{{_FLAT}}}", profile="azure"),
    ),
    Rule(
        id="R175",
        title="The code of the error event is the code of `response.error`",
        why="Who retries by the one code and who retries by the other do different things.",
        source="Seen on the wire",
        strict="warning",
        lenient="off",
        hint="Take both from the same failure.",
        breaks=Example('V6: set 3.response.error.code="rate_limit_exceeded"'),
        holds=Example('V6: set 2.error.code="rate_limit_exceeded"; set 3.response.error.code="rate_limit_exceeded"'),
    ),
    Rule(
        id="R176",
        title="A stream has at most one error event",
        why="Clients stop at the first, so the second reaches nobody.",
        source="Seen on the wire",
        strict="error",
        lenient="warning",
        hint="Tell the first failure, and log the others.",
        breaks=Example("V6: dup 2"),
        holds=Example('V6: set 2.message="Broken."; set 2.code="server_error"; set 2.param=null'),
    ),
)
