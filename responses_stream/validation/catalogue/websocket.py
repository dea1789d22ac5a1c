"""R200-R207: WebSocket: the same events, one JSON text message each, and one turn after the other.

A transcript may hold the client's own messages too: they say which turn, and which lane, an event belongs to.
"""

from __future__ import annotations

from typing import Final

from responses_stream.validation.examples import Example
from responses_stream.validation.rule import Rule

_CREATE: Final = '{"type":"response.create","model":"example-model","input":"Hi"}'
_DELTA: Final = (
    '{"type":"response.output_text.delta","item_id":"msg_01","output_index":0,"content_index":0,"delta":"!",'
    '"logprobs":[]}'
)
_OTHER: Final = '{{"type":"response.{0}","response":{{"$R":{{"id":"resp_02"{1}}}}}}}'
_OTHER_CREATED: Final = _OTHER.format("created", "")
_OTHER_STARTED: Final = _OTHER.format("in_progress", "")
_OTHER_FAILED: Final = _OTHER.format("failed", ',"status":"failed","error":{"code":"server_error","message":"Broken."}')

# A second response, which is empty, begins before the first one ends.
_TOO_EARLY: Final = "V1+V1: drop 12-18; drop 2-9; set 4.response.output=[]; " + "; ".join(
    f'set {at}.response.id="resp_02"; set {at}.sequence_number={at - 2}' for at in (2, 3, 4)
)

# A second response begins and ends on another lane before the first one ends.
_TWO_LANES: Final = (
    f"V1: insert 9 {_OTHER_CREATED}; insert 10 {_OTHER_STARTED}; insert 11 {_OTHER_FAILED}; "
    + "; ".join(f'set {at}.stream_id="lane-b"; set {at}.sequence_number={at - 9}' for at in (9, 10, 11))
    + "; set 12.sequence_number=9"
)

_LANE: Final = f"V1: insert 0 {_CREATE}; " + "; ".join(f'set {at}.stream_id="lane-a"' for at in range(11))

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="R200",
        title="No message is `[DONE]`, and none has `event:` or `data:` lines",
        why="Messages are JSON. A client that counts turns takes `[DONE]` as the end of the next one.",
        source="Open Responses, OpenAI types",
        strict="error",
        lenient="error",
        hint="Send each event as one JSON text message, and nothing behind the terminal event.",
        breaks=Example("V1", messages=("[DONE]",), transport="websocket"),
        holds=Example(
            'V1: set 4.delta="[DO"; set 5.delta="NE]"; set 6.text="[DONE]"; set 7.part.text="[DONE]"; '
            'set 8.item.content.0.text="[DONE]"; set 9.response.output=[{"$item":8}]',
            transport="websocket",
        ),
    ),
    Rule(
        id="R201",
        title="After the terminal event of a response nothing follows until the next `response.create`",
        why="The client has left the turn: the event is lost, or is taken as part of the next answer.",
        source="Open Responses",
        strict="error",
        lenient="warning",
        hint="Stop sending when the terminal event was sent.",
        breaks=Example(f"V1: insert 10 {_DELTA}", transport="websocket"),
        holds=Example(f"V1+V1: insert 10 {_CREATE}", transport="websocket"),
    ),
    Rule(
        id="R202",
        title="The numbers start again at 0 with every response",
        why="They are the cursor of one response; the same number has to mean the same event on SSE.",
        source="Open Responses: numbers mean the same on both transports; OpenAI types say nothing",
        strict="warning",
        lenient="off",
        hint="Keep the count with the response, and not with the connection.",
        breaks=Example("V1+V1: renumber from 0", transport="websocket"),
        holds=Example("V1+V1", transport="websocket"),
    ),
    Rule(
        id="R203",
        title="One response is in flight per connection, or per lane where there are lanes",
        why="Most events do not name their response, so a client cannot tell two of them apart.",
        source="Open Responses (connection), OpenAI types (lane)",
        strict="error",
        lenient="warning",
        hint="Refuse or queue a second `response.create` until the first response has ended.",
        breaks=Example(_TOO_EARLY, transport="websocket"),
        holds=Example(_TWO_LANES, transport="websocket"),
    ),
    Rule(
        id="R204",
        title="`stream_id` of every event is the lane of its request",
        why="The client sorts events by it, and puts this one into another answer.",
        source="OpenAI types",
        strict="error",
        lenient="warning",
        hint="Copy `stream_id` from `response.create` to every event that answers it.",
        breaks=Example(f'{_LANE}; set 5.stream_id="lane-b"', transport="websocket"),
        holds=Example(_LANE, transport="websocket"),
    ),
    Rule(
        id="R205",
        title="`response.create` has no stream, `stream_options` or background",
        why="A WebSocket always streams and never runs in the background, so servers refuse the message.",
        source="Open Responses, OpenAI types",
        strict="error",
        lenient="error",
        hint="Leave them out of messages; they belong to HTTP requests.",
        breaks=Example(f"V1: insert 0 {_CREATE}; set 0.stream=true", transport="websocket"),
        holds=Example(f"V1: insert 0 {_CREATE}; set 0.store=false", transport="websocket"),
    ),
    Rule(
        id="R206",
        title="A response is incomplete with reason steered only after `response.steer.accepted`",
        why="The client waits for the successor of a response that it never steered.",
        source="OpenAI types",
        strict="warning",
        lenient="off",
        hint="Tell that the steering was accepted before the response ends.",
        breaks=Example('V7: set 9.response.incomplete_details.reason="steered"', transport="websocket"),
        holds=Example(
            'V7: set 9.response.incomplete_details.reason="steered"; insert 9 {"type":"response.steer.accepted",'
            '"steer":{"id":"steer_01","previous_response_id":"resp_01"}}',
            transport="websocket",
        ),
    ),
    Rule(
        id="R207",
        title="An error on a WebSocket has an integer status, `error.code` and `error.message`",
        why="There is no HTTP status to go by: a client cannot tell its own fault from that of the server.",
        source="Open Responses; OpenAI types leave status and code optional",
        strict="warning",
        lenient="warning",
        profiles={"open-responses": "error"},
        hint='Write {"type": "error", "status": 400, "error": {"code": ..., "message": ...}}.',
        breaks=Example("V6", transport="websocket"),
        holds=Example("V6: set 2.status=500", transport="websocket"),
    ),
)
