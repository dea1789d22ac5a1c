"""In which ways a handler is asked: one `Mode` for each way that the engine can answer.

A mode says what goes into the request and how the engine is asked: by `ask`, which takes the answer to its end, or by
a function of its own, where somebody polls, cancels or leaves.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import anyio
import attrs

from responses_stream.accumulator import accumulate
from responses_stream.errors import DecodeError, InvalidValue
from responses_stream.hosting.http import HttpRequest
from responses_stream.hosting.server import ResponsesServer
from responses_stream.protocol.base import Event, UnknownEvent
from responses_stream.protocol.codec import to_builtins
from responses_stream.protocol.events import LifecycleEvent
from responses_stream.sse import decode_events

_STREAM: Final = "text/event-stream"


@attrs.frozen(slots=False)
class Answer:
    """What a client got, read once.

    Attributes:
        status: the HTTP status.
        content_type: the media type, without its parameters.
        body: all of it.
    """

    status: int
    content_type: str
    body: bytes

    @property
    def is_stream(self) -> bool:
        """Whether the body is an event stream."""
        return self.content_type == _STREAM

    @functools.cached_property
    def events(self) -> list[Event | UnknownEvent]:
        """The events of a stream; none where it cannot be read, which its validation tells."""
        try:
            return list(decode_events(self.body, number_missing=True)) if self.is_stream else []
        except DecodeError:
            return []

    @functools.cached_property
    def response(self) -> dict[str, Any] | None:
        """The response that the answer tells of, as plain data; None where it tells of none."""
        if self.status != 200:
            return None
        return folded(self.events) if self.is_stream else self._json

    @property
    def error(self) -> dict[str, Any]:
        """The error in the body of an answer that is one."""
        found = (self._json or {}).get("error")
        return found if isinstance(found, dict) else {}

    @property
    def outcome(self) -> str:
        """How it ended, for people."""
        if self.status != 200:
            return f"{self.status} {self.error.get('code') or ''}".rstrip()
        status = str(self.response.get("status")) if self.response is not None else "error"
        count = len(self.events)
        return f"{status}, {count} event{'' if count == 1 else 's'}" if self.is_stream else status

    @property
    def _json(self) -> dict[str, Any] | None:
        try:
            found = json.loads(self.body)
        except ValueError:
            return None
        return found if isinstance(found, dict) else None


def folded(events: Sequence[Event | UnknownEvent]) -> dict[str, Any] | None:
    """Return the response that *events* tell of, as plain data; None where they tell of none."""
    if not any(isinstance(event, LifecycleEvent) for event in events):
        return None
    return to_builtins(accumulate(events))


Ask: TypeAlias = Callable[[ResponsesServer, bytes], Awaitable[Answer]]
"""Asks an engine with the body of a request, and returns what a client would have got in the end."""


async def ask(server: ResponsesServer, body: bytes) -> Answer:
    """Post *body*, and read the answer to its end.

    Being cancelled says that the client has gone, as it does to a transport.
    """
    path = f"{server.options.prefix or '/v1'}/responses"
    headers = (("content-type", "application/json"), ("content-length", str(len(body))))
    reply = await server.handle(HttpRequest("POST", path, headers=headers, body=body))
    content_type = (reply.header("content-type") or "").partition(";")[0].strip()
    if isinstance(reply.body, bytes):
        return Answer(reply.status, content_type, reply.body)
    try:
        pieces = [piece async for piece in reply.body]
    finally:
        with anyio.CancelScope(shield=True):
            await reply.body.aclose()
    return Answer(reply.status, content_type, b"".join(pieces))


@attrs.frozen
class Mode:
    """One way to ask.

    Attributes:
        name: what reports call it.
        members: what the request says.
        like: the mode that has to give the same answer, where there is one; it stands further up in the table.
        ask: how the engine is asked.
    """

    name: str
    members: Mapping[str, bool]
    like: str | None = None
    ask: Ask = ask

    @property
    def streams(self) -> bool:
        """Whether the answer is a stream."""
        return self.members["stream"]

    def request(self, members: Mapping[str, Any], model: str) -> dict[str, Any]:
        """Return the request that asks for *members* in this mode, of *model* where they name none."""
        # What a mode says is not the business of what is asked; stream_options without a stream are refused (H8).
        left_out = {"background", *self.members, *(() if self.streams else ("stream_options",))}
        kept = {name: value for name, value in members.items() if name not in left_out}
        return {"model": model, **kept, **self.members}


MODES: Final = (
    Mode("json", MappingProxyType({"stream": False, "store": True})),
    Mode("stream", MappingProxyType({"stream": True, "store": True}), like="json"),
    Mode("json-unstored", MappingProxyType({"stream": False, "store": False})),
    Mode("stream-unstored", MappingProxyType({"stream": True, "store": False}), like="json-unstored"),
)
"""The modes that hosting has. What comes to have more of them, comes to have more lines here."""


def modes(names: Collection[str] | None = None) -> tuple[Mode, ...]:
    """Return the modes called *names*, all by default.

    Raises:
        InvalidValue: there is no such mode.
    """
    known = [mode.name for mode in MODES]
    for name in names if names is not None else ():
        if name not in known:
            raise InvalidValue("modes", f"{name!r} is no mode; they are {', '.join(known)}")
    return tuple(mode for mode in MODES if names is None or mode.name in names)


def body_of(request: Mapping[str, Any]) -> bytes:
    """Return *request* as it is sent.

    Raises:
        TypeError, ValueError: something in it is no JSON.
    """
    # Escaped, so that half a surrogate pair in somebody's request is the engine's to refuse.
    return json.dumps(request).encode()
