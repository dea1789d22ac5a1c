"""R011 to R023: what every event has, whatever it says: a type, the members of that type, and a number."""

from __future__ import annotations

from typing import Final

from responses_stream.validation.examples import Example
from responses_stream.validation.rule import Breakage, Rule

# An error told on its own. A WebSocket message has no number where nothing was created.
_LONE_ERROR: Final = "V6: drop 3; drop 0-1; set 0.status=500; del 0.sequence_number"

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="R011",
        title="An event is an object with a non-empty string `type`",
        why="The type says what the rest means; without it a reader has nothing to go by.",
        source="All sources",
        strict="error",
        lenient="error",
        hint="Give the event its `type`.",
        breaks=Example('V1: insert 4 {"type":""}'),
        holds=Example('V1: insert 4 {"type":"acme:a"}'),
    ),
    Rule(
        id="R012",
        title="`sequence_number` is an integer from 0; only an `error` on a WebSocket may leave it out",
        why="It is the cursor of a replay: a client that loses the connection cannot say where to go on.",
        source="OpenAI types, Open Responses and the Azure reference server",
        strict="error",
        lenient="warning",
        hint="Number the events when they are sent: 0, 1, 2 and so on.",
        breaks=Example("V1: del 4.sequence_number"),
        holds=Example(_LONE_ERROR, transport="websocket"),
    ),
    Rule(
        id="R013",
        title="The members that the type of an event requires are there and not null",
        why="Clients read them without asking: an event that lacks its index or its delta raises or is lost.",
        source="All sources",
        strict="error",
        lenient="error",
        hint="Write every required member of the event, also where its value is empty.",
        breaks=Example("V1: del 4.item_id"),
        holds=Example("V1: del 3.part.logprobs"),
        clients=(
            Breakage("openai-python .stream()", "raises"),
            Breakage("openai-node .stream()", "raises"),
            Breakage("AI SDK openai", "Type validation failed"),
        ),
    ),
    Rule(
        id="R014",
        title="Every index is an integer from 0, and a boolean is none",
        why="Clients use it as the index of a list: -1 is the last element to one and an error to another.",
        source="All sources",
        strict="error",
        lenient="error",
        hint="Count items, parts and annotations from 0 and write the count as an integer.",
        breaks=Example("V9: set 16.partial_image_index=true"),
        holds=Example("V9: set 16.partial_image_index=1"),
    ),
    Rule(
        id="R015",
        title="Members of an event have the JSON type that the event gives them: strings, objects, arrays",
        why="Clients join deltas and read members of objects; another type raises far from its cause.",
        source="All sources",
        strict="error",
        lenient="error",
        hint="Write the member with the JSON type that the protocol gives it.",
        breaks=Example("V9: set 16.partial_image_b64=7"),
        holds=Example('V9: set 16.partial_image_b64="7"'),
    ),
    Rule(
        id="R016",
        title="A type that the protocol does not know has the prefix of its vendor, as in `acme:trace`",
        why=(
            "A bare name may get a meaning later, and readers take it for an event that they are too old for. Mind that"
            " openai-node `.stream()` raises on a prefixed name too: send vendor events only to clients that ask."
        ),
        source="Open Responses; OpenAI and the Azure reference server add types of their own without a prefix",
        strict="warning",
        lenient="off",
        profiles={"open-responses": "error"},
        hint="Name events of your own `vendor:name`, or leave them out.",
        breaks=Example('V1: insert 4 {"type":"response.output_text.magic"}'),
        holds=Example('V1: insert 4 {"type":"acme:output_text.magic"}'),
        clients=(Breakage("openai-node .stream()", 'Unhandled response stream event: {"type":"acme:trace",…}'),),
    ),
    Rule(
        id="R017",
        title="No `keepalive` event stands in the stream",
        why="The type is in no published list, so readers that know their events only may stop at it.",
        source="Seen on the wire from OpenAI, though not in its types; others send comments",
        strict="off",
        lenient="off",
        profiles={"openai": "warning"},
        hint="Keep the connection awake with comments (`: keep-alive`) rather than with events.",
        breaks=Example('V1: insert 4 {"type":"keepalive"}', "openai"),
        holds=Example('V1: insert 4 {"type":"acme:keepalive"}', "openai"),
    ),
    Rule(
        id="R018",
        title="`obfuscation` stands on delta events only",
        why="It pads pieces so that their length tells nothing; a whole value has nothing to hide by it.",
        source="OpenAI types and Open Responses",
        strict="warning",
        lenient="off",
        hint="Pad deltas, and nothing else.",
        breaks=Example('V1: set 6.obfuscation="xx"'),
        holds=Example('V1: set 5.obfuscation="xx"'),
    ),
    Rule(
        id="R021",
        title="The first event of a fresh stream has the number 0",
        why="A reader cannot know whether it missed the beginning.",
        source="The Azure reference server (tested), and seen on the wire; Open Responses is silent",
        strict="error",
        lenient="warning",
        hint="Begin each response with the number 0.",
        breaks=Example("V1: renumber from 1"),
        holds=Example("V1: drop 0; renumber from 1", starting_after=0),
    ),
    Rule(
        id="R022",
        title="Numbers grow strictly",
        why="A client that resumes after a number gets events twice, or loses some, where a number stands twice.",
        source="Open Responses and all others",
        strict="error",
        lenient="error",
        hint="Take each number from one counter, at the moment the event is sent.",
        breaks=Example("V1: set 9.sequence_number=8"),
        holds=Example(
            'V1: insert 9 {"type":"keepalive"}; set 9.sequence_number=8; set 10.sequence_number=9',
        ),
    ),
    Rule(
        id="R023",
        title="Each number is the previous one plus 1",
        why="A gap looks like a lost event, and a careful reader asks for a replay that cannot help.",
        source=(
            "The Azure reference server (tested), and seen on the wire; Open Responses only wants growth, and the"
            " public Open Responses validator accepts gaps"
        ),
        strict="error",
        lenient="warning",
        profiles={"open-responses": "warning"},
        hint="Number events when they are sent and not when they are made, so that a dropped event leaves no gap.",
        breaks=Example("V1: set 9.sequence_number=12"),
        holds=Example('V1: insert 9 {"type":"acme:a"}'),
    ),
)
