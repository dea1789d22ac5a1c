"""`POST /responses/compact`: the hook, what it is given, and what a client gets (W20 to W23)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import pytest

from responses_stream import (
    CompactResponse,
    CreateResponse,
    InvalidType,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
    TextResponse,
)
from responses_stream.hosting.context import SyncResponseContext
from responses_stream.hosting.errors import HttpError
from responses_stream.protocol.items import ResponseCompactionItem

from .asking import Answer, ask

pytestmark = pytest.mark.anyio

PATH: Final = "/v1/responses/compact"
ITEM: Final = {"type": "compaction", "id": "cmp_1", "encrypted_content": "abc"}
USAGE: Final = {"input_tokens": 10, "output_tokens": 2, "total_tokens": 12}


def compacting(function: Callable[..., Any], **options: Any) -> ResponsesServer:
    server = ResponsesServer(options=ResponsesServerOptions(**options), clock=lambda: 1_800_000_000.5)
    server.compaction_handler(function)

    @server.response_handler
    async def answer(request: CreateResponse, context: ResponseContext) -> TextResponse:
        return TextResponse(context, request, text="answered")

    return server


async def compacted(server: ResponsesServer, body: object = None, **headers: str) -> Answer:
    return await ask(server, {"model": "m"} if body is None else body, path=PATH, headers=headers)


async def returns_dicts(_request: CompactResponse, _context: ResponseContext) -> list[dict[str, Any]]:
    return [ITEM]


async def returns_items(_request: CompactResponse, _context: ResponseContext) -> list[ResponseCompactionItem]:
    return [ResponseCompactionItem(id="cmp_1", encrypted_content="abc")]


def returns_at_once(_request: CompactResponse, _context: SyncResponseContext) -> list[dict[str, Any]]:
    return [ITEM]


def returns_an_awaitable(request: CompactResponse, context: Any) -> Any:
    return returns_dicts(request, context)


def returns_a_generator(_request: CompactResponse, _context: SyncResponseContext) -> Any:
    return (item for item in [ITEM])


class Compactor:
    """An object that compacts."""

    async def __call__(self, _request: CompactResponse, _context: ResponseContext) -> list[dict[str, Any]]:
        return [ITEM]


@pytest.mark.parametrize(
    "handler", [returns_dicts, returns_items, returns_at_once, returns_an_awaitable, returns_a_generator, Compactor()]
)
async def test_every_form_of_handler(handler: Callable[..., Any]) -> None:
    """W21, W23: the server adds what the application did not say."""
    answer = await compacted(compacting(handler), {"model": "m", "input": "hi"})
    assert answer.status == 200
    made = answer.json
    assert made["id"].startswith("cmp_")
    assert (made["object"], made["created_at"]) == ("response.compaction", 1_800_000_000)
    [item] = made["output"]
    assert {key: item[key] for key in ITEM} == ITEM
    assert made["usage"]["total_tokens"] == 0


async def test_a_dict_says_more() -> None:
    """W21: the usage is the application's; its items may be of any kind, and unknown ones are passed on (W33)."""

    async def whole(_request: CompactResponse, _context: ResponseContext) -> dict[str, Any]:
        return {"output": [ITEM, {"type": "acme:note", "x": 1}], "usage": USAGE, "id": "cmp_mine"}

    made = (await compacted(compacting(whole))).json
    assert (made["id"], made["usage"]["total_tokens"]) == ("cmp_mine", 12)
    assert made["output"][1] == {"type": "acme:note", "x": 1}


async def test_what_comes_out_can_go_in() -> None:
    """W21: the compacted window is the input of the next turn."""
    server = compacting(returns_dicts)
    output = (await compacted(server)).json["output"]
    answer = await ask(server, {"input": [*output, {"role": "user", "content": "and now?"}]})
    assert answer.json["status"] == "completed"


async def test_what_a_handler_is_given() -> None:
    """W20: the request, and a context whose lookups work as those of a response handler do."""
    seen: list[Any] = []

    async def look(request: CompactResponse, context: ResponseContext) -> list[dict[str, Any]]:
        seen.append((request, await context.get_input_text(), await context.get_history(), context))
        return [ITEM]

    server = compacting(look)
    first = (await ask(server, {"input": "first"})).json
    body = {
        "model": "m",
        "input": "more",
        "instructions": "short",
        "prompt_cache_key": "k" * 64,
        "previous_response_id": first["id"],
        "acme": 1,
    }
    assert (await compacted(server, body, **{"x-client-name": "me"})).status == 200
    [(request, text, history, context)] = seen
    assert (request.model, request.instructions, request.prompt_cache_key) == ("m", "short", "k" * 64)
    assert text == "more"
    assert [item.content[0].text for item in history] == ["first", "answered"]
    assert context.client_headers == {"x-client-name": "me"}
    assert context.mode_flags.store is False


async def test_a_sync_handler_has_lookups_that_block() -> None:
    seen: list[str] = []

    def look(_request: CompactResponse, context: SyncResponseContext) -> list[dict[str, Any]]:
        seen.append(context.get_input_text())
        return [ITEM]

    assert (await compacted(compacting(look), {"model": "m", "input": "hi"})).status == 200
    assert seen == ["hi"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "invalid_request"),
        ({"input": "x"}, 400, "invalid_request"),
        ({"model": 3}, 400, "invalid_request"),
        ({"model": "m", "input": 3}, 400, "invalid_request"),
        ({"model": "m", "prompt_cache_key": "k" * 65}, 400, "invalid_request"),
        ({"model": "m", "input": [{"role": "user", "content": "x"}] * 3}, 400, "invalid_request"),
        ({"model": "m", "previous_response_id": "resp_" + "0" * 50}, 404, "previous_response_not_found"),
        (b"", 400, "invalid_request_error"),
        (b"[]", 400, "invalid_request"),
    ],
)
async def test_what_cannot_be_is_refused_before_the_handler(body: object, status: int, code: str) -> None:
    """W20, W22."""

    async def never(_request: CompactResponse, _context: ResponseContext) -> list[dict[str, Any]]:
        raise AssertionError

    answer = await compacted(compacting(never, max_input_items=2), body, **{"x-request-id": "mine"})
    assert (answer.status, answer.error["code"], answer.error["type"]) == (status, code, "invalid_request_error")
    assert answer.error["additionalInfo"] == {"request_id": "mine"}
    if body == {}:
        assert [detail["param"] for detail in answer.error["details"]] == ["$.model"]


@pytest.mark.parametrize("nothing", [{"input": None}, {"previous_response_id": None, "instructions": None}])
async def test_null_counts_as_absent(nothing: dict[str, Any]) -> None:
    """W20."""
    assert (await compacted(compacting(returns_dicts), {"model": "m", **nothing})).status == 200


async def test_a_server_that_does_not_compact_says_so() -> None:
    """W22: clearly, and in the envelope."""
    answer = await compacted(ResponsesServer())
    assert (answer.status, answer.error["code"]) == (501, "not_supported")
    assert answer.headers["x-platform-error-source"] == "platform"


async def returns_none(_request: CompactResponse, _context: ResponseContext) -> Any:
    return None


async def returns_text(_request: CompactResponse, _context: ResponseContext) -> Any:
    return "secret"


async def returns_no_output(_request: CompactResponse, _context: ResponseContext) -> Any:
    return {"usage": USAGE}


async def returns_no_items(_request: CompactResponse, _context: ResponseContext) -> Any:
    return ["secret"]


async def returns_later(_request: CompactResponse, _context: ResponseContext) -> AsyncIterator[Any]:
    yield ITEM


async def raises(_request: CompactResponse, _context: ResponseContext) -> Any:
    raise RuntimeError("secret")


@pytest.mark.parametrize(
    "handler", [returns_none, returns_text, returns_no_output, returns_no_items, returns_later, raises]
)
async def test_a_fault_of_the_handler_is_a_500_that_says_nothing(
    handler: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    answer = await compacted(compacting(handler))
    assert (answer.status, answer.error["code"]) == (500, "server_error")
    assert answer.headers["x-platform-error-source"] == "upstream"
    assert b"secret" not in answer.body
    assert f"compaction handler {handler.__qualname__} failed" in caplog.text


async def test_a_handler_may_refuse_with_an_error_of_its_own() -> None:
    async def refuses(_request: CompactResponse, _context: ResponseContext) -> Any:
        raise HttpError(429, "rate_limit_exceeded", "Slow down.", headers=(("retry-after", "3"),))

    answer = await compacted(compacting(refuses))
    assert (answer.status, answer.error["code"], answer.headers["retry-after"]) == (429, "rate_limit_exceeded", "3")


def takes_one(_request: object) -> None: ...
def takes_three(_request: object, _context: object, _more: object) -> None: ...


@pytest.mark.parametrize("function", [takes_one, takes_three, None, "no function"])
def test_what_takes_something_else_is_refused_when_it_is_registered(function: Any) -> None:
    with pytest.raises(InvalidType, match="compaction handler"):
        ResponsesServer().compaction_handler(function)


async def test_a_server_that_is_shutting_down_does_not_compact() -> None:
    """H8.28."""
    server = compacting(returns_dicts)
    assert (await compacted(server)).status == 200
    await server.drain()
    answer = await compacted(server)
    assert (answer.status, answer.error["code"]) == (503, "service_unavailable")
