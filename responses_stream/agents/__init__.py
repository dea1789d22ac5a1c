"""Any agent, any upstream: what they say as the events of a response, with or without a server of ours.

Pure functions first: `run_input` reads a request, `render` and `render_stream` write the answer, `relay` and
`from_chat_completions` pass on that of another server. On top of them `agent_handler` and the bridges make a handler
of an agent, with sessions. A name is loaded when it is first asked for: who only renders pays for no event loop.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from responses_stream.agents.chat_completions import ChatChunk as ChatChunk
    from responses_stream.agents.chat_completions import chat_contents as chat_contents
    from responses_stream.agents.chat_completions import from_chat_completions as from_chat_completions
    from responses_stream.agents.contents import ApprovalRequest as ApprovalRequest
    from responses_stream.agents.contents import ApprovalResponse as ApprovalResponse
    from responses_stream.agents.contents import CodeInterpreter as CodeInterpreter
    from responses_stream.agents.contents import Content as Content
    from responses_stream.agents.contents import FunctionCall as FunctionCall
    from responses_stream.agents.contents import FunctionResult as FunctionResult
    from responses_stream.agents.contents import Image as Image
    from responses_stream.agents.contents import Incomplete as Incomplete
    from responses_stream.agents.contents import Media as Media
    from responses_stream.agents.contents import Reasoning as Reasoning
    from responses_stream.agents.contents import Refusal as Refusal
    from responses_stream.agents.contents import Result as Result
    from responses_stream.agents.contents import Said as Said
    from responses_stream.agents.contents import Shell as Shell
    from responses_stream.agents.contents import ShellResult as ShellResult
    from responses_stream.agents.contents import Text as Text
    from responses_stream.agents.contents import ToolCall as ToolCall
    from responses_stream.agents.contents import ToolResult as ToolResult
    from responses_stream.agents.contents import Update as Update
    from responses_stream.agents.contents import Usage as Usage
    from responses_stream.agents.delivery import DeliveryReport as DeliveryReport
    from responses_stream.agents.delivery import NotTaken as NotTaken
    from responses_stream.agents.delivery import deliver as deliver
    from responses_stream.agents.handler import AgentHandler as AgentHandler
    from responses_stream.agents.handler import agent_handler as agent_handler
    from responses_stream.agents.hooks import DROPPED as DROPPED
    from responses_stream.agents.hooks import Hooks as Hooks
    from responses_stream.agents.hooks import text_of as text_of
    from responses_stream.agents.isolation import BoundTurn as BoundTurn
    from responses_stream.agents.isolation import current_turn as current_turn
    from responses_stream.agents.reading_input import error_body as error_body
    from responses_stream.agents.reading_input import run_input as run_input
    from responses_stream.agents.relaying import AsyncRelayed as AsyncRelayed
    from responses_stream.agents.relaying import Relayed as Relayed
    from responses_stream.agents.relaying import Upstream as Upstream
    from responses_stream.agents.relaying import UpstreamFailed as UpstreamFailed
    from responses_stream.agents.relaying import relay as relay
    from responses_stream.agents.relaying import relay_response as relay_response
    from responses_stream.agents.rendering import RunFailed as RunFailed
    from responses_stream.agents.rendering import ToolCalls as ToolCalls
    from responses_stream.agents.rendering import render as render
    from responses_stream.agents.rendering import render_stream as render_stream
    from responses_stream.agents.rendering import said_on as said_on
    from responses_stream.agents.repairing import AsyncRepaired as AsyncRepaired
    from responses_stream.agents.repairing import Repaired as Repaired
    from responses_stream.agents.repairing import repaired as repaired
    from responses_stream.agents.repairing_report import Repair as Repair
    from responses_stream.agents.repairing_report import RepairReport as RepairReport
    from responses_stream.agents.response_sessions import ResponseSessionStore as ResponseSessionStore
    from responses_stream.agents.session_stores import MemorySessionStore as MemorySessionStore
    from responses_stream.agents.session_stores import SessionKey as SessionKey
    from responses_stream.agents.session_stores import SessionStore as SessionStore
    from responses_stream.agents.sessions import Sessions as Sessions
    from responses_stream.agents.target import AgentState as AgentState
    from responses_stream.agents.turn import Agent as Agent
    from responses_stream.agents.turn import AgentResult as AgentResult
    from responses_stream.agents.turn import Isolation as Isolation
    from responses_stream.agents.turn import RunContext as RunContext
    from responses_stream.agents.turn import RunInput as RunInput
    from responses_stream.agents.turn import SessionAnchor as SessionAnchor
    from responses_stream.agents.turn import Turn as Turn

_HOMES: Final = {
    "Agent": "turn",
    "AgentHandler": "handler",
    "AgentResult": "turn",
    "AgentState": "target",
    "ApprovalRequest": "contents",
    "ApprovalResponse": "contents",
    "AsyncRelayed": "relaying",
    "AsyncRepaired": "repairing",
    "BoundTurn": "isolation",
    "ChatChunk": "chat_completions",
    "CodeInterpreter": "contents",
    "Content": "contents",
    "DROPPED": "hooks",
    "DeliveryReport": "delivery",
    "FunctionCall": "contents",
    "FunctionResult": "contents",
    "Hooks": "hooks",
    "Image": "contents",
    "Incomplete": "contents",
    "Isolation": "turn",
    "Media": "contents",
    "MemorySessionStore": "session_stores",
    "NotTaken": "delivery",
    "Reasoning": "contents",
    "Refusal": "contents",
    "Relayed": "relaying",
    "Repair": "repairing_report",
    "RepairReport": "repairing_report",
    "Repaired": "repairing",
    "ResponseSessionStore": "response_sessions",
    "Result": "contents",
    "RunContext": "turn",
    "RunFailed": "rendering",
    "RunInput": "turn",
    "Said": "contents",
    "SessionAnchor": "turn",
    "SessionKey": "session_stores",
    "SessionStore": "session_stores",
    "Sessions": "sessions",
    "Shell": "contents",
    "ShellResult": "contents",
    "Text": "contents",
    "ToolCall": "contents",
    "ToolCalls": "rendering",
    "ToolResult": "contents",
    "Turn": "turn",
    "Update": "contents",
    "Upstream": "relaying",
    "UpstreamFailed": "relaying",
    "Usage": "contents",
    "agent_handler": "handler",
    "chat_contents": "chat_completions",
    "current_turn": "isolation",
    "deliver": "delivery",
    "error_body": "reading_input",
    "from_chat_completions": "chat_completions",
    "relay": "relaying",
    "relay_response": "relaying",
    "render": "rendering",
    "render_stream": "rendering",
    "repaired": "repairing",
    "run_input": "reading_input",
    "said_on": "rendering",
    "text_of": "hooks",
}

__all__ = [
    "DROPPED",
    "Agent",
    "AgentHandler",
    "AgentResult",
    "AgentState",
    "ApprovalRequest",
    "ApprovalResponse",
    "AsyncRelayed",
    "AsyncRepaired",
    "BoundTurn",
    "ChatChunk",
    "CodeInterpreter",
    "Content",
    "DeliveryReport",
    "FunctionCall",
    "FunctionResult",
    "Hooks",
    "Image",
    "Incomplete",
    "Isolation",
    "Media",
    "MemorySessionStore",
    "NotTaken",
    "Reasoning",
    "Refusal",
    "Relayed",
    "Repair",
    "RepairReport",
    "Repaired",
    "ResponseSessionStore",
    "Result",
    "RunContext",
    "RunFailed",
    "RunInput",
    "Said",
    "SessionAnchor",
    "SessionKey",
    "SessionStore",
    "Sessions",
    "Shell",
    "ShellResult",
    "Text",
    "ToolCall",
    "ToolCalls",
    "ToolResult",
    "Turn",
    "Update",
    "Upstream",
    "UpstreamFailed",
    "Usage",
    "agent_handler",
    "chat_contents",
    "current_turn",
    "deliver",
    "error_body",
    "from_chat_completions",
    "relay",
    "relay_response",
    "render",
    "render_stream",
    "repaired",
    "run_input",
    "said_on",
    "text_of",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
