"""`from_chat_completions`: what servers of Chat Completions send becomes a right response, whatever their habits."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any, Final, cast

import httpx
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from responses_stream import accumulate
from responses_stream.agents import chat_completions_sources
from responses_stream.agents.chat_completions import chat_contents, from_chat_completions
from responses_stream.agents.contents import FunctionCall, Incomplete, Text, Update, Usage
from responses_stream.agents.rendering import RunFailed
from responses_stream.errors import DecodeError, InvalidType, InvalidValue
from responses_stream.protocol.codec import to_builtins
from responses_stream.sse import FrameTooLarge

from .chunks import HELLO, USAGE, answer, calls, chunk, folded, fragment, items, sse, stop, text, usage_chunk

SECRET: Final = "the secret of the upstream"
CUT_OFF: Final = ("server_error", "The answer of the model was cut off.")
BROKEN: Final = ("server_error", "An internal server error occurred.")

TURN: Final = (
    chunk({"role": "assistant", "content": ""}),
    chunk({"reasoning_content": "The user "}),
    chunk({"reasoning_content": "greets."}),
    text("Hel"),
    text("lo"),
    calls({"index": 0, "id": "call_a", "type": "function", "function": {"name": "f", "arguments": ""}}),
    calls(fragment('{"a"', index=0)),
    calls(fragment(":1}", index=0)),
    stop("tool_calls"),
    usage_chunk(),
)
SAID: Final = [["reasoning", "The user greets."], ["message", HELLO], ["function_call", "f", '{"a":1}']]


def error_of(response: Any) -> tuple[str, str]:
    assert response.status == "failed"
    return response.error.code, response.error.message


# A whole turn, from every kind of source.


def test_a_turn_becomes_a_response() -> None:
    response = answer(*TURN)
    assert items(response) == SAID
    assert (response.status, response.model, response.id) == ("completed", "m", "resp_1")
    assert to_builtins(response)["usage"] == {
        "input_tokens": 9,
        "output_tokens": 5,
        "total_tokens": 14,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 2},
    }
    assert response.output[2].call_id == "call_a"


def test_the_request_is_echoed_and_the_model_may_be_given() -> None:
    events = list(from_chat_completions(TURN, response_id="resp_1", request={"temperature": 0.5}, model="mine"))
    assert (accumulate(events).model, accumulate(events).temperature) == ("mine", 0.5)


def test_contents_are_for_handlers_that_say_more() -> None:
    assert list(chat_contents([text("Hi"), stop("length"), usage_chunk()])) == [
        Update((), "m"),
        Text("Hi", logprobs=[]),
        Usage(9, 5, 4, 2),
        Incomplete("max_output_tokens"),
    ]


def completion(**message: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "tool_calls"}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": USAGE}


WHOLE: Final = completion(
    content=HELLO,
    reasoning_content="The user greets.",
    tool_calls=[{"id": "call_a", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}],
)


@pytest.mark.parametrize(
    "whole",
    [
        WHOLE,
        openai.types.chat.ChatCompletion.model_validate(WHOLE),
        json.dumps(WHOLE),
        [json.dumps(WHOLE)[:50].encode(), json.dumps(WHOLE)[50:].encode()],  # where a stream was asked for
    ],
    ids=["dict", "object", "json", "pieces of json"],
)
def test_a_whole_completion_is_one_too(whole: Any) -> None:
    response = folded(from_chat_completions(whole, response_id="resp_1"))
    assert items(response) == SAID
    assert response.usage is not None
    assert response.usage.total_tokens == 14


def test_a_whole_message_behind_its_deltas_adds_only_what_they_lack() -> None:
    last = completion(
        content=HELLO,
        reasoning="The user greets.",
        tool_calls=[{"type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}],
        annotations=[cited("u", 0, 5)],
    )
    streamed = [
        chunk({"reasoning": "The user greets."}),
        text("Hel"),
        text("lo"),
        chunk({"annotations": [cited("u", 0, 5)]}),
    ]
    assert items(answer(*streamed, last)) == SAID
    called = calls(fragment('{"a":1}', index=0, name="f"))
    assert items(answer(*streamed, called, last)) == SAID
    assert annotations_of(answer(*streamed, last)) == [[("u", 0, 5)]]
    assert items(answer(chunk({"role": "assistant", "content": ""}), last)) == SAID


def test_a_custom_tool_of_a_whole_completion_is_called() -> None:
    call = {"id": "call_a", "type": "custom", "custom": {"name": "sql", "input": "SELECT {1}"}}
    response = answer(completion(content=None, tool_calls=[call]))
    assert items(response) == [["custom_tool_call", "sql", "SELECT {1}"]]


def scripted(body: bytes) -> httpx.MockTransport:
    return httpx.MockTransport(
        lambda _: httpx.Response(200, content=body, headers={"content-type": "text/event-stream"})
    )


def client_of(body: bytes) -> Any:
    """Return a client of the `openai` package whose server answers *body*."""
    return openai.OpenAI(api_key="-", http_client=cast("Any", httpx.Client(transport=scripted(body))))


def async_client_of(body: bytes) -> Any:
    """Return an asynchronous client of the `openai` package whose server answers *body*."""
    return openai.AsyncOpenAI(api_key="-", http_client=cast("Any", httpx.AsyncClient(transport=scripted(body))))


def asked() -> Any:
    return {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True}


def test_objects_of_the_openai_client() -> None:
    with client_of(sse(TURN)) as client:
        stream = client.chat.completions.create(**asked())
        assert items(folded(from_chat_completions(stream, response_id="resp_1"))) == SAID
        assert stream.response.is_closed


def test_events_of_the_openai_client() -> None:
    with (
        client_of(sse(TURN)) as client,
        client.chat.completions.stream(model="m", messages=[{"role": "user", "content": "Hi"}]) as stream,
    ):
        assert items(folded(from_chat_completions(stream, response_id="resp_1"))) == SAID


# On trio the client itself leaves generators of its own behind.
on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])


@pytest.mark.anyio
@on_asyncio
async def test_objects_of_the_asynchronous_openai_client() -> None:
    async with async_client_of(sse(TURN)) as client:
        stream = await client.chat.completions.create(**asked())
        events = [event async for event in from_chat_completions(stream, response_id="resp_1")]
        assert items(folded(events)) == SAID
        assert stream.response.is_closed


@pytest.mark.anyio
@on_asyncio
async def test_who_leaves_early_closes_the_upstream() -> None:
    async with async_client_of(sse(TURN)) as client:
        for taken in (0, 3):
            stream = await client.chat.completions.create(**asked())
            events = from_chat_completions(stream, response_id="resp_1")
            for _ in range(taken):
                await anext(aiter(events))
            await events.aclose()
            assert stream.response.is_closed


@pytest.mark.parametrize("taken", [0, 1, 5])
def test_a_generator_is_closed_when_its_events_are(taken: int) -> None:
    closed: list[bool] = []

    class Chunks:
        def __iter__(self) -> Iterator[Any]:
            return iter(TURN)

        def close(self) -> None:
            closed.append(True)

    events = from_chat_completions(Chunks(), response_id="resp_1")
    for _, _ in zip(range(taken), events, strict=False):
        pass
    events.close()
    assert closed


@pytest.mark.anyio
async def test_an_asynchronous_generator_is_closed_at_its_end_and_when_it_is_left() -> None:
    closed: list[bool] = []

    async def chunks() -> AsyncIterator[Any]:
        try:
            for one in TURN:
                yield one
        finally:
            closed.append(True)

    events = [event async for event in from_chat_completions(chunks(), response_id="resp_1")]
    assert items(folded(events)) == SAID
    left = from_chat_completions(chunks(), response_id="resp_1")
    await anext(aiter(left))
    await left.aclose()
    assert closed == [True, True]


def test_an_error_that_the_client_raises_is_told_as_it_is_in_the_stream(caplog: pytest.LogCaptureFixture) -> None:
    body = sse([text(HELLO), {"error": {"code": "rate_limit_exceeded", "message": SECRET}}])
    with client_of(body) as client:
        stream = client.chat.completions.create(**asked())
        response = folded(from_chat_completions(stream, response_id="resp_1"))
    assert error_of(response) == ("rate_limit_exceeded", "The model is busy. Try again later.")
    assert items(response) == [["message", HELLO]]
    assert SECRET in caplog.text


# The text of an event stream, however it comes.

TELLING: Final = (*TURN[:-2], text("Grüße 🎈"), *TURN[-2:])


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_a_stream_may_be_cut_anywhere(data: st.DataObject) -> None:
    newline = data.draw(st.sampled_from(["\n", "\r\n", "\r"]))
    body = b": keep-alive\n\n" + sse(TELLING, newline=newline)
    if data.draw(st.booleans()):
        shown = body.decode()
        cuts = sorted(data.draw(st.lists(st.integers(0, len(shown)), max_size=12)))
        pieces: list[Any] = [shown[start:end] for start, end in zip([0, *cuts], [*cuts, None], strict=True)]
    else:
        cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=12)))
        pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, None], strict=True)]
    assert _contents(pieces) == _contents(TELLING)


def _contents(chunks: Any) -> list[Any]:
    return list(chat_contents(chunks))


@pytest.mark.parametrize("ending", ["", "\n"], ids=["as httpx has lines", "as files have lines"])
@pytest.mark.parametrize("kind", [str, bytes])
def test_a_stream_may_come_line_by_line(kind: type, ending: str) -> None:
    lines = (": OPENROUTER PROCESSING\n\nevent: message\n" + sse(TELLING).decode()).split("\n")
    pieces = [f"{line}{ending}" if kind is str else f"{line}{ending}".encode() for line in lines]
    assert _contents(pieces) == _contents(TELLING)


@pytest.mark.parametrize("broken", [b"data: {\n\n", b'data: {"a": "\\ud83c"\n\n', b"data: {", b"{"])
def test_json_that_is_cut_is_refused_or_was_cut_off(broken: bytes) -> None:
    assert answer(sse([text(HELLO)], done=False) + broken).status == "failed"
    assert answer(broken).status == "failed"


def test_a_document_has_the_limit_of_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_completions_sources, "MAX_FRAME_BYTES", 100)
    with pytest.raises(FrameTooLarge):
        list(chat_contents(json.dumps(WHOLE)))


@pytest.mark.anyio
async def test_text_may_come_asynchronously() -> None:
    async def pieces(body: bytes) -> AsyncIterator[bytes]:
        for at in range(0, len(body), 7):
            yield body[at : at + 7]

    for body in (sse(TURN), sse(TURN, done=False), json.dumps(WHOLE).encode()):
        assert items(folded([one async for one in from_chat_completions(pieces(body), response_id="resp_1")])) == SAID


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ConnectionError(SECRET), BROKEN),
        (openai.APIError(SECRET, request=cast("Any", None), body={"code": "rate_limit_exceeded"}), None),
    ],
)
async def test_an_asynchronous_source_that_raises_fails_the_response(error: Exception, told: Any) -> None:
    async def chunks() -> AsyncIterator[Any]:
        yield text(HELLO)
        yield calls(fragment('{"a', index=0, id="call_a", name="f"))
        yield text("held")
        raise error

    response = folded([one async for one in from_chat_completions(chunks(), response_id="resp_1")])
    assert error_of(response) == (told or ("rate_limit_exceeded", "The model is busy. Try again later."))
    assert ["message", "held"] in items(response)


HALVES: Final = ("\ud83c", "\udf88")


def test_a_character_may_be_cut_in_two() -> None:
    """openclaw#115536, eliza#30904"""
    first, second = HALVES
    chunks = [
        *(chunk({"reasoning": half}) for half in HALVES),
        *(text(piece) for piece in (f"Hi {first}", f"{second} you ", first, second)),
        calls(fragment(f'{{"a":"{first}', index=0, id="call_a", name="f")),
        calls(fragment(f'{second}"}}', index=0)),
        stop(),
    ]
    said = [["reasoning", "🎈"], ["message", "Hi 🎈 you 🎈"], ["function_call", "f", '{"a":"🎈"}']]
    assert items(answer(*chunks)) == said
    assert items(answer(sse(chunks))) == said
    assert items(answer(*sse(chunks).decode().split("\n"))) == said
    assert items(answer(text(f"a{second}b{first}c"), text(first), stop())) == [["message", "a\ufffdb\ufffdc"]]


def test_nothing_counts_behind_the_end() -> None:
    rest = sse([text("more")], done=False)
    assert items(answer(sse(TURN), rest)) == SAID
    assert items(answer(sse(TURN) + rest)) == SAID


def test_the_end_may_come_without_its_empty_line() -> None:
    assert items(answer(sse([text(HELLO), stop()], done=False).strip())) == [["message", HELLO]]


def test_a_frame_that_is_no_json_is_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    assert error_of(answer(sse([text(HELLO)], done=False) + b"data: <html>\n\n")) == BROKEN
    with pytest.raises(DecodeError):
        list(chat_contents(b"data: <html>\n\n"))
    assert "JSON" in caplog.text


# Chunks that say nothing, and chunks that say it twice.


@pytest.mark.parametrize(
    "odd",
    [
        chunk({"role": "assistant"}),
        chunk({"role": "assistant", "content": "", "tool_calls": []}),
        chunk({"content": None, "tool_calls": None, "refusal": None, "function_call": None, "reasoning": None}),
        chunk() | {"choices": [], "prompt_filter_results": [{"prompt_index": 0}], "model": ""},  # semantic-kernel#3650
        chunk() | {"choices": None, "usage": None},
        chunk() | {"choices": [{"index": 0, "delta": None, "finish_reason": None}]},
        chunk() | {"choices": [{"index": 0, "finish_reason": ""}]},
        {"id": "c_1", "object": "chat.completion.chunk"},
        {"type": "ping"},
        {},
        calls({"index": 7, "id": "", "type": "function", "function": {"name": "", "arguments": ""}}),
        calls({"index": 8}),
        calls(fragment(index=9, id=None)),
    ],
    ids=lambda odd: json.dumps(odd)[-60:],
)
def test_a_chunk_that_says_nothing_changes_nothing(odd: dict[str, Any]) -> None:
    for at in range(len(TURN)):
        assert items(answer(*TURN[:at], odd, *TURN[at:])) == SAID


def test_only_the_first_of_several_choices_is_told(caplog: pytest.LogCaptureFixture) -> None:
    second = {"index": 1, "delta": {"content": "Other"}, "finish_reason": None}
    both = text(HELLO)
    both["choices"].append(second)
    response = answer(both, {**both, "choices": [second]}, stop())
    assert items(response) == [["message", HELLO]]
    assert caplog.text.count("several choices") == 1


def test_think_tags_are_left_alone() -> None:
    assert items(answer(text("<think>Hm</think>"), text("Hi"), stop())) == [["message", "<think>Hm</think>Hi"]]


def test_audio_is_dropped_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    response = answer(
        chunk({"audio": {"id": "a", "data": "aGk="}}), chunk({"audio": {"data": "aGk="}}), text("Hi"), stop()
    )
    assert items(response) == [["message", "Hi"]]
    assert caplog.text.count("audio") == 1


def test_a_refusal_is_one() -> None:
    assert items(answer(chunk({"refusal": "I "}), chunk({"refusal": "won't."}), stop())) == [["message", "I won't."]]
    content = answer(chunk({"refusal": "No."}), stop()).output[0].content
    assert content[0].type == "refusal"


def test_images_are_told_as_items() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    assert items(answer(text("Here:"), chunk({"images": [image]}), stop())) == [
        ["message", "Here:"],
        ["image_generation_call"],
    ]


def test_content_may_come_in_parts() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}
    parts = [thinking, {"type": "text", "text": "Hel"}]
    response = answer(chunk({"content": parts}), text("lo"), chunk({"content": [{"type": "reference"}]}), stop())
    assert items(response) == [["reasoning", "Hm"], ["message", HELLO]]
    image = {"type": "image_url", "image_url": "data:image/png;base64,aGk="}
    others = answer(chunk({"content": [image, {"type": "refusal", "refusal": "No."}, "Hi"]}), stop())
    assert items(others) == [["image_generation_call"], ["message", "No.", "Hi"]]


# Reasoning.


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_has_several_names(name: str) -> None:
    response = answer(
        chunk({name: "H"}), chunk({name: "m", "content": ""}), chunk({name: None, "content": "Hi"}), stop()
    )
    assert items(response) == [["reasoning", "Hm"], ["message", "Hi"]]
    assert response.output[0].summary == []


def test_reasoning_under_two_names_is_told_once() -> None:
    details = [{"type": "reasoning.text", "text": "Hm", "index": 0}]
    delta = {"reasoning": "Hm", "reasoning_content": "Hm", "reasoning_details": details}
    assert items(answer(chunk(delta), text("Hi"), stop())) == [["reasoning", "Hm"], ["message", "Hi"]]


def detail(kind: str, **more: Any) -> dict[str, Any]:
    return chunk({"reasoning_details": [{"type": f"reasoning.{kind}", "format": "x", **more}]})


def test_details_of_reasoning_tell_summaries_from_thoughts_and_seals() -> None:
    response = answer(
        detail("summary", summary="Fir", index=0),
        detail("summary", summary="st", index=0),
        detail("summary", summary="Second", index=1),
        detail("encrypted", data="gAAA", index=2),
        detail("encrypted", data="gBBB", index=3),
        text("Hi"),
        stop(),
    )
    first, second, _ = (to_builtins(item) for item in response.output)
    assert [part["text"] for part in first["summary"]] == ["First", "Second"]
    assert (first["encrypted_content"], second["encrypted_content"]) == ("gAAA", "gBBB")
    assert items(answer(detail("text", text="Hm", signature="s"), text("Hi"), stop()))[0] == ["reasoning", "Hm"]


def test_a_summary_that_is_told_twice_is_a_summary() -> None:
    delta = {"reasoning": "First", "reasoning_details": [{"type": "reasoning.summary", "summary": "First", "index": 0}]}
    [item] = answer(chunk(delta), stop()).output
    assert [part.text for part in item.summary] == ["First"]


# Citations and log probabilities.


def cited(url: str, start: Any = None, end: Any = None, title: str | None = None) -> dict[str, Any]:
    where = {"url": url, "start_index": start, "end_index": end, "title": title}
    return {"type": "url_citation", "url_citation": {key: value for key, value in where.items() if value is not None}}


def annotations_of(response: Any) -> list[list[tuple[str, int, int]]]:
    messages = [item for item in response.output if item.type == "message"]
    return [[(one.url, one.start_index, one.end_index) for one in item.content[0].annotations] for item in messages]


def test_citations_stand_in_their_message() -> None:
    response = answer(chunk({"content": HELLO, "annotations": [cited("u", 0, 5, "T")]}), stop())
    assert annotations_of(response) == [[("u", 0, 5)]]
    assert response.output[0].content[0].annotations[0].title == "T"


def test_a_citation_may_come_before_its_text_and_behind_it() -> None:
    early = chunk({"annotations": [cited("early", 2, 4)]})
    late = chunk({"annotations": [cited("late", 0, 2)]})
    assert annotations_of(answer(early, text("Hel"), text("lo"), late, stop())) == [[("early", 2, 4), ("late", 0, 2)]]


@pytest.mark.parametrize(
    ("start", "end", "place"),
    [(None, None, (0, 0)), (3, 99, (3, 5)), (-1, 3, (0, 3)), (4, 2, (4, 4)), ("1", 2.5, (0, 0))],
)
def test_a_citation_lies_within_its_text(start: Any, end: Any, place: tuple[int, int]) -> None:
    assert annotations_of(answer(text(HELLO), chunk({"annotations": [cited("u", start, end)]}), stop())) == [
        [("u", *place)]
    ]


def test_offsets_count_from_the_beginning_of_the_content() -> None:
    call = calls(fragment("{}", index=0, id="call_a", name="f"))
    response = answer(text("Hello "), call, text("you"), chunk({"annotations": [cited("u", 6, 9)]}), stop())
    assert annotations_of(response) == [[], [("u", 0, 3)]]


def test_sources_beside_the_choices_are_cited_at_the_end() -> None:
    sources = [{"title": "T", "url": "u", "date": None}]
    response = answer(
        text("Hel") | {"citations": ["u"]}, text("lo") | {"citations": ["u"], "search_results": sources}, stop()
    )
    assert annotations_of(response) == [[("u", 5, 5)]]
    assert response.output[0].content[0].annotations[0].title == "T"


def test_a_citation_without_any_text_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert items(answer(chunk({"annotations": [cited("u", 0, 1), {"type": "file"}]}), stop())) == []
    assert caplog.text.count("dropped") == 2


def test_log_probabilities_go_with_their_text() -> None:
    first, second = text("Hel"), text("lo")
    for one, tokens in ((first, ["Hel"]), (second, ["l", "o"])):
        told = [
            {"token": token, "logprob": -0.5, "bytes": None, "top_logprobs": [{"token": "x", "logprob": -1}]}
            for token in tokens
        ]
        one["choices"][0]["logprobs"] = {"content": [*told, {"token": "?", "logprob": None}], "refusal": None}
    part = answer(first, second, stop()).output[0].content[0]
    assert [(one.token, one.logprob, one.top_logprobs[0].token) for one in part.logprobs] == [
        ("Hel", -0.5, "x"),
        ("l", -0.5, "x"),
        ("o", -0.5, "x"),
    ]


# Usage.


@pytest.mark.parametrize(
    ("chunks", "counts"),
    [
        ([usage_chunk()], (9, 5, 4, 2)),
        (
            [text("") | {"usage": {"prompt_tokens": 9, "completion_tokens": 1}}, usage_chunk()],
            (9, 5, 4, 2),
        ),  # cumulative
        ([usage_chunk(), usage_chunk({"prompt_tokens": 0, "completion_tokens": 0})], (9, 5, 4, 2)),
        ([chunk() | {"x_groq": {"usage": {"prompt_tokens": 23, "completion_tokens": 19}}}], (23, 19, 0, 0)),  # ai#1651
        ([chunk() | {"choices": [{"index": 0, "delta": {}, "usage": USAGE}]}], (9, 5, 4, 2)),
        (
            [usage_chunk({"input_tokens": 3, "output_tokens": 2, "input_tokens_details": {"cached_tokens": 1}})],
            (3, 2, 1, 0),
        ),
        ([usage_chunk({"prompt_tokens": 9, "completion_tokens": 5, "prompt_cache_hit_tokens": 8})], (9, 5, 8, 0)),
        (
            [usage_chunk({"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 21, "reasoning_tokens": 7})],
            (9, 12, 0, 7),
        ),
        (
            [usage_chunk({"prompt_tokens": 2, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 5}})],
            (2, 1, 2, 0),
        ),
        ([usage_chunk({"prompt_tokens": 9.0, "completion_tokens": None, "total_tokens": "x"})], (9, 0, 0, 0)),
        ([usage_chunk({"prompt_tokens": -1, "completion_tokens": float("nan")})], None),
    ],
)
def test_tokens_are_counted_once(chunks: list[Any], counts: tuple[int, ...] | None) -> None:
    usage = answer(text(HELLO), stop(), *chunks).usage
    if counts is None:
        assert usage is None
        return
    assert usage is not None
    assert usage.input_tokens_details is not None
    assert usage.output_tokens_details is not None
    assert counts == (
        usage.input_tokens,
        usage.output_tokens,
        usage.input_tokens_details.cached_tokens,
        usage.output_tokens_details.reasoning_tokens,
    )


# How a stream ends.


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("length", "max_output_tokens"),
        ("max_tokens", "max_output_tokens"),
        ("MAX_TOKENS", "max_output_tokens"),
        ("content_filter", "content_filter"),
        ("SAFETY", "content_filter"),
    ],
)
def test_an_answer_that_was_cut_short_is_incomplete(reason: str, told: str) -> None:
    for rest in ([], [usage_chunk()], [stop(), usage_chunk()]):
        response = answer(text(HELLO), stop(reason), *rest)
        assert (response.status, response.incomplete_details.reason) == ("incomplete", told)
        assert response.output[0].status == "incomplete"
        assert (response.usage is not None) == bool(rest)


def test_a_call_that_was_cut_short_is_incomplete() -> None:
    response = answer(calls(fragment('{"a', index=0, id="call_a", name="f")), stop("length"))
    assert items(response) == [["function_call", "f", '{"a']]
    assert response.output[0].status == "incomplete"


@pytest.mark.parametrize("reason", ["stop", "tool_calls", "function_call", "eos", "end_turn", "STOP"])
def test_any_other_reason_is_an_end(reason: str) -> None:
    assert answer(text(HELLO), stop(reason)).status == "completed"


def test_a_reason_is_not_the_last_word() -> None:
    # litellm#31634, open-webui#16377
    assert items(answer(*TURN[:3], stop("stop"), *TURN[3:])) == SAID
    assert items(answer(*TURN[:8], stop("tool_calls"), text("Bye"), stop())) == [*SAID, ["message", "Bye"]]


def test_frames_without_blank_lines_are_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    body = sse([text(HELLO), stop()]).replace(b"\n\n", b"\n")
    assert error_of(answer(body)) == CUT_OFF
    assert "a blank line has to end each frame" in caplog.text


@pytest.mark.parametrize("number", ["-Infinity", "Infinity", "NaN"])
def test_a_number_that_json_does_not_know_loses_no_answer(number: str) -> None:
    body = sse(
        [
            chunk()
            | {
                "choices": [
                    {
                        "index": 0,
                        "delta": {"content": HELLO},
                        "logprobs": {"content": [{"token": "t", "logprob": "NUMBER"}]},
                    }
                ]
            },
            stop(),
        ]
    ).replace(b'"NUMBER"', number.encode())
    assert items(answer(body)) == [["message", HELLO]]


@pytest.mark.parametrize("reason", ["error", "insufficient_system_resource", "abort"])
def test_a_reason_may_be_a_failure(reason: str) -> None:
    response = answer(text(HELLO), stop(reason), usage_chunk())
    assert error_of(response) == BROKEN
    assert items(response) == [["message", HELLO]]
    assert response.usage is not None


def test_a_stream_that_is_cut_off_fails_and_keeps_what_was_said() -> None:
    for chunks in ([text(HELLO)], [sse([text(HELLO)], done=False)], [sse([text(HELLO)], done=False) + b'data: {"cho']):
        response = answer(*chunks)
        assert error_of(response) == CUT_OFF
        assert items(response) == [["message", HELLO]]
        assert response.output[0].status == "incomplete"


@pytest.mark.parametrize("chunks", [[], [b""], [sse([])], [usage_chunk()], [chunk() | {"choices": []}]])
def test_a_stream_without_an_answer_was_cut_off(chunks: list[Any]) -> None:
    response = answer(*chunks)
    assert error_of(response) == CUT_OFF
    assert response.output == []


@pytest.mark.parametrize("end", [[sse([text(HELLO)])], [text(HELLO), usage_chunk()]], ids=["done", "usage"])
def test_some_servers_end_without_a_reason(end: list[Any]) -> None:
    assert answer(*end).status == "completed"  # oh-my-pi#9433


@pytest.mark.parametrize(
    "error",
    [
        {"error": {"message": SECRET, "type": "server_error"}},
        {"error": SECRET},
        {"error": {"code": 502, "message": SECRET, "metadata": {"raw": SECRET}}},
        {"object": "error", "message": SECRET, "code": 400},
        chunk()
        | {"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error", "error": {"message": SECRET}}]},
        SimpleNamespace(error={"message": SECRET}),
    ],
)
def test_an_error_in_the_middle_fails_without_its_text(error: Any, caplog: pytest.LogCaptureFixture) -> None:
    events = list(from_chat_completions([text(HELLO), error, text("more"), stop()], response_id="resp_1"))
    response = folded(events)
    assert error_of(response) == BROKEN
    assert items(response) == [["message", HELLO]]
    assert SECRET not in str(events)
    assert SECRET in caplog.text


def test_an_error_may_have_a_frame_of_its_own() -> None:
    body = (
        sse([text(HELLO)], done=False) + b'event: error\ndata: {"message": "x", "code": "context_length_exceeded"}\n\n'
    )
    assert error_of(answer(body)) == ("context_length_exceeded", "The input is longer than the model can read.")


@pytest.mark.parametrize(
    "error",
    [
        {"error": {"message": SECRET, "status": "RESOURCE_EXHAUSTED"}},
        {"error": {"message": SECRET, "status_code": 429}},
        json.dumps([{"error": {"message": SECRET, "status": "RESOURCE_EXHAUSTED"}}]),
        {"object": "error", "message": SECRET, "type": "rate_limited", "param": None, "code": "1300"},
    ],
)
def test_a_busy_model_is_told_as_one_however_its_server_says_it(error: Any) -> None:
    assert error_of(answer(error)) == ("rate_limit_exceeded", "The model is busy. Try again later.")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"error": {"message": SECRET}}, "rate_limit_exceeded"),
        ({"detail": SECRET}, "rate_limit_exceeded"),
        ({"error": {"message": SECRET, "code": "insufficient_quota"}}, "server_error"),
    ],
)
def test_the_status_of_http_counts_where_a_client_raises_it(body: Any, code: str) -> None:
    request = httpx.Request("POST", "https://example.com/v1/chat/completions")
    response = cast("Any", httpx.Response(429, request=request))
    raised = openai.RateLimitError(SECRET, response=response, body=body.get("error", body))

    def chunks() -> Iterator[Any]:
        yield text(HELLO)
        raise raised

    made = folded(from_chat_completions(chunks(), response_id="resp_1"))
    assert error_of(made)[0] == code
    assert SECRET not in json.dumps(to_builtins(made))


@pytest.mark.parametrize("code", [429, "429", "rate_limit_exceeded"])
def test_a_client_is_told_what_it_can_act_on(code: Any) -> None:
    assert error_of(answer({"error": {"code": code, "message": SECRET}}))[0] == "rate_limit_exceeded"


def test_a_source_that_raises_fails_the_response(caplog: pytest.LogCaptureFixture) -> None:
    def chunks() -> Iterator[Any]:
        yield text(HELLO)
        yield calls(fragment('{"a', index=0, id="call_a", name="f"))
        yield text("held")
        raise ConnectionError(SECRET)

    events = list(from_chat_completions(chunks(), response_id="resp_1"))
    response = folded(events)
    assert error_of(response) == BROKEN
    # What waited for the rest of the call was said, too.
    assert ["message", HELLO] in items(response)
    assert ["message", "held"] in items(response)
    assert SECRET not in str(events)
    assert SECRET in caplog.text


@pytest.mark.parametrize("wrong", [3, object(), None])
def test_what_is_no_source_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidType, match="chunks: expected a chunk"):
        from_chat_completions(wrong, response_id="resp_1")


@pytest.mark.parametrize("wrong", [3, {"detail": "Not Found"}, ["x"], chunk({"content": 3})])
def test_what_is_no_chunk_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidType):
        list(chat_contents([wrong]))


def test_events_of_a_responses_stream_are_for_relay() -> None:
    with pytest.raises(InvalidValue, match=r"hold response\.created, an event of a Responses stream; relay\(\)"):
        list(chat_contents([{"type": "response.created", "response": {}}]))  # B11


def test_contents_fail_without_any_text_of_the_upstream() -> None:
    with pytest.raises(RunFailed) as failed:
        list(chat_contents([{"error": {"message": SECRET}}]))
    assert SECRET not in str(failed.value)


def test_a_call_goes_to_the_client() -> None:
    said = list(chat_contents([calls(fragment("{}", index=0, id="call_a", name="f")), stop()]))
    assert said == [Update((), "m"), FunctionCall("call_a", "f", "{}")]
