"""R115-R120: the annotations of a text: citations, files and links.

Each is announced once by an event, while its part is open, and stands in every copy of the part from then on.
"""

from __future__ import annotations

from typing import Final

from responses_stream.validation.examples import Example
from responses_stream.validation.rule import Rule

_A: Final = '{"type":"url_citation","url":"https://example.com/a","title":"A","start_index":0,"end_index":5}'
_B: Final = '{"type":"url_citation","url":"https://example.com/b","title":"B","start_index":0,"end_index":5}'
_SECOND: Final = (
    '{"type":"response.output_text.annotation.added","item_id":"msg_01","output_index":0,"content_index":0,'
    f'"annotation_index":1,"annotation":{_B}}}'
)
# Two annotations.
_TWO: Final = (
    f"V11: insert 6 {_SECOND}; set 8.part.annotations=[{_A},{_B}]; set 9.item.content.0.annotations=[{_A},{_B}]; "
    'set 10.response.output=[{"$item":9}]'
)

_NONE_LISTED: Final = (
    "set {0}.part.annotations=[]; set {1}.item.content.0.annotations=[]; "
    "set {2}.response.output.0.content.0.annotations=[]"
)

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="R115",
        title="`response.output_text.annotation.added` belongs to an open output_text part",
        why="The part was told to be final: readers that stored it never see the annotation, others raise.",
        source="OpenAI types, Azure reference server",
        strict="error",
        lenient="error",
        hint="Announce annotations before `response.content_part.done` of their part.",
        breaks=Example(f"V11: insert 8 {_SECOND}"),
        holds=Example(_TWO),
    ),
    Rule(
        id="R116",
        title="`annotation_index` is the number of annotations that the part had so far",
        why="Readers use it as a position in the list; a gap makes them look past its end.",
        source="Azure reference server, seen on the wire",
        strict="error",
        lenient="warning",
        hint="Count the annotations of each part from 0, without gaps.",
        breaks=Example("V11: set 5.annotation_index=2"),
        holds=Example(_TWO),
    ),
    Rule(
        id="R117",
        title="Annotations come before `response.output_text.done`",
        why="OpenAI sends them among the deltas; a reader made for it may stop to look once the text is done.",
        source="Seen on the wire (OpenAI); the Azure reference server sends them after the text is done",
        strict="off",
        lenient="off",
        profiles={"openai": "warning"},
        hint="Announce an annotation as soon as the text that it covers was sent.",
        breaks=Example("V11: move 5 7", profile="openai"),
        holds=Example("V11", profile="openai"),
    ),
    Rule(
        id="R118",
        title="The annotations that were announced stand in the closed part",
        why="Readers that keep the closed part lose the sources of the text.",
        source="Seen on the wire; the builder of the Azure reference server drops them, which profile azure tolerates",
        strict="error",
        lenient="warning",
        hint="Repeat all annotations in `response.content_part.done`, in the item and in the response.",
        breaks=Example(f"V11: {_NONE_LISTED.format(7, 8, 9)}"),
        holds=Example(f"V11: drop 5; {_NONE_LISTED.format(6, 7, 8)}"),
    ),
    Rule(
        id="R119",
        title="The type of an annotation is known, and 0 <= start <= end <= length of the text",
        why="Readers cut the text at these offsets; behind its end they mark the wrong words, or none.",
        source="OpenAI types; one provider leaves the offsets out",
        strict="warning",
        lenient="off",
        hint="Count `start_index` and `end_index` in characters of the text of this part.",
        breaks=Example(
            "V11: set 5.annotation.end_index=6; set 7.part.annotations.0.end_index=6; "
            'set 8.item.content.0.annotations.0.end_index=6; set 9.response.output=[{"$item":8}]'
        ),
        holds=Example("V11"),
    ),
    Rule(
        id="R120",
        title="Every annotation of the closed part was announced by an event",
        why="Readers that collect the events show the text without this source.",
        source="Seen on the wire",
        strict="warning",
        lenient="off",
        hint="Send `response.output_text.annotation.added` for each annotation.",
        breaks=Example("V11: drop 5"),
        holds=Example("V11: move 5 7"),
    ),
)
