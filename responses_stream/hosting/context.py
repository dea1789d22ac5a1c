"""What a handler knows of the request besides its body."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from responses_stream.builders.stream import ResponseEventStream
from responses_stream.protocol.request import CreateResponse


@attrs.frozen
class ModeFlags:
    """The three answers that make the mode of a response (H 0.3)."""

    stream: bool
    store: bool
    background: bool


@attrs.frozen(kw_only=True)
class ResponseContext:
    """The response that a handler is about to make, and how it was asked for (H17.10).

    Attributes:
        response_id: the id of the response; the events of any other are refused (decision 9).
        request: what was asked for.
        created_at: when it was asked for, in whole seconds since the epoch.
        mode_flags: how it is to be answered.
        conversation_id: the conversation that the request named, if it did.
        client_headers: all headers ``x-client-*``, their names in lower case (H9.6).
        query_parameters: one value for each name; the last one wins, empty ones count (H9.9).
    """

    response_id: str
    request: CreateResponse
    created_at: int
    mode_flags: ModeFlags
    conversation_id: str | None = None
    client_headers: Mapping[str, str] = attrs.field(factory=dict)
    query_parameters: Mapping[str, str] = attrs.field(factory=dict)

    def stream(self) -> ResponseEventStream:
        """Return the builder of this response: its id is set and the request's settings are echoed."""
        return ResponseEventStream(self.response_id, request=self.request)
