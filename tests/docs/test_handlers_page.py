"""The handlers of docs/handlers.md, as they stand there: each is asked in some modes, and does what the page says."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from responses_stream import MemoryStore, ResponsesServer, check_handler, validate_events
from responses_stream.checking.report import CheckReport
from tests.hosting.asking import Answer, ask

from .pages import run

PAGE = "handlers.md"
HANDLERS = ("answer", "tokens", "items", "events", "blocking", "with_history", "careful", "overloaded", "short")


def asked(name: str, **body: object) -> tuple[dict[str, Any], Answer]:
    """Ask a handler for JSON and for a stream, which is judged."""
    server = ResponsesServer(store=MemoryStore())
    server.response_handler(run(PAGE)[name])

    async def both() -> tuple[dict[str, Any], Answer]:
        async with server.lifespan():
            return (await ask(server, body)).json, await ask(server, {**body, "stream": True})

    whole, streamed = anyio.run(both)
    report = validate_events(streamed.body, profile="strict")
    assert not report.violations, report
    return whole, streamed


def text_of(response: dict[str, Any]) -> str:
    return "".join(part["text"] for item in response["output"] for part in item.get("content") or ())


@pytest.mark.parametrize("name", HANDLERS)
def test_each_is_a_good_handler(name: str) -> None:
    report: CheckReport = check_handler(run(PAGE)[name], inputs=["items"], modes=["json", "cancelled"])
    assert report.ok, str(report)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("answer", "Hello"),
        ("tokens", "You asked: Hi"),
        ("items", "You asked: Hi"),
        ("events", "You asked: Where is it?"),
        ("blocking", "One after the other."),
        ("with_history", "1 items, said by user."),
        ("careful", "I have looked.I have thought.I have answered."),
        ("overloaded", "Here you are."),
        ("choosy", "A good question."),
    ],
)
def test_what_they_say(name: str, text: str) -> None:
    whole, streamed = asked(name, input="Hi")
    assert (whole["status"], text_of(whole)) == ("completed", text)
    assert text_of(streamed.events[-1]["response"]) == text


def test_a_failure_that_is_told() -> None:
    whole, streamed = asked("overloaded", input="now!")
    assert whole["error"] == {
        "code": "rate_limit_exceeded",
        "message": "The model is busy. Try again in a minute.",
    }
    assert streamed.types[-1] == "response.failed"


def test_an_answer_that_is_cut_short() -> None:
    whole, streamed = asked("short", input="Hi", max_output_tokens=16)
    assert (whole["status"], whole["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert text_of(whole) == "again " * 16
    assert whole["usage"]["output_tokens"] == 16
    assert streamed.types[-1] == "response.incomplete"
    whole, _ = asked("short", input="Hi")
    assert (whole["status"], text_of(whole)) == ("completed", "again " * 20)


def test_a_request_that_is_refused() -> None:
    whole, streamed = asked("choosy", input="")
    assert (whole["error"]["code"], whole["error"]["param"]) == ("no_question", "input")
    assert streamed.types == ["error"]


def test_an_agent_counts_its_turns_and_fails_aloud() -> None:
    whole, streamed = asked("agent", input="Hi")
    assert [item["type"] for item in whole["output"]] == ["reasoning", "message"]
    assert whole["output"][1]["content"][0]["text"] == "This is turn 1."
    assert streamed.types[-1] == "response.completed"
    whole, _ = asked("agent", input=[])
    assert whole["error"] == {"code": "no_question", "message": "Ask something."}


def test_the_test_of_the_page_passes() -> None:
    run(PAGE)["test_the_handler"]()
