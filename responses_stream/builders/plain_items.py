"""Items that are only added and done: outputs of tools, calls that the client runs, approvals, programs, compaction.

Each has a factory ``add_output_item_<kind>`` whose builder says the two events, and a convenience
``output_item_<kind>`` that says both at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from responses_stream.builders import values
from responses_stream.builders.item import FinalStatus, ToolStatus
from responses_stream.builders.plain import CompactionBuilder, PlainItemBuilder, PlainItemsBase, item_id_of, whole
from responses_stream.builders.values import or_unset
from responses_stream.errors import InvalidValue
from responses_stream.protocol.hosted_items import (
    AdditionalTools,
    McpApprovalRequest,
    McpApprovalResponse,
    Program,
    ProgramOutput,
    ResponseToolSearchCall,
    ResponseToolSearchOutputItem,
)
from responses_stream.protocol.items import (
    ResponseCustomToolCallOutputItem,
    ResponseFunctionToolCallOutputItem,
)
from responses_stream.protocol.machine_items import (
    ComputerAction,
    LocalShellCall,
    LocalShellCallAction,
    LocalShellCallOutput,
    ResponseApplyPatchToolCallOutput,
    ResponseComputerToolCall,
    ResponseComputerToolCallOutputItem,
    SafetyCheck,
)
from responses_stream.protocol.parts import ComputerScreenshot, ContentPart
from responses_stream.protocol.platform_items import (
    MemorySearchCall,
    MemorySearchResult,
    OAuthConsentRequest,
    StructuredOutputs,
    WorkflowAction,
)
from responses_stream.protocol.tools import ToolDefinition


class PlainItems(PlainItemsBase):
    """The part of `ResponseEventStream` that makes plain items."""

    __slots__ = ()

    def add_output_item_function_call_output(
        self,
        call_id: str,
        output: str | Sequence[ContentPart | Mapping[str, Any]],
        *,
        status: FinalStatus = "completed",
        item_id: str | None = None,
    ) -> PlainItemBuilder:
        """Begin the result of a function call that the server ran itself.

        Raises:
            InvalidType, InvalidValue: an argument does not fit.
        """
        return self._plain(
            ResponseFunctionToolCallOutputItem(
                id=item_id_of(item_id), call_id=values.name("call_id", call_id), output=_output(output), status=status
            )
        )

    output_item_function_call_output = whole(add_output_item_function_call_output)

    def add_output_item_custom_tool_call_output(
        self,
        call_id: str,
        output: str | Sequence[ContentPart | Mapping[str, Any]],
        *,
        status: FinalStatus = "completed",
        item_id: str | None = None,
    ) -> PlainItemBuilder:
        """Begin the result of a custom tool call that the server ran itself.

        Raises:
            InvalidType, InvalidValue: an argument does not fit.
        """
        return self._plain(
            ResponseCustomToolCallOutputItem(
                id=item_id_of(item_id), call_id=values.name("call_id", call_id), output=_output(output), status=status
            )
        )

    output_item_custom_tool_call_output = whole(add_output_item_custom_tool_call_output)

    def add_output_item_mcp_approval_request(
        self, server_label: str, name: str, arguments: str, *, item_id: str | None = None
    ) -> PlainItemBuilder:
        """Begin a request to the human to approve an MCP call; *arguments* is JSON in a string.

        Raises:
            InvalidType, InvalidValue: an argument does not fit.
        """
        return self._plain(
            McpApprovalRequest(
                id=item_id_of(item_id),
                server_label=values.name("server_label", server_label),
                name=values.name("name", name),
                arguments=values.text("arguments", arguments),
            )
        )

    output_item_mcp_approval_request = whole(add_output_item_mcp_approval_request)

    def add_output_item_mcp_approval_response(
        self, approval_request_id: str, approve: bool, *, reason: str | None = None, item_id: str | None = None
    ) -> PlainItemBuilder:
        """Begin the answer to an approval request.

        Raises:
            InvalidType, InvalidValue: an argument does not fit.
        """
        return self._plain(
            McpApprovalResponse(
                id=item_id_of(item_id),
                approval_request_id=values.name("approval_request_id", approval_request_id),
                approve=values.flag("approve", approve),
                reason=values.text_or_none("reason", reason),
            )
        )

    output_item_mcp_approval_response = whole(add_output_item_mcp_approval_response)

    def add_output_item_computer_call(
        self,
        call_id: str,
        action: ComputerAction | Mapping[str, Any] | None = None,
        *,
        actions: Sequence[ComputerAction | Mapping[str, Any]] | None = None,
        pending_safety_checks: Sequence[SafetyCheck | Mapping[str, Any]] = (),
        status: FinalStatus = "completed",
        item_id: str | None = None,
    ) -> PlainItemBuilder:
        """Begin an action on a screen: *action* for the preview tool, *actions* for the newer one.

        Raises:
            InvalidType, InvalidValue: an argument does not fit, or neither action nor actions is given.
        """
        if action is None and actions is None:
            raise InvalidValue("action", "has to be given, or actions")
        one = None if action is None else values.one_of("action", action, ComputerAction, "computer action")
        many = None if actions is None else values.all_of("actions", actions, ComputerAction, "computer action")
        return self._plain(
            ResponseComputerToolCall(
                id=item_id_of(item_id),
                call_id=values.name("call_id", call_id),
                status=status,
                pending_safety_checks=values.structs("pending_safety_checks", pending_safety_checks, SafetyCheck),
                action=or_unset(one),
                actions=or_unset(many),
            )
        )

    output_item_computer_call = whole(add_output_item_computer_call)

    def add_output_item_computer_call_output(
        self,
        call_id: str,
        output: ComputerScreenshot | Mapping[str, Any],
        *,
        acknowledged_safety_checks: Sequence[SafetyCheck | Mapping[str, Any]] = (),
        status: ToolStatus = "completed",
        item_id: str | None = None,
    ) -> PlainItemBuilder:
        """Begin a screenshot after an action.

        Raises:
            InvalidType, InvalidValue: an argument does not fit.
        """
        checks = values.structs("acknowledged_safety_checks", acknowledged_safety_checks, SafetyCheck)
        return self._plain(
            ResponseComputerToolCallOutputItem(
                id=item_id_of(item_id),
                call_id=values.name("call_id", call_id),
                output=values.struct("output", output, ComputerScreenshot),
                acknowledged_safety_checks=or_unset(checks or None),
                status=status,
            )
        )

    output_item_computer_call_output = whole(add_output_item_computer_call_output)

    def add_output_item_local_shell_call(
        self,
        call_id: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        timeout_ms: int | None = None,
        user: str | None = None,
        working_directory: str | None = None,
        status: FinalStatus = "completed",
        item_id: str | None = None,
    ) -> PlainItemBuilder:
        """Begin a command of the older local shell tool, for the client to run; *timeout_ms* in milliseconds.

        Raises:
            InvalidType, InvalidValue: an argument does not fit.
        """
        action = LocalShellCallAction(
            command=values.texts("command", command),
            env=values.text_map("env", env or {}),
            timeout_ms=values.count_or_none("timeout_ms", timeout_ms),
            user=values.text_or_none("user", user),
            working_directory=values.text_or_none("working_directory", working_directory),
        )
        return self._plain(
            LocalShellCall(
                id=item_id_of(item_id), call_id=values.name("call_id", call_id), status=status, action=action
            )
        )

    output_item_local_shell_call = whole(add_output_item_local_shell_call)

    def add_output_item_local_shell_call_output(
        self, output: str, *, status: FinalStatus = "completed", item_id: str | None = None
    ) -> PlainItemBuilder:
        """Begin what a local shell printed; *output* is JSON in a string, *item_id* the id of the call.

        Raises:
            InvalidType, InvalidValue: an argument does not fit.
        """
        return self._plain(
            LocalShellCallOutput(id=item_id_of(item_id), output=values.text("output", output), status=status)
        )

    output_item_local_shell_call_output = whole(add_output_item_local_shell_call_output)

    def add_output_item_apply_patch_call_output(
        self,
        call_id: str,
        *,
        output: str | None = None,
        status: Literal["completed", "failed"] = "completed",
        item_id: str | None = None,
    ) -> PlainItemBuilder:
        """Begin the word of whether a patch was applied.

        Raises:
            InvalidType, InvalidValue: an argument does not fit.
        """
        return self._plain(
            ResponseApplyPatchToolCallOutput(
                id=item_id_of(item_id),
                call_id=values.name("call_id", call_id),
                status=status,
                output=values.text_or_none("output", output),
            )
        )

    output_item_apply_patch_call_output = whole(add_output_item_apply_patch_call_output)

    def add_output_item_tool_search_call(
        self,
        arguments: Any,
        *,
        call_id: str | None = None,
        execution: Literal["server", "client"] = "server",
        status: FinalStatus = "completed",
        item_id: str | None = None,
    ) -> PlainItemBuilder:
        """Begin a search for deferred tools; *arguments* is any JSON, *call_id* None when the server searches.

        Raises:
            InvalidType, InvalidValue: an argument does not fit.
        """
        return self._plain(
            ResponseToolSearchCall(
                id=item_id_of(item_id),
                call_id=None if call_id is None else values.name("call_id", call_id),
                execution=values.choice("execution", execution, "server", "client"),
                arguments=values.plain("arguments", arguments),
                status=status,
            )
        )

    output_item_tool_search_call = whole(add_output_item_tool_search_call)

    def add_output_item_tool_search_output(
        self,
        tools: Sequence[ToolDefinition | Mapping[str, Any]],
        *,
        call_id: str | None = None,
        execution: Literal["server", "client"] = "server",
        status: FinalStatus = "completed",
        item_id: str | None = None,
    ) -> PlainItemBuilder:
        """Begin the tools that were found and loaded.

        Raises:
            InvalidType, InvalidValue: an argument does not fit.
        """
        return self._plain(
            ResponseToolSearchOutputItem(
                id=item_id_of(item_id),
                call_id=None if call_id is None else values.name("call_id", call_id),
                execution=values.choice("execution", execution, "server", "client"),
                tools=values.all_of("tools", tools, ToolDefinition, "tool"),
                status=status,
            )
        )

    output_item_tool_search_output = whole(add_output_item_tool_search_output)

    def add_output_item_additional_tools(
        self,
        tools: Sequence[ToolDefinition | Mapping[str, Any]],
        *,
        role: str = "developer",
        item_id: str | None = None,
    ) -> PlainItemBuilder:
        """Begin tools that are there from this point of the conversation on.

        Raises:
            InvalidType, InvalidValue: an argument does not fit.
        """
        return self._plain(
            AdditionalTools(
                id=item_id_of(item_id),
                role=values.name("role", role),
                tools=values.all_of("tools", tools, ToolDefinition, "tool"),
            )
        )

    output_item_additional_tools = whole(add_output_item_additional_tools)

    def add_output_item_program(
        self, call_id: str, code: str, fingerprint: str, *, item_id: str | None = None
    ) -> PlainItemBuilder:
        """Begin JavaScript that the model wrote to call tools; *fingerprint* is opaque.

        Raises:
            InvalidType, InvalidValue: an argument does not fit.
        """
        return self._plain(
            Program(
                id=item_id_of(item_id),
                call_id=values.name("call_id", call_id),
                code=values.text("code", code),
                fingerprint=values.text("fingerprint", fingerprint),
            )
        )

    output_item_program = whole(add_output_item_program)

    def add_output_item_program_output(
        self, call_id: str, result: str, *, status: FinalStatus = "completed", item_id: str | None = None
    ) -> PlainItemBuilder:
        """Begin what a program returned.

        Raises:
            InvalidType, InvalidValue: an argument does not fit.
        """
        return self._plain(
            ProgramOutput(
                id=item_id_of(item_id),
                call_id=values.name("call_id", call_id),
                result=values.text("result", result),
                status=status,
            )
        )

    output_item_program_output = whole(add_output_item_program_output)

    def add_output_item_compaction(
        self, encrypted_content: str, *, created_by: str | None = None, item_id: str | None = None
    ) -> CompactionBuilder:
        """Begin an encrypted summary that stands for older context.

        Raises:
            InvalidType, InvalidValue: an argument does not fit.
        """
        summary = values.text("encrypted_content", encrypted_content)
        creator = values.text_or_none("created_by", created_by)
        return CompactionBuilder(self._core, self._core.claim_item_id("compaction", item_id), summary, creator)

    output_item_compaction = whole(add_output_item_compaction)

    def add_output_item_structured_outputs(self, output: Any, *, item_id: str | None = None) -> PlainItemBuilder:
        """Begin data in a form that was asked for; *output* is any JSON.

        Raises:
            InvalidType, InvalidValue: an argument does not fit.
        """
        return self._plain(StructuredOutputs(id=item_id_of(item_id), output=values.plain("output", output)))

    output_item_structured_outputs = whole(add_output_item_structured_outputs)

    def add_output_item_oauth_consent_request(
        self, consent_link: str, server_label: str, *, item_id: str | None = None
    ) -> PlainItemBuilder:
        """Begin a request to the user to consent at a link.

        Raises:
            InvalidType, InvalidValue: an argument does not fit.
        """
        return self._plain(
            OAuthConsentRequest(
                id=item_id_of(item_id),
                consent_link=values.name("consent_link", consent_link),
                server_label=values.name("server_label", server_label),
            )
        )

    output_item_oauth_consent_request = whole(add_output_item_oauth_consent_request)

    def add_output_item_memory_search_call(
        self,
        *,
        results: Sequence[MemorySearchResult | Mapping[str, Any]] | None = None,
        status: ToolStatus = "completed",
        item_id: str | None = None,
    ) -> PlainItemBuilder:
        """Begin a search in the memory of a user; *results* only where the client asked for them.

        Raises:
            InvalidType, InvalidValue: an argument does not fit.
        """
        found = None if results is None else values.structs("results", results, MemorySearchResult)
        return self._plain(MemorySearchCall(id=item_id_of(item_id), status=status, results=or_unset(found)))

    output_item_memory_search_call = whole(add_output_item_memory_search_call)

    def add_output_item_workflow_action(
        self,
        kind: str,
        action_id: str,
        *,
        parent_action_id: str | None = None,
        previous_action_id: str | None = None,
        status: Literal["completed", "failed"] = "completed",
        item_id: str | None = None,
    ) -> PlainItemBuilder:
        """Begin a step of a workflow.

        Raises:
            InvalidType, InvalidValue: an argument does not fit.
        """
        return self._plain(
            WorkflowAction(
                id=item_id_of(item_id),
                kind=values.name("kind", kind),
                action_id=values.name("action_id", action_id),
                parent_action_id=or_unset(values.text_or_none("parent_action_id", parent_action_id)),
                previous_action_id=or_unset(values.text_or_none("previous_action_id", previous_action_id)),
                status=status,
            )
        )

    output_item_workflow_action = whole(add_output_item_workflow_action)


def _output(given: str | Sequence[ContentPart | Mapping[str, Any]]) -> str | list[ContentPart]:
    if isinstance(given, str):
        return values.text("output", given)
    return values.all_of("output", given, ContentPart, "content part")
