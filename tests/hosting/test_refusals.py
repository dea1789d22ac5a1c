"""Requests that are refused, each with a status, a code, and the member that is at fault."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from responses_stream import (
    CreateResponse,
    HttpRequest,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
    TextResponse,
)

from .asking import answer_of, ask

pytestmark = pytest.mark.anyio


@pytest.fixture
def server() -> ResponsesServer:
    return served(ResponsesServerOptions(max_body_bytes=10_000))


def served(options: ResponsesServerOptions) -> ResponsesServer:
    server = ResponsesServer(options=options)

    @server.response_handler
    async def answer(request: CreateResponse, context: ResponseContext) -> TextResponse:
        return TextResponse(context, request, text="ok")

    return server


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b"", "invalid_request_error", "request body is not JSON"),
        (b"{", "invalid_request_error", "request body is not JSON"),
        (b'{"input": "\xff"}', "invalid_request_error", "request body is not JSON"),
        (b"[" * 9000, "invalid_request_error", "request body is not"),
        (b"[]", "invalid_request", "request body must be a JSON object"),
        (b'"text"', "invalid_request", "request body must be a JSON object"),
        (b"null", "invalid_request", "request body must be a JSON object"),
        (b'{"a":' + b"[" * 64 + b"]" * 64 + b"}", "invalid_request", "nested deeper than 64 levels"),
    ],
)
async def test_a_body_has_to_be_a_json_object(server: ResponsesServer, body: bytes, code: str, message: str) -> None:
    answer = await ask(server, body)
    assert answer.status == 400
    assert answer.error["code"] == code
    assert message in answer.error["message"]
    assert (answer.error["param"], answer.error["type"]) == (None, "invalid_request_error")
    assert answer.headers["x-platform-error-source"] == "user"


async def test_the_deepest_body_that_is_allowed(server: ResponsesServer) -> None:
    assert (await ask(server, b'{"a":' + b"[" * 63 + b"]" * 63 + b"}")).status == 200
    shallow = served(ResponsesServerOptions(max_json_depth=1))
    assert (await ask(shallow, {"input": "x"})).status == 200
    assert (await ask(shallow, {"input": []})).status == 400


async def test_every_problem_is_told_with_its_path(server: ResponsesServer) -> None:
    answer = await ask(
        server, {"input": [{"role": "user", "content": 3}], "temperature": "hot", "metadata": {"a": 1}, "stream": "yes"}
    )
    assert answer.status == 400
    assert (answer.error["code"], answer.error["param"]) == ("invalid_request", None)
    assert answer.error["message"] == "request body failed schema validation"
    details = answer.error["details"]
    assert {detail["param"] for detail in details} >= {"$.temperature", "$.metadata.a", "$.stream"}
    assert any(detail["param"].startswith("$.input[0]") for detail in details)
    assert all(detail["code"] == "invalid_value" for detail in details)
    assert all(detail["type"] == "invalid_request_error" and detail["message"] for detail in details)


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({"background": True, "store": False}, 400, "unsupported_parameter", "background"),
        ({"stream_options": {}}, 400, "invalid_mode", "stream"),
        ({"stream_options": {"include_obfuscation": False}, "stream": False}, 400, "invalid_mode", "stream"),
        ({"metadata": {str(at): "" for at in range(17)}}, 400, "invalid_request", "metadata"),
        ({"metadata": {"k" * 65: ""}}, 400, "invalid_request", "metadata"),
        ({"metadata": {"k": "v" * 513}}, 400, "invalid_request", "metadata"),
        ({"temperature": 2.1}, 400, "invalid_request", "temperature"),
        ({"temperature": -1}, 400, "invalid_request", "temperature"),
        ({"top_p": 1.5}, 400, "invalid_request", "top_p"),
        ({"top_logprobs": 21}, 400, "invalid_request", "top_logprobs"),
        ({"max_output_tokens": 15}, 400, "invalid_request", "max_output_tokens"),
        ({"max_tool_calls": 0}, 400, "invalid_request", "max_tool_calls"),
        ({"previous_response_id": "resp_1"}, 404, "previous_response_not_found", "previous_response_id"),
        ({"previous_response_id": "resp_1", "conversation": "c"}, 400, "invalid_request", "conversation"),
        ({"response_id": ""}, 400, "invalid_request", "response_id"),
        ({"response_id": "resp_short"}, 400, "invalid_request", "response_id"),
        ({"response_id": "other_" + "a" * 50}, 400, "invalid_request", "response_id"),
        ({"response_id": "resp_" + "-" * 50}, 400, "invalid_request", "response_id"),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_what_cannot_be_is_refused_before_the_handler(
    server: ResponsesServer, body: dict[str, Any], status: int, code: str, param: str, stream: bool
) -> None:
    if stream and "stream_options" not in body:
        body = {**body, "stream": True}
    answer = await ask(server, body, headers={"x-request-id": "mine"})
    assert answer.status == status
    assert (answer.error["code"], answer.error["param"]) == (code, param)
    assert answer.error["type"] == "invalid_request_error"
    assert answer.error["additionalInfo"] == {"request_id": "mine"}
    assert answer.headers["x-request-id"] == "mine"
    assert answer.headers["x-platform-error-source"] == "user"


async def test_the_limits_themselves_are_allowed(server: ResponsesServer) -> None:
    metadata = {"k" * 63 + chr(97 + at): "v" * 100 for at in range(15)} | {"last": "v" * 512}
    body = {"metadata": metadata, "temperature": 2, "top_p": 0, "top_logprobs": 20, "max_output_tokens": 16}
    assert (await ask(server, body)).json["metadata"] == metadata


async def test_null_counts_as_absent() -> None:
    server = served(ResponsesServerOptions(agent_session_id="one"))
    names = [name for name in CreateResponse.__struct_fields__ if name != "extra"]
    answer = await ask(server, dict.fromkeys(names))
    assert answer.status == 200
    absent = (await ask(server, {})).json
    for name in names:
        assert name == "response_id" or answer.json.get(name) == absent.get(name), name
    assert (await ask(server, {"previous_response_id": ""})).status == 200


@pytest.mark.parametrize(
    ("asked", "default", "model"),
    [(None, None, ""), ("", None, ""), (" ", "d", "d"), (None, " d ", "d"), (" m ", "d", "m")],
)
async def test_the_model_is_trimmed_and_has_a_default(asked: str | None, default: str | None, model: str) -> None:
    server = served(ResponsesServerOptions(default_model=default))
    assert (await ask(server, {"model": asked})).json["model"] == model


async def test_the_content_type_does_not_matter(server: ResponsesServer) -> None:
    assert (await ask(server, {}, headers={"content-type": "text/plain"})).status == 200


async def body_of(pieces: list[bytes], taken: list[bytes]) -> AsyncGenerator[bytes, None]:
    for piece in pieces:
        taken.append(piece)
        yield piece


async def test_a_body_may_come_in_pieces(server: ResponsesServer) -> None:
    body = body_of([b'{"input"', b': "x"}'], [])
    assert (await answer_of(await server.handle(HttpRequest("POST", "/v1/responses", body=body)))).status == 200


@pytest.mark.parametrize("whole", [True, False])
async def test_a_body_that_is_too_large_is_a_413(server: ResponsesServer, whole: bool) -> None:
    pieces = [b"x" * 4000] * 5
    taken: list[bytes] = []
    async with aclosing(body_of(pieces, taken)) as in_pieces:
        body = b"".join(pieces) if whole else in_pieces
        answer = await answer_of(await server.handle(HttpRequest("POST", "/v1/responses", body=body)))
    assert (answer.status, answer.error["code"]) == (413, "request_too_large")
    assert answer.error["type"] == "invalid_request_error"
    assert whole or len(taken) == 3


async def test_a_body_that_says_it_is_too_large_is_not_read(server: ResponsesServer) -> None:
    taken: list[bytes] = []
    for length in ("10001", "9" * 5000):
        request = HttpRequest("POST", "/v1/responses", "", (("content-length", length),), body_of([b"x"], taken))
        assert (await server.handle(request)).status == 413
    assert taken == []


class Broken(Exception):
    """What a transport raises while its client sends."""


async def test_what_the_transport_raises_is_the_transports_again(server: ResponsesServer) -> None:
    async def break_off() -> AsyncIterator[bytes]:
        yield b"{"
        raise Broken

    with pytest.raises(Broken):
        await server.handle(HttpRequest("POST", "/v1/responses", body=break_off()))


async def test_a_fault_of_the_server_is_a_500_that_says_nothing(
    server: ResponsesServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the secret")

    monkeypatch.setattr("responses_stream.hosting.creating.parse_create", fail)
    answer = await ask(server, {})
    assert (answer.status, answer.error["code"]) == (500, "server_error")
    assert answer.headers["x-platform-error-source"] == "platform"
    assert b"secret" not in answer.body
    assert "the secret" in caplog.text


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({"x-request-id": "mine"}, "mine"),
        ({"x-request-id": "mine", "traceparent": f"00-{'a1' * 16}-{'b2' * 8}-01"}, "a1" * 16),
        ({"x-request-id": "mine", "traceparent": f"00-{'0' * 32}-{'b2' * 8}-01"}, "mine"),
        ({"x-request-id": "mine", "traceparent": "nonsense"}, "mine"),
        ({"x-request-id": "two words"}, None),
        ({"x-request-id": "x" * 129}, None),
        ({}, None),
    ],
)
async def test_every_answer_has_a_request_id(
    server: ResponsesServer, headers: dict[str, str], wanted: str | None
) -> None:
    for body in ({}, {"stream": True}, {"background": True}):
        given = (await ask(server, body, headers=headers)).headers["x-request-id"]
        assert given == wanted if wanted else len(given) == 32


async def test_errors_are_json_even_for_who_wanted_a_stream(server: ResponsesServer) -> None:
    answer = await ask(server, {"stream": True, "input": 3}, headers={"accept": "text/event-stream"})
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.body)["error"]["details"]
