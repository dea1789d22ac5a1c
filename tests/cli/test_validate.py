"""``responses-stream validate``: real captures, a real process, and what it says and returns."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from responses_stream.cli import main
from responses_stream.validation.examples import names, stream_of
from tests.cli.validating import COMMAND, ENVIRONMENT, PATIENCE, har, lines, sse, validate, wrapped, write

GOOD, BAD = "V1", "V1: drop 2"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty directory with a good and a bad capture."""
    write(tmp_path, {"good.sse": sse(GOOD), "bad.sse": sse(BAD)})
    return tmp_path


def test_every_kind_of_capture_of_a_good_stream_is_valid(tmp_path: Path) -> None:
    files = write(tmp_path, wrapped(GOOD))
    ran = validate(*files)
    assert (ran.status, ran.errors) == (0, "")
    *each, total = ran.out.splitlines()
    assert total == f"{len(files)} inputs: {len(files)} valid"
    # The CR of the head in curl.txt is not of the stream.
    assert all(": valid in profile strict: 10 events, 0 errors, 0 warnings" in line for line in each)


def test_every_kind_of_capture_of_a_bad_stream_has_the_same_violation(tmp_path: Path) -> None:
    files = write(tmp_path, wrapped(BAD))
    ran = validate(*files, "--format", "json")
    assert (ran.status, ran.errors) == (1, "")
    assert [report["source"].partition(" ")[0] for report in ran.json] == [str(file) for file in files]
    for report in ran.json:
        assert (report["ok"], report["events"], report["profile"]) == (False, 9, "strict")
        assert [(found["rule"], found["index"]) for found in report["violations"]] == [("R082", 2)]


def test_all_base_streams_at_once(tmp_path: Path) -> None:
    files = write(tmp_path, {f"{name}.jsonl": lines(name) for name in names()})
    ran = validate(*files, "--format", "json")
    assert ran.status == 0
    assert [report["ok"] for report in ran.json] == [True] * len(files)


def test_the_report_of_one_input_has_these_members_and_no_others(place: Path) -> None:
    report = validate("bad.sse", "--format", "json", cwd=place).json
    assert list(report) == ["ok", "events", "profile", "violations"]
    assert list(report["violations"][0]) == [
        *("rule", "severity", "index", "path", "message", "expected", "hint", "clients")
    ]
    report = validate("none.sse", "--format", "json", cwd=place).json
    assert list(report) == ["ok", "events", "profile", "violations", "error"]


def test_people_read_where_it_is_what_is_wrong_and_whom_it_breaks(place: Path) -> None:
    ran = validate("bad.sse", cwd=place)
    first, *others = ran.out.splitlines()
    offset = sse(BAD).index(b"event: response.content_part.added")
    line = sse(BAD).count(b"\n", 0, offset) + 1
    assert first.startswith(f"bad.sse:{line}: event 2, byte {offset}: error R082 An event inside an item needs an item")
    labels = [other.split()[0] for other in others if other.startswith("  ")]
    assert labels == ["at", "seen", "expected", "hint", "breaks"]
    assert "openai-python .stream()" in ran.out
    assert others[-1] == "bad.sse: not valid in profile strict: 9 events, 1 error, 0 warnings"


def test_places_are_those_of_the_file_behind_a_head_and_those_of_the_entry_in_a_har_file(tmp_path: Path) -> None:
    write(tmp_path, wrapped(BAD))
    assert validate("curl.txt", cwd=tmp_path).out.startswith("curl.txt:10: event 2, byte 862: ")
    assert validate("capture.jsonl", cwd=tmp_path).out.startswith("capture.jsonl:3: event 2, byte ")
    out = validate("capture.har", cwd=tmp_path).out
    assert out.startswith("capture.har: event 2, line 7, byte 810: ")
    assert "in        entries[0] POST https://x/v1/responses" in out


def test_the_status_is_that_of_the_gravest_input(place: Path) -> None:
    assert validate("good.sse", "good.sse", cwd=place).status == 0
    assert validate("good.sse", "bad.sse", cwd=place).status == 1
    ran = validate("none.sse", "bad.sse", "good.sse", cwd=place)
    assert ran.status == 2
    assert ran.out.splitlines()[-1] == "3 inputs: 1 valid, 1 not valid, 1 unusable"
    assert "none.sse: it cannot be read: No such file or directory" in ran.errors


def test_warnings_alone_are_status_0(tmp_path: Path) -> None:
    write(tmp_path, {"crlf.sse": sse(GOOD).replace(b"\n", b"\r\n")})
    ran = validate("crlf.sse", cwd=tmp_path)
    assert ran.status == 0
    assert ": warning R008 " in ran.out
    assert ran.out.endswith("crlf.sse: valid in profile strict: 10 events, 0 errors, 1 warning\n")


def test_the_profile_and_the_rules_can_be_chosen(place: Path) -> None:
    assert validate("bad.sse", "--ignore", "r082", cwd=place).status == 0
    assert validate("bad.sse", "--select", "R001,R03", "--select", "R2", cwd=place).status == 0
    assert validate("bad.sse", "--select", "R0", cwd=place).status == 1
    assert validate("good.sse", "--profile", "open-responses", "--select", "R006", cwd=place).status == 1


def test_the_standard_input_is_an_input(place: Path) -> None:
    ran = validate("-", "--format", "json", stdin=lines(BAD))
    assert (ran.status, ran.json["events"]) == (1, 9)
    ran = validate("-", "good.sse", stdin=sse(GOOD), cwd=place)
    assert (ran.status, ran.out.splitlines()[0]) == (0, "-: valid in profile strict: 10 events, 0 errors, 0 warnings")


def test_a_stream_is_judged_while_it_comes() -> None:
    with subprocess.Popen(
        [*COMMAND, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"".join(sse(BAD).partition(b'"sequence_number":2}\n\n')[:2]))
        process.stdin.flush()
        # The rest of the stream was not even sent.
        assert process.stdout.readline().startswith(b"-:7: event 2, byte 810: error R082")
        process.send_signal(signal.SIGINT)
        assert (process.wait(PATIENCE), process.stderr.read()) == (130, b"")


def test_the_reader_of_its_output_may_leave(place: Path) -> None:
    write(place, {"many.jsonl": b"{}\n" * 50_000})
    for arguments in (["--max", "0"], ["--format", "github", "--max", "0"], ["--format", "json"], []):
        with subprocess.Popen(
            [*COMMAND, "many.jsonl", *arguments],
            cwd=place,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT,
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()
            assert (process.wait(PATIENCE), process.stderr.read()) == (141, b"")


def test_only_so_many_violations_are_shown(place: Path) -> None:
    write(place, {"many.jsonl": b"{}\n" * 300})
    everything = validate("many.jsonl", "--format", "json", "--max", "0", cwd=place).json["violations"]
    assert len(everything) >= 300
    for arguments, shown in (((), 100), (("--max", "7"), 7)):
        report = validate("many.jsonl", "--format", "json", *arguments, cwd=place).json
        assert (report["violations"], report["events"]) == (everything[:shown], 300)
    out = validate("many.jsonl", "--max", "7", cwd=place).out
    assert out.endswith(f"; {len(everything) - 7} of them not shown, --max 0 shows all\n")


def test_an_input_without_end_of_errors_is_given_up() -> None:
    with subprocess.Popen(["yes", "{}"], stdout=subprocess.PIPE) as endless:
        ran = subprocess.run(
            [*COMMAND, "-", "--max", "2"],
            stdin=endless.stdout,
            capture_output=True,
            env=ENVIRONMENT,
            timeout=PATIENCE,
            check=False,
        )
        endless.kill()
    assert (ran.returncode, ran.stderr) == (1, b"")
    assert b"-: stopped after event " in ran.stdout


def test_a_request_and_a_copy_of_the_response_are_compared(place: Path) -> None:
    response = stream_of(GOOD)[-1]["response"]
    write(
        place,
        {
            "request.json": b'\xef\xbb\xbf{"model":"m","input":"Hi","stream":true,"temperature":0.25}',
            "same.json": json.dumps(response).encode(),
            "other.json": json.dumps({**response, "model": "another"}).encode(),
            "with request.har": har(sse(GOOD), request={"model": "m", "stream": True, "temperature": 0.25}),
        },
    )
    assert validate("good.sse", "--retrieved", "same.json", cwd=place).status == 0
    ran = validate("good.sse", "--retrieved", "other.json", "--format", "json", cwd=place)
    assert [found["rule"] for found in ran.json["violations"]] == ["R210"]
    asked = validate("good.sse", "--request", "request.json", "--format", "json", cwd=place)
    found = validate("with request.har", "--format", "json", cwd=place)
    assert "temperature" in asked.json["violations"][0]["path"]
    assert asked.json == found.json


def test_a_replay_is_judged_from_its_cursor_and_against_its_original(place: Path) -> None:
    replay, other = (
        sse("V1: drop 0-4; renumber from 5"),
        sse("V1: drop 0-4; renumber from 5").replace(b"Hello", b"Jello"),
    )
    write(place, {"replay.sse": replay, "other.sse": other, "good.json": json.dumps(stream_of(GOOD)).encode()})
    assert validate("replay.sse", cwd=place).status == 1
    assert validate("replay.sse", "--starting-after", "4", cwd=place).status == 0
    for original in ("good.sse", "good.json"):
        against = ("--starting-after", "4", "--original", original, "--format", "json")
        assert validate("replay.sse", *against, cwd=place).status == 0
        ran = validate("other.sse", *against, cwd=place)
        assert ran.status == 1
        assert ran.json["violations"][0]["rule"] == "R192"


def test_messages_of_a_websocket_are_judged_one_by_one(place: Path) -> None:
    write(place, {"socket.jsonl": b'{"type":"response.create","model":"m"}\n' + lines(GOOD)})
    assert validate("socket.jsonl", "--transport", "websocket", cwd=place).status == 0
    write(place, {"socket.jsonl": lines(BAD)})
    ran = validate("socket.jsonl", "--transport", "websocket", cwd=place)
    assert ran.out.startswith("socket.jsonl:3: event 2, byte ")


def test_the_report_can_be_written_to_a_file(place: Path) -> None:
    ran = validate("bad.sse", "--format", "json", "--output", "report.json", cwd=place)
    assert (ran.status, ran.out, ran.errors) == (1, "", "")
    assert json.loads((place / "report.json").read_text())["events"] == 9
    ran = validate("none.sse", "--output", "report.txt", cwd=place)
    assert ran.status == 2
    assert (place / "report.txt").read_text().startswith("none.sse: unusable: it cannot be read")


@pytest.mark.parametrize("output", ["/dev/full", "no/such/directory/report", "."])
def test_a_report_that_cannot_be_written_is_said(place: Path, output: str) -> None:
    ran = validate("bad.sse", "--output", output, cwd=place)
    assert ran.status == 2
    assert ran.errors.startswith("responses-stream: the report cannot be written: ")


def test_no_input_is_overwritten_by_its_report(place: Path) -> None:
    ran = validate("good.sse", "--output", place / "good.sse", cwd=place)
    assert (ran.status, "would overwrite" in ran.errors) == (2, True)
    assert (place / "good.sse").read_bytes() == sse(GOOD)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "required: INPUT"),
        (("good.sse", "--profile", "loose"), "invalid choice: 'loose'"),
        (("good.sse", "--select", "R999"), "--select: 'R999' is no rule"),
        (("good.sse", "--ignore", "X"), "--ignore: 'X' is no rule"),
        (("good.sse", "--max", "-1"), "has to be at least 0"),
        (("good.sse", "--max-bytes", "0"), "has to be at least 1"),
        (("good.sse", "--timeout", "0"), "a number of seconds above 0"),
        (("good.sse", "--timeout", "nan"), "a number of seconds above 0"),
        (("good.sse", "--header", "key secret"), "has to be 'NAME: VALUE' in ASCII"),
        (("good.sse", "--api-key-env", "NOT_SET"), "--api-key-env NOT_SET: there is no such key in the environment"),
        (("good.sse", "--request", "none.json"), "--request none.json cannot be read: No such file"),
        (("good.sse", "--request", "good.sse"), "--request good.sse cannot be read: not JSON"),
        (("good.sse", "--retrieved", "list.json"), "--retrieved list.json is no JSON object"),
        (("good.sse", "--original", "list.json"), "--original list.json"),
        (("good.sse", "--original", "two.har"), "--original two.har holds 2 streams"),
        (("-", "good.sse", "-"), "the standard input can be read once"),
    ],
)
def test_a_wrong_call_is_status_2(place: Path, arguments: tuple[str, ...], message: str) -> None:
    write(place, {"list.json": b"", "two.har": har(sse(GOOD), sse(GOOD))})
    (place / "list.json").write_text("[]" if "--retrieved" in arguments else "")
    ran = validate(*arguments, cwd=place)
    assert (ran.status, ran.out) == (2, "")
    assert message in ran.errors
    assert "secret" not in ran.errors


def test_colors_are_for_terminals_unless_somebody_asks(place: Path) -> None:
    assert "\x1b" not in validate("bad.sse", cwd=place).out
    assert "\x1b[1;31merror R082\x1b[0m" in validate("bad.sse", "--color", "always", cwd=place).out
    assert "\x1b[1;31merror R082" in on_terminal(place, "bad.sse")[1]
    assert "\x1b[1" not in on_terminal(place, "bad.sse", "--color", "never")[1]
    assert "\x1b[1" not in on_terminal(place, "bad.sse", environment={**ENVIRONMENT, "NO_COLOR": "1"})[1]


def test_a_bar_is_shown_on_a_terminal_for_a_file_and_taken_away(place: Path) -> None:
    status, shown = on_terminal(place, "good.sse")
    assert status == 0
    bar, _, rest = shown.partition("\r\x1b[K")[2].partition("\r\x1b[K")
    assert bar.startswith("[##############################] 100% of 0.0 MB  good.sse")
    assert rest.startswith("good.sse: ")
    for arguments in (("good.sse", "--no-progress"), ("-",)):
        assert "[####" not in on_terminal(place, *arguments)[1]


def test_on_a_terminal_what_is_wrong_with_an_input_is_said_once(place: Path) -> None:
    status, shown = on_terminal(place, "none.sse")
    assert (status, shown.count("No such file")) == (2, 1)


def on_terminal(place: Path, *arguments: str, environment: dict[str, str] | None = None) -> tuple[int, str]:
    """Run the command with both outputs on a terminal; return its status and what the terminal got."""
    leader, follower = pty.openpty()
    with (
        (place / "good.sse").open("rb") as piped,
        subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=place,
            stdin=piped,
            stdout=follower,
            stderr=follower,
            env={"TERM": "xterm", **(environment or ENVIRONMENT)},
        ) as process,
    ):
        os.close(follower)
        shown = b""
        while True:
            try:
                shown += os.read(leader, 4096)
            except OSError:  # what Linux has for the end of a terminal
                break
        status = process.wait(PATIENCE)
    os.close(leader)
    return status, shown.decode().replace("\r\n", "\n")


def test_a_name_that_is_no_utf_8_and_a_terminal_that_knows_no_unicode(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9 \xc3\xa9.jsonl")
    write(tmp_path, {name: lines(BAD)})
    environment = {**ENVIRONMENT, "LANG": "C", "PYTHONIOENCODING": "ascii:strict"}
    for form in ("human", "json", "sarif", "junit", "github"):
        ran = validate(name, "missing é", "--format", form, cwd=tmp_path, environment=environment)
        assert ran.status == 2
        assert "R082" in ran.out
        assert ran.out.isascii()


def test_memory_does_not_grow_with_the_capture(tmp_path: Path) -> None:
    program = (
        "from pathlib import Path; from responses_stream.cli import main;"
        "assert main(['validate', 'big.jsonl', '--max', '0']) == 0;"
        "print(Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0])"
    )
    peaks = []
    for count in (500, 10_000):
        (tmp_path / "big.jsonl").write_bytes(b"".join(long_lines(count)))
        ran = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True, text=True, timeout=PATIENCE
        )
        peaks.append(int(ran.stdout.split()[-1]))
    # The captures have 2 and 42 MB; the peaks are in KB.
    assert peaks[1] - peaks[0] < 8000


def long_lines(count: int) -> Iterator[bytes]:
    """JSON lines with *count* deltas of 4 KB each."""
    text = json.dumps(stream_of(GOOD)).replace('"Hello"', json.dumps("a" * count))
    events = json.loads(text)
    delta = {**events[4], "delta": "a", "obfuscation": "x" * 4000}
    for at, event in enumerate([*events[:4], *([delta] * count), *events[6:]]):
        yield json.dumps({**event, "sequence_number": at}).encode() + b"\n"


def test_what_may_not_be_read_is_said(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_descriptor: int, _count: int) -> bytes:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "read", refuse)
        status = main(["validate", str(place / "good.sse")])
    assert status == 2
    assert "good.sse: unusable: it cannot be read: Permission denied\n" in capsys.readouterr().out
