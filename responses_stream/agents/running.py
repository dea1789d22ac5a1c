"""One turn of an agent, from its request to its last event: the session, the hooks, the agent, and how all of it ends.

There are two sides. The producing one opens the session, runs the hooks and the agent, and keeps the session; it runs
in a context of its own (`isolation`). The other one makes events of what it says. The session is kept before the
terminal event is made, so that who has read that event can go on from it, and so that a store that fails can still be
told. Whatever ends the turn early, be it a cancellation in the middle or before the agent was asked, closes the agent,
tells the hooks, and keeps the session too (H21.36).
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Final

import anyio
import attrs

from responses_stream.agents.contents import Result, Said, Update
from responses_stream.agents.hooks import DROPPED, Hooks, settled
from responses_stream.agents.isolation import BoundTurn, context_of, in_context
from responses_stream.agents.releasing import release_async
from responses_stream.agents.rendering import RunFailed, ToolCalls, said_on
from responses_stream.agents.sessions import Session
from responses_stream.agents.turn import Agent, AgentResult, RunInput, Turn
from responses_stream.builders.events import AsyncEvents
from responses_stream.builders.stream import ResponseEventStream
from responses_stream.errors import DecodeError, InvalidType, InvalidValue

__all__ = ["STORAGE_ERROR", "STORAGE_MESSAGE", "AgentRun", "TurnEvents"]

_log: Final = logging.getLogger("responses_stream")

STORAGE_ERROR: Final = "storage_error"
STORAGE_MESSAGE: Final = "An internal error occurred while storing the session. Please retry the request."
"""What a client is told where the session could not be read or kept."""

_HOOK_SECONDS: Final = 10.0
"""How long a hook `on_break` may take: somebody waits for the cancellation to end."""


@attrs.define(eq=False, kw_only=True)
class AgentRun:
    """An agent that makes one response.

    Attributes:
        agent: what speaks.
        turn: what it is asked. A hook may replace it.
        stream: writes the events.
        session: what the turn finds, and leaves; not yet open.
        hooks: what runs around it.
        model: what the response names as its model from the beginning; None where the updates say it.
        tool_calls: as for `render_stream`.
        read_input: reads the input anew where that has to be waited for; may raise what `run_input` does.
    """

    agent: Agent
    turn: Turn
    stream: ResponseEventStream
    session: Session
    hooks: Hooks
    model: str | None = None
    tool_calls: ToolCalls = "hosted"
    read_input: Callable[[], Awaitable[RunInput]] | None = None
    _said: list[Said] = attrs.field(factory=list, init=False)
    _said_model: str | None = attrs.field(default=None, init=False)
    _opened: bool = attrs.field(default=False, init=False)
    _over: bool = attrs.field(default=False, init=False)

    def events(self) -> TurnEvents:
        """Return the events of the response, to be read once, within ``async with``.

        While they are read, whatever the agent or a hook raised comes out, but `RunFailed`, which is told.

        Raises:
            InvalidType, InvalidValue: the model is no name.
        """
        context = context_of(BoundTurn.of(self.turn))
        context.run(self.session.bind)
        updates = in_context(self._updates(), context)
        events = said_on(self.stream, updates, model=self.model, tool_calls=self.tool_calls)
        return TurnEvents(events, self.session)

    async def _updates(self) -> AsyncGenerator[Said, None]:
        """Yield what is said; the session is kept behind the last of it, whatever that is."""
        try:
            await self._begin()
            hooks, turn = self.hooks, self.turn
            async with aclosing(_updates_of(self.agent(turn))) as updates:
                async for update in updates:
                    if hooks.on_update is not None:
                        other = await settled(hooks.on_update(update, turn))
                        if other is DROPPED:
                            continue
                        update = update if other is None else other
                    if hooks.gathers:
                        self._gather(update)
                    if not hooks.hold_back:
                        yield update
            if hooks.after_result is not None:
                for update in await self._replaced():
                    yield update
            self._over = True
            await self._save()
        finally:
            await self._end()

    async def _begin(self) -> None:
        if self.read_input is not None:
            try:
                self.turn.run = await self.read_input()
            except (DecodeError, InvalidType, InvalidValue) as error:
                # What is wrong with a request is the business of who has sent it.
                raise RunFailed("invalid_prompt", str(error)) from error
        try:
            await self.session.open()
        except Exception as error:
            raise self._storage_failed("read") from error
        self.turn.session = self.session.state
        self._opened = True
        if self.hooks.before_run is not None:
            replaced = await settled(self.hooks.before_run(self.turn))
            if isinstance(replaced, Turn):
                self.turn = replaced
            elif isinstance(replaced, RunInput):
                self.turn.run = replaced
            elif replaced is not None:
                raise InvalidType("what before_run returned", "a Turn, a RunInput or None", replaced)

    def _gather(self, update: Said) -> None:
        if isinstance(update, Update) and update.model is not None and self._said_model is None:
            self._said_model = update.model
        self._said.append(update)

    async def _replaced(self) -> Sequence[Said]:
        """Return what is to be said behind what was said, as `after_result` wants it."""
        assert self.hooks.after_result is not None
        said = tuple(self._said)
        other = await settled(self.hooks.after_result(Result(said, self._said_model), self.turn))
        if other is None:
            return said if self.hooks.hold_back else ()
        if not isinstance(other, Result):
            raise InvalidType("what after_result returned", "a Result or None", other)
        self._said = list(other.said)
        if self.hooks.hold_back:
            return self._said if other.model is None else [Update((), other.model), *self._said]
        if tuple(self._said[: len(said)]) != said:
            raise InvalidValue(
                "what after_result returned",
                "does not begin with what was said, which cannot be taken back; "
                "add to it, or set Hooks(hold_back=True), so that nothing is said before it has been seen",
            )
        return self._said[len(said) :]

    async def _save(self) -> None:
        self.session.state = self.turn.session
        try:
            await self.session.save()
        except (InvalidType, InvalidValue):
            raise  # what the agent has left there cannot be kept, and that is no fault of the store
        except Exception as error:
            raise self._storage_failed("kept") from error

    async def _end(self) -> None:
        """Tell the hooks of a run that broke off, and close the session. Nothing of it is cancelled."""
        if self._opened and not self._over:
            await self._tell_break()
        if self._opened:
            self.session.state = self.turn.session
        await self.session.close(broken=True)

    async def _tell_break(self) -> None:
        if self.hooks.on_break is None:
            return
        try:
            with anyio.CancelScope(shield=True), anyio.fail_after(_HOOK_SECONDS):
                await settled(self.hooks.on_break(Result(tuple(self._said), self._said_model), self.turn))
        except Exception:
            _log.exception("the hook on_break of %s raised", self.turn.response_id)

    def _storage_failed(self, what: str) -> RunFailed:
        _log.error("the session of %s could not be %s", self.turn.response_id, what, exc_info=True)
        return RunFailed(STORAGE_ERROR, STORAGE_MESSAGE)


class TurnEvents(AsyncEvents):
    """The events of a turn, which begins where they are entered. Closing them ends it, also before the agent was asked.

    Raises:
        RuntimeError: where they are entered, as `Session.begin` does.
    """

    __slots__ = ("_events", "_session")

    def __init__(self, events: AsyncEvents, session: Session) -> None:
        super().__init__(events)
        self._events, self._session = events, session

    async def __aenter__(self) -> TurnEvents:
        self._session.begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """See `AsyncEvents.aclose`."""
        await self._events.aclose()
        await self._session.close(broken=True)


async def _updates_of(result: AgentResult) -> AsyncGenerator[Said, None]:
    """Yield what an agent says, whatever form it has chosen; what it has open is closed with this."""
    said: object = result
    if not isinstance(said, AsyncIterable) and inspect.isawaitable(said):
        said = await said
    if isinstance(said, str):
        yield said
    elif isinstance(said, Result):
        if said.model is not None:
            yield Update((), said.model)
        for one in said.said:
            yield one
    elif isinstance(said, AsyncIterable):
        source = aiter(said)
        try:
            async for one in source:
                yield one
        finally:
            await release_async(source)
            if said is not source:
                await release_async(said)
    else:
        raise InvalidType("what the agent returned", "an async iterable, a string or a Result", said)
