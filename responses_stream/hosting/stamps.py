"""What the server writes into every response and item that a handler says, whoever made it.

Lifecycle events carry the id, the session, the conversation, the agent and the model (H2.34), and all the members of
W31 that the handler left out (decision 1); output items say which response and agent they are of (H2.33).
"""

from __future__ import annotations

import functools
import itertools
import operator
import time
from collections.abc import Callable
from typing import Any, Final

import attrs
import msgspec
from msgspec import UNSET

from responses_stream.builders.response import ResponseDraft
from responses_stream.builders.stream import ResponseEventStream
from responses_stream.protocol.base import AgentReference, UnknownItem
from responses_stream.protocol.conversions import get_conversation_expanded
from responses_stream.protocol.items import OutputItem
from responses_stream.protocol.request import CreateResponse, given
from responses_stream.protocol.response import Conversation, ResponseObject

_MEMBERS: Final = tuple(name for name in ResponseObject.__struct_fields__ if name != "extra")
_BLANK: Final = ResponseEventStream("none", clock=lambda: 0).response
_ALWAYS: Final = tuple(name for name in _MEMBERS if getattr(_BLANK, name) is not UNSET)
"""The members that a response has whatever was asked for (W31)."""
_ASKED: Final = tuple(
    name for name in CreateResponse.__struct_fields__ if name in _MEMBERS and name not in (*_ALWAYS, "response_id")
)
"""The members that it has where the request has them."""


@functools.cache
def _says(asked: tuple[str, ...]) -> Callable[[ResponseObject], tuple[object, ...]]:
    """Return what gets all members of a response that may not be absent; every lifecycle event is looked at so."""
    return operator.attrgetter(*_ALWAYS, *asked)


@attrs.frozen
class Stamp:
    """What is written into the response and the items of one run.

    Attributes:
        response_id: the id of the response.
        session_id: of the session that it belongs to.
        agent: the agent that the request named, if it did.
        conversation: the conversation that the request named, if it did.
        created_at: when it was asked for, in whole seconds since the epoch.
        request: what was asked for; its settings are echoed where the handler does not say them.
        clock: seconds since the epoch; when a response has completed, where the handler does not say it (R052).
    """

    response_id: str
    session_id: str
    agent: AgentReference | None
    conversation: Conversation | None
    created_at: int
    request: CreateResponse
    clock: Callable[[], float] = time.time
    _said: Callable[[ResponseObject], tuple[object, ...]] = attrs.field(init=False)
    _echoed: list[ResponseDraft] = attrs.field(init=False, factory=list)

    @_said.default
    def _what_has_to_be_said(self) -> Callable[[ResponseObject], tuple[object, ...]]:
        asked = tuple(name for name in _ASKED if given(getattr(self.request, name)) is not None)
        return _says(asked)

    def response(self, said: ResponseObject, output: list[OutputItem] | None = None) -> ResponseObject:
        """Return what a handler said of its response, complete; with *output* in place of its own."""
        changes: dict[str, Any] = {"response_id": self.response_id, "agent_session_id": self.session_id}
        if self.conversation is not None:
            changes["conversation"] = self.conversation
        if self.agent is not None and not (said.agent_reference and said.agent_reference.name):
            changes["agent_reference"] = self.agent
        if output is not None:
            changes["output"] = output
        elif any(self._lacks(item) for item in said.output):
            changes["output"] = [self.item(item) for item in said.output]
        if not said.model or True in map(operator.is_, self._said(said), itertools.repeat(UNSET)):
            echo = self._echo()
            missing = (name for name in _MEMBERS if getattr(said, name) is UNSET and name not in changes)
            changes.update({name: getattr(echo, name) for name in missing})
            changes["model"] = said.model or echo.model
        if said.status == "completed" and not said.completed_at:
            changes["completed_at"] = max(int(self.clock()), self.created_at)
        return msgspec.structs.replace(said, **changes)

    def item(self, item: OutputItem) -> OutputItem:
        """Return an item with what it lacks; what the handler has set is kept (H2.33)."""
        if not self._lacks(item):
            return item
        if isinstance(item, UnknownItem):
            extra = dict(item.extra or {})
            extra.setdefault("response_id", self.response_id)
            return msgspec.structs.replace(item, extra=extra)
        agent = item.agent_reference or self.agent or UNSET
        return msgspec.structs.replace(item, response_id=item.response_id or self.response_id, agent_reference=agent)

    def _lacks(self, item: OutputItem) -> bool:
        if isinstance(item, UnknownItem):
            return "response_id" not in (item.extra or {})
        return not item.response_id or (self.agent is not None and not item.agent_reference)

    def _echo(self) -> ResponseDraft:
        """Return what the server itself says of the response; made for the first event that lacks something."""
        if not self._echoed:
            stream = ResponseEventStream(self.response_id, self.request, clock=lambda: self.created_at)
            self._echoed.append(stream.response)
        return self._echoed[0]


def stamp_of(
    request: CreateResponse, response_id: str, session_id: str, created_at: int, clock: Callable[[], float]
) -> Stamp:
    """Return the stamp of the response that *request* asks for."""
    return Stamp(
        response_id,
        session_id,
        given(request.agent_reference) or None,
        get_conversation_expanded(request),
        created_at,
        request,
        clock,
    )
