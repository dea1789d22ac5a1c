"""Handlers that do not come to an end: the check does, and says where they hang."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio
import pytest

from responses_stream import CreateResponse, ResponseContext, TextResponse
from responses_stream.checking import clients, runs, watching
from responses_stream.checking.asking import MODES
from responses_stream.checking.report import CheckReport, Finding
from responses_stream.checking.runs import check_handler

TIMEOUT = 0.3
WHOLE_MODES = [mode.name for mode in MODES if not mode.stops]


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """An event that is set when the test is over, so that no thread outlives it."""
    event = threading.Event()
    yield event
    event.set()


def checked(handler: Callable[..., Any], **settings: Any) -> CheckReport:
    return check_handler(handler, inputs=["absent"], modes=["json", "stream"], timeout=TIMEOUT, **settings)


def only_finding(report: CheckReport) -> Finding:
    [(finding, cases)] = report.faults()
    assert cases == list(report.cases)
    return finding


def shown(finding: Finding) -> tuple[str, str]:
    """The last line of the place where a handler hangs, and what it said before."""
    return finding.traceback.splitlines()[-1].strip(), " ".join(finding.excerpt[0].split()[:2])


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_async_handler_that_waits_for_ever_is_stopped(backend: str) -> None:
    stopped: list[str] = []

    async def waits(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        try:
            yield context.stream().emit_created()
            await anyio.Event().wait()
        finally:
            stopped.append(context.response_id)

    report = checked(waits, backend=backend)
    finding = only_finding(report)
    assert (finding.code, finding.message) == ("unanswered", "no answer within 0.3 s")
    assert shown(finding) == ("await anyio.Event().wait()", "0 response.created")
    assert {case.outcome for case in report.cases} == {"no answer"}
    assert len(set(stopped)) == 4


def test_one_that_waits_in_the_background_is_not_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's leaving ends a background run, so the check cancels it."""
    monkeypatch.setattr(clients, "TO_BE_CANCELLED", 0.3)
    stopped: list[str] = []

    async def waits(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        try:
            yield context.stream().emit_created()
            await anyio.Event().wait()
        finally:
            stopped.append(context.response_id)

    modes = ["background", "background-stream", "cancelled", "leaving"]
    report = check_handler(waits, inputs=["absent"], modes=modes, timeout=0.1)
    finding = only_finding(report)
    assert (finding.code, shown(finding)) == ("unanswered", ("await anyio.Event().wait()", "0 response.created"))
    assert len(set(stopped)) == 8


def test_a_sync_handler_that_waits_for_ever_is_left_behind(never: threading.Event) -> None:
    def waits(_request: CreateResponse, context: ResponseContext) -> Iterator[Any]:
        yield context.stream().emit_created()
        never.wait()

    finding = only_finding(check_handler(waits, inputs=["absent"], modes=["json"], timeout=TIMEOUT))
    assert finding.code == "unanswered"
    assert shown(finding) == ("never.wait()", "0 response.created")
    assert finding.traceback.count("never.wait()") == 1


def test_an_async_handler_that_blocks_the_loop_is_told_apart(
    never: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "_SLACK", 0.1)

    async def blocks(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        yield context.stream().emit_created()
        never.wait()

    finding = only_finding(check_handler(blocks, inputs=["absent"], modes=["json"], timeout=TIMEOUT))
    assert finding.code == "blocking"
    assert "runs in a thread of its own" in finding.hint
    assert shown(finding) == ("never.wait()", "0 response.created")


def test_a_handler_that_hangs_once_is_checked_to_the_end(never: threading.Event) -> None:
    calls: list[str] = []

    def hangs_first(request: CreateResponse, context: ResponseContext) -> Iterator[Any]:
        calls.append(context.response_id)
        if len(calls) == 1:
            never.wait()
        yield from TextResponse(context, request, text="ok")

    report = check_handler(hangs_first, inputs=["absent"], timeout=1)
    assert [case.verdict for case in report.cases] == ["fail"] + ["ok"] * 17


def test_a_handler_that_answers_and_does_not_end_is_a_warning() -> None:
    async def lingers(request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        async for event in TextResponse(context, request, text="ok"):
            yield event
        await anyio.sleep_forever()

    report = checked(lingers)
    assert report.ok
    assert only_finding(report).code == "lingering"
    assert {case.outcome for case in report.cases} == {"completed", "completed, 9 events"}


def endless(context: ResponseContext) -> Iterator[Any]:
    stream = context.stream()
    yield stream.emit_created()
    yield stream.emit_in_progress()
    message = stream.add_output_item_message()
    yield message.emit_added()
    text = message.add_text_content()
    yield text.emit_added()
    while True:
        yield text.emit_delta("more ")


def test_a_handler_that_talks_for_ever_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "MOST_EVENTS", 500)

    def talks(_request: CreateResponse, context: ResponseContext) -> Iterator[Any]:
        return endless(context)

    async def talks_in_the_loop(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        for event in endless(context):
            yield event

    for handler in (talks, talks_in_the_loop):
        finding = only_finding(check_handler(handler, inputs=["absent"], modes=WHOLE_MODES))
        assert (finding.code, finding.message) == ("endless", "it said 500 events, and did not end")
        assert finding.excerpt[0].split()[:2] == ["498", "response.output_text.delta"]


def test_one_that_talks_for_ever_and_never_waits_does_not_keep_the_loop_from_running() -> None:
    stopped = threading.Event()

    async def talks(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        try:
            for event in endless(context):
                yield event
        finally:
            stopped.set()

    report = check_handler(talks, inputs=["absent"], modes=["json"], timeout=0.01, fail_fast=True)
    assert only_finding(report).code == "unanswered"
    assert stopped.wait(30)


def test_a_process_ends_though_a_handler_does_not() -> None:
    program = """
        import threading
        from responses_stream.checking.runs import check_handler

        def waits(request, context):
            yield context.stream().emit_created()
            threading.Event().wait()

        async def blocks(request, context):
            threading.Event().wait()

        for handler in (waits, blocks):
            print(check_handler(handler, inputs=["absent"], modes=["json"], timeout=0.05, fail_fast=True).ok)
        """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=50)
    assert (done.stdout.split(), done.stderr, done.returncode) == (["False", "False"], "", 0)
