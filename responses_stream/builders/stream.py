"""`ResponseEventStream`: writes the events of one response, in the only order that the protocol knows.

`emit_*` returns one event, numbered from 0. `add_output_item_*` returns the builder of an item, `output_item_*` a whole
item. A call out of order raises `OutOfOrder`, says what may be called now, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from responses_stream import lifecycle
from responses_stream.builders import values
from responses_stream.builders.conveniences import Conveniences
from responses_stream.builders.core import make_core
from responses_stream.builders.events import Events
from responses_stream.builders.plain import PlainItemBuilder, given_item
from responses_stream.builders.response import ResponseDraft
from responses_stream.errors import InvalidValue
from responses_stream.protocol.events import (
    ResponseCompletedEvent,
    ResponseCreatedEvent,
    ResponseErrorEvent,
    ResponseFailedEvent,
    ResponseIncompleteEvent,
    ResponseInProgressEvent,
    ResponseQueuedEvent,
)
from responses_stream.protocol.items import OutputItem
from responses_stream.protocol.request import CreateResponse
from responses_stream.protocol.response import (
    ErrorPayload,
    IncompleteDetails,
    IncompleteReason,
    ResponseError,
    ResponseObject,
    ResponseUsage,
)

SERVER_ERROR: Final = "server_error"
SERVER_ERROR_MESSAGE: Final = "An internal server error occurred."
"""What a client is told of a failure whose reason is not its business (H0.3, H17.21)."""


class ResponseEventStream(Conveniences):
    """The events of one response.

    Args:
        response_id: the id of the response; it is in every event that carries the response.
        request: what was asked for, as a `CreateResponse` or a plain dict; its settings are echoed (decision 1).
        response: an existing response to go on from (H17.20): its items stay, new ones come behind them.
        created: whether `response.created` was said of *response* before; it was where it has items.
        clock: seconds since the epoch, for `created_at` and `completed_at`.
        make_item_id: makes an id from the type of an item and the id of the response.

    Raises:
        InvalidType, InvalidValue: an argument does not fit, or *response* has another id.
    """

    __slots__ = ()

    def __init__(
        self,
        response_id: str,
        request: CreateResponse | Mapping[str, Any] | None = None,
        response: ResponseObject | Mapping[str, Any] | None = None,
        *,
        clock: Callable[[], float] | None = None,
        make_item_id: Callable[[str, str], str] | None = None,
        created: bool = False,
    ) -> None:
        self._core = make_core(response_id, request, response, clock, make_item_id, created)

    @property
    def response_id(self) -> str:
        """The id of the response."""
        return self._core.response_id

    @property
    def response(self) -> ResponseDraft:
        """The response: to be configured by assignment before `emit_created`, and only to be read after it."""
        return self._core.view()

    def emit_created(self, *, status: Literal["in_progress", "queued"] = "in_progress") -> ResponseCreatedEvent:
        """Say that the response is there. With *status* `queued`, `emit_queued` may follow.

        Raises:
            InvalidValue: the status is another (R040), or `response` was configured with something that cannot be sent.
            OutOfOrder: it was said before (R031).
        """
        if status not in ("in_progress", "queued"):
            raise InvalidValue("status", f"is {status!r}; a response begins as 'in_progress' or 'queued' (R040)")
        variant = "[queued]" if status == "queued" else ""
        said = self._core.say(lifecycle.CREATED, variant, status=status)
        return ResponseCreatedEvent(sequence_number=self._core.next_number(), response=said)

    def emit_queued(self) -> ResponseQueuedEvent:
        """Say that the response waits.

        Raises:
            OutOfOrder: it was not created as queued, or is waiting or running already (R032-R034, R041).
        """
        said = self._core.say(lifecycle.QUEUED, status="queued")
        return ResponseQueuedEvent(sequence_number=self._core.next_number(), response=said)

    def emit_in_progress(self) -> ResponseInProgressEvent:
        """Say that the response is being made; items may be added from here on.

        Raises:
            OutOfOrder: it was not created (R030), or this was said before (R035).
        """
        said = self._core.say(lifecycle.IN_PROGRESS, status="in_progress")
        return ResponseInProgressEvent(sequence_number=self._core.next_number(), response=said)

    def emit_completed(self, *, usage: ResponseUsage | Mapping[str, Any] | None = None) -> ResponseCompletedEvent:
        """End the response: it is finished.

        Args:
            usage: the tokens that it cost; they have to add up (R057).

        Raises:
            InvalidType, InvalidValue: the usage does not fit.
            OutOfOrder: an item is open (R079), one is incomplete (R059), or the response has ended.
        """
        counted = values.usage(usage)
        core = self._core
        said = core.say(
            lifecycle.COMPLETED, status="completed", completed_at=core.now(), output=core.output(), usage=counted
        )
        return ResponseCompletedEvent(sequence_number=core.next_number(), response=said)

    def emit_failed(
        self,
        code: str = SERVER_ERROR,
        message: str = SERVER_ERROR_MESSAGE,
        *,
        usage: ResponseUsage | Mapping[str, Any] | None = None,
    ) -> ResponseFailedEvent:
        """End the response: it failed. Items that are done stay, open ones are left out (decision 10).

        Raises:
            InvalidType, InvalidValue: the code or the message is empty or no text (R050), or the usage does not fit.
            OutOfOrder: it was not created, or has ended.
        """
        error = ResponseError(code=values.name("code", code), message=values.name("message", message))
        counted = values.usage(usage)
        core = self._core
        said = core.say(lifecycle.FAILED, status="failed", error=error, output=core.output(), usage=counted)
        return ResponseFailedEvent(sequence_number=core.next_number(), response=said)

    def emit_cancelled(self) -> ResponseFailedEvent:
        """End the response: it was cancelled. The event is `response.failed`, its status `cancelled` (decision 6).

        Raises:
            OutOfOrder: it was not created, or has ended.
        """
        said = self._core.say(lifecycle.FAILED, status="cancelled", output=[])
        return ResponseFailedEvent(sequence_number=self._core.next_number(), response=said)

    def emit_incomplete(
        self,
        reason: IncompleteReason | str = "max_output_tokens",
        *,
        usage: ResponseUsage | Mapping[str, Any] | None = None,
    ) -> ResponseIncompleteEvent:
        """End the response: it stopped early. An item that was cut short is done as `incomplete` first.

        Raises:
            InvalidType, InvalidValue: the reason is empty or no text (R051), or the usage does not fit.
            OutOfOrder: an item is open (R088), or the response was not created or has ended.
        """
        details = IncompleteDetails(reason=values.name("reason", reason))
        counted = values.usage(usage)
        core = self._core
        said = core.say(
            lifecycle.INCOMPLETE, status="incomplete", incomplete_details=details, output=core.output(), usage=counted
        )
        return ResponseIncompleteEvent(sequence_number=core.next_number(), response=said)

    def emit_error(
        self, code: str = SERVER_ERROR, message: str = SERVER_ERROR_MESSAGE, *, param: str | None = None
    ) -> ResponseErrorEvent:
        """Tell an error, in its flat and its nested shape (decision 5). `emit_failed` follows, and nothing else (R171).

        Before `emit_created` it is the only event of the stream (H3.10).

        Raises:
            InvalidType, InvalidValue: the code or the message is empty, or one of the arguments is no text.
            OutOfOrder: an error was told before (R176), or the response has ended.
        """
        kind, said = values.name("code", code), values.name("message", message)
        blamed = values.text_or_none("param", param)
        self._core.stop(lifecycle.ERROR)
        return ResponseErrorEvent(
            sequence_number=self._core.next_number(),
            code=kind,
            message=said,
            param=blamed,
            error=ErrorPayload(message=said, type=kind, code=kind, param=blamed),
        )

    def add_output_item(self, item: OutputItem | Mapping[str, Any]) -> PlainItemBuilder:
        """Return the builder of an item that is given whole, of a type that is unknown or that is only added and done.

        Its `id` is kept, and made where it has none; where its type has a status and it has none, it is completed.

        Raises:
            InvalidType: *item* is neither an item nor a dict.
            InvalidValue: a member of it does not fit, its type is never in the output (R080), or the type has events
                of its own and a factory of its own, whose name the message tells; `output_item` says it at once.
        """
        return self._plain(given_item(item))

    def output_item(self, item: OutputItem | Mapping[str, Any], *, item_id: str | None = None) -> Events:
        """Say the whole of an item that is there already, of any type, by all events that its type has.

        The done item is *item*, members that nobody knows included; an id, a status and the like are filled in where
        it has none.

        Args:
            item: an item of the protocol, typed or as a dict.
            item_id: its id in this response; None keeps its own.

        Raises:
            InvalidType: *item* is neither an item nor a dict, or its type or its id is no string.
            InvalidValue: a member of it does not fit, its type is never in the output (R080), or no events can tell
                it, because it is not done yet (R078) or contradicts itself.
        """
        # Loaded when it is first asked for: a stream of text does not pay for what knows every item.
        from responses_stream.builders.whole_items import output_item

        return output_item(self, item, item_id=item_id)

    def __repr__(self) -> str:
        return f"<ResponseEventStream {self.response_id}, {self._core.state}, {self._core.number} events>"
