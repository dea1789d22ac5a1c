"""R059 to R089: when items begin and end, what they have to hold, and what may stand between."""

from __future__ import annotations

from typing import Final

from responses_stream.validation.examples import Example
from responses_stream.validation.rule import Breakage, Rule

# V1 with an item that has no events of its own, so that an example can be about the item and nothing else.
_THING: Final = '{"type":"acme:thing","id":"th_01"}'
_ONE_THING: Final = f"V1: drop 3-7; set 2.item={_THING}; set 3.item={_THING}; set 4.response.output.0={_THING}"
# V1 whose message has another id from beginning to end.
_RENAMED: Final = 'V1: every 3-7 item_id="m9"; set 2.item.id="m9"; set 8.item.id="m9"; set 9.response.output.0.id="m9"'
_FAILS: Final = (
    '{"type":"response.failed","response":{"$R":{"status":"failed",'
    '"error":{"code":"server_error","message":"Broken."},"output":[]}}}'
)
_V14_INCOMPLETE: Final = (
    'set 16={"type":"response.incomplete","response":{"$R":{"status":"incomplete",'
    '"incomplete_details":{"reason":"max_output_tokens"},"output":[{"$item":8},{"$item":15}]}}}'
)
_LATE_DELTA: Final = (
    '{"type":"response.output_text.delta","item_id":"msg_01","output_index":0,"content_index":0,"delta":"!",'
    '"logprobs":[]}'
)
_UNNOTICED: Final = "no error, but a wrong text"


def _only_item(item: str) -> str:
    """Return V1 with *item* in place of its message, added and done without any event between."""
    return f"V1: drop 3-7; set 2.item={item}; set 3.item={item}; set 4.response.output.0={item}"


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="R059",
        title="An item that is done as incomplete is the last one, and the response does not complete after it",
        why="A cut-off item says that the budget is used up; what goes on after it was made from nothing.",
        source="Open Responses (must)",
        strict="error",
        lenient="warning",
        hint="End the response with `response.incomplete`, or `response.failed`, behind an incomplete item.",
        breaks=Example(f'V14: set 8.item.status="incomplete"; {_V14_INCOMPLETE}'),
        holds=Example(f'V14: set 15.item.status="incomplete"; {_V14_INCOMPLETE}'),
    ),
    Rule(
        id="R060",
        title="No event of an item stands before `response.created`",
        why="Clients have no response yet that the item could belong to, and raise or drop it.",
        source="The Azure reference server and the OpenAI SDK",
        strict="error",
        lenient="error",
        hint="Send `response.created` before the first item.",
        breaks=Example("V1: move 0 3"),
        holds=Example('V1: insert 0 {"type":"keepalive"}'),
        implies=("R030",),
    ),
    Rule(
        id="R061",
        title="No event of an item stands before `response.in_progress`",
        why="The copy in `response.in_progress` replaces what a client knew, so the item that began earlier is gone.",
        source="Seen on the wire; the Azure reference server and Open Responses are silent",
        strict="error",
        lenient="warning",
        hint="Send `response.in_progress` before the first item.",
        breaks=Example("V1: move 1 3"),
        holds=Example('V1: insert 2 {"type":"acme:a"}'),
    ),
    Rule(
        id="R062",
        title="The `output_index` of an added item is the number of items added before it",
        why="It is the place of the item in the final `output`; clients use it as the index of their own list.",
        source="OpenAI types, the Azure reference server, and seen on the wire",
        strict="error",
        lenient="warning",
        hint="Count the items from 0 in the order in which they are added.",
        breaks=Example("V1: every 2-8 output_index=1"),
        holds=Example("V1: every 2-8 output_index=0"),
        clients=(Breakage("openai-node .stream()", "raises"),),
    ),
    Rule(
        id="R063",
        title="The same `output_index` is not added twice",
        why="The second item replaces the first, or the client raises.",
        source="The OpenAI SDK, the public Open Responses validator and the Azure reference server",
        strict="error",
        lenient="error",
        hint="Give each item an index of its own, and send its `response.output_item.added` once.",
        breaks=Example("V14: every 9-15 output_index=0"),
        holds=Example("V14"),
        clients=(Breakage("openai-python .stream()", "RuntimeError: Duplicate response output index 0."),),
    ),
    Rule(
        id="R064",
        title="The ids of items are unique in a response",
        why="Clients that go by the id mix two items into one.",
        source="The public Open Responses validator",
        strict="error",
        lenient="warning",
        hint="Make a new id for each item.",
        breaks=Example(
            'V14: every 10-14 item_id="msg_01"; set 9.item.id="msg_01"; set 15.item.id="msg_01";'
            ' set 16.response.output.1.id="msg_01"'
        ),
        holds=Example("V14"),
    ),
    Rule(
        id="R065",
        title="The type of an item is known, or has the prefix of its vendor, as in `acme:search`",
        why="A bare name may get a meaning later; and some clients break on any item that they do not know.",
        source="Open Responses; OpenAI and the Azure reference server add types of their own without a prefix",
        strict="warning",
        lenient="off",
        hint="Name item types of your own `vendor:name`.",
        breaks=Example(_only_item('{"type":"thing","id":"th_01"}')),
        holds=Example(_ONE_THING),
        clients=(Breakage("openai-agents (py)", "TypeError: 'NoneType' object is not iterable"),),
    ),
    Rule(
        id="R066",
        title="`item` is an object with a string `type`",
        why="The type says what the item is; without it no client can show or send back what it got.",
        source="OpenAI types and the Azure reference server; Open Responses lets the item be null",
        strict="error",
        lenient="error",
        hint="Send the whole item, with its `type`, when it is added and when it is done.",
        breaks=Example("V1: del 2.item.type"),
        holds=Example(_ONE_THING),
    ),
    Rule(
        id="R067",
        title="`item.id` is a non-empty string",
        why="The events of an item name it by its id, and clients send it back by its id.",
        source="Open Responses; the OpenAI types leave it optional for function_call and custom_tool_call",
        strict="error",
        lenient="warning",
        hint="Make an id when the item is added; any string will do.",
        breaks=Example("V1: del 2.item.id"),
        holds=Example(_RENAMED),
    ),
    Rule(
        id="R068",
        title="An item has the members that its type requires, with zero values while they are not known yet",
        why="Clients append to the lists and strings of the added item, and check the done item against its schema.",
        source="Open Responses; the service of OpenAI leaves out `action`, `result` and `status` in places",
        strict="error",
        lenient="warning",
        hint='Send every required member when the item is added: `""`, `[]` or `{}` where there is no value yet.',
        breaks=Example("V1: del 2.item.content"),
        holds=Example("V4: del 2.item.content"),
        clients=(
            Breakage("openai-python .stream()", "AttributeError: 'NoneType' object has no attribute 'append'"),
            Breakage("openai-node .stream()", "raises"),
            Breakage("@openai/agents (js)", "ZodError invalid_value"),
        ),
    ),
    Rule(
        id="R069",
        title="An added item is in_progress, or has no status; what comes in one piece may be completed at once",
        why="A client takes the item for finished and does not wait for its content.",
        source="OpenAI types, the Azure reference server, and seen on the wire",
        strict="error",
        lenient="warning",
        hint="Add the item as `in_progress` and say its final status when it is done.",
        breaks=Example('V1: set 2.item.status="completed"'),
        holds=Example("V10"),
    ),
    Rule(
        id="R070",
        title="What is streamed (content, summary, arguments, input, code) is empty in the added item",
        why="Clients append the deltas to what the added item holds, so its beginning would stand there twice.",
        source="Open Responses, the Azure reference server, and seen on the wire",
        strict="error",
        lenient="warning",
        hint="Add the item empty and send its content in deltas.",
        breaks=Example('V2: set 2.item.arguments="{"'),
        holds=Example('V2: set 2.item.arguments=""'),
    ),
    Rule(
        id="R071",
        title="An item that is done was added before, under the same `output_index`",
        why="Clients keep items by their index; what was never added is an error to them, or is lost.",
        source="All sources",
        strict="error",
        lenient="error",
        hint="Send `response.output_item.added` before `response.output_item.done`, also where the item comes whole.",
        breaks=Example(f"{_ONE_THING}; drop 2"),
        holds=Example(_ONE_THING),
    ),
    Rule(
        id="R072",
        title="An item is done once",
        why="Clients act when an item is done: a tool is called twice.",
        source="All sources",
        strict="error",
        lenient="error",
        hint="Send `response.output_item.done` once for each item.",
        breaks=Example("V1: dup 8"),
        holds=Example("V14"),
    ),
    Rule(
        id="R073",
        title="The type of an item is the same when it is added and when it is done",
        why="A client has built one kind of item and cannot make it another.",
        source="The OpenAI SDK",
        strict="error",
        lenient="error",
        hint="Decide what the item is before it is added.",
        breaks=Example(
            'V2: set 6.item.type="custom_tool_call"; set 6.item.input=""; set 7.response.output.0={"$item":6}'
        ),
        holds=Example("V12"),
    ),
    Rule(
        id="R074",
        title="The id of an item is the same when it is added and when it is done",
        why="Clients that go by the id wait for the end of one item and get the end of another.",
        source="The OpenAI SDK (for most types) and the Azure reference server; one recorded proxy breaks it",
        strict="error",
        lenient="warning",
        hint="Make the id when the item is added, and keep it.",
        breaks=Example('V1: set 8.item.id="m9"; set 9.response.output.0.id="m9"'),
        holds=Example(_RENAMED),
    ),
    Rule(
        id="R075",
        title="The `call_id` of an item is the same when it is added and when it is done",
        why="The output of the tool is sent back under this id; under another one the model cannot place it.",
        source="The OpenAI SDK; on the wire, searches for client tools get their id only when they are done",
        strict="error",
        lenient="warning",
        profiles={"openai": "warning"},
        hint="Make the `call_id` when the item is added, and keep it.",
        breaks=Example('V2: set 6.item.call_id="call_09"; set 7.response.output.0.call_id="call_09"'),
        holds=Example(
            'V2: set 2.item.call_id="call_09"; set 6.item.call_id="call_09"; set 7.response.output.0.call_id="call_09"'
        ),
    ),
    Rule(
        id="R076",
        title=(
            "`name`, `role`, `server_label`, `namespace`, `container_id` and `execution` do not change once they have"
            " a value"
        ),
        why="A client has already shown, or begun to run, what the added item named.",
        source="Seen on the wire",
        strict="error",
        lenient="warning",
        hint="Add the item when it is known whose call it is.",
        breaks=Example('V5: set 9.item.container_id="cntr_02"; set 10.response.output.0.container_id="cntr_02"'),
        holds=Example('V5: set 2.item.container_id=""'),
    ),
    Rule(
        id="R077",
        title="The status of an item is one that its type knows",
        why="A client that maps statuses has none for it, and may refuse the item or wait for ever.",
        source="OpenAI types and the Azure reference server; Open Responses knows three words only",
        strict="error",
        lenient="warning",
        hint="Use the statuses of the item's type; a message cannot be `failed`, the response can.",
        breaks=Example('V1: set 8.item.status="failed"; set 9.response.output.0.status="failed"'),
        holds=Example('V9: drop 5; set 5.item.status="failed"; set 18.response.output.0.status="failed"'),
    ),
    Rule(
        id="R078",
        title="The status of an item that is done is final: completed, incomplete or failed",
        why="A client goes on waiting for an item that nothing will be said about any more.",
        source="Open Responses; on the wire, function calls that a program made stay in_progress",
        strict="error",
        lenient="warning",
        profiles={"openai": "warning"},
        hint="Say in `response.output_item.done` how the item ended.",
        breaks=Example(f'V1: set 8.item.status="in_progress"; set 9={_FAILS}'),
        holds=Example(f'V1: set 8.item.status="incomplete"; set 9={_FAILS}'),
    ),
    Rule(
        id="R079",
        title="Every added item is done before `response.completed`",
        why="Clients that hand on finished items have none: the answer is empty, and tool calls are never made.",
        source="Open Responses; the OpenAI SDK copes where the final `output` lists the item",
        strict="error",
        lenient="error",
        hint="Send `response.output_item.done` for every item before the response completes.",
        breaks=Example("V1: drop 8"),
        holds=Example(f"V1: drop 8; set 8={_FAILS}"),
        clients=(
            Breakage("openai-python .stream()", "RuntimeError: Cannot complete response with unfinished output items."),
            Breakage("codex", "exit 0, empty answer (tool calls vanish the same way)"),
        ),
    ),
    Rule(
        id="R080",
        title="compaction_trigger, configuration_update and item_reference are never output items",
        why="They are words of the client; in an answer they mean nothing, and cannot be sent back.",
        source="OpenAI types",
        strict="error",
        lenient="error",
        hint="Send the item that is meant: a `compaction`, or the item that is referred to.",
        breaks=Example(_only_item('{"type":"compaction_trigger","id":"cmp_01","encrypted_content":"x"}')),
        holds=Example(_only_item('{"type":"compaction","id":"cmp_01","encrypted_content":"x"}')),
    ),
    Rule(
        id="R081",
        title="The `item_id` of an event is the id of the item at its `output_index`",
        why="Some clients go by the id and some by the index; the text lands in two places, or in none.",
        source="All sources; one recorded proxy breaks it",
        strict="error",
        lenient="warning",
        hint="Write the id of the added item into every event of the item.",
        breaks=Example('V1: set 4.item_id="m9"'),
        holds=Example(_RENAMED),
        clients=(
            Breakage("AI SDK openai", "text part msg_X not found"),
            Breakage("AI SDK open-responses", "text part msg_X not found"),
        ),
    ),
    Rule(
        id="R082",
        title="An event inside an item needs an item that was added at its `output_index`",
        why="There is nothing yet that the client could put the text or the part into.",
        source="The OpenAI SDK and the public Open Responses validator",
        strict="error",
        lenient="error",
        hint="Send `response.output_item.added` before anything inside the item.",
        breaks=Example("V1: drop 2"),
        holds=Example("V1: drop 0-2; renumber from 3", starting_after=2),
        clients=(
            Breakage(
                "openai-python .stream()",
                "RuntimeError: Received a content event for output index 0 before receiving its output item",
            ),
            Breakage("openai-node .stream()", "missing output at index 0"),
            Breakage("AI SDK openai", "text part msg_X not found"),
            Breakage("AI SDK open-responses", "text part msg_X not found"),
        ),
    ),
    Rule(
        id="R083",
        title="No event inside an item follows its `response.output_item.done`",
        why="Clients have closed the item: they raise, or show a text that the result does not hold.",
        source="The public Open Responses validator",
        strict="error",
        lenient="error",
        hint="Send all that belongs to the item before it is done.",
        breaks=Example(f"V1: insert 9 {_LATE_DELTA}"),
        holds=Example('V1: insert 9 {"type":"acme:a","item_id":"msg_01","output_index":0}'),
        clients=(
            Breakage("AI SDK openai", 'text part msg_X not found; `result.text` is "" while the stream showed text'),
            Breakage(
                "AI SDK open-responses", 'text part msg_X not found; `result.text` is "" while the stream showed text'
            ),
            *(
                Breakage(client, _UNNOTICED)
                for client in (
                    *("openai-python", "langchain (py)", "pydantic-ai", "litellm", "any-llm"),
                    *("openai-node", "langchain-js"),
                )
            ),
        ),
    ),
    Rule(
        id="R084",
        title="One item is open at a time",
        why="Clients that show what comes as it comes would mix two texts; most expect one item after the other.",
        source="Seen on the wire from OpenAI; another provider interleaves up to four, and no source forbids it",
        strict="warning",
        lenient="off",
        hint="Finish an item before the next one is added, where the order is yours to choose.",
        breaks=Example("V15: move 7 10"),
        holds=Example("V15: move 5 3; move 8 4; move 9 5"),
    ),
    Rule(
        id="R085",
        title="The events inside an item are those of its type: text in a message, each tool with its own",
        why="A client looks for the member that the event speaks of, and the item has none.",
        source="All sources",
        strict="error",
        lenient="error",
        hint="Send the events of the item's own type.",
        breaks=Example('V2: insert 3 {"type":"response.mcp_call.in_progress","item_id":"fc_01","output_index":0}'),
        holds=Example('V2: insert 3 {"type":"acme:mcp_call.in_progress","item_id":"fc_01","output_index":0}'),
    ),
    Rule(
        id="R086",
        title="The status of an item never leaves a final value",
        why="A client acted on the status that it saw first.",
        source="Open Responses",
        strict="error",
        lenient="warning",
        hint="Add the item as `in_progress` as long as its end is not known.",
        breaks=Example(
            f'{_ONE_THING}; set 2.item.status="completed"; set 3.item.status="failed";'
            ' set 4.response.output.0={"$item":3}'
        ),
        holds=Example(
            f'{_ONE_THING}; set 2.item.status="in_progress"; set 3.item.status="failed";'
            ' set 4.response.output.0={"$item":3}'
        ),
    ),
    Rule(
        id="R087",
        title="Items are done in the order in which they were added",
        why="Clients that hand on items as they are done put them in another order than the final `output`.",
        source="Seen on the wire from OpenAI; another provider breaks it",
        strict="warning",
        lenient="off",
        hint="Hold back the end of an item until those before it are done, where the order is yours to choose.",
        breaks=Example("V15"),
        holds=Example("V15: move 7 10"),
        implies=("R084",),
    ),
    Rule(
        id="R088",
        title="Every added item is done before `response.incomplete`, and should be before `response.failed`",
        why=(
            "What the item held is lost to clients that hand on finished items. For `response.failed` this is a warning"
            " in every profile: work that breaks leaves its items open, and the error is what counts."
        ),
        source="The public Open Responses validator; the Azure reference server does not check",
        strict="error",
        lenient="warning",
        hint="Close open items with status `incomplete` before the response ends.",
        breaks=Example("V7: drop 8"),
        holds=Example("V7"),
    ),
    Rule(
        id="R089",
        title="A response that is completed has no item that is in_progress or incomplete",
        why="Success is told, and part of the answer is missing or still to come.",
        source="Open Responses; on the wire, function calls that a program made stay in_progress",
        strict="error",
        lenient="warning",
        profiles={"openai": "warning"},
        hint="Complete the response when all its items are completed or failed; else end it as incomplete.",
        breaks=Example('V1: set 9.response.output.0.status="in_progress"'),
        holds=Example('V1: set 9.response.output.0.status="completed"'),
    ),
)
