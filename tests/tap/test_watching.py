"""What is seen and told of the traffic, and that looking on never gets in its way."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import anyio
import pytest

from responses_stream.tap import watching
from responses_stream.validation import EventValidator

from .upstreams import EVENT_STREAM, Asked, chunk, chunked, frames, posted, tapped

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_compressed_streams_pass_as_they_are_and_are_judged(coding: str) -> None:
    compressor = zlib.compressobj(wbits=31 if coding == "gzip" else 15)
    sent = [compressor.compress(frame) + compressor.flush(zlib.Z_SYNC_FLUSH) for frame in frames()]
    sent.append(compressor.flush())
    head = EVENT_STREAM.replace(b"\r\n\r\n", b"\r\ncontent-encoding: %s\r\n\r\n" % coding.encode())

    async def answer(asked: Asked) -> None:
        await asked.body()
        await asked.say(head, chunked(sent))

    async with tapped(answer) as (wire, tap):
        await wire.send(posted())
        got = await wire.answer("POST")
        assert (got.headers["content-encoding"], got.body) == (coding, b"".join(sent))
        assert (await tap.ended()).endswith("200: 10 events, valid")


@pytest.mark.parametrize(
    ("coding", "body", "why"),
    [
        ("br", b"\x0b\x02\x80Hi\x03", "not judged: its content-encoding is br"),
        ("gzip", b"data: no gzip\n\n", "not judged: its body is not what its content-encoding says"),
        ("gzip", gzip.compress(b"".join(frames()), mtime=0)[:-9], "10 events, valid; its compressed data has no end"),
    ],
)
async def test_what_cannot_be_decoded_passes_all_the_same(coding: str, body: bytes, why: str) -> None:
    async def answer(asked: Asked) -> None:
        await asked.body()
        await asked.say(EVENT_STREAM[:-2], b"content-encoding: %s\r\n\r\n" % coding.encode(), chunked([body]))

    async with tapped(answer) as (wire, tap):
        await wire.send(posted())
        assert (await wire.answer("POST")).body == body
        assert why in await tap.ended()
        assert tap.watch.tally.unjudged == ("not judged" in why)


async def test_violations_are_named_when_they_pass() -> None:
    told = anyio.Event()
    broken = frames()[1:]

    async def answer(asked: Asked) -> None:
        await asked.body()
        await asked.say(EVENT_STREAM, chunk(broken[0]))
        await told.wait()
        await asked.say(chunked(broken[1:]))

    async with tapped(answer) as (wire, tap):
        await wire.send(posted())
        assert (await tap.told.line(" error at event 0, line 1, byte 0, ")).startswith("#1 R030 ")
        told.set()
        await wire.answer("POST")
        assert "9 events, 1 error" in await tap.told.line("200")
    first, second, *_ = tap.watch.tally.lines()
    assert first == "1 exchange, 1 stream, 1 with errors"
    assert second.startswith("  R030 error      1 x  ")


async def test_a_judge_that_fails_is_told_and_the_bytes_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> object:
        raise RuntimeError("out of my depth")

    monkeypatch.setattr(EventValidator, "feed", fail)

    async def answer(asked: Asked) -> None:
        await asked.body()
        await asked.say(EVENT_STREAM, chunked(frames()))

    async with tapped(answer) as (wire, tap):
        await wire.send(posted())
        assert (await wire.answer("POST")).body == b"".join(frames())
        assert "not judged: the judge failed (RuntimeError)" in await tap.told.line("200")
        assert await tap.told.line("out of my depth")
    assert tap.watch.tally.unjudged == 1


async def test_captures_that_cannot_be_written_are_told_and_the_bytes_flow(tmp_path: Path) -> None:
    async def answer(asked: Asked) -> None:
        await asked.body()
        await asked.say(EVENT_STREAM, chunked(frames()))

    async with tapped(answer, out=tmp_path / "out") as (wire, tap):
        (tmp_path / "out").rmdir()
        await wire.send(posted())
        assert (await wire.answer("POST")).body == b"".join(frames())
        assert "10 events, valid; not captured: FileNotFoundError" in await tap.ended()


async def test_violations_beyond_a_number_are_only_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "MOST_TOLD", 1)

    async def answer(asked: Asked) -> None:
        await asked.body()
        await asked.say(EVENT_STREAM, chunked([b"data: {}\n\n", b"data: 1\n\n", b"data: {\n\n"]))

    async with tapped(answer) as (wire, tap):
        await wire.send(posted())
        await wire.answer("POST")
        await tap.told.line("200")
    assert len([line for line in tap.told.lines if " at event " in line]) == 1
    assert tap.watch.tally.violations.total() > 1


async def test_a_replay_is_judged_from_its_cursor() -> None:
    async def answer(asked: Asked) -> None:
        await asked.say(EVENT_STREAM, chunked(frames()[6:]))

    async with tapped(answer) as (wire, tap):
        for query in (b"stream=true&starting_after=5", b"stream=true"):
            await wire.send(b"GET /v1/responses/resp_1?" + query + b" HTTP/1.1\r\nHost: tap\r\n\r\n")
            await wire.answer()
        assert (await tap.told.line("starting_after")).endswith("4 events, valid")
        assert "error" in await tap.told.line("#2 GET")


async def test_a_stream_of_another_type_is_judged_when_it_was_asked_for() -> None:
    async def answer(asked: Asked) -> None:
        await asked.body()
        await asked.say(EVENT_STREAM.replace(b"text/event-stream", b"text/plain"), chunked(frames()))

    async with tapped(answer) as (wire, tap):
        await wire.send(posted())
        await wire.answer("POST")
        assert (await tap.ended()).endswith("10 events, valid; its content-type is text/plain, not text/event-stream")
        await wire.send(posted(b'{"stream": false}'))
        await wire.answer("POST")
        assert "bytes" in await tap.told.line("#2")
