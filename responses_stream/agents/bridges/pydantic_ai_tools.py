"""The tools that a client brings, and its choice among the tools of a run, as a capability of pydantic-ai.

Which tools an agent has is known only when a run asks for them: toolsets and servers may bring others in each step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic_ai import AbstractToolset, ExternalToolset, ModelSettings, RunContext, ToolDefinition, WrapperToolset
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.models import ModelRequestContext
from pydantic_ai.toolsets import ToolsetTool

__all__ = ["ClientTools", "external_tools"]


def external_tools(functions: Sequence[Mapping[str, Any]]) -> list[ToolDefinition]:
    """Return the functions of a request's `tools` as tools that somebody else runs."""
    return [
        ToolDefinition(
            name=tool["name"],
            description=tool.get("description"),
            parameters_json_schema=tool.get("parameters") or {"type": "object", "properties": {}},
            strict=tool.get("strict"),
        )
        for tool in functions
    ]


@dataclass
class ClientTools(AbstractCapability[Any]):
    """Offers the tools of the client to the model, and passes its `tool_choice` on.

    Attributes:
        tools: what the client runs. A tool of the agent that has the same name goes before it.
        choice: the `tool_choice` of the request. What names no tool of the run is left out: models refuse it. It is for
            the first request of a run only, so that the agent can come to an end.
    """

    tools: list[ToolDefinition] = field(default_factory=list)
    choice: Any = None

    def get_wrapper_toolset(self, toolset: AbstractToolset[Any]) -> AbstractToolset[Any] | None:
        return _WithClientTools(toolset, ExternalToolset(self.tools)) if self.tools else None

    async def before_model_request(
        self, ctx: RunContext[Any], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        if ctx.run_step <= 1:
            parameters = request_context.model_request_parameters
            functions = {tool.name for tool in parameters.function_tools}
            if (choice := _choice(self.choice, functions)) is not None:
                settings = {**(request_context.model_settings or {}), "tool_choice": choice}
                request_context.model_settings = cast("ModelSettings", settings)
        return request_context


@dataclass
class _WithClientTools(WrapperToolset[Any]):
    external: ExternalToolset[Any]

    async def get_tools(self, ctx: RunContext[Any]) -> dict[str, ToolsetTool[Any]]:
        return {**await self.external.get_tools(ctx), **await self.wrapped.get_tools(ctx)}


def _choice(choice: Any, functions: Set[str]) -> str | list[str] | None:
    """Return what the framework has for *choice* among *functions*; None where that leaves nothing to choose."""
    named: list[str] = []
    match choice:
        case "none":
            return "none"
        case "required":
            return "required" if functions else None
        case {"type": "function", "name": str(name)}:
            named = [name]
        case {"type": "allowed_tools", "mode": "required", "tools": list(tools)}:
            named = [tool["name"] for tool in tools if tool.get("type") == "function"]
    return [name for name in named if name in functions] or None
