"""`check_handler`: runs a handler on every kind of input in every mode, and reports what is wrong with what it says."""

from __future__ import annotations

import functools
import itertools
import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import attrs

from responses_stream.checking.asking import Mode
from responses_stream.checking.asking import modes as modes_called
from responses_stream.checking.case import Checker, Strictness
from responses_stream.checking.loops import LoopThread
from responses_stream.checking.probes import Probe, probes
from responses_stream.checking.report import CheckedCase, CheckReport
from responses_stream.checking.watching import watching
from responses_stream.errors import InvalidType, InvalidValue
from responses_stream.hosting.handlers import HandlerFunction
from responses_stream.hosting.options import ResponsesServerOptions
from responses_stream.hosting.server import ResponsesServer
from responses_stream.validation.profiles import Profile

OnCase: TypeAlias = Callable[[CheckedCase], object]
"""Is told each case as soon as it is judged."""

TIMEOUT: Final = 30.0
"""How many seconds a handler has for one answer."""

_MODEL: Final = "check"
_GRACE: Final = 1.0
_SLACK = 2.0
"""How many seconds late a case may be before it counts as one that keeps the loop from running."""


def check_handler(
    handler: HandlerFunction | ResponsesServer,
    *,
    requests: Collection[Mapping[str, Any]] = (),
    inputs: Collection[str] | None = None,
    modes: Collection[str] | None = None,
    profile: Profile = "strict",
    ignore: Collection[str] = (),
    timeout: float = TIMEOUT,
    deterministic: bool = False,
    model: str | None = None,
    fail_fast: bool = False,
    backend: str = "asyncio",
    on_case: OnCase | None = None,
) -> CheckReport:
    """Run *handler*, or that of a server, on many inputs in every mode, and judge what it says.

    It runs in an event loop of its own, in a thread of its own: it may be called where a loop is running, and a handler
    that hangs does not hang its caller.

    Args:
        requests: bodies of requests to ask as well, each in every mode; what they say of the mode is overruled.
        inputs: the kinds of input that the handler declares, by default all: ``text``, ``messages``, ``parts``,
            ``items``, ``conversation``, ``absent``, ``settings``. ``()`` asks the *requests* only.
        modes: the modes to ask in, by default all: ``json``, ``stream``, ``json-unstored``, ``stream-unstored``,
            ``background``, ``background-stream``, ``cancelled``, ``leaving``, ``leaving-at-once``.
        profile: how the streams are read.
        ignore: rules that are not asked for, by their ids or the beginnings of them.
        timeout: how many seconds the handler has for one answer, and how many to end after it. One that is told to stop
            has the `cancel_grace_seconds` of the server for that, and a second more.
        deterministic: the same question has to get the same answer in JSON and as a stream; else it is only a warning.
        model: the model of the requests, by default that of the server's options.
        fail_fast: stop at the first case that shows an error.
        backend: the event loop: ``asyncio`` or ``trio``.
        on_case: is told each case as soon as it is judged.

    Raises:
        HandlerForm: *handler* is no handler.
        InvalidType, InvalidValue: an argument is not what it should be; a server has no handler.
    """
    plan = _Plan.of(handler, requests, inputs, modes, profile, ignore, timeout, deterministic, model)
    cases: list[CheckedCase] = []
    with _quiet(), watching(plan.server) as watched:
        checker = Checker(plan.server, watched, plan.strictness)
        loop: LoopThread | None = None
        for probe, mode in plan.cases():
            loop = loop or LoopThread(plan.server.lifespan, backend)
            # A moment more than the case may take: then the loop itself stands still.
            longest = checker.longest(mode) + _SLACK
            try:
                case = checker.judge(loop.run(functools.partial(checker.ask, probe, mode), longest))
            except TimeoutError:
                case = checker.blocked(probe, mode, loop.thread)
                loop.leave(hanging=True)
                loop = None
            cases.append(case)
            if on_case is not None:
                on_case(case)
            if fail_fast and case.verdict == "fail":
                break
        if loop is not None:
            loop.leave(hanging=checker.hanging)
        return plan.report(watched.name, cases)


async def check_handler_async(
    handler: HandlerFunction | ResponsesServer,
    *,
    requests: Collection[Mapping[str, Any]] = (),
    inputs: Collection[str] | None = None,
    modes: Collection[str] | None = None,
    profile: Profile = "strict",
    ignore: Collection[str] = (),
    timeout: float = TIMEOUT,
    deterministic: bool = False,
    model: str | None = None,
    fail_fast: bool = False,
    on_case: OnCase | None = None,
) -> CheckReport:
    """As `check_handler`, in the event loop that is running: for a handler whose resources belong to that loop.

    A handler that keeps the loop from running keeps the check from ending.
    """
    plan = _Plan.of(handler, requests, inputs, modes, profile, ignore, timeout, deterministic, model)
    cases: list[CheckedCase] = []
    with _quiet(), watching(plan.server) as watched:
        checker = Checker(plan.server, watched, plan.strictness)
        for probe, mode in plan.cases():
            case = checker.judge(await checker.ask(probe, mode))
            cases.append(case)
            if on_case is not None:
                on_case(case)
            if fail_fast and case.verdict == "fail":
                break
        return plan.report(watched.name, cases)


@attrs.frozen
class _Plan:
    """What is going to be asked, of whom, and how it is judged."""

    server: ResponsesServer
    probes: tuple[Probe, ...]
    modes: tuple[Mode, ...]
    strictness: Strictness

    @classmethod
    def of(
        cls,
        handler: HandlerFunction | ResponsesServer,
        requests: Collection[Mapping[str, Any]],
        inputs: Collection[str] | None,
        modes: Collection[str] | None,
        profile: Profile,
        ignore: Collection[str],
        timeout: float,
        deterministic: bool,
        model: str | None,
    ) -> _Plan:
        if not timeout > 0:
            raise InvalidValue("timeout", f"has to be more than 0 seconds, got {timeout!r}")
        for request in requests:
            if not isinstance(request, Mapping):
                raise InvalidType("requests", "bodies of requests, as dicts", request)
        server = _server_of(handler, profile, timeout)
        strictness = Strictness(
            profile=profile,
            ignore=ignore,
            timeout=timeout,
            deterministic=deterministic,
            model=model or server.options.default_model or _MODEL,
        )
        return cls(server, probes(inputs, requests), modes_called(modes), strictness)

    def cases(self) -> Iterator[tuple[Probe, Mode]]:
        return itertools.product(self.probes, self.modes)

    def report(self, handler: str, cases: list[CheckedCase]) -> CheckReport:
        return CheckReport(handler=handler, profile=self.strictness.profile, cases=tuple(cases))


def _server_of(handler: HandlerFunction | ResponsesServer, profile: Profile, timeout: float) -> ResponsesServer:
    if not isinstance(handler, ResponsesServer):
        # How a stream is closed is a choice of the server's and no business of a handler (R006).
        marker = profile not in ("openai", "azure")
        options = ResponsesServerOptions(sse_done_marker=marker, cancel_grace_seconds=min(_GRACE, timeout))
        server = ResponsesServer(options=options)
        server.response_handler(handler)
        return server
    if not handler.has_handler:
        raise InvalidValue("handler", "is a server without a handler; decorate one with @server.response_handler")
    return handler


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the engine from logging what the report tells."""
    log = logging.getLogger("responses_stream")

    def refuse(_record: logging.LogRecord) -> bool:
        return False

    log.addFilter(refuse)
    try:
        yield
    finally:
        log.removeFilter(refuse)
