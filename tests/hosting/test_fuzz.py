"""Whatever a client sends, it gets an answer that it can read, and nobody else's response suffers (issue 4, bad input).

Requests are made from the schema and from junk. The status is 200, of 400 to 431, or 503; never 500. Every error has
the envelope of H8.1 to H8.4 and decision 19; every stream is valid; what was stored before is there afterwards,
unchanged.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from responses_stream import CreateResponse, HttpRequest, ResponseContext, ResponsesServer, ResponsesServerOptions
from responses_stream.protocol.request import CompactResponse
from responses_stream.stores.memory import MemoryStore
from responses_stream.validation import validate_events
from tests.protocol.strategies import JSON, wire_json

from .asking import Answer, answer_of, ask

FUZZED: Final = settings(deadline=None, derandomize=True, database=None, max_examples=20)
BACKENDS: Final = pytest.mark.parametrize("backend", ["asyncio", "trio"])

NOBODY: Final = "resp_" + "0" * 18 + "z" * 32
"""The id of a response that there is not."""

HOSTILE: Final = st.sampled_from(["\0", "\ud800", "\udfff\ud800", "\uffff", "\u2028", "a\r\nb", "%00", "%ff", " ", ""])
TEXT: Final = st.text(max_size=8) | HOSTILE | st.sampled_from(["true", "1", "-1", "9" * 400, "1e5", "asc", NOBODY])


def fuzzed_server() -> ResponsesServer:
    options = ResponsesServerOptions(max_body_bytes=200_000, max_input_items=40, default_model="m")
    server = ResponsesServer(store=MemoryStore(), options=options)

    @server.response_handler
    async def answer(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        # All that a handler may look up is looked up: what came in has to be readable there too.
        text, before = await context.get_input_text(), await context.get_history()
        items = await context.get_input_items(resolve_references=False)
        stream = context.stream()
        yield stream.emit_created()
        yield stream.emit_in_progress()
        yield stream.output_item_message([f"{len(items)} items behind {len(before)}, ", f"{len(text)} characters"])
        yield stream.emit_completed()

    return server


class Witnesses:
    """Responses of somebody else, which have to stay as they are."""

    def __init__(self, server: ResponsesServer) -> None:
        self.server = server
        self.seen: dict[tuple[str, str], bytes] = {}
        self.ids: list[str] = []

    async def begin(self) -> None:
        for flags in ({}, {"background": True, "stream": True}):
            made = await ask(self.server, {"model": "m", "input": "mine", **flags}, headers={"x-agent-user-id": "me"})
            response_id = made.events[0]["response"]["id"] if flags else made.json["id"]
            self.ids.append(response_id)
            for path, query in (("", ""), ("/input_items", ""), *((("", "stream=true"),) if flags else ())):
                self.seen[f"/v1/responses/{response_id}{path}", query] = b""
        self.seen = {where: await self.look(where) for where in self.seen}

    async def look(self, where: tuple[str, str]) -> bytes:
        path, query = where
        found = await ask(self.server, method="GET", path=path, query=query, headers={"x-agent-user-id": "me"})
        assert found.status == 200
        return found.body

    async def still_there(self) -> None:
        assert {where: await self.look(where) for where in self.seen} == self.seen


def check(request: HttpRequest, answer: Answer) -> None:
    """Check that the answer is one that a client can read."""
    status = answer.status
    assert status in (200, 204, 501, 503) or 400 <= status <= 431, (status, answer.body)
    assert (status == 204) <= (request.method == "OPTIONS")
    assert (status == 501) <= request.path.rstrip("/").endswith("/compact")
    request_id = answer.headers["x-request-id"]
    assert request_id.isprintable()
    if status >= 400:
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-platform-error-source"] in ("user", "platform")
        if request.method != "HEAD":
            error = answer.error
            assert error["code"]
            assert error["message"]
            assert error["type"] in ("invalid_request_error", "conflict", "server_error")
            assert "param" in error
            assert error["additionalInfo"]["request_id"] == request_id
            for problem in error.get("details", ()):
                assert problem["param"].startswith("$")
                assert problem["message"]
    elif answer.headers.get("content-type", "").startswith("text/event-stream"):
        if request.method == "POST":
            assert validate_events(answer.body, "strict").ok, str(validate_events(answer.body, "strict"))
            assert answer.types[-1] == "response.completed"
    elif status == 200 and request.method != "HEAD":
        assert isinstance(answer.json, dict)
        if request.method == "POST":  # the handler has read all, and found nothing that it could not
            assert answer.json["status"] in ("completed", "queued", "in_progress")


def survive(backend: str, *requests: HttpRequest | Callable[[Witnesses], HttpRequest]) -> list[Answer]:
    """Send the requests to a server, and return the answers, all of which were checked."""
    answers: list[Answer] = []

    async def main() -> None:
        server = fuzzed_server()
        async with server.lifespan():
            witnesses = Witnesses(server)
            await witnesses.begin()
            for made in requests:
                request = made if isinstance(made, HttpRequest) else made(witnesses)
                answer = await answer_of(await server.handle(request))
                check(request, answer)
                answers.append(answer)
            await witnesses.still_there()

    anyio.run(main, backend=backend)
    return answers


def post(body: object, path: str = "/v1/responses", **headers: str) -> HttpRequest:
    # Escaped, so that half a surrogate pair gets as far as the engine.
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpRequest("POST", path, headers=tuple(headers.items()), body=data)


FLAGS: Final = st.fixed_dictionaries(
    {},
    optional={
        "stream": st.booleans() | st.none(),
        "background": st.booleans() | st.none(),
        "store": st.booleans() | st.none(),
        "model": st.text(max_size=4) | st.none(),
    },
)


@st.composite
def requests_of_the_schema(draw: Callable[[st.SearchStrategy[Any]], Any], loose: bool) -> dict[str, Any]:
    members: dict[str, Any] = draw(wire_json(CreateResponse, loose=loose))
    # Most of what fits the schema is refused for what it refers to; the rest is to be answered.
    for member in ("previous_response_id", "response_id", "agent_reference", "conversation"):
        if draw(st.booleans()):
            members.pop(member, None)
    return {**members, **draw(FLAGS)}


@BACKENDS
@FUZZED
@given(
    bodies=st.lists(requests_of_the_schema(loose=False) | requests_of_the_schema(loose=True), min_size=1, max_size=6)
)
def test_requests_of_the_schema(backend: str, bodies: list[dict[str, Any]]) -> None:
    survive(backend, *map(post, bodies))


def paths_in(data: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the path of every value in *data*."""
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(below for key, value in inner for below in paths_in(value, (*path, key)))]


def with_value(data: Any, path: tuple[str | int, ...], value: Any) -> Any:
    """Return *data* with another value at *path*."""
    if not path:
        return value
    copied: Any = dict(data) if isinstance(data, dict) else list(data)
    copied[path[0]] = with_value(data[path[0]], path[1:], value)
    return copied


RICH: Final[dict[str, Any]] = {
    "model": "m",
    "input": [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "x"},
        {"type": "item_reference", "id": "msg_1"},
    ],
    "instructions": "Be brief.",
    "metadata": {"team": "a"},
    "tools": [{"type": "function", "name": "f", "parameters": {}, "strict": True}],
    "tool_choice": {"type": "function", "name": "f"},
    "text": {"format": {"type": "text"}},
    "reasoning": {"effort": "low"},
    "temperature": 1,
    "max_output_tokens": 16,
    "stream": True,
    "stream_options": {},
    "agent_reference": {"type": "agent_reference", "name": "a"},
    "conversation": {"id": "conv_1"},
    "agent_session_id": "s",
}

JUNK: Final = (
    JSON
    | TEXT
    | st.sampled_from([10**400, -(10**30), 1e308, [], {}, [[]], {"": {"": ""}}, {"type": "message"}, {"type": 3}, True])
)


@st.composite
def with_junk(draw: Callable[[st.SearchStrategy[Any]], Any]) -> dict[str, Any]:
    """A request that is rich, and has a wrong value somewhere."""
    changed: dict[str, Any] = with_value(RICH, draw(st.sampled_from(paths_in(RICH))), draw(JUNK))
    return changed


@BACKENDS
@FUZZED
@given(bodies=st.lists(with_junk(), min_size=1, max_size=6))
def test_a_wrong_value_at_any_path(backend: str, bodies: list[dict[str, Any]]) -> None:
    """Decision 20: the answer names the path, or the value is taken."""
    survive(backend, *map(post, bodies))


RAW: Final = st.sampled_from(
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
        b'{"model":"m","input":"\xed\xa0\x80"}',
        b'{"model":"m","input":"\\ud800"}',
        b'{"model":"m","input":"a\\u0000b","metadata":{"\\u0000":"\\ud83d"}}',
        b'{"model":"m","model":3}',
        b'{"model":3,"model":"m","input":"x","input":"y","stream":false,"stream":true}',
        b'{"model":"m","temperature":NaN}',
        b'{"model":"m","temperature":Infinity}',
        b'{"model":"m","temperature":1e999}',
        b'{"model":"m","max_output_tokens":' + b"9" * 6000 + b"}",
        b'{"model":"m","top_p":-0.0,"max_output_tokens":16.0,"x":1E400}',
        b'{"model":"m","input":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"model":"m","x":' + b'{"a":' * 100 + b"1" + b"}" * 100 + b"}",
        b"[" * 100_000,
        b'{"a":' * 30_000,
        b'{"model":"m","input":"' + b"x" * 200_000 + b'"}',
        b'{"model":"m","input":[' + b'{"role":"user","content":"x"},' * 40 + b'{"role":"user","content":"x"}]}',
        b'{"model":"m","metadata":{"a":1}}',
        b'{"model":"m","previous_response_id":"\\u0000","stream":true}',
        b'{"model":"m","conversation":"\\ud800"}',
        b'{"model":"m","input":[{"type":"item_reference","id":"\\ud800"}]}',
        b'{"model":"m","response_id":"\\ud800"}',
        b'{"model":"m","agent_session_id":"a\\r\\nset-cookie: b"}',
        b'{"model":"m","agent_session_id":"\\u2603\\u0000"}',
    ]
)


@st.composite
def broken_json(draw: Callable[[st.SearchStrategy[Any]], Any]) -> bytes:
    """A request that ends too early, or has some bytes of its own."""
    whole = json.dumps(RICH).encode()
    at = draw(st.integers(0, len(whole)))
    own: bytes = draw(st.sampled_from([b"", b"\0", b"\xff", b"}", b'"', b","]))
    rest: bytes = draw(st.sampled_from([b"", whole[at:], whole[at + 1 :]]))
    return whole[:at] + own + rest


@BACKENDS
@FUZZED
@given(bodies=st.lists(RAW | broken_json() | st.binary(max_size=40), min_size=1, max_size=6))
def test_bytes_that_are_no_request(backend: str, bodies: list[bytes]) -> None:
    survive(backend, *map(post, bodies))


NAMES: Final = st.sampled_from(
    [
        *["idempotency-key", "x-agent-response-id", "x-agent-user-isolation-key", "x-agent-chat-isolation-key"],
        *["x-agent-user-id", "x-agent-foundry-call-id", "x-client-a", "x-request-id", "traceparent", "tracestate"],
        *["baggage", "content-length", "content-type", "user-agent", "accept", "authorization", "openai-beta", ""],
    ]
)
HEADERS: Final = st.lists(
    st.tuples(NAMES, TEXT | st.sampled_from(["x" * 300, "00-0-0-00", "application/pdf"])), max_size=4
)
QUERIES: Final = st.lists(
    st.tuples(
        st.sampled_from(["stream", "starting_after", "limit", "order", "after", "before", "include", "a[]", ""]), TEXT
    ).map("=".join)
    | TEXT,
    max_size=4,
).map("&".join)
METHODS: Final = st.sampled_from(["GET", "POST", "DELETE"]) | st.sampled_from(
    ["HEAD", "OPTIONS", "PUT", "PATCH", "TRACE", "get", "", "\0"]
)
IDS: Final = st.integers(0, 1) | st.sampled_from([NOBODY, "resp_1"]) | TEXT
"""The id of a response; a number is that of a witness."""

PATHS: Final = (
    st.just(["v1", "responses"])
    | st.tuples(st.just("responses"), IDS).map(list)
    | st.tuples(st.just("v1"), st.just("responses"), IDS).map(list)
    | st.tuples(st.just("responses"), IDS, st.sampled_from(["cancel", "input_items", "compact", "", "x"])).map(list)
    | st.lists(TEXT | st.sampled_from(["v1", "responses", "models", "readiness", "..", "{response_id}"]), max_size=5)
)


@st.composite
def anything(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Callable[[Witnesses], HttpRequest]:
    """A request to anywhere, by anybody but the owner of the witnesses."""
    method, path, query, headers = draw(METHODS), draw(PATHS), draw(QUERIES), draw(HEADERS)
    body = draw(RAW | st.just(b'{"model":"m","input":"Hi"}') | st.just(b'{"model":"m","background":true}'))

    def make(witnesses: Witnesses) -> HttpRequest:
        segments = [witnesses.ids[one] if isinstance(one, int) else one for one in path]
        return HttpRequest(method, "/" + "/".join(segments), query, tuple(headers), body)

    return make


@BACKENDS
@FUZZED
@given(requests=st.lists(anything(), min_size=1, max_size=8))
def test_anything_anywhere(backend: str, requests: list[Callable[[Witnesses], HttpRequest]]) -> None:
    """Decisions 17 to 24: paths, methods, queries and headers; somebody else's ids are ids that there are not."""
    survive(backend, *requests)


@pytest.mark.slow
@BACKENDS
@settings(FUZZED, max_examples=300)
@given(
    requests=st.lists(
        (requests_of_the_schema(loose=True) | with_junk() | RAW | broken_json()).map(post) | anything(),
        min_size=1,
        max_size=8,
    )
)
def test_all_of_it_at_length(backend: str, requests: list[HttpRequest | Callable[[Witnesses], HttpRequest]]) -> None:
    survive(backend, *requests)


@FUZZED
@given(bodies=st.lists(wire_json(CompactResponse, loose=True) | wire_json(CompactResponse), min_size=1, max_size=6))
def test_compaction_without_a_handler(bodies: list[dict[str, Any]]) -> None:
    """W23: 501, whatever is asked."""
    answers = survive("asyncio", *(post(body, "/v1/responses/compact") for body in bodies))
    assert {answer.status for answer in answers} == {501}


@FUZZED
@given(first=st.sampled_from(["json", "stream", "background"]), body=st.binary(max_size=20) | RAW)
def test_an_idempotency_key_outlives_what_is_refused(first: str, body: bytes) -> None:
    """Decision 22: a request that was refused holds no key."""
    good = {"model": "m", "input": "Hi", **({} if first == "json" else {first: True})}
    key = {"idempotency-key": "k"}
    answers = survive("asyncio", post(body, **key), post(good, **key), post(good, **key))
    assert answers[0].status in (200, 400, 404, 413)
    if answers[0].status != 200:
        assert [answer.status for answer in answers[1:]] == [200, 200]
