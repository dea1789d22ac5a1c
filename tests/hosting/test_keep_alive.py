"""Signs of life in the silence of a stream: when they come, in which form, and that they are no part of it (H13.5).

The handlers here wait at a gate until a sign was read, so nothing depends on how fast the machine is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import anyio
import attrs
import pytest

from responses_stream import HttpReply, ResponsesServerOptions, validate_events
from responses_stream.hosting.options import KeepAlive
from responses_stream.sse import FrameDecoder

from .asking import request_for
from .staging import Stage, check_stream, id_of

pytestmark = pytest.mark.anyio

ID = id_of("a")
COMMENT = b": keep-alive\n\n"
SOON = 0.005
CODEX = {"user-agent": "codex_cli_rs/0.45.0 (Linux)"}
MODES: list[dict[str, Any]] = [{}, {"background": True}, {"store": False}]


def options(keep_alive: KeepAlive, interval: float | None = SOON) -> ResponsesServerOptions:
    return ResponsesServerOptions(keep_alive=keep_alive, sse_keep_alive_interval_seconds=interval)


@attrs.define
class Pieces:
    """The pieces of a body, read one by one."""

    reply: HttpReply
    read: list[bytes] = attrs.field(factory=list)

    async def next(self) -> bytes:
        assert not isinstance(self.reply.body, bytes)
        self.read.append(await anext(aiter(self.reply.body)))
        return self.read[-1]

    async def until(self, piece: bytes) -> None:
        """Read until a piece is there; there is no other way out but the time limit of the test."""
        while piece not in await self.next():
            pass

    async def rest(self) -> bytes:
        """Read to the end, and return all that was read."""
        assert not isinstance(self.reply.body, bytes)
        self.read += [piece async for piece in self.reply.body]
        await self.reply.body.aclose()
        return b"".join(self.read)


async def ask_for_stream(stage: Stage, headers: dict[str, str] | None = None, **body: object) -> Pieces:
    return Pieces(await stage.server.handle(request_for({"stream": True, **body}, headers=headers)))


def events_of(body: bytes) -> list[dict[str, Any]]:
    data = [frame.data for frame in FrameDecoder().feed(body)]
    return [json.loads(one) for one in data if one != b"[DONE]"]


def numbers_of(events: Sequence[dict[str, Any]]) -> list[int]:
    return [event["sequence_number"] for event in events]


@pytest.mark.parametrize("mode", MODES)
async def test_silence_is_filled_with_comments(mode: dict[str, Any]) -> None:
    """Decision 14: the same in every mode that streams; the events are what they would be without."""
    stage = Stage("created in_progress wait message completed", options("comment"))
    pieces = await ask_for_stream(stage, **mode)
    for _ in range(3):
        await pieces.until(COMMENT)
    stage.gates["wait"].open()
    body = await pieces.rest()
    assert set(pieces.read) >= {COMMENT}
    assert body.endswith(b"data: [DONE]\n\n")
    events = events_of(body)
    assert numbers_of(events) == list(range(len(events)))
    assert events[-1]["type"] == "response.completed"
    report = validate_events(body)
    assert report.ok, report


async def test_a_comment_stands_between_whole_frames() -> None:
    """H13.5: the frame is `: keep-alive`, a line feed, and an empty line."""
    stage = Stage("created in_progress wait message completed", options("comment"))
    pieces = await ask_for_stream(stage)
    await pieces.until(COMMENT)
    stage.gates["wait"].open()
    body = await pieces.rest()
    assert all(piece.endswith(b"\n\n") for piece in pieces.read)
    assert body.count(b"keep-alive") == sum(piece == COMMENT for piece in pieces.read)


@pytest.mark.parametrize(("kind", "headers"), [("event", {}), ("event", CODEX), ("auto", CODEX)])
async def test_signs_of_life_may_be_events(kind: KeepAlive, headers: dict[str, str]) -> None:
    """Decisions 14 and 29: for clients that do not count comments; they take no number."""
    stage = Stage("created in_progress wait message completed", options(kind))
    pieces = await ask_for_stream(stage, headers)
    for _ in range(3):
        await pieces.until(b"event: keepalive\n")
    stage.gates["wait"].open()
    body = await pieces.rest()
    assert COMMENT not in body
    signs = [event for event in events_of(body) if event["type"] == "keepalive"]
    others = [event for event in events_of(body) if event["type"] != "keepalive"]
    assert len(signs) >= 3
    assert set(numbers_of(signs)) == {1}, "the number of the last event, repeated"
    assert numbers_of(others) == list(range(len(others)))
    report = validate_events(body)
    assert report.ok, report


@pytest.mark.parametrize("agent", ["openai-python/1.0", ""])
async def test_auto_sends_comments_to_all_others(agent: str) -> None:
    """Decision 14."""
    stage = Stage("created wait completed", options("auto"))
    pieces = await ask_for_stream(stage, {"user-agent": agent} if agent else None)
    await pieces.until(COMMENT)
    stage.gates["wait"].open()
    assert b"keepalive" not in await pieces.rest()


@pytest.mark.parametrize("off", [options("off"), options("comment", None), options("event", None)])
async def test_they_can_be_switched_off(off: ResponsesServerOptions) -> None:
    """Decision 14, H14.4."""
    stage = Stage("created wait completed", off)
    pieces = await ask_for_stream(stage)
    assert [event["type"] for event in events_of(await pieces.next())] == ["response.created"]
    with anyio.move_on_after(SOON * 10) as silence:
        await pieces.next()
    assert silence.cancelled_caught
    stage.gates["wait"].open()
    assert b"keep" not in (await pieces.rest()).lower()


async def test_by_default_a_stream_that_does_not_pause_has_none() -> None:
    """Decision 14: on by default, after 15 s of silence, not every 15 s."""
    stage = Stage()
    assert stage.options.keep_alive == "comment"
    assert stage.options.sse_keep_alive_interval_seconds == 15
    answer = await stage.post(stream=True)
    check_stream(answer)
    assert b"keep-alive" not in answer.body


@pytest.mark.parametrize("kind", ["comment", "event"])
async def test_the_headers_wait_no_longer_than_one_interval(kind: KeepAlive) -> None:
    """Decision 12: then the stream begins with a sign of life, which has the number 0 where it is an event."""
    stage = Stage("wait created in_progress message completed", options(kind))
    pieces = await ask_for_stream(stage)
    assert pieces.reply.status == 200
    first = await pieces.next()
    if kind == "comment":
        assert first == COMMENT
    else:
        assert events_of(first) == [{"type": "keepalive", "sequence_number": 0}]
    stage.gates["wait"].open()
    body = await pieces.rest()
    others = [event for event in events_of(body) if event["type"] != "keepalive"]
    assert numbers_of(others) == list(range(len(others)))
    assert others[0]["type"] == "response.created"
    report = validate_events(body)
    assert report.ok, report


async def test_a_handler_that_fails_behind_the_first_sign_is_told_as_ever() -> None:
    """Decision 12: a lone `error` event, whether or not something was sent before it."""
    stage = Stage("wait raise", options("comment"))
    pieces = await ask_for_stream(stage)
    await pieces.until(COMMENT)
    stage.gates["wait"].open()
    body = await pieces.rest()
    assert [(event["type"], event["sequence_number"]) for event in events_of(body)] == [("error", 0)]
    assert body.endswith(b"data: [DONE]\n\n")


async def test_nothing_follows_the_end() -> None:
    """H13.6: the body ends with the marker, however long nobody reads it."""
    stage = Stage("created in_progress message completed", options("comment", 0.001))
    pieces = await ask_for_stream(stage)
    await stage.stopped.wait()
    await anyio.wait_all_tasks_blocked()
    assert COMMENT not in await pieces.rest()


async def test_they_are_no_part_of_what_is_kept() -> None:
    """Decision 14: a replay has the events alone, and their number is no cursor of its own."""
    stage = Stage("created in_progress wait message completed", options("event"))
    pieces = await ask_for_stream(stage, background=True, response_id=ID)
    await pieces.until(b"keepalive")
    stage.gates["wait"].open()
    body = await pieces.rest()
    replayed = await stage.replay(ID)
    check_stream(replayed)
    assert replayed.events == [event for event in events_of(body) if event["type"] != "keepalive"]
    assert (await stage.replay(ID, "&starting_after=1")).events == replayed.events[2:]


@pytest.mark.parametrize("after", [-1, 0, 99])
@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_live_replay_has_them_as_well(after: int, elsewhere: bool) -> None:
    """H5.20, H13.6: also where another server makes the response."""
    stage = Stage("created in_progress wait message completed", options("comment"))
    asked = Stage(store=stage.store, options=stage.options) if elsewhere else stage
    live = await ask_for_stream(stage, background=True, response_id=ID)
    await stage.gates["wait"].arrived.wait()
    query = f"stream=true&starting_after={after}"
    reply = await asked.server.handle(request_for(method="GET", path=f"/responses/{ID}", query=query))
    pieces = Pieces(reply)
    for _ in range(2):
        await pieces.until(COMMENT)
    stage.gates["wait"].open()
    body = await pieces.rest()
    told = [event for event in events_of(await live.rest()) if event["sequence_number"] > after]
    assert events_of(body) == told


async def test_a_replay_of_what_has_ended_has_none() -> None:
    """H5.20."""
    stage = Stage(options=options("comment", 0.001))
    await stage.post(stream=True, background=True, response_id=ID)
    assert COMMENT not in (await stage.replay(ID)).body


async def test_a_client_that_leaves_in_silence_stops_its_run_and_no_other() -> None:
    """H20.4: signs of life keep nothing alive, and kill nothing."""
    for background in (False, True):
        stage = Stage("created in_progress wait message completed", options("comment"))
        pieces = await ask_for_stream(stage, background=background, response_id=ID)
        await pieces.until(COMMENT)
        assert not isinstance(pieces.reply.body, bytes)
        await pieces.reply.body.aclose()
        if background:
            stage.gates["wait"].open()
        await stage.stopped.wait()
        await anyio.wait_all_tasks_blocked()
        assert (await stage.get(ID)).json["status"] == ("completed" if background else "cancelled")
