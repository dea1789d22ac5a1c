"""R029 to R057: the life of a response, and what each copy of it says on the way."""

from __future__ import annotations

from typing import Final

from responses_stream.validation.examples import Example
from responses_stream.validation.rule import Breakage, Rule

_QUEUED: Final = '{"type":"response.queued","response":{"$R":{"status":"queued"}}}'
_ENDS_WITH_NOTHING: Final = "V1: drop 2-8; set 2.response.output=[]"
_CANCELLED: Final = 'V6: drop 2; set 2.response.status="cancelled"; set 2.response.error=null'

# R054: one response with all that Open Responses asks for, in three copies.
_WHOLE: Final = (
    'V1: drop 1-9; set 0={"type":"response.created","response":{"$R":{"background":false,"previous_response_id":null,'
    '"max_tool_calls":null,"text":{"format":{"type":"text"}},"reasoning":null,"presence_penalty":0,'
    '"frequency_penalty":0,"top_logprobs":0,"max_output_tokens":null,"truncation":"disabled","store":true,'
    '"service_tier":"default","safety_identifier":null,"prompt_cache_key":null}}}; dup 0; '
    'set 1.type="response.in_progress"; dup 1; set 2.type="response.completed"; set 2.response.status="completed"; '
    'set 2.response.completed_at=1767225602; set 2.response.usage="$U"'
)


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="R029",
        title="The stream holds `response.completed`, `.failed` or `.incomplete`, or is a single `error` event",
        why=(
            "Without it nobody can tell an answer from half an answer: some clients raise, others pass on what they"
            " have. `response.cancelled` is no terminal event, and an unknown one to most."
        ),
        source="Open Responses, and the Azure reference server, which adds a `response.failed` where a handler stops",
        strict="error",
        lenient="error",
        hint="End every stream with one terminal event, also when the work breaks or is cancelled.",
        breaks=Example("V1: drop 9"),
        holds=Example("V6: drop 3; drop 0-1"),
        clients=(
            Breakage("openai-python .stream()", "RuntimeError: Didn't receive a `response.completed` event."),
            Breakage("openai-agents (py)", "ModelBehaviorError: Model did not produce a final response!"),
            Breakage("litellm", "closed the responses stream before any terminal event"),
            Breakage("@openai/agents (js)", "raises"),
            Breakage("codex", "stream disconnected before completion: stream closed before response.completed"),
            Breakage("openai-node .stream()", "Unhandled response stream event (after `response.cancelled`)"),
            *(
                Breakage(client, "no error, but half an answer")
                for client in (
                    *("openai-python", "langchain (py)", "pydantic-ai", "any-llm"),
                    *("openai-node", "openai-node .stream()", "langchain-js"),
                )
            ),
        ),
    ),
    Rule(
        id="R030",
        title="The first event is `response.created`",
        why="It carries the id and the first copy of the response, on which clients build everything that follows.",
        source=(
            "The Azure reference server, the OpenAI SDK (raises), and seen on the wire; the public Open Responses"
            " validator also lets queued, in_progress or failed be first"
        ),
        strict="error",
        lenient="error",
        hint="Send `response.created` before anything else.",
        breaks=Example("V1: drop 0"),
        holds=Example('V1: insert 0 {"type":"keepalive"}'),
        clients=(
            Breakage(
                "openai-python .stream()",
                "RuntimeError: Expected to have received `response.created` before `response.output_item.added`",
            ),
            Breakage(
                "openai-node .stream()", "When snapshot hasn't been set yet, expected 'response.created' event, got …"
            ),
        ),
    ),
    Rule(
        id="R031",
        title="`response.created` occurs once",
        why="A client begins anew at it, and loses what it had.",
        source="All sources",
        strict="error",
        lenient="error",
        hint="Send `response.created` once; later copies of the response travel in other events.",
        breaks=Example("V1: dup 0"),
        holds=Example(f'V1: set 0.response.status="queued"; insert 1 {_QUEUED}'),
    ),
    Rule(
        id="R032",
        title="`response.queued` occurs at most once",
        why="A response waits once; a second announcement is a step that no client expects.",
        source="Open Responses and the Azure reference server",
        strict="error",
        lenient="warning",
        hint="Say that the response waits once, and keep the connection awake with comments.",
        breaks=Example(f'V1: set 0.response.status="queued"; insert 1 {_QUEUED}; dup 1'),
        holds=Example(f'V1: set 0.response.status="queued"; insert 1 {_QUEUED}'),
    ),
    Rule(
        id="R033",
        title="`response.queued` stands directly behind `response.created`",
        why="Whoever shows a queue reads it from the second event, and not from a later one.",
        source="The Azure reference server",
        strict="error",
        lenient="warning",
        hint="Send `response.queued` right behind `response.created`, or leave it out.",
        breaks=Example(f'V1: set 0.response.status="queued"; insert 1 {{"type":"acme:a"}}; insert 2 {_QUEUED}'),
        holds=Example(f'V1: set 0.response.status="queued"; insert 1 {_QUEUED}; insert 2 {{"type":"acme:a"}}'),
    ),
    Rule(
        id="R034",
        title="`response.queued` never follows `response.in_progress`",
        why="Work that runs does not go back to the queue; a client would show that it waits, and for ever.",
        source="The Azure reference server and Open Responses",
        strict="error",
        lenient="error",
        hint="Send `response.queued` before `response.in_progress`, or not at all.",
        breaks=Example(f"V1: insert 2 {_QUEUED}"),
        holds=Example(f'V1: set 0.response.status="queued"; insert 1 {_QUEUED}'),
    ),
    Rule(
        id="R035",
        title="`response.in_progress` occurs at most once",
        why="Clients take the copy in it for the whole state, so a second one throws away the items that have begun.",
        source="The public Open Responses validator (no step from a state to itself), and seen on the wire",
        strict="error",
        lenient="warning",
        hint="Send `response.in_progress` once, and keep the connection awake with comments.",
        breaks=Example("V1: dup 1"),
        holds=Example('V1: insert 2 {"type":"acme:in_progress"}'),
        clients=(Breakage("openai-node .stream()", "missing output at index 0"),),
    ),
    Rule(
        id="R036",
        title="There is no second terminal event",
        why="Two ends may disagree, and each client believes another one of them.",
        source="All sources",
        strict="error",
        lenient="error",
        hint="Close the stream with the first terminal event.",
        breaks=Example("V6: dup 3"),
        holds=Example("V6"),
    ),
    Rule(
        id="R037",
        title="`response.in_progress` stands before the terminal event",
        why="The step from created to the end is missing, and a client that waits for the work to begin never sees it.",
        source=(
            "The public Open Responses validator, and seen on the wire; the Azure reference server accepts a response"
            " that ends straight after it was created"
        ),
        strict="warning",
        lenient="warning",
        profiles={"azure": "off"},
        hint="Send `response.in_progress` behind `response.created`, also where there is nothing to wait for.",
        breaks=Example(f"{_ENDS_WITH_NOTHING}; drop 1"),
        holds=Example(_ENDS_WITH_NOTHING),
    ),
    Rule(
        id="R038",
        title="No event of the protocol follows the terminal event",
        why="Clients close the stream at the terminal event, so that what follows is lost.",
        source="All sources",
        strict="error",
        lenient="error",
        hint="Send everything before the terminal event, then close the body.",
        breaks=Example("V6: move 2 4"),
        holds=Example("V6"),
    ),
    Rule(
        id="R039",
        title="No unknown event and no heartbeat follows the terminal event",
        why="A reader that goes on to the end of the body waits for something that has no meaning any more.",
        source="The Azure reference server; some gateways send a `response.done`",
        strict="warning",
        lenient="off",
        hint="Close the body behind the terminal event.",
        breaks=Example('V1: insert 10 {"type":"acme:done"}'),
        holds=Example('V1: insert 9 {"type":"acme:done"}'),
    ),
    Rule(
        id="R040",
        title=(
            "The copy in created says queued or in_progress, the copy in queued says queued, and the copy in"
            " in_progress says in_progress"
        ),
        why="The event and the copy tell two stories, and clients that show the status believe the copy.",
        source="The Azure reference server (refuses it in created), and seen on the wire",
        strict="error",
        lenient="warning",
        hint="Set `response.status` to the state that the event announces.",
        breaks=Example('V6: set 0.response.status="queued"; set 1.response.status="queued"'),
        holds=Example('V6: set 0.response.status="queued"'),
    ),
    Rule(
        id="R041",
        title="From one copy to the next the status changes only as the states of a response allow",
        why="A status that goes back, or ends without having begun, makes pollers show what is not so.",
        source="Open Responses and the Azure reference server",
        strict="error",
        lenient="error",
        hint="Go from queued to in_progress, from there to a final status, and never back.",
        breaks=Example(f"V1: insert 1 {_QUEUED}"),
        holds=Example(f'V1: insert 1 {_QUEUED}; set 0.response.status="queued"'),
    ),
    Rule(
        id="R042",
        title="`response.id` never changes",
        why="The id is how the response is fetched, cancelled and continued; a second one points to nothing.",
        source="The OpenAI SDK (raises) and the Azure reference server; one recorded proxy breaks it",
        strict="error",
        lenient="warning",
        hint="Write the id of `response.created` into every copy.",
        breaks=Example('V1: set 9.response.id="resp_02"'),
        holds=Example('V1: set 0.response.id="resp_02"; set 1.response.id="resp_02"; set 9.response.id="resp_02"'),
    ),
    Rule(
        id="R043",
        title="`created_at` never changes",
        why="It is when the response was made, by which it is sorted; another value looks like another response.",
        source="Seen on the wire, and the Azure reference server",
        strict="error",
        lenient="warning",
        hint="Take the time once, for `response.created`, and repeat it.",
        breaks=Example("V1: set 9.response.created_at=1767225601"),
        holds=Example(
            "V1: set 0.response.created_at=1767225601; set 1.response.created_at=1767225601;"
            " set 9.response.created_at=1767225601"
        ),
    ),
    Rule(
        id="R044",
        title="`response.object` is `response`",
        why="Clients that read several kinds of objects tell them apart by it.",
        source="All sources",
        strict="error",
        lenient="warning",
        hint='Write `"object": "response"` into every copy.',
        breaks=Example('V1: set 0.response.object="resp"'),
        holds=Example('V1: set 0.response.object="response"'),
    ),
    Rule(
        id="R045",
        title="`output` is empty in the copies of created and queued",
        why="Nothing was added yet: a client would show the item twice, once from the copy and once from its events.",
        source="The Azure reference server (refuses it), and seen on the wire",
        strict="error",
        lenient="warning",
        hint="Send `output: []` in early copies, and items through their own events.",
        breaks=Example('V1: set 0.response.output=[{"$item":8}]'),
        holds=Example("V1: set 0.response.output=[]"),
    ),
    Rule(
        id="R046",
        title="A copy in in_progress lists no more items than were added",
        why="A client that takes the copy for the state counts an item whose events are still to come.",
        source="The Azure reference server, and seen on the wire",
        strict="error",
        lenient="warning",
        hint="Make the copy from the state at this moment, and not from the finished response.",
        breaks=Example('V1: set 1.response.output=[{"$item":8}]'),
        holds=Example("V1: set 1.response.output=[]"),
    ),
    Rule(
        id="R047",
        title=(
            "The members that echo the request (model, instructions, metadata, tools and the like) are the same in all"
            " copies"
        ),
        why="A client that reads them from the first copy and one that reads them from the last do not agree.",
        source="Seen on the wire",
        strict="warning",
        lenient="off",
        hint="Fix the echoed members when the response is created, and copy them.",
        breaks=Example('V1: set 9.response.model="other"'),
        holds=Example('V1: set 0.response.service_tier="auto"; set 9.response.service_tier="default"'),
    ),
    Rule(
        id="R048",
        title="The terminal event fits the status of its copy",
        why=(
            "Some clients go by the event and some by the status, so that one sees success and the other does not."
            " `cancelled` travels in `response.failed`; in other events it was taken for a finished answer."
        ),
        source="Open Responses and the Azure reference server",
        strict="error",
        lenient="error",
        hint="Send the terminal event that is named after the status, and `response.failed` where it is cancelled.",
        breaks=Example('V1: set 9.response.status="in_progress"; set 9.response.completed_at=null'),
        holds=Example(_CANCELLED),
        clients=(
            Breakage("openai-python .stream()", "RuntimeError (completed, and cancelled)"),
            *(
                Breakage(client, "no error, but taken for a finished answer (completed, and cancelled)")
                for client in ("codex", "openai-agents (py)", "pydantic-ai", "AI SDK openai")
            ),
        ),
    ),
    Rule(
        id="R049",
        title="The copy in `response.failed` says failed, and not cancelled",
        why="The service of OpenAI is not known to end a cancelled stream so; clients made for it may not expect it.",
        source="The Azure reference server ends a cancelled stream so; the OpenAI types are silent",
        strict="off",
        lenient="off",
        profiles={"openai": "error"},
        hint="Say `failed` with an error that tells of the cancellation.",
        breaks=Example(_CANCELLED, "openai"),
        holds=Example("V6: drop 2", "openai"),
    ),
    Rule(
        id="R050",
        title="`response.error` has a `code` and a `message` where the status is failed, and is null elsewhere",
        why="It is the only place that says why; a client raises with nothing to tell.",
        source="Open Responses, the Azure reference server, and seen on the wire",
        strict="error",
        lenient="warning",
        hint="Set `error` to an object with a non-empty `code` and `message` when the response fails, else to null.",
        breaks=Example("V6: drop 2; set 2.response.error=null"),
        holds=Example(_CANCELLED),
    ),
    Rule(
        id="R051",
        title="`incomplete_details` has a `reason` where the status is incomplete, and is null elsewhere",
        why="A client cannot tell an answer that ran out of tokens from one that was filtered.",
        source="Open Responses and the Azure reference server",
        strict="error",
        lenient="warning",
        hint="Set `incomplete_details` to an object with a `reason` when the response ends incomplete, else to null.",
        breaks=Example("V7: set 9.response.incomplete_details=null"),
        holds=Example('V7: set 9.response.incomplete_details={"reason":"content_filter"}'),
    ),
    Rule(
        id="R052",
        title="`completed_at` is set, and not before `created_at`, where the status is completed, and null elsewhere",
        why="How long a response took cannot be told, or comes out negative.",
        source="OpenAI types and the Azure reference server; older servers do not send it",
        strict="error",
        lenient="warning",
        hint="Set `completed_at` to the time when the response completes, else to null.",
        breaks=Example("V1: set 9.response.completed_at=null"),
        holds=Example("V1: set 9.response.completed_at=1767225600"),
    ),
    Rule(
        id="R053",
        title="Copies of the response have the members that the OpenAI types require",
        why="Clients read them without asking: one without `created_at`, or with `output: null`, is refused or raises.",
        source="OpenAI types",
        strict="error",
        lenient="warning",
        hint="Send whole copies: echo the request, write the defaults, and write null where there is nothing.",
        breaks=Example("V1: del 9.response.temperature"),
        holds=Example("V1: set 9.response.temperature=null"),
        clients=(
            Breakage("AI SDK openai", "Type validation failed"),
            Breakage("openai-node .stream()", "rsp.output is not iterable"),
            *(
                Breakage(client, "TypeError: 'NoneType' object is not iterable")
                for client in ("langchain (py)", "pydantic-ai")
            ),
            *(
                Breakage(client, "Cannot read properties of null (reading 'map')")
                for client in ("@openai/agents (js)", "langchain-js")
            ),
        ),
    ),
    Rule(
        id="R054",
        title="Copies of the response have all the members that Open Responses requires",
        why="A client that checks the answer against the published schema refuses it.",
        source="Open Responses; no other source asks for all of them",
        strict="off",
        lenient="off",
        profiles={"open-responses": "error"},
        hint="Write every member of the response, null where the schema allows it and there is nothing.",
        breaks=Example(f"{_WHOLE}; del 2.response.safety_identifier", "open-responses"),
        holds=Example(_WHOLE, "open-responses"),
    ),
    Rule(
        id="R055",
        title="`usage` is null or absent before the terminal event",
        why="What is billed is known at the end; whoever adds up what the copies say counts twice.",
        source="Seen on the wire",
        strict="warning",
        lenient="off",
        hint="Write `usage: null` until the terminal event.",
        breaks=Example('V1: set 1.response.usage="$U"'),
        holds=Example("V1: del 1.response.usage"),
    ),
    Rule(
        id="R056",
        title="`usage` is an object in the copies of completed and incomplete",
        why="Without it nobody can tell what the response cost; no profile asks for it, as a handler may not know.",
        source="Seen on the wire; the Azure reference server leaves it to the handler, Open Responses lets it be null",
        strict="off",
        lenient="off",
        hint="Pass on the counts of the model where they are known.",
        breaks=Example("V1: set 9.response.usage=null"),
        holds=Example("V6: drop 2"),
    ),
    Rule(
        id="R057",
        title=(
            "`usage` adds up: total is input plus output, cached is within input, reasoning is within output, and all"
            " are integers from 0"
        ),
        why="Clients bill and cut contexts by these counts, and some refuse details that are there and empty.",
        source="OpenAI types, Open Responses (the meaning of the members), and seen on the wire",
        strict="error",
        lenient="warning",
        hint="Fill in the details of `usage` or leave them out, and make the total the sum of input and output.",
        breaks=Example("V1: set 9.response.usage.total_tokens=99"),
        holds=Example("V1: set 9.response.usage.input_tokens_details.cached_tokens=12"),
        clients=(Breakage("codex", "failed to parse ResponseCompleted: missing field `cached_tokens`"),),
    ),
)
