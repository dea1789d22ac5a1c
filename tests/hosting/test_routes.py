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


A_RESPONSE = "resp_" + "0" * 50
ROUTES = {
    "/responses": "OPTIONS, POST",
    "/responses/compact": "OPTIONS, POST",
    f"/responses/{A_RESPONSE}": "DELETE, GET, HEAD, OPTIONS",
    f"/responses/{A_RESPONSE}/cancel": "OPTIONS, POST",
    f"/responses/{A_RESPONSE}/input_items": "GET, HEAD, OPTIONS",
    "/models": "GET, HEAD, OPTIONS",
}
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "BREW"]


@pytest.mark.parametrize("base", ["", "/v1"])
@pytest.mark.parametrize("path", ROUTES)
async def test_every_path_knows_its_methods_and_no_other(path: str, base: str) -> None:
    """H1.1, H1.5, decision 17 and H20.19: a complete `Allow`, also for `OPTIONS`, with or without a slash behind."""
    server = served()
    allow = ROUTES[path]
    for slash in ("", "/"):
        answer = await ask(server, method="OPTIONS", path=f"{base}{path}{slash}")
        assert (answer.status, answer.headers["allow"], answer.body) == (204, allow, b"")
        for method in METHODS:
            answer = await ask(server, {}, method=method, path=f"{base}{path}{slash}")
            assert (answer.status == 405) is (method not in allow.split(", ")), method
            if answer.status == 405:
                assert answer.headers["allow"] == allow
                assert answer.headers["x-platform-error-source"] == "user"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/v1/responses/{A_RESPONSE}"),
        ("HEAD", f"/v1/responses/{A_RESPONSE}"),
        ("DELETE", f"/v1/responses/{A_RESPONSE}"),
        ("POST", f"/v1/responses/{A_RESPONSE}/cancel"),
        ("GET", f"/v1/responses/{A_RESPONSE}/input_items"),
    ],
)
async def test_a_response_that_is_not_there(method: str, path: str) -> None:
    """H5.2, H6.3, H7.9, H4.15: one body for all; a malformed id is a 400 instead (H8.20)."""
    answer = await ask(served(), method=method, path=path, headers={"x-request-id": "mine"})
    assert answer.status == 404
    if method == "HEAD":
        assert answer.body == b""
    else:
        assert answer.error == {
            "code": "invalid_request_error",
            "message": f"Response with id '{A_RESPONSE}' not found.",
            "param": "response_id",
            "type": "invalid_request_error",
            "additionalInfo": {"request_id": "mine"},
        }
    for malformed in ("nothing", "resp_short", "other_" + "0" * 50, "resp_" + "-" * 50, "ä"):
        answer = await ask(served(), method=method, path=path.replace(A_RESPONSE, malformed))
        assert answer.status == 400
        if method != "HEAD":
            assert (answer.error["code"], answer.error["message"]) == ("invalid_parameters", "Malformed identifier.")
            assert answer.error["param"] == f"responseId{{{malformed}}}"


async def test_every_endpoint_answers_at_every_place() -> None:
    """H1.1 and decision 17: one response, reached at the root and under /v1."""
    server = served()
    for base, other in (("", "/v1"), ("/v1", "")):
        made = (await ask(server, {"background": True, "input": "hi"}, path=f"{base}/responses")).json["id"]
        path = f"{other}/responses/{made}"
        assert (await ask(server, method="GET", path=path)).json["id"] == made
        assert (await ask(server, method="GET", path=f"{path}/input_items")).json["object"] == "list"
        assert (await ask(server, path=f"{path}/cancel")).status == 400
        assert (await ask(server, method="DELETE", path=path)).json == {
            "id": made,
            "object": "response",
            "deleted": True,
        }


async def test_a_prefix_moves_every_route() -> None:
    """H1.2."""
    server = served(prefix="/api")
    for path, allow in ROUTES.items():
        assert (await ask(server, method="OPTIONS", path=f"/api{path}")).headers["allow"] == allow
        for elsewhere in (path, f"/v1{path}", f"/api/v1{path}", f"/api/api{path}"):
            assert (await ask(server, method="OPTIONS", path=elsewhere)).status == 404


@pytest.mark.parametrize("stream", ["true", "false"])
async def test_head_of_a_response_is_get_without_a_body(stream: str) -> None:
    """H1.4, H20.35: also of a replay, whose run is not disturbed."""
    server = served()
    made = (await ask(server, {"background": True, "stream": True})).events[0]["response"]["id"]
    query = f"stream={stream}"
    get = await ask(server, method="GET", path=f"/v1/responses/{made}", query=query)
    head = await ask(server, method="HEAD", path=f"/v1/responses/{made}", query=query)
    ids = ("x-request-id",)
    assert (head.status, head.body) == (get.status, b"")
    assert {key: value for key, value in head.headers.items() if key not in ids} == {
        key: value for key, value in get.headers.items() if key not in ids
    }


@pytest.mark.parametrize(
    ("query", "streams"),
    [
        ("", False),
        ("stream=true", True),
        ("stream=TRUE", True),
        ("stream=1", True),
        ("stream=yes", True),
        ("stream=false", False),
        ("stream=0", False),
        ("stream=no", False),
        ("stream=", False),
        ("stream=false&stream=true", True),
        ("include=all", False),
    ],
)
async def test_only_the_query_decides_between_json_and_a_stream(query: str, streams: bool) -> None:
    """H1.3 and decision 23; the header `accept` says nothing here, and other parameters are ignored (H5.4)."""
    server = served()
    made = (await ask(server, {"background": True, "stream": True})).events[0]["response"]["id"]
    for accept in ("application/json", "text/event-stream"):
        answer = await ask(server, method="GET", path=f"/v1/responses/{made}", query=query, headers={"accept": accept})
        assert (answer.status, answer.headers["content-type"].startswith("text/event-stream")) == (200, streams)


@pytest.mark.parametrize("query", ["stream=maybe", "stream=2", "stream=true%20false"])
async def test_a_stream_that_is_neither_is_refused(query: str) -> None:
    """Decision 23."""
    answer = await ask(served(), method="GET", path=f"/v1/responses/{A_RESPONSE}", query=query)
    assert (answer.status, answer.error["param"]) == (400, "stream")


async def test_the_models_are_those_of_the_options() -> None:
    """Decision 17: the default first, each once."""
    server = ResponsesServer(options=ResponsesServerOptions(default_model="b", models=("a", "b", "c")))
    assert [model["id"] for model in (await ask(server, method="GET", path="/models")).json["data"]] == ["b", "a", "c"]


async def test_readiness_needs_no_handler() -> None:
    """H1.1: health is that of the host."""
    answer = await ask(ResponsesServer(), method="GET", path="/readiness")
    assert (answer.status, answer.json) == (200, {"status": "healthy"})


async def test_a_body_may_be_of_any_content_type() -> None:
    """H1.9; and the last handler that was registered counts (H1.15)."""
    server = served()
    for kind in ("text/plain", "application/json; charset=utf-8", ""):
        assert (await ask(server, {"input": "x"}, headers={"content-type": kind})).status == 200
