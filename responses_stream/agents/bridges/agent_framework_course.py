"""What a run of the Microsoft Agent Framework has said and called so far, in its order.

It tells what of a text is new, and has what goes into a history where the framework did not come to write it.
"""

from __future__ import annotations

import json
from typing import Final, TypeAlias

import attrs
from agent_framework import Content, Message

__all__ = ["CUT", "Call", "Course", "Key"]

CUT: Final = "The call was cut short before it had a result."
"""The result of a call that has none."""

Key: TypeAlias = tuple[str, str | None, str | None]
"""What tells apart what is said: of what kind it is, by whom, and in which message."""


@attrs.define(eq=False)
class Call:
    """A call of a function.

    Attributes:
        call_id: its id; not every model has one of its own for each call of a run.
        name, arguments: as far as they have come.
        server_name: the server whose function it is, where it has one.
        hosted: whether the service of the model runs it.
        told: whether the client knows of it.
        result: what came of it, None where nothing has yet.
    """

    call_id: str
    name: str = ""
    arguments: str = ""
    server_name: str | None = None
    hosted: bool = False
    told: bool = False
    result: str | None = None

    @property
    def begun(self) -> bool:
        """Whether the agent has run it, or may have: its arguments are whole."""
        if self.hosted:
            return False
        try:
            return self.result is not None or isinstance(json.loads(self.arguments), dict)
        except ValueError:
            return False


@attrs.define(eq=False)
class _Flow:
    """What one speaker says without anything else in between.

    Attributes:
        key: what of, and which message.
        text: all of it so far.
        number: which of all that the run has said it is.
    """

    key: Key | None = None
    text: str = ""
    number: int = 0


@attrs.define(eq=False)
class Course:
    """The texts and the calls of one run."""

    # Texts stand in it by their numbers.
    _steps: list[int | Call] = attrs.field(factory=list, init=False)
    _texts: dict[int, str] = attrs.field(factory=dict, init=False)
    _flows: dict[str | None, _Flow] = attrs.field(factory=dict, init=False)
    _flow: _Flow = attrs.field(factory=_Flow, init=False)
    _count: int = attrs.field(default=0, init=False)

    @property
    def text(self) -> str:
        """What the speaker says now, as far as it has come."""
        return self._flow.text

    @property
    def number(self) -> int:
        """Which of all that was said that is."""
        return self._flow.number

    def hear(self, speaker: str | None) -> None:
        """Listen to *speaker* from now on; what another one is saying goes on later."""
        self._flow = self._flows.setdefault(speaker, _Flow())

    def pause(self) -> None:
        """Take what the speaker says next as something new."""
        self._flow.key = None

    def piece(self, key: Key, text: str, replaces: bool) -> str:
        """Return what of *text* is new; where it *replaces* all that was said without a break, that may be less."""
        flow = self._flow
        if key != flow.key:
            flow.key, flow.text, flow.number = key, "", self._next()
        before = flow.text
        flow.text = text if replaces else before + text
        if not replaces or text.startswith(before):
            return text[len(before) :] if replaces else text
        # What was said cannot be taken back; what stands for it is another message.
        self._texts.pop(flow.number, None)
        flow.number = self._next()
        return text

    def keep(self) -> None:
        """Count what the speaker says now among the `messages`."""
        if self._flow.number not in self._texts:
            self._steps.append(self._flow.number)
        self._texts[self._flow.number] = self._flow.text

    def call(self, call_id: str) -> Call:
        """Return a call that the run makes now."""
        call = Call(call_id)
        self._steps.append(call)
        return call

    def messages(self) -> list[Message]:
        """Return what was said and done, as messages: texts, and calls of functions with their results."""
        messages: list[Message] = []
        for step in self._steps:
            if isinstance(step, Call):
                if step.begun:
                    call = Content.from_function_call(step.call_id, step.name, arguments=step.arguments or "{}")
                    came_to = CUT if step.result is None else step.result
                    result = Content.from_function_result(step.call_id, result=came_to)
                    messages += [Message("assistant", [call]), Message("tool", [result])]
            elif text := self._texts.get(step):
                messages.append(Message("assistant", [text]))
        return messages

    def _next(self) -> int:
        self._count += 1
        return self._count
