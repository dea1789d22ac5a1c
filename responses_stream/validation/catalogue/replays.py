"""R190-R195: replays: the events of a response once more, whole or from a cursor on (GET with ``stream=true``).

A client that lost its connection goes on where it stopped; the log it reads then has to be the one it began with.
"""

from __future__ import annotations

from typing import Final

from responses_stream.validation.examples import Example
from responses_stream.validation.rule import Rule

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="R190",
        title="With `starting_after=n` every event has a number above n",
        why="The client has the earlier ones: a text that is sent again is shown twice.",
        source="OpenAI SDK, Azure reference server",
        strict="error",
        lenient="error",
        hint="Send the events behind the cursor, and not the one at it.",
        breaks=Example("V1: drop 0-3; renumber from 4", starting_after=4),
        holds=Example("V1: drop 0-3; renumber from 4", starting_after=3),
    ),
    Rule(
        id="R191",
        title="The first event after `starting_after=n` has the number n + 1",
        why="What stood between is lost for ever, because the client asks for it only once.",
        source="Azure reference server, OpenAI guide",
        strict="error",
        lenient="warning",
        hint="Keep the whole log as long as the response can be resumed.",
        breaks=Example("V1: drop 0-5; renumber from 6", starting_after=4),
        holds=Example("V1: drop 0-5; renumber from 6", starting_after=5),
    ),
    Rule(
        id="R192",
        title="A replayed event equals the original of the same number",
        why="A client that goes on in the middle puts two different texts together.",
        source="Azure reference server (tested)",
        strict="error",
        lenient="error",
        hint="Store the events that were sent, and replay those.",
        breaks=Example('V1: drop 0-3; renumber from 4; set 0.delta="HEL"', starting_after=3, original="V1"),
        holds=Example("V1: drop 0-3; renumber from 4", starting_after=3, original="V1"),
    ),
    Rule(
        id="R193",
        title="The replay of a finished response ends with its terminal event",
        why="The client takes the end for another lost connection, and asks again and again.",
        source="Azure reference server (tested)",
        strict="error",
        lenient="error",
        hint="Store the terminal event before it is sent, and replay the log to its end.",
        breaks=Example("V1: drop 9; drop 0-4; renumber from 5", starting_after=4, original="V1"),
        holds=Example("V1: drop 0-8; renumber from 9", starting_after=8, original="V1"),
    ),
    Rule(
        id="R194",
        title="A `starting_after` at or behind the last number gives an empty stream",
        why="The client asks whether there is more; an event, or an error, tells it so where there is none.",
        source="Azure reference server",
        strict="error",
        lenient="warning",
        hint="Answer with a stream that ends at once.",
        breaks=Example("V1: drop 0-8; renumber from 10", starting_after=9, original="V1"),
        holds=Example("V1: drop 0-9", starting_after=9, original="V1"),
    ),
    Rule(
        id="R195",
        title="Replayed created and in_progress copies still show the early status and an empty output",
        why="A client that follows the replay takes the response for finished before the first text.",
        source="Azure reference server (tested)",
        strict="error",
        lenient="error",
        hint="Copy the response into each event when it is made, not when it is sent.",
        breaks=Example('V1: set 0.response.status="completed"', original="V1"),
        holds=Example("V1", original="V1"),
    ),
)
