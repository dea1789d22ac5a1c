"""The part of `ResponseEventStream` that says a whole item of a tool at once: ``output_item_<kind>``.

Each takes what the item says and returns its events, from `output_item.added` to `output_item.done`.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

from responses_stream import lifecycle
from responses_stream.builders import values
from responses_stream.builders.events import AsyncEvents, Events, TextSource, source_of, streamed
from responses_stream.builders.factories import StreamedItems
from responses_stream.errors import InvalidValue
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.protocol.hosted_items import (
    CodeInterpreterOutput,
    FileSearchResult,
    McpCallError,
    McpListToolsTool,
    WebSearchAction,
)
from responses_stream.protocol.machine_items import (
    OperationDeleteFile,
    PatchOperation,
    ShellCallOutputContent,
    ShellEnvironment,
)


class ToolConveniences(StreamedItems):
    """Whole items of tools in one call."""

    __slots__ = ()

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
        source = source_of("code", code)
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
        if len(shown) > lifecycle.MOST_PARTIAL_IMAGES:
            raise InvalidValue(
                "partial_images", f"are {len(shown)}, but at most {lifecycle.MOST_PARTIAL_IMAGES} are shown (R155)"
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
        source = source_of("arguments", arguments)
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
    output_item_image_gen_call = output_item_image_generation_call
    output_item_function_shell_call = output_item_shell_call
    output_item_function_shell_call_output = output_item_shell_call_output
