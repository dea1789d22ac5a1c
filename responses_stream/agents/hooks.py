"""`Hooks`: what runs around a turn of an agent, and may replace what goes in and what comes out (H21.22, H21.35).

Each is a function or a coroutine function. What it returns takes the place of what it was given; None leaves it as it
is. They run where the agent runs, so `current_turn` knows the turn there.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, Final, TypeAlias, TypeVar

import attrs

from responses_stream.agents.contents import Result, Said, Text, Update
from responses_stream.agents.turn import RunInput, Turn
from responses_stream.errors import InvalidType, InvalidValue
from responses_stream.protocol.items import ResponseOutputMessage
from responses_stream.protocol.parts import ResponseOutputText

__all__ = ["DROPPED", "AfterResult", "BeforeRun", "Hooks", "OnBreak", "OnUpdate", "text_of"]

T = TypeVar("T")

DROPPED: Final = Update(())
"""What an `on_update` returns for an update that nobody shall hear of."""

BeforeRun: TypeAlias = Callable[[Turn], Turn | RunInput | None | Awaitable[Turn | RunInput | None]]
OnUpdate: TypeAlias = Callable[[Said, Turn], Said | None | Awaitable[Said | None]]
AfterResult: TypeAlias = Callable[[Result, Turn], Result | None | Awaitable[Result | None]]
OnBreak: TypeAlias = Callable[[Result, Turn], object]


def _callable(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and not callable(value):
        raise InvalidType(attribute.name, "a function, or None", value)


@attrs.frozen(kw_only=True)
class Hooks:
    """What runs around a turn.

    Attributes:
        before_run: gets the turn before the agent does. May return another `Turn`, or another `RunInput` for it.
        on_update: gets each update before it is said. May return another, or `DROPPED`.
        after_result: gets all that was said, after `on_update`, when the agent has ended and the response has not. May
            return another `Result`. What a client has read cannot be taken back, so the new one has to begin with what
            was said, and the rest of it is said as well; anything else fails the turn, unless `hold_back` is set.
        hold_back: whether nothing of the output is said before `after_result` has seen all of it, which may then
            replace it wholly, in a stream too; its client waits for it.
        on_break: gets what was said so far when the run broke off: the agent raised, or nobody wants its answer any
            more. It may put into `turn.session` what the next turn shall know of it (H21.20). What it raises is logged.

    Raises:
        InvalidType: one of them is no function.
        InvalidValue: `hold_back` is set and there is no `after_result` to hold back for.
    """

    before_run: BeforeRun | None = attrs.field(default=None, validator=_callable)
    on_update: OnUpdate | None = attrs.field(default=None, validator=_callable)
    after_result: AfterResult | None = attrs.field(default=None, validator=_callable)
    hold_back: bool = False
    on_break: OnBreak | None = attrs.field(default=None, validator=_callable)

    def __attrs_post_init__(self) -> None:
        if self.hold_back and self.after_result is None:
            raise InvalidValue("hold_back", "needs an `after_result`, for which the output is held back")

    @property
    def gathers(self) -> bool:
        """Whether one of them wants to know all that was said."""
        return self.after_result is not None or self.on_break is not None


def text_of(result: Result) -> str:
    """Return the text of the answer in *result*: its strings, `Text` pieces and messages, joined.

    What several speakers said at the same time stands one after the other, as it was read. A hook `on_break` finds in
    it what the user has read of an answer that broke off.
    """
    texts: dict[str | None, str] = {}
    for one in result.said:
        speaker = one.speaker if isinstance(one, Update) else None
        texts[speaker] = texts.get(speaker, "") + "".join(_texts([one]))
    return "".join(texts.values())


def _texts(said: Iterable[Said]) -> Iterator[str]:
    for one in said:
        if isinstance(one, str):
            yield one
        elif isinstance(one, Text):
            yield one.text
        elif isinstance(one, Update):
            yield from _texts(one.contents)
        elif isinstance(one, ResponseOutputMessage):
            yield from (part.text for part in one.content if isinstance(part, ResponseOutputText))


async def settled(value: T | Awaitable[T]) -> T:
    """Return what a hook returned, awaited where it has to be."""
    return await value if inspect.isawaitable(value) else value
