"""A chat model of LangChain that plays scripts: what it streams, piece by piece, and what it was asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import anyio
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from pydantic import Field, PrivateAttr

Step = AIMessageChunk | Exception | Callable[[], Any]
"""A piece to say, what to raise, or what to await."""


class ScriptedChat(BaseChatModel):
    """Plays one script for each time that it is asked."""

    scripts: list[list[Any]] = Field(default_factory=list)
    _asked: list[list[BaseMessage]] = PrivateAttr(default_factory=list)
    _with: list[dict[str, Any]] = PrivateAttr(default_factory=list)

    @property
    def asked(self) -> list[list[BaseMessage]]:
        """The messages of each call."""
        return self._asked

    @property
    def asked_with(self) -> list[dict[str, Any]]:
        """The settings of each call."""
        return self._with

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, Any]:
        return self.bind(tools=list(tools), **kwargs)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,  # noqa: ARG002
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        self._asked.append(list(messages))
        self._with.append(kwargs)
        for step in self.scripts.pop(0):
            if isinstance(step, Exception):
                raise step
            if not isinstance(step, AIMessageChunk):
                await step()
                continue
            chunk = ChatGenerationChunk(message=step.model_copy())
            if run_manager is not None:
                await run_manager.on_llm_new_token(str(step.text), chunk=chunk)
            yield chunk
            await anyio.lowlevel.checkpoint()

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        raise NotImplementedError("the bridge streams asynchronously; LangChain asks only whether this is there")

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,  # noqa: ARG002
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> ChatResult:
        self._asked.append(list(messages))
        self._with.append(kwargs)
        whole: Any = None
        for step in self.scripts.pop(0):
            whole = step if whole is None else whole + step
        return ChatResult(generations=[ChatGeneration(message=whole)])


def words(text: str, **last: Any) -> list[AIMessageChunk]:
    """Return *text* in pieces, the last of them with more."""
    pieces = [AIMessageChunk(content=piece) for piece in text.replace(" ", " \0").split("\0")]
    pieces[-1] = AIMessageChunk(content=pieces[-1].content, **last)
    return pieces


def call(name: str, arguments: str, call_id: str, index: int = 0) -> list[AIMessageChunk]:
    """Return a call of a tool in two pieces."""
    half = len(arguments) // 2
    first = tool_call_chunk(name=name, args=arguments[:half], id=call_id, index=index)
    rest = tool_call_chunk(args=arguments[half:], index=index)
    return [AIMessageChunk(content="", tool_call_chunks=[piece]) for piece in (first, rest)]
