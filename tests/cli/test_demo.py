"""``responses-stream demo``: it ends by itself, and its verdict is true."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from responses_stream.cli import demo, main
from responses_stream.cli.demo import comparable, gist

ROOT = Path(__file__).resolve().parents[2]


def test_it_shows_every_event_the_answers_and_the_verdict(tmp_path: Path) -> None:
    # A proxy that nobody listens at, and another directory, as they may be on any machine.
    environment = {**os.environ, "HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""}
    shown = subprocess.run(
        [sys.executable, "-m", "responses_stream", "demo"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert (shown.returncode, shown.stderr) == (0, "")
    lines = shown.stdout.splitlines()
    events = [line.split() for line in lines if line.startswith("   ")]
    assert [int(event[0]) for event in events] == list(range(len(events)))
    assert (events[0][1], events[-1][1]) == ("response.created", "response.completed")
    assert sum("Rayleigh scattering." in line for line in lines) >= 2
    assert lines[-1] == "stream, fold and JSON agree"


def test_without_the_client_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    assert main(["demo"]) == 2
    assert "pip install 'responses-stream[test]'" in capsys.readouterr().err


def test_without_the_example_it_says_where_it_should_be(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "__file__", str(tmp_path / "a" / "b" / "demo.py"))
    assert main(["demo"]) == 2
    assert "tutor.py is not here" in capsys.readouterr().err


UNSTEADY = """
import itertools
from responses_stream import ResponsesServer, TextResponse
server = ResponsesServer()
calls = itertools.count()
@server.response_handler
def answer(request, context):
    return TextResponse(context, request, text=f"answer {next(calls)}")
"""


@pytest.mark.parametrize(
    ("program", "status", "message"),
    [
        (UNSTEADY, 1, "stream, fold and JSON do not agree: helper, JSON"),
        ("raise SystemExit(3)", 1, "the server of the demo did not start"),
    ],
)
def test_a_server_that_is_not_right_is_status_1(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    program: str,
    status: int,
    message: str,
) -> None:
    example = tmp_path / demo.EXAMPLE
    example.parent.mkdir(parents=True)
    example.write_text(program)
    monkeypatch.chdir(tmp_path)
    assert main(["demo"]) == status
    out, errors = capfd.readouterr()
    assert message in out + errors


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"delta": "Hel"}, "'Hel'"),
        ({"text": "x" * 100}, "'" + "x" * 72 + "..."),
        ({"arguments": "{}"}, "'{}'"),
        ({"code": "server_error", "message": "no"}, "'no'"),
        ({"response": {"id": "resp_1", "status": "failed"}}, "resp_1 failed"),
        ({"item": {"type": "message", "status": "completed", "content": [{"text": "Hi"}]}}, "message completed 'Hi'"),
        ({"item": {"type": "reasoning", "summary": [{"text": "Hm"}]}}, "reasoning 'Hm'"),
        ({"part": {"type": "refusal"}}, "refusal"),
        ({"annotation": {"type": "url_citation", "url": "https://x"}}, "url_citation https://x"),
        ({"steer": 3}, ""),
    ],
)
def test_the_gist_of_an_event(event: dict[str, Any], said: str) -> None:
    assert gist(event) == said


def test_what_differs_from_one_response_to_the_next_is_not_compared() -> None:
    one = {"id": "resp_1", "created_at": 1, "output": [{"id": "msg_1", "call_id": "c", "content": [{"parsed": None}]}]}
    two = {"id": "resp_2", "completed_at": 2, "output": [{"id": "msg_2", "content": [{}]}]}
    assert comparable(one) == comparable(two) == {"output": [{"content": [{}]}]}
