"""The part of `ResponseEventStream` that says a whole item at once: ``output_item_<kind>``.

Each takes what the item says and returns its events, from `output_item.added` to `output_item.done`. Where text comes
from an async iterable, the events can only be iterated with ``async for``, and the overloads say so.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

from responses_stream.builders import values
from responses_stream.builders.conversation import MessageBuilder, ReasoningBuilder
from responses_stream.builders.events import AsyncEvents, Events, TextSource, source_of, streamed
from responses_stream.builders.item import FinalStatus
from responses_stream.builders.tool_conveniences import ToolConveniences
from responses_stream.errors import InvalidValue
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.protocol.items import MessagePhase
from responses_stream.protocol.parts import TextAnnotation


class Conveniences(ToolConveniences):
    """Whole items in one call."""

    __slots__ = ()

    @overload
    def output_item_message(
        self,
        text: str | Iterable[str],
        *,
        annotations: Sequence[TextAnnotation | Mapping[str, Any]] = (),
        phase: MessagePhase | None = None,
        status: FinalStatus = "completed",
        item_id: str | None = None,
    ) -> Events: ...
    @overload
    def output_item_message(
        self,
        text: AsyncIterable[str],
        *,
        annotations: Sequence[TextAnnotation | Mapping[str, Any]] = (),
        phase: MessagePhase | None = None,
        status: FinalStatus = "completed",
        item_id: str | None = None,
    ) -> AsyncEvents: ...
    def output_item_message(
        self,
        text: TextSource,
        *,
        annotations: Sequence[TextAnnotation | Mapping[str, Any]] = (),
        phase: MessagePhase | None = None,
        status: FinalStatus = "completed",
        item_id: str | None = None,
    ) -> Events | AsyncEvents:
        """Say a message with one part of text: a delta for each chunk, then the annotations.

        Raises:
            InvalidType, InvalidValue: an argument does not fit.
        """
        source = source_of("text", text)
        remarks = values.all_annotations(annotations)
        if isinstance(source, str):
            for remark in remarks:
                values.check_within(remark, len(source))
        ended = values.choice("status", status, "completed", "incomplete")
        message = self.add_output_item_message(phase=phase, item_id=item_id)
        part = message.add_text_content()

        def before() -> Iterator[ResponseStreamEvent]:
            yield message.emit_added()
            yield part.emit_added()

        def after() -> Iterator[ResponseStreamEvent]:
            for remark in remarks:
                yield part.emit_annotation_added(remark)
            yield part.emit_text_done()
            yield part.emit_done()
            yield message.emit_done(status=ended)

        return streamed(source, before, part.emit_delta, after)

    @overload
    def output_item_refusal(
        self, refusal: str | Iterable[str], *, phase: MessagePhase | None = None, item_id: str | None = None
    ) -> Events: ...
    @overload
    def output_item_refusal(
        self, refusal: AsyncIterable[str], *, phase: MessagePhase | None = None, item_id: str | None = None
    ) -> AsyncEvents: ...
    def output_item_refusal(
        self,
        refusal: TextSource,
        *,
        phase: MessagePhase | None = None,
        item_id: str | None = None,
    ) -> Events | AsyncEvents:
        """Say a message whose one part is a refusal.

        Raises:
            InvalidType, InvalidValue: an argument does not fit.
        """
        source = source_of("refusal", refusal)
        message: MessageBuilder = self.add_output_item_message(phase=phase, item_id=item_id)
        part = message.add_refusal_content()

        def before() -> Iterator[ResponseStreamEvent]:
            yield message.emit_added()
            yield part.emit_added()

        def after() -> Iterator[ResponseStreamEvent]:
            yield part.emit_refusal_done()
            yield part.emit_done()
            yield message.emit_done()

        return streamed(source, before, part.emit_delta, after)

    @overload
    def output_item_reasoning(
        self,
        summary: str | Iterable[str] = (),
        *,
        encrypted_content: str | None = None,
        item_id: str | None = None,
    ) -> Events: ...
    @overload
    def output_item_reasoning(
        self, summary: AsyncIterable[str], *, encrypted_content: str | None = None, item_id: str | None = None
    ) -> AsyncEvents: ...
    @overload
    def output_item_reasoning(
        self, *, text: str | Iterable[str], encrypted_content: str | None = None, item_id: str | None = None
    ) -> Events: ...
    @overload
    def output_item_reasoning(
        self, *, text: AsyncIterable[str], encrypted_content: str | None = None, item_id: str | None = None
    ) -> AsyncEvents: ...
    def output_item_reasoning(
        self,
        summary: TextSource = (),
        *,
        text: TextSource | None = None,
        encrypted_content: str | None = None,
        item_id: str | None = None,
    ) -> Events | AsyncEvents:
        """Say reasoning with one part of summary, or of raw *text*, or, with neither, with no part at all.

        Raises:
            InvalidType, InvalidValue: an argument does not fit, or both *summary* and *text* are given.
        """
        bare = isinstance(summary, str | tuple) and not summary
        if text is not None and not bare:
            raise InvalidValue("text", "is given, and summary is too: one item has one or the other here")
        source = source_of("summary", summary) if text is None else source_of("text", text)
        sealed = values.text_or_none("encrypted_content", encrypted_content)
        reasoning = self.add_output_item_reasoning(item_id=item_id)
        if text is None and bare:
            return Events(_bare(reasoning, sealed))
        part = reasoning.add_summary_part() if text is None else reasoning.add_text_content()

        def before() -> Iterator[ResponseStreamEvent]:
            yield reasoning.emit_added()
            yield part.emit_added()

        def after() -> Iterator[ResponseStreamEvent]:
            yield part.emit_text_done()
            yield part.emit_done()
            yield reasoning.emit_done(encrypted_content=sealed)

        return streamed(source, before, part.emit_delta, after)

    @overload
    def output_item_function_call(
        self, name: str, call_id: str, arguments: str | Iterable[str], *, item_id: str | None = None
    ) -> Events: ...
    @overload
    def output_item_function_call(
        self, name: str, call_id: str, arguments: AsyncIterable[str], *, item_id: str | None = None
    ) -> AsyncEvents: ...
    def output_item_function_call(
        self,
        name: str,
        call_id: str,
        arguments: TextSource,
        *,
        item_id: str | None = None,
    ) -> Events | AsyncEvents:
        """Say a call of the client's function *name*; *arguments* is JSON in a string, or the chunks of it.

        Raises:
            InvalidType, InvalidValue: an argument does not fit.
        """
        source = source_of("arguments", arguments)
        call = self.add_output_item_function_call(name, call_id, item_id=item_id)

        def after() -> Iterator[ResponseStreamEvent]:
            yield call.emit_arguments_done()
            yield call.emit_done()

        return streamed(source, lambda: [call.emit_added()], call.emit_arguments_delta, after)

    @overload
    def output_item_custom_tool_call(
        self, name: str, call_id: str, input: str | Iterable[str], *, item_id: str | None = None
    ) -> Events: ...
    @overload
    def output_item_custom_tool_call(
        self, name: str, call_id: str, input: AsyncIterable[str], *, item_id: str | None = None
    ) -> AsyncEvents: ...
    def output_item_custom_tool_call(
        self, name: str, call_id: str, input: TextSource, *, item_id: str | None = None
    ) -> Events | AsyncEvents:
        """Say a call of the client's custom tool *name* with free text, or the chunks of it.

        Raises:
            InvalidType, InvalidValue: an argument does not fit.
        """
        source = source_of("input", input)
        call = self.add_output_item_custom_tool_call(name, call_id, item_id=item_id)

        def after() -> Iterator[ResponseStreamEvent]:
            yield call.emit_input_done()
            yield call.emit_done()

        return streamed(source, lambda: [call.emit_added()], call.emit_input_delta, after)

    # The reference server's users know this kind by another name.
    output_item_reasoning_item = output_item_reasoning


def _bare(reasoning: ReasoningBuilder, encrypted_content: str | None) -> Iterator[ResponseStreamEvent]:
    yield reasoning.emit_added()
    yield reasoning.emit_done(encrypted_content=encrypted_content)
