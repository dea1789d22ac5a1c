"""R125-R134: reasoning, which has two kinds of parts: those of its summary, and those of its raw text.

Summary parts have events and an index of their own; raw text travels in content parts, under one of two names.
"""

from __future__ import annotations

from typing import Final

from responses_stream.validation.examples import Example
from responses_stream.validation.rule import Rule

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="R125",
        title="Summary events stand only inside a reasoning item",
        why="No other item has a summary, so a reader has nowhere to put the part.",
        source="OpenAI types, Open Responses, Azure reference server",
        strict="error",
        lenient="error",
        hint="Add an item of type reasoning, and send the summary with its `output_index` and id.",
        breaks=Example(
            'V1: insert 4 {"type":"response.reasoning_summary_part.added","item_id":"msg_01","output_index":0,'
            '"summary_index":0,"part":{"type":"summary_text","text":""}}'
        ),
        holds=Example("V3"),
    ),
    Rule(
        id="R126",
        title="`summary_index` of a new part is the number of summary parts that the item had so far",
        why="Readers use it as a position in the summary; a gap makes them look past its end.",
        source="Azure reference server, seen on the wire",
        strict="error",
        lenient="warning",
        hint="Count the summary parts of each item from 0, without gaps.",
        breaks=Example("V3: every 7-10 summary_index=4"),
        holds=Example("V3"),
    ),
    Rule(
        id="R127",
        title="A summary part is added, filled by deltas, told whole and closed, all before its item is done",
        why="Without the opening there is no part to append to, and without the end a reader waits for ever.",
        source="OpenAI types, Open Responses, Azure reference server",
        strict="error",
        lenient="error",
        hint="Send `part.added`, `text.delta`, `text.done` and `part.done` for each summary part, in this order.",
        breaks=Example("V3: drop 3"),
        holds=Example(
            'V3: drop 4; set 4.text=""; set 5.part.text=""; set 10.item.summary.0.text=""; '
            'set 11.response.output=[{"$item":10}]'
        ),
    ),
    Rule(
        id="R128",
        title="The done text and the closed part of a summary equal its deltas joined",
        why="Who reads the deltas and who reads the done events see different summaries.",
        source="OpenAI types, Open Responses, Azure reference server",
        strict="error",
        lenient="error",
        hint="Join the deltas that were sent, and send exactly that in `text.done` and `part.done`.",
        breaks=Example('V3: set 4.delta="1"'),
        holds=Example(
            'V3: set 4.delta="1"; set 5.text="1"; set 6.part.text="1"; set 11.item.summary.0.text="1"; '
            'set 12.response.output=[{"$item":11}]'
        ),
    ),
    Rule(
        id="R129",
        title="The summary of the done item holds the parts that were streamed",
        why="The summary that was shown is gone when the item is stored or sent back.",
        source="Azure reference server, seen on the wire",
        strict="error",
        lenient="warning",
        hint="Collect the closed summary parts, and put all of them into the done item.",
        breaks=Example('V3: set 11.item.summary=[]; set 12.response.output=[{"$item":11}]'),
        holds=Example('V3: drop 3-10; set 3.item.summary=[]; set 4.response.output=[{"$item":3}]'),
    ),
    Rule(
        id="R130",
        title="One summary part is open at a time",
        why="Readers that keep one current part put the rest of the first into the second.",
        source="Seen on the wire; no source forbids it",
        strict="warning",
        lenient="off",
        hint="Close a summary part before the next one is added.",
        breaks=Example("V3: move 7 6"),
        holds=Example("V3"),
    ),
    Rule(
        id="R131",
        title="A summary part has the type summary_text",
        why="Typed readers know no other part there, and skip it or raise.",
        source="OpenAI types, Azure reference server; Open Responses allows eight types",
        strict="error",
        lenient="warning",
        hint='Write {"type": "summary_text", "text": ...}.',
        breaks=Example('V3: set 3.part.type="text"'),
        holds=Example("V3"),
    ),
    Rule(
        id="R132",
        title="Raw reasoning text stands inside a reasoning_text part that was added",
        why="A reader that builds the content of the item has no part to append the text to.",
        source="Open Responses (must), seen on the wire (LM Studio)",
        strict="error",
        lenient="warning",
        hint="Send `response.content_part.added` with a reasoning_text part before the first piece.",
        breaks=Example("V4: drop 3"),
        holds=Example(
            'V4: drop 4; set 4.text=""; set 5.part.text=""; set 6.item.content.0.text=""; '
            'set 7.response.output=[{"$item":6}]'
        ),
    ),
    Rule(
        id="R133",
        title="A stream uses one family of names for raw reasoning: `reasoning_text.*` or `reasoning.*`",
        why="A reader knows one of them, and sees half of the thought.",
        source="OpenAI types and Azure reference server have the first, Open Responses has the second",
        strict="error",
        lenient="warning",
        hint="Choose the names by the client, once for each stream.",
        breaks=Example('V4: set 5.type="response.reasoning.done"'),
        holds=Example('V4: set 4.type="response.reasoning.delta"; set 5.type="response.reasoning.done"'),
    ),
    Rule(
        id="R134",
        title="The content of the done reasoning item equals the parts that were closed",
        why="The thought that was shown is not the one that is stored or sent back.",
        source="Seen on the wire",
        strict="error",
        lenient="warning",
        hint="Put the closed parts into the done item unchanged.",
        breaks=Example('V4: set 7.item.content.0.text="x"; set 8.response.output=[{"$item":7}]'),
        holds=Example(
            'V4: set 4.delta="x"; set 5.text="x"; set 6.part.text="x"; set 7.item.content.0.text="x"; '
            'set 8.response.output=[{"$item":7}]'
        ),
    ),
)
