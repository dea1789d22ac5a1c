"""The clients that people use, unchanged, over our transports: `openai`, `openai-agents`, and the `openai` of npm."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import openai
import pytest

from .exemplary import WORDS, make_server
from .launching import SERVERS

pytestmark = pytest.mark.slow

NAMES: Final = (
    "h11-asyncio",
    "h11-trio",
    "uvicorn-httptools",
    "hypercorn-asyncio",
    "granian",
    "gunicorn",
    "waitress",
    "cheroot",
)
WITH_WEBSOCKET: Final = NAMES[:5]
TEXT: Final = " ".join(WORDS)
MODEL: Final = "exemplar"
NODE: Final = Path(__file__).parent / "node" / "client.mjs"
NPM_PACKAGE: Final = "openai@6.49.0"


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def url(name: str) -> Iterator[str]:
    # The async clients come from another event loop each, so they get a keep-alive of their own.
    with SERVERS[name](make_server(websocket=True)) as (host, port):
        yield f"http://{host}:{port}/v1"


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=url, api_key="-", max_retries=0, timeout=30) as client:
        yield client


def _id_in(event: Any) -> str:
    response_id: str = event.response.id
    return response_id


def test_openai_creates_and_streams(client: openai.OpenAI) -> None:
    created = client.responses.create(model=MODEL, input="Hi")
    assert (created.status, created.output_text) == ("completed", f"{TEXT} Hi")
    with client.responses.create(model=MODEL, input="Hi", stream=True) as events:
        told = list(events)
    assert [event.sequence_number for event in told] == list(range(len(told)))
    assert (told[0].type, told[-1].type) == ("response.created", "response.completed")
    with client.responses.stream(model=MODEL, input="Hi") as helper:
        assert helper.get_final_response().output_text == created.output_text


def test_openai_follows_what_runs_in_the_background(client: openai.OpenAI) -> None:
    polled = client.responses.create(model=MODEL, input="Hi", background=True)
    while polled.status in ("queued", "in_progress"):
        polled = client.responses.retrieve(polled.id)
    assert polled.output_text == f"{TEXT} Hi"
    with client.responses.create(model=MODEL, input="Hi", background=True, stream=True) as events:
        live = list(events)
    response_id = _id_in(live[0])
    with client.responses.retrieve(response_id, stream=True, starting_after=3) as events:
        assert [event.to_dict() for event in events] == [event.to_dict() for event in live[4:]]
    with client.responses.stream(response_id=response_id) as helper:
        assert helper.get_final_response().output_text == f"{TEXT} Hi"
    assert [item.type for item in client.responses.input_items.list(response_id)] == ["message"]
    client.responses.delete(response_id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response_id)


def test_openai_cancels(client: openai.OpenAI) -> None:
    with client.responses.create(model=MODEL, input="wait", background=True, stream=True) as events:
        created = next(iter(events))
        assert client.responses.cancel(_id_in(created)).status == "cancelled"
        last = list(events)[-1]
    assert last.type == "response.failed"
    assert last.response.status == "cancelled"


def test_openai_leaves_early_and_is_told_errors(client: openai.OpenAI) -> None:
    with client.responses.create(model=MODEL, input="wait", stream=True) as events:
        assert next(iter(events)).type == "response.created"
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model=MODEL, input="Hi", temperature=9)
    assert (refused.value.param, bool(refused.value.request_id)) == ("temperature", True)
    assert [model.id for model in client.models.list()] == ["exemplar", "another", "third"]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_async_openai(url: str) -> None:
    async with openai.AsyncOpenAI(base_url=url, api_key="-", max_retries=0, timeout=30) as client:
        created = await client.responses.create(model=MODEL, input="Hi")
        assert created.output_text == f"{TEXT} Hi"
        events = await client.responses.create(model=MODEL, input="Hi", stream=True, background=True)
        live = [event.to_dict() async for event in events]
        async with client.responses.stream(model=MODEL, input="Hi") as helper:
            assert (await helper.get_final_response()).output_text == created.output_text
        response: Any = live[0]["response"]
        again = await client.responses.retrieve(response["id"], stream=True, starting_after=5)
        assert [event.to_dict() async for event in again] == live[6:]
        waiting = await client.responses.create(model=MODEL, input="wait", background=True)
        assert (await client.responses.cancel(waiting.id)).status == "cancelled"
        assert [item.type async for item in client.responses.input_items.list(response["id"])] == ["message"]
        await client.responses.delete(response["id"])


def test_openai_over_a_websocket(client: openai.OpenAI, name: str) -> None:
    """W1 to W4: turns on one connection, the second continues the first, which nobody else has."""
    if name not in WITH_WEBSOCKET:
        # `connect` leaves the reading of the refusal to the package below it.
        with pytest.raises(Exception, match="426"), client.responses.connect():
            pass
        return
    with client.responses.connect() as connection:
        previous: str | openai.Omit = openai.omit
        for text in ("one", "two"):
            connection.response.create(model=MODEL, input=text, store=False, previous_response_id=previous)
            types: list[str] = []
            while not types or types[-1] != "response.completed":
                event = connection.recv()
                assert event.type != "error", event
                types.append(event.type)
                if event.type == "response.completed":
                    previous = event.response.id
                    assert event.response.output_text == f"{TEXT} {text}"
            assert types[0] == "response.created"


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_openai_agents(url: str) -> None:
    # Here, because it takes long to import, also for those who only collect what is fast.
    import agents

    @agents.function_tool
    def look(at: str) -> str:
        """Look at something."""
        return f"saw {at}"

    agents.set_tracing_disabled(True)
    async with openai.AsyncOpenAI(base_url=url, api_key="-", max_retries=0, timeout=30) as client:
        model = agents.OpenAIResponsesModel(MODEL, openai_client=client)
        agent = agents.Agent(name="exemplary", model=model, tools=[look])
        assert (await agents.Runner.run(agent, "Hi")).final_output == f"{TEXT} Hi"
        called = await agents.Runner.run(agent, "call")
        assert called.final_output == f"{TEXT} call"
        [output] = [item for item in called.new_items if item.type == "tool_call_output_item"]
        assert output.output == "saw ü"
        for text in ("Hi", "call"):
            streamed = agents.Runner.run_streamed(agent, text)
            kinds = {event.type async for event in streamed.stream_events()}
            assert "raw_response_event" in kinds
            assert streamed.final_output == f"{TEXT} {text}"


@pytest.fixture(scope="session")
def node_home() -> Path:
    """Return a folder of the user's cache in which the package of npm is installed."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "responses-stream" / "node"
    missing = [program for program in ("node", "npm") if shutil.which(program) is None]
    if missing:
        _cannot(f"not installed: {', '.join(missing)}")
    installed = home / "node_modules" / "openai" / "package.json"
    if not installed.exists() or json.loads(installed.read_text())["version"] != NPM_PACKAGE.partition("@")[2]:
        home.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", NPM_PACKAGE], cwd=home, capture_output=True, text=True
        )
        if done.returncode:
            _cannot(f"npm cannot install {NPM_PACKAGE}: {done.stderr.strip().splitlines()[-1:]}")
    return home


def _cannot(reason: str) -> None:
    if os.environ.get("REQUIRE_SERVICES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def test_the_openai_of_npm(url: str, node_home: Path) -> None:
    # A module finds packages beside itself.
    program = shutil.copy(NODE, node_home / f"client-{os.getpid()}.mjs")
    try:
        done = subprocess.run(["node", program, url], cwd=node_home, capture_output=True, text=True, timeout=50)
    finally:
        Path(program).unlink()
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen.pop("types")[-1] == "response.completed"
    live = seen.pop("live")
    assert live == list(range(len(live)))
    assert seen == {
        "created": f"{TEXT} Hi",
        "helped": f"{TEXT} Hi",
        "calls": [{"at": "ü"}],
        "replayed": live[3:],
        "retrieved": f"{TEXT} Hi",
        "inputs": ["message"],
        "deleted": 404,
        "cancelled": "cancelled",
        "refused": [400, "temperature"],
        "after": ["exemplar", "another", "third"],
    }
