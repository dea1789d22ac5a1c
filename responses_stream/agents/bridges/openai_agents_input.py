"""What a request asks, in the form that `openai-agents` takes: input items, settings of the model, tools of the client.

The framework's items are those of the protocol, so little has to change. Ids are left out, because they are ours and
the service behind the framework does not know them; what the agent itself has called, which its clients see as
`mcp_call`, becomes the call of a function and its output again.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from typing import Any, Final

from agents import (
    AgentOutputSchemaBase,
    FunctionTool,
    ModelBehaviorError,
    ModelSettings,
    Tool,
    ToolOutputFileContent,
    ToolOutputImage,
    ToolOutputText,
)
from agents.tool_context import ToolContext
from openai.types.shared import Reasoning

from responses_stream.agents.bridges.asked import plain, text_of
from responses_stream.protocol.conversions import StoredItem
from responses_stream.protocol.items import InputItem

__all__ = [
    "NOT_ANSWERED",
    "AskedOutput",
    "ClientFunction",
    "answered",
    "input_items",
    "model_settings",
    "tools_of_client",
]

NOT_ANSWERED: Final = "The call was not answered."
"""What the model is told of a call that nobody has answered."""

_OUTPUTS: Final = {
    "function_call": "function_call_output",
    "custom_tool_call": "custom_tool_call_output",
    "computer_call": "computer_call_output",
    "local_shell_call": "local_shell_call_output",
    "shell_call": "shell_call_output",
    "apply_patch_call": "apply_patch_call_output",
}
_TOLD: Final = ("function_call", "custom_tool_call")
# They are for this side alone: approvals were dealt with, and what only a service writes no model reads.
_LEFT_OUT: Final = frozenset(
    {"mcp_approval_request", "mcp_approval_response", "mcp_list_tools", "item_reference", "compaction_trigger"}
)
_SETTINGS: Final = {
    "temperature": "temperature",
    "top_p": "top_p",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "parallel_tool_calls": "parallel_tool_calls",
    "truncation": "truncation",
    "max_output_tokens": "max_tokens",
    "top_logprobs": "top_logprobs",
    "include": "response_include",
    "prompt_cache_retention": "prompt_cache_retention",
}


def input_items(items: Iterable[InputItem | StoredItem]) -> list[Any]:
    """Return *items* as input items of the framework."""
    found: list[Any] = []
    for item in items:
        found += _translated(plain(item))
    return found


def _translated(item: dict[str, Any]) -> list[dict[str, Any]]:
    kind = item.get("type", "message")
    if kind in _LEFT_OUT or (kind == "reasoning" and not item.get("encrypted_content")):
        return []
    if kind == "mcp_call":
        call_id = str(item.get("id"))
        output = item.get("output") or item.get("error") or ""
        call = {"type": "function_call", "call_id": call_id, "name": item["name"], "arguments": item["arguments"]}
        return [call, {"type": "function_call_output", "call_id": call_id, "output": text_of(output)}]
    return [{name: value for name, value in item.items() if name not in ("id", "status")}]


def answered(items: Sequence[Any]) -> list[Any]:
    """Return *items* so that each call has an output; a service refuses others.

    A call of a function or a custom tool is given one that says that there was none; calls of other kinds are left out.
    """
    answers = {(item.get("type"), item.get("call_id")) for item in items}
    found: list[Any] = []
    for item in items:
        kind, call_id = str(item.get("type")), item.get("call_id")
        missing = kind in _OUTPUTS and (_OUTPUTS[kind], call_id) not in answers
        if not missing or kind in _TOLD:
            found.append(item)
        if missing and kind in _TOLD:
            found.append({"type": _OUTPUTS[kind], "call_id": call_id, "output": NOT_ANSWERED})
    return found


def model_settings(options: Mapping[str, Any]) -> ModelSettings:
    """Return what the framework has of the request's options; the others are left to the agent.

    The choice of a tool is not among them: agents that have no such tool cannot follow it.
    """
    settings: dict[str, Any] = {
        theirs: plain(options[ours]) for ours, theirs in _SETTINGS.items() if options.get(ours) is not None
    }
    reasoning = plain(options.get("reasoning"))
    if reasoning:
        settings["reasoning"] = Reasoning(**reasoning)
    text = plain(options.get("text")) or {}
    if text.get("verbosity") is not None:
        settings["verbosity"] = text["verbosity"]
    return ModelSettings(**settings)


class AskedOutput(AgentOutputSchemaBase):
    """The form that a request asks for with `text.format`.

    Args:
        format: ``{"type": "json_schema", "name": ..., "schema": ..., "strict": ...}``.
    """

    def __init__(self, format: Mapping[str, Any]) -> None:
        self._format = format

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> AskedOutput | None:
        """Return what *options* ask for, or None where it is text."""
        format = (plain(options.get("text")) or {}).get("format") or {}
        return cls(format) if format.get("type") == "json_schema" else None

    def is_plain_text(self) -> bool:
        return False

    def name(self) -> str:
        return str(self._format.get("name", "output"))

    def json_schema(self) -> dict[str, Any]:
        return dict(self._format.get("schema") or {})

    def is_strict_json_schema(self) -> bool:
        return bool(self._format.get("strict"))

    def validate_json(self, json_str: str) -> Any:
        try:
            return json.loads(json_str)
        except ValueError:
            raise ModelBehaviorError("the output is no JSON") from None


@dataclasses.dataclass
class ClientFunction(FunctionTool):
    """A function that the client runs, as a tool of the agent."""


def tools_of_client(definitions: Sequence[Mapping[str, Any]], outputs: Mapping[str, Any]) -> list[Tool]:
    """Return functions of the client as tools of the agent that wait for it.

    Each needs an approval, which stops the run where the model calls it. When the client has answered, the call is
    approved, and its output is what the client sent.

    Args:
        definitions: of the functions, as they stand in the `tools` of a request.
        outputs: what the client has answered, by the ids of the calls.
    """

    async def output_of(context: ToolContext[Any], _arguments: str) -> Any:
        return _tool_output(outputs.get(context.tool_call_id, NOT_ANSWERED))

    return [
        ClientFunction(
            name=tool["name"],
            description=tool.get("description") or "",
            params_json_schema=tool.get("parameters") or {"type": "object", "properties": {}},
            on_invoke_tool=output_of,
            strict_json_schema=False,
            needs_approval=True,
        )
        for tool in definitions
    ]


def _tool_output(output: Any) -> Any:
    if isinstance(output, str):
        return output
    return [_tool_part(part) for part in output]


def _tool_part(part: MutableMapping[str, Any]) -> Any:
    match part.get("type"):
        case "input_image":
            return ToolOutputImage(
                image_url=part.get("image_url"), file_id=part.get("file_id"), detail=part.get("detail")
            )
        case "input_file":
            return ToolOutputFileContent(
                file_data=part.get("file_data"),
                file_url=part.get("file_url"),
                file_id=part.get("file_id"),
                filename=part.get("filename"),
            )
        case _:
            return ToolOutputText(text=text_of([part]))
