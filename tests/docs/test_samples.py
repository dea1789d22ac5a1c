"""The samples of docs/examples that need the engine only: served, read by the real client, and doing what they say."""

from __future__ import annotations

import base64
import itertools
import json
import re
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import anyio
import anyio.to_thread
import attrs
import httpx
import openai
import pytest
from openai.types.responses import ResponseFunctionToolCall
from pydantic import BaseModel

from responses_stream import check_handler, validate_events
from responses_stream.pytest_plugin import ResponseStreamRecorder

from .samples import EXAMPLES, NAMES, PATIENCE, Open, asked, listening, loaded, opening, under_uvicorn

WEATHER: Final = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
A_PNG: Final = "data:image/png;base64," + base64.b64encode(b"\x89PNG").decode()
A_FILE: Final = "data:text/plain;base64," + base64.b64encode(b"Dear Ada").decode()


@pytest.fixture
def sample(response_stream_recorder: ResponseStreamRecorder) -> Iterator[Open]:
    """Serves a sample, by its name."""
    with opening(response_stream_recorder) as opened:
        yield opened


def message(*parts: dict[str, object]) -> list[dict[str, object]]:
    """A message of the user with these parts."""
    return [{"type": "message", "role": "user", "content": list(parts)}]


def test_the_page_lists_every_sample_and_nothing_else() -> None:
    page = (EXAMPLES.parent / "samples.md").read_text()
    listed = re.findall(r"^\| (\d*) ?\|? ?\[(\w+\.py)\]\(examples/([\w/.]+)\)", page, re.M)
    assert all(path.endswith(name) for _, name, path in listed)
    assert sorted(path for *_, path in listed) == sorted(
        str(path.relative_to(EXAMPLES)) for path in EXAMPLES.rglob("*.py")
    )
    numbers = {path: number for number, _, path in listed if number}
    assert sorted(map(int, numbers.values())) == list(range(1, len(numbers) + 1))
    for path, number in numbers.items():
        first = (EXAMPLES / path).read_text().partition("\n")[0]
        assert re.match(rf'"""Sample {number}( \(H[\d.]+\))?: ', first), path


def test_echo(sample: Open) -> None:
    echo = sample("echo")
    assert echo.both(model="echo", input="Hi").output_text == "You said: Hi"
    assert echo.both(model="echo", input=[{"role": "user", "content": "Ho"}]).output_text == "You said: Ho"


def test_tokens_are_deltas_and_the_response_is_configured(sample: Open) -> None:
    tokens = sample("tokens")
    answer = tokens.both(model="tokens", input="why is it so?")
    assert (answer.output_text, answer.temperature) == ("You asked: why is it so?", 0.2)
    deltas = [event.delta for event in tokens.events(model="tokens", input="why?") if "delta" in event.type]
    assert deltas == ["You", " asked:", " why?"]


def test_three_ways_say_the_same(sample: Open) -> None:
    ways = sample("three_ways")
    names = [model.id for model in ways.client.models.list()]
    assert names == ["convenience", "items", "builders"]
    answers = [ways.both(model=name, input="Hi") for name in names]
    assert {answer.output_text for answer in answers} == {"There is more than one way."}
    told = [[event.type for event in ways.events(model=name, input="Hi")] for name in names]
    assert told[0] == told[1] == told[2]


def test_a_function_is_called_and_its_output_answered(sample: Open) -> None:
    weather = sample("function_call")
    asked_first: dict[str, Any] = {"model": "weather", "input": "Oslo", "tools": [WEATHER]}
    [call] = weather.both(**asked_first).output
    assert isinstance(call, ResponseFunctionToolCall)
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Oslo"})

    first = weather.stream(**asked_first)
    call = first.output[0]
    assert isinstance(call, ResponseFunctionToolCall)
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
    second = weather.both(model="weather", input=[result], previous_response_id=first.id, tools=[WEATHER])
    assert second.output_text == "The function says: rain"
    assert weather.both(model="weather", input="Oslo").output_text.startswith("Give me a function")


def test_the_tutor_reads_the_newest_twenty_items(sample: Open) -> None:
    tutor = sample("study_tutor")
    answer = tutor.both(model="study-tutor", input="What is a prime?")
    assert answer.output_text == "Let us begin with this: What is a prime?"
    answer = tutor.both(model="study-tutor", input="Is 1 one?", previous_response_id=answer.id)
    assert answer.output_text == "You asked 1 before, last 'What is a prime?'. Now: Is 1 one?"
    for turn in range(10):
        answer = tutor.create(model="study-tutor", input=f"Turn {turn}?", previous_response_id=answer.id)
    assert answer.output_text == "You asked 10 before, last 'Turn 8?'. Now: Turn 9?"


def test_several_outputs_come_in_order(sample: Open) -> None:
    answer = sample("several_outputs").both(model="thinker", input="17 + 25?")
    assert [item.type for item in answer.output] == ["reasoning", "message"]
    assert answer.output_text == "The sum is 42."
    assert answer.usage is not None
    assert answer.usage.total_tokens == 19


def test_options_name_the_models(sample: Open) -> None:
    slow = sample("options")
    slow.module.SECONDS.update(slow=0.0, slower=0.0)
    assert slow.both(model="slower", input="Hi").output_text == "I am slower, and I have thought about it."
    assert slow.create(input="Hi").model == "slow"  # the default
    assert [model.id for model in slow.client.models.list()] == ["slow", "slower"]


def test_options_keep_a_silent_stream_alive() -> None:
    seen = threading.Event()

    async def model(_: str) -> AsyncIterator[str]:
        assert await anyio.to_thread.run_sync(seen.wait, PATIENCE)
        yield "At last."

    with loaded("options") as module:
        assert module.server.options.sse_keep_alive_interval_seconds == 1
        module.server.configure(attrs.evolve(module.server.options, sse_keep_alive_interval_seconds=0.01))
        module.__dict__["model"] = model
        body = b""
        with (
            listening(module.server) as url,
            httpx.stream("POST", f"{url}/responses", json={"stream": True}, timeout=PATIENCE) as answer,
        ):
            for piece in answer.iter_bytes():
                body += piece
                if b": keep-alive" in body:
                    seen.set()
    report = validate_events(body, profile="strict")
    assert not report.violations, report
    assert b"At last." in body


def test_two_protocols_in_one_application(response_stream_recorder: ResponseStreamRecorder) -> None:
    with loaded("two_protocols") as module, under_uvicorn(module.app) as url:
        with asked(module, f"{url}/v1", response_stream_recorder) as responses:
            assert responses.both(model="both", input="Hi").output_text == "You said: Hi"
        invoked = httpx.post(f"{url}/invocations", json={"message": "Hi"}, timeout=PATIENCE)
        assert invoked.json() == {"answer": "You said: Hi"}


def test_mounted_below_a_path(response_stream_recorder: ResponseStreamRecorder) -> None:
    with loaded("mounted") as module, under_uvicorn(module.app) as url:
        with asked(module, f"{url}/api/v1", response_stream_recorder) as responses:
            assert responses.both(model="guest", input="Hi").output_text == "I live below /api."
        assert httpx.get(url, timeout=PATIENCE).json() == {"page": "of the application"}
        assert httpx.post(f"{url}/v1/responses", json={}, timeout=PATIENCE).status_code == 404


def test_an_image_is_said_in_three_ways(sample: Open) -> None:
    images = sample("image_generation")
    for name, rough in (("whole", 0), ("partial", 2), ("live", 2)):
        [call] = images.both(model=name, input="A red square").output
        assert call.type == "image_generation_call"
        picture = base64.b64decode(call.result or "")
        assert picture.startswith(b"\x89PNG\r\n\x1a\n")
        assert int.from_bytes(picture[16:20], "big") == 64
        told = [event.type for event in images.events(model=name, input="A red square")]
        assert told.count("response.image_generation_call.partial_image") == rough


def test_images_are_read_wherever_they_are(sample: Open) -> None:
    viewer = sample("image_input")
    url = "https://example.com/a.png"
    parts: list[dict[str, object]] = [
        {"type": "input_text", "text": "What do you see?"},
        {"type": "input_image", "image_url": url, "detail": "auto"},
        {"type": "input_image", "image_url": A_PNG, "detail": "auto"},
        {"type": "input_image", "file_id": "file_sunset", "detail": "auto"},
        {"type": "input_image", "file_id": "file_other", "detail": "auto"},
    ]
    answer = viewer.both(model="viewer", input=message(*parts))
    assert answer.output_text.splitlines() == [
        "URL: https://example.com/a.png",
        "data: image/png, 4 bytes",
        "file file_sunset: 16 bytes",
        "file file_other: unknown",
    ]
    assert viewer.both(model="viewer", input="Hi").output_text == "I see no image."


def test_files_are_read_wherever_they_are(sample: Open) -> None:
    reader = sample("file_input")
    parts: list[dict[str, object]] = [
        {"type": "input_file", "file_data": A_FILE, "filename": "letter.txt"},
        {"type": "input_file", "file_url": "https://example.com/a.pdf"},
        {"type": "input_file", "file_id": "file_minutes"},
        {"type": "input_file", "file_id": "file_other"},
    ]
    assert reader.both(model="reader", input=message(*parts)).output_text.splitlines() == [
        "letter.txt: Dear Ada",
        "a file is at https://example.com/a.pdf",
        "file_minutes: Minutes of the meeting",
        "file_other cannot be read",
    ]
    assert reader.both(model="reader", input="Hi").output_text == "I was given no file."


def test_annotations_are_in_the_message(sample: Open) -> None:
    [item] = sample("annotations").both(model="librarian", input="Why is the sky blue?").output
    assert item.type == "message"
    [text] = item.content
    assert text.type == "output_text"
    assert [remark.type for remark in text.annotations] == ["file_citation", "url_citation", "file_path"]
    page = text.annotations[1]
    assert page.type == "url_citation"
    assert text.text[page.start_index : page.end_index] == "Rayleigh scattering"


class Event(BaseModel):
    name: str
    day: str
    participants: list[str]


def test_structured_outputs_are_an_item_or_json_in_a_text(sample: Open) -> None:
    extractor = sample("structured_outputs")
    parsed = extractor.client.responses.parse(model="extractor", input="Ada meets Grace", text_format=Event)
    assert parsed.output_parsed == Event(name="Science fair", day="Friday", participants=["Ada", "Grace"])
    schema = {"type": "json_schema", "name": "event", "schema": Event.model_json_schema()}
    events = extractor.events(model="extractor", input="Ada meets Grace", text={"format": schema})
    assert json.loads(events[-1].response.output_text) == parsed.output_parsed.model_dump()
    # The client does not know the item, and keeps it; its helper for streams would warn of that.
    whole = extractor.create(model="extractor", input="Ada meets Grace")
    streamed = extractor.events(model="extractor", input="Ada meets Grace")[-1].response
    for [item] in (whole.output, streamed.output):
        assert (str(item.type), getattr(item, "output", None)) == ("structured_outputs", extractor.module.EVENT)


def test_tenants_do_not_see_each_other(response_stream_recorder: ResponseStreamRecorder) -> None:
    with loaded("multi_tenant") as module, listening(module.server) as url, ExitStack() as stack:
        north, south, stranger = (
            stack.enter_context(asked(module, url, response_stream_recorder, key))
            for key in ("key-of-north", "key-of-south", "key-of-nobody")
        )
        answer = north.both(model="tenant", input="Hi")
        assert answer.output_text == "north, this is 'Hi' after 0 items."
        assert north.client.responses.retrieve(answer.id).id == answer.id
        next_one = north.both(model="tenant", input="Ho", previous_response_id=answer.id)
        assert next_one.output_text == "north, this is 'Ho' after 2 items."
        for look in (
            lambda: south.client.responses.retrieve(answer.id),
            lambda: south.client.responses.delete(answer.id),
            lambda: south.client.responses.input_items.list(answer.id),
            lambda: south.create(model="tenant", input="Ho", previous_response_id=answer.id),
        ):
            with pytest.raises(openai.NotFoundError):
                look()
        assert south.both(model="tenant", input="Hi").output_text == "south, this is 'Hi' after 0 items."
        with pytest.raises(openai.AuthenticationError):
            stranger.create(model="tenant", input="Hi")


def test_a_restart_forgets_nothing(
    response_stream_recorder: ResponseStreamRecorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    last: str | None = None
    told = []
    for line in ("I am Ada", "I like primes", "Who am I?"):
        with loaded("sqlite_restart") as module, listening(module.server) as url:
            with asked(module, url, response_stream_recorder) as elephant:
                answer = elephant.both(model="elephant", input=line, previous_response_id=last)
            last = answer.id
            told.append(answer.output_text.split(". ")[0])
    assert told == [
        "You told me: nothing yet",
        "You told me: I am Ada",
        "You told me: I am Ada, I like primes",
    ]
    assert (tmp_path / "elephant.sqlite3").exists()


def test_a_background_run_ends(sample: Open) -> None:
    researcher = sample("background")

    async def work(_: str) -> None:
        """No time at all."""

    researcher.module.__dict__["work"] = work
    answer = researcher.both(model="researcher", input="Is it?")
    assert [item.type for item in answer.output] == ["message"] * 4
    assert answer.output_text.endswith("The answer is yes.")


def test_a_background_run_shows_its_progress_and_is_cancelled(response_stream_recorder: ResponseStreamRecorder) -> None:
    with loaded("background") as module:
        module.server.configure(attrs.evolve(module.server.options, cancel_grace_seconds=0.01))

        async def work(step: str) -> None:
            if step == module.STEPS[1]:
                await anyio.sleep_forever()

        module.__dict__["work"] = work
        with listening(module.server) as url, asked(module, url, response_stream_recorder) as researcher:
            responses = researcher.client.responses
            with responses.create(model="researcher", input="Is it?", background=True, stream=True) as events:
                # The run does not belong to this connection, which is left in the middle.
                read = list(itertools.takewhile(lambda event: event.type != "response.output_item.done", events))
            assert read[0].type == "response.created"
            response_id = read[0].response.id
            polled = responses.retrieve(response_id)
            assert (polled.status, polled.output_text) == ("in_progress", module.STEPS[0])

            assert responses.cancel(response_id).status == "cancelled"
            with responses.retrieve(response_id, stream=True) as replay:
                last = list(replay)[-1]
            assert last.type == "response.failed"
            assert last.response.status == "cancelled"
            researcher.judge()


def test_a_chat_over_a_websocket(sample: Open, capsys: pytest.CaptureFixture[str]) -> None:
    room = sample("websocket_chat")
    assert room.both(model="chat", input="Hi").output_text == "After 0 turns: Hi"
    room.module.chat(["Hi", "Ho", "Ha"], room.url)
    assert capsys.readouterr().out.splitlines() == ["After 0 turns: Hi", "After 1 turns: Ho", "After 2 turns: Ha"]


SERVED: Final = re.compile(r"listening on (http://\S+)")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_it_is_served_by_the_command(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "responses_stream", "serve", str(EXAMPLES / f"{name}.py"), "--port", "0"]
    headers = {"authorization": "Bearer key-of-north"}
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            said = next(found for line in process.stderr if (found := SERVED.search(line)))
            body = {"input": "Why is the sky blue?", "stream": True}
            answer = httpx.post(f"{said[1]}/v1/responses", json=body, headers=headers, timeout=PATIENCE)
        finally:
            process.terminate()
            _, rest = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, rest
    report = validate_events(answer.content, profile="strict")
    assert not report.violations, report
    assert b"response.completed" in answer.content


async def no_time(_: float) -> None:
    """Stands in for the time that a model takes."""


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*NAMES} - {"multi_tenant"}))  # `check` has no key
def test_whatever_it_is_asked_it_answers_well(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where one of them keeps a file
    with loaded(name) as module:
        if hasattr(module, "anyio"):
            module.__dict__["anyio"] = SimpleNamespace(sleep=no_time)
        report = check_handler(
            module.server,
            modes=["json", "stream"],
            # The frameworks know asyncio only.
            backend="asyncio" if name.endswith("_bridge") else "trio",
        )
    assert report.ok, str(report)
