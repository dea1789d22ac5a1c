"""The builders of parts: output text, refusals, raw reasoning, and summaries of reasoning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, TypeVar

import attrs

from responses_stream import lifecycle
from responses_stream.builders import values
from responses_stream.builders.part import PartBuilder, name_of
from responses_stream.builders.streamed import confirmed, joined
from responses_stream.protocol.events import (
    PartDeltaEvent,
    ResponseContentPartAddedEvent,
    ResponseContentPartDoneEvent,
    ResponseOutputTextAnnotationAddedEvent,
    ResponseReasoningSummaryPartAddedEvent,
    ResponseReasoningSummaryPartDoneEvent,
    ResponseReasoningSummaryTextDeltaEvent,
    ResponseReasoningSummaryTextDoneEvent,
    ResponseReasoningTextDeltaEvent,
    ResponseReasoningTextDoneEvent,
    ResponseRefusalDeltaEvent,
    ResponseRefusalDoneEvent,
    ResponseTextDeltaEvent,
    ResponseTextDoneEvent,
)
from responses_stream.protocol.parts import (
    ContentPart,
    Logprob,
    ReasoningText,
    ResponseOutputRefusal,
    ResponseOutputText,
    SummaryText,
    TextAnnotation,
)

D = TypeVar("D", bound=PartDeltaEvent)

_TEXT_DELTA: Final = "response.output_text.delta"
# The column of the table that the hot path asks, so that it asks once.
_AFTER_TEXT_DELTA: Final = {
    state: steps[_TEXT_DELTA] for state, steps in lifecycle.PARTS["output_text"].items() if _TEXT_DELTA in steps
}


class ContentPartBuilder(PartBuilder):
    """A part of `content` in the making."""

    __slots__ = ()

    member: ClassVar[str] = "content"

    def snapshot(self) -> ContentPart:
        """Return the part as it stands."""
        raise AssertionError(f"{type(self).__name__} says what it is")

    def emit_added(self) -> ResponseContentPartAddedEvent:
        """Begin the part, empty (R101).

        Raises:
            OutOfOrder: it was added before, or its item is not open.
        """
        self._begin(lifecycle.PART_ADDED)
        return ResponseContentPartAddedEvent(
            sequence_number=self._core.next_number(),
            item_id=self._item_id,
            output_index=self._output_index,
            content_index=self._index,
            part=self.snapshot(),
        )

    def emit_done(self) -> ResponseContentPartDoneEvent:
        """End the part in its final form (R103, R112).

        Raises:
            OutOfOrder: its done value was not sent, or it is done already (R096-R098).
        """
        self._state = self._step(lifecycle.PART_DONE)
        return ResponseContentPartDoneEvent(
            sequence_number=self._core.next_number(),
            item_id=self._item_id,
            output_index=self._output_index,
            content_index=self._index,
            part=self.snapshot(),
        )

    def _delta_event(self, kind: type[D], delta: str) -> D:
        delta = values.text("delta", delta)
        self._state = self._step(name_of(kind))
        self._pieces.append(delta)
        return kind(
            sequence_number=self._core.next_number(),
            item_id=self._item_id,
            output_index=self._output_index,
            content_index=self._index,
            delta=delta,
        )


@attrs.define(eq=False, repr=False)
class TextContentBuilder(ContentPartBuilder):
    """A part of output text in the making: its deltas, annotations, and log probabilities."""

    part_type: ClassVar[str] = "output_text"

    _annotations: list[TextAnnotation] = attrs.field(init=False, factory=list)
    _logprobs: list[Logprob] = attrs.field(init=False, factory=list)
    _length: int = attrs.field(init=False, default=0)
    _measured: int = attrs.field(init=False, default=0)

    def snapshot(self) -> ResponseOutputText:
        """Return the part as it stands."""
        return ResponseOutputText(
            text=joined(self._pieces), annotations=list(self._annotations), logprobs=list(self._logprobs)
        )

    def emit_delta(self, delta: str, *, logprobs: Sequence[Logprob] = ()) -> ResponseTextDeltaEvent:
        """Say a piece of the text.

        Args:
            delta: the piece.
            logprobs: the log probabilities of its tokens; `bytes` is filled in where it is absent.

        Raises:
            InvalidType: *delta* is not a string.
            InvalidValue: *delta* holds a lone surrogate.
            OutOfOrder: the part is not open, or its text is done (R093, R094).
        """
        # The hot path: one check of the value, one look at the table, one append, one struct.
        if delta.__class__ is not str or not delta.isascii():
            delta = values.text("delta", delta)
        if logprobs:
            return self._delta_with(delta, values.logprobs(logprobs))
        try:
            self._state = _AFTER_TEXT_DELTA[self._state]
        except KeyError:
            self._step(_TEXT_DELTA)
        self._pieces.append(delta)
        core = self._core
        number = core.number
        core.number = number + 1
        return ResponseTextDeltaEvent(
            sequence_number=number,
            item_id=self._item_id,
            output_index=self._output_index,
            content_index=self._index,
            delta=delta,
        )

    def _delta_with(self, delta: str, logprobs: list[Logprob]) -> ResponseTextDeltaEvent:
        self._state = self._step(_TEXT_DELTA)
        self._pieces.append(delta)
        self._logprobs.extend(logprobs)
        return ResponseTextDeltaEvent(
            sequence_number=self._core.next_number(),
            item_id=self._item_id,
            output_index=self._output_index,
            content_index=self._index,
            delta=delta,
            logprobs=logprobs,
        )

    def emit_annotation_added(
        self, annotation: TextAnnotation | Mapping[str, Any]
    ) -> ResponseOutputTextAnnotationAddedEvent:
        """Remark on a span of the text that was said so far, before or after the text is done (D09).

        Raises:
            InvalidType: it is neither an annotation nor a dict.
            InvalidValue: a member does not fit, or the span reaches beyond the text (R119).
            OutOfOrder: the part is not open (R115).
        """
        taken = values.annotation(annotation)
        state = self._step("response.output_text.annotation.added")
        values.check_within(taken, self._said())
        self._state = state
        self._annotations.append(taken)
        return ResponseOutputTextAnnotationAddedEvent(
            sequence_number=self._core.next_number(),
            item_id=self._item_id,
            output_index=self._output_index,
            content_index=self._index,
            annotation_index=len(self._annotations) - 1,
            annotation=taken,
        )

    def emit_text_done(self, text: str | None = None) -> ResponseTextDoneEvent:
        """Say the whole text: what the deltas said.

        Args:
            text: the text as the caller knows it, to be compared; not needed.

        Raises:
            OutOfOrder: *text* is not what the deltas said (R102), or the text was done before (R095).
        """
        state = self._step("response.output_text.done")
        whole = confirmed(self._pieces, text, "response.output_text.done", str(self), "R102")
        self._state = state
        return ResponseTextDoneEvent(
            sequence_number=self._core.next_number(),
            item_id=self._item_id,
            output_index=self._output_index,
            content_index=self._index,
            text=whole,
            logprobs=list(self._logprobs),
        )

    def _said(self) -> int:
        """The number of characters so far; each delta is measured once."""
        if self._state == lifecycle.VALUE_DONE:
            return len(joined(self._pieces))
        self._length += sum(map(len, self._pieces[self._measured :]))
        self._measured = len(self._pieces)
        return self._length


class RefusalContentBuilder(ContentPartBuilder):
    """A refusal in the making."""

    __slots__ = ()

    part_type: ClassVar[str] = "refusal"

    def snapshot(self) -> ResponseOutputRefusal:
        """Return the part as it stands."""
        return ResponseOutputRefusal(refusal=joined(self._pieces))

    def emit_delta(self, delta: str) -> ResponseRefusalDeltaEvent:
        """Say a piece of the refusal.

        Raises:
            InvalidType: *delta* is not a string.
            InvalidValue: *delta* holds a lone surrogate.
            OutOfOrder: the part is not open, or its refusal is done (R093, R094).
        """
        return self._delta_event(ResponseRefusalDeltaEvent, delta)

    def emit_refusal_done(self, refusal: str | None = None) -> ResponseRefusalDoneEvent:
        """Say the whole refusal: what the deltas said.

        Raises:
            OutOfOrder: *refusal* is not what the deltas said (R102), or it was done before (R095).
        """
        state = self._step("response.refusal.done")
        whole = confirmed(self._pieces, refusal, "response.refusal.done", str(self), "R102")
        self._state = state
        return ResponseRefusalDoneEvent(
            sequence_number=self._core.next_number(),
            item_id=self._item_id,
            output_index=self._output_index,
            content_index=self._index,
            refusal=whole,
        )


class ReasoningTextBuilder(ContentPartBuilder):
    """A part of raw reasoning in the making."""

    __slots__ = ()

    part_type: ClassVar[str] = "reasoning_text"

    def snapshot(self) -> ReasoningText:
        """Return the part as it stands."""
        return ReasoningText(text=joined(self._pieces))

    def emit_delta(self, delta: str) -> ResponseReasoningTextDeltaEvent:
        """Say a piece of the reasoning.

        Raises:
            InvalidType: *delta* is not a string.
            InvalidValue: *delta* holds a lone surrogate.
            OutOfOrder: the part is not open, or its text is done (R132, R094).
        """
        return self._delta_event(ResponseReasoningTextDeltaEvent, delta)

    def emit_text_done(self, text: str | None = None) -> ResponseReasoningTextDoneEvent:
        """Say the whole reasoning: what the deltas said.

        Raises:
            OutOfOrder: *text* is not what the deltas said (R102), or it was done before (R095).
        """
        state = self._step("response.reasoning_text.done")
        whole = confirmed(self._pieces, text, "response.reasoning_text.done", str(self), "R102")
        self._state = state
        return ResponseReasoningTextDoneEvent(
            sequence_number=self._core.next_number(),
            item_id=self._item_id,
            output_index=self._output_index,
            content_index=self._index,
            text=whole,
        )


class SummaryPartBuilder(PartBuilder):
    """A part of a summary of reasoning in the making."""

    __slots__ = ()

    part_type: ClassVar[str] = "summary_text"
    member: ClassVar[str] = "summary"

    def snapshot(self) -> SummaryText:
        """Return the part as it stands."""
        return SummaryText(text=joined(self._pieces))

    def emit_added(self) -> ResponseReasoningSummaryPartAddedEvent:
        """Begin the part, empty.

        Raises:
            OutOfOrder: it was added before, or its item is not open (R127).
        """
        self._begin(lifecycle.SUMMARY_ADDED)
        return ResponseReasoningSummaryPartAddedEvent(
            sequence_number=self._core.next_number(),
            item_id=self._item_id,
            output_index=self._output_index,
            summary_index=self._index,
            part=self.snapshot(),
        )

    def emit_delta(self, delta: str) -> ResponseReasoningSummaryTextDeltaEvent:
        """Say a piece of the summary.

        Raises:
            InvalidType: *delta* is not a string.
            InvalidValue: *delta* holds a lone surrogate.
            OutOfOrder: the part is not open, or its text is done (R127).
        """
        delta = values.text("delta", delta)
        self._state = self._step("response.reasoning_summary_text.delta")
        self._pieces.append(delta)
        return ResponseReasoningSummaryTextDeltaEvent(
            sequence_number=self._core.next_number(),
            item_id=self._item_id,
            output_index=self._output_index,
            summary_index=self._index,
            delta=delta,
        )

    def emit_text_done(self, text: str | None = None) -> ResponseReasoningSummaryTextDoneEvent:
        """Say the whole text of the part: what the deltas said.

        Raises:
            OutOfOrder: *text* is not what the deltas said (R128), or it was done before (R127).
        """
        state = self._step("response.reasoning_summary_text.done")
        whole = confirmed(self._pieces, text, "response.reasoning_summary_text.done", str(self), "R128")
        self._state = state
        return ResponseReasoningSummaryTextDoneEvent(
            sequence_number=self._core.next_number(),
            item_id=self._item_id,
            output_index=self._output_index,
            summary_index=self._index,
            text=whole,
        )

    def emit_done(self) -> ResponseReasoningSummaryPartDoneEvent:
        """End the part in its final form (R128).

        Raises:
            OutOfOrder: its text is not done, or the part is done already (R127).
        """
        self._state = self._step(lifecycle.SUMMARY_DONE)
        return ResponseReasoningSummaryPartDoneEvent(
            sequence_number=self._core.next_number(),
            item_id=self._item_id,
            output_index=self._output_index,
            summary_index=self._index,
            part=self.snapshot(),
        )
