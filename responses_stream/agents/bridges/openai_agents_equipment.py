"""The agents of a run of `openai-agents`, as far as hand-offs go, and what a request adds to each of them.

The functions of the client, the form of the output and the choice of a tool are for whoever speaks, and a hand-off in
the middle of the turn changes who that is. The application's agents are left as they are; the run gets copies.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import attrs
from agents import Agent, CustomTool, Handoff, HostedMCPTool
from agents.model_settings import MCPToolChoice
from agents.tool_context import ToolContext

from responses_stream.agents.bridges.openai_agents_input import AskedOutput, ClientFunction, tools_of_client

__all__ = ["Equipment", "choice_for", "handoff_names", "is_of_client", "named"]

# Under these types a request chooses hosted tools that have another name here.
_HOSTED: Final = {
    "web_search_preview": "web_search",
    "computer": "computer_use_preview",
    "computer_use": "computer_use_preview",
}


@attrs.define(eq=False)
class Equipment:
    """What a request adds to the agents of a run.

    Attributes:
        tools: definitions of the functions that the client runs; an agent's own tools and hand-offs win.
        outputs: what the client has answered, by the ids of its calls.
        form: what the output of agents is to look like that have no type for it.
        choice: the tool choice that the request asks for, as plain data.
        otherwise: the tool choice of agents that cannot follow it; None stands for their own.
        worked: ids of calls whose custom tools did not raise. Nothing else tells of a custom tool whether it did.
    """

    tools: Sequence[Mapping[str, Any]] = ()
    outputs: Mapping[str, Any] = attrs.field(factory=dict)
    form: AskedOutput | None = None
    choice: Any = None
    otherwise: str | MCPToolChoice | None = None
    worked: set[str] = attrs.field(factory=set)
    # By the id of an agent: itself, which keeps the id its own, and its copy.
    _copies: dict[int, tuple[Agent[Any], Agent[Any]]] = attrs.field(factory=dict, init=False)

    def of(self, agent: Agent[Any]) -> Agent[Any]:
        """Return *agent* with what it is to have for this run; itself where nobody that it can reach gets anything."""
        if not self.tools and self.form is None and self.choice is None and not _has_custom_tools(agent):
            return agent
        return self._copied(agent)

    def _copied(self, agent: Agent[Any]) -> Agent[Any]:
        if (known := self._copies.get(id(agent))) is not None:
            return known[1]
        # Its subclasses may have an `__init__` that `clone` does not know.
        made = copy.copy(agent)
        self._copies[id(agent)] = agent, made
        self._copies[id(made)] = made, made
        taken = _names(agent)
        offered = [tool for tool in self.tools if tool["name"] not in taken]
        own = [self._noting(tool) if isinstance(tool, CustomTool) else tool for tool in agent.tools]
        made.tools = [*own, *tools_of_client(offered, self.outputs)]
        made.handoffs = [self._handing_over(handoff) for handoff in agent.handoffs]
        if agent.output_type is None and self.form is not None:
            made.output_type = self.form
        if self.choice is not None:
            choice = choice_for(made, self.choice) or self.otherwise
            if choice is not None:
                made.model_settings = dataclasses.replace(agent.model_settings, tool_choice=choice)
        return made

    def _handing_over(self, handoff: Agent[Any] | Handoff[Any, Any]) -> Agent[Any] | Handoff[Any, Any]:
        if isinstance(handoff, Agent):
            return self._copied(handoff)
        hand_over = handoff.on_invoke_handoff

        async def handed_over(context: Any, arguments: str) -> Any:
            target = await hand_over(context, arguments)
            return self._copied(target) if isinstance(target, Agent) else target

        made = copy.copy(handoff)
        made.on_invoke_handoff = handed_over
        if (target := _target(handoff)) is not None:
            made._agent_ref = weakref.ref(self._copied(target))
        return made

    def _noting(self, tool: CustomTool) -> CustomTool:
        async def invoked(context: ToolContext[Any], text: str) -> Any:
            output = tool.on_invoke_tool(context, text)
            output = await output if inspect.isawaitable(output) else output
            self.worked.add(context.tool_call_id)
            return output

        return dataclasses.replace(tool, on_invoke_tool=invoked)


def choice_for(agent: Agent[Any], asked: Any) -> str | MCPToolChoice | None:
    """Return the tool choice that *asked* for, in the framework's form; None where *agent* has no such tool.

    Services refuse the choice of a tool that they are not offered.

    Args:
        agent: who is to choose. Of one with MCP servers or a stored prompt nobody knows all tools, so all may be there.
        asked: the `tool_choice` of a request, as plain data. Of a list of allowed tools the mode is left.
    """
    hidden = bool(agent.mcp_servers or agent.prompt)
    match asked:
        case "required":
            return "required" if hidden or agent.tools or agent.handoffs else None
        case str():
            return asked
        case {"type": "allowed_tools", "mode": str(mode), "tools": list(tools)}:
            return mode if any(choice_for(agent, tool) is not None for tool in tools) else None
        case {"type": "mcp", "server_label": str(label)}:
            if not hidden and label not in _labels(agent):
                return None
            name = asked.get("name")
            return MCPToolChoice(server_label=label, name=name) if isinstance(name, str) else "mcp"
        case {"type": "function" | "custom", "name": str(name)} | {"type": str(name)}:
            return name if hidden or _HOSTED.get(name, name) in _names(agent) else None
    return None


def named(root: Agent[Any], name: str | None) -> Agent[Any]:
    """Return the agent of that name that *root* can hand over to, however far; *root* where there is none."""
    return next((agent for agent in _reachable(root) if agent.name == name), root)


def handoff_names(agent: Agent[Any]) -> set[str]:
    """Return the names of the tools by which *agent* hands over."""
    return {
        Handoff.default_tool_name(handoff) if isinstance(handoff, Agent) else handoff.tool_name
        for handoff in agent.handoffs
    }


def is_of_client(agent: Agent[Any], name: str | None) -> bool:
    """Whether the tool that *agent* knows by *name* is a function that the client runs."""
    return any(isinstance(tool, ClientFunction) and tool.name == name for tool in agent.tools)


def _names(agent: Agent[Any]) -> set[str]:
    return {tool.name for tool in agent.tools} | handoff_names(agent)


def _labels(agent: Agent[Any]) -> set[Any]:
    return {tool.tool_config.get("server_label") for tool in agent.tools if isinstance(tool, HostedMCPTool)}


def _has_custom_tools(root: Agent[Any]) -> bool:
    """Whether *root*, or somebody whom it can reach, has one; whom nobody knows may have one."""
    return any(
        any(isinstance(tool, CustomTool) for tool in agent.tools)
        or any(isinstance(handoff, Handoff) and _target(handoff) is None for handoff in agent.handoffs)
        for agent in _reachable(root)
    )


def _reachable(root: Agent[Any]) -> Iterator[Agent[Any]]:
    seen: list[Agent[Any]] = [root]
    for agent in seen:
        yield agent
        for handoff in agent.handoffs:
            target = _target(handoff) if isinstance(handoff, Handoff) else handoff
            if isinstance(target, Agent) and all(target is not known for known in seen):
                seen.append(target)


def _target(handoff: Handoff[Any, Any]) -> Agent[Any] | None:
    """Return whom *handoff* is to, where that is known before it is made."""
    target = handoff._agent_ref and handoff._agent_ref()
    return target if isinstance(target, Agent) else None
