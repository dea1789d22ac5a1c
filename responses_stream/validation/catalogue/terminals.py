"""R180-R185: the last copy of the response against the events before it.

Who keeps only the last event, as most programs do, has to have the same items as who followed the stream.
"""

from __future__ import annotations

from typing import Final

from responses_stream.validation.examples import Example
from responses_stream.validation.rule import Breakage, Rule

_FAILED: Final = (
    '{{"type":"response.failed","response":{{"$R":{{"status":"failed",'
    '"error":{{"code":"server_error","message":"Broken."}},"output":{0}}}}}}}'
)
_STRANGER: Final = (
    '{"type":"message","id":"msg_01","role":"assistant","status":"completed",'
    '"content":[{"type":"output_text","text":"Hello","annotations":[],"logprobs":[]}]}'
)

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="R180",
        title="The output of a completed response lists as many items as were added",
        why="Clients take the answer from the last event: no item there is no answer, and its calls never run.",
        source="OpenAI SDK, seen on the wire",
        strict="error",
        lenient="warning",
        hint="Put the done items into `response.output`, in the order of their `output_index`.",
        breaks=Example("V1: set 9.response.output=[]"),
        holds=Example("V1: drop 2-8; set 2.response.output=[]"),
        clients=(
            Breakage("@openai/agents (js)", "MaxTurnsExceededError"),
            Breakage("openai-python .stream()", "no error, but an empty answer"),
            Breakage("openai-node .stream()", "no error, but an empty answer"),
        ),
    ),
    Rule(
        id="R181",
        title="Each item of a completed response equals its done item",
        why="Who followed the stream and who read its end have different answers. "
        "Not compared are `encrypted_content`, the fingerprint of a program, and null against absent.",
        source="Azure reference server, seen on the wire",
        strict="error",
        lenient="warning",
        hint="Put the done items into `response.output` unchanged.",
        breaks=Example('V1: set 9.response.output.0.content.0.text="x"'),
        holds=Example("V1: set 9.response.output.0.phase=null"),
    ),
    Rule(
        id="R182",
        title="The output of a completed response stands in the order of `output_index`, with the same types and ids",
        why="Clients find an item by its position, and send it back by its id.",
        source="OpenAI SDK, Azure reference server; one recorded proxy changes ids",
        strict="error",
        lenient="warning",
        hint="Sort by `output_index`, not by the order in which the items were done.",
        breaks=Example('V14: set 16.response.output.0.id="msg_02"; set 16.response.output.1.id="msg_01"'),
        holds=Example("V15"),
    ),
    Rule(
        id="R183",
        title="The output of an incomplete response holds all done items, and none that is in progress",
        why="What was said before the limit is lost for everybody who reads the last event only.",
        source="Open Responses",
        strict="error",
        lenient="off",
        hint="List every item that was done, the cut one with status incomplete.",
        breaks=Example("V7: set 9.response.output=[]"),
        holds=Example("V7: drop 2-8; set 2.response.output=[]"),
    ),
    Rule(
        id="R184",
        title="The output of a failed or incomplete response holds no item that was never added",
        why="Nobody who followed the stream has it, so the record and the screen differ.",
        source="Azure reference server, Open Responses",
        strict="error",
        lenient="warning",
        hint="List only items of this stream.",
        breaks=Example(f"V6: set 3.response.output=[{_STRANGER}]"),
        holds=Example(f"V1: set 9={_FAILED.format('[' + _STRANGER + ']')}"),
    ),
    Rule(
        id="R185",
        title="The output of a failed response is [] or holds at least all done items",
        why="Half a list is taken for the whole one.",
        source="Azure reference server, seen on the wire ([])",
        strict="warning",
        lenient="off",
        hint="List all done items, or none.",
        breaks=Example(f"V14: set 16={_FAILED.format('[{' + chr(34) + '$item' + chr(34) + ':8}]')}"),
        holds=Example("V14: set 16=" + _FAILED.format('[{"$item":8},{"$item":15}]')),
    ),
)
