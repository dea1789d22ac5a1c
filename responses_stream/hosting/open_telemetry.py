"""Requests and runs as spans and metrics of OpenTelemetry, by its conventions for generative AI where they exist.

Two spans: one for the request to create a response, from its headers to the last byte of the answer, and below it one
for the run, ``invoke_agent``, which ends when the handler has ended and may outlive the request. Neither is ever the
current span of whoever sends the answer: the run's is that of the run's own task, so that what a handler traces is
below it, and the request's is nobody's (pains.md I1). A trace that the client has begun goes on, and so does its
baggage (H16.5, H16.6).

This is the only module that imports `opentelemetry`, and of it the API alone: without an SDK that the program has set
up, nothing is recorded.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import attrs
from opentelemetry import baggage, context, metrics, propagate, trace
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, Tracer, TracerProvider

from responses_stream._version import __version__
from responses_stream.hosting.http import HttpRequest
from responses_stream.hosting.logs import safe
from responses_stream.hosting.outcomes import Outcome, RunEnd
from responses_stream.hosting.store_telemetry import StoreTelemetry, StoreUse
from responses_stream.hosting.telemetry import (
    RequestEnd,
    RequestTelemetry,
    RunBegin,
    RunTelemetry,
)

_NAME: Final = "responses_stream"
_OPERATION: Final = "invoke_agent"

_DURATIONS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_APPENDS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_FIRST_TOKENS: Final = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)  # fmt: skip


class OpenTelemetry:
    """Tells OpenTelemetry what a server does; servers that are given no telemetry make one, where it is installed.

    Args:
        tracer_provider: makes the spans; by default the global one, whenever that is set.
        meter_provider: makes the metrics, likewise.
        provider_name: what `gen_ai.provider.name` says.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        provider_name: str = _NAME,
    ) -> None:
        meter = metrics.get_meter(_NAME, __version__, meter_provider)
        self._tracer = trace.get_tracer(_NAME, __version__, tracer_provider)
        self._meters = _Meters(
            common={"gen_ai.operation.name": _OPERATION, "gen_ai.provider.name": provider_name},
            duration=meter.create_histogram(
                "gen_ai.server.request.duration",
                "s",
                "From the request to the end of its run",
                explicit_bucket_boundaries_advisory=_DURATIONS,
            ),
            first_token=meter.create_histogram(
                "gen_ai.server.time_to_first_token",
                "s",
                "From the request to the first piece of output",
                explicit_bucket_boundaries_advisory=_FIRST_TOKENS,
            ),
            active=meter.create_up_down_counter("responses.runs.active", "{run}", "Runs that have not ended"),
            events=meter.create_counter("responses.run.events", "{event}", "Events of runs that have ended"),
            bytes=meter.create_counter("responses.run.bytes", "By", "Bytes of the events of runs that have ended"),
            appends=meter.create_histogram(
                "responses.store.append.duration",
                "s",
                "How long the store takes for some events of a response",
                explicit_bucket_boundaries_advisory=_APPENDS,
            ),
            taken_over=meter.create_counter(
                "responses.taken_over", "{response}", "Responses of servers that have died, seen to by this one"
            ),
        )
        self._stores = _Stores()
        meter.create_observable_gauge(
            "responses.store.lag", [self._stores.lag], "{event}", "Events that were said and are not stored yet"
        )
        meter.create_observable_gauge(
            "responses.lease.age", [self._stores.lease_age], "s", "Since the last renewal of the lease that succeeded"
        )

    def trace_id(self) -> str:
        current = trace.get_current_span().get_span_context()
        return trace.format_trace_id(current.trace_id) if current.is_valid else ""

    def request_begins(self, request: HttpRequest) -> RequestTelemetry:
        parent = context.get_current()
        # Whoever has begun a span for this request in this process has read its headers.
        is_first = not trace.get_current_span(parent).get_span_context().is_valid
        if is_first:
            parent = propagate.extract(_carrier(request), parent)
        attributes: dict[str, str | bool | int] = {
            "http.request.method": safe(request.method),
            "url.path": safe(request.path),
        }
        given_id = request.header("x-request-id")
        if given_id is not None:
            given_id = attributes["request.id"] = safe(given_id)
        span = self._tracer.start_span(
            f"{attributes['http.request.method']} {attributes['url.path']}",
            parent,
            SpanKind.SERVER if is_first else SpanKind.INTERNAL,
            attributes,
        )
        return _Request(given_id, span, parent, self._tracer, self._meters)

    def store_begins(self, use: StoreUse) -> StoreTelemetry:
        store = _Store(self._meters, self._stores, use)
        self._stores.add(store)
        return store


@attrs.define(eq=False)
class _Store:
    _meters: _Meters
    _among: _Stores
    use: StoreUse
    process: int = attrs.field(factory=os.getpid)

    def appended(self, seconds: float, error: str | None) -> None:
        self._meters.appends.record(seconds, {} if error is None else {"error.type": error})

    def taken_over(self, outcome: str) -> None:
        self._meters.taken_over.add(1, {"responses.outcome": outcome})

    def ends(self) -> None:
        self._among.remove(self)


class _Stores:
    """Those that are in use; asked by the thread that exports metrics. All servers of a process are one series."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # One whose server was never closed must not be reported for ever.
        self._used: weakref.WeakSet[_Store] = weakref.WeakSet()

    def add(self, store: _Store) -> None:
        with self._lock:
            self._used.add(store)

    def remove(self, store: _Store) -> None:
        with self._lock:
            self._used.discard(store)

    def lag(self, _options: CallbackOptions) -> Iterator[Observation]:
        used = self._ours()
        if used:
            yield Observation(sum(use.lag() for use in used))

    def lease_age(self, _options: CallbackOptions) -> Iterator[Observation]:
        ages = [age for use in self._ours() if (age := use.lease_age()) is not None]
        if ages:
            yield Observation(max(ages))

    def _ours(self) -> Sequence[StoreUse]:
        with self._lock:
            # A fork has copied those of its parent.
            return [store.use for store in self._used if store.process == os.getpid()]


@attrs.frozen
class _Meters:
    common: Mapping[str, str]
    duration: metrics.Histogram
    first_token: metrics.Histogram
    active: metrics.UpDownCounter
    events: metrics.Counter
    bytes: metrics.Counter
    appends: metrics.Histogram
    taken_over: metrics.Counter


@attrs.define(eq=False)
class _Request:
    _given_id: str | None
    _span: Span
    _parent: Context
    _tracer: Tracer
    _meters: _Meters
    _has_run: bool = attrs.field(init=False, default=False)

    def run_begins(self, begin: RunBegin) -> RunTelemetry:
        self._has_run = True
        told = {
            "gen_ai.provider.name": self._meters.common["gen_ai.provider.name"],
            "gen_ai.response.id": begin.response_id,
            "gen_ai.request.model": begin.model,
            "gen_ai.conversation.id": begin.conversation_id,
            "gen_ai.agent.name": begin.agent_name,
            "gen_ai.agent.version": begin.agent_version,
            "gen_ai.agent.id": _agent_id(begin),
            "responses.response_id": begin.response_id,
            "responses.conversation_id": begin.conversation_id or "",
            "responses.request_id": begin.request_id,
            "responses.streaming": begin.streaming,
            "responses.background": begin.background,
            "responses.store": begin.store,
        }
        attributes = {name: value for name, value in told.items() if value is not None}
        self._span.set_attributes(attributes)
        if self._given_id is not None:
            attributes["request.id"] = self._given_id
        span = self._tracer.start_span(
            f"{_OPERATION} {begin.agent_name}" if begin.agent_name else _OPERATION,
            trace.set_span_in_context(self._span, self._parent),
            SpanKind.INTERNAL,
            {"gen_ai.operation.name": _OPERATION, **attributes},
            # One that outlives its request is told of on its own; this is how to find the request.
            [Link(self._span.get_span_context())] if begin.background else None,
        )
        inside = trace.set_span_in_context(span, self._parent)
        for name, value in _baggage(begin, self._given_id).items():
            inside = baggage.set_baggage(name, value, inside)
        labels = {"responses.streaming": begin.streaming, "responses.background": begin.background}
        self._meters.active.add(1, {**self._meters.common, **labels})
        return _Run(span, inside, begin, labels, self._meters)

    def ends(self, end: RequestEnd) -> None:
        span = self._span
        span.set_attribute("responses.outcome", end.outcome.value)
        if end.status is not None:
            span.set_attribute("http.response.status_code", end.status)
        if end.error is not None:
            span.set_attribute("error.type", end.error)
        # What a client has done wrong is no error of a server, by the conventions for HTTP.
        if end.status is not None and end.status >= 500:
            span.set_status(Status(StatusCode.ERROR))
        span.end()
        if not self._has_run and end.outcome is not Outcome.COMPLETED:
            labels = {**self._meters.common, "responses.outcome": end.outcome.value}
            if end.error is not None:
                labels["error.type"] = end.error
            self._meters.duration.record(end.seconds, labels)


@attrs.define(eq=False)
class _Run:
    _span: Span
    _inside: Context
    _begin: RunBegin
    _labels: Mapping[str, bool]
    _meters: _Meters

    def enter(self) -> None:
        context.attach(self._inside)

    def ends(self, end: RunEnd) -> None:
        told = {
            "gen_ai.response.model": end.model,
            "gen_ai.usage.input_tokens": end.input_tokens,
            "gen_ai.usage.output_tokens": end.output_tokens,
            "responses.outcome": end.outcome.value,
            "responses.status": end.status,
            "responses.ended_by": end.ended_by,
            "responses.last_event": end.last_event,
            "responses.terminal_event": end.terminal,
            "responses.events": end.events,
            "responses.bytes": end.bytes,
            "responses.rule": end.rule,
            "error.type": end.error,
        }
        self._span.set_attributes({name: value for name, value in told.items() if value is not None})
        if end.outcome is Outcome.FAILED:
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()
        self._count(end)

    def _count(self, end: RunEnd) -> None:
        meters = self._meters
        meters.active.add(-1, {**meters.common, **self._labels})
        told = {
            "gen_ai.request.model": self._begin.model,
            "gen_ai.response.model": end.model,
        }
        labels = {**meters.common, **{name: value for name, value in told.items() if value}}
        if end.first_token is not None:
            meters.first_token.record(end.first_token, labels, self._inside)
        # Not the same dict: older SDKs keep the one that they were given.
        labels = {**labels, "responses.outcome": end.outcome.value}
        if end.error is not None:
            labels["error.type"] = end.error
        meters.duration.record(end.seconds, labels, self._inside)
        meters.events.add(end.events, labels, self._inside)
        meters.bytes.add(end.bytes, labels, self._inside)


def _carrier(request: HttpRequest) -> dict[str, str]:
    """Return the headers as propagators read them; one that came in pieces is put together."""
    carrier: dict[str, str] = {}
    for name, value in request.headers:
        carrier[name] = f"{carrier[name]},{value}" if name in carrier else value
    return carrier


def _agent_id(begin: RunBegin) -> str | None:
    if begin.agent_name is None:
        return None
    return f"{begin.agent_name}:{begin.agent_version}" if begin.agent_version else begin.agent_name


def _baggage(begin: RunBegin, request_id: str | None) -> dict[str, str]:
    """Return what a handler hands on to whatever it calls (H16.7)."""
    entries = {
        "responses.response_id": begin.response_id,
        "responses.conversation_id": begin.conversation_id or "",
        "responses.streaming": str(begin.streaming),
    }
    return entries if request_id is None else {**entries, "x-request-id": request_id}
