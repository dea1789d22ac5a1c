"""The builders of MCP: listing the tools of a server, and calling one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import attrs

from responses_stream.builders import values
from responses_stream.builders.item import ItemBuilder, StringItemBuilder
from responses_stream.builders.streamed import joined
from responses_stream.errors import InvalidType, InvalidValue
from responses_stream.protocol.events import ResponseOutputItemDoneEvent
from responses_stream.protocol.hosted_items import (
    McpCall,
    McpCallError,
    McpListTools,
    McpListToolsTool,
)
from responses_stream.protocol.tool_events import (
    ResponseMcpCallArgumentsDeltaEvent,
    ResponseMcpCallArgumentsDoneEvent,
    ResponseMcpCallCompletedEvent,
    ResponseMcpCallFailedEvent,
    ResponseMcpCallInProgressEvent,
    ResponseMcpListToolsCompletedEvent,
    ResponseMcpListToolsFailedEvent,
    ResponseMcpListToolsInProgressEvent,
)


@attrs.define(eq=False, repr=False)
class McpListToolsBuilder(ItemBuilder):
    """A listing of tools in the making: in_progress, then completed or failed (R149)."""

    item_type: ClassVar[str] = "mcp_list_tools"

    _server_label: str

    def _snapshot(self, status: str | None) -> McpListTools:  # noqa: ARG002  # the type has no status
        return McpListTools(id=self._item_id, server_label=self._server_label, tools=[])

    def emit_in_progress(self) -> ResponseMcpListToolsInProgressEvent:
        """Say that the listing begins. Raises `OutOfOrder` when it has begun, or the item is not open."""
        return self._state_event(ResponseMcpListToolsInProgressEvent)

    def emit_completed(self) -> ResponseMcpListToolsCompletedEvent:
        """Say that the listing worked. Raises `OutOfOrder` unless it has begun."""
        return self._state_event(ResponseMcpListToolsCompletedEvent)

    def emit_failed(self) -> ResponseMcpListToolsFailedEvent:
        """Say that the listing failed; `emit_done` tells why. Raises `OutOfOrder` unless it has begun."""
        return self._state_event(ResponseMcpListToolsFailedEvent)

    def emit_done(
        self, *, tools: Sequence[McpListToolsTool | Mapping[str, Any]] = (), error: str | None = None
    ) -> ResponseOutputItemDoneEvent:
        """End the listing.

        Args:
            tools: what the server offers.
            error: why it could not be listed; given after `emit_failed`, and only then (R148).

        Raises:
            InvalidType, InvalidValue: a tool does not fit, or the error does not fit the events.
            OutOfOrder: neither completed nor failed was said.
        """
        told = None if error is None else values.name("error", error)
        self._check_may_end()
        _check_error(self, error is not None)
        return self._finish(None, tools=values.structs("tools", tools, McpListToolsTool), error=told)


@attrs.define(eq=False, repr=False)
class McpCallBuilder(StringItemBuilder):
    """A call of an MCP tool in the making: in_progress, arguments, then completed or failed (R147)."""

    item_type: ClassVar[str] = "mcp_call"

    _server_label: str
    _name: str
    _approval_request_id: str | None = None

    def _snapshot(self, status: str | None) -> McpCall:
        return McpCall(
            id=self._item_id,
            server_label=self._server_label,
            name=self._name,
            arguments=joined(self._pieces),
            status=status or "in_progress",
            approval_request_id=self._approval_request_id,
            output=None,
            error=None,
        )

    def emit_in_progress(self) -> ResponseMcpCallInProgressEvent:
        """Say that the call begins. Raises `OutOfOrder` when it has begun, or the item is not open."""
        return self._state_event(ResponseMcpCallInProgressEvent)

    def emit_arguments_delta(self, delta: str) -> ResponseMcpCallArgumentsDeltaEvent:
        """Say a piece of the arguments.

        Raises:
            InvalidType: *delta* is not a string.
            InvalidValue: *delta* holds a lone surrogate.
            OutOfOrder: the call has not begun, or its arguments are done (R140).
        """
        return self._delta_event(ResponseMcpCallArgumentsDeltaEvent, delta)

    def emit_arguments_done(self, arguments: str | None = None) -> ResponseMcpCallArgumentsDoneEvent:
        """Say the whole arguments: what the deltas said.

        Raises:
            OutOfOrder: *arguments* is not what the deltas said (R141), or they were done before.
        """
        whole = self._whole(ResponseMcpCallArgumentsDoneEvent, arguments)
        return ResponseMcpCallArgumentsDoneEvent(
            sequence_number=self._core.next_number(),
            item_id=self._item_id,
            output_index=self._index,
            arguments=whole,
        )

    def emit_completed(self) -> ResponseMcpCallCompletedEvent:
        """Say that the call worked. Raises `OutOfOrder` unless its arguments are done."""
        return self._state_event(ResponseMcpCallCompletedEvent)

    def emit_failed(self) -> ResponseMcpCallFailedEvent:
        """Say that the call failed; `emit_done` tells why. Raises `OutOfOrder` unless its arguments are done."""
        return self._state_event(ResponseMcpCallFailedEvent)

    def emit_done(
        self,
        *,
        output: str | None = None,
        error: McpCallError | Mapping[str, Any] | None = None,
        status: Literal["completed", "incomplete", "failed"] | None = None,
    ) -> ResponseOutputItemDoneEvent:
        """End the call.

        Args:
            output: what the tool returned.
            error: why it failed; given after `emit_failed`, and only then (R148).
            status: None takes what the events said: `completed` or `failed`. `incomplete` is for a call that was cut
                short before either.

        Raises:
            InvalidType, InvalidValue: the output or the error does not fit, also not the events.
            OutOfOrder: the status does not fit the events.
        """
        taken = None if error is None else values.one_of("error", error, McpCallError, "MCP error")
        said = values.text_or_none("output", output)
        self._check_may_end()
        _check_error(self, error is not None)
        ended = status or ("failed" if self.has_failed else "completed")
        return self._finish(ended, output=said, error=taken)


def _check_error(builder: ItemBuilder, given: bool) -> None:
    """R148: the failed event and the error go together."""
    if given and not builder.has_failed:
        raise InvalidValue("error", "is given, but emit_failed() was not called (R148)")
    if builder.has_failed and not given:
        raise InvalidType("error", "why it failed, because emit_failed() was called (R148)", None)
