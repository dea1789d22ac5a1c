"""The builders of messages, reasoning, and the calls of functions and custom tools."""

from __future__ import annotations

from typing import ClassVar

import attrs
from msgspec import UNSET

from responses_stream.builders import values
from responses_stream.builders.item import FinalStatus, ItemBuilder, StringItemBuilder
from responses_stream.builders.streamed import joined
from responses_stream.builders.texts import (
    ContentPartBuilder,
    ReasoningTextBuilder,
    RefusalContentBuilder,
    SummaryPartBuilder,
    TextContentBuilder,
)
from responses_stream.builders.values import or_unset
from responses_stream.protocol.events import ResponseOutputItemDoneEvent
from responses_stream.protocol.hosted_items import (
    Caller,
)
from responses_stream.protocol.items import (
    MessagePhase,
    ResponseCustomToolCall,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseReasoningItem,
)
from responses_stream.protocol.parts import ContentPart
from responses_stream.protocol.tool_events import (
    ResponseCustomToolCallInputDeltaEvent,
    ResponseCustomToolCallInputDoneEvent,
    ResponseFunctionCallArgumentsDeltaEvent,
    ResponseFunctionCallArgumentsDoneEvent,
)


@attrs.define(eq=False, repr=False)
class MessageBuilder(ItemBuilder):
    """A message of the assistant in the making: text and refusals, one part after the other."""

    item_type: ClassVar[str] = "message"

    _phase: MessagePhase | None = None

    @property
    def phase(self) -> MessagePhase | None:
        """What the message is for."""
        return self._phase

    def _snapshot(self, status: str | None) -> ResponseOutputMessage:
        return ResponseOutputMessage(
            id=self._item_id,
            status=status or "completed",
            content=[part.snapshot() for part in self._parts_of("content", ContentPartBuilder)],
            phase=or_unset(self._phase),
        )

    def add_text_content(self) -> TextContentBuilder:
        """Return the builder of a part of text; its own `emit_added` begins it."""
        return TextContentBuilder(self)

    def add_refusal_content(self) -> RefusalContentBuilder:
        """Return the builder of a refusal; its own `emit_added` begins it."""
        return RefusalContentBuilder(self)

    def emit_done(self, *, status: FinalStatus = "completed") -> ResponseOutputItemDoneEvent:
        """End the message.

        Raises:
            OutOfOrder: it is not open, a part is (R104), or it is incomplete and not the last item (R059).
        """
        return self._finish(status)


@attrs.define(eq=False, repr=False)
class ReasoningBuilder(ItemBuilder):
    """Reasoning in the making: summary parts, raw text, and the encrypted form to send back."""

    item_type: ClassVar[str] = "reasoning"

    _encrypted_content: str | None = None

    def _snapshot(self, status: str | None) -> ResponseReasoningItem:
        content: list[ContentPart] = [part.snapshot() for part in self._parts_of("content", ReasoningTextBuilder)]
        return ResponseReasoningItem(
            id=self._item_id,
            summary=[part.snapshot() for part in self._parts_of("summary", SummaryPartBuilder)],
            content=or_unset(content or None),
            encrypted_content=or_unset(self._encrypted_content),
            status=status if status is not None else UNSET,
        )

    def add_summary_part(self) -> SummaryPartBuilder:
        """Return the builder of a part of the summary; its own `emit_added` begins it."""
        return SummaryPartBuilder(self)

    def add_text_content(self) -> ReasoningTextBuilder:
        """Return the builder of a part of raw reasoning; its own `emit_added` begins it."""
        return ReasoningTextBuilder(self)

    def emit_done(
        self, *, status: FinalStatus = "completed", encrypted_content: str | None = None
    ) -> ResponseOutputItemDoneEvent:
        """End the reasoning.

        Args:
            status: how it ended.
            encrypted_content: the opaque form for the client to send back, where it was asked for.

        Raises:
            InvalidType: *encrypted_content* is not a string.
            OutOfOrder: it is not open, a part is (R104), or it is incomplete and not the last item (R059).
        """
        if encrypted_content is None:
            return self._finish(status)
        return self._finish(status, encrypted_content=values.text("encrypted_content", encrypted_content))


@attrs.define(eq=False, repr=False)
class ClientCallBuilder(StringItemBuilder):
    """A call that the client answers, in the making."""

    _name: str
    _call_id: str
    _namespace: str | None = None
    _caller: Caller | None = None
    _is_async: bool | None = None

    @property
    def name(self) -> str:
        """The name of what is called."""
        return self._name

    @property
    def call_id(self) -> str:
        """What the client answers to."""
        return self._call_id

    def emit_done(self, *, status: FinalStatus = "completed") -> ResponseOutputItemDoneEvent:
        """End the call.

        Raises:
            OutOfOrder: its value is not done (R143), or it is incomplete and not the last item (R059).
        """
        return self._finish(status)


class FunctionCallBuilder(ClientCallBuilder):
    """A call of a function of the client in the making: its arguments, JSON in a string."""

    __slots__ = ()

    item_type: ClassVar[str] = "function_call"

    def _snapshot(self, status: str | None) -> ResponseFunctionToolCall:
        return ResponseFunctionToolCall(
            id=self._item_id,
            call_id=self._call_id,
            name=self._name,
            arguments=joined(self._pieces),
            status=status,
            namespace=or_unset(self._namespace),
            caller=or_unset(self._caller),
            is_async=or_unset(self._is_async),
        )

    def emit_arguments_delta(self, delta: str) -> ResponseFunctionCallArgumentsDeltaEvent:
        """Say a piece of the arguments.

        Raises:
            InvalidType: *delta* is not a string.
            InvalidValue: *delta* holds a lone surrogate.
            OutOfOrder: the call is not open, or its arguments are done (R140).
        """
        return self._delta_event(ResponseFunctionCallArgumentsDeltaEvent, delta)

    def emit_arguments_done(self, arguments: str | None = None) -> ResponseFunctionCallArgumentsDoneEvent:
        """Say the whole arguments, what the deltas said, and the name of the function (D11).

        Raises:
            OutOfOrder: *arguments* is not what the deltas said (R141), or they were done before.
        """
        whole = self._whole(ResponseFunctionCallArgumentsDoneEvent, arguments)
        return ResponseFunctionCallArgumentsDoneEvent(
            sequence_number=self._core.next_number(),
            item_id=self._item_id,
            output_index=self._index,
            arguments=whole,
            name=self._name,
        )


class CustomToolCallBuilder(ClientCallBuilder):
    """A call of a custom tool of the client in the making: its input, free text."""

    __slots__ = ()

    item_type: ClassVar[str] = "custom_tool_call"

    def _snapshot(self, status: str | None) -> ResponseCustomToolCall:
        return ResponseCustomToolCall(
            id=self._item_id,
            call_id=self._call_id,
            name=self._name,
            input=joined(self._pieces),
            status=status,
            namespace=or_unset(self._namespace),
            caller=or_unset(self._caller),
            is_async=or_unset(self._is_async),
        )

    def emit_input_delta(self, delta: str) -> ResponseCustomToolCallInputDeltaEvent:
        """Say a piece of the input.

        Raises:
            InvalidType: *delta* is not a string.
            InvalidValue: *delta* holds a lone surrogate.
            OutOfOrder: the call is not open, or its input is done (R140).
        """
        return self._delta_event(ResponseCustomToolCallInputDeltaEvent, delta)

    def emit_input_done(self, input: str | None = None) -> ResponseCustomToolCallInputDoneEvent:
        """Say the whole input: what the deltas said.

        Raises:
            OutOfOrder: *input* is not what the deltas said (R141), or it was done before.
        """
        whole = self._whole(ResponseCustomToolCallInputDoneEvent, input)
        return ResponseCustomToolCallInputDoneEvent(
            sequence_number=self._core.next_number(), item_id=self._item_id, output_index=self._index, input=whole
        )
