"""The samples of docs/examples, each loaded anew and served on a port of its own; a client judges every stream."""

from __future__ import annotations

import functools
import importlib.util
import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeAlias

import anyio.from_thread
import attrs
import openai
import pytest
import uvicorn
from openai.types.responses import Response

from responses_stream import ResponsesServer
from responses_stream.pytest_plugin import ResponseStreamRecorder
from responses_stream.sse import FrameDecoder
from responses_transports.h11_server import serve_async

EXAMPLES: Final = Path(__file__).resolve().parents[2] / "docs" / "examples"
NAMES: Final = sorted({path.stem for path in EXAMPLES.glob("*.py")} - {"aiohttp_transport", "agent_route"})
"""Every sample that `responses-stream serve` takes."""

PATIENCE: Final = 30.0

_DIFFERENT: Final = {"id", "call_id", "created_at", "completed_at", "agent_session_id", "response_id"}
"""What two answers to the same question may differ in."""


@attrs.frozen
class Sample:
    """A sample that is served.

    Attributes:
        module: what the file defines.
        url: where it answers, up to ``/v1``.
        client: the `openai` client of it.
    """

    module: ModuleType
    url: str
    client: openai.OpenAI
    _recorder: ResponseStreamRecorder

    def create(self, **body: Any) -> Response:
        """Ask for JSON."""
        answer = self.client.responses.create(**body)
        assert isinstance(answer, Response)
        return answer

    def stream(self, **body: Any) -> Response:
        """Ask for a stream, read it with the client's own helper, judge it, and return the final response."""
        with self.client.responses.stream(**body) as events:
            answer = events.get_final_response()
        self.judge()
        return answer

    def events(self, **body: Any) -> list[Any]:
        """Ask for a stream, judge it, and return its events."""
        with self.client.responses.create(**body, stream=True) as events:
            told = list(events)
        self.judge()
        return told

    def both(self, **body: Any) -> Response:
        """Ask for JSON and for a stream; both have to be the same answer but for ids and times."""
        whole = json.loads(self.client.responses.with_raw_response.create(**body).text)
        answer = self.stream(**body)
        *_, terminal, _ = FrameDecoder().feed(self._recorder.streams[-1].bytes)
        assert _without_ids(whole) == _without_ids(json.loads(terminal.data)["response"])
        return answer

    def judge(self) -> None:
        """Hold the stream that was read last to the strict profile, without even a warning."""
        report = self._recorder.streams[-1].report("strict")
        assert not report.violations, report


@contextmanager
def loaded(name: str) -> Iterator[ModuleType]:
    """Execute a sample as a module of its own."""
    spec = importlib.util.spec_from_file_location(f"docs.examples.{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        yield module


@contextmanager
def listening(server: ResponsesServer) -> Iterator[str]:
    """Serve *server* with the transport that `serve` takes, and say at which URL."""
    with anyio.from_thread.start_blocking_portal() as portal:
        stop = portal.call(anyio.Event)
        serving, port = portal.start_task(functools.partial(serve_async, server, port=0, stop=stop.wait))
        try:
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            portal.call(stop.set)
            serving.result()


@contextmanager
def under_uvicorn(app: Callable[..., object]) -> Iterator[str]:
    """Serve an application as the command ``uvicorn`` does, and say at which URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def asked(module: ModuleType, url: str, recorder: ResponseStreamRecorder, api_key: str = "-") -> Iterator[Sample]:
    """Open the client of what is served at *url*."""
    # There is no TLS here, and to load the certificates for it takes longer than a sample.
    http = recorder.watch(openai.DefaultHttpxClient(verify=False))
    with openai.OpenAI(base_url=url, api_key=api_key, max_retries=0, timeout=PATIENCE, http_client=http) as client:
        yield Sample(module, url, client, recorder)


Open: TypeAlias = Callable[[str], Sample]
"""Serves the sample of a name."""


@contextmanager
def opening(recorder: ResponseStreamRecorder) -> Iterator[Open]:
    """Give what serves samples until the context is left."""
    with ExitStack() as stack:

        def opened(name: str) -> Sample:
            module = stack.enter_context(loaded(name))
            url = stack.enter_context(listening(module.server))
            return stack.enter_context(asked(module, url, recorder))

        yield opened


def _without_ids(told: Any) -> Any:
    if isinstance(told, dict):
        return {name: _without_ids(value) for name, value in told.items() if name not in _DIFFERENT}
    return [_without_ids(one) for one in told] if isinstance(told, list) else told
