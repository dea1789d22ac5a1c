"""What an agent says, piece by piece, as the events of a response: which content is which item of the protocol.

Pieces that follow each other are one item where they are of the same kind, text a message and thoughts a reasoning
item, until their speaker says something else. Calls go on until their result comes, whatever is said meanwhile; in what
order that gets on the wire is for `writing_line`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs

from responses_stream.agents.contents import (
    Content,
    Incomplete,
    Reasoning,
    Refusal,
    Said,
    Text,
    Update,
    Usage,
)
from responses_stream.agents.writing_items import (
    ItemInMaking,
    Message,
    RawItem,
    Thought,
    Told,
    WholeItem,
)
from responses_stream.agents.writing_line import Line
from responses_stream.agents.writing_tools import CALLS, Calls, ToolCalls
from responses_stream.agents.writing_whole import WHOLE
from responses_stream.builders import values
from responses_stream.builders.stream import ResponseEventStream
from responses_stream.builders.texts import TextContentBuilder
from responses_stream.errors import InvalidType, InvalidValue
from responses_stream.protocol.base import Item, UnknownItem
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.protocol.response import InputTokensDetails, OutputTokensDetails, ResponseUsage

_log: Final = logging.getLogger("responses_stream")

_AGENT: Final = "agent"
_MAX_OUTPUT_TOKENS: Final = "max_output_tokens"


@attrs.define(eq=False)
class Writing:
    """The response that an agent speaks, in the making: contents in, events out.

    Args:
        stream: the builder of the response, of which nothing was said yet.
        model: what the response says it comes from; None takes that of the first update, of the request, or "agent".
        tool_calls: how the agent's own tools look.

    Raises:
        InvalidType, InvalidValue: *model* is no text, or *tool_calls* is none of its values.
    """

    _stream: ResponseEventStream
    _model: str | None
    _tool_calls: ToolCalls
    _begun: bool = attrs.field(init=False, default=False)
    _line: Line = attrs.field(init=False)
    _calls: Calls = attrs.field(init=False)
    _raw: dict[str, RawItem] = attrs.field(init=False, factory=dict)
    _announced: dict[str | None, Text] = attrs.field(init=False, factory=dict)
    # Messages that another id has ended; None once it was told that one of them goes on.
    _passed: set[str] | None = attrs.field(init=False, factory=set)
    _used: Usage | None = attrs.field(init=False, default=None)
    _reason: str | None = attrs.field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        values.text_or_none("model", self._model)
        self._line = Line(self._stream.response_id)
        self._calls = Calls(self._stream, self._line, self._tool_calls)

    @property
    def waits_for_model(self) -> bool:
        """Whether the first update has to say what the response comes from, before anything is told (H21.16)."""
        return not self._model

    def begin(self, first: object = None) -> Told:
        """Say that the response is there and being made; *first* is what the agent said first."""
        self._begun = True
        model = self._model or (first.model if isinstance(first, Update) else None)
        draft = self._stream.response
        draft.model = self._calls.label = model or draft.model or _AGENT
        yield self._stream.emit_created()
        yield self._stream.emit_in_progress()

    def delta(self, said: Said) -> ResponseStreamEvent | None:
        """Return the event of a plain piece of the text that is on the wire; None for all else, which `take` says.

        Nearly all that an agent says is that, and it is worth a shorter way.

        Raises:
            InvalidValue: it cannot be sent.
        """
        if isinstance(said, str):
            text, message_id = said, None
        elif isinstance(said, Text) and not said.annotations and not said.logprobs:
            text, message_id = said.text, said.message_id
        else:
            return None
        message = self._line.message
        if not text or message is None or not _goes_on(message_id, message.message_id):
            return None
        part = message.part
        return part.emit_delta(text) if isinstance(part, TextContentBuilder) else None

    def take(self, said: Said) -> Told:
        """Say what the agent said next.

        Raises:
            InvalidType: it is none of the things that an agent may say; the message tells what it is.
            InvalidValue: a member of it cannot be sent, or it comes behind `Incomplete` or a call that has ended.
        """
        if not self._begun:
            yield from self.begin(said)
        self._line.speaker, ends = None, False
        if isinstance(said, Update):
            self._line.speaker, ends = values.text_or_none("speaker", said.speaker), said.ends
        for content in contents_of(said):
            yield from self._take(content)
        if ends:
            yield from self._line.end_others()

    def end(self) -> Told:
        """Say that the agent has said everything."""
        if not self._begun:
            yield from self.begin()
        yield from self._line.end_all()
        if self._reason is None and not self._line.stopped:
            yield self._stream.emit_completed(usage=self.usage)
        else:
            yield self._stream.emit_incomplete(self._reason or _MAX_OUTPUT_TOKENS, usage=self.usage)

    def break_off(self) -> Told:
        """Say that what is open ends early, so that what was said of it stays (H21.20, H21.37)."""
        if not self._begun:
            yield from self.begin()
        yield from self._line.cut(whatever_comes=True)

    def fail(self, code: str, message: str) -> Told:
        """Break off, and tell the client why."""
        yield from self.break_off()
        yield self._stream.emit_error(code, message)
        yield self._stream.emit_failed(code, message, usage=self.usage)

    @property
    def response_id(self) -> str:
        """The id of the response."""
        return self._stream.response_id

    @property
    def usage(self) -> ResponseUsage | None:
        """The tokens so far, or None where nothing was said of them."""
        used = self._used
        if used is None:
            return None
        # Some providers count cached tokens and thoughts beside the input and the output; here they are of them (R057).
        cached, thought = min(used.cached_tokens, used.input_tokens), min(used.reasoning_tokens, used.output_tokens)
        return ResponseUsage(
            input_tokens=used.input_tokens,
            output_tokens=used.output_tokens,
            total_tokens=used.input_tokens + used.output_tokens,
            input_tokens_details=InputTokensDetails(cached_tokens=cached),
            output_tokens_details=OutputTokensDetails(reasoning_tokens=thought),
        )

    # What the agent said, by its kind.

    def _take(self, content: object) -> Iterable[ResponseStreamEvent]:
        if (self._reason is not None or self._line.stopped) and not isinstance(content, Usage):
            got = type(content).__name__
            raise InvalidValue("said", f"goes on with {got}, and nothing follows what is incomplete (R059)")
        if isinstance(content, str):
            return self._text(Text(content))
        for kind in type(content).__mro__:
            if (take := _TAKES.get(kind)) is not None:
                return take(self, content)
            if (call := CALLS.get(kind)) is not None:
                return call(self._calls, content)
            if (events_of := WHOLE.get(kind)) is not None:
                return self._open(WholeItem(self._stream, events_of(self._stream, content, self._calls.label)))
        if isinstance(content, Item | UnknownItem | Mapping):
            return self._raw_item(content)
        raise InvalidType("said", "a string, a content of responses_stream.agents, or an output item", content)

    def _text(self, content: Text) -> Iterable[ResponseStreamEvent]:
        tail = self._line.tail(Message)
        if tail is not None and _goes_on(content.message_id, tail.message_id):
            return self._line.give(tail, content) if content.text or content.annotations else ()
        if not content.text and not content.annotations:
            # No message is empty; what the first piece says of its message is kept until there is something in it.
            if content.message_id is None and content.phase is None:
                return ()
            self._announced[self._line.speaker] = content
            return self._line.end_flow()
        self._note_passing(tail, content)
        return self._open(self._message(content.message_id, content.phase), content)

    def _note_passing(self, tail: Message | None, content: Text) -> None:
        if self._passed is None or self._line.speaker is not None:
            return
        if tail is not None and tail.message_id is not None:
            self._passed.add(tail.message_id)
        if content.message_id in self._passed:
            self._passed = None
            told = "%s: the message %r goes on behind another, and is cut; where several speak at the same time, "
            _log.warning(told + "say who with Update(speaker=...)", self._stream.response_id, content.message_id)

    def _refusal(self, content: Refusal) -> Iterable[ResponseStreamEvent]:
        if not content.refusal:
            return ()
        tail = self._line.tail(Message)
        return self._open(self._message(), content) if tail is None else self._line.give(tail, content)

    def _message(self, message_id: str | None = None, phase: Any = None) -> Message:
        announced = self._announced.pop(self._line.speaker, None)
        if announced is not None and _goes_on(message_id, announced.message_id):
            message_id, phase = announced.message_id, announced.phase or phase
        return Message(self._stream, values.choice("phase", phase, "commentary", "final_answer", None), message_id)

    def _reasoning(self, content: Reasoning) -> Iterable[ResponseStreamEvent]:
        tail = self._line.tail(Thought)
        if tail is not None and _goes_on(content.reasoning_id, tail.reasoning_id):
            return self._line.give(tail, content)
        if not content.text and content.encrypted_content is None:
            return self._line.end_flow() if tail is not None else ()
        return self._open(Thought(self._stream, content.reasoning_id), content)

    def _usage(self, content: Usage) -> Iterable[ResponseStreamEvent]:
        counts = attrs.asdict(content)
        for member, count in counts.items():
            values.count_or_none(member, count)
        before = attrs.asdict(self._used or Usage())
        self._used = Usage(**{member: before[member] + (count or 0) for member, count in counts.items()})
        return ()

    def _incomplete(self, content: Incomplete) -> Told:
        reason = values.name("reason", content.reason)
        yield from self._line.cut()
        self._reason = reason

    def _raw_item(self, item: Any) -> Told:
        item_id = id_of(item)
        known = None if item_id is None else self._raw.get(item_id)
        if known is None:
            raw = RawItem(self._stream, item)
            if item_id is not None:
                self._raw[item_id] = raw
            yield from self._open(raw)
        elif known in self._line:
            known.item = item
        else:
            _log.info("%s: left out a later form of the item %s", self._stream.response_id, item_id)

    def _open(self, item: ItemInMaking, content: Content | None = None) -> Told:
        yield from self._line.end_others()
        yield from self._line.stand(item, content)


_TAKES: Final[Mapping[type, Callable[[Writing, Any], Iterable[ResponseStreamEvent]]]] = MappingProxyType(
    {
        Text: Writing._text,
        Refusal: Writing._refusal,
        Reasoning: Writing._reasoning,
        Usage: Writing._usage,
        Incomplete: Writing._incomplete,
    }
)


def contents_of(said: Said) -> Iterable[Any]:
    """Return the pieces of what an agent said at once."""
    if not isinstance(said, Update):
        return (said,)
    contents: object = said.contents
    alone = isinstance(contents, str | bytes | Mapping) or not isinstance(contents, Iterable)
    return (contents,) if alone else said.contents


def id_of(said: object) -> str | None:
    """Return the id of an output item as the agent has it, or None for all else."""
    if not isinstance(said, Item | UnknownItem | Mapping):
        return None
    item_id = said.get("id") if isinstance(said, Mapping) else getattr(said, "id", None)
    return item_id if isinstance(item_id, str) and item_id else None


def _goes_on(asked: str | None, with_id: str | None) -> bool:
    """Tell whether a piece that asks for the id *asked* goes on with what has *with_id*."""
    return asked is None or asked == with_id
