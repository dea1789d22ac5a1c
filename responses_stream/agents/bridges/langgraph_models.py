"""A turn of a chat model of LangChain, or of another runnable that takes messages: asked once, and its calls are the
client's to answer, because nobody else is there to run them.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from typing import Any, cast

import attrs
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, SystemMessage, message_chunk_to_message
from langchain_core.runnables import Runnable, RunnableConfig
from pydantic_core import to_jsonable_python

from responses_stream.agents.bridges.apart import apart
from responses_stream.agents.bridges.asked import instructions_of, plain, wants_sealed
from responses_stream.agents.bridges.langgraph_events import Translation
from responses_stream.agents.bridges.langgraph_input import answered, loaded, messages_of, saved, settings_of, tools_of
from responses_stream.agents.bridges.langgraph_memory import Memory
from responses_stream.agents.contents import Incomplete, Said
from responses_stream.agents.turn import Turn

__all__ = ["ModelRuns", "config_of"]


@attrs.frozen(eq=False)
class ModelRuns:
    """How runnables are asked. The members are those of `bridge`."""

    config: RunnableConfig | Callable[[Turn], RunnableConfig] | None = None
    to_state: Callable[[Turn], Any] | None = None
    client_tools: bool = False

    async def speak(self, model: Runnable[Any, Any], turn: Turn) -> AsyncGenerator[Said, None]:
        """Yield what *model* says."""
        memory = Memory.of(turn.session)
        before = messages_of(await turn.get_history()) if memory is None else loaded(memory.messages)
        messages = answered([*before, *messages_of(turn.run.messages)])
        asked = instructions_of(turn.run.options)
        given: Any = [SystemMessage(asked), *messages] if asked is not None else messages
        if self.to_state is not None:
            given = self.to_state(turn)
        said = Translation(runs_tools=False, sealed=wants_sealed(turn.run.options))
        whole: Any = None
        parsed: Any = None
        text = ""
        source = apart(self._equipped(model, turn.run.options).astream(given, config_of(self.config, turn)))
        try:
            async for piece in source:
                if isinstance(piece, BaseMessage):
                    whole = whole + piece if isinstance(whole, AIMessageChunk) else piece
                    for content in said.said(piece):
                        yield content
                elif isinstance(piece, str):
                    text += piece
                    yield piece
                else:
                    # Each is the whole so far.
                    parsed = piece
            if parsed is not None:
                text = json.dumps(to_jsonable_python(parsed, fallback=str), ensure_ascii=False)
                yield text
            if said.cut is not None:
                yield Incomplete(said.cut)
        finally:
            if isinstance(whole, AIMessage):
                messages.append(message_chunk_to_message(whole))
            elif text:
                messages.append(AIMessage(text))
            turn.session = Memory(saved(messages)).as_session()
            await source.aclose()

    def _equipped(self, model: Runnable[Any, Any], options: Mapping[str, Any]) -> Runnable[Any, Any]:
        """Return *model* with what the request asks for; chains have settings and tools of their own."""
        if not isinstance(model, BaseChatModel):
            return model
        equipped: Runnable[Any, Any] = model
        tools = tools_of(options) if self.client_tools else []
        choice = _tool_choice(plain(options.get("tool_choice")), {tool["function"]["name"] for tool in tools})
        if tools and choice != "none":
            equipped = model.bind_tools(tools, tool_choice=choice) if choice is not None else model.bind_tools(tools)
        settings = settings_of(options)
        return equipped.bind(**settings) if settings else equipped


def config_of(config: RunnableConfig | Callable[[Turn], RunnableConfig] | None, turn: Turn) -> RunnableConfig:
    """Return the config of the run of *turn*, a copy of its own."""
    made = config(turn) if callable(config) else config
    copy = cast("RunnableConfig", dict(made or {}))
    copy["configurable"] = dict(copy.get("configurable") or {})
    return copy


def _tool_choice(choice: Any, names: Collection[str]) -> str | None:
    """Return *choice* as `bind_tools` takes it, or None where it is of none of the functions *names*."""
    if isinstance(choice, Mapping):
        choice = choice.get("mode") or (choice["name"] if choice.get("name") in names else None)
    return "any" if choice == "required" else choice if isinstance(choice, str) else None
