"""One call is one trace: from the client through every service to the statements, and on to who hears of the change."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from conftest import SERVICES
from greenroom._connection import Connection
from greenroom.catalog.v1 import catalog_service_pb2 as catalog
from greenroom.catalog.v1.model_pb2 import Model
from greenroom.catalog.v1.namespace_pb2 import Namespace
from greenroom.catalog.v1.version_pb2 import Version
from greenroom.catalog.v1.watch_pb2 import WatchChangesRequest
from greenroom.credentials import Credentials
from greenroom.errors import ArtifactMissing
from greenroomd.application import start
from greenroomd.config import Config
from greenroomd.embedded import Endpoints
from greenroomd.platform.server import ServerSettings
from greenroomd.platform.telemetry import TelemetrySettings, configure
from support.artifacts import commit
from support.processes import Identities
from support.server import RunningServer
from support.subscribers import Subscriber, attached

DEMO = "namespaces/demo"
DIGITS = f"{DEMO}/models/digits"
CATALOG = "greenroom.catalog.v1.CatalogService"
ARTIFACT = "greenroom.artifact.v1.ArtifactService"
NOT_SAMPLED = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")


@dataclass
class Traced:
    """An installation and a client that send their spans and metrics to memory."""

    server: RunningServer
    connection: Connection
    spans: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    metrics: InMemoryMetricReader = field(default_factory=InMemoryMetricReader)

    async def register(self, digest: str) -> catalog.CreateVersionResponse:
        """Make one call as an application does that traces."""
        request = catalog.CreateVersionRequest(parent=DIGITS, version=Version(artifact_digest=digest))
        return await self.connection.unary(self.connection.catalog.CreateVersion, request)

    def tree(self) -> Tree:
        return Tree(list(self.spans.get_finished_spans()))

    def points(self, metric: str) -> list[dict[str, Any]]:
        """Return what a metric has counted so far, by its attributes."""
        collected = self.metrics.get_metrics_data()
        assert collected is not None
        [resource] = json.loads(collected.to_json())["resource_metrics"]
        found = [one for scope in resource["scope_metrics"] for one in scope["metrics"] if one["name"] == metric]
        return [point for one in found for point in one["data"]["data_points"]]


@dataclass
class Tree:
    """Spans by their place: each is the names from the root to it, as `kind name`."""

    spans: list[ReadableSpan]

    @property
    def traces(self) -> set[str]:
        return {f"{span.get_span_context().trace_id:032x}" for span in self.spans}  # type: ignore[union-attr]

    def below(self, parent: ReadableSpan | None) -> list[ReadableSpan]:
        return [span for span in self.spans if parent_id(span) == (None if parent is None else id_of(parent))]

    def one(self, parent: ReadableSpan | None, kind: SpanKind, name: str) -> ReadableSpan:
        [found] = [span for span in self.below(parent) if span.kind is kind and span.name == name]
        return found

    def statements(self, parent: ReadableSpan) -> list[str]:
        """Return the SQL that ran directly below a span."""
        texts = [attributes(span).get("db.statement") for span in self.below(parent)]
        return [" ".join(str(text).split()) for text in texts if text]


def id_of(span: ReadableSpan) -> int:
    context = span.get_span_context()
    assert context is not None
    return context.span_id


def parent_id(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


@pytest.fixture
async def traced(
    embedded: Endpoints, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Traced]:
    """All services with telemetry, and an SDK connection in an application with telemetry of its own."""
    spans, metrics = InMemorySpanExporter(), InMemoryMetricReader()
    telemetry = configure(TelemetrySettings(enabled=True), span_exporter=spans, metric_reader=metrics)
    identities = Identities.create(tmp_path)
    config = Config.from_environment(identities.environment(database_url, embedded.redis_url))
    application = await start(config, SERVICES, ServerSettings(port=0, grace_seconds=1), telemetry=telemetry)
    server = RunningServer(application, config, identities)
    connection = Connection(Credentials(server.address, server.token("admin")))
    # Not set_tracer_provider: it cannot be undone, and every later test would be an application that traces.
    client = TracerProvider(resource=Resource.create({"service.name": "trainer"}), shutdown_on_exit=False)
    client.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", client)
    yield Traced(server, connection, spans, metrics)
    await connection.close()
    await server.close()
    telemetry.shutdown()


@pytest.fixture
async def digest(traced: Traced) -> str:
    """An artifact for demo/digits, made by callers that do not want to be traced."""
    stubs = traced.server.as_("admin")
    quiet = (NOT_SAMPLED,)
    namespace = catalog.CreateNamespaceRequest(namespace=Namespace(name=DEMO))
    await stubs.catalog.CreateNamespace(namespace, metadata=quiet)
    await stubs.catalog.CreateModel(catalog.CreateModelRequest(model=Model(name=DIGITS)), metadata=quiet)
    digest = await commit(stubs, DEMO, {"weights.bin": b"weights"})
    traced.spans.clear()
    return digest


async def test_one_call_is_one_trace_from_client_to_statements(traced: Traced, digest: str) -> None:
    await traced.register(digest)
    tree = traced.tree()
    assert len(tree.traces) == 1
    call = tree.one(None, SpanKind.CLIENT, f"{CATALOG}/CreateVersion")
    assert call.resource.attributes["service.name"] == "trainer"
    serving = tree.one(call, SpanKind.SERVER, f"{CATALOG}/CreateVersion")
    assert serving.resource.attributes["service.name"] == "greenroomd"
    asking = tree.one(serving, SpanKind.CLIENT, f"{ARTIFACT}/GetArtifact")
    answering = tree.one(asking, SpanKind.SERVER, f"{ARTIFACT}/GetArtifact")
    assert any("FROM artifacts" in statement for statement in tree.statements(answering))
    statements = tree.statements(serving)
    assert any(statement.startswith("INSERT INTO versions") for statement in statements)
    assert "append_changes" in statements[-1]
    # Nothing stands beside the tree, and no value of a caller is in it.
    placed = [call, serving, asking, answering, *tree.below(serving), *tree.below(answering)]
    assert {id_of(span) for span in tree.spans} == {id_of(span) for span in placed}
    assert digest not in json.dumps([attributes(span) for span in tree.spans])
    for span in (serving, answering):
        assert attributes(span)["rpc.response.status_code"] == "OK"
    assert attributes(serving)["enduser.id"] == "admin"
    assert attributes(answering)["enduser.id"] == "services"
    assert attributes(serving)["greenroom.request_id"] == attributes(answering)["greenroom.request_id"]


async def test_who_hears_of_the_change_can_continue_the_trace(traced: Traced, digest: str, embedded: Endpoints) -> None:
    """Publishing is no part of the call: one message to Redis carries changes of many calls. The change says which."""
    subscriber = Subscriber(embedded.redis_url)
    watch = traced.server.as_("viewer").catalog.WatchChanges(WatchChangesRequest(), metadata=(NOT_SAMPLED,))
    await watch.read()
    async with attached(subscriber):
        registered = await traced.register(digest)
        await subscriber.until_resource(registered.version.name, 5)
    [change] = (await watch.read()).changes
    watch.cancel()
    tree = traced.tree()
    call = tree.one(None, SpanKind.CLIENT, f"{CATALOG}/CreateVersion")
    serving = tree.one(call, SpanKind.SERVER, f"{CATALOG}/CreateVersion")
    [(_, event)] = [heard for heard in subscriber.heard if heard[1]["subject"] == registered.version.name]
    [one_trace] = tree.traces
    assert event["traceparent"] == change.metadata.trace_parent == f"00-{one_trace}-{id_of(serving):016x}-01"
    assert [span.name for span in tree.spans if attributes(span).get("db.system") == "redis"] == []


async def test_what_the_services_do_by_themselves_is_not_traced(traced: Traced, digest: str) -> None:
    """Polling, publishing, indexing and health would fill the traces; so would a caller's own unsampled calls."""
    stubs = traced.server.as_("admin")
    for number in range(3):
        request = catalog.CreateModelRequest(model=Model(name=f"{DEMO}/models/m{number}"))
        await stubs.catalog.CreateModel(request, metadata=(NOT_SAMPLED,))
    await asyncio.sleep(2.5)  # health has looked, feeds have polled, search has indexed
    assert [span.name for span in traced.spans.get_finished_spans()] == []


async def test_nothing_is_traced_while_the_services_start(traced: Traced) -> None:
    assert [span.name for span in traced.spans.get_finished_spans()] == []


async def test_every_span_of_a_failed_call_says_why(traced: Traced, digest: str) -> None:
    with pytest.raises(ArtifactMissing):
        await traced.register("sha256:" + "0" * 64)
    tree = traced.tree()
    assert len(tree.traces) == 1
    calls = [span for span in tree.spans if span.kind in (SpanKind.CLIENT, SpanKind.SERVER) and "Service/" in span.name]
    reasons = {CATALOG: "ARTIFACT_MISSING", ARTIFACT: "ARTIFACT_NOT_FOUND"}
    assert len(calls) == 4
    for span in calls:
        assert attributes(span)["error.type"] == reasons[attributes(span)["rpc.service"]]
        assert not span.status.is_ok
        assert span.events == ()


async def test_calls_are_measured_by_method_and_code(traced: Traced, digest: str) -> None:
    await traced.register(digest)
    with pytest.raises(ArtifactMissing):
        await traced.register("sha256:" + "0" * 64)
    durations = [
        point for point in traced.points("rpc.server.duration") if point["attributes"]["rpc.method"] == "CreateVersion"
    ]
    assert {point["attributes"]["rpc.response.status_code"]: point["count"] for point in durations} == {
        "OK": 1,
        "FAILED_PRECONDITION": 1,
    }
    for point in durations:
        assert point["attributes"].items() >= {"rpc.system": "grpc", "rpc.service": CATALOG}.items()
        assert point["sum"] > 0


async def test_calls_in_progress_are_counted(traced: Traced, digest: str) -> None:
    def active(method: str) -> int:
        points = traced.points("rpc.server.active_requests")
        named = {"rpc.system": "grpc", "rpc.service": CATALOG, "rpc.method": method}
        return sum(point["value"] for point in points if point["attributes"] == named)

    of_search = active("WatchChanges")
    watch = traced.server.as_("viewer").catalog.WatchChanges(WatchChangesRequest(), metadata=(NOT_SAMPLED,))
    await watch.read()
    assert active("WatchChanges") == of_search + 1
    await traced.register(digest)
    assert active("CreateVersion") == 0
    watch.cancel()
    async with asyncio.timeout(5):
        while active("WatchChanges") != of_search:
            await asyncio.sleep(0.02)


async def test_the_log_lines_of_a_call_carry_its_trace_id(
    traced: Traced, digest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    await traced.register(digest)
    [one_trace] = traced.tree().traces
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    calls = {line["method"]: line for line in lines if line["event"] == "call" and line.get("trace_id") == one_trace}
    assert set(calls) == {f"/{CATALOG}/CreateVersion", f"/{ARTIFACT}/GetArtifact"}
    assert len({line["correlation_id"] for line in calls.values()}) == 1
