"""What a check asks, and that it finds nothing where there is nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import msgspec
import pytest

from responses_stream import CreateResponse, ResponseContext, ResponsesServer, ResponsesServerOptions, TextResponse
from responses_stream.checking.asking import MODES, body_of
from responses_stream.checking.probes import KINDS, Probe, probes
from responses_stream.checking.report import CheckedCase
from responses_stream.checking.runs import check_handler, check_handler_async
from responses_stream.checking.watching import Watched
from responses_stream.errors import InvalidType, InvalidValue
from responses_stream.hosting.handlers import HandlerForm
from responses_stream.hosting.requests import parse_create
from responses_stream.protocol.codec import decode
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.protocol.request import given
from tests.hosting.test_handlers import FORMS

ALL_MODES = [mode.name for mode in MODES]
WHOLE_MODES = [mode.name for mode in MODES if not mode.stops]


async def echo(request: CreateResponse, context: ResponseContext) -> TextResponse:
    return TextResponse(context, request, text=f"You said: {request.input}")


class Listening:
    """A good handler that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[CreateResponse, ResponseContext]] = []

    async def __call__(self, request: CreateResponse, context: ResponseContext) -> TextResponse:
        self.asked.append((request, context))
        return TextResponse(context, request, text="ok")


def test_a_good_handler_is_good_on_every_kind_of_input_in_every_mode() -> None:
    report = check_handler(echo, deterministic=True)
    tally = f"echo in profile strict: {len(report.cases)} cases, {len(report.cases)} ok, 0 warn, 0 fail"
    assert (report.ok, str(report)) == (True, tally)
    assert [(case.kind, case.name, case.mode) for case in report.cases] == [
        (probe.kind, probe.name, mode.name) for probe in probes() for mode in MODES
    ]
    assert {case.verdict for case in report.cases} == {"ok"}
    whole = {case.outcome for case in report.cases if case.mode in WHOLE_MODES}
    assert whole == {"completed", "completed, 9 events"}
    stopped = {(case.mode, case.outcome) for case in report.cases if case.mode not in WHOLE_MODES}
    # Created, in_progress, the item, its part and a delta, which is the middle; then the end.
    assert stopped == {("cancelled", "cancelled, 6 events"), ("leaving", "cancelled"), ("leaving-at-once", "cancelled")}


# A sync function that has made a coroutine, and is left behind before anybody could await it.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize("form", FORMS, ids=lambda form: getattr(form, "__qualname__", type(form).__name__))
def test_every_form_of_handler_can_be_checked(form: Callable[..., Any]) -> None:
    report = check_handler(form, inputs=["absent"])
    assert str(report).endswith("18 cases, 18 ok, 0 warn, 0 fail")


def test_it_asks_as_the_table_of_modes_says() -> None:
    listening = Listening()
    check_handler(listening, inputs=["conversation"])
    flags = [context.mode_flags for _, context in listening.asked[: len(MODES)]]
    assert [(one.stream, one.store, one.background) for one in flags] == [
        *[(False, True, False), (True, True, False), (False, False, False), (True, False, False)],
        *[(False, True, True), (True, True, True), (True, True, True), (True, True, False), (True, True, False)],
    ]
    assert {request.model for request, _ in listening.asked} == {"check"}


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_kinds_that_a_handler_declares_are_asked(kind: str) -> None:
    report = check_handler(echo, inputs=[kind], modes=["json"])
    assert {case.kind for case in report.cases} == {kind}
    assert len(report.cases) >= 2


def test_the_awkward_inputs_reach_the_handler_as_they_are() -> None:
    listening = Listening()
    check_handler(listening, modes=["json"])
    asked = [given(request.input) for request, _ in listening.asked]
    assert {"", "\n\r\n\r", "before\0after", "one\u2028two\u2029three\u0085four"} <= {
        text for text in asked if isinstance(text, str)
    }
    assert asked.count(None) == 2
    assert [] in asked
    assert max(len(one) for one in asked if isinstance(one, list)) == 1000
    assert max(len(one) for one in asked if isinstance(one, str)) > 100_000
    assert any(getattr(item, "type", "") == "acme:thing" for one in asked if isinstance(one, list) for item in one)
    settings = [request for request, _ in listening.asked if request.input == "Why is the sky blue?"]
    choices = [request.tool_choice for request in settings]
    assert {choice for choice in choices if isinstance(choice, str)} == {"required", "none"}
    assert any(request.temperature == 0 for request in settings)
    assert any(given(request.metadata) for request in settings)
    assert any(given(request.instructions) for request in settings)


@pytest.mark.parametrize("probe", probes(), ids=lambda probe: f"{probe.kind}-{probe.name}")
def test_every_probe_is_a_request_that_the_engine_takes(probe: Probe) -> None:
    for mode in MODES:
        parse_create(body_of(mode.request(probe.members, "m")), ResponsesServerOptions())


def test_no_two_probes_have_one_name() -> None:
    names = [(probe.kind, probe.name) for probe in probes()]
    assert len(names) == len(set(names))


def test_requests_that_are_brought_along_are_asked_in_every_mode() -> None:
    listening = Listening()
    request = {"model": "mine", "input": "x", "stream": True, "background": True, "stream_options": {}, "user": "u"}
    report = check_handler(listening, requests=[request, {"input": "y"}], inputs=())
    assert [(case.kind, case.name, case.mode) for case in report.cases] == [
        ("request", name, mode) for name in ("request 1", "request 2") for mode in ALL_MODES
    ]
    assert report.ok
    assert [given(asked.model) for asked, _ in listening.asked] == ["mine"] * 9 + ["check"] * 9
    assert [asked.user for asked, _ in listening.asked[:9]] == ["u"] * 9
    streamed = [mode.streams for mode in MODES]
    assert [given(asked.stream_options) is not None for asked, _ in listening.asked[:9]] == streamed
    assert request["background"] is True


def test_a_server_is_checked_with_its_own_options_and_left_as_it_was() -> None:
    options = ResponsesServerOptions(default_model="tutor", prefix="/api", sse_done_marker=False)
    server = ResponsesServer(options=options)
    listening = Listening()
    server.response_handler(listening)
    assert check_handler(server, inputs=["absent"]).ok
    assert {asked.model for asked, _ in listening.asked} == {"tutor"}
    heard = len(listening.asked)
    assert check_handler(server, inputs=["absent"], model="other").ok
    assert listening.asked[heard][0].model == "other"
    assert not isinstance(server.handler, Watched)


def test_it_may_be_called_where_a_loop_is_running() -> None:
    async def in_a_loop() -> None:
        assert check_handler(echo, inputs=["absent"]).ok

    anyio.run(in_a_loop)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_loop_can_be_chosen(backend: str) -> None:
    async def waits(request: CreateResponse, context: ResponseContext) -> TextResponse:
        await anyio.lowlevel.checkpoint()
        return TextResponse(context, request, text="ok")

    assert check_handler(waits, inputs=["absent"], backend=backend).ok


@pytest.mark.anyio
async def test_a_handler_of_this_loop_is_checked_in_it() -> None:
    lock = anyio.Lock()
    told: list[CheckedCase] = []

    async def guarded(request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
        async with lock:
            async for event in TextResponse(context, request, text="ok"):
                yield event

    # Where it is stopped, trio complains of the generator that it leaves open.
    report = await check_handler_async(guarded, inputs=["absent"], modes=WHOLE_MODES, on_case=told.append)
    assert report.ok
    assert tuple(told) == report.cases


def test_every_case_is_told_as_soon_as_it_is_judged() -> None:
    seen: list[tuple[int, str]] = []
    listening = Listening()

    def note(case: CheckedCase) -> None:
        seen.append((len(listening.asked), case.name))

    check_handler(listening, inputs=["absent"], modes=["json"], on_case=note)
    assert seen == [(1, "no input"), (2, "input null")]


def test_a_handler_that_says_itself_that_it_failed_does_nothing_wrong() -> None:
    def refuses(_request: CreateResponse, context: ResponseContext) -> list[ResponseStreamEvent]:
        stream = context.stream()
        return [stream.emit_created(), stream.emit_in_progress(), stream.emit_failed("invalid_prompt", "No.")]

    report = check_handler(refuses, inputs=["absent"], modes=WHOLE_MODES, deterministic=True)
    assert {(case.verdict, case.outcome) for case in report.cases} == {("ok", "failed"), ("ok", "failed, 3 events")}


def test_numbers_and_what_else_the_engine_stamps_are_not_the_handlers_fault() -> None:
    async def careless(request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
        async for event in TextResponse(context, request, text="ok"):
            yield msgspec.structs.replace(event, sequence_number=7)
        yield decode(b'{"type":"acme:late","sequence_number":0}')

    report = check_handler(careless, inputs=["absent"])
    assert {finding.code for case in report.cases for finding in case.findings} == {"R039"}
    assert report.ok


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"inputs": ["images"]}, "inputs: 'images' is no kind of input; they are text, messages"),
        ({"modes": ["fax"]}, "modes: 'fax' is no mode; they are json, stream"),
        ({"timeout": 0}, "timeout: has to be more than 0 seconds"),
        ({"profile": "lax"}, "profile: is 'lax'"),
        ({"ignore": ["X"]}, "ignore: 'X' is no rule"),
    ],
)
def test_a_wrong_argument_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        check_handler(echo, **arguments)


def test_what_is_no_handler_is_refused() -> None:
    with pytest.raises(HandlerForm):
        check_handler(lambda request: request)  # type: ignore[arg-type]
    with pytest.raises(InvalidValue, match="a server without a handler"):
        check_handler(ResponsesServer())
    with pytest.raises(InvalidType, match="requests: expected bodies of requests"):
        check_handler(echo, requests=["x"])  # type: ignore[list-item]


def test_a_handler_that_refuses_by_an_error_alone_is_good() -> None:
    """H3.10: nothing is created, and nothing follows."""

    async def choosy(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
        stream = context.stream()
        yield stream.emit_error("model_not_found", "There is no such model.")

    report = check_handler(choosy, inputs=["text"])
    assert report.ok, str(report)
