"""Traces and metrics: off unless configured, and then without a line of OpenTelemetry loaded.

What runs when it is on is in `tracing.py`, which only `configure` imports.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricReader
    from opentelemetry.sdk.trace.export import SpanExporter
    from redis.asyncio import Redis
    from sqlalchemy.ext.asyncio import AsyncEngine

    from greenroomd.platform.tracing import Tracing


class TelemetryConfigError(ValueError):
    """A telemetry setting cannot be used. The message names the variable and what it accepts."""


@dataclass(frozen=True, slots=True)
class TelemetrySettings:
    """Whether and how to send traces and metrics."""

    enabled: bool = False
    service_name: str = "greenroomd"
    """`service.name` of everything sent."""
    sample_ratio: float = 1.0
    """Share of calls traced when their caller does not say. A traced call costs about 1 ms of CPU."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], service_name: str = "greenroomd") -> TelemetrySettings:
        """Read the settings: on when `OTEL_EXPORTER_OTLP_ENDPOINT` is set or `GREENROOM_TELEMETRY` is `on`.

        `GREENROOM_TELEMETRY=off` wins over an endpoint. The OTLP variables of OpenTelemetry apply as documented there;
        `OTEL_TRACES_SAMPLER_ARG` is the share of traced calls, 0 to 1.

        Raises:
            TelemetryConfigError: one of them has a value that it cannot have.
        """
        switch = environment.get("GREENROOM_TELEMETRY", "").lower()
        if switch not in ("", "on", "off", "1", "0", "true", "false"):
            raise TelemetryConfigError(f"GREENROOM_TELEMETRY is {switch!r}; it can be on or off")
        ratio_text = environment.get("OTEL_TRACES_SAMPLER_ARG", "") or "1"
        try:
            ratio = float(ratio_text)
        except ValueError:
            ratio = -1
        if not 0 <= ratio <= 1:
            raise TelemetryConfigError(f"OTEL_TRACES_SAMPLER_ARG is {ratio_text!r}; it is a share from 0 to 1")
        on = switch in ("on", "1", "true") or bool(not switch and environment.get("OTEL_EXPORTER_OTLP_ENDPOINT"))
        return cls(on, environment.get("OTEL_SERVICE_NAME") or service_name, ratio)


class Telemetry:
    """What the process does about telemetry; `tracing` is None when that is nothing."""

    def __init__(self, tracing: Tracing | None = None) -> None:
        self.tracing = tracing

    @property
    def enabled(self) -> bool:
        """Whether traces and metrics are made."""
        return self.tracing is not None

    def instrument_engine(self, engine: AsyncEngine) -> None:
        """Make a span of every statement that the engine runs inside a traced call."""
        if self.tracing is not None:
            self.tracing.instrument_engine(engine)

    def instrument_redis(self, client: Redis) -> None:
        """Make a span of every command that the client sends inside a traced call."""
        if self.tracing is not None:
            self.tracing.instrument_redis(client)

    def shutdown(self) -> None:
        """Send what has not been sent yet, for at most a few seconds."""
        if self.tracing is not None:
            self.tracing.shutdown()


OFF = Telemetry()
"""No telemetry at all."""


def configure(
    settings: TelemetrySettings,
    *,
    span_exporter: SpanExporter | None = None,
    metric_reader: MetricReader | None = None,
    resource: Mapping[str, Any] | None = None,
) -> Telemetry:
    """Return the process's telemetry.

    Args:
        settings: `OFF` is returned when they say so.
        span_exporter: where spans go, each as it ends; OTLP in batches when None.
        metric_reader: what collects the metrics; OTLP once a minute when None.
        resource: more attributes of everything sent.
    """
    if not settings.enabled:
        return OFF
    from greenroomd.platform.tracing import Tracing

    return Telemetry(Tracing(settings, span_exporter, metric_reader, resource or {}))
