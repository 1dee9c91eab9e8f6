"""Client spans and trace context, when the application has set up OpenTelemetry.

Nothing is imported and nothing is done otherwise: an application that traces has imported `opentelemetry.trace`
itself, so looking for it among the loaded modules is enough.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from greenroom.errors import GreenroomError

Metadata = tuple[tuple[str, str], ...]


def tracer() -> Any | None:
    """Return a tracer when a tracer provider is configured, else None."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None or isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return None
    return trace.get_tracer("greenroom")


@contextmanager
def operation_span(name: str) -> Iterator[None]:
    """Put everything inside under one span: what takes several calls is one trace."""
    active = tracer()
    if active is None:
        yield
        return
    with active.start_as_current_span(name):
        yield


@contextmanager
def call_span(method: str) -> Iterator[Metadata]:
    """Trace one call and yield the metadata that carries its context to the server.

    Args:
        method: full name such as `/greenroom.catalog.v1.CatalogService/GetModel`.
    """
    active = tracer()
    if active is None:
        yield ()
        return
    from opentelemetry import propagate, trace

    service, _, name = method.lstrip("/").partition("/")
    attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name}
    with active.start_as_current_span(
        f"{service}/{name}",
        kind=trace.SpanKind.CLIENT,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        try:
            yield tuple(carrier.items())
        except GreenroomError as error:
            span.set_attribute("rpc.grpc.status_code", error.code.value[0])
            span.set_attribute("error.type", error.reason or error.code.name)
            span.set_status(trace.StatusCode.ERROR, error.code.name)
            raise
        except BaseException as error:
            span.set_attribute("error.type", type(error).__qualname__)
            span.set_status(trace.StatusCode.ERROR)
            raise
        span.set_attribute("rpc.grpc.status_code", 0)
