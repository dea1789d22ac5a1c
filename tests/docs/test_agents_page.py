"""The route of docs/agents.md, as it stands there."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from responses_stream import accumulate, validate_events

from .pages import run


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(run("agents.md")["app"])


def test_the_route_streams(client: TestClient) -> None:
    body = {"model": "m", "input": "Hi", "stream": True}
    answer = client.post("/v1/responses", json=body)
    report = validate_events(answer.content, profile="strict", request=body)
    assert not report.violations, report
    assert accumulate(answer.content).output_text == "You said: Hi"


def test_the_route_answers_with_one_object(client: TestClient) -> None:
    response: dict[str, Any] = client.post("/v1/responses", json={"input": "Hi"}).json()
    assert (response["status"], response["model"]) == ("completed", "agent")
    assert response["output"][0]["content"][0]["text"] == "You said: Hi"


def test_the_route_refuses_what_it_does_not_understand(client: TestClient) -> None:
    answer = client.post("/v1/responses", json={"input": []})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "input"
