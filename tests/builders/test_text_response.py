"""`TextResponse`: a whole response from one text, wherever the text comes from."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, closing
from types import SimpleNamespace
from typing import Any, Final, cast

import anyio.lowlevel
import pytest

from responses_stream import InvalidType, InvalidValue, OutOfOrder, TextResponse, accumulate
from responses_stream.protocol.codec import to_builtins
from responses_stream.protocol.events import ResponseStreamEvent

from . import samples
from .oracle import judge
from .programs import as_dicts
from .samples import names

CONTEXT: Final = SimpleNamespace(response_id="resp_1")


def said(deltas: int) -> list[str]:
    """The events of a text that comes in so many deltas (H17.9)."""
    return [
        *("created", "in_progress", "output_item.added", "content_part.added"),
        *["output_text.delta"] * deltas,
        *("output_text.done", "content_part.done", "output_item.done", "completed"),
    ]


async def listed(answer: TextResponse) -> list[ResponseStreamEvent]:
    return [event async for event in answer]


def chunks() -> Iterator[str]:
    yield from ("Hel", "", "lo")


async def later() -> AsyncIterator[str]:
    yield "Hel"
    await anyio.lowlevel.checkpoint()
    yield "lo"


async def awaited() -> str:
    await anyio.lowlevel.checkpoint()
    return "Hello"


async def awaited_chunks() -> AsyncIterator[str]:
    await anyio.lowlevel.checkpoint()
    return later()


class Waiting:
    """Something to await that is no coroutine."""

    def __await__(self) -> Any:
        return awaited().__await__()


class Model:
    """Something to call that is no function."""

    def __call__(self) -> list[str]:
        return ["Hel", "lo"]


# Where a text may come from without waiting, and in how many deltas.
NOW: Final[dict[str, tuple[Callable[[], Any], int]]] = {
    "a string": (lambda: "Hello", 1),
    "an empty string": (lambda: "", 0),
    "a list": (lambda: ["Hel", "lo"], 2),
    "a tuple with empty chunks": (lambda: ("", "Hel", "", "lo"), 2),
    "a generator": (chunks, 2),
    "a function that returns a string": (lambda: lambda: "Hello", 1),
    "a function that returns a list": (lambda: lambda: ["Hel", "lo"], 2),
    "a generator function": (lambda: chunks, 2),
    "a callable object": (Model, 2),
}
# Where it may come from if somebody waits.
LATER: Final[dict[str, tuple[Callable[[], Any], int]]] = {
    "an async generator": (later, 2),
    "an async generator function": (lambda: later, 2),
    "a coroutine": (awaited, 1),
    "a coroutine function": (lambda: awaited, 1),
    "a coroutine of chunks": (awaited_chunks, 2),
    "an awaitable": (Waiting, 1),
    "a function that returns an awaitable": (lambda: Waiting, 1),
}


@pytest.mark.parametrize("source", NOW)
def test_a_text_that_needs_no_waiting_is_said_with_for(source: str) -> None:
    make, deltas = NOW[source]
    events = list(TextResponse(CONTEXT, {"model": "tutor"}, text=make()))
    assert names(events) == said(deltas)
    assert judge(as_dicts(events)) == []
    assert accumulate(events).output_text == ("" if source == "an empty string" else "Hello")
    assert accumulate(events).model == "tutor"


@pytest.mark.anyio
@pytest.mark.parametrize("source", [*NOW, *LATER])
async def test_any_text_is_said_with_async_for(source: str) -> None:
    make, deltas = (NOW | LATER)[source]
    events = await listed(TextResponse(CONTEXT, None, text=make()))
    assert names(events) == said(deltas)
    assert judge(as_dicts(events)) == []
    assert accumulate(events).output_text == ("" if source == "an empty string" else "Hello")


@pytest.mark.parametrize("source", LATER)
def test_a_text_that_needs_waiting_cannot_be_said_with_for(source: str) -> None:
    answer = iter(TextResponse(CONTEXT, None, text=LATER[source][0]()))
    assert names([next(answer), next(answer)]) == said(0)[:2]
    with pytest.raises(InvalidType, match="text: expected something that needs no waiting"):
        next(answer)


@pytest.mark.anyio
async def test_it_tells_whether_it_has_to_wait_as_far_as_that_shows() -> None:
    assert not any(TextResponse(CONTEXT, None, text=make()).is_async for make, _ in NOW.values())
    shown = {source: TextResponse(CONTEXT, None, text=make()) for source, (make, _) in LATER.items()}
    # What a function returns is known when it is called.
    assert [source for source, answer in shown.items() if not answer.is_async] == [
        "a function that returns an awaitable"
    ]
    for answer in shown.values():
        await listed(answer)


WRONG: Final[list[Any]] = [3, None, b"Hello", {"a": "b"}, 1.5]


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_text_is_refused_at_once(wrong: Any) -> None:
    with pytest.raises(InvalidType, match="text: expected a string, chunks, something to await, or a function"):
        TextResponse(CONTEXT, None, text=wrong)


@pytest.mark.anyio
@pytest.mark.parametrize("wrong", WRONG)
async def test_what_a_function_returns_is_checked_when_it_is_called(wrong: Any) -> None:
    async def function() -> Any:
        return wrong

    with pytest.raises(InvalidType, match="text: expected"):
        list(TextResponse(CONTEXT, None, text=lambda: wrong))
    for text in (cast("Any", lambda: wrong), function, function()):
        with pytest.raises(InvalidType, match="text: expected"):
            await listed(TextResponse(CONTEXT, None, text=text))


@pytest.mark.anyio
@pytest.mark.parametrize("wrong", [3, None, b"lo"])
async def test_a_chunk_that_is_no_text_is_refused_when_it_comes(wrong: Any) -> None:
    with pytest.raises(InvalidType, match="delta: expected a string"):
        list(TextResponse(CONTEXT, None, text=["Hel", wrong]))
    with pytest.raises(InvalidType, match="delta: expected a string"):
        await listed(TextResponse(CONTEXT, None, text=["Hel", wrong]))
    with pytest.raises(InvalidValue, match="lone surrogate"):
        list(TextResponse(CONTEXT, None, text="\ud800"))


@pytest.mark.anyio
async def test_a_failure_of_the_source_comes_out_as_it_is() -> None:
    def broken() -> Iterator[str]:
        yield "Hel"
        raise ZeroDivisionError

    async def broken_later() -> AsyncIterator[str]:
        yield "Hel"
        raise ZeroDivisionError

    def never() -> str:
        raise ZeroDivisionError

    async def never_later() -> str:
        raise ZeroDivisionError

    for text in (broken(), broken, never):
        with pytest.raises(ZeroDivisionError):
            list(TextResponse(CONTEXT, None, text=text))
    for late in (broken(), broken_later(), broken_later, never, never_later, never_later()):
        with pytest.raises(ZeroDivisionError):
            await listed(TextResponse(CONTEXT, None, text=late))


def test_the_function_is_called_after_in_progress() -> None:
    called = []

    def text() -> str:
        called.append(True)
        return "Hello"

    answer = iter(TextResponse(CONTEXT, None, text=text))
    assert names([next(answer), next(answer)]) == ["created", "in_progress"]
    assert not called
    next(answer)
    assert called


@pytest.mark.anyio
async def test_what_is_awaited_keeps_nobody_waiting_for_the_beginning() -> None:
    ready = anyio.Event()

    async def text() -> str:
        await ready.wait()
        return "Hello"

    answer = aiter(TextResponse(CONTEXT, None, text=text))
    begun = [await anext(answer) for _ in range(4)]
    ready.set()
    assert names([*begun, *[event async for event in answer]]) == said(1)


def test_the_response_can_be_configured() -> None:
    def configure(response: Any) -> None:
        response.metadata = {"team": "a"}

    events = list(TextResponse(CONTEXT, {"model": "tutor"}, text="Hello", configure=configure))
    assert {str(accumulate(events[:end]).metadata) for end in range(1, len(events) + 1)} == {"{'team': 'a'}"}


def test_a_wrong_configuration_is_refused_before_created() -> None:
    def configure(response: Any) -> None:
        response.temperature = "warm"

    with pytest.raises(InvalidValue, match=r"\$\.temperature"):
        next(iter(TextResponse(CONTEXT, None, text="Hello", configure=configure)))


@pytest.mark.anyio
async def test_usage_may_be_given_or_told_when_the_text_has_ended() -> None:
    seen: list[str] = []

    def text() -> Iterator[str]:
        yield "Hello"
        seen.append("text")

    def usage() -> dict[str, Any]:
        seen.append("usage")
        return dict(samples.USAGE)

    for answer in (
        list(TextResponse(CONTEXT, None, text="Hello", usage=samples.USAGE)),
        list(TextResponse(CONTEXT, None, text=text, usage=usage)),
        await listed(TextResponse(CONTEXT, None, text=text, usage=usage)),
    ):
        assert to_builtins(accumulate(answer))["usage"] == samples.USAGE
    assert seen == ["text", "usage"] * 2
    assert accumulate(TextResponse(CONTEXT, None, text="Hello", usage=lambda: None)).usage is None


def test_a_text_response_is_said_once() -> None:
    answer = TextResponse(CONTEXT, None, text="Hello")
    assert len(list(answer)) == 9
    with pytest.raises(OutOfOrder, match="R038"):
        list(answer)


@pytest.mark.parametrize("response_id", ["", None])
def test_the_context_has_an_id(response_id: Any) -> None:
    with pytest.raises((InvalidType, InvalidValue), match="response_id"):
        TextResponse(SimpleNamespace(response_id=response_id), None, text="Hello")


@pytest.mark.anyio
async def test_leaving_early_reaches_the_source() -> None:
    closed: list[str] = []

    def now() -> Iterator[str]:
        try:
            yield "Hel"
            yield "lo"
        finally:
            closed.append("now")

    async def late() -> AsyncIterator[str]:
        try:
            yield "Hel"
            yield "lo"
        finally:
            await anyio.lowlevel.checkpoint()
            closed.append("late")

    async def wait() -> AsyncIterator[str]:
        return late()

    held: list[Any] = [now(), late(), now(), late()]
    with closing(cast("Any", iter(TextResponse(CONTEXT, None, text=held[0])))) as events:
        assert names([next(events) for _ in range(5)]) == said(2)[:5]
    sources: list[Any] = [held[1], held[2], lambda: held[3], wait]
    for text in sources:
        async with aclosing(cast("Any", aiter(TextResponse(CONTEXT, None, text=text)))) as later_events:
            assert names([await anext(later_events) for _ in range(5)]) == said(2)[:5]
    assert closed == ["now", "late", "now", "late", "late"]


@pytest.mark.anyio
async def test_a_coroutine_that_nobody_came_to_await_is_closed() -> None:
    """A run that is cancelled at its first event leaves no warning behind."""

    async def fetched() -> str:
        return "never"

    text = fetched()
    events = aiter(TextResponse(CONTEXT, None, text=text))
    await anext(events)
    await cast("AsyncGenerator[object, None]", events).aclose()
    assert inspect.getcoroutinestate(text) == inspect.CORO_CLOSED
