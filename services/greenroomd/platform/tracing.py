"""OpenTelemetry, for processes in which it is on. Imported by `telemetry.configure` alone.

Whether a call is traced is decided from its `traceparent`, or by chance, before any span object is made. A call that
is not traced runs in a context that says so, so that no statement inside of it starts a trace of its own.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.instrumentation.sqlalchemy.engine import EngineTracer
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from sqlalchemy.ext.asyncio import AsyncEngine

    from greenroomd.platform.telemetry import TelemetrySettings

TRACE_PARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
NAME = "greenroomd"


class Tracing:
    """Tracer, meter and the decision what to trace.

    Nothing is registered globally: a process, and a test, can have several.
    """

    def __init__(
        self,
        settings: TelemetrySettings,
        span_exporter: SpanExporter | None,
        metric_reader: MetricReader | None,
        resource: Mapping[str, Any],
    ) -> None:
        attributes = Resource.create({"service.name": settings.service_name, **resource})
        # The share of traced calls is decided in `context_for`: what starts a trace has been chosen already.
        self._traces = TracerProvider(resource=attributes, sampler=ParentBased(ALWAYS_ON), shutdown_on_exit=False)
        self._traces.add_span_processor(
            SimpleSpanProcessor(span_exporter) if span_exporter is not None else BatchSpanProcessor(_otlp_spans())
        )
        reader = metric_reader if metric_reader is not None else _otlp_metrics()
        self._metrics = MeterProvider([reader], resource=attributes, shutdown_on_exit=False)
        self._sample_ratio = settings.sample_ratio
        self.tracer = self._traces.get_tracer(NAME)
        self.meter = self._metrics.get_meter(NAME)

    def context_for(self, trace_parent: str | bytes | None) -> otel_context.Context | None:
        """Return the context to start a call's span in; None when the call is not to be traced.

        Args:
            trace_parent: the W3C header that the caller sent, if it sent one.
        """
        parent = parse_trace_parent(trace_parent)
        if parent is not None:
            return _with(parent) if parent.trace_flags.sampled else None
        if self._sample_ratio < 1 and random.random() >= self._sample_ratio:  # noqa: S311 - not a secret
            return None
        return otel_context.Context()

    def attach_untraced(self) -> None:
        """Let nothing that this task does from here on start a trace."""
        otel_context.attach(UNTRACED)

    def instrument_engine(self, engine: AsyncEngine) -> None:
        # The stock instrumentor refuses SQLAlchemy 2.1 and works once a process; what it would attach works on any.
        usage = NoOpMeterProvider().get_meter(NAME).create_up_down_counter("db.client.connections.usage")
        EngineTracer(self.tracer, engine.sync_engine, usage)  # type: ignore[no-untyped-call]

    def instrument_redis(self, client: Redis) -> None:
        RedisInstrumentor.instrument_client(client, tracer_provider=self._traces)

    def shutdown(self) -> None:
        self._traces.shutdown()
        self._metrics.shutdown(timeout_millis=5000)


def parse_trace_parent(header: str | bytes | None) -> SpanContext | None:
    """Return the position that a W3C `traceparent` names; None when there is none or it is malformed."""
    found = TRACE_PARENT.fullmatch(header) if isinstance(header, str) else None
    if found is None:
        return None
    trace_id, span_id = int(found[1], 16), int(found[2], 16)
    parent = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(int(found[3], 16)))
    return parent if parent.is_valid else None


def current_trace_parent() -> str:
    """Return the W3C `traceparent` of the span in progress; empty when there is none that is traced."""
    span_context = trace.get_current_span().get_span_context()
    if not span_context.is_valid or not span_context.trace_flags.sampled:
        return ""
    return f"00-{span_context.trace_id:032x}-{span_context.span_id:016x}-01"


def _with(parent: SpanContext) -> otel_context.Context:
    return trace.set_span_in_context(NonRecordingSpan(parent), otel_context.Context())


UNTRACED = _with(SpanContext(1, 1, is_remote=False, trace_flags=TraceFlags(TraceFlags.DEFAULT)))
"""A parent that is not sampled: what is started below it is not either."""


def _otlp_spans() -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()


def _otlp_metrics() -> MetricReader:
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter

    return PeriodicExportingMetricReader(OTLPMetricExporter())
