"""Paths and methods, and the answers to those that are not there."""

from __future__ import annotations

import pytest

from responses_stream import CreateResponse, ResponseContext, ResponsesServer, ResponsesServerOptions, TextResponse

from .asking import ask

pytestmark = pytest.mark.anyio


def served(**options: str) -> ResponsesServer:
    server = ResponsesServer(options=ResponsesServerOptions(**options))  # type: ignore[arg-type]

    @server.response_handler
    async def answer(request: CreateResponse, context: ResponseContext) -> TextResponse:
        return TextResponse(context, request, text="ok")

    return server


@pytest.mark.parametrize("path", ["/responses", "/v1/responses", "/responses/", "/v1/responses/"])
async def test_responses_are_made_at_the_root_and_under_v1(path: str) -> None:
    assert (await ask(served(), {}, path=path)).status == 200


@pytest.mark.parametrize("prefix", ["/api/v2", "api/v2", " /api/v2/ "])
async def test_a_prefix_moves_the_routes_and_not_the_readiness(prefix: str) -> None:
    server = served(prefix=prefix)
    assert (await ask(server, {}, path="/api/v2/responses")).status == 200
    assert (await ask(server, {}, path="/v1/responses")).status == 404
    assert (await ask(server, {}, path="/responses")).status == 404
    assert (await ask(server, method="GET", path="/api/v2/models")).status == 200
    assert (await ask(server, method="GET", path="/readiness")).json == {"status": "healthy"}
    assert (await ask(server, method="GET", path="/api/v2/readiness")).status == 404


async def test_an_empty_prefix_is_none() -> None:
    assert (await ask(served(prefix=" / "), {}, path="/v1/responses")).status == 200


async def test_the_models_are_the_configured_ones() -> None:
    answer = await ask(served(), method="GET", path="/v1/models")
    assert answer.json == {"object": "list", "data": []}
    answer = await ask(served(default_model="tutor"), method="GET", path="/v1/models")
    [model] = answer.json["data"]
    assert (model["id"], model["object"]) == ("tutor", "model")


@pytest.mark.parametrize("path", ["/", "", "/v1", "/v1/nothing", "/v2/responses", "/responses/x/y", "*"])
async def test_an_unknown_path_is_a_404_in_the_envelope(path: str) -> None:
    answer = await ask(served(), {}, path=path, headers={"x-request-id": "mine"})
    assert answer.status == 404
    assert answer.error == {
        "code": "not_found",
        "message": "There is nothing at this path.",
        "param": None,
        "type": "invalid_request_error",
        "additionalInfo": {"request_id": "mine"},
    }
    assert answer.headers["x-request-id"] == "mine"
    assert answer.headers["x-platform-error-source"] == "user"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/responses", "OPTIONS, POST"),
        ("HEAD", "/v1/responses", "OPTIONS, POST"),
        ("DELETE", "/v1/responses/", "OPTIONS, POST"),
        ("POST", "/v1/models", "GET, HEAD, OPTIONS"),
        ("PUT", "/readiness", "GET, HEAD, OPTIONS"),
        ("BREW", "/readiness", "GET, HEAD, OPTIONS"),
    ],
)
async def test_an_unknown_method_is_a_405_that_says_what_is_allowed(method: str, path: str, allow: str) -> None:
    answer = await ask(served(), method=method, path=path)
    assert answer.status == 405
    assert answer.headers["allow"] == allow
    assert answer.headers["content-type"] == "application/json"
    if method == "HEAD":
        assert answer.body == b""
        assert int(answer.headers["content-length"]) > 0
    else:
        assert answer.error["code"] == "method_not_allowed"


@pytest.mark.parametrize(("path", "allow"), [("/v1/responses", "OPTIONS, POST"), ("/readiness", "GET, HEAD, OPTIONS")])
async def test_options_tells_what_is_allowed(path: str, allow: str) -> None:
    answer = await ask(served(), method="OPTIONS", path=path)
    assert (answer.status, answer.body, answer.headers["allow"]) == (204, b"", allow)
    assert "x-request-id" in answer.headers


async def test_head_is_get_without_a_body() -> None:
    get = await ask(served(), method="GET", path="/readiness")
    head = await ask(served(), method="HEAD", path="/readiness")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"] == str(len(get.body))
