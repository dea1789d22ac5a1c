"""``responses-stream check``: what it is given, what it prints, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from responses_stream.cli import main
from responses_stream.cli.targets import load_target

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
from responses_stream import ResponsesServer, TextResponse
import beside_some_agent

server = ResponsesServer()
empty = ResponsesServer()
nothing = 3

@server.response_handler
async def echo(request, context):
    print("this is not part of the report")
    return TextResponse(context, request, text=f"You said: {request.input}")

def text(request, context):
    return TextResponse(context, request, text="ok")

def wants_text(request, context):
    return TextResponse(context, request, text=request.input.upper())

async def skips(request, context):
    stream = context.stream()
    yield stream.emit_created()
    yield stream.emit_completed()

def refuses(request):
    return None
"""
PRINTED = "this is not part of the report\n"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory with a program in it; what is imported from it is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "some_agent.py").write_text(PROGRAM)
    (tmp_path / "beside_some_agent.py").write_text("")
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if Path(getattr(module, "__file__", None) or "/").parent == tmp_path:
            del sys.modules[name]


@pytest.mark.parametrize(
    "target", ["some_agent", "some_agent:server", "some_agent.py", "some_agent:echo", "./some_agent.py:text"]
)
def test_a_server_or_a_handler_is_checked(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", target, "--inputs", "absent,text", "--deterministic"]) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0].split() == ["ok", "text:", "a", "question", "(json)", "completed"]
    assert lines[-1].endswith(f"in profile strict: {len(lines) - 2} cases, {len(lines) - 2} ok, 0 warn, 0 fail")
    assert {line.split()[0] for line in lines[:-2]} == {"ok"}
    assert PRINTED not in out


def test_without_a_name_a_handler_of_that_name_will_do(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "bare_agent.py").write_text(PROGRAM.replace("server", "other").replace("def text", "def handler"))
    assert main(["check", "bare_agent.py", "--inputs", "absent"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("handler in profile strict: 18 cases, 18 ok")


def test_a_wrong_handler_is_status_1_and_told_with_the_line_that_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "some_agent:wants_text", "--inputs", "absent,messages"]) == 1
    out = capsys.readouterr().out
    assert "fail  absent: no input (json)" in out
    assert out.count("AttributeError: 'list' object has no attribute 'upper'") == 2
    assert "text=request.input.upper())" in out
    assert out.splitlines()[-1].endswith("72 cases, 0 ok, 0 warn, 72 fail")


def test_a_warning_is_status_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "some_agent:skips", "--inputs", "absent", "--modes", "stream"]) == 0
    out = capsys.readouterr().out
    assert "warn  absent: no input (stream)" in out
    assert "R037 warning in absent: no input (stream) and 1 other case, in what the handler said" in out
    assert main(["check", "some_agent:skips", "--inputs", "absent", "--ignore", "R037"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("18 cases, 18 ok, 0 warn, 0 fail")


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "some_agent:wants_text", "--format", "json", "--inputs", "absent", "--fail-fast"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["ok"], report["handler"], report["profile"]) == (False, "wants_text", "strict")
    [case] = report["cases"]
    assert (case["kind"], case["name"], case["mode"], case["verdict"]) == ("absent", "no input", "json", "fail")
    [finding] = case["findings"]
    assert (finding["code"], finding["severity"], finding["where"]) == ("raised", "error", "handler")
    assert "in wants_text" in finding["traceback"]


def test_what_a_handler_prints_does_not_get_into_the_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "some_agent", "--format", "json", "--inputs", "absent"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["ok"] is True
    assert captured.err == PRINTED * 18


def test_requests_of_ones_own_are_asked_in_every_mode(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, body in (("one", {"input": "x", "stream": False}), ("two", {"input": []})):
        (place / f"{name}.json").write_text(json.dumps(body))
    arguments = ["--request", "one.json", "--request", "two.json", "--inputs", "none"]
    assert main(["check", "some_agent:wants_text", *arguments]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:18]] == ["ok"] * 9 + ["fail"] * 9
    assert lines[0].split()[1:4] == ["request:", "request", "1"]


def test_a_timeout_is_told(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "waiting.py").write_text(
        "import anyio\nasync def handler(request, context):\n    await anyio.sleep_forever()\n"
    )
    arguments = ["--timeout", "0.1", "--inputs", "absent", "--modes", "json"]
    assert main(["check", "waiting.py", *arguments]) == 1
    out = capsys.readouterr().out
    assert "no answer within 0.1 s" in out
    assert "await anyio.sleep_forever()" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.py"], "there is no file nowhere.py"),
        (["nowhere"], "there is no module 'nowhere'"),
        (["beside_some_agent"], "beside_some_agent has no 'server' and no 'handler'; say which one it is"),
        (["some_agent:missing"], "some_agent has no 'missing'"),
        (["some_agent:nothing"], "some_agent:nothing cannot be checked: a handler is a function"),
        (["some_agent:refuses"], "some_agent:refuses cannot be checked: a handler is a function that takes"),
        (["some_agent:empty"], "some_agent:empty cannot be checked: handler: is a server without a handler"),
        (["some_agent", "--inputs", "pictures"], "some_agent:server cannot be checked: inputs: 'pictures' is no kind"),
        (["some_agent", "--modes", "fax"], "some_agent:server cannot be checked: modes: 'fax' is no mode"),
        (["some_agent", "--profile", "lax"], "some_agent:server cannot be checked: profile: is 'lax'"),
        (["some_agent", "--timeout", "0"], "some_agent:server cannot be checked: timeout: has to be more than 0"),
        (["some_agent", "--request", "none.json"], "cannot read none.json: No such file or directory"),
        (["some_agent", "--request", "some_agent.py"], "some_agent.py is not JSON: Expecting value: line 2"),
        (["some_agent", "--request", "list.json"], "list.json holds no body of a request, which is a JSON object"),
        (["broken.py"], "broken.py cannot be imported\n"),
    ],
)
def test_what_cannot_be_used_is_status_2(
    place: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "list.json").write_text("[]")
    (place / "broken.py").write_text("import not_installed_at_all\n")
    assert main(["check", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"responses-stream: {message}")
    assert captured.out == ""


def test_a_target_that_cannot_be_imported_is_told_with_its_own_lines_only(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "broken.py").write_text("def f():\n    raise OSError('no weights')\nf()\n")
    assert main(["check", "broken.py"]) == 2
    told = capsys.readouterr().err.splitlines()
    assert [line.split()[-1] for line in told if line.startswith("  File")] == ["<module>", "f"]
    assert told[-1] == "OSError: no weights"


def test_a_target_is_named_in_full() -> None:
    assert load_target("some_agent")[0] == "some_agent:server"
    assert load_target("./some_agent.py", ("handler", "text"))[0] == "./some_agent.py:text"


def test_it_is_a_command_of_its_own(place: Path) -> None:
    command = [sys.executable, "-m", "responses_stream", "check", "some_agent.py", "--inputs", "settings"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, PRINTED * 63)
    assert done.stdout.splitlines()[-1] == "echo in profile strict: 63 cases, 63 ok, 0 warn, 0 fail"


def test_the_example_of_the_docs_stands_the_check(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--inputs", "absent,conversation", "--modes", "json,stream", "--deterministic"]
    assert main(["check", str(ROOT / "docs" / "examples" / "tutor.py"), *arguments]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "teach in profile strict: 8 cases, 8 ok, 0 warn, 0 fail"
