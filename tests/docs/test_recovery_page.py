"""The handlers of docs/recovery.md, as they stand there: a server dies in the midst of them, and another goes on."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, Final

import anyio
import attrs
import httpx2
import openai
import pytest

from responses_stream import CreateResponse, MemoryStore, ResponseContext, ResponsesServer, accumulate
from responses_stream.hosting import attendance
from responses_stream.hosting.recovery import all_frames
from responses_stream.sse import decode_events
from tests.hosting.asking import ask
from tests.hosting.test_recovery import ASKED, KEY, OPTIONS, Line

from .pages import DOCS, run

pytestmark = pytest.mark.anyio

PAGE: Final = "recovery.md"
Handler = Callable[[CreateResponse, ResponseContext], AsyncGenerator[Any, None]]


@attrs.define
class Told:
    """What became of a response whose first server has died."""

    texts: list[str]
    frames: list[bytes]

    @property
    def types(self) -> list[str]:
        return [json.loads(frame.partition(b"data: ")[2])["type"] for frame in self.frames]


async def made_twice(handler: Handler, last: Callable[[list[str]], bool], *, in_order: bool = False) -> Told:
    """Let the server die once the log of *handler* is as *last* wants it, and another one go on."""
    clock = [1_000_000.0]
    store = MemoryStore(clock=lambda: clock[0])
    line = Line(store)
    first = ResponsesServer(store=line, options=OPTIONS)
    held = anyio.Event()

    @first.response_handler
    async def dies(request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        types: list[str] = []
        async with aclosing(_flat(handler(request, context))) as events:
            async for event in events:
                yield event
                types.append(event.type)
                if last(types):
                    held.set()
                    await (context.shutdown.wait() if in_order else anyio.sleep_forever())

    second = ResponsesServer(store=store, options=OPTIONS)
    second.response_handler(handler)
    with anyio.fail_after(8):
        async with first.lifespan():
            await ask(first, ASKED)
            await held.wait()
            while not last(Told([], list(await all_frames(store, KEY))).types):
                await anyio.lowlevel.checkpoint()
            if not in_order:
                line.is_cut = True
                clock[0] += 1000
        async with second.lifespan():
            while not (found := await store.get(KEY)).ended:
                await store.changed(KEY, found.last_number, 8)
    frames = list(await all_frames(store, KEY))
    response = json.loads(found.response)
    assert response["status"] == "completed"
    assert accumulate(decode_events(b"".join(frames))).output[-1].content[0].text == _texts(response)[-1]  # type: ignore[union-attr, index]
    return Told(_texts(response), frames)


async def _flat(said: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
    async with aclosing(said):
        async for one in said:
            for event in one if not hasattr(one, "type") else [one]:
                yield event


def _texts(response: dict[str, Any]) -> list[str]:
    return [item["content"][0]["text"] for item in response["output"]]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attendance, "_RETRY_SECONDS", 0.02)


def handler(name: str) -> Handler:
    found: Handler = run(PAGE)[name]
    return found


def after_items(count: int) -> Callable[[list[str]], bool]:
    return lambda types: types.count("response.output_item.done") == count


def python_client(frames: list[bytes]) -> openai.OpenAI:
    """Return a client whose server answers with these events."""

    def answer(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=b"".join(frames))

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    return openai.OpenAI(base_url="http://127.0.0.1/v1", api_key="-", http_client=http, max_retries=0)


async def test_one_that_knows_nothing_takes_back_what_it_said() -> None:
    told = await made_twice(handler("naive"), after_items(1))
    assert told.texts == ["Here is the whole answer."]
    assert (told.types.count("response.created"), told.types.count("response.in_progress")) == (1, 2)
    assert told.types.count("response.output_item.added") == 2


@pytest.mark.parametrize("done", [0, 1, 2, 3])
async def test_phases_that_are_done_stay(done: int) -> None:
    told = await made_twice(handler("in_phases"), after_items(done) if done else _begun)
    assert told.texts == ["Here is an outline.", "Here is a draft.", "Here is a polished text."]
    assert told.types.count("response.output_item.added") == 3, "no phase is done twice"


def _begun(types: list[str]) -> bool:
    return types[-1:] == ["response.in_progress"]


async def test_an_effect_happens_once() -> None:
    orders = run(PAGE)["ORDERS"]
    orders.clear()
    told = await made_twice(handler("with_an_effect"), lambda types: types[-1:] == ["response.output_item.added"])
    assert told.texts == ["Ordered: receipt 1"]
    assert len(orders) == 1


async def test_what_was_half_said_goes_on() -> None:
    told = await made_twice(handler("goes_on"), lambda types: types.count("response.output_text.delta") == 2)
    assert told.texts == ["One two three."]


async def test_one_that_leaves() -> None:
    told = await made_twice(handler("leaves"), after_items(1), in_order=True)
    assert told.texts == ["Here is an outline.", "Here is a draft.", "Here is a polished text."]
    assert told.types.count("response.output_item.added") == 3


async def test_what_the_openai_package_makes_of_a_reset() -> None:
    """The table of the page."""
    kept = python_client((await made_twice(handler("in_phases"), after_items(1))).frames)
    taken_back = python_client((await made_twice(handler("naive"), after_items(1))).frames)
    for client in (kept, taken_back):
        *_, last = client.responses.retrieve("resp_1", stream=True)
        assert last.type == "response.completed"
    with kept.responses.stream(response_id="resp_1") as events:
        assert events.get_final_response().output_text.startswith("Here is an outline.")
    with (
        taken_back.responses.stream(response_id="resp_1") as events,
        pytest.raises(RuntimeError, match=r"Duplicate response output index 0\."),
    ):
        events.get_final_response()
    page = (DOCS / PAGE).read_text()
    assert "Duplicate response output index 0." in page
    assert f"({openai.__version__.rpartition('.')[0]})" in page


async def test_the_server_of_the_page_is_resilient() -> None:
    assert run(PAGE)["server"].options.resilient_background
