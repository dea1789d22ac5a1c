"""The part of `ResponseEventStream` that says a whole item at once: ``output_item_<kind>``.

Each takes what the item says and returns its events, from `output_item.added` to `output_item.done`. Where text comes
from an async iterable, the events can only be iterated with ``async for``, and the overloads say so.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

from responses_stream.builders import values
from responses_stream.builders.conversation import MessageBuilder, ReasoningBuilder
from responses_stream.builders.core import MOST_PARTIAL_IMAGES
from responses_stream.builders.events import AsyncEvents, Events, TextSource, streamed
from responses_stream.builders.factories import StreamedItems
from responses_stream.builders.item import FinalStatus
from responses_stream.errors import InvalidType, InvalidValue
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.protocol.hosted_items import (
    CodeInterpreterOutput,
    FileSearchResult,
    McpCallError,
    McpListToolsTool,
    WebSearchAction,
)
from responses_stream.protocol.items import MessagePhase
from responses_stream.protocol.machine_items import (
    OperationDeleteFile,
    PatchOperation,
    ShellCallOutputContent,
    ShellEnvironment,
)
from responses_stream.protocol.parts import TextAnnotation


class Conveniences(StreamedItems):
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
        source = _text("text", text)
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
        source = _text("refusal", refusal)
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
        source = _text("summary", summary) if text is None else _text("text", text)
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
        source = _text("arguments", arguments)
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
        source = _text("input", input)
        call = self.add_output_item_custom_tool_call(name, call_id, item_id=item_id)

        def after() -> Iterator[ResponseStreamEvent]:
            yield call.emit_input_done()
            yield call.emit_done()

        return streamed(source, lambda: [call.emit_added()], call.emit_input_delta, after)

    def output_item_file_search_call(
        self,
        queries: Sequence[str],
        results: Sequence[FileSearchResult | Mapping[str, Any]] | None = None,
        *,
        item_id: str | None = None,
    ) -> Events:
        """Say a search in vector stores; *results* only where the client asked for them.

        Raises:
            InvalidType, InvalidValue: an argument does not fit.
        """
        queried = values.texts("queries", queries)
        found = None if results is None else values.structs("results", results, FileSearchResult)
        call = self.add_output_item_file_search_call(item_id=item_id)

        def events() -> Iterator[ResponseStreamEvent]:
            yield call.emit_added()
            yield call.emit_in_progress()
            yield call.emit_searching()
            yield call.emit_completed()
            yield call.emit_done(queries=queried, results=found)

        return Events(events())

    def output_item_web_search_call(
        self, action: WebSearchAction | Mapping[str, Any], *, item_id: str | None = None
    ) -> Events:
        """Say a web search with what was done.

        Raises:
            InvalidType, InvalidValue: an argument does not fit.
        """
        done = values.web_search_action(action)
        call = self.add_output_item_web_search_call(item_id=item_id)

        def events() -> Iterator[ResponseStreamEvent]:
            yield call.emit_added()
            yield call.emit_in_progress()
            yield call.emit_searching()
            yield call.emit_completed()
            yield call.emit_done(action=done)

        return Events(events())

    @overload
    def output_item_code_interpreter_call(
        self,
        code: str | Iterable[str],
        *,
        container_id: str = "",
        outputs: Sequence[CodeInterpreterOutput | Mapping[str, Any]] | None = (),
        item_id: str | None = None,
    ) -> Events: ...
    @overload
    def output_item_code_interpreter_call(
        self,
        code: AsyncIterable[str],
        *,
        container_id: str = "",
        outputs: Sequence[CodeInterpreterOutput | Mapping[str, Any]] | None = (),
        item_id: str | None = None,
    ) -> AsyncEvents: ...
    def output_item_code_interpreter_call(
        self,
        code: TextSource,
        *,
        container_id: str = "",
        outputs: Sequence[CodeInterpreterOutput | Mapping[str, Any]] | None = (),
        item_id: str | None = None,
    ) -> Events | AsyncEvents:
        """Say code that ran, with its outputs; None for *outputs* where the client did not ask for them.

        Raises:
            InvalidType, InvalidValue: an argument does not fit.
        """
        source = _text("code", code)
        made = None if outputs is None else values.all_of("outputs", outputs, CodeInterpreterOutput, "output")
        call = self.add_output_item_code_interpreter_call(container_id, item_id=item_id)

        def before() -> Iterator[ResponseStreamEvent]:
            yield call.emit_added()
            yield call.emit_in_progress()

        def after() -> Iterator[ResponseStreamEvent]:
            yield call.emit_code_done()
            yield call.emit_interpreting()
            yield call.emit_completed()
            yield call.emit_done(outputs=made)

        return streamed(source, before, call.emit_code_delta, after)

    def output_item_image_generation_call(
        self,
        result: str,
        *,
        partial_images: Sequence[str] = (),
        revised_prompt: str | None = None,
        background: str | None = None,
        output_format: str | None = None,
        quality: str | None = None,
        size: str | None = None,
        item_id: str | None = None,
    ) -> Events:
        """Say an image in base64, after at most three partial ones.

        Raises:
            InvalidType, InvalidValue: an argument does not fit, or there are more partial images (R155).
        """
        image = values.name("result", result)
        shown = [values.name("partial_images", partial) for partial in values.texts("partial_images", partial_images)]
        if len(shown) > MOST_PARTIAL_IMAGES:
            raise InvalidValue(
                "partial_images", f"are {len(shown)}, but at most {MOST_PARTIAL_IMAGES} are shown (R155)"
            )
        prompt = values.text_or_none("revised_prompt", revised_prompt)
        behind, form = (
            values.text_or_none("background", background),
            values.text_or_none("output_format", output_format),
        )
        fine, wide = values.text_or_none("quality", quality), values.text_or_none("size", size)
        call = self.add_output_item_image_generation_call(item_id=item_id)

        def events() -> Iterator[ResponseStreamEvent]:
            yield call.emit_added()
            yield call.emit_in_progress()
            yield call.emit_generating()
            for partial in shown:
                yield call.emit_partial_image(partial)
            yield call.emit_completed()
            yield call.emit_done(
                image, revised_prompt=prompt, background=behind, output_format=form, quality=fine, size=wide
            )

        return Events(events())

    @overload
    def output_item_mcp_call(
        self,
        server_label: str,
        name: str,
        arguments: str | Iterable[str],
        *,
        output: str | None = None,
        error: McpCallError | Mapping[str, Any] | None = None,
        approval_request_id: str | None = None,
        item_id: str | None = None,
    ) -> Events: ...
    @overload
    def output_item_mcp_call(
        self,
        server_label: str,
        name: str,
        arguments: AsyncIterable[str],
        *,
        output: str | None = None,
        error: McpCallError | Mapping[str, Any] | None = None,
        approval_request_id: str | None = None,
        item_id: str | None = None,
    ) -> AsyncEvents: ...
    def output_item_mcp_call(
        self,
        server_label: str,
        name: str,
        arguments: TextSource,
        *,
        output: str | None = None,
        error: McpCallError | Mapping[str, Any] | None = None,
        approval_request_id: str | None = None,
        item_id: str | None = None,
    ) -> Events | AsyncEvents:
        """Say a call of an MCP tool, with what it returned, or with the *error* of a failed one.

        Raises:
            InvalidType, InvalidValue: an argument does not fit.
        """
        source = _text("arguments", arguments)
        failure = None if error is None else values.one_of("error", error, McpCallError, "MCP error")
        said = values.text_or_none("output", output)
        call = self.add_output_item_mcp_call(
            server_label, name, approval_request_id=approval_request_id, item_id=item_id
        )

        def before() -> Iterator[ResponseStreamEvent]:
            yield call.emit_added()
            yield call.emit_in_progress()

        def after() -> Iterator[ResponseStreamEvent]:
            yield call.emit_arguments_done()
            yield call.emit_completed() if failure is None else call.emit_failed()
            yield call.emit_done(output=said, error=failure)

        return streamed(source, before, call.emit_arguments_delta, after)

    def output_item_mcp_list_tools(
        self,
        server_label: str,
        tools: Sequence[McpListToolsTool | Mapping[str, Any]] = (),
        *,
        error: str | None = None,
        item_id: str | None = None,
    ) -> Events:
        """Say the tools of an MCP server, or the *error* of a failed listing.

        Raises:
            InvalidType, InvalidValue: an argument does not fit.
        """
        offered = values.structs("tools", tools, McpListToolsTool)
        failure = None if error is None else values.name("error", error)
        listing = self.add_output_item_mcp_list_tools(server_label, item_id=item_id)

        def events() -> Iterator[ResponseStreamEvent]:
            yield listing.emit_added()
            yield listing.emit_in_progress()
            yield listing.emit_completed() if failure is None else listing.emit_failed()
            yield listing.emit_done(tools=offered, error=failure)

        return Events(events())

    def output_item_shell_call(
        self,
        call_id: str,
        commands: Sequence[str],
        *,
        environment: ShellEnvironment | Mapping[str, Any] | None = None,
        timeout_ms: int | None = None,
        max_output_length: int | None = None,
        item_id: str | None = None,
    ) -> Events:
        """Say commands for a shell.

        Raises:
            InvalidType, InvalidValue: an argument does not fit.
        """
        told = values.texts("commands", commands)
        call = self.add_output_item_shell_call(
            call_id,
            environment=environment,
            timeout_ms=timeout_ms,
            max_output_length=max_output_length,
            item_id=item_id,
        )

        def events() -> Iterator[ResponseStreamEvent]:
            yield call.emit_added()
            for text in told:
                command = call.add_command()
                yield command.emit_added()
                if text:
                    yield command.emit_delta(text)
                yield command.emit_done()
            yield call.emit_done()

        return Events(events())

    def output_item_shell_call_output(
        self,
        call_id: str,
        output: Sequence[ShellCallOutputContent | Mapping[str, Any]],
        *,
        max_output_length: int | None = None,
        item_id: str | None = None,
    ) -> Events:
        """Say what the commands of a shell call printed, an entry for each.

        Raises:
            InvalidType, InvalidValue: an argument does not fit.
        """
        printed = values.structs("output", output, ShellCallOutputContent)
        item = self.add_output_item_shell_call_output(call_id, max_output_length=max_output_length, item_id=item_id)

        def events() -> Iterator[ResponseStreamEvent]:
            yield item.emit_added()
            for entry in printed:
                content = item.add_output()
                if entry.stdout or entry.stderr:
                    yield content.emit_delta(stdout=entry.stdout, stderr=entry.stderr)
                yield content.emit_done(entry.outcome)
            yield item.emit_done()

        return Events(events())

    def output_item_apply_patch_call(
        self, call_id: str, operation: PatchOperation | Mapping[str, Any], *, item_id: str | None = None
    ) -> Events:
        """Say a change of a file; the diff, where there is one, in one delta.

        Raises:
            InvalidType, InvalidValue: an argument does not fit.
        """
        change = values.one_of("operation", operation, PatchOperation, "patch operation")
        call = self.add_output_item_apply_patch_call(call_id, change, item_id=item_id)
        diff = "" if isinstance(change, OperationDeleteFile) else getattr(change, "diff", "")

        def events() -> Iterator[ResponseStreamEvent]:
            yield call.emit_added()
            if diff:
                yield call.emit_diff_delta(diff)
                yield call.emit_diff_done()
            yield call.emit_done()

        return Events(events())

    # The reference server's users know these kinds by other names.
    output_item_reasoning_item = output_item_reasoning
    output_item_image_gen_call = output_item_image_generation_call
    output_item_function_shell_call = output_item_shell_call
    output_item_function_shell_call_output = output_item_shell_call_output


def _bare(reasoning: ReasoningBuilder, encrypted_content: str | None) -> Iterator[ResponseStreamEvent]:
    yield reasoning.emit_added()
    yield reasoning.emit_done(encrypted_content=encrypted_content)


def _text(argument: str, source: TextSource) -> TextSource:
    """Return a source of text; a plain string is checked at once, chunks are when they come."""
    if isinstance(source, str):
        return values.text(argument, source)
    if isinstance(source, bytes | Mapping) or not isinstance(source, Iterable | AsyncIterable):
        raise InvalidType(argument, "a string, or a sync or async iterable of strings", source)
    return source
