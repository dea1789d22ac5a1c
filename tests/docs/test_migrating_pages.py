"""What docs/migrating-*.md show: the route before, which is broken, and each step behind it, which is not."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from fastapi.testclient import TestClient

import responses_stream
from responses_stream import ResponseContext, ResponsesServerOptions, accumulate, validate_events
from responses_stream.builders.stream import ResponseEventStream
from responses_stream.sse import decode_events
from tests.hosting.asking import ask

from .pages import DOCS, run

BY_HAND = "migrating-from-hand-written-sse.md"
FROM_AZURE = "migrating-from-azure.md"
ASKED = {"model": "m", "input": "Hi", "stream": True}


def test_the_route_by_hand_is_broken() -> None:
    with pytest.raises(AssertionError, match=r"R\d\d\d"):
        run(BY_HAND)["check"](run(BY_HAND)["old"])


@pytest.mark.parametrize("app", ["new", "served"])
def test_each_step_behind_it_is_not(app: str) -> None:
    report = run(BY_HAND)["check"](run(BY_HAND)[app])
    assert not report.violations, report
    with TestClient(run(BY_HAND)[app]) as client:
        streamed = client.post("/v1/responses", json=ASKED)
        assert accumulate(streamed.content).output_text == "Hello!"
        whole = client.post("/v1/responses", json={**ASKED, "stream": False}).json()
        assert whole["output"][0]["content"][0]["text"] == "Hello!"
        assert client.post("/v1/responses", json={"input": 3}).status_code == 400


def test_a_failure_in_the_middle_ends_in_order(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def model(_: str) -> AsyncIterator[str]:
        yield "Hel"
        raise ConnectionError("the model has gone")

    monkeypatch.setitem(run(BY_HAND)["answer"].__globals__, "model", model)
    with TestClient(run(BY_HAND)["new"]) as client:
        streamed = client.post("/v1/responses", json=ASKED)
    assert validate_events(streamed.content, profile="strict").ok
    assert [event.type for event in decode_events(streamed.content)][-2:] == ["error", "response.failed"]
    assert "the model has gone" not in streamed.text
    assert "the model has gone" in caplog.text


def test_the_handler_of_the_azure_page_says_what_it_says() -> None:
    server = run(FROM_AZURE)["app"]

    async def both() -> tuple[Any, Any]:
        async with server.lifespan():
            return await ask(server, {"input": "Hi"}), await ask(server, {"input": "Hi", "stream": True})

    whole, streamed = anyio.run(both)
    assert [item["type"] for item in whole.json["output"]] == ["reasoning", "message"]
    assert (whole.json["model"], whole.json["usage"]["total_tokens"]) == ("tutor", 5)
    report = validate_events(streamed.body, profile="strict")
    assert not report.violations, report


def test_the_names_of_the_azure_page_are_there() -> None:
    page = (DOCS / FROM_AZURE).read_text()
    stream = ResponseEventStream("resp_1")
    for short in re.findall(r"`\.\.\.(_\w+)`", page):
        assert hasattr(stream, f"output_item{short}"), short
    for name in ("get_conversation_id", "get_input_expanded", "to_output_item", "to_item", "get_tool_choice_expanded"):
        assert name in page
        assert hasattr(responses_stream, name)
    context = {"isolation", "platform_context", "client_headers", "query_parameters", "mode_flags", "shutdown"}
    for name in {*context, "client_cancelled", "is_shutdown_requested", "created_at"}:
        assert f"`{name}`" in page or f"`context.{name}`" in page
        assert name in {*dir(ResponseContext), *ResponseContext.__init__.__annotations__}, name
    options = "default_model default_fetch_history_count sse_keep_alive_interval_seconds shutdown_grace_period_seconds"
    for name in [*options.split(), "additional_server_version", "sse_done_marker", "on_failure", "id_prefix", "host"]:
        assert name in page
        assert hasattr(ResponsesServerOptions(), name)
