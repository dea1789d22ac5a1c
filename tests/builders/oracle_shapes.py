"""What events and items have to hold, written down from events.md and items.md for the oracle.

A shape is a small language of its own. A string names a kind: ``s`` string, ``i`` integer from 0, ``z`` any integer,
``n`` number, ``b`` boolean, ``a`` array, ``o`` object, ``*`` anything; ``?`` behind it means that the member may be
absent or null, ``=`` that it may be null. A dict is an object with members, a one-element list an array of that shape,
and `ByType` an object whose members its `type` names.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple, TypeAlias


class ByType(NamedTuple):
    """An object that its `type` tells apart; other types may hold anything."""

    shapes: Mapping[str, Members]


class Maybe(NamedTuple):
    """A member that may be absent or null."""

    shape: Shape


Shape: TypeAlias = "str | Mapping[str, Shape] | list[Shape] | ByType | Maybe"
Members: TypeAlias = Mapping[str, Shape]


def members(plain: str = "", **nested: Shape) -> Members:
    """Return the members of an object: ``"id name? code:z"``, strings where no kind is named, and what is nested."""
    found: dict[str, Shape] = {}
    for word in plain.split():
        name, _, kind = word.partition(":")
        mark = name[len(name.rstrip("?=")) :]
        found[name.rstrip("?=")] = kind or f"s{mark}"
    return found | nested


_INSIDE: Final = "item_id output_index:i"
_PART: Final = f"{_INSIDE} content_index:i"
_SUMMARY: Final = f"{_INSIDE} summary_index:i"
_COMMAND: Final = "output_index:i command_index:i"

_CALLER: Final = Maybe(ByType({"direct": {}, "program": members("caller_id")}))
_OUTCOME: Final = ByType({"exit": members("exit_code:z"), "timeout": {}})
_PRINTED: Final[Shape] = [members("stdout stderr created_by?", outcome=_OUTCOME)]
_ACTION: Final = ByType(
    {
        "click": members("button x:z y:z"),
        "double_click": members("x:z y:z keys:a="),
        "drag": members(path=[members("x:z y:z")]),
        "keypress": members(keys=["s"]),
        "move": members("x:z y:z"),
        "screenshot": {},
        "scroll": members("x:z y:z scroll_x:z scroll_y:z"),
        "type": members("text"),
        "wait": {},
    }
)
_SAFETY: Final[Shape] = [members("id code? message?")]
_NAMED_TOOLS: Final = ("a2a_preview", "openapi", "azure_function")
_TOOLS: Final = (
    *_NAMED_TOOLS,
    "bing_grounding",
    "sharepoint_grounding_preview",
    "azure_ai_search",
    "bing_custom_search_preview",
    "browser_automation_preview",
    "fabric_dataagent_preview",
)

_TOOL_STATES: Final = {
    "mcp_call": "in_progress completed failed",
    "mcp_list_tools": "in_progress completed failed",
    "file_search_call": "in_progress searching completed",
    "web_search_call": "in_progress searching completed",
    "code_interpreter_call": "in_progress interpreting completed",
    "image_generation_call": "in_progress generating completed",
    "compaction": "compacting",
}

EVENTS: Final[Mapping[str, Members]] = {
    "error": {},  # R170 says what it has to hold
    "keepalive": {},
    **{
        f"response.{name}": members("response:o")
        for name in ("created", "queued", "in_progress", "completed", "failed", "incomplete")
    },
    **{
        f"response.{tool}.{state}": members(_INSIDE)
        for tool, states in _TOOL_STATES.items()
        for state in states.split()
    },
    **{
        f"response.{family}.{word}": members(f"{place} {'delta' if word == 'delta' else whole}")
        for family, place, whole in (
            ("output_text", _PART, "text"),
            ("refusal", _PART, "refusal"),
            ("reasoning_text", _PART, "text"),
            ("reasoning", _PART, "text"),
            ("reasoning_summary_text", _SUMMARY, "text"),
            ("function_call_arguments", _INSIDE, "arguments name?"),
            ("custom_tool_call_input", _INSIDE, "input"),
            ("mcp_call_arguments", _INSIDE, "arguments"),
            ("code_interpreter_call_code", _INSIDE, "code"),
            ("apply_patch_call_operation_diff", _INSIDE, "diff"),
            ("shell_call_command", _COMMAND, "command"),
        )
        for word in ("delta", "done")
    },
    "response.output_item.added": members("item:o output_index:i"),
    "response.output_item.done": members("item:o output_index:i"),
    "response.content_part.added": members(f"{_PART} part:o"),
    "response.content_part.done": members(f"{_PART} part:o"),
    "response.output_text.annotation.added": members(f"{_PART} annotation_index:i annotation:o="),
    "response.reasoning_summary_part.added": members(f"{_SUMMARY} part:o"),
    "response.reasoning_summary_part.done": members(f"{_SUMMARY} part:o status?"),
    "response.image_generation_call.partial_image": members(
        f"{_INSIDE} partial_image_index:i partial_image_b64 background? output_format? quality? size?"
    ),
    "response.shell_call_command.added": members(f"{_COMMAND} command"),
    "response.shell_call_output_content.delta": members(f"{_INSIDE} command_index:i", delta=members("stdout? stderr?")),
    "response.shell_call_output_content.done": members(f"{_INSIDE} command_index:i", output=_PRINTED),
    "response.audio.delta": members("delta"),
    "response.audio.transcript.delta": members("delta"),
    "response.audio.transcript.done": {},
    "response.audio.done": {},
}
"""The events that are known, with their members (events.md section 4)."""

ITEMS: Final[Mapping[str, Members]] = {
    "message": members("status role content:a phase?"),
    "reasoning": members("status? summary:a content:a? encrypted_content?"),
    "function_call": members("call_id status name arguments namespace? async:b?", caller=_CALLER),
    "function_call_output": members("call_id status output:sa", caller=_CALLER),
    "custom_tool_call": members("call_id status? name input namespace? async:b?", caller=_CALLER),
    "custom_tool_call_output": members("call_id status output:sa", caller=_CALLER),
    "file_search_call": members(
        "status", queries=["s"], results=Maybe([members("file_id? filename? score:n? text? attributes:o?")])
    ),
    "web_search_call": members(
        "status",
        action=ByType(
            {
                "search": members("query?", queries=Maybe(["s"]), sources=Maybe([ByType({"url": members("url")})])),
                "open_page": members("url?"),
                "find_in_page": members("pattern url"),
            }
        ),
    ),
    "code_interpreter_call": members(
        "status code= container_id", outputs=Maybe([ByType({"logs": members("logs"), "image": members("url")})])
    ),
    "image_generation_call": members(
        "status result= action? background? output_format? quality? revised_prompt? size?",
        error=Maybe(
            members(
                "code= message param= type",
                moderation_details=Maybe(members("moderation_stage", categories=["s"])),
            )
        ),
    ),
    "mcp_list_tools": members("server_label error?", tools=[members("name input_schema:* description?")]),
    "mcp_call": members(
        "status? name arguments server_label output? approval_request_id?",
        error=Maybe(
            ByType(
                {
                    "mcp_protocol_error": members("code:z message"),
                    "mcp_tool_execution_error": members("content:*"),
                    "http_error": members("code:z message"),
                }
            )
        ),
    ),
    "mcp_approval_request": members("name arguments server_label"),
    "mcp_approval_response": members("approval_request_id approve:b reason?"),
    "computer_call": members(
        "call_id status", pending_safety_checks=_SAFETY, action=Maybe(_ACTION), actions=Maybe([_ACTION])
    ),
    "computer_call_output": members(
        "call_id status", output=members("type file_id? image_url?"), acknowledged_safety_checks=Maybe(_SAFETY)
    ),
    "local_shell_call": members(
        "call_id status", action=members("type env:o timeout_ms:z? user? working_directory?", command=["s"])
    ),
    "local_shell_call_output": members("output status?"),
    "shell_call": members(
        "call_id status",
        action=members("max_output_length:z? timeout_ms:z?", commands=["s"]),
        environment=Maybe(ByType({"local": {}, "container_reference": members("container_id")})),
        caller=_CALLER,
    ),
    "shell_call_output": members("call_id status max_output_length:z=", output=_PRINTED, caller=_CALLER),
    "apply_patch_call": members(
        "call_id status",
        operation=ByType(
            {"create_file": members("path diff"), "update_file": members("path diff"), "delete_file": members("path")}
        ),
        caller=_CALLER,
    ),
    "apply_patch_call_output": members("call_id status output?", caller=_CALLER),
    "tool_search_call": members("call_id= status arguments:* execution"),
    "tool_search_output": members("call_id= status execution", tools=["o"]),
    "additional_tools": members("role", tools=["o"]),
    "program": members("call_id code fingerprint"),
    "program_output": members("call_id status result"),
    "compaction": members("encrypted_content created_by?"),
    "structured_outputs": members("output:*"),
    "oauth_consent_request": members("consent_link server_label"),
    "memory_search_call": members(
        "status", results=Maybe([members(memory_item=members("memory_id updated_at:n scope content kind?"))])
    ),
    "workflow_action": members("kind action_id status parent_action_id? previous_action_id?"),
    **{
        f"{tool}_call": members(f"call_id arguments status {'name' if tool in _NAMED_TOOLS else 'name?'}")
        for tool in _TOOLS
    },
    **{
        f"{tool}_call_output": members(f"call_id status {'name' if tool in _NAMED_TOOLS else 'name?'}")
        for tool in _TOOLS
    },
}
"""The items that are known, with their members; each has `id` and `type` besides (items.md sections 3 and 8)."""

_STATUSES: Final = {
    "in_progress completed incomplete": (
        "message reasoning function_call function_call_output custom_tool_call custom_tool_call_output computer_call"
        " local_shell_call local_shell_call_output shell_call shell_call_output tool_search_call tool_search_output"
    ),
    "in_progress searching completed incomplete failed": "file_search_call web_search_call memory_search_call",
    "in_progress interpreting completed incomplete failed": "code_interpreter_call",
    "in_progress calling completed incomplete failed": "mcp_call",
    "in_progress completed generating failed": "image_generation_call",
    "in_progress completed incomplete failed": " ".join(
        ["computer_call_output", *(f"{tool}_call {tool}_call_output" for tool in _TOOLS)]
    ),
    "in_progress completed": "apply_patch_call",
    "completed failed": "apply_patch_call_output",
    "completed incomplete": "program_output",
    "in_progress completed failed cancelled": "workflow_action",
    "": (
        "mcp_list_tools mcp_approval_request mcp_approval_response additional_tools program compaction"
        " structured_outputs oauth_consent_request"
    ),
}
STATUSES: Final = {kind: frozenset(known.split()) for known, kinds in _STATUSES.items() for kind in kinds.split()}
"""The statuses that each type knows; none where it has no status."""

CALLS: Final = frozenset(
    [
        *("function_call", "custom_tool_call", "computer_call", "local_shell_call", "shell_call", "apply_patch_call"),
        *("tool_search_call", "program", *(f"{tool}_call" for tool in _TOOLS)),
    ]
)
"""The items whose `call_id` is their own."""

ONE_SHOT: Final = frozenset(ITEMS) - {
    *("message", "reasoning", "function_call", "custom_tool_call", "file_search_call", "web_search_call"),
    *("code_interpreter_call", "image_generation_call", "mcp_call", "shell_call", "apply_patch_call"),
    *("computer_call", "local_shell_call"),
}
"""The items that may be complete when they are added."""


def misfits(value: Any, shape: Shape, path: str) -> Iterator[tuple[str, str]]:
    """Yield the rule and the sentence of each place where *value* is not of *shape*."""
    if isinstance(shape, Maybe):
        if value is not None:
            yield from misfits(value, shape.shape, path)
    elif isinstance(shape, str):
        if not _is(value, shape.rstrip("?="), "?" in shape or "=" in shape):
            yield ("R014" if shape == "i" else "R015"), f"{path} is {value!r:.40}"
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield "R015", f"{path} is no array"
        else:
            for at, element in enumerate(value):
                yield from misfits(element, shape[0], f"{path}.{at}")
    elif not isinstance(value, dict):
        yield "R015", f"{path} is no object"
    elif isinstance(shape, ByType):
        yield from misfitting_members(value, shape.shapes.get(value.get("type", ""), {}), path)
    else:
        yield from misfitting_members(value, shape, path)


def misfitting_members(value: Mapping[str, Any], shape: Members, path: str) -> Iterator[tuple[str, str]]:
    """Yield as `misfits` does, for the members of an object."""
    for name, inner in shape.items():
        optional = isinstance(inner, Maybe) or (isinstance(inner, str) and "?" in inner)
        nullable = optional or (isinstance(inner, str) and "=" in inner)
        if name not in value:
            if not optional:
                yield "R013", f"{path}.{name} is missing"
        elif value[name] is None:
            if not nullable and inner != "*":
                yield "R013", f"{path}.{name} is null"
        else:
            yield from misfits(value[name], inner, f"{path}.{name}")


def is_index(value: object) -> bool:
    """Tell whether *value* is an integer from 0; a boolean is none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_number(value: object) -> bool:
    """Tell whether *value* is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is(value: object, kinds: str, nullable: bool) -> bool:
    if value is None:
        return nullable
    checks = {
        "s": isinstance(value, str),
        "i": is_index(value),
        "z": isinstance(value, int) and not isinstance(value, bool),
        "n": is_number(value),
        "b": isinstance(value, bool),
        "a": isinstance(value, list),
        "o": isinstance(value, dict),
        "*": True,
    }
    return any(checks[kind] for kind in kinds)
