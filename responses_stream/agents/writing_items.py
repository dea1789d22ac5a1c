"""Items while an agent speaks of them: each takes pieces of content, and says what it has as the events of its item.

An item begins when it is its turn to be on the wire, takes pieces, and ends in one of two ways: `finish` where the
agent said all of it, `cut` where it was broken off. Which piece goes to which item, and whose turn it is, is for
`writing`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import attrs

from responses_stream.agents.contents import (
    Content,
    Reasoning,
    Refusal,
    Text,
)
from responses_stream.builders import values
from responses_stream.builders.conversation import (
    MessageBuilder,
    ReasoningBuilder,
)
from responses_stream.builders.item import FinalStatus
from responses_stream.builders.stream import ResponseEventStream
from responses_stream.builders.texts import (
    ReasoningTextBuilder,
    RefusalContentBuilder,
    SummaryPartBuilder,
    TextContentBuilder,
)
from responses_stream.builders.whole_items import output_item
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.protocol.items import MessagePhase, OutputItem
from responses_stream.protocol.parts import Logprob

Told: TypeAlias = Iterator[ResponseStreamEvent]
"""The events that say something, made while they are iterated."""


@attrs.define(eq=False)
class ItemInMaking(ABC):
    """An item that the agent speaks of.

    Attributes:
        speaker: who speaks of it; None is the agent as a whole.
        waiting: the pieces that came before it was its turn.
        ended: whether the agent has said all of it.
        begun: whether it is, or was, its turn.
    """

    _stream: ResponseEventStream
    speaker: str | None = attrs.field(init=False, default=None)
    waiting: list[Content] = attrs.field(init=False, factory=list)
    ended: bool = attrs.field(init=False, default=False)
    begun: bool = attrs.field(init=False, default=False)

    def begin(self) -> Told:
        """Say that the item is there; it is its turn."""
        yield from ()

    @abstractmethod
    def take(self, content: Any) -> Told:
        """Say a piece of it."""

    @abstractmethod
    def finish(self) -> Told:
        """Say how it ends."""

    def cut(self, last: bool) -> Told:  # noqa: ARG002  # for those that may only be incomplete as the *last* item
        """Say that it ends early; nothing comes behind the *last* one (R059)."""
        yield from self.finish()

    @property
    def may_stand(self) -> bool:
        """Whether it can end early and have items behind it."""
        return True


@attrs.define(eq=False)
class WholeItem(ItemInMaking):
    """An item that is said at once: its events are made when it is its turn."""

    _events: Iterable[ResponseStreamEvent]

    def __attrs_post_init__(self) -> None:
        self.ended = True

    def take(self, content: Any) -> Told:
        raise AssertionError(f"a whole item takes no {type(content).__name__}")

    def finish(self) -> Told:
        yield from self._events


@attrs.define(eq=False)
class RawItem(ItemInMaking):
    """An item of the protocol as the agent has it; held back, because one with its id may replace it (H21.17)."""

    item: OutputItem | Mapping[str, Any]

    def take(self, content: Any) -> Told:
        raise AssertionError(f"a whole item takes no {type(content).__name__}")

    def finish(self) -> Told:
        yield from output_item(self._stream, self.item)


@attrs.define(eq=False)
class Message(ItemInMaking):
    """Adjacent pieces of text and of a refusal."""

    _phase: MessagePhase | None
    message_id: str | None
    _item: MessageBuilder = attrs.field(init=False)
    part: TextContentBuilder | RefusalContentBuilder | None = attrs.field(init=False, default=None)

    def begin(self) -> Told:
        self._item = self._stream.add_output_item_message(phase=self._phase)
        yield self._item.emit_added()

    def take(self, content: Text | Refusal) -> Told:
        part = self.part
        if isinstance(content, Refusal):
            if not isinstance(part, RefusalContentBuilder):
                yield from self._end_part()
                part = self.part = self._item.add_refusal_content()
                yield part.emit_added()
            yield part.emit_delta(content.refusal)
            return
        if not isinstance(part, TextContentBuilder):
            yield from self._end_part()
            part = self.part = self._item.add_text_content()
            yield part.emit_added()
        if content.text:
            logprobs = values.structs("logprobs", content.logprobs, Logprob) if content.logprobs else ()
            yield part.emit_delta(content.text, logprobs=logprobs)
        for annotation in content.annotations:
            yield part.emit_annotation_added(annotation)

    def finish(self) -> Told:
        yield from self._end("completed")

    def cut(self, last: bool) -> Told:
        yield from self._end("incomplete" if last else "completed")

    def _end(self, status: FinalStatus) -> Told:
        yield from self._end_part()
        yield self._item.emit_done(status=status)

    def _end_part(self) -> Told:
        part, self.part = self.part, None
        if isinstance(part, TextContentBuilder):
            yield part.emit_text_done()
        elif part is not None:
            yield part.emit_refusal_done()
        if part is not None:
            yield part.emit_done()


@attrs.define(eq=False)
class Thought(ItemInMaking):
    """Adjacent pieces of reasoning: of the raw thoughts, of the summary, and the sealed form."""

    reasoning_id: str | None
    _item: ReasoningBuilder = attrs.field(init=False)
    _part: ReasoningTextBuilder | SummaryPartBuilder | None = attrs.field(init=False, default=None)
    _begins: bool = attrs.field(init=False, default=False)
    _sealed: str | None = attrs.field(init=False, default=None)

    def begin(self) -> Told:
        self._item = self._stream.add_output_item_reasoning()
        yield self._item.emit_added()

    def take(self, content: Reasoning) -> Told:
        if content.encrypted_content is not None:
            self._sealed = values.text("encrypted_content", content.encrypted_content)
        # An empty piece may announce a part; the part is there once there is something in it.
        self._begins = self._begins or (content.begins and content.summary)
        if not content.text:
            return
        part = self._part
        if content.summary:
            if not isinstance(part, SummaryPartBuilder) or self._begins:
                yield from self._end_part()
                part = self._part = self._item.add_summary_part()
                yield part.emit_added()
            self._begins = False
        elif not isinstance(part, ReasoningTextBuilder):
            yield from self._end_part()
            part = self._part = self._item.add_text_content()
            yield part.emit_added()
        yield part.emit_delta(content.text)

    def finish(self) -> Told:
        yield from self._end("completed")

    def cut(self, last: bool) -> Told:
        yield from self._end("incomplete" if last else "completed")

    def _end(self, status: FinalStatus) -> Told:
        yield from self._end_part()
        yield self._item.emit_done(status=status, encrypted_content=self._sealed)

    def _end_part(self) -> Told:
        part, self._part = self._part, None
        if part is not None:
            yield part.emit_text_done()
            yield part.emit_done()
