"""What is written of an exchange, and that it can be used: the validator finds in it what the tap found."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import anyio
import pytest

from responses_stream.tap.captures import Captures
from responses_stream.validation import validate_events

from .upstreams import EVENT_STREAM, Asked, chunk, chunked, frames, posted, tapped

pytestmark = pytest.mark.anyio


def read(path: Path) -> Any:
    return json.loads(path.read_bytes())


async def test_a_stream_is_written_with_its_request_and_its_report(tmp_path: Path) -> None:
    broken = frames()[1:]

    async def answer(asked: Asked) -> None:
        await asked.body()
        await asked.say(EVENT_STREAM, chunked(broken))

    async with tapped(answer, out=tmp_path) as (wire, tap):
        await wire.send(posted(b'{ "model":"m", "input":"Hi", "stream":true }', b"X-Other: 1"))
        await wire.answer("POST")
        await tap.told.line(" 200: ")
    there = tmp_path / "00001"
    assert sorted(file.name for file in there.iterdir()) == ["body.sse", "exchange.json", "report.json", "request.json"]
    assert (there / "body.sse").read_bytes() == b"".join(broken)
    assert read(there / "request.json") == {"model": "m", "input": "Hi", "stream": True}
    report = validate_events(there / "body.sse", "lenient", request=read(there / "request.json"))
    assert read(there / "report.json") == report.as_dict()
    assert not report.ok
    exchange = read(there / "exchange.json")
    assert exchange["request"]["url"].endswith("/v1/responses")
    assert ["x-other", "1"] in exchange["request"]["headers"]
    assert exchange["response"]["status"] == 200
    assert exchange["response"]["headers"] == [["content-type", "text/event-stream"]]
    assert (exchange["response"]["body"], exchange["response"]["bytes"]) == ("body.sse", len(b"".join(broken)))
    assert (exchange["number"], exchange["ended"], exchange["remarks"]) == (1, "whole", [])
    assert (there.stat().st_mode & 0o077, tmp_path.is_dir()) == (0, True)


async def test_a_body_can_be_read_while_it_comes(tmp_path: Path) -> None:
    told, seen = anyio.Event(), anyio.Event()

    async def answer(asked: Asked) -> None:
        await asked.body()
        await asked.say(EVENT_STREAM, chunk(b"data: {}\n\n"))
        await seen.wait()
        await asked.say(chunked([]))

    async with tapped(answer, out=tmp_path) as (wire, tap):
        await wire.send(posted())
        reader = await wire.begin("POST")
        await reader.piece()
        await tap.told.line("R011 error")  # the piece has been looked at
        assert (tmp_path / "00001" / "body.sse").read_bytes() == b"data: {}\n\n"
        seen.set()
        assert await reader.piece() is None
        told.set()


@pytest.mark.parametrize(
    ("head", "body", "name", "written"),
    [
        (b"content-type: application/json; charset=utf-8", b'{"a": 1}', "body.json", b'{"a": 1}'),
        (b"content-type: text/html", b"<p>", "body.txt", b"<p>"),
        (b"x-none: 1", b"\0", "body.bin", b"\0"),
        (
            b"content-type: application/json\r\ncontent-encoding: gzip",
            gzip.compress(b"{}", mtime=0),
            "body.json",
            b"{}",
        ),
        (b"content-type: text/event-stream\r\ncontent-encoding: br", b"\x0b", "body.sse.br", b"\x0b"),
        (b"content-encoding: ../../x", b"a", "body.bin.encoded", b"a"),
    ],
)
async def test_each_body_has_a_file_of_its_kind(
    tmp_path: Path, head: bytes, body: bytes, name: str, written: bytes
) -> None:
    async def answer(asked: Asked) -> None:
        await asked.body()
        await asked.say(b"HTTP/1.1 200 OK\r\n", head, b"\r\ncontent-length: %d\r\n\r\n" % len(body), body)

    async with tapped(answer, out=tmp_path) as (wire, tap):
        await wire.send(posted(b"no JSON"))
        assert (await wire.answer("POST")).body == body
        await tap.told.line(" 200: ")
    assert sorted(file.name for file in (tmp_path / "00001").iterdir()) == [name, "exchange.json"]
    assert (tmp_path / "00001" / name).read_bytes() == written


async def test_a_request_without_an_answer_is_written_too(tmp_path: Path) -> None:
    async def answer(asked: Asked) -> None:
        await asked.body()

    async with tapped(answer, out=tmp_path) as (wire, tap):
        await wire.send(posted())
        await wire.answer("POST")
        await tap.told.line("(no answer)")
    exchange = read(tmp_path / "00001" / "exchange.json")
    assert (exchange["response"], exchange["ended"]) == (None, "broken")
    assert "the upstream failed" in exchange["remarks"][0]
    assert read(tmp_path / "00001" / "request.json")["stream"] is True


async def test_numbers_go_on_behind_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "00041").mkdir()
    (tmp_path / "notes").mkdir()
    assert Captures(tmp_path).first == 42
    assert Captures(tmp_path / "new" / "place").first == 1


@pytest.mark.parametrize("coding", [b"gzip", b"br"])
async def test_a_compressed_request_is_read_where_it_can_be(tmp_path: Path, coding: bytes) -> None:
    async def answer(asked: Asked) -> None:
        await asked.body()
        await asked.say(EVENT_STREAM, chunked(frames()))

    async with tapped(answer, out=tmp_path) as (wire, tap):
        await wire.send(posted(gzip.compress(b'{"model": "m"}', mtime=0), b"Content-Encoding: " + coding))
        await wire.answer("POST")
        await tap.told.line(" 200: ")
    assert (tmp_path / "00001" / "request.json").exists() == (coding == b"gzip")
