"""``responses-stream validate URL``: the server that is called is a real one, ours or one that misbehaves as told."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest

from responses_stream.cli import main
from responses_stream.validation.examples import stream_of
from tests.cli.validating import COMMAND, ENVIRONMENT, PATIENCE, lines, sse, validate

ROOT: Final = Path(__file__).resolve().parents[2]
GOOD: Final = sse("V1")
STREAM: Final = {"content-type": "text/event-stream; charset=utf-8"}
JSON: Final = {"content-type": "application/json"}
KEY: Final = "sk-very-secret-0123456789"


class Scripted(BaseHTTPRequestHandler):
    """Answers by the path, and notes what it was asked."""

    asked: list[tuple[str, dict[str, str], Any]]
    over: threading.Event

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["content-length"]))))

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _answer(self, body: Any) -> None:
        self.asked.append((f"{self.command} {self.path}", {k.lower(): v for k, v in self.headers.items()}, body))
        script = getattr(self, self.path.strip("/").partition("?")[0])
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            script()

    def _send(self, status: int, headers: dict[str, str], body: bytes, length: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("content-length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def good(self) -> None:
        self._send(200, STREAM, GOOD)

    def packed(self) -> None:
        self._send(200, {**STREAM, "content-encoding": "gzip"}, gzip.compress(GOOD))

    def replay(self) -> None:
        self._send(200, STREAM, sse("V1: drop 0-4; renumber from 5"))

    def empty(self) -> None:
        self._send(200, STREAM, b"")

    def broken(self) -> None:
        self._send(200, STREAM, GOOD[:1500], length=len(GOOD))

    def silent(self) -> None:
        self._send(200, STREAM, GOOD[:1500])
        self.over.wait()

    def bad(self) -> None:
        self._send(200, STREAM, sse("V1: drop 2")[:1500])
        self.over.wait()

    def dumb(self) -> None:
        self.over.wait()

    def unlabelled(self) -> None:
        self._send(200, {"content-type": "text/plain"}, GOOD)

    def lines(self) -> None:
        self._send(200, {"content-type": "application/x-ndjson"}, lines("V1"))

    def response(self) -> None:
        self._send(200, JSON, json.dumps(stream_of("V1")[-1]["response"]).encode())

    def list(self) -> None:
        self._send(200, JSON, json.dumps(stream_of("V1")).encode())

    def refused(self) -> None:
        said = f'{{"error":{{"message":"Incorrect API key provided: {KEY}"}}}}'
        self._send(401, JSON, said.encode())

    def moved(self) -> None:
        self._send(307, {"location": "https://elsewhere.example/v1/responses"}, b"")

    def damaged(self) -> None:
        self._send(200, {**STREAM, "content-encoding": "gzip"}, gzip.compress(GOOD)[:30] + bytes(100))


@pytest.fixture
def server() -> Iterator[tuple[str, list[tuple[str, dict[str, str], Any]]]]:
    """The address of the scripted server, and what it is asked."""
    asked: list[tuple[str, dict[str, str], Any]] = []
    over = threading.Event()
    script = type("Script", (Scripted,), {"asked": asked, "over": over})
    with ThreadingHTTPServer(("127.0.0.1", 0), script) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", asked
        finally:
            over.set()
            server.shutdown()
            thread.join()


Server = tuple[str, list[tuple[str, dict[str, str], Any]]]


@pytest.fixture(scope="module")
def tutor() -> Iterator[str]:
    """The address of our own server with the handler of the docs."""
    command = [sys.executable, "-m", "responses_stream", "serve", "docs/examples/tutor.py", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = re.search(r"listening on (http://\S+)", process.stderr.readline())
        assert said is not None
        try:
            yield f"{said[1]}/v1/responses"
        finally:
            process.terminate()
            process.communicate(timeout=30)


def body(place: Path, **members: Any) -> Path:
    path = place / "body.json"
    path.write_text(json.dumps({"model": "tutor", "input": "Why is the sky blue?", **members}))
    return path


def test_our_own_server_is_called_and_its_answer_judged(tutor: str, tmp_path: Path) -> None:
    ran = validate(tutor, "--request", body(tmp_path), "--format", "json")
    assert (ran.status, ran.errors) == (0, "")
    assert (ran.json["ok"], ran.json["violations"]) == (True, [])
    assert ran.json["events"] > 10


def test_an_answer_that_is_a_response_is_told_as_such(tutor: str, tmp_path: Path) -> None:
    ran = validate(tutor, "--request", body(tmp_path, stream=False))
    assert ran.status == 2
    assert re.search(r"this is a response \(id \w+, status completed\), not a stream of events", ran.errors)


def test_a_refusal_is_told_with_its_status_and_its_words(tutor: str, tmp_path: Path) -> None:
    ran = validate(tutor, "--request", body(tmp_path, input=3))
    assert ran.status == 2
    assert "it answers with 400 Bad Request: " in ran.errors
    assert "invalid_request_error" in ran.errors


def test_the_body_and_the_headers_are_sent(server: Server, tmp_path: Path) -> None:
    address, asked = server
    headers = ("--header", "X-One: 1", "--header", "x-two:two: three", "--api-key-env", "KEY")
    environment = {**ENVIRONMENT, "KEY": KEY, "OPENAI_API_KEY": "sk-nobody-asked-for-it"}
    given = body(tmp_path, store=False)
    assert validate(f"{address}/good", "--request", given, *headers, environment=environment).status == 0
    assert validate(f"{address}/good", "--request", given, environment=environment).status == 0
    [(line, sent, posted), (_, unauthorized, _)] = asked
    assert (line, posted) == ("POST /good", {**json.loads(given.read_text()), "stream": True})
    assert (sent["x-one"], sent["x-two"], sent["authorization"]) == ("1", "two: three", f"Bearer {KEY}")
    assert (sent["content-type"], sent["accept"].split(",")[0]) == ("application/json", "text/event-stream")
    assert "authorization" not in unauthorized


def test_what_the_body_says_of_stream_is_sent(server: Server, tmp_path: Path) -> None:
    address, asked = server
    for said, sent in ((None, True), (True, True), (False, False)):
        validate(f"{address}/good", "--request", body(tmp_path, stream=said))
        assert asked[-1][2]["stream"] is sent


def test_without_a_body_it_is_a_replay_from_the_cursor_in_the_query(server: Server) -> None:
    address, asked = server
    assert validate(f"{address}/replay?stream=true&starting_after=4").status == 0
    assert validate(f"{address}/empty?stream=true&starting_after=9").status == 0
    assert validate(f"{address}/replay?stream=true").status == 1
    assert [line for line, _, _ in asked] == [
        "GET /replay?stream=true&starting_after=4",
        "GET /empty?stream=true&starting_after=9",
        "GET /replay?stream=true",
    ]


@pytest.mark.parametrize("path", ["good", "packed"])
def test_a_good_answer_is_valid(server: Server, path: str) -> None:
    ran = validate(f"{server[0]}/{path}")
    assert (ran.status, ran.errors) == (0, "")


def test_an_answer_is_judged_while_it_comes(server: Server) -> None:
    address, _ = server
    with subprocess.Popen([*COMMAND, f"{address}/bad"], stdout=subprocess.PIPE, env=ENVIRONMENT) as process:
        assert process.stdout is not None
        # The rest of the answer is not sent before the test is over.
        assert process.stdout.readline().startswith(f"{address}/bad:7: event 2, byte 810: error R082".encode())
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130


@pytest.mark.parametrize("path", ["unlabelled", "lines"])
def test_a_stream_with_another_media_type_is_judged_and_noted(server: Server, path: str) -> None:
    ran = validate(f"{server[0]}/{path}")
    assert ran.status == 0
    assert "clients look for text/event-stream" in ran.errors


def test_a_connection_that_breaks_is_noted_and_what_came_is_judged(server: Server) -> None:
    ran = validate(f"{server[0]}/broken", "--format", "json")
    assert ran.status == 1
    assert [found["rule"] for found in ran.json["violations"]] == ["R029"]
    assert "the connection broke after 1500 bytes" in ran.errors


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("silent", "nothing came for 0.3 seconds, after 1500 bytes; --timeout sets another limit"),
        ("dumb", "no answer within 0.3 seconds; --timeout sets another limit"),
        ("empty", "there is no event in it"),
        ("response", "this is a response (id resp_01, status completed), not a stream of events"),
        ("list", "it answers with application/json, not a stream of events: [{"),
        ("moved", "it answers with 307 Temporary Redirect, see https://elsewhere.example/v1/responses and no body"),
        ("damaged", "its content-encoding is damaged after"),
    ],
)
def test_an_answer_that_cannot_be_judged_is_said(server: Server, path: str, message: str) -> None:
    ran = validate(f"{server[0]}/{path}", "--timeout", "0.3", "--format", "json")
    assert ran.status == 2
    assert message in ran.json["error"]
    assert ran.errors == f"responses-stream: {server[0]}/{path}: {ran.json['error']}\n"


def test_no_credential_is_told(server: Server, tmp_path: Path) -> None:
    address = server[0].replace("http://", "http://user:hunter2hunter2@")
    arguments = ("--api-key-env", "KEY", "--request", body(tmp_path), "--format", "json")
    ran = validate(f"{address}/refused?api-key={KEY}", *arguments, environment={**ENVIRONMENT, "KEY": KEY})
    assert ran.status == 2
    assert "401 Unauthorized" in ran.errors
    assert "Incorrect API key provided: [redacted]" in ran.errors
    for secret in (KEY, "hunter2hunter2"):
        assert secret not in ran.errors + ran.out


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/v1/responses", "http://nowhere.invalid/", "http://", "https://[", "http://x:port/"]
)
def test_what_cannot_be_called_is_said(url: str) -> None:
    ran = validate(url)
    assert ran.status == 2
    assert "it cannot be called: " in ran.errors


def test_without_the_client_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    assert main(["validate", "http://127.0.0.1:1/"]) == 2
    assert "pip install 'responses-stream[client]'" in capsys.readouterr().err
