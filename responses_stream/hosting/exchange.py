"""One request and its answer, as the log and the telemetry are told of them.

Each is told once of the begin and once of the end of the request and, where there is one, of the run that it began.
The request ends when its answer was read, or nobody is there to read it; the run ends with its handler. Whatever goes
wrong in telling is logged, and changes nothing of the answer.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import attrs

from responses_stream.hosting import logs
from responses_stream.hosting.http import HttpReply, HttpRequest
from responses_stream.hosting.logs import LOGGER, about, safe
from responses_stream.hosting.outcomes import Outcome, end_of
from responses_stream.hosting.request_ids import request_id_of
from responses_stream.hosting.run import Run
from responses_stream.hosting.store_telemetry import tell
from responses_stream.hosting.telemetry import (
    NoTelemetry,
    RequestEnd,
    RequestTelemetry,
    RunBegin,
    RunTelemetry,
    Telemetry,
)
from responses_stream.protocol.request import given

CREATE: Final = "create_response"
"""The operation that telemetry is told of (H16.1)."""

DELETE: Final = "delete_response"
"""The operation that is logged before it is done, too (H16.10)."""

_DONE: Final = {
    "get_response": "retrieved",
    DELETE: "deleted",
    "cancel_response": "cancelled",
    "list_input_items": "listed the input items of",
}


@attrs.frozen
class Watched:
    """A run whose end is to be told of."""

    _began: float
    _facts: Mapping[str, object]
    _telemetry: RunTelemetry | None

    def ends(self, run: Run) -> None:
        """Tell of the end of the run; the last thing that its task does."""
        if self._telemetry is None and not LOGGER.isEnabledFor(logging.INFO):
            return
        end = end_of(run, self._began, time.monotonic())
        if self._telemetry is not None:
            tell(self._telemetry.ends, end)
        if not LOGGER.isEnabledFor(logging.INFO):
            return
        outcome, milliseconds = end.outcome.value, round(end.seconds * 1000, 3)
        told = attrs.asdict(end, recurse=False) | {"outcome": outcome, "milliseconds": milliseconds}
        LOGGER.info(
            "%s of %s: %d events, %d bytes in %.1f ms, ended by %s%s",
            outcome,
            run.context.response_id,
            end.events,
            end.bytes,
            milliseconds,
            end.ended_by,
            "" if end.outcome is Outcome.COMPLETED else f", last event {end.last_event}",
            extra={**told, **self._facts},
        )


@attrs.define(eq=False)
class Exchange:
    """A request that is being answered.

    Attributes:
        request_id: what the request goes by.
        method: its method, as it is shown.
        path: its path, likewise.
        operation: what it wants; empty while that is not known, and where nothing answers it.
        error: the code of the error that it is answered with, if it is.
    """

    request_id: str
    method: str
    path: str
    operation: str = attrs.field(init=False, default="")
    error: str | None = attrs.field(init=False, default=None)
    _facts: Mapping[str, object] = attrs.field(init=False)
    _began: float = attrs.field(init=False, factory=time.monotonic)
    _telemetry: RequestTelemetry | None = attrs.field(init=False, default=None)
    _has_run: bool = attrs.field(init=False, default=False)
    _ended: bool = attrs.field(init=False, default=False)

    def __attrs_post_init__(self) -> None:
        self._facts = about(self.request_id)

    @classmethod
    def of(cls, request: HttpRequest, telemetry: Telemetry) -> Exchange:
        """Return the exchange that *request* begins: the trace that is current gives it its id, if there is one."""
        request_id = tell(telemetry.trace_id) or request_id_of(request)
        # Not the request itself: an exchange lasts as long as its stream, and a body may be large.
        return cls(request_id, safe(request.method), safe(request.path))

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Let the records of the task be about the request, until its answer is ready."""
        token = logs.enter(self._facts)
        self._line(logging.INFO, "started %s %s", self.method, self.path)
        try:
            yield
        except BaseException:  # the call was cancelled, or the client has not sent all that it announced
            self._end(None, Outcome.CLIENT_GONE)
            raise
        finally:
            logs.leave(token)

    def finds(self, operation: str, response_id: str, request: HttpRequest, telemetry: Telemetry) -> None:
        """Take note of what *request* wants."""
        self.operation, self._facts = operation, about(self.request_id, response_id)
        logs.enter(self._facts)  # `answering` takes it back, too
        if operation == CREATE:
            told = None if type(telemetry) is NoTelemetry else tell(telemetry.request_begins, request)
            self._telemetry = told
        elif operation == DELETE:
            self._line(logging.INFO, "deletes %s", self._facts["response_id"])

    def answered(self, reply: HttpReply) -> Callable[[bool], None] | None:
        """Take note of the answer.

        Returns:
            What is to be called when the answer was read, with whether it was to its end; None where it is whole.
        """
        whole = isinstance(reply.body, bytes)
        done = _DONE.get(self.operation)
        if done is not None and reply.status < 400:
            verb = done if whole else "replays"
            self._line(logging.INFO, f"{verb} %s", self._facts["response_id"])
        if whole:
            self._answered(reply.status, True)
            return None
        # Without the reply, whose body will hold this.
        return functools.partial(self._answered, reply.status)

    def attaches(self, response_id: str) -> None:
        """Take note that the request gets a response that was made for another (decision 22)."""
        self._facts = about(self.request_id, response_id)
        self._line(logging.INFO, "attaches to %s", self._facts["response_id"])

    def runs(self, run: Run) -> None:
        """Take note that *run* was made for this request, and is about to begin (H16.10)."""
        self._has_run = True
        context = run.context
        conversation = context.conversation_id or ""
        self._facts = about(self.request_id, context.response_id, conversation, context.mode_flags.stream)
        if not LOGGER.isEnabledFor(logging.INFO):
            return
        request, flags, isolation = context.request, context.mode_flags, context.isolation
        facts = {
            "streaming": flags.stream,
            "background": flags.background,
            "store": flags.store,
            "model": given(request.model),
            "conversation_id": conversation,
            "previous_response_id": given(request.previous_response_id),
            "has_user_key": isolation.user_key is not None,
            "has_chat_key": isolation.chat_key is not None,
        }
        shown = {name: safe(value) if isinstance(value, str) else value for name, value in facts.items()}
        self._line(
            logging.INFO,
            "creates %s: %s",
            context.response_id,
            " ".join(f"{name}={value!r}" for name, value in shown.items()),
            **shown,
        )

    def run_begins(self, run: Run) -> Watched:
        """Tell of the begin of a run; the first thing that its task does.

        What the task logs and traces from then on is about the run. Both live in the task's own context, which nobody
        else has, and no current span is ever held where another task could find it (pains.md I1).
        """
        facts = self._facts
        logs.enter(facts)
        if self._telemetry is None and not LOGGER.isEnabledFor(logging.INFO):
            return Watched(self._began, facts, None)
        begin = self._begin(run)
        telemetry = None if self._telemetry is None else tell(self._telemetry.run_begins, begin)
        if telemetry is not None:
            tell(telemetry.enter)
        handler = run.handler.name
        LOGGER.info("runs %s with %s", begin.response_id, handler, extra={"handler": handler, **facts})
        return Watched(self._began, facts, telemetry)

    def _begin(self, run: Run) -> RunBegin:
        context = run.context
        agent = given(context.request.agent_reference)
        return RunBegin(
            response_id=context.response_id,
            request_id=self.request_id,
            model=_short(given(context.request.model)),
            agent_name=_short(given(agent.name) if agent else None),
            agent_version=_short(given(agent.version) if agent else None),
            conversation_id=_short(context.conversation_id),
            streaming=context.mode_flags.stream,
            background=context.mode_flags.background,
            store=context.mode_flags.store,
        )

    def _answered(self, status: int, whole: bool) -> None:
        if not whole:
            self._end(status, Outcome.CLIENT_GONE)
        elif status < 400:
            self._end(status, Outcome.COMPLETED)
        else:
            self._end(status, Outcome.FAILED if self._has_run or status == 500 else Outcome.REFUSED)

    def _end(self, status: int | None, outcome: Outcome) -> None:
        if self._ended:
            return
        self._ended = True
        seconds = time.monotonic() - self._began
        telemetry = self._telemetry
        if telemetry is not None:
            tell(telemetry.ends, RequestEnd(outcome=outcome, status=status, error=self.error, seconds=seconds))
        level = logging.WARNING if status is not None and status >= 400 else logging.INFO
        if not LOGGER.isEnabledFor(level):
            return
        milliseconds = round(seconds * 1000, 3)
        self._line(
            level,
            "finished %s %s: %s in %.1f ms%s",
            self.method,
            self.path,
            "no answer" if status is None else status,
            milliseconds,
            ", the client has gone" if outcome is Outcome.CLIENT_GONE else "",
            status=status,
            milliseconds=milliseconds,
            outcome=outcome.value,
            code=self.error,
        )

    def _line(self, level: int, message: str, *values: object, **more: object) -> None:
        if LOGGER.isEnabledFor(level):
            facts: Mapping[str, object] = {
                **self._facts,
                "operation": self.operation,
                "method": self.method,
                "path": self.path,
                **more,
            }
            LOGGER.log(level, message, *values, extra=facts)


def _short(text: str | None) -> str | None:
    return safe(text) if text else None
