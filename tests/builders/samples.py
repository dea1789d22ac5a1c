"""For every public call of the builders, an argument that fits for each parameter, and a builder that is ready."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any, Final

from responses_stream.builders.stream import ResponseEventStream
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.protocol.parts import Logprob, TopLogprob

PLATFORM: Final = (
    *("a2a_preview", "bing_grounding", "sharepoint_grounding_preview", "azure_ai_search", "bing_custom_search_preview"),
    *("openapi", "browser_automation_preview", "fabric_dataagent_preview", "azure_function"),
)

USAGE: Final = {
    "input_tokens": 12,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
    "output_tokens": 3,
    "output_tokens_details": {"reasoning_tokens": 1},
    "total_tokens": 15,
}
CITATION: Final = {
    "type": "url_citation",
    "url": "https://example.com/a",
    "title": "A",
    "start_index": 0,
    "end_index": 2,
}
LOGPROBS: Final = [Logprob(token="Hi", logprob=-0.1, top_logprobs=[TopLogprob(token="Hi", logprob=-0.1)])]
CALLER: Final = {"type": "program", "caller_id": "call_0"}
SEARCH: Final = {"type": "search", "query": "q", "queries": ["q"], "sources": [{"type": "url", "url": "u"}]}
RESULTS: Final = [{"file_id": "file_1", "filename": "a.md", "score": 0.5, "text": "t", "attributes": {"year": 2026}}]
OUTPUTS: Final = [{"type": "logs", "logs": "2"}, {"type": "image", "url": "u"}]
IMAGE_ERROR: Final = {"type": "moderation", "message": "No."}
MCP_TOOLS: Final = [{"name": "search", "input_schema": {"type": "object"}, "description": "d"}]
MCP_ERROR: Final = {"type": "http_error", "code": 500, "message": "x"}
OPERATION: Final = {"type": "update_file", "path": "a.txt", "diff": "+b"}
ENVIRONMENT: Final = {"type": "container_reference", "container_id": "cntr_1"}
PRINTED: Final = {"stdout": "a", "stderr": "e", "outcome": {"type": "exit", "exit_code": 1}}
CLICK: Final = {"type": "click", "button": "left", "x": 1, "y": 2}
CHECKS: Final = [{"id": "cs_1", "code": "c", "message": "m"}]
SCREENSHOT: Final = {"type": "computer_screenshot", "image_url": "data:image/png;base64,aGk="}
TOOLS: Final = [{"type": "function", "name": "f", "parameters": {"type": "object"}}]
CONTENT: Final = [{"type": "input_text", "text": "1"}]
MEMORY: Final = [
    {"memory_item": {"memory_id": "m", "updated_at": 1, "scope": "s", "content": "c", "kind": "user_profile"}}
]

PLAIN: Final[dict[str, dict[str, Any]]] = {
    "function_call_output": {"call_id": "call_1", "output": CONTENT, "status": "completed"},
    "custom_tool_call_output": {"call_id": "call_1", "output": "1", "status": "completed"},
    "mcp_approval_request": {"server_label": "docs", "name": "delete", "arguments": "{}"},
    "mcp_approval_response": {"approval_request_id": "mcpr_1", "approve": True, "reason": "fine"},
    "computer_call": {
        "call_id": "call_1",
        "action": CLICK,
        "actions": [CLICK, {"type": "wait"}],
        "pending_safety_checks": CHECKS,
        "status": "completed",
    },
    "computer_call_output": {
        "call_id": "call_1",
        "output": SCREENSHOT,
        "acknowledged_safety_checks": CHECKS,
        "status": "completed",
    },
    "local_shell_call": {
        "call_id": "call_1",
        "command": ["ls"],
        "env": {"A": "b"},
        "timeout_ms": 5,
        "user": "me",
        "working_directory": "/",
        "status": "completed",
    },
    "local_shell_call_output": {"output": "{}", "status": "completed"},
    "apply_patch_call_output": {"call_id": "call_1", "output": "ok", "status": "failed"},
    "tool_search_call": {
        "arguments": {"paths": ["crm"]},
        "call_id": "call_1",
        "execution": "client",
        "status": "completed",
    },
    "tool_search_output": {"tools": TOOLS, "call_id": "call_1", "execution": "client", "status": "completed"},
    "additional_tools": {"tools": TOOLS, "role": "developer"},
    "program": {"call_id": "call_1", "code": "return 1", "fingerprint": "f1"},
    "program_output": {"call_id": "call_1", "result": "1", "status": "completed"},
    "compaction": {"encrypted_content": "gAAA", "created_by": "me"},
    "structured_outputs": {"output": {"score": 3}},
    "oauth_consent_request": {"consent_link": "https://example.com/consent", "server_label": "mail"},
    "memory_search_call": {"results": MEMORY, "status": "completed"},
    "workflow_action": {
        "kind": "SetVariable",
        "action_id": "a2",
        "parent_action_id": "a0",
        "previous_action_id": "a1",
        "status": "completed",
    },
    **{
        f"{tool}_call": {"call_id": "call_1", "arguments": "{}", "name": "n", "status": "completed"}
        for tool in PLATFORM
    },
    **{
        f"{tool}_call_output": {"call_id": "call_1", "output": [1], "name": "n", "status": "completed"}
        for tool in PLATFORM
    },
}
"""The kinds that are only added and done: what both their factory and their convenience take, besides `item_id`."""

FACTORIES: Final[dict[str, dict[str, Any]]] = {
    **PLAIN,
    "message": {"phase": "final_answer"},
    "reasoning": {"encrypted_content": "gAAA"},
    "function_call": {"name": "f", "call_id": "call_1", "namespace": "n", "caller": CALLER, "is_async": True},
    "custom_tool_call": {"name": "f", "call_id": "call_1", "namespace": "n", "caller": CALLER, "is_async": True},
    "file_search_call": {},
    "web_search_call": {"action": SEARCH},
    "code_interpreter_call": {"container_id": "cntr_1"},
    "image_generation_call": {},
    "mcp_list_tools": {"server_label": "docs"},
    "mcp_call": {"server_label": "docs", "name": "search", "approval_request_id": "mcpr_1"},
    "shell_call": {
        "call_id": "call_1",
        "environment": ENVIRONMENT,
        "timeout_ms": 5,
        "max_output_length": 9,
        "caller": CALLER,
    },
    "shell_call_output": {"call_id": "call_1", "max_output_length": 9, "caller": CALLER},
    "apply_patch_call": {"call_id": "call_1", "operation": OPERATION, "caller": CALLER},
}
"""What each `add_output_item_<kind>` takes, besides `item_id`."""

CONVENIENCES: Final[dict[str, dict[str, Any]]] = {
    **PLAIN,
    "message": {"text": "Hello", "annotations": [CITATION], "phase": "final_answer", "status": "completed"},
    "refusal": {"refusal": "No.", "phase": "final_answer"},
    "reasoning": {"summary": "Hm.", "encrypted_content": "gAAA"},
    "function_call": {"name": "f", "call_id": "call_1", "arguments": '{"a":1}'},
    "custom_tool_call": {"name": "f", "call_id": "call_1", "input": "SELECT 1"},
    "file_search_call": {"queries": ["q"], "results": RESULTS},
    "web_search_call": {"action": SEARCH},
    "code_interpreter_call": {"code": "1+1", "container_id": "cntr_1", "outputs": OUTPUTS},
    "image_generation_call": {
        "result": "aGk=",
        "partial_images": ["aGk="],
        "revised_prompt": "p",
        "background": "opaque",
        "output_format": "png",
        "quality": "low",
        "size": "1024x1024",
    },
    "mcp_list_tools": {"server_label": "docs", "tools": MCP_TOOLS},
    "mcp_call": {
        "server_label": "docs",
        "name": "search",
        "arguments": "{}",
        "output": "ok",
        "approval_request_id": "mcpr_1",
    },
    "shell_call": {
        "call_id": "call_1",
        "commands": ["ls"],
        "environment": ENVIRONMENT,
        "timeout_ms": 5,
        "max_output_length": 9,
    },
    "shell_call_output": {"call_id": "call_1", "output": [PRINTED], "max_output_length": 9},
    "apply_patch_call": {"call_id": "call_1", "operation": OPERATION},
}
"""What each `output_item_<kind>` takes, besides `item_id`."""

# Alternatives to the arguments above, where two exclude each other.
OTHER_CONVENIENCES: Final[list[tuple[str, dict[str, Any]]]] = [
    ("reasoning", {"text": "Hm.", "encrypted_content": "gAAA"}),
    ("mcp_list_tools", {"server_label": "docs", "tools": [], "error": "Not there."}),
    ("mcp_call", {"server_label": "docs", "name": "search", "arguments": "{}", "error": MCP_ERROR}),
]

Ready = Callable[[ResponseEventStream], Any]


def running(response_id: str = "resp_1", **arguments: Any) -> ResponseEventStream:
    """Return a stream that is in progress, whose items have ids that count."""
    numbers = itertools.count(1)
    stream = ResponseEventStream(
        response_id,
        clock=lambda: 1767225600,
        make_item_id=lambda item_type, _: f"{item_type}_{next(numbers)}",
        **arguments,
    )
    stream.emit_created()
    stream.emit_in_progress()
    return stream


def names(events: Iterable[ResponseStreamEvent]) -> list[str]:
    """Return the types of events, without what all of them begin with."""
    return [event.type.removeprefix("response.") for event in events]


def item(kind: str, *calls: str) -> Ready:
    """Return what makes the builder of a *kind* that was added, and on which *calls* were made."""

    def ready(stream: ResponseEventStream) -> Any:
        builder = getattr(stream, f"add_output_item_{kind}")(**FACTORIES[kind])
        for call in ("emit_added", *calls):
            getattr(builder, call)()
        return builder

    return ready


def part(kind: str, make: str, *calls: str) -> Ready:
    """Return what makes the builder of a part, on which *calls* were made."""

    def ready(stream: ResponseEventStream) -> Any:
        builder = getattr(item(kind)(stream), make)()
        for call in calls:
            getattr(builder, call)()
        return builder

    return ready


def text(stream: ResponseEventStream) -> Any:
    """Return the builder of a part that says *Hi*."""
    builder = part("message", "add_text_content", "emit_added")(stream)
    builder.emit_delta("Hi")
    return builder


CALLS: Final[dict[str, tuple[Ready, dict[str, Any]]]] = {
    "MessageBuilder.emit_added": (lambda stream: stream.add_output_item_message(), {}),
    "MessageBuilder.add_text_content": (item("message"), {}),
    "MessageBuilder.add_refusal_content": (item("message"), {}),
    "MessageBuilder.emit_done": (item("message"), {"status": "incomplete"}),
    "TextContentBuilder.emit_added": (part("message", "add_text_content"), {}),
    "TextContentBuilder.emit_delta": (text, {"delta": "Hi", "logprobs": LOGPROBS}),
    "TextContentBuilder.emit_annotation_added": (text, {"annotation": CITATION}),
    "TextContentBuilder.emit_text_done": (text, {"text": "Hi"}),
    "TextContentBuilder.emit_done": (part("message", "add_text_content", "emit_added", "emit_text_done"), {}),
    "RefusalContentBuilder.emit_added": (part("message", "add_refusal_content"), {}),
    "RefusalContentBuilder.emit_delta": (part("message", "add_refusal_content", "emit_added"), {"delta": "No."}),
    "RefusalContentBuilder.emit_refusal_done": (part("message", "add_refusal_content", "emit_added"), {"refusal": ""}),
    "RefusalContentBuilder.emit_done": (part("message", "add_refusal_content", "emit_added", "emit_refusal_done"), {}),
    "ReasoningBuilder.emit_added": (lambda stream: stream.add_output_item_reasoning(), {}),
    "ReasoningBuilder.add_summary_part": (item("reasoning"), {}),
    "ReasoningBuilder.add_text_content": (item("reasoning"), {}),
    "ReasoningBuilder.emit_done": (item("reasoning"), {"status": "incomplete", "encrypted_content": "gBBB"}),
    "ReasoningTextBuilder.emit_added": (part("reasoning", "add_text_content"), {}),
    "ReasoningTextBuilder.emit_delta": (part("reasoning", "add_text_content", "emit_added"), {"delta": "Hm."}),
    "ReasoningTextBuilder.emit_text_done": (part("reasoning", "add_text_content", "emit_added"), {"text": ""}),
    "ReasoningTextBuilder.emit_done": (part("reasoning", "add_text_content", "emit_added", "emit_text_done"), {}),
    "SummaryPartBuilder.emit_added": (part("reasoning", "add_summary_part"), {}),
    "SummaryPartBuilder.emit_delta": (part("reasoning", "add_summary_part", "emit_added"), {"delta": "Hm."}),
    "SummaryPartBuilder.emit_text_done": (part("reasoning", "add_summary_part", "emit_added"), {"text": ""}),
    "SummaryPartBuilder.emit_done": (part("reasoning", "add_summary_part", "emit_added", "emit_text_done"), {}),
    "FunctionCallBuilder.emit_added": (lambda stream: stream.add_output_item_function_call("f", "call_1"), {}),
    "FunctionCallBuilder.emit_arguments_delta": (item("function_call"), {"delta": "{}"}),
    "FunctionCallBuilder.emit_arguments_done": (item("function_call"), {"arguments": ""}),
    "FunctionCallBuilder.emit_done": (item("function_call", "emit_arguments_done"), {"status": "incomplete"}),
    "CustomToolCallBuilder.emit_added": (lambda stream: stream.add_output_item_custom_tool_call("f", "call_1"), {}),
    "CustomToolCallBuilder.emit_input_delta": (item("custom_tool_call"), {"delta": "x"}),
    "CustomToolCallBuilder.emit_input_done": (item("custom_tool_call"), {"input": ""}),
    "CustomToolCallBuilder.emit_done": (item("custom_tool_call", "emit_input_done"), {"status": "incomplete"}),
    "FileSearchCallBuilder.emit_added": (lambda stream: stream.add_output_item_file_search_call(), {}),
    "FileSearchCallBuilder.emit_in_progress": (item("file_search_call"), {}),
    "FileSearchCallBuilder.emit_searching": (item("file_search_call", "emit_in_progress"), {}),
    "FileSearchCallBuilder.emit_completed": (item("file_search_call", "emit_in_progress", "emit_searching"), {}),
    "FileSearchCallBuilder.emit_done": (
        item("file_search_call", "emit_in_progress", "emit_searching", "emit_completed"),
        {"queries": ["q"], "results": RESULTS, "status": "completed"},
    ),
    "WebSearchCallBuilder.emit_added": (lambda stream: stream.add_output_item_web_search_call(), {}),
    "WebSearchCallBuilder.emit_in_progress": (item("web_search_call"), {}),
    "WebSearchCallBuilder.emit_searching": (item("web_search_call", "emit_in_progress"), {}),
    "WebSearchCallBuilder.emit_completed": (item("web_search_call", "emit_in_progress", "emit_searching"), {}),
    "WebSearchCallBuilder.emit_done": (
        item("web_search_call", "emit_in_progress", "emit_searching", "emit_completed"),
        {"action": SEARCH, "status": "completed"},
    ),
    "CodeInterpreterCallBuilder.emit_added": (lambda stream: stream.add_output_item_code_interpreter_call(), {}),
    "CodeInterpreterCallBuilder.emit_in_progress": (item("code_interpreter_call"), {}),
    "CodeInterpreterCallBuilder.emit_code_delta": (item("code_interpreter_call", "emit_in_progress"), {"delta": "1"}),
    "CodeInterpreterCallBuilder.emit_code_done": (item("code_interpreter_call", "emit_in_progress"), {"code": ""}),
    "CodeInterpreterCallBuilder.emit_interpreting": (
        item("code_interpreter_call", "emit_in_progress", "emit_code_done"),
        {},
    ),
    "CodeInterpreterCallBuilder.emit_completed": (
        item("code_interpreter_call", "emit_in_progress", "emit_code_done", "emit_interpreting"),
        {},
    ),
    "CodeInterpreterCallBuilder.emit_done": (
        item("code_interpreter_call", "emit_in_progress", "emit_code_done", "emit_interpreting", "emit_completed"),
        {"outputs": OUTPUTS, "status": "completed"},
    ),
    "ImageGenerationCallBuilder.emit_added": (lambda stream: stream.add_output_item_image_generation_call(), {}),
    "ImageGenerationCallBuilder.emit_in_progress": (item("image_generation_call"), {}),
    "ImageGenerationCallBuilder.emit_generating": (item("image_generation_call", "emit_in_progress"), {}),
    "ImageGenerationCallBuilder.emit_partial_image": (
        item("image_generation_call", "emit_in_progress", "emit_generating"),
        {
            "partial_image_b64": "aGk=",
            "background": "opaque",
            "output_format": "png",
            "quality": "low",
            "size": "1024x1024",
        },
    ),
    "ImageGenerationCallBuilder.emit_completed": (
        item("image_generation_call", "emit_in_progress", "emit_generating"),
        {},
    ),
    "ImageGenerationCallBuilder.emit_done": (
        item("image_generation_call", "emit_in_progress", "emit_generating", "emit_completed"),
        {
            "result": "aGk=",
            "revised_prompt": "p",
            "action": "generate",
            "background": "opaque",
            "output_format": "png",
            "quality": "low",
            "size": "1024x1024",
            "error": IMAGE_ERROR,
            "status": "completed",
        },
    ),
    "McpListToolsBuilder.emit_added": (lambda stream: stream.add_output_item_mcp_list_tools("docs"), {}),
    "McpListToolsBuilder.emit_in_progress": (item("mcp_list_tools"), {}),
    "McpListToolsBuilder.emit_completed": (item("mcp_list_tools", "emit_in_progress"), {}),
    "McpListToolsBuilder.emit_failed": (item("mcp_list_tools", "emit_in_progress"), {}),
    "McpListToolsBuilder.emit_done": (
        item("mcp_list_tools", "emit_in_progress", "emit_failed"),
        {"tools": MCP_TOOLS, "error": "Not there."},
    ),
    "McpCallBuilder.emit_added": (lambda stream: stream.add_output_item_mcp_call("docs", "search"), {}),
    "McpCallBuilder.emit_in_progress": (item("mcp_call"), {}),
    "McpCallBuilder.emit_arguments_delta": (item("mcp_call", "emit_in_progress"), {"delta": "{}"}),
    "McpCallBuilder.emit_arguments_done": (item("mcp_call", "emit_in_progress"), {"arguments": ""}),
    "McpCallBuilder.emit_completed": (item("mcp_call", "emit_in_progress", "emit_arguments_done"), {}),
    "McpCallBuilder.emit_failed": (item("mcp_call", "emit_in_progress", "emit_arguments_done"), {}),
    "McpCallBuilder.emit_done": (
        item("mcp_call", "emit_in_progress", "emit_arguments_done", "emit_failed"),
        {"output": "o", "error": MCP_ERROR, "status": "failed"},
    ),
    "ShellCallBuilder.emit_added": (lambda stream: stream.add_output_item_shell_call("call_1"), {}),
    "ShellCallBuilder.add_command": (item("shell_call"), {}),
    "ShellCallBuilder.emit_done": (item("shell_call"), {"status": "incomplete"}),
    "ShellCommandBuilder.emit_added": (part("shell_call", "add_command"), {}),
    "ShellCommandBuilder.emit_delta": (part("shell_call", "add_command", "emit_added"), {"delta": "ls"}),
    "ShellCommandBuilder.emit_done": (part("shell_call", "add_command", "emit_added"), {"command": ""}),
    "ShellCallOutputBuilder.emit_added": (lambda stream: stream.add_output_item_shell_call_output("call_1"), {}),
    "ShellCallOutputBuilder.add_output": (item("shell_call_output"), {}),
    "ShellCallOutputBuilder.emit_done": (item("shell_call_output"), {"status": "incomplete"}),
    "ShellOutputBuilder.emit_delta": (part("shell_call_output", "add_output"), {"stdout": "a", "stderr": "e"}),
    "ShellOutputBuilder.emit_done": (part("shell_call_output", "add_output"), {"outcome": {"type": "timeout"}}),
    "ApplyPatchCallBuilder.emit_added": (
        lambda stream: stream.add_output_item_apply_patch_call("call_1", OPERATION),
        {},
    ),
    "ApplyPatchCallBuilder.emit_diff_delta": (item("apply_patch_call"), {"delta": "+b"}),
    "ApplyPatchCallBuilder.emit_diff_done": (item("apply_patch_call"), {"diff": ""}),
    "ApplyPatchCallBuilder.emit_done": (item("apply_patch_call"), {"status": "completed"}),
    "CompactionBuilder.emit_added": (lambda stream: stream.add_output_item_compaction("gAAA"), {}),
    "CompactionBuilder.emit_compacting": (item("compaction"), {}),
    "CompactionBuilder.emit_done": (item("compaction"), {"encrypted_content": "gBBB"}),
    "PlainItemBuilder.emit_added": (lambda stream: stream.add_output_item_program("call_1", "1", "f"), {}),
    "PlainItemBuilder.emit_done": (item("program"), {}),
}
"""For every `emit_*` and `add_*` of every builder: what makes one that is ready for it, and what the call takes."""

RESPONSE_CALLS: Final[dict[str, tuple[Callable[[], ResponseEventStream], dict[str, Any]]]] = {
    "emit_created": (lambda: ResponseEventStream("resp_1"), {"status": "queued"}),
    "emit_completed": (running, {"usage": USAGE}),
    "emit_failed": (running, {"code": "server_error", "message": "Broken.", "usage": USAGE}),
    "emit_incomplete": (running, {"reason": "content_filter", "usage": USAGE}),
    "emit_error": (running, {"code": "server_error", "message": "Broken.", "param": "input"}),
    "add_output_item": (running, {"item": {"type": "acme:verdict", "score": 3}}),
    "output_item": (running, {"item": {"type": "acme:verdict", "score": 3}, "item_id": "item_1"}),
}
"""What the calls of the stream itself take, where they take anything."""
