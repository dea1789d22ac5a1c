"""A server whose spans and metrics are kept in memory, for the tests that read them."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Tracer

from responses_stream.hosting.open_telemetry import OpenTelemetry


@attrs.define
class Told:
    """What was told to OpenTelemetry."""

    spans: InMemorySpanExporter = attrs.field(factory=InMemorySpanExporter)
    metrics: InMemoryMetricReader = attrs.field(factory=InMemoryMetricReader)
    telemetry: OpenTelemetry = attrs.field(init=False)
    tracer: Tracer = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        traces = TracerProvider(shutdown_on_exit=False)
        traces.add_span_processor(SimpleSpanProcessor(self.spans))
        self.tracer = traces.get_tracer("the handler's own")
        meters = MeterProvider([self.metrics], shutdown_on_exit=False)
        self.telemetry = OpenTelemetry(tracer_provider=traces, meter_provider=meters)

    def named(self, name: str) -> list[ReadableSpan]:
        """Return the spans of that name that have ended."""
        return [span for span in self.spans.get_finished_spans() if span.name == name]

    @property
    def request(self) -> ReadableSpan:
        [span] = self.named("POST /v1/responses")
        return span

    @property
    def run(self) -> ReadableSpan:
        [span] = [span for span in self.spans.get_finished_spans() if span.name.startswith("invoke_agent")]
        return span

    def points(self, name: str) -> list[tuple[dict[str, object], float]]:
        """Return the attributes and the sum of each point of a metric."""
        data = self.metrics.get_metrics_data()
        found: list[tuple[dict[str, object], float]] = []
        for resource in data.resource_metrics if data is not None else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name == name:
                        for point in metric.data.data_points:
                            assert isinstance(point, NumberDataPoint | HistogramDataPoint)
                            number = point.value if isinstance(point, NumberDataPoint) else point.count
                            found.append((dict(point.attributes or {}), number))
        return found


def told_of(span: ReadableSpan) -> Mapping[str, object]:
    """Return the attributes of a span."""
    return dict(span.attributes or {})


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return int(span.context.span_id)


def parent_of(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent is not None else None
