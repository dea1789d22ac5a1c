"""What clients do with a response besides reading it to its end: poll, read again, cancel, leave.

Each is a function that asks an engine and returns what a client would have got in the end, or None where the handler
was told to stop and did not. None of them waits for time to pass: a handler that is to be stopped in the middle is held
there (`Hold`), so that one which says all it has at once is stopped in the middle as well.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import anyio
import anyio.lowlevel
import attrs

from responses_stream.checking.answers import Answer
from responses_stream.checking.watching import Heard, Hold
from responses_stream.hosting.http import HttpReply, HttpRequest
from responses_stream.hosting.server import ResponsesServer

TO_BE_CANCELLED: Final = 1.0
"""How many seconds a handler has to end once it was cancelled; one that heeds it needs none."""

Ask: TypeAlias = Callable[[ResponsesServer, bytes, Heard], Awaitable[Answer | None]]
"""Asks an engine with the body of a request, while what the handler says is heard."""


async def ask(server: ResponsesServer, body: bytes, _heard: Heard) -> Answer:
    """Post *body*, and read the answer to its end.

    Being cancelled says that the client has gone, as it does to a transport.
    """
    return await _read(await server.handle(_posted(server, body)))


async def ask_and_poll(server: ResponsesServer, body: bytes, heard: Heard) -> Answer:
    """Post *body*, and get the response until it has ended."""
    answer = await ask(server, body, heard)
    if answer.status != 200:
        return answer
    # Before that, there is nothing to be got; after it, the engine is about to end the response.
    await heard.said_all.wait()
    while answer.is_live:
        await anyio.lowlevel.checkpoint()
        answer = await _get(server, heard)
    return answer


async def ask_and_replay(server: ResponsesServer, body: bytes, heard: Heard) -> Answer:
    """Post *body*, read the stream to its end, then read it again: from the beginning, and from the middle."""
    live = await ask(server, body, heard)
    # A lone error is not stored, and cannot be read again (decision 12).
    return live if live.response is None else attrs.evolve(live, trouble=await _replay_trouble(server, heard, live))


async def ask_and_cancel(server: ResponsesServer, body: bytes, heard: Heard) -> Answer | None:
    """Post *body*, read the stream to its middle, cancel the response, and read the stream to its end."""
    heard.hold = Hold.IN_THE_MIDDLE
    reply = await server.handle(_posted(server, body))
    if isinstance(reply.body, bytes):
        return await _read(reply)
    try:
        pieces = await _read_to_the_middle(reply, heard)
        if not heard.held.is_set():
            return _answer(reply, pieces)
        answer: Answer | None = None
        with anyio.move_on_after(patience(server)):
            cancelled = await _read(await server.handle(_request(server, "POST", heard, "/cancel")))
            if cancelled.status != 200:
                return attrs.evolve(cancelled, trouble=("a response that was live could not be cancelled",))
            await heard.finished()
            pieces += [piece async for piece in reply.body]
            answer = _answer(reply, pieces)
    finally:
        await _close(reply)
    if answer is None:
        endless = "the stream does not end after the response was cancelled"
        return attrs.evolve(_answer(reply, pieces), trouble=(endless,)) if heard.has_finished else None
    got = await _get(server, heard)
    trouble = await _replay_trouble(server, heard, answer)
    for what, seen in (("the stream", answer), ("the reply to the cancel", cancelled), ("the response", got)):
        if seen.response is None or seen.response.get("status") != "cancelled":
            trouble += (f"{what} is {seen.outcome} after it was cancelled",)
    return attrs.evolve(answer, trouble=trouble)


async def ask_and_leave(server: ResponsesServer, body: bytes, heard: Heard) -> Answer | None:
    """Post *body*, read the stream to its middle, and leave."""
    heard.hold = Hold.IN_THE_MIDDLE
    reply = await server.handle(_posted(server, body))
    if isinstance(reply.body, bytes):
        return await _read(reply)
    try:
        pieces = await _read_to_the_middle(reply, heard)
    finally:
        await _close(reply)
    return await _left(server, heard) if heard.held.is_set() else _answer(reply, pieces)


async def ask_and_leave_at_once(server: ResponsesServer, body: bytes, heard: Heard) -> Answer | None:
    """Post *body*, and leave before the handler's first event is there."""
    heard.hold = Hold.AT_ONCE
    reply: HttpReply | None = None
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:

        async def leave() -> None:
            await heard.held.wait()
            tasks.cancel_scope.cancel()

        tasks.start_soon(leave)
        try:
            reply = await server.handle(_posted(server, body))
        except Exception as error:  # not to be wrapped into a group
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return await _left(server, heard) if reply is None else await _read(reply)


def patience(server: ResponsesServer) -> float:
    """Return how many seconds a handler has to come to its end when it was told to stop."""
    return server.options.cancel_grace_seconds + TO_BE_CANCELLED


async def cancel(server: ResponsesServer, heard: Heard) -> None:
    """Cancel a background response that nobody waits for any more, and wait for its handler, no longer than it may."""
    with anyio.move_on_after(patience(server)):
        await _read(await server.handle(_request(server, "POST", heard, "/cancel")))
        await heard.finished()


async def _left(server: ResponsesServer, heard: Heard) -> Answer | None:
    """Return what became of the response of a client that has left."""
    with anyio.move_on_after(patience(server)):
        await heard.finished()
        # Until the engine has ended it, there is nothing to be seen (decision 16).
        while (answer := await _get(server, heard)).status == 404 and heard.told_to_stop:
            await anyio.lowlevel.checkpoint()
        if heard.told_to_stop and (answer.response is None or answer.response.get("status") != "cancelled"):
            return attrs.evolve(answer, trouble=(f"it is {answer.outcome} after its client has left",))
        return answer
    if heard.has_finished:
        return Answer(404, "", b"", ("the response cannot be found after its client has left",))
    return None


async def _replay_trouble(server: ResponsesServer, heard: Heard, live: Answer) -> tuple[str, ...]:
    """Return what is wrong with the replays of a stream that was read live."""
    trouble = []
    for first in (0, len(live.events) // 2):
        replay = await _get(server, heard, f"stream=true&starting_after={first - 1}")
        if replay.frames != live.frames[first:]:
            trouble.append(f"the replay of the stream from event {first} on is not what was streamed")
    return tuple(trouble)


async def _read_to_the_middle(reply: HttpReply, heard: Heard) -> list[bytes]:
    """Read until all is read that was said before the handler was held, or to the end where it was not."""
    assert not isinstance(reply.body, bytes)
    pieces: list[bytes] = []
    async for piece in reply.body:
        pieces.append(piece)
        if heard.held.is_set() and len(_answer(reply, pieces).frames) >= len(heard.events):
            break
    return pieces


async def _get(server: ResponsesServer, heard: Heard, query: str = "") -> Answer:
    return await _read(await server.handle(_request(server, "GET", heard, query=query)))


async def _read(reply: HttpReply) -> Answer:
    if isinstance(reply.body, bytes):
        return _answer(reply, [reply.body])
    try:
        return _answer(reply, [piece async for piece in reply.body])
    finally:
        await _close(reply)


async def _close(reply: HttpReply) -> None:
    assert not isinstance(reply.body, bytes)
    with anyio.CancelScope(shield=True):
        await reply.body.aclose()


def _answer(reply: HttpReply, pieces: list[bytes]) -> Answer:
    content_type = (reply.header("content-type") or "").partition(";")[0].strip()
    return Answer(reply.status, content_type, b"".join(pieces))


def _posted(server: ResponsesServer, body: bytes) -> HttpRequest:
    headers = (("content-type", "application/json"), ("content-length", str(len(body))))
    return HttpRequest("POST", _path(server), headers=headers, body=body)


def _request(server: ResponsesServer, method: str, heard: Heard, below: str = "", query: str = "") -> HttpRequest:
    return HttpRequest(method, f"{_path(server)}/{heard.response_id}{below}", query)


def _path(server: ResponsesServer) -> str:
    return f"{server.options.prefix or '/v1'}/responses"
