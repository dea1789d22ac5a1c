"""`current_turn`: whose turn it is and which response it makes, for what the agent calls and we do not (H21.23).

A history provider or a tool of a framework is not handed our `Turn`; it reads this context variable instead. It is
bound in the producing side alone: `in_context` takes each step of a generator in a `contextvars.Context` of its own,
so what the agent binds there stays from step to step, is inherited by the tasks and threads that it starts, and never
shows where the events are consumed. Nothing has to be reset, so it does not matter which task closes it (pains.md I1).
"""

from __future__ import annotations

import contextvars
import json
from collections.abc import AsyncGenerator, Generator
from contextlib import suppress
from typing import Any, Final, Generic, TypeVar

import attrs

from responses_stream.agents.turn import HasKeys, Turn

__all__ = ["BoundTurn", "context_of", "current_turn", "in_context", "partition_of_keys"]

T = TypeVar("T")


@attrs.frozen
class BoundTurn:
    """What is known of the turn that is being made (H21.23, H21.24).

    Attributes:
        response_id: the response that it makes.
        previous_response_id: the response that it goes on from, or None.
        conversation_id: the conversation that it belongs to, or None.
        user_key: the user, where one is known.
        chat_key: the chat, where one is known.
    """

    response_id: str
    previous_response_id: str | None = None
    conversation_id: str | None = None
    user_key: str | None = None
    chat_key: str | None = None

    @classmethod
    def of(cls, turn: Turn) -> BoundTurn:
        """Return what is to be bound for *turn*."""
        return cls(
            turn.response_id,
            turn.previous_response_id,
            turn.conversation_id,
            turn.isolation.user_key,
            turn.isolation.chat_key,
        )


_CURRENT: Final = contextvars.ContextVar[BoundTurn | None]("responses_stream_turn", default=None)


def current_turn() -> BoundTurn | None:
    """Return the turn that the running code belongs to, or None outside of one."""
    return _CURRENT.get()


def context_of(turn: BoundTurn | None) -> contextvars.Context:
    """Return a copy of the current context in which `current_turn` is *turn*; `in_context` runs something in it."""
    context = contextvars.copy_context()
    context.run(_CURRENT.set, turn)
    return context


async def in_context(source: AsyncGenerator[T, None], context: contextvars.Context) -> AsyncGenerator[T, None]:
    """Yield what *source* does, each step of which runs in *context*; whoever closes this closes *source*, there."""
    run = context.run
    try:
        while True:
            step = source.__anext__().__await__()
            try:
                waits_for = run(step.send, None)
            except StopIteration as end:  # it did not have to wait, as most do not
                value: T = end.value
            except StopAsyncIteration:
                return
            else:
                try:
                    value = await _Rest(step, waits_for, context)
                except StopAsyncIteration:
                    return
            yield value
    finally:
        closing = source.aclose().__await__()
        with suppress(StopIteration):
            await _Rest(closing, run(closing.send, None), context)


class _Rest(Generic[T]):
    """The rest of something that has begun to wait. Its code runs in *context*, and the awaiting task waits for it."""

    __slots__ = ("_context", "_steps", "_waits_for")

    def __init__(self, steps: Generator[Any, Any, T], waits_for: Any, context: contextvars.Context) -> None:
        self._steps, self._waits_for, self._context = steps, waits_for, context

    def __await__(self) -> Generator[Any, Any, T]:
        steps, run, waits_for = self._steps, self._context.run, self._waits_for
        while True:
            try:
                step, given = steps.send, (yield waits_for)
            except BaseException as error:
                # GeneratorExit too: `close` of a step of a generator does not reach the generator before 3.13.
                step, given = steps.throw, error
            try:
                waits_for = run(step, given)
            except StopIteration as end:
                result: T = end.value
                return result


def partition_of_keys(keys: HasKeys) -> str:
    """Return the partition of a user and a chat: what `Identity.partition` is, for anything that has the two keys."""
    if keys.user_key is None and keys.chat_key is None:
        return ""
    return json.dumps([keys.user_key, keys.chat_key], ensure_ascii=False, separators=(",", ":"))
