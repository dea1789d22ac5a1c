"""One turn of an agent: what it is asked, where it goes on from, and what it may leave for the next turn.

An agent is a function of a `Turn` whose result is what it says: an async generator of `Said`, or a coroutine that
returns a string, a `Result`, or an async iterable of `Said`. Bridges are such functions, of an agent of a framework.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias

import attrs

from responses_stream.agents.contents import Result, Said
from responses_stream.protocol.conversions import StoredItem
from responses_stream.protocol.items import InputItem
from responses_stream.protocol.request import CreateResponse

__all__ = ["Agent", "AgentResult", "Isolation", "RunContext", "RunInput", "SessionAnchor", "Turn"]


@attrs.frozen
class SessionAnchor:
    """What a turn goes on from (H21.6, H21.31).

    Attributes:
        id: of a previous response, or of a conversation.
        kind: ``snapshot`` for a previous response, which never changes and may be continued more than once; ``head``
            for a conversation, which each turn moves on.
    """

    id: str
    kind: Literal["snapshot", "head"]


@attrs.frozen
class RunInput:
    """What a request asks of an agent (H21.1).

    Attributes:
        messages: the input: messages with their content as parts, and other items such as results of calls.
        options: what else was asked for, under the names of the protocol, without nulls: `model`, `instructions`,
            `tools`, `temperature` ...; not what is about transport and history (H21.4).
        stream: whether events are wanted.
        session: what it goes on from; None where it begins anew.
        caller: who asks, where the client says so (H21.5); not to be trusted.
    """

    messages: Sequence[InputItem]
    options: Mapping[str, Any] = attrs.field(factory=dict)
    stream: bool = False
    session: SessionAnchor | None = None
    caller: str | None = None


@attrs.frozen
class Isolation:
    """Whose turn it is (decision 24).

    Attributes:
        user_key: the user, where one is known.
        chat_key: the chat, where one is known.
    """

    user_key: str | None = None
    chat_key: str | None = None


class HasKeys(Protocol):
    """What says whose a request is, such as `responses_stream.Identity`."""

    @property
    def user_key(self) -> str | None: ...

    @property
    def chat_key(self) -> str | None: ...


class RunContext(Protocol):
    """What an agent needs of the server that runs it; `ResponseContext` is one."""

    @property
    def response_id(self) -> str: ...

    @property
    def isolation(self) -> HasKeys: ...

    async def get_history(self) -> list[StoredItem]: ...

    async def get_input_items(self, *, resolve_references: bool = True) -> Sequence[InputItem | StoredItem]: ...


@attrs.define(eq=False, kw_only=True)
class Turn:
    """One turn of an agent.

    Attributes:
        run: what is asked. A hook may have replaced it.
        response_id: the response that the turn makes.
        request: the body of the request, read.
        session: what the turn before has left here, as JSON values, a copy of this turn's own; None at first and where
            it is not known (any more), for which there is `get_history`. What stands here when the turn has ended is
            what the next one finds.
        isolation: whose turn it is.
        previous_response_id: the response that the request goes on from, or None.
        conversation_id: the conversation that the request belongs to, or None.
    """

    run: RunInput
    response_id: str
    request: CreateResponse
    session: Any = None
    isolation: Isolation = attrs.field(factory=Isolation)
    previous_response_id: str | None = None
    conversation_id: str | None = None
    _history: Callable[[], Awaitable[list[StoredItem]]] | None = None

    async def get_history(self) -> list[StoredItem]:
        """Return the items of the turns before this one as the server keeps them, oldest first; empty without one.

        Raises:
            Exception: whatever the store has trouble with.
        """
        return [] if self._history is None else await self._history()


AgentResult: TypeAlias = AsyncIterable[Said] | Awaitable[str | Result | AsyncIterable[Said]]
"""What calling an agent gives."""

Agent: TypeAlias = Callable[[Turn], AgentResult]
"""What speaks: a function of a turn."""
