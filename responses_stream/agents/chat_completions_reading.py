"""What one choice of a Chat Completions stream says, chunk by chunk, as contents.

Servers agree on `content` and differ in the rest: where the reasoning stands, when usage comes, how a stream ends and
how it fails. What they mean is decided here, once for objects and for plain data.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from types import MappingProxyType
from typing import Any, Final

import attrs

from responses_stream.agents.chat_completions_calls import Calls
from responses_stream.agents.chat_completions_citations import Citations
from responses_stream.agents.chat_completions_values import (
    Characters,
    list_of,
    logprobs_of,
    member,
    members,
    piece_of,
    text_of,
    usage_of,
)
from responses_stream.agents.contents import (
    Content,
    FunctionCall,
    Incomplete,
    Media,
    Reasoning,
    Refusal,
    Said,
    Text,
    Update,
    Usage,
)
from responses_stream.agents.rendering import RunFailed
from responses_stream.builders.stream import SERVER_ERROR, SERVER_ERROR_MESSAGE
from responses_stream.errors import InvalidType, InvalidValue

_log: Final = logging.getLogger("responses_stream")

_CUT_SHORT: Final = MappingProxyType(
    {
        **dict.fromkeys(("length", "max_tokens", "model_length", "max_output_tokens"), "max_output_tokens"),
        **dict.fromkeys(("content_filter", "safety", "recitation"), "content_filter"),
    }
)
_BROKEN: Final = frozenset({"error", "abort", "cancelled", "insufficient_system_resource"})

# What a client acts on; all else that fails is told as an internal error, and no text of the upstream ever.
_RATE_LIMIT: Final = ("rate_limit_exceeded", "The model is busy. Try again later.")
_TOLD: Final = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "429",
                "rate_limit_exceeded",
                "rate_limit_error",
                "rate_limited",
                "too_many_requests",
                "resource_exhausted",
            ),
            _RATE_LIMIT,
        ),
        # It comes with the status 429, and no later request will fare better.
        "insufficient_quota": (SERVER_ERROR, SERVER_ERROR_MESSAGE),
        "context_length_exceeded": ("context_length_exceeded", "The input is longer than the model can read."),
    }
)
_CUT_OFF: Final = "The answer of the model was cut off."


def failure(error: Any) -> RunFailed:
    """Return what a client is told of an error of the upstream; the log has the rest."""
    _log.error("the upstream failed: %s", error)
    # Some tell it by the status of HTTP alone, which clients have as `status_code` (openai.RateLimitError).
    for name in ("code", "type", "status", "status_code"):
        told = _TOLD.get(str(member(error, name)).lower())
        if told is not None:
            return RunFailed(*told)
    return RunFailed(SERVER_ERROR, SERVER_ERROR_MESSAGE)


@attrs.define(eq=False)
class ChatReading:
    """One choice while it is read: chunks in, contents out.

    Attributes:
        whole: whether a whole completion was read, and not the chunks of one.
    """

    whole: bool = attrs.field(init=False, default=False)
    _calls: Calls = attrs.field(init=False, factory=Calls)
    _index: int | None = attrs.field(init=False, default=None)
    _begun: bool = attrs.field(init=False, default=False)
    _ended: bool = attrs.field(init=False, default=False)
    _finish: str = attrs.field(init=False, default="")
    _usage: Usage | None = attrs.field(init=False, default=None)
    _noted: set[str] = attrs.field(init=False, factory=set)
    # What came while a call was open, and has to wait for it.
    _held: list[Content] = attrs.field(init=False, factory=list)
    _citations: Citations = attrs.field(init=False, factory=Citations)
    _logprobs: list[dict[str, Any]] = attrs.field(init=False, factory=list)
    _said: Characters = attrs.field(init=False, factory=Characters)
    _refused: Characters = attrs.field(init=False, factory=Characters)
    _thought: Characters = attrs.field(init=False, factory=Characters)
    _summary: Any = attrs.field(init=False, default=None)
    _sealed: int = attrs.field(init=False, default=0)
    # What deltas have said, and a whole message behind them says again.
    _streamed: set[type[Content]] = attrs.field(init=False, factory=set)

    def take(self, chunk: Any, event: str = "") -> Iterator[Said]:
        """Say what *chunk* says; *event* is the name of its frame, where it came in one.

        Raises:
            InvalidType, InvalidValue: it is no chunk.
            RunFailed: the upstream says that it failed.
        """
        chunk = members(chunk)
        error = member(chunk, "error")
        if error:
            raise failure(error)
        if event == "error" or member(chunk, "object") == "error":
            raise failure(chunk)
        if member(chunk, "choices") is None and (chunk := _chunk_of(chunk)) is None:
            return
        choices = list_of(member(chunk, "choices"))
        self._note_usage(chunk, choices)
        self._citations.add_sources(chunk)
        if not choices:
            self._ended = self._ended or bool(member(chunk, "usage"))
            return
        model = text_of(member(chunk, "model"))
        if not self._begun and model:
            yield Update((), model)
        self._begun = True
        for choice in choices:
            if self._is_ours(choice):
                yield from self._choice(members(choice))

    def end(self, done: bool) -> Iterator[Said]:
        """Say that there are no more chunks; *done* tells whether the upstream said so itself (``[DONE]``).

        Raises:
            RunFailed: the answer was cut off: there was none, or nothing told that it ended; or a call has no name.
        """
        if not self._begun or not (self._finish or self._ended or done or self.whole):
            _log.error("the upstream ended in the middle of its answer")
            raise RunFailed(SERVER_ERROR, _CUT_OFF)
        if self._finish in _BROKEN:
            raise failure({"finish_reason": self._finish})
        yield from self._rest(self._calls.finish())
        if self._finish in _CUT_SHORT:
            yield Incomplete(_CUT_SHORT[self._finish])

    def break_off(self) -> Iterator[Said]:
        """Say what is there and was not said yet, because the upstream has failed."""
        yield from self._rest(self._calls.break_off())

    def _rest(self, calls: Iterator[FunctionCall]) -> Iterator[Content]:
        for piece in calls:
            yield from self._citations.say(piece)
        yield from self._release()
        yield from self._citations.finish()
        usage, self._usage = self._usage, None
        if usage is not None:
            yield usage

    def _is_ours(self, choice: Any) -> bool:
        index = member(choice, "index") or 0
        if self._index is None:
            self._index = index
        if index != self._index:
            self._note("choices", "the upstream sent several choices; all but the first are dropped")
            return False
        return True

    def _note(self, what: str, message: str) -> None:
        """Log something once for the stream."""
        if what not in self._noted:
            self._noted.add(what)
            _log.warning(message)

    def _choice(self, choice: Any) -> Iterator[Said]:
        error = member(choice, "error")
        if error:
            raise failure(error)
        delta, message = member(choice, "delta"), member(choice, "message")
        self._logprobs += logprobs_of(member(member(choice, "logprobs"), "content"))
        if delta is not None:
            for content in self._delta(members(delta)):
                self._streamed.add(type(content))
                yield from self._say(content)
            if self._calls.were_any:
                self._streamed.add(FunctionCall)
        elif message is not None:
            self.whole = True
            for content in self._delta(members(message), again=FunctionCall in self._streamed):
                if type(content) not in self._streamed:
                    yield from self._say(content)
        finish = text_of(member(choice, "finish_reason")).lower()
        # It need not be the last word: some servers say one at each call, or "stop" behind it (ChatMock#114).
        if finish and self._finish not in _CUT_SHORT and self._finish not in _BROKEN:
            self._finish = finish

    def _delta(self, delta: Any, *, again: bool = False) -> Iterator[Content]:
        """Say what a delta or a whole message says; *again*: its calls were told before."""
        yield from self._reasoning(delta)
        content = member(delta, "content")
        if isinstance(content, str):
            yield from self._text(content)
        elif content is not None:
            yield from self._parts(content)
        yield from self._refusal(piece_of(member(delta, "refusal")))
        for image in list_of(member(delta, "images")):
            yield from self._image(image)
        if member(delta, "audio"):
            self._note("audio", "the upstream sent audio, which a response cannot hold; it was dropped")
        if not again:
            yield from self._fragments(delta)
        for annotation in list_of(member(delta, "annotations")):
            if not self._citations.add(annotation):
                self._note("annotations", "the upstream sent annotations that cite no URL; they were dropped")

    def _fragments(self, delta: Any) -> Iterator[FunctionCall]:
        fragments = list_of(member(delta, "tool_calls"))
        for fragment in fragments:
            yield from self._calls.take(fragment)
        legacy = member(delta, "function_call")
        if legacy and not fragments:
            yield from self._calls.take_legacy(legacy)

    def _reasoning(self, delta: Any) -> Iterator[Content]:
        # Gateways send one and the same under several names (Fastllm-proxy#23); the first that says something counts.
        names = ("reasoning_content", "reasoning", "thinking")
        plain = next((text for name in names if (text := piece_of(member(delta, name)))), "")
        details = list_of(member(delta, "reasoning_details"))
        readable = [
            detail for detail in details if piece_of(member(detail, "text")) or piece_of(member(detail, "summary"))
        ]
        plain = self._thought.take(plain)
        if plain:
            summary = bool(readable) and all(piece_of(member(detail, "summary")) for detail in readable)
            begins = summary and self._next_summary(readable[0])
            yield Reasoning(plain, summary=summary, begins=begins)
        else:
            for detail in readable:
                summary = bool(piece_of(member(detail, "summary")))
                told = self._thought.take(piece_of(member(detail, "summary" if summary else "text")))
                yield Reasoning(told, summary=summary, begins=summary and self._next_summary(detail))
        for detail in details:
            sealed = text_of(member(detail, "data"))
            if sealed:
                # Each sealed form goes back as an item of its own.
                yield Reasoning(
                    encrypted_content=sealed, reasoning_id=f"sealed {self._sealed}" if self._sealed else None
                )
                self._sealed += 1

    def _next_summary(self, detail: Any) -> bool:
        """Tell whether a piece of a summary is of another part of it than the one before."""
        index, before = member(detail, "index"), self._summary
        self._summary = index
        return before is not None and index is not None and index != before

    def _text(self, text: str) -> Iterator[Content]:
        text = self._said.take(text)
        if text:
            logprobs, self._logprobs = self._logprobs, []
            yield Text(text, logprobs=logprobs)

    def _refusal(self, refusal: str) -> Iterator[Content]:
        refusal = self._refused.take(refusal)
        if refusal:
            yield Refusal(refusal)

    def _parts(self, parts: Any) -> Iterator[Content]:
        """Say content that comes in parts, as in the API of Mistral."""
        if not isinstance(parts, list | tuple):
            raise InvalidType("content", "a string or a list of parts", parts)
        for part in parts:
            kind = member(part, "type")
            if kind == "thinking":
                thought = member(part, "thinking")
                pieces = (
                    [thought]
                    if isinstance(thought, str)
                    else [piece_of(member(one, "text")) for one in list_of(thought)]
                )
                yield from (Reasoning(told) for piece in pieces if (told := self._thought.take(piece)))
            elif kind == "image_url":
                yield from self._image(part)
            elif text := piece_of(part) or piece_of(member(part, "text")):
                yield from self._text(text)
            elif refusal := piece_of(member(part, "refusal")):
                yield from self._refusal(refusal)
            else:
                self._note(f"part {kind}", f"the upstream sent content of the type {kind!r}; it was dropped")

    def _image(self, image: Any) -> Iterator[Content]:
        held = member(image, "image_url")
        uri = text_of(held) or text_of(member(held, "url"))
        if uri:
            yield Media(uri)

    # In what order contents go out, and where the text stands that a citation speaks of.

    def _say(self, content: Content) -> Iterator[Content]:
        if isinstance(content, FunctionCall):
            yield from self._citations.say(content)
            if not self._calls.are_open:
                yield from self._release()
        elif self._calls.are_open:
            # A11: the rest of the arguments comes behind it, and an item that is done takes no more.
            self._held.append(content)
        else:
            for piece in self._calls.settle():
                yield from self._citations.say(piece)
            yield from self._release()
            yield from self._citations.say(content)

    def _release(self) -> Iterator[Content]:
        held, self._held = self._held, []
        for content in held:
            yield from self._citations.say(content)

    def _note_usage(self, chunk: Any, choices: Sequence[Any]) -> None:
        """Keep the usage; where it comes with every chunk, the last one has counted everything (pydantic-ai#4056)."""
        places = [member(choice, "usage") for choice in choices]
        places += [member(member(chunk, "x_groq"), "usage"), member(chunk, "usage")]
        for usage in places:
            if usage is not None:
                counted = usage_of(usage)
                if counted.input_tokens or counted.output_tokens:
                    self._usage = counted


def _chunk_of(chunk: Any) -> Any:
    """Return the chunk in what has no choices itself; None where it says nothing.

    Raises:
        InvalidValue: it is an event of a Responses stream (B11).
        InvalidType: it is nothing of the kind.
    """
    kind, name = member(chunk, "type"), text_of(member(chunk, "object"))
    if isinstance(kind, str):
        if kind.startswith("response."):
            raise InvalidValue("chunks", f"hold {kind}, an event of a Responses stream; relay() passes those on")
        # The helper of the `openai` package wraps each chunk in an event, and has events of its own.
        return member(chunk, "chunk") if kind == "chunk" else None
    if name.startswith("chat.completion") or member(chunk, "usage") is not None or chunk == {}:
        return chunk
    raise InvalidType("chunks", "chunks of a Chat Completions stream", chunk)
