"""What a handler is told besides the request, how it looks things up, and how it hears that it has to stop.

H17.10 to H17.15 and H17.18, the lookups of H11.14 to H11.22, and cancellation of H4.7, H4.11 and H18.60 to H18.64.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

import anyio
import anyio.to_thread
import attrs
import pytest

from responses_stream import CreateResponse, ResponseContext, ResponsesServer, ResponsesServerOptions, TextResponse
from responses_stream.hosting.cancellation import CancellationSignal, Cause
from responses_stream.hosting.context import RequestContext, SyncResponseContext
from responses_stream.hosting.identity import Identity
from responses_stream.protocol.ids import new_response_id

from .asking import answer_of, ask, request_for
from .playing import MODES, STREAMS

pytestmark = pytest.mark.anyio

KINDS: Final = pytest.mark.parametrize("kind", ["async", "sync"])


def looking(look: Callable[[Any], Any], kind: str) -> ResponsesServer:
    """Return a server whose handler says what *look* finds in its context, called as its kind calls it."""
    server = ResponsesServer(clock=lambda: 1_800_000_000.9)

    async def in_loop(request: CreateResponse, context: ResponseContext) -> TextResponse:
        found = look(context)
        return TextResponse(context, request, text=str(await found if hasattr(found, "__await__") else found))

    def in_thread(request: CreateResponse, context: SyncResponseContext) -> TextResponse:
        return TextResponse(context, request, text=str(look(context)))

    server.response_handler(in_loop if kind == "async" else in_thread)
    return server


async def text_of(server: ResponsesServer, body: object, **headers: str) -> str:
    answer = await ask(server, body, headers=headers)
    assert answer.status == 200, answer.body
    text: str = answer.json["output"][0]["content"][0]["text"]
    return text


@KINDS
@pytest.mark.parametrize("mode", MODES)
async def test_the_members_of_a_context(kind: str, mode: str) -> None:
    """H17.10 to H17.14, H9.2 to H9.6, H9.9: the same for every kind of handler, in every mode."""
    seen: list[RequestContext] = []
    server = looking(seen.append, kind)
    response_id = new_response_id()
    body = {**MODES[mode], "response_id": response_id, "conversation": {"id": "conv_1"}, "agent_session_id": "mine"}
    headers = {
        "x-client-name": "me",
        "x-client-empty": "",
        "authorization": "secret",
        "x-agent-user-isolation-key": "user",
        "x-agent-chat-isolation-key": "",
        "x-agent-foundry-call-id": "call",
    }
    asked = request_for(body, query="a=1&a=2&b=", headers=headers)
    await answer_of(await server.handle(asked))
    [context] = seen
    assert type(context) is (ResponseContext if kind == "async" else SyncResponseContext)
    assert context.response_id == response_id
    assert context.request.agent_session_id == "mine"
    assert context.raw_body == asked.body
    assert context.created_at == 1_800_000_000
    flags = context.mode_flags
    assert (flags.stream, flags.background) == (mode in STREAMS, mode in ("B", "BS"))
    assert flags.store is (mode not in ("E", "ES"))
    assert (context.conversation_id, context.session_id, context.call_id) == ("conv_1", "mine", "call")
    assert context.client_headers == {"x-client-name": "me", "x-client-empty": ""}
    assert context.query_parameters == {"a": "2", "b": ""}
    assert context.isolation == Identity("user", "")
    assert (context.is_shutdown_requested, context.client_cancelled, context.cancellation.is_set()) == (
        False,
        False,
        False,
    )


async def test_the_builder_of_a_context_echoes_the_request() -> None:
    """H17.20: with the clock of the server."""
    server = ResponsesServer(clock=lambda: 1_800_000_000.9)

    @server.response_handler
    async def tell(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        stream = context.stream()
        yield stream.emit_created()
        yield stream.emit_completed()

    made = (await ask(server, {"metadata": {"a": "b"}, "model": "m"})).json
    assert (made["metadata"], made["model"]) == ({"a": "b"}, "m")
    assert (made["created_at"], made["completed_at"]) == (1_800_000_000, 1_800_000_000)


@KINDS
@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("hi", "hi"),
        ("", ""),
        (None, ""),
        ([], ""),
        ([{"role": "user", "content": "a"}, {"role": "developer", "content": "b"}], "a\nb"),
        (
            [
                {
                    "type": "message",
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "one"},
                        {"type": "input_image", "image_url": "data:,"},
                        {"type": "input_text", "text": "two"},
                    ],
                },
                {"type": "function_call_output", "call_id": "c", "output": "not this"},
            ],
            "one\ntwo",
        ),
    ],
)
async def test_the_text_of_the_input(given: object, text: str, kind: str) -> None:
    """H17.18, H11.14."""
    assert await text_of(looking(lambda context: context.get_input_text(), kind), {"input": given}) == text


def names(items: list[Any]) -> list[str]:
    return [getattr(item, "type", "?") for item in items]


@KINDS
async def test_references_are_resolved_in_place(kind: str) -> None:
    """H11.15 to H11.17, H17.13: what is not there disappears; without resolving, references stay."""
    found: list[Any] = []

    def look(context: Any) -> Any:
        if kind == "sync":
            found.append(context.get_input_items())
            found.append(context.get_input_items(resolve_references=False))
            found.append(context.get_input_text())
            return "ok"

        async def later() -> str:
            found.append(await context.get_input_items())
            found.append(await context.get_input_items(resolve_references=False))
            found.append(await context.get_input_text())
            return "ok"

        return later()

    server = looking(look, kind)
    user = {"x-agent-user-isolation-key": "u"}
    made = (await ask(server, {"input": "first"}, headers=user)).json
    items = (await ask(server, method="GET", path=f"/v1/responses/{made['id']}/input_items", headers=user)).json
    reference = {"type": "item_reference", "id": items["data"][0]["id"]}
    given = [{"role": "user", "content": "new"}, reference, {"type": "item_reference", "id": "msg_nowhere"}]
    found.clear()
    assert (await ask(server, {"input": given}, headers=user)).status == 200
    resolved, unresolved, text = found
    assert (names(resolved), names(unresolved)) == (["message"] * 2, ["message", "item_reference", "item_reference"])
    assert text == "new\nfirst"
    found.clear()
    # Another user's reference finds nothing.
    assert (await ask(server, {"input": given})).status == 200
    assert names(found[0]) == ["message"]


@KINDS
async def test_each_caller_gets_a_list_of_its_own(kind: str) -> None:
    """H11.21."""

    def look(context: Any) -> Any:
        if kind == "sync":
            context.get_input_items().clear()
            context.get_history().clear()
            return len(context.get_input_items()) + len(context.get_history())

        async def later() -> int:
            (await context.get_input_items()).clear()
            (await context.get_history()).clear()
            return len(await context.get_input_items()) + len(await context.get_history())

        return later()

    server = looking(look, kind)
    first = (await ask(server, {"input": "a"})).json
    assert await text_of(server, {"input": "b", "previous_response_id": first["id"]}) == "3"


@KINDS
async def test_the_history_is_what_came_before(kind: str) -> None:
    """H11.2, H11.20, H11.22, W35: inputs and outputs of the turns before, oldest first."""
    seen: list[list[str]] = []

    def note(items: list[Any]) -> str:
        seen.append([item.content[0].text for item in items])
        return f"answer {len(seen)}"

    def look(context: Any) -> Any:
        if kind == "sync":
            return note(context.get_history())

        async def later() -> str:
            return note(await context.get_history())

        return later()

    server = looking(look, kind)
    previous = None
    for turn in ("a", "b", "c"):
        made = await ask(server, {"input": turn, "previous_response_id": previous})
        previous = made.json["id"]
    assert seen == [[], ["a", "answer 1"], ["a", "answer 1", "b", "answer 2"]]


async def test_lookups_that_block_are_for_the_thread_of_a_sync_handler(caplog: pytest.LogCaptureFixture) -> None:
    """What a sync handler returns to be run in the loop must not block the loop: it is told so."""
    server = ResponsesServer()

    @server.response_handler
    def returns_later(request: CreateResponse, context: SyncResponseContext) -> TextResponse:
        async def later() -> str:
            context.get_input_items()
            return "never"

        return TextResponse(context, request, text=later)

    assert (await ask(server, {"input": "x"})).json["status"] == "failed"
    assert "write the handler as `async def`" in caplog.text


@attrs.define
class Waiting:
    """A server whose handler waits for its signal, and then says what it saw."""

    finishes: bool
    options: ResponsesServerOptions | None = None
    waiting: anyio.Event = attrs.field(factory=anyio.Event)
    ended: anyio.Event = attrs.field(factory=anyio.Event)
    causes: list[Cause | None] = attrs.field(factory=list)
    flags: list[bool] = attrs.field(factory=list)
    cancelled: bool = False
    server: ResponsesServer = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.server = ResponsesServer(options=self.options)
        self.server.response_handler(self.handler)

    async def handler(
        self, _request: CreateResponse, context: ResponseContext, signal: CancellationSignal
    ) -> AsyncIterator[Any]:
        assert signal is context.cancellation
        stream = context.stream()
        try:
            yield stream.emit_created()
            self.waiting.set()
            await signal.wait()
            self.causes.append(signal.cause)
            self.flags += [context.client_cancelled, context.is_shutdown_requested]
            if not self.finishes:
                await anyio.sleep_forever()
            yield stream.emit_completed()
        except anyio.get_cancelled_exc_class():
            self.cancelled = True
            raise
        finally:
            self.ended.set()


@pytest.mark.parametrize("finishes", [True, False])
async def test_a_cancel_is_a_signal_first_and_a_cancelled_scope_after_the_grace(finishes: bool) -> None:
    """H4.7, H4.10, H4.11, H18.60: the handler may stop in its own way; what it says then does not count."""
    waiting = Waiting(finishes, ResponsesServerOptions(cancel_grace_seconds=60 if finishes else 0.01))
    made = (await ask(waiting.server, {"background": True})).json
    await waiting.waiting.wait()
    answer = await ask(waiting.server, path=f"/v1/responses/{made['id']}/cancel")
    assert (answer.status, answer.json["status"]) == (200, "cancelled")
    await waiting.ended.wait()
    assert (waiting.causes, waiting.flags) == ([Cause.CANCELLED], [True, False])
    assert waiting.cancelled is not finishes
    got = await ask(waiting.server, method="GET", path=f"/v1/responses/{made['id']}")
    assert (got.json["status"], got.json["output"]) == ("cancelled", [])


async def test_a_client_that_has_gone_is_told_apart_from_a_shutdown() -> None:
    """H18.60 to H18.64: by the cause, and by `client_cancelled`."""
    waiting = Waiting(finishes=False)
    reply = await waiting.server.handle(request_for({"stream": True}))
    await waiting.waiting.wait()
    assert not isinstance(reply.body, bytes)
    await reply.body.aclose()
    await waiting.ended.wait()
    assert waiting.cancelled


async def test_a_shutdown_is_a_flag_and_a_signal() -> None:
    """H17.11, H17.15 and decision 28: what the handler says within the grace counts."""
    waiting = Waiting(finishes=True)
    made = (await ask(waiting.server, {"background": True})).json
    await waiting.waiting.wait()
    await waiting.server.drain()
    assert (waiting.causes, waiting.flags) == ([Cause.SHUTTING_DOWN], [False, True])
    got = await ask(waiting.server, method="GET", path=f"/v1/responses/{made['id']}")
    assert got.json["status"] == "completed"
    assert not waiting.cancelled


async def test_a_sync_handler_sees_the_flags_from_its_thread() -> None:
    """H17.15, H18.60: it cannot be interrupted, so it looks, and is stopped at its next event."""
    server = ResponsesServer(options=ResponsesServerOptions(cancel_grace_seconds=0.01))
    begun, go_on, stopped = threading.Event(), threading.Event(), threading.Event()
    seen: list[bool] = []

    @server.response_handler
    def blocks(_request: CreateResponse, context: SyncResponseContext) -> Iterator[Any]:
        stream = context.stream()
        try:
            yield stream.emit_created()
            begun.set()
            go_on.wait(30)
            seen.extend([context.cancellation.is_set(), context.client_cancelled, context.is_shutdown_requested])
            yield stream.emit_completed()
            seen.append(True)
        finally:
            stopped.set()

    made = (await ask(server, {"background": True})).json
    await anyio.to_thread.run_sync(begun.wait)
    answer = await ask(server, path=f"/v1/responses/{made['id']}/cancel")
    assert answer.json["status"] == "cancelled"
    go_on.set()
    await anyio.to_thread.run_sync(stopped.wait)
    assert seen == [True, True, False]
