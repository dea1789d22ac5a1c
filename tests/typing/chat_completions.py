"""What mypy infers of `from_chat_completions` and `chat_contents`. Read by mypy (`make types`), run by nobody."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import assert_type

from openai import AsyncStream, Stream
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from responses_stream import AsyncEvents, Events
from responses_stream.agents.chat_completions import chat_contents, from_chat_completions
from responses_stream.agents.contents import Said


def objects(now: Stream[ChatCompletionChunk], later: AsyncStream[ChatCompletionChunk], whole: ChatCompletion) -> None:
    assert_type(from_chat_completions(now, response_id="resp_1"), Events)
    assert_type(from_chat_completions(later, response_id="resp_1", model="m"), AsyncEvents)
    assert_type(from_chat_completions(whole, response_id="resp_1"), Events)
    assert_type(chat_contents(now), Iterator[Said])
    assert_type(chat_contents(later), AsyncIterator[Said])


def text(lines: Iterator[str], pieces: AsyncIterator[bytes]) -> None:
    assert_type(from_chat_completions(b"data: [DONE]", response_id="resp_1"), Events)
    assert_type(from_chat_completions([{"choices": []}], response_id="resp_1", request={"model": "m"}), Events)
    assert_type(from_chat_completions(lines, response_id="resp_1"), Events)
    assert_type(from_chat_completions(pieces, response_id="resp_1"), AsyncEvents)
    from_chat_completions(3, response_id="resp_1")  # type: ignore[call-overload]
    from_chat_completions(lines)  # type: ignore[call-overload]
