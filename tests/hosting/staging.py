"""Servers for tests: a handler that plays scenes and waits where it is told to, over a store that can be watched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

import anyio
import attrs
from anyio.abc import TaskGroup

from responses_stream import (
    CreateResponse,
    MemoryStore,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
    validate_events,
)
from responses_stream.builders.events import AsyncYield
from responses_stream.stores.base import (
    Claim,
    Ending,
    EventPage,
    Item,
    ItemPage,
    Key,
    NewResponse,
    Notices,
    StoredResponse,
)

from .asking import Answer, answer_of, ask, request_for

FAILURE = "An internal server error occurred."
NOT_FOUND = "Response with id '{}' not found."
STORAGE_MESSAGE = (
    "An internal error occurred while storing the response. Subsequent retrieval is not guaranteed. "
    "Please retry the request."
)

_PATIENCE: Final = 5.0
"""A test that fails must not wait for ever."""


def id_of(letter: str) -> str:
    """Return an id that a client may choose."""
    return "resp_" + letter * 50


class HandlerFault(Exception):
    """What a handler raises."""


class StoreTrouble(Exception):
    """What a store raises."""


@attrs.define(eq=False)
class Gate:
    """A place to wait at; who waits there is seen, and is let through for good by `open`."""

    arrived: anyio.Event = attrs.field(factory=anyio.Event)
    opened: anyio.Event = attrs.field(factory=anyio.Event)

    async def enter(self) -> None:
        self.arrived.set()
        await self.opened.wait()

    def open(self) -> None:
        self.opened.set()


@attrs.define(eq=False, kw_only=True)
class WatchedStore(MemoryStore):
    """A memory store that tells what was called, and fails or waits where a test wants that.

    ``ending`` in *broken* or *gates* means an `append` that ends a response.
    """

    calls: list[str] = attrs.field(factory=list)
    broken: set[str] = attrs.field(factory=set)
    gates: dict[str, Gate] = attrs.field(factory=dict)

    async def _enter(self, *names: str) -> None:
        self.calls.append(names[0])
        for name in names:
            if name in self.gates:
                await self.gates[name].enter()
            if name in self.broken:
                raise StoreTrouble(f"{name} is broken")

    async def create(self, new: NewResponse, frames: Sequence[bytes] = ()) -> None:
        await self._enter("create")
        await super().create(new, frames)

    async def append(
        self, key: Key, owner: str, first: int, frames: Sequence[bytes], ending: Ending | None = None
    ) -> None:
        await self._enter("append", *(["ending"] if ending is not None else []))
        await super().append(key, owner, first, frames, ending)

    async def get(self, key: Key) -> StoredResponse:
        await self._enter("get")
        return await super().get(key)

    async def events(self, key: Key, after: int = -1) -> EventPage:
        await self._enter("events")
        return await super().events(key, after)

    async def cancel(self, key: Key) -> StoredResponse:
        await self._enter("cancel")
        return await super().cancel(key)

    async def delete(self, key: Key) -> None:
        await self._enter("delete")
        await super().delete(key)

    async def input_items(
        self,
        key: Key,
        *,
        limit: int,
        descending: bool = True,
        after: str | None = None,
        before: str | None = None,
    ) -> ItemPage:
        await self._enter("input_items")
        return await super().input_items(key, limit=limit, descending=descending, after=after, before=before)

    async def history(
        self, partition: str, *, previous_response_id: str | None = None, conversation_id: str | None = None, limit: int
    ) -> Sequence[Item]:
        await self._enter("history")
        return await super().history(
            partition, previous_response_id=previous_response_id, conversation_id=conversation_id, limit=limit
        )

    async def items(self, partition: str, ids: Sequence[str]) -> Sequence[Item | None]:
        await self._enter("items")
        return await super().items(partition, ids)

    async def claim(self, partition: str, idempotency_key: str, digest: bytes, response_id: str, owner: str) -> Claim:
        await self._enter("claim")
        return await super().claim(partition, idempotency_key, digest, response_id, owner)

    async def unclaim(self, partition: str, idempotency_key: str, response_id: str, owner: str) -> None:
        await self._enter("unclaim")
        await super().unclaim(partition, idempotency_key, response_id, owner)

    async def attend(self, owner: str, lease: float, seconds: float, *, grace: float = 0.0) -> Notices:
        if "attend" in self.broken:
            raise StoreTrouble("attend is broken")
        return await super().attend(owner, lease, seconds, grace=grace)


@attrs.define(eq=False)
class Stage:
    """A server whose handler plays scenes, separated by blanks.

    ``created``, ``queued``, ``in_progress``, ``completed``, ``failed`` and ``incomplete`` say that; ``message`` says a
    whole message; ``wait`` waits at the gate of that name, ``stubborn`` waits at its gate whatever happens, ``signal``
    waits until the run has to stop; ``raise`` raises, ``return`` ends.
    """

    scenes: str = "created in_progress message completed"
    options: ResponsesServerOptions = attrs.field(factory=ResponsesServerOptions)
    store: WatchedStore = attrs.field(factory=WatchedStore)
    gates: defaultdict[str, Gate] = attrs.field(factory=lambda: defaultdict(Gate))
    contexts: list[ResponseContext] = attrs.field(factory=list)
    stopped: anyio.Event = attrs.field(factory=anyio.Event)
    server: ResponsesServer = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.server = ResponsesServer(store=self.store, options=self.options)
        self.server.response_handler(self.handler)

    async def handler(self, _request: CreateResponse, context: ResponseContext) -> AsyncIterator[AsyncYield]:
        self.contexts.append(context)
        stream = context.stream()
        said: dict[str, Callable[[], AsyncYield]] = {
            "created": stream.emit_created,
            "queued": lambda: stream.emit_created(status="queued"),
            "in_progress": stream.emit_in_progress,
            "completed": stream.emit_completed,
            "failed": lambda: stream.emit_failed(code="server_error", message="No."),
            "incomplete": lambda: stream.emit_incomplete(reason="max_output_tokens"),
        }
        try:
            for scene in self.scenes.split():
                if scene == "message":
                    yield stream.output_item_message("Hello")
                elif scene == "raise":
                    raise HandlerFault
                elif scene == "return":
                    return
                elif scene == "signal":
                    with anyio.move_on_after(_PATIENCE, shield=True):
                        await context.cancellation.wait()
                elif scene == "stubborn":
                    with anyio.move_on_after(_PATIENCE, shield=True):
                        await self.gates[scene].enter()
                elif scene in said:
                    yield said[scene]()
                else:
                    await self.gates[scene].enter()
        finally:
            self.stopped.set()

    async def post(self, headers: dict[str, str] | None = None, **body: object) -> Answer:
        return await ask(self.server, body, headers=headers)

    async def get(self, response_id: str, query: str = "", headers: dict[str, str] | None = None) -> Answer:
        path = f"/v1/responses/{response_id}"
        return await ask(self.server, method="GET", path=path, query=query, headers=headers)

    async def replay(self, response_id: str, query: str = "", headers: dict[str, str] | None = None) -> Answer:
        return await self.get(response_id, f"stream=true{query}", headers)

    async def cancel(self, response_id: str, headers: dict[str, str] | None = None) -> Answer:
        return await ask(self.server, path=f"/v1/responses/{response_id}/cancel", headers=headers)

    async def delete(self, response_id: str, headers: dict[str, str] | None = None) -> Answer:
        return await ask(self.server, method="DELETE", path=f"/v1/responses/{response_id}", headers=headers)

    async def input_items(self, response_id: str, query: str = "", headers: dict[str, str] | None = None) -> Answer:
        path = f"/v1/responses/{response_id}/input_items"
        return await ask(self.server, method="GET", path=path, query=query, headers=headers)

    async def stream(self, tasks: TaskGroup, headers: dict[str, str] | None = None, **body: object) -> Pending:
        """Ask for a stream, and read it in the background once its headers are there."""
        reply = await self.server.handle(request_for({"stream": True, **body}, headers=headers))
        return begin(tasks, lambda: answer_of(reply))


@attrs.define(eq=False)
class Pending:
    """An answer that is being waited for in a task of its own."""

    done: anyio.Event = attrs.field(factory=anyio.Event)
    _answer: Answer | Exception | None = None

    async def wait(self) -> Answer:
        """Return the answer, or raise what the call has raised."""
        with anyio.fail_after(_PATIENCE):
            await self.done.wait()
        if isinstance(self._answer, Exception):
            raise self._answer
        assert self._answer is not None
        return self._answer

    async def run(self, call: Callable[[], Awaitable[Answer]]) -> None:
        try:
            self._answer = await call()
        except Exception as error:
            self._answer = error
        self.done.set()


def begin(tasks: TaskGroup, call: Callable[[], Awaitable[Answer]]) -> Pending:
    """Make a call in the background."""
    pending = Pending()
    tasks.start_soon(pending.run, call)
    return pending


def check_stream(answer: Answer) -> None:
    """Check that an answer is a whole stream that our own validator has nothing against."""
    assert answer.status == 200, answer.body
    assert answer.data[-1] == "[DONE]"
    report = validate_events(answer.body)
    assert report.ok, report
    assert [event["sequence_number"] for event in answer.events] == list(range(len(answer.events)))


def check_error(answer: Answer, status: int, code: str, message: str, param: str | None) -> None:
    """Check all of an error, but for the id of its request."""
    assert answer.status == status, answer.body
    error = answer.error
    assert (error["code"], error["message"], error["param"]) == (code, message, param)
    assert error["additionalInfo"] == {"request_id": answer.headers["x-request-id"]}
    assert answer.headers["x-platform-error-source"] == ("user" if status < 500 else "platform")


def check_bad_parameter(answer: Answer, param: str, message: str) -> None:
    """Check a 400 of the endpoints that take an id."""
    check_error(answer, 400, "invalid_request_error", message, param)


def check_not_found(answer: Answer, response_id: str) -> None:
    """H5.2: every 404 of an id is the same."""
    check_error(answer, 404, "invalid_request_error", NOT_FOUND.format(response_id), "response_id")
