"""What cannot be judged is said in a sentence, in every format, with status 2: never a traceback, never a hang."""

from __future__ import annotations

import gzip
import json
import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import pytest

from responses_stream.validation.examples import stream_of
from tests.cli.validating import COMMAND, ENVIRONMENT, PATIENCE, har, lines, sse, validate, write

GOOD: Final = sse("V1")
NOISE: Final = random.Random(7).randbytes(300_000)

UNUSABLE: Final[dict[str, tuple[bytes, str]]] = {
    "empty": (b"", "there is nothing in it"),
    "spaces": (b" \n" * 1000, "there is nothing in it"),
    "noise": (NOISE, "this is no text"),
    "noise-behind-a-brace": (b"{" + NOISE, "this is no text"),
    "zeros": (bytes(1_000_000), "this is no text: byte 0 is NUL"),
    "picture.png": (b"\x89PNG\r\n\x1a\n" + NOISE, "a PNG image"),
    "archive.zip": (b"PK\x03\x04" + NOISE, "a ZIP archive"),
    "page.html": (b"<html><body>502 Bad Gateway", "this is a page"),
    "words.txt": (b"hello\n" * 100_000, "neither Server-Sent Events nor JSON: hello hello"),
    "utf-16.sse": (GOOD.decode().encode("utf-16"), "the text is UTF-16"),
    "cut.gz": (gzip.compress(GOOD, mtime=0)[:-20], "the gzip data ends early"),
    "damaged.gz": (gzip.compress(GOOD, mtime=0)[:100] + NOISE, "the gzip data is damaged"),
    "comments.sse": (b": keep-alive\n\n" * 100, "there is no event in it"),
    "done.sse": (b"data: [DONE]\n\n", "there is no event in it"),
    "names.sse": (b"event: response.created\n\n", "there is no event in it"),
    "response.json": (json.dumps(stream_of("V1")[-1]["response"]).encode(), "this is a response"),
    "error.json": (b'{"error":{"message":"no"}}', "this is an error"),
    "package.json": (b'{"name":"left-pad","version":"1"}', "one JSON object without a type"),
    "nothing.har": (har(), "no entry of the HAR file is a stream"),
    "failed.txt": (b"HTTP/1.1 429 Too Many Requests\r\n\r\nslow down", "the status 429: slow down"),
    "long.sse": (GOOD + b"data: " + b"x" * 3_000_000 + b"\n\n", "an event has more than 1000000 bytes"),
    "long.jsonl": (lines("V1") + b'{"a":"' + b"x" * 3_000_000 + b'"}', "an event has more than 1000000 bytes"),
    "endless.sse": (GOOD + b"data: x\n" * 500_000, "an event has more than 1000000 bytes"),
    "deep.json": (b"[" * 3_000_000, "an event has more than 1000000 bytes"),
    "wide.sse": (b": \n\n" * 500_000, "there is no event in its first"),
    "much.jsonl": (lines("V1") * 2000, "the capture is longer than 4000000 bytes"),
}
LIMITS: Final = ("--max-line-bytes", "1000000", "--max-bytes", "4000000")


@pytest.mark.parametrize("name", UNUSABLE)
def test_what_cannot_be_judged_is_said_in_a_sentence(tmp_path: Path, name: str) -> None:
    data, message = UNUSABLE[name]
    write(tmp_path, {name: data})
    ran = validate(name, "--format", "json", *LIMITS, cwd=tmp_path)
    assert ran.status == 2
    assert ran.json["ok"] is False
    assert message in ran.json["error"]
    assert ran.errors == f"responses-stream: {name}: {ran.json['error']}\n"
    assert len(ran.errors) < 1000


def test_what_was_found_before_is_told_all_the_same(tmp_path: Path) -> None:
    write(tmp_path, {"cut.gz": gzip.compress(sse("V1: drop 2"))[:-4]})
    ran = validate("cut.gz", "--format", "json", cwd=tmp_path)
    assert (ran.status, ran.json["events"], ran.json["violations"][0]["rule"]) == (2, 9, "R082")


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("human", lambda out: out.startswith("none: unusable: it cannot be read: No such file")),
        ("json", lambda out: json.loads(out)["error"].startswith("it cannot be read")),
        ("sarif", lambda out: not json.loads(out)["runs"][0]["invocations"][0]["executionSuccessful"]),
        ("junit", lambda out: ET.fromstring(out).find("testsuite/testcase/error") is not None),
        ("github", lambda out: out.startswith("::error file=none,title=unusable input::none: it cannot be read")),
    ],
)
def test_it_is_said_in_every_format_and_to_people(tmp_path: Path, form: str, said: Callable[[str], bool]) -> None:
    ran = validate("none", "--format", form, cwd=tmp_path)
    assert (ran.status, ran.errors) == (2, "responses-stream: none: it cannot be read: No such file or directory\n")
    assert said(ran.out)


def test_a_directory_is_no_capture(tmp_path: Path) -> None:
    ran = validate(tmp_path)
    assert (ran.status, "it cannot be read: Is a directory" in ran.errors) == (2, True)


def test_a_file_is_what_it_is_and_not_what_its_name_says(tmp_path: Path) -> None:
    write(tmp_path, {"plain.sse.gz": GOOD, "packed.sse": gzip.compress(GOOD), "text.json": GOOD})
    assert validate("plain.sse.gz", "packed.sse", "text.json", cwd=tmp_path).status == 0


ENDLESS: Final[dict[str, tuple[list[str], tuple[str, ...], str]]] = {
    "zeros": (["cat", "/dev/zero"], (), "this is no text"),
    "noise": (["cat", "/dev/urandom"], (), "this is no"),
    "words": (["yes"], (), "neither Server-Sent Events nor JSON"),
    "comments": (["yes", ": keep-alive\n"], ("--max-line-bytes", "1000000"), "there is no event in its first"),
    "comments that are allowed": (["yes", ":"], ("--max-bytes", "1000000"), "longer than 1000000 bytes"),
    "one frame": (["yes", "data: x"], ("--max-line-bytes", "1000000"), "an event has more than 1000000 bytes"),
    "one value": (["yes", "["], ("--max-line-bytes", "1000000"), "an event has more than 1000000 bytes"),
    "events": (["yes", "{}"], ("--max", "0", "--max-bytes", "3000"), "longer than 3000 bytes"),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_what_never_ends_does_not_hang_it(name: str) -> None:
    command, arguments, message = ENDLESS[name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as endless:
        ran = subprocess.run(
            [*COMMAND, "-", *arguments],
            stdin=endless.stdout,
            capture_output=True,
            env=ENVIRONMENT,
            timeout=PATIENCE,
            check=False,
        )
        endless.kill()
    assert ran.returncode == 2
    assert ran.stderr.decode().startswith("responses-stream: -: ")
    assert message in ran.stderr.decode()
    assert ran.stderr.count(b"\n") == 1


JUDGED: Final[dict[str, tuple[bytes, str]]] = {
    "deep.sse": (b"data: " + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"\n\n", "R001"),
    "deep.jsonl": (lines("V1") + b'{"type":' * 100_000 + b"1" + b"}" * 100_000, "R001"),
    "utf-8.sse": (GOOD.replace(b'"Hello"', b'"Hell\xc3"', 1), "R008"),
    "utf-8.jsonl": (lines("V1").replace(b'"Hello"', b'"Hell\xc3"', 1), "R008"),
    "noise.sse": (GOOD + NOISE, "R0"),
    "noise.jsonl": (lines("V1") + NOISE, "R001"),
    "cut.sse": (GOOD[:1000], "R029"),
    "cut.jsonl": (lines("V1")[:1000], "R029"),
    "another.sse": (b'data: {"object":"chat.completion.chunk","choices":[]}\n\n', "R011"),
    "numbers.sse": (b"data: 1\n\n" * 10, "R001"),
}


@pytest.mark.parametrize("name", JUDGED)
def test_a_damaged_stream_is_judged_and_not_refused(tmp_path: Path, name: str) -> None:
    data, rule = JUDGED[name]
    write(tmp_path, {name: data})
    ran = validate(name, "--format", "json", cwd=tmp_path)
    assert (ran.status, ran.errors) == (1, "")
    assert any(found["rule"].startswith(rule) for found in ran.json["violations"])


def test_a_stream_of_another_protocol_is_never_valid(tmp_path: Path) -> None:
    write(tmp_path, {"chat.sse": b'data: {"object":"chat.completion.chunk","choices":[]}\n\n'})
    ran = validate("chat.sse", "--select", "R082", cwd=tmp_path)
    assert (ran.status, "it speaks another protocol: Chat Completions" in ran.errors) == (2, True)
