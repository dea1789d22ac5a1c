"""R090-R114: the parts of an item, and the text inside them.

A part is added empty, filled by deltas, told whole once, and closed. The same text is then said three times more, in
the part, in the item and in the response, and has to be the same each time.
"""

from __future__ import annotations

from typing import Final

from responses_stream.validation.examples import Example
from responses_stream.validation.rule import Breakage, Rule

# A message with a refusal as its only part.
_REFUSAL: Final = 'V13: drop 3-7; every 3-6 content_index=0; del 7.item.content.0; set 8.response.output=[{"$item":7}]'

# A message with an empty text.
_EMPTY: Final = (
    'V1: drop 4-5; set 4.text=""; set 5.part.text=""; set 6.item.content.0.text=""; set 7.response.output=[{"$item":6}]'
)

# Another text, in every place.
_HALLO: Final = (
    'V1: set 4.delta="Hal"; set 6.text="Hallo"; set 7.part.text="Hallo"; set 8.item.content.0.text="Hallo"; '
    'set 9.response.output=[{"$item":8}]'
)

_LATE: Final = (
    '{"type":"response.output_text.delta","item_id":"msg_01","output_index":0,"content_index":0,"delta":"!",'
    '"logprobs":[]}'
)
_NO: Final = '{"type":"response.refusal.delta","item_id":"msg_01","output_index":0,"content_index":0,"delta":"No."}'

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="R090",
        title="The type of a part fits its item: output_text and refusal in a message, reasoning_text in reasoning",
        why="Typed readers have no class for another part there, and show nothing or raise.",
        source="OpenAI types, Azure reference server; the Open Responses types allow more",
        strict="error",
        lenient="warning",
        hint="Send text in output_text parts of messages, and thoughts in reasoning items.",
        breaks=Example('V1: set 3.part={"type":"summary_text","text":""}'),
        holds=Example(_REFUSAL),
    ),
    Rule(
        id="R091",
        title="`content_index` of a new part is the number of parts that the item had so far",
        why="Readers append the part and use the index as a position in the list; a gap makes them look past its end.",
        source="OpenAI SDK (a position in a list), seen on the wire",
        strict="error",
        lenient="error",
        hint="Count the parts of each item from 0, without gaps.",
        breaks=Example("V1: every 3-7 content_index=1"),
        holds=Example("V13"),
    ),
    Rule(
        id="R092",
        title="A part is added once",
        why="A second one replaces the first or shifts the following ones, so text is lost or told twice.",
        source="The public Open Responses validator",
        strict="error",
        lenient="error",
        hint="Send `response.content_part.added` once for each `content_index` of an item.",
        breaks=Example("V1: dup 3"),
        holds=Example("V14"),
    ),
    Rule(
        id="R093",
        title="Text and refusal events need a part that was added",
        why="Without it a reader has no part to append the text to; the official clients raise.",
        source="Open Responses (must), OpenAI SDK",
        strict="error",
        lenient="error",
        hint="Send `response.content_part.added` before the first text of the part.",
        breaks=Example("V1: drop 3"),
        holds=Example(_EMPTY),
        clients=(
            Breakage("openai-python .stream()", "IndexError: list index out of range"),
            Breakage("openai-node .stream()", "missing content at index 0"),
        ),
    ),
    Rule(
        id="R094",
        title="No delta follows the done value of a part",
        why="The text was told to be whole. Some readers append the late piece, others raise, most ignore it: "
        "they end with different texts.",
        source="Azure reference server, Open Responses",
        strict="error",
        lenient="error",
        hint="Send the done event after the last delta.",
        breaks=Example(f"V1: insert 7 {_LATE}"),
        holds=Example(
            f'V1: insert 6 {_LATE}; set 7.text="Hello!"; set 8.part.text="Hello!"; '
            'set 9.item.content.0.text="Hello!"; set 10.response.output=[{"$item":9}]'
        ),
        clients=(
            Breakage("AI SDK openai", "text part msg_X not found"),
            Breakage("AI SDK open-responses", "text part msg_X not found"),
            Breakage("openai-python", "no error, but a wrong text"),
            Breakage("openai-node", "no error, but a wrong text"),
            Breakage("langchain (py)", "no error, but a wrong text"),
            Breakage("langchain-js", "no error, but a wrong text"),
            Breakage("pydantic-ai", "no error, but a wrong text"),
            Breakage("litellm", "no error, but a wrong text"),
            Breakage("any-llm", "no error, but a wrong text"),
        ),
    ),
    Rule(
        id="R095",
        title="A part has one done value",
        why="A reader that acts on the whole text acts twice.",
        source="Azure reference server",
        strict="error",
        lenient="error",
        hint="Send the done event of a text or refusal once for each part.",
        breaks=Example("V1: dup 6"),
        holds=Example("V13"),
    ),
    Rule(
        id="R096",
        title="A part is closed only after its done value",
        why="Readers that take the whole text from the done event never get it.",
        source="Open Responses (grammar), Azure reference server",
        strict="error",
        lenient="warning",
        hint="Send the done event of the text or refusal before `response.content_part.done`.",
        breaks=Example("V1: drop 6"),
        holds=Example(_EMPTY),
    ),
    Rule(
        id="R097",
        title="Only a part that was added can be closed",
        why="The closed part has no place: the reader never heard where it begins.",
        source="The public Open Responses validator",
        strict="error",
        lenient="error",
        hint="Close a part with the `content_index` that it was added with.",
        breaks=Example(
            'V1: insert 8 {"type":"response.content_part.done","item_id":"msg_01","output_index":0,"content_index":1,'
            '"part":{"type":"output_text","text":"","annotations":[],"logprobs":[]}}'
        ),
        holds=Example("V13"),
    ),
    Rule(
        id="R098",
        title="A part is closed once",
        why="A reader that stores parts when they are closed stores the second copy as another part.",
        source="The public Open Responses validator",
        strict="error",
        lenient="error",
        hint="Send `response.content_part.done` once for each part.",
        breaks=Example("V1: dup 7"),
        holds=Example("V13"),
    ),
    Rule(
        id="R099",
        title="The kind of a delta or done event fits the type of the open part",
        why="A text part has no refusal to append to, so the piece is lost or the reader raises.",
        source="OpenAI SDK",
        strict="error",
        lenient="error",
        hint="Open a part of its own for the refusal, behind the text.",
        breaks=Example(f"V1: insert 4 {_NO}"),
        holds=Example("V13"),
    ),
    Rule(
        id="R100",
        title="The type of a part is the same when it is added and when it is closed",
        why="A reader that chose how to show the part has to begin again, and clients with typed parts raise.",
        source="OpenAI SDK",
        strict="error",
        lenient="error",
        hint="Close the part with the type that it was added with.",
        breaks=Example('V1: set 7.part={"type":"refusal","refusal":"Hello"}'),
        holds=Example(_REFUSAL),
    ),
    Rule(
        id="R101",
        title="A part is added empty",
        why="Readers that append the deltas to the added part would show the first text twice.",
        source="Azure reference server, Open Responses (zero values), seen on the wire",
        strict="error",
        lenient="warning",
        hint='Add the part with text "" (or refusal "") and annotations [], and send all text as deltas.',
        breaks=Example('V1: set 3.part.text="x"'),
        holds=Example("V1: del 3.part.logprobs"),
    ),
    Rule(
        id="R102",
        title="The done value of a text, refusal or raw reasoning equals its deltas joined",
        why="Who reads the deltas and who reads the done event see different texts.",
        source="OpenAI types, Open Responses, Azure reference server",
        strict="error",
        lenient="error",
        hint="Join the deltas that were sent, and send exactly that as the done value.",
        breaks=Example('V1: set 5.delta="la"'),
        holds=Example(_HALLO),
    ),
    Rule(
        id="R103",
        title="The closed part holds the text of its done value",
        why="Readers that store parts keep another text than the one that was shown.",
        source="Azure reference server, seen on the wire",
        strict="error",
        lenient="error",
        hint="Put the text of the done event into `response.content_part.done` unchanged.",
        breaks=Example(
            'V1: set 7.part.text="Hallo"; set 8.item.content.0.text="Hallo"; set 9.response.output=[{"$item":8}]'
        ),
        holds=Example(_HALLO),
    ),
    Rule(
        id="R104",
        title="All parts of an item are closed before the item is done",
        why="A reader that waits for the end of the part waits for ever.",
        source="The public Open Responses validator, Azure reference server",
        strict="error",
        lenient="warning",
        hint="Send `response.content_part.done` for each part, then `response.output_item.done`.",
        breaks=Example("V1: drop 7"),
        holds=Example("V7"),
    ),
    Rule(
        id="R105",
        title="A done value that is not empty had at least one delta",
        why="Readers that show deltas only, as most chat windows do, stay empty until the end.",
        source="The helpers of the Azure reference server always send one; LM Studio sends the done event only",
        strict="warning",
        lenient="off",
        hint="Send the whole value as one delta where it does not come in pieces.",
        breaks=Example("V12: drop 3"),
        holds=Example('V12: drop 3; set 3.input=""; set 4.item.input=""; set 5.response.output=[{"$item":4}]'),
    ),
    Rule(
        id="R106",
        title="The done item has as many parts as were added",
        why="A part that was streamed is missing from the record, or one stands there that nobody saw.",
        source="Azure reference server, seen on the wire",
        strict="error",
        lenient="warning",
        hint="Collect the closed parts, and put all of them into the done item.",
        breaks=Example('V13: del 12.item.content.1; set 13.response.output=[{"$item":12}]'),
        holds=Example('V13: drop 8-11; del 8.item.content.1; set 9.response.output=[{"$item":8}]'),
    ),
    Rule(
        id="R107",
        title="Deltas are not empty",
        why="They cost a frame and say nothing, and readers that take an empty piece for the end stop early.",
        source="Seen on the wire: none is ever empty",
        strict="warning",
        lenient="off",
        hint="Send no event for a piece that is empty.",
        breaks=Example('V1: set 4.delta="Hello"; set 5.delta=""'),
        holds=Example('V1: drop 5; set 4.delta="Hello"'),
    ),
    Rule(
        id="R108",
        title="One part of an item is open at a time",
        why="Readers that keep one current part put the rest of the first into the second.",
        source="Seen on the wire; no source forbids it",
        strict="warning",
        lenient="off",
        hint="Close a part before the next one is added.",
        breaks=Example("V13: move 8 6"),
        holds=Example("V13"),
    ),
    Rule(
        id="R109",
        title="`logprobs` is an array on `response.output_text.delta` and `response.output_text.done`",
        why="The OpenAI types require it, so a typed reader that loops over it meets null.",
        source="OpenAI types, Azure reference server; optional in Open Responses, and some servers leave it out",
        strict="error",
        lenient="off",
        profiles={"open-responses": "off"},
        hint="Write `logprobs: []` where there are none.",
        breaks=Example("V1: del 4.logprobs"),
        holds=Example("V13"),
    ),
    Rule(
        id="R110",
        title="Every log probability has a string `token` and a number `logprob`",
        why="Readers that compute with it fail on the missing member.",
        source="OpenAI types, Open Responses, Azure reference server",
        strict="error",
        lenient="warning",
        hint="Give each entry of `logprobs` its `token` and its `logprob`, or send an empty list.",
        breaks=Example('V1: set 4.logprobs=[{"token":"Hel"}]; set 6.logprobs=[{"token":"Hel","logprob":-0.1}]'),
        holds=Example(
            'V1: set 4.logprobs=[{"token":"Hel","logprob":-0.1}]; set 6.logprobs=[{"token":"Hel","logprob":-0.1}]'
        ),
    ),
    Rule(
        id="R111",
        title="The tokens of a done event's `logprobs` are those of its deltas, in their order",
        why="Who scores the stream and who scores the final text get different numbers.",
        source="Inferred from the fields: both describe the same tokens",
        strict="warning",
        lenient="off",
        hint="Collect the `logprobs` of the deltas, and send them again with the done event.",
        breaks=Example(
            'V1: set 4.logprobs=[{"token":"Hel","logprob":-0.1}]; set 6.logprobs=[{"token":"lo","logprob":-0.1}]'
        ),
        holds=Example(
            'V1: set 4.logprobs=[{"token":"Hel","logprob":-0.1}]; set 5.logprobs=[{"token":"lo","logprob":-0.1}]; '
            'set 6.logprobs=[{"token":"Hel","logprob":-0.1},{"token":"lo","logprob":-0.1}]'
        ),
    ),
    Rule(
        id="R112",
        title="Each part of the done item equals the part that was closed",
        why="What is stored and sent back on the next turn is not what the user saw.",
        source="Seen on the wire; the Azure reference server drops annotations in both, which profile azure tolerates",
        strict="error",
        lenient="warning",
        hint="Put the closed parts into the done item unchanged.",
        breaks=Example('V1: set 8.item.content.0.text="Hallo"; set 9.response.output=[{"$item":8}]'),
        holds=Example(_HALLO),
    ),
    Rule(
        id="R113",
        title="A completed message has at least one part",
        why="Readers take the first part as the answer and find none.",
        source="Azure reference server",
        strict="warning",
        lenient="off",
        hint="Add a part with an empty text where the model said nothing, or no message at all.",
        breaks=Example('V1: drop 3-7; set 3.item.content=[]; set 4.response.output=[{"$item":3}]'),
        holds=Example('V7: drop 3-7; set 3.item.content=[]; set 4.response.output=[{"$item":3}]'),
    ),
    Rule(
        id="R114",
        title="An output_text part has an annotations array",
        why="Clients append announced annotations to it, and fail where there is no list.",
        source="OpenAI types, Open Responses, Azure reference server",
        strict="error",
        lenient="warning",
        hint="Write `annotations: []` where there are none.",
        breaks=Example("V1: del 3.part.annotations"),
        holds=Example(_REFUSAL),
    ),
)
