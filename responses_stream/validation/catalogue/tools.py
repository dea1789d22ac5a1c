"""R140-R163: tools: the strings that their calls stream, the states that hosted tools tell, and what pairs them up.

Hosted tools tell each state once and in order; one that fails ends without the states that it did not reach.
"""

from __future__ import annotations

from typing import Final

from responses_stream.validation.examples import Example
from responses_stream.validation.rule import Rule

_MORE_INPUT: Final = '{"type":"response.custom_tool_call_input.delta","item_id":"ctc_01","output_index":0,"delta":"!"}'

# A call of an MCP tool that fails.
_MCP_FAILED: Final = (
    'V8: set 10.type="response.mcp_call.failed"; set 11.item.status="failed"; set 11.item.output=null; '
    'set 11.item.error={"type":"http_error","code":500,"message":"x"}; '
    'set 12.response.output=[{"$item":5},{"$item":11}]'
)

_CUT_SHORT: Final = (
    '{{"type":"response.incomplete","response":{{"$R":{{"status":"incomplete",'
    '"incomplete_details":{{"reason":"max_output_tokens"}},"usage":"$U","output":[{{"$item":{0}}}]}}}}}}'
)

_APPROVAL: Final = '{"type":"mcp_approval_request","id":"mcpr_01","server_label":"docs","name":"rm","arguments":"{}"}'

# A function call, then a call of a custom tool.
_TWO_CALLS: Final = "V2+V12: drop 7-9; every 7-10 output_index=1"

_DELETE: Final = '{"type":"delete_file","path":"a"}'

# An output for a call that is not in this response.
_OTHER_CALL: Final = (
    'V10: set 7.item.call_id="call_99"; set 10.item.call_id="call_99"; '
    'set 15.response.output=[{"$item":6},{"$item":10},{"$item":14}]'
)

_LIMIT: Final = (
    "V9: set 0.response.max_tool_calls={0}; set 1.response.max_tool_calls={0}; set 19.response.max_tool_calls={0}"
)

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="R140",
        title="Nothing follows the done value of a streamed string (arguments, input, code, diff)",
        why="A client may run the call as soon as the value is whole; what comes later is lost, or spoils the JSON.",
        source="Azure reference server, Open Responses",
        strict="error",
        lenient="error",
        hint="Send the done event once, after the last delta.",
        breaks=Example(f"V12: insert 5 {_MORE_INPUT}"),
        holds=Example(
            f'V12: insert 4 {_MORE_INPUT}; set 5.input="SELECT 1!"; set 6.item.input="SELECT 1!"; '
            'set 7.response.output=[{"$item":6}]'
        ),
    ),
    Rule(
        id="R141",
        title="The done value of a streamed string equals its deltas joined",
        why="A client that joins the deltas calls the tool with other arguments than one that reads the done event.",
        source="OpenAI types, Open Responses, Azure reference server",
        strict="error",
        lenient="error",
        hint="Join the deltas that were sent, and send exactly that as the done value.",
        breaks=Example('V2: set 4.delta=":2}"'),
        holds=Example(
            r'V2: set 4.delta=":2}"; set 5.arguments="{\"a\":2}"; set 6.item.arguments="{\"a\":2}"; '
            'set 7.response.output=[{"$item":6}]'
        ),
    ),
    Rule(
        id="R142",
        title="The done item holds the done value of its streamed string",
        why="Most clients run the call from the done item: they run another one than was streamed.",
        source="Azure reference server, seen on the wire",
        strict="error",
        lenient="warning",
        hint="Put the value of the done event into the done item unchanged.",
        breaks=Example('V2: set 6.item.arguments="{}"; set 7.response.output=[{"$item":6}]'),
        holds=Example(
            'V2: set 3.delta="{"; set 4.delta="}"; set 5.arguments="{}"; set 6.item.arguments="{}"; '
            'set 7.response.output=[{"$item":6}]'
        ),
    ),
    Rule(
        id="R143",
        title="A function, custom tool, MCP or code interpreter call with a value has the done event of that value",
        why="Clients that start the call at the done event never start it.",
        source="Azure reference server, seen on the wire",
        strict="error",
        lenient="warning",
        hint="Send the done event of the arguments, input or code before `response.output_item.done`.",
        breaks=Example("V12: drop 4"),
        holds=Example(
            f'V12: drop 3-4; set 3.item.input=""; set 3.item.status="incomplete"; set 4={_CUT_SHORT.format(3)}'
        ),
    ),
    Rule(
        id="R144",
        title="The arguments of a completed function_call, mcp_call or mcp_approval_request are valid JSON",
        why="Every client parses them, and a call that cannot be parsed cannot be run.",
        source="OpenAI types and Open Responses describe them as JSON",
        strict="warning",
        lenient="off",
        hint="Mark a call that was cut short as incomplete.",
        breaks=Example(
            'V2: drop 4; set 3.delta="{"; set 4.arguments="{"; set 5.item.arguments="{"; '
            'set 6.response.output=[{"$item":5}]'
        ),
        holds=Example(
            'V2: drop 4; set 3.delta="{"; set 4.arguments="{"; set 5.item.arguments="{"; '
            f'set 5.item.status="incomplete"; set 6={_CUT_SHORT.format(5)}'
        ),
    ),
    Rule(
        id="R145",
        title="The name in `response.function_call_arguments.done`, where there is one, is the name of the item",
        why="A client that goes by the done event calls another function. In profile azure the name has to be there.",
        source="Azure reference server (requires it); OpenAI types and Open Responses have no such field",
        strict="error",
        lenient="warning",
        hint="Repeat the name of the item, or leave it out where nobody needs it.",
        breaks=Example('V2: set 5.name="other"'),
        holds=Example('V2: set 5.name="get_weather"'),
    ),
    Rule(
        id="R146",
        title="The in_progress event of a tool comes once",
        why="A reader that opens a progress display at it opens two.",
        source="Seen on the wire: one recorded MCP call has it twice",
        strict="warning",
        lenient="off",
        hint="Send the in_progress event once for each call.",
        breaks=Example('V8: insert 8 {"type":"response.mcp_call.in_progress","item_id":"mcp_01","output_index":1}'),
        holds=Example("V8"),
    ),
    Rule(
        id="R147",
        title="An MCP call tells in_progress, its arguments, then completed or failed",
        why="Readers that show progress wait for a state that never comes.",
        source="Azure reference server, seen on the wire",
        strict="error",
        lenient="warning",
        hint="Send `mcp_call.in_progress` before the arguments, and `mcp_call.completed` or failed after them.",
        breaks=Example("V8: drop 7"),
        holds=Example(_MCP_FAILED),
    ),
    Rule(
        id="R148",
        title="A failed MCP call or listing tells it twice: by the failed event, and by error in the done item",
        why="A reader that knows one of the two takes a failure for a success.",
        source="OpenAI types, Azure reference server",
        strict="error",
        lenient="warning",
        hint="Send the failed event exactly when error is set, and end an mcp_call with status failed then.",
        breaks=Example(
            'V8: set 11.item.error={"type":"http_error","code":500,"message":"x"}; '
            'set 12.response.output=[{"$item":5},{"$item":11}]'
        ),
        holds=Example(_MCP_FAILED),
    ),
    Rule(
        id="R149",
        title="A listing of MCP tools tells in_progress, then completed or failed, before it is done",
        why="Readers that show progress wait for a state that never comes.",
        source="Azure reference server, seen on the wire",
        strict="error",
        lenient="warning",
        hint="Send `mcp_list_tools.completed` or failed before `response.output_item.done`.",
        breaks=Example("V8: drop 4"),
        holds=Example(
            'V8: set 4.type="response.mcp_list_tools.failed"; set 5.item.tools=[]; set 5.item.error="No answer."; '
            'set 12.response.output=[{"$item":5},{"$item":11}]'
        ),
    ),
    Rule(
        id="R150",
        title="A file search tells in_progress, searching and completed, each once and in this order",
        why="Readers that show progress miss a state, or go back from one.",
        source="Azure reference server, seen on the wire",
        strict="error",
        lenient="warning",
        hint="Send all three states; a search that fails ends with the states that it reached.",
        breaks=Example("V9: drop 3"),
        holds=Example('V9: drop 4-5; set 4.item.status="failed"; set 17.response.output.0.status="failed"'),
    ),
    Rule(
        id="R151",
        title="A web search tells in_progress, searching and completed, each once and in this order",
        why="Readers that show progress miss a state, or go back from one.",
        source="Azure reference server, seen on the wire",
        strict="error",
        lenient="warning",
        hint="Send all three states; a search that fails ends with the states that it reached.",
        breaks=Example("V9: drop 9"),
        holds=Example('V9: drop 9-10; set 9.item.status="failed"; set 17.response.output.1.status="failed"'),
    ),
    Rule(
        id="R152",
        title="A code interpreter call tells in_progress, its code, interpreting and completed, in this order",
        why="Readers that show progress miss a state, or see code after it was run.",
        source="Azure reference server, seen on the wire",
        strict="error",
        lenient="warning",
        hint="Send the code whole, then interpreting, then completed.",
        breaks=Example("V5: drop 7"),
        holds=Example('V5: drop 7-8; set 7.item.status="failed"; set 8.response.output.0.status="failed"'),
    ),
    Rule(
        id="R154",
        title="An image generation tells in_progress, generating, its partial images and completed, in this order",
        why="A partial image behind the end replaces the finished one on the screen.",
        source="Azure reference server, seen on the wire",
        strict="error",
        lenient="warning",
        hint="Send partial images between generating and completed.",
        breaks=Example("V9: drop 14"),
        holds=Example("V9: drop 15-16"),
    ),
    Rule(
        id="R155",
        title="`partial_image_index` runs 0, 1, 2 and stops there",
        why="Readers use it as a position in a list of at most three.",
        source="OpenAI types (partial_images is 0 to 3), seen on the wire",
        strict="error",
        lenient="warning",
        hint="Count the partial images of each call from 0, and send at most three.",
        breaks=Example("V9: set 16.partial_image_index=5"),
        holds=Example(
            'V9: insert 17 {"type":"response.image_generation_call.partial_image","item_id":"ig_01","output_index":2,'
            '"partial_image_index":2,"partial_image_b64":"aGk="}'
        ),
    ),
    Rule(
        id="R156",
        title="The completed event of a tool and the status completed of its item go together",
        why="A reader that knows one of the two takes a failure for a success, or the other way round.",
        source="Azure reference server, seen on the wire",
        strict="error",
        lenient="warning",
        hint="Send the completed event exactly when the item is done as completed.",
        breaks=Example('V9: set 6.item.status="failed"; set 19.response.output.0.status="failed"'),
        holds=Example('V9: drop 5; set 5.item.status="failed"; set 18.response.output.0.status="failed"'),
    ),
    Rule(
        id="R157",
        title="Each command of a shell call is added, filled and told whole, and stands so in the done item",
        why="A client runs what it collected, so it would run another command than the one in the record.",
        source="OpenAI types, seen on the wire",
        strict="error",
        lenient="warning",
        hint="Count `command_index` from 0, join the deltas, and repeat the result in done and in `action.commands`.",
        breaks=Example('V10: set 4.delta="rm"'),
        holds=Example(
            'V10: set 4.delta="rm"; set 5.command="rm"; set 6.item.action.commands=["rm"]; '
            'set 15.response.output.0.action.commands=["rm"]'
        ),
    ),
    Rule(
        id="R158",
        title="Each output of a shell command is told whole once, and stands so in the done item",
        why="The model gets back the item: what is missing there never happened.",
        source="OpenAI types, seen on the wire",
        strict="error",
        lenient="warning",
        hint="Collect the output of all commands, and put it into the done item.",
        breaks=Example("V10: set 10.item.output=[]; set 15.response.output.1.output=[]"),
        holds=Example("V10: drop 8-9; set 8.item.output=[]; set 13.response.output.1.output=[]"),
    ),
    Rule(
        id="R159",
        title="An item without own events is the same in added and done (status, `call_id`, `encrypted_content` aside)",
        why="Nothing in between told of the change, so a reader that acted on the first copy acted on something else.",
        source="Azure reference server; OpenAI fills some fields only in done",
        strict="warning",
        lenient="off",
        hint="Add the item as it will be, and repeat it in `response.output_item.done`.",
        breaks=Example(
            f'V2: drop 3-5; set 2.item={_APPROVAL}; set 3.item={_APPROVAL}; set 3.item.arguments="[]"; '
            'set 4.response.output=[{"$item":3}]'
        ),
        holds=Example(
            f'V2: drop 3-5; set 2.item={_APPROVAL}; set 3.item={_APPROVAL}; set 4.response.output=[{{"$item":3}}]'
        ),
    ),
    Rule(
        id="R160",
        title="An apply_patch_call that deletes a file has no diff events",
        why="There is no diff in it that the piece could be appended to.",
        source="OpenAI types (no such field), seen on the wire",
        strict="error",
        lenient="warning",
        hint="Add and finish the call without a diff.",
        breaks=Example(
            f'V10: drop 12; set 11.item.operation={_DELETE}; set 12.diff=""; set 13.item.operation={_DELETE}; '
            'set 14.response.output=[{"$item":6},{"$item":10},{"$item":13}]'
        ),
        holds=Example(
            f"V10: drop 12-13; set 11.item.operation={_DELETE}; set 12.item.operation={_DELETE}; "
            'set 13.response.output=[{"$item":6},{"$item":10},{"$item":12}]'
        ),
    ),
    Rule(
        id="R161",
        title="An item that answers a call names a call of the same response or of its context",
        why="The next turn is refused, because the output belongs to no call.",
        source="Open Responses, OpenAI types",
        strict="warning",
        lenient="off",
        hint="Give the output the `call_id` of the call that it answers.",
        breaks=Example(_OTHER_CALL),
        holds=Example(
            _OTHER_CALL,
            request={
                "model": "example-model",
                "input": [{"type": "shell_call", "call_id": "call_99", "action": {"commands": ["ls"]}}],
            },
        ),
    ),
    Rule(
        id="R162",
        title="Call ids are unique among the calls of a response",
        why="The answer to one call is taken as the answer to the other.",
        source="OpenAI types, seen on the wire",
        strict="error",
        lenient="warning",
        hint="Make a new `call_id` for each call.",
        breaks=Example(
            f'{_TWO_CALLS}; set 7.item.call_id="call_01"; set 10.item.call_id="call_01"; '
            'set 11.response.output=[{"$item":6},{"$item":10}]'
        ),
        holds=Example(f'{_TWO_CALLS}; set 11.response.output=[{{"$item":6}},{{"$item":10}}]'),
    ),
    Rule(
        id="R163",
        title="There are no more calls of built-in tools than `max_tool_calls`",
        why="The client set the limit to bound time and cost.",
        source="OpenAI types, Open Responses",
        strict="warning",
        lenient="off",
        hint="Count the calls of hosted tools, and ignore those above the limit.",
        breaks=Example(_LIMIT.format(2)),
        holds=Example(_LIMIT.format(3)),
    ),
)
