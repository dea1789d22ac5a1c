"""What a server tells of its work besides its log: to traces and to metrics, through one small protocol.

The engine tells plain facts, at the begin and at the end of a request and of a run, and never at an event. With the
package `opentelemetry-api` installed (the extra ``otel``) they become spans and metrics, see `open_telemetry`; without
it nothing is done with them. This module imports nothing of it.
"""

from __future__ import annotations

import functools
import importlib.util
from typing import Protocol

import attrs

from responses_stream.hosting.http import HttpRequest
from responses_stream.hosting.outcomes import Outcome, RunEnd


@attrs.frozen(kw_only=True)
class RunBegin:
    """A run that begins. What a client has said in here can be printed, and is short.

    Attributes:
        response_id: the id of its response.
        request_id: what its request goes by.
        model: the model that was asked for; None where none was.
        agent_name: the agent that was asked for, likewise.
        agent_version: its version, likewise.
        conversation_id: the conversation that it belongs to, likewise.
        streaming: whether the client wants a stream.
        background: whether it outlives its request.
        store: whether the response is kept.
    """

    response_id: str
    request_id: str
    model: str | None
    agent_name: str | None
    agent_version: str | None
    conversation_id: str | None
    streaming: bool
    background: bool
    store: bool


@attrs.frozen(kw_only=True)
class RequestEnd:
    """The end of a request.

    Attributes:
        outcome: completed where it was answered and read to its end, client_gone where it was not; refused where it got
            an error and nothing was run, and failed where a run has ended so.
        status: the HTTP status of the answer; None where there was no time for one.
        error: the code of the error that it was answered with, if it was.
        seconds: from its headers to the last byte of its answer.
    """

    outcome: Outcome
    status: int | None
    error: str | None
    seconds: float


class RunTelemetry(Protocol):
    """What is told of one run."""

    def enter(self) -> None:
        """Called first in the task of the run: what its handler traces belongs to the run.

        The task is nobody else's, and ends with the run, so there is nothing to leave (pains.md I1).
        """
        ...

    def ends(self, end: RunEnd) -> None:
        """Called once, last in the task of the run."""
        ...


class RequestTelemetry(Protocol):
    """What is told of one request to create a response (H16.1)."""

    def run_begins(self, begin: RunBegin) -> RunTelemetry:
        """Called when a run begins for it: at most once, and not where it gets the response of another request."""
        ...

    def ends(self, end: RequestEnd) -> None:
        """Called once, however it ends; the run may have ended before, or go on."""
        ...


class Telemetry(Protocol):
    """Where a server tells what it does. Nothing of it may wait; what it raises is logged, and changes nothing."""

    def trace_id(self) -> str:
        """Return the id of the trace that is current, 32 hexadecimal digits; empty where there is none (H9.12)."""
        ...

    def request_begins(self, request: HttpRequest) -> RequestTelemetry:
        """Called when a request to create a response has come, before its body is read."""
        ...


class NoTelemetry:
    """Tells nobody."""

    def trace_id(self) -> str:
        return ""

    def request_begins(self, request: HttpRequest) -> RequestTelemetry:  # noqa: ARG002  # the protocol's
        return _NOTHING

    def run_begins(self, begin: RunBegin) -> RunTelemetry:  # noqa: ARG002
        return _NOTHING

    def enter(self) -> None:
        pass

    def ends(self, end: RunEnd | RequestEnd) -> None:
        pass


_NOTHING = NoTelemetry()


@functools.cache
def found_telemetry() -> Telemetry:
    """Return OpenTelemetry where its API is installed, and else `NoTelemetry`; all servers of a process share it."""
    if importlib.util.find_spec("opentelemetry") is None:
        return _NOTHING
    try:
        from responses_stream.hosting.open_telemetry import OpenTelemetry
    except ImportError:  # another package of that namespace is there, and not the API
        return _NOTHING
    return OpenTelemetry()
