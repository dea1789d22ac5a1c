"""`GET /responses/{id}?stream=true`: the stream again, from any event on and to its end (section 5.2)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import attrs
import pytest

from responses_stream import CreateResponse, HttpReply, ResponseContext, ResponsesServerOptions, validate_events
from responses_stream.builders.events import AsyncYield
from responses_stream.sse import FrameDecoder

from .asking import Answer, answer_of, ask, request_for
from .staging import (
    Stage,
    WatchedStore,
    begin,
    check_bad_parameter,
    check_not_found,
    check_stream,
    id_of,
)

pytestmark = pytest.mark.anyio

ID = id_of("a")
NOT_BACKGROUND = "This response cannot be streamed because it was not created with background=true."
NOT_STREAM = "This response cannot be streamed because it was not created with stream=true."
GONE = "This response cannot be streamed because it was not created with stream=true or the stream TTL has expired."
BS: dict[str, Any] = {"background": True, "stream": True, "response_id": ID}


@attrs.define
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def frames_of(answer: Answer) -> list[bytes]:
    """The frames of an event stream without its end marker, to the byte."""
    assert answer.body.endswith(b"data: [DONE]\n\n")
    return [frame + b"\n\n" for frame in answer.body.removesuffix(b"data: [DONE]\n\n").split(b"\n\n")[:-1]]


async def test_the_forms_of_yes() -> None:
    """Decision 23, pains B14."""
    stage = Stage()
    await stage.post(**BS)
    for value in ("true", "1", "yes", "TRUE", "Yes", "%20true%20"):
        check_stream(await stage.get(ID, f"stream={value}"))


async def test_the_forms_of_no() -> None:
    """Decision 23: a cursor is not looked at then."""
    stage = Stage()
    await stage.post(**BS)
    for value in ("false", "0", "no", "FALSE", ""):
        answer = await stage.get(ID, f"stream={value}&starting_after=x")
        assert answer.json["status"] == "completed", value


async def test_anything_else_is_refused() -> None:
    """Decision 23; whatever the response is, and if there is none."""
    stage = Stage()
    for value in ("2", "on", "truee", "null", "true,true", "%00"):
        check_bad_parameter(await stage.get(ID, f"stream={value}"), "stream", "stream must be true or false")


async def test_a_replay_is_the_stream_of_the_creator_to_the_byte() -> None:
    """H5.1, H5.16, H5.21, pains B15: from its `created` on, with the end marker, and as often as wanted."""
    stage = Stage()
    told = await stage.post(**BS)
    check_stream(told)
    for _ in range(2):
        assert (await stage.replay(ID)).body == told.body
    assert validate_events(told.body, retrieved=(await stage.get(ID)).json).ok


@pytest.mark.parametrize("end", ["failed", "incomplete", "raise", "return"])
async def test_a_response_that_went_wrong_replays_too(end: str) -> None:
    """H3.12, H3.13, H5.21."""
    stage = Stage(f"created in_progress message {end}")
    told = await stage.post(**BS)
    check_stream(told)
    assert (await stage.replay(ID)).body == told.body


async def test_the_invented_lifecycle_replays() -> None:
    """H3.1."""
    stage = Stage("return")
    told = await stage.post(**BS)
    check_stream(told)
    assert (await stage.replay(ID)).body == told.body


async def test_a_stream_that_was_never_created_has_no_replay() -> None:
    """H20.6, H3.3."""
    stage = Stage("raise")
    assert (await stage.post(**BS)).types == ["error"]
    check_not_found(await stage.replay(ID), ID)
    check_not_found(await stage.get(ID), ID)


async def test_from_any_event_on_the_rest_is_the_same_to_the_byte() -> None:
    """H5.15: strictly behind the cursor; what a client has read and what it gets then are one stream."""
    stage = Stage("created in_progress message message completed")
    told = await stage.post(**BS)
    frames = frames_of(told)
    for after in range(-1, len(frames)):
        rest = await stage.replay(ID, f"&starting_after={after}")
        assert rest.status == 200
        assert frames_of(rest) == frames[after + 1 :]
        if rest.events:
            report = validate_events(rest.body, original=told.body, starting_after=after)
            assert report.ok, report


async def test_the_forms_of_a_cursor() -> None:
    """H5.15: normal integer rules."""
    stage = Stage()
    told = await stage.post(**BS)
    forms = {"%202": 3, "%2B2": 3, "+2": 3, "2%0A": 3, "002": 3, "-5": 0, "-0": 1, "-1": 0}
    for value, first in forms.items():
        assert (await stage.replay(ID, f"&starting_after={value}")).events == told.events[first:], value


async def test_what_is_no_cursor() -> None:
    """H5.9, H5.10: told before anything is looked up."""
    stage = Stage()
    await stage.post(**BS)
    for value in ("", "1.5", "x", "1_0", "0x1", "1e1", "None", "--1", "9" * 40, "%D9%A1", "1,2"):
        for response_id in (ID, id_of("b")):
            answer = await stage.replay(response_id, f"&starting_after={value}")
            check_bad_parameter(answer, "starting_after", "starting_after must be an integer")


async def test_behind_the_last_event_there_is_only_the_end_marker() -> None:
    """H5.16, pains D3: a client can tell that from an empty answer."""
    stage = Stage()
    last = (await stage.post(**BS)).events[-1]["sequence_number"]
    for after in (last, last + 1, 1000, 10**17):
        answer = await stage.replay(ID, f"&starting_after={after}")
        assert (answer.status, answer.body) == (200, b"data: [DONE]\n\n")


async def test_the_end_marker_is_an_option_of_the_replay_as_well() -> None:
    """Decision 2, H5.19."""
    stage = Stage(options=ResponsesServerOptions(sse_done_marker=False))
    told = await stage.post(**BS)
    replayed = await stage.replay(ID)
    assert replayed.body == told.body
    assert b"[DONE]" not in replayed.body
    assert (await stage.replay(ID, "&starting_after=99")).body == b""


async def test_the_headers_of_a_replay() -> None:
    """H5.19, H13.3, H9.22: those of a create, but for the session, which only the server's own one is."""
    stage = Stage()
    told = await stage.post(**BS)
    replayed = await stage.replay(ID, headers={"x-request-id": "mine"})
    assert "x-agent-session-id" in told.headers
    assert replayed.headers == {
        **{name: value for name, value in told.headers.items() if name != "x-agent-session-id"},
        "x-request-id": "mine",
    }
    assert b"\nid:" not in replayed.body
    configured = Stage(options=ResponsesServerOptions(agent_session_id="s1"))
    await configured.post(**BS)
    assert (await configured.replay(ID)).headers["x-agent-session-id"] == "s1"
    assert (await configured.get(ID)).headers["x-agent-session-id"] == "s1"


async def test_head_has_no_body() -> None:
    """Decision 17, also of a stream."""
    stage = Stage("created in_progress wait completed")
    async with anyio.create_task_group() as tasks:
        live = await stage.stream(tasks, **BS)
        answer = await ask(stage.server, method="HEAD", path=f"/responses/{ID}", query="stream=true")
        assert (answer.status, answer.body) == (200, b"")
        stage.gates["wait"].open()
        check_stream(await live.wait())


@pytest.mark.parametrize("mode", [{}, {"stream": True}])
async def test_a_foreground_response_has_no_replay(mode: dict[str, Any]) -> None:
    """H5.7, H5.12."""
    stage = Stage()
    await stage.post(response_id=ID, **mode)
    check_bad_parameter(await stage.replay(ID), "stream", NOT_BACKGROUND)
    check_bad_parameter(await stage.replay(ID, "&starting_after=0"), "stream", NOT_BACKGROUND)


async def test_a_response_that_was_no_stream_has_no_replay() -> None:
    """H5.8 while it runs, H5.13 afterwards."""
    stage = Stage("created wait completed")
    await stage.post(response_id=ID, background=True)
    check_bad_parameter(await stage.replay(ID), "stream", NOT_STREAM)
    stage.gates["wait"].open()
    await anyio.wait_all_tasks_blocked()
    check_bad_parameter(await stage.replay(ID), "stream", GONE)


@pytest.mark.parametrize("mode", [{"store": False}, {"store": False, "stream": True}])
async def test_what_was_not_stored_has_no_replay(mode: dict[str, Any]) -> None:
    """H5.6."""
    stage = Stage()
    await stage.post(response_id=ID, **mode)
    check_not_found(await stage.replay(ID), ID)


async def test_events_are_kept_for_their_retention_and_the_response_longer() -> None:
    """H5.18, H5.13, decision 27: counted from the end of the response, all of them at once."""
    clock = Clock()
    stage = Stage("created in_progress message wait completed", store=WatchedStore(clock=clock))
    async with anyio.create_task_group() as tasks:
        live = await stage.stream(tasks, **BS)
        clock.now += 10_000  # however long the run takes
        early = begin(tasks, lambda: stage.replay(ID))
        await anyio.wait_all_tasks_blocked()
        stage.gates["wait"].open()
        told = await live.wait()
        assert (await early.wait()).body == told.body
    clock.now += 599.9
    assert (await stage.replay(ID)).body == told.body
    clock.now += 0.1
    for query in ("", "&starting_after=3", "&starting_after=999"):
        check_bad_parameter(await stage.replay(ID, query), "stream", GONE)
    assert (await stage.get(ID)).json == told.events[-1]["response"]
    clock.now += 86_400
    check_not_found(await stage.replay(ID), ID)
    check_not_found(await stage.get(ID), ID)


# While it runs


async def test_followers_get_what_was_there_and_what_comes() -> None:
    """H5.17, H2.19: the creator, and several that come at different times, at different points, get all events."""
    stage = Stage("created in_progress one message two message completed")
    async with anyio.create_task_group() as tasks:
        creator = await stage.stream(tasks, **BS)
        await stage.gates["one"].arrived.wait()
        early = [begin(tasks, lambda: stage.replay(ID)) for _ in range(3)]
        behind = begin(tasks, lambda: stage.replay(ID, "&starting_after=0"))
        await anyio.wait_all_tasks_blocked()
        stage.gates["one"].open()
        await stage.gates["two"].arrived.wait()
        late = begin(tasks, lambda: stage.replay(ID))
        ahead = begin(tasks, lambda: stage.replay(ID, "&starting_after=10"))
        far = begin(tasks, lambda: stage.replay(ID, "&starting_after=1000"))
        await anyio.wait_all_tasks_blocked()
        assert not creator.done.is_set()
        assert not far.done.is_set()
        stage.gates["two"].open()
        told = await creator.wait()
        check_stream(told)
        for one in (*early, late):
            assert (await one.wait()).body == told.body
        assert frames_of(await behind.wait()) == frames_of(told)[1:]
        assert frames_of(await ahead.wait()) == frames_of(told)[11:]
        assert (await far.wait()).body == b"data: [DONE]\n\n"


async def test_readers_that_leave_do_not_disturb_the_run() -> None:
    """H2.29, H13.8, H20.4: neither the creator nor a follower."""
    stage = Stage("created in_progress wait message completed")
    replies: list[HttpReply] = [await stage.server.handle(request_for(BS))]
    path = f"/responses/{ID}"
    replies += [await stage.server.handle(request_for(method="GET", path=path, query="stream=1")) for _ in range(2)]
    for reply in replies:
        assert not isinstance(reply.body, bytes)
        await anext(aiter(reply.body))
        await reply.body.aclose()
    assert not stage.contexts[0].cancellation.is_set()
    stage.gates["wait"].open()
    await anyio.wait_all_tasks_blocked()
    check_stream(await stage.replay(ID))
    assert (await stage.get(ID)).json["status"] == "completed"


async def test_a_follower_that_stands_still_still_gets_all() -> None:
    """H20.23: it holds a position, and takes the rest when it goes on, from memory or from the store."""
    stage = Stage()
    pieces = [f"{number:04}" + "x" * 16_000 for number in range(60)]
    gate = stage.gates["wait"]

    async def long(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[AsyncYield]:
        stream = context.stream()
        yield stream.emit_created()
        yield stream.emit_in_progress()
        await gate.enter()
        yield stream.output_item_message(iter(pieces))
        yield stream.emit_completed()

    stage.server.response_handler(long)
    async with anyio.create_task_group() as tasks:
        creator = await stage.stream(tasks, **BS)
        await gate.arrived.wait()
        reply = await stage.server.handle(
            request_for(method="GET", path=f"/responses/{ID}", query="stream=true&starting_after=-1")
        )
        assert not isinstance(reply.body, bytes)
        read = [await anext(aiter(reply.body))]
        gate.open()
        told = await creator.wait()
        read += [piece async for piece in reply.body]
    check_stream(told)
    assert b"".join(read) == told.body == (await stage.replay(ID)).body


async def test_a_log_of_many_pages_replays_whole() -> None:
    """Decision 27 sets the only limit: no page of a store does."""
    stage = Stage()

    async def many(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[AsyncYield]:
        stream = context.stream()
        yield stream.emit_created()
        yield stream.emit_in_progress()
        yield stream.output_item_message(str(number % 10) for number in range(2500))
        yield stream.emit_completed()

    stage.server.response_handler(many)
    told = await stage.post(**BS)
    check_stream(told)
    assert (await stage.replay(ID)).body == told.body
    assert frames_of(await stage.replay(ID, "&starting_after=2400")) == frames_of(told)[2401:]


async def test_a_run_of_another_server_is_followed_through_the_store() -> None:
    """H20.37: backlog and live tail, to the byte."""
    here = Stage("created in_progress one message two message completed")
    there = Stage(store=here.store)
    async with anyio.create_task_group() as tasks:
        creator = await here.stream(tasks, **BS)
        await here.gates["one"].arrived.wait()
        followers = [
            begin(tasks, lambda: there.replay(ID)),
            begin(tasks, lambda: there.replay(ID, "&starting_after=1")),
        ]
        await anyio.wait_all_tasks_blocked()
        here.gates["one"].open()
        await here.gates["two"].arrived.wait()
        here.gates["two"].open()
        told = await creator.wait()
        assert (await followers[0].wait()).body == told.body
        assert frames_of(await followers[1].wait()) == frames_of(told)[2:]


async def test_each_piece_of_a_stream_is_whole_frames() -> None:
    """A client that is cut off between two pieces has whole events, and resumes behind the last of them."""
    stage = Stage("created in_progress message one message completed")
    reply = await stage.server.handle(request_for(BS))
    assert not isinstance(reply.body, bytes)
    await stage.gates["one"].arrived.wait()
    await anyio.wait_all_tasks_blocked()
    read = await anext(aiter(reply.body))
    await reply.body.aclose()
    frames = list(FrameDecoder().feed(read))
    assert read.count(b"\n\n") == len(frames)
    stage.gates["one"].open()
    rest = await answer_of(
        await stage.server.handle(
            request_for(method="GET", path=f"/responses/{ID}", query=f"stream=1&starting_after={len(frames) - 1}")
        )
    )
    whole = await stage.replay(ID)
    assert read + rest.body == whole.body
