"""What the chat client of an agent is asked: the options of a request, the tools that its client brings, the order.

The framework puts the results of approved calls behind all that is new, and its chat clients pass a `tool_choice` on as
it is. `ChatRequests` stands between both, where a run's messages and tools are known.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence, Set
from typing import Any, Final

import attrs
from agent_framework import (
    AgentExecutor,
    ChatContext,
    ChatMiddleware,
    FunctionTool,
    Message,
    RawAgent,
    WorkflowAgent,
)

from responses_stream.agents.bridges.asked import instructions_of

__all__ = ["ChatRequests", "chat_options", "declared", "names_of", "own_names", "results_behind_calls"]

_RENAMED: Final[Mapping[str, str]] = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_output_tokens": "max_tokens",
    "parallel_tool_calls": "allow_multiple_tool_calls",
}
_SCHEMA: Final = ("name", "description", "schema", "strict")


@attrs.frozen(eq=False)
class ChatRequests(ChatMiddleware):
    """Puts each request to a chat client in order: results follow their calls, and a choice names tools that are there.

    Services refuse both where it is not so.

    Attributes:
        chosen: whether the `tool_choice` is that of the client; the agent's own is not touched.
    """

    chosen: bool

    async def process(self, context: ChatContext, call_next: Callable[[], Awaitable[None]]) -> None:
        context.messages = results_behind_calls(context.messages)
        options = context.options or {}
        if self.chosen and (choice := options.get("tool_choice")) is not None:
            context.options = {**options, "tool_choice": _fitting(choice, options.get("tools") or ())}
        await call_next()


def chat_options(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the chat options that a request, as plain data, asks for."""
    options = {theirs: asked[name] for name, theirs in _RENAMED.items() if name in asked}
    if (instructions := instructions_of(asked)) is not None:
        options["instructions"] = instructions
    match asked.get("tool_choice"):
        case "auto" | "none" | "required" as mode:
            options["tool_choice"] = mode
        case {"type": "function", "name": str(name)}:
            options["tool_choice"] = {"mode": "required", "required_function_name": name}
        case {"type": "allowed_tools", "mode": mode, "tools": list(tools)}:
            names = [tool["name"] for tool in tools if tool.get("type") == "function"]
            options["tool_choice"] = {"mode": mode, "allowed_tools": names}
    form = (asked.get("text") or {}).get("format") or {}
    if form.get("type") == "json_schema":
        options["response_format"] = {
            "type": "json_schema",
            "json_schema": {name: form[name] for name in _SCHEMA if form.get(name) is not None},
        }
    return options


def declared(functions: Sequence[Mapping[str, Any]], taken: Iterable[str]) -> list[FunctionTool]:
    """Return the functions of a request's `tools` as tools that somebody else runs, but for names that are *taken*."""
    # A client may name one twice, which the framework refuses.
    offered = {tool["name"]: tool for tool in functions}
    return [
        FunctionTool(
            name=name,
            description=tool.get("description") or "",
            func=None,
            input_model=tool.get("parameters") or {"type": "object", "properties": {}},
        )
        for name, tool in offered.items()
        if name not in taken
    ]


def names_of(tools: Iterable[Any]) -> set[str]:
    """Return the names of *tools*, in the forms that the framework has for them; those of a service may have none."""
    names = set[str]()
    for tool in tools:
        given = tool.get("function", tool) if isinstance(tool, Mapping) else tool
        name = given.get("name") if isinstance(given, Mapping) else getattr(given, "name", None)
        if isinstance(name, str):
            names.add(name)
    return names


def own_names(agent: object) -> set[str]:
    """Return the names of the tools that *agent* has itself, as far as they are known before it runs.

    The tools of an MCP server are known once the agent has connected to it.
    """
    match agent:
        case RawAgent():
            served = [tool for server in agent.mcp_tools for tool in server.functions]
            return names_of([*(agent.default_options.get("tools") or ()), *served])
        case WorkflowAgent():
            executors = agent.workflow.get_executors_list()
            return {name for one in executors if isinstance(one, AgentExecutor) for name in own_names(one.agent)}
    return set()


def results_behind_calls(messages: Sequence[Message]) -> list[Message]:
    """Return *messages* with each message of results before what the user, or the system, has said since its calls."""
    ordered: list[Message] = []
    for message in messages:
        if called := {content.call_id for content in message.contents if content.type == "function_result"}:
            ordered.insert(_before_others(ordered, called), message)
        else:
            ordered.append(message)
    return ordered


def _before_others(messages: Sequence[Message], called: Set[str | None]) -> int:
    """Return the index that results of the calls *called* have to have in *messages*."""
    at = len(messages)
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if any(content.type == "function_call" and content.call_id in called for content in message.contents):
            return at
        if message.role not in ("assistant", "tool"):
            at = index
    # The service has the calls.
    return len(messages)


def _fitting(choice: Any, tools: Sequence[Any]) -> Any:
    """Return what of *choice* can be done with *tools*, None where that is nothing."""
    match choice:
        case {"required_function_name": name}:
            return choice if name in names_of(tools) else None
        case {"allowed_tools": list(allowed)}:
            names = names_of(tools)
            kept = [name for name in allowed if name in names]
            return {**choice, "allowed_tools": kept} if kept else None
        case "required" | {"mode": "required"}:
            return choice if tools else None
    return choice
