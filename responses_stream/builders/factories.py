"""The part of `ResponseEventStream` that makes builders of items with events of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from responses_stream.builders import values
from responses_stream.builders.conversation import (
    CustomToolCallBuilder,
    FunctionCallBuilder,
    MessageBuilder,
    ReasoningBuilder,
)
from responses_stream.builders.platform import PlatformItems
from responses_stream.protocol.hosted_items import (
    Caller,
    WebSearchAction,
)
from responses_stream.protocol.items import MessagePhase
from responses_stream.protocol.machine_items import (
    PatchOperation,
    ShellEnvironment,
)

if TYPE_CHECKING:
    # Loaded when they are first asked for: a stream of text does not pay for tools.
    from responses_stream.builders.hosted import (
        CodeInterpreterCallBuilder,
        FileSearchCallBuilder,
        ImageGenerationCallBuilder,
        WebSearchCallBuilder,
    )
    from responses_stream.builders.mcp import McpCallBuilder, McpListToolsBuilder
    from responses_stream.builders.shell import ApplyPatchCallBuilder, ShellCallBuilder, ShellCallOutputBuilder


class StreamedItems(PlatformItems):
    """The factories of items that stream. Nothing is sent before the builder's own `emit_added`.

    Every factory takes *item_id* to set the item's id; without it one is made. An id that is empty or already used is
    an `InvalidValue` (R064, R067), and so is a `call_id` (R162).
    """

    __slots__ = ()

    def _id(self, item_type: str, item_id: str | None) -> str:
        return self._core.claim_item_id(item_type, item_id)

    def add_output_item_message(
        self, *, phase: MessagePhase | None = None, item_id: str | None = None
    ) -> MessageBuilder:
        """Return the builder of a message of the assistant; *phase* tells commentary from the final answer."""
        meant = values.choice("phase", phase, "commentary", "final_answer", None)
        return MessageBuilder(self._core, self._id("message", item_id), meant)

    def add_output_item_reasoning(
        self, *, encrypted_content: str | None = None, item_id: str | None = None
    ) -> ReasoningBuilder:
        """Return the builder of reasoning: summary parts, raw text, or neither."""
        sealed = values.text_or_none("encrypted_content", encrypted_content)
        return ReasoningBuilder(self._core, self._id("reasoning", item_id), sealed)

    def add_output_item_function_call(
        self,
        name: str,
        call_id: str,
        *,
        namespace: str | None = None,
        caller: Caller | Mapping[str, Any] | None = None,
        is_async: bool | None = None,
        item_id: str | None = None,
    ) -> FunctionCallBuilder:
        """Return the builder of a call of the client's function *name*; the client answers to *call_id*."""
        named, called = values.name("name", name), _caller(caller)
        spaced = values.text_or_none("namespace", namespace)
        later = None if is_async is None else values.flag("is_async", is_async)
        claimed, answered = self._core.claim_call("function_call", item_id, call_id)
        return FunctionCallBuilder(self._core, claimed, named, answered, spaced, called, later)

    def add_output_item_custom_tool_call(
        self,
        name: str,
        call_id: str,
        *,
        namespace: str | None = None,
        caller: Caller | Mapping[str, Any] | None = None,
        is_async: bool | None = None,
        item_id: str | None = None,
    ) -> CustomToolCallBuilder:
        """Return the builder of a call of the client's custom tool *name*; the client answers to *call_id*."""
        named, called = values.name("name", name), _caller(caller)
        spaced = values.text_or_none("namespace", namespace)
        later = None if is_async is None else values.flag("is_async", is_async)
        claimed, answered = self._core.claim_call("custom_tool_call", item_id, call_id)
        return CustomToolCallBuilder(self._core, claimed, named, answered, spaced, called, later)

    def add_output_item_file_search_call(self, *, item_id: str | None = None) -> FileSearchCallBuilder:
        """Return the builder of a search in vector stores."""
        from responses_stream.builders.hosted import FileSearchCallBuilder

        return FileSearchCallBuilder(self._core, self._id("file_search_call", item_id))

    def add_output_item_web_search_call(
        self, *, action: WebSearchAction | Mapping[str, Any] | None = None, item_id: str | None = None
    ) -> WebSearchCallBuilder:
        """Return the builder of a web search; *action* may be told now or when it is done."""
        from responses_stream.builders.hosted import WebSearchCallBuilder

        told = None if action is None else values.web_search_action(action)
        return WebSearchCallBuilder(self._core, self._id("web_search_call", item_id), told)

    def add_output_item_code_interpreter_call(
        self, container_id: str = "", *, item_id: str | None = None
    ) -> CodeInterpreterCallBuilder:
        """Return the builder of code that runs in the container *container_id*."""
        from responses_stream.builders.hosted import CodeInterpreterCallBuilder

        container = values.text("container_id", container_id)
        return CodeInterpreterCallBuilder(self._core, self._id("code_interpreter_call", item_id), container)

    def add_output_item_image_generation_call(self, *, item_id: str | None = None) -> ImageGenerationCallBuilder:
        """Return the builder of an image."""
        from responses_stream.builders.hosted import ImageGenerationCallBuilder

        return ImageGenerationCallBuilder(self._core, self._id("image_generation_call", item_id))

    def add_output_item_mcp_call(
        self, server_label: str, name: str, *, approval_request_id: str | None = None, item_id: str | None = None
    ) -> McpCallBuilder:
        """Return the builder of a call to the tool *name* of an MCP server."""
        from responses_stream.builders.mcp import McpCallBuilder

        server, named = values.name("server_label", server_label), values.name("name", name)
        approved = values.text_or_none("approval_request_id", approval_request_id)
        return McpCallBuilder(self._core, self._id("mcp_call", item_id), server, named, approved)

    def add_output_item_mcp_list_tools(self, server_label: str, *, item_id: str | None = None) -> McpListToolsBuilder:
        """Return the builder of a listing of the tools of an MCP server."""
        from responses_stream.builders.mcp import McpListToolsBuilder

        server = values.name("server_label", server_label)
        return McpListToolsBuilder(self._core, self._id("mcp_list_tools", item_id), server)

    def add_output_item_shell_call(
        self,
        call_id: str,
        *,
        environment: ShellEnvironment | Mapping[str, Any] | None = None,
        timeout_ms: int | None = None,
        max_output_length: int | None = None,
        caller: Caller | Mapping[str, Any] | None = None,
        item_id: str | None = None,
    ) -> ShellCallBuilder:
        """Return the builder of commands for a shell, with limits in milliseconds and in characters."""
        from responses_stream.builders.shell import ShellCallBuilder

        where = None if environment is None else values.one_of("environment", environment, ShellEnvironment, "shell")
        patience = values.count_or_none("timeout_ms", timeout_ms)
        length = values.count_or_none("max_output_length", max_output_length)
        called = _caller(caller)
        claimed, answered = self._core.claim_call("shell_call", item_id, call_id)
        return ShellCallBuilder(self._core, claimed, answered, where, patience, length, called)

    def add_output_item_shell_call_output(
        self,
        call_id: str,
        *,
        max_output_length: int | None = None,
        caller: Caller | Mapping[str, Any] | None = None,
        item_id: str | None = None,
    ) -> ShellCallOutputBuilder:
        """Return the builder of what the commands of the shell call *call_id* printed."""
        from responses_stream.builders.shell import ShellCallOutputBuilder

        answer, called = values.name("call_id", call_id), _caller(caller)
        length = values.count_or_none("max_output_length", max_output_length)
        claimed = self._id("shell_call_output", item_id)
        return ShellCallOutputBuilder(self._core, claimed, answer, length, called)

    def add_output_item_apply_patch_call(
        self,
        call_id: str,
        operation: PatchOperation | Mapping[str, Any],
        *,
        caller: Caller | Mapping[str, Any] | None = None,
        item_id: str | None = None,
    ) -> ApplyPatchCallBuilder:
        """Return the builder of a change of a file; its diff may be streamed, or stand in *operation*."""
        from responses_stream.builders.shell import ApplyPatchCallBuilder

        change = values.one_of("operation", operation, PatchOperation, "patch operation")
        called = _caller(caller)
        claimed, answered = self._core.claim_call("apply_patch_call", item_id, call_id)
        return ApplyPatchCallBuilder(self._core, claimed, answered, change, called)

    # The reference server's users know these kinds by other names.
    add_output_item_reasoning_item = add_output_item_reasoning
    add_output_item_image_gen_call = add_output_item_image_generation_call
    add_output_item_function_shell_call = add_output_item_shell_call
    add_output_item_function_shell_call_output = add_output_item_shell_call_output


def _caller(given: Caller | Mapping[str, Any] | None) -> Caller | None:
    caller: Caller | None = None if given is None else values.one_of("caller", given, Caller, "caller")
    return caller
