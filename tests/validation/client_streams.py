"""One good stream of ten events, and 36 variations of it that real clients were asked to read (shared/clients.md).

Each is what a server would send, as bytes; the names are those of the table that tells what the clients made of them.
`served` sends them to whoever asks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import MappingProxyType
from typing import Final

from responses_stream.validation.examples import frame_of, stream_of

GOOD: Final = "V1"
DONE: Final = "data: [DONE]\n\n"
PIECE: Final = 7
"""How many bytes the stream `split` comes in."""

_ERROR: Final = '"code":"server_error","message":"Broken.","param":null'
_FAILED: Final = (
    '{"type":"response.failed","response":{"$R":{"status":"failed",'
    '"error":{"code":"server_error","message":"Broken."}}}}'
)
_BARE: Final = '"id":"resp_01","object":"response"'
_THING: Final = '{"type":"thing","id":"th_01"}'
_LATE: Final = (
    '{"type":"response.output_text.delta","item_id":"msg_01","output_index":0,"content_index":0,"delta":"!",'
    '"logprobs":[]}'
)

# In the notation of the catalogue's examples. The good stream: 0 created, 1 in_progress, 2 item added, 3 part added,
# 4 and 5 deltas, 6 text done, 7 part done, 8 item done, 9 completed.
_NOTATIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "no_created": "V1: drop 0-1",
        "no_item_added": "V1: drop 2",
        "no_content_part": "V1: drop 3",
        "no_dones": "V1: drop 6-8",
        "content_missing": "V1: del 2.item.content",
        "wrong_item_id": 'V1: every 3-7 item_id="msg_09"',
        "seq_zero": "V1: every 0-9 sequence_number=0",
        "idx_from_1": "V1: every 2-8 output_index=1",
        "two_same_index": "V14: every 9-15 output_index=0",
        "delta_after_done": f"V1: insert 7 {_LATE}",
        "delta_after_item_done": f"V1: insert 9 {_LATE}",
        "empty_output": "V1: set 9.response.output=[]",
        "null_output": "V1: set 9.response.output=null",
        "usage_empty_details": (
            "V1: set 9.response.usage.input_tokens_details={}; set 9.response.usage.output_tokens_details={}"
        ),
        "minimal_resp": (
            f'V1: set 0.response={{{_BARE},"status":"in_progress","output":[]}}; '
            f'set 1.response={{{_BARE},"status":"in_progress","output":[]}}; '
            f'set 9.response={{{_BARE},"status":"completed","completed_at":1767225602,"output":[{{"$item":8}}]}}'
        ),
        "status_missing": "V1: del 2.item.status; del 8.item.status; del 9.response.output.0.status",
        "unknown_event": 'V1: insert 4 {"type":"acme:trace","span":"a"}',
        "unknown_item": (
            f'V1: insert 2 {{"type":"response.output_item.added","output_index":0,"item":{_THING}}}; '
            f'insert 3 {{"type":"response.output_item.done","output_index":0,"item":{_THING}}}; '
            'every 4-10 output_index=1; set 11.response.output=[{"$item":3},{"$item":10}]'
        ),
        "ka_event": 'V1: insert 5 {"type":"keepalive"}',
        "ka_inprogress": 'V1: insert 5 {"type":"response.in_progress","response":{"$R":{}}}',
        "no_terminal": "V1: drop 9",
        "failed": f"V1: drop 6-9; insert 6 {_FAILED}",
        "incomplete": "V7",
        "cancelled": (
            'V1: set 9.type="response.cancelled"; set 9.response.status="cancelled"; del 9.response.completed_at'
        ),
        "error_flat": f'V1: drop 6-9; insert 6 {{"type":"error",{_ERROR}}}',
        "error_nested": f'V1: drop 6-9; insert 6 {{"type":"error","error":{{"type":"server_error",{_ERROR}}}}}',
        "error_then_failed": f'V1: drop 6-9; insert 6 {{"type":"error",{_ERROR}}}; insert 7 {_FAILED}',
    }
)


def _text(notation: str) -> str:
    return "".join(map(frame_of, stream_of(notation)))


def _before(text: str, name: str, inserted: str) -> str:
    """Return *text* with something *inserted* before its first frame of the event *name*."""
    at = text.index(f"event: {name}\n")
    return text[:at] + inserted + text[at:]


def _texts() -> dict[str, str]:
    good, delta = _text(GOOD), "response.output_text.delta"
    return {
        **{name: _text(notation) for name, notation in _NOTATIONS.items()},
        "no_seq": re.sub(r',"sequence_number":\d+', "", good),
        "no_indices": re.sub(r'"(output|content)_index":\d+,', "", good),
        "ka_comment": _before(_before(good, delta, ": keep-alive\n\n"), "response.completed", ": keep-alive\n\n"),
        "ka_comment_id": _before(good.replace("event:", "id: 0\nevent:", 1), delta, ": keep-alive\n\n"),
        "crlf": good.replace("\n", "\r\n"),
        "split": good,
        "no_event_line": re.sub(r"^event: .*\n", "", good, flags=re.MULTILINE),
        "no_done_sentinel": good,
        "done_sentinel": good + DONE,
        "abrupt": good[: good.index("event: response.completed") + 200],
    }


STREAMS: Final[Mapping[str, bytes]] = MappingProxyType({name: text.encode() for name, text in _texts().items()})
"""The streams, by the names of the table; `delta_after_item_done` is a variant of `delta_after_done`."""


class _Handler(BaseHTTPRequestHandler):
    """Answers with the stream that the request names as its model."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        body = STREAMS[asked["model"]]
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the tests do."""


@contextmanager
def served() -> Iterator[str]:
    """Serve the streams on a real socket; yield the base URL for a client."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()
