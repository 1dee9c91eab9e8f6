"""Traces, metrics and logs: one tree across services when on, nothing at all when off."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from redis.asyncio import Redis

from greenroom.artifact.v1 import artifact_service_pb2 as artifact_pb
from greenroom.artifact.v1.artifact_service_pb2_grpc import ArtifactServiceStub
from greenroom.catalog.v1 import catalog_service_pb2 as pb
from greenroomd.embedded import Endpoints
from greenroomd.platform.channels import Channels
from greenroomd.platform.context import current_call
from greenroomd.platform.database import Database
from greenroomd.platform.errors import NotFound
from greenroomd.platform.logs import configure_logs
from greenroomd.platform.telemetry import OFF, Telemetry, TelemetryConfigError, TelemetrySettings, configure
from support.chained import ARTIFACT, CATALOG, Running, failure, running

GET = pb.GetModelRequest(name="namespaces/demo/models/digits")
GET_ARTIFACT = artifact_pb.GetArtifactRequest(name="namespaces/demo/artifacts/sha256:" + "0" * 64)
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
UNSAMPLED = f"00-{TRACE}-b7ad6b7169203331-00"


class Collected:
    """Telemetry that ends in memory."""

    def __init__(self, **settings: Any) -> None:
        self.spans = InMemorySpanExporter()
        self.metrics = InMemoryMetricReader()
        self.telemetry = configure(
            TelemetrySettings(enabled=True, **settings), span_exporter=self.spans, metric_reader=self.metrics
        )

    def named(self, name: str) -> ReadableSpan:
        [span] = [span for span in self.spans.get_finished_spans() if span.name == name]
        return span


@pytest.fixture
def collected() -> Iterator[Collected]:
    collected = Collected()
    yield collected
    collected.telemetry.shutdown()


@asynccontextmanager
async def two_services(tmp_path: Path, telemetry: Telemetry) -> AsyncIterator[tuple[Running, Running]]:
    """A catalog whose GetModel asks the artifact service on another server."""
    (tmp_path / "a").mkdir()
    (tmp_path / "c").mkdir()
    async with (
        running(tmp_path / "a", full_name=ARTIFACT, telemetry=telemetry) as artifact,
        running(tmp_path / "c", telemetry=telemetry) as catalog,
    ):
        channels = Channels({"artifact": artifact.address}, lambda: artifact.token, telemetry)

        async def ask(request: Any, context: Any) -> Any:
            await ArtifactServiceStub(channels.to("artifact")).GetArtifact(GET_ARTIFACT)
            return pb.GetModelResponse()

        catalog.on("GetModel", ask)
        yield catalog, artifact
        await channels.close()


async def test_one_trace_from_client_to_service_to_service_to_databases(
    tmp_path: Path, collected: Collected, database_url: str, embedded: Endpoints
) -> None:
    database, redis = Database(database_url, "catalog"), Redis.from_url(embedded.redis_url)
    collected.telemetry.instrument_engine(database.engine)
    collected.telemetry.instrument_redis(redis)
    seen: list[str] = []

    async def store(request: Any, context: Any) -> Any:
        await database.ping()
        await redis.get("key")
        seen.append(current_call().trace_parent)
        return artifact_pb.GetArtifactResponse()

    async with two_services(tmp_path, collected.telemetry) as (catalog, artifact):
        artifact.on("GetArtifact", store)
        await catalog.call("GetModel", GET, metadata=(*catalog.admin, ("traceparent", PARENT)))
    await database.close()
    await redis.aclose()

    spans = collected.spans.get_finished_spans()
    assert {f"{span.context.trace_id:032x}" for span in spans if span.context} == {TRACE}
    by_id = {span.context.span_id: span for span in spans if span.context}

    def path(span: ReadableSpan) -> list[str]:
        parent = by_id.get(span.parent.span_id) if span.parent else None
        return [*(path(parent) if parent else []), span.name]

    server, client = f"{CATALOG}/GetModel", f"{ARTIFACT}/GetArtifact"
    paths = [path(span) for span in spans]
    assert [server] in paths
    assert [server, client] in paths
    assert [server, client, client] in paths
    below = [one[3] for one in paths if one[:3] == [server, client, client] and len(one) == 4]
    assert len(below) >= 2
    assert any("SELECT" in name for name in below)
    assert "GET" in below
    first = collected.named(server)
    assert first.kind is SpanKind.SERVER
    assert first.parent is not None
    assert f"{first.parent.span_id:016x}" == "b7ad6b7169203331"
    assert first.attributes is not None
    assert first.attributes["rpc.service"] == CATALOG
    assert first.attributes["rpc.response.status_code"] == "OK"
    assert first.resource.attributes["service.name"] == "greenroomd"
    assert seen[0].split("-")[1] == TRACE


async def test_the_span_of_a_failed_call_says_why(tmp_path: Path, collected: Collected) -> None:
    async with running(tmp_path, telemetry=collected.telemetry) as catalog:
        catalog.raises("GetModel", NotFound("MODEL_NOT_FOUND", "no"))
        await failure(catalog.call("GetModel", GET))
        await failure(catalog.call("GetVersion", b"", metadata=()))
    for method, code, reason in (
        ("GetModel", "NOT_FOUND", "MODEL_NOT_FOUND"),
        ("GetVersion", "UNAUTHENTICATED", "TOKEN_MISSING"),
    ):
        span = collected.named(f"{CATALOG}/{method}")
        assert span.attributes is not None
        assert (span.attributes["rpc.response.status_code"], span.attributes["error.type"]) == (code, reason)
        assert not span.status.is_ok
        assert not span.events


async def test_every_call_is_counted(tmp_path: Path, collected: Collected) -> None:
    async with running(tmp_path, telemetry=collected.telemetry) as catalog:
        for _ in range(3):
            await catalog.call("GetModel", GET, metadata=(*catalog.admin, ("traceparent", UNSAMPLED)))
    data = json.loads(collected.metrics.get_metrics_data().to_json())  # type: ignore[union-attr]
    metrics = {
        metric["name"]: metric["data"]["data_points"]
        for scope in data["resource_metrics"][0]["scope_metrics"]
        for metric in scope["metrics"]
    }
    [point] = metrics["rpc.server.duration"]
    assert point["count"] == 3
    assert point["attributes"]["rpc.method"] == "GetModel"
    assert [point["value"] for point in metrics["rpc.server.active_requests"]] == [0]


async def test_a_call_that_is_not_sampled_makes_no_span_anywhere(
    tmp_path: Path, database_url: str, collected: Collected
) -> None:
    never = Collected(sample_ratio=0.0)
    database = Database(database_url, "catalog")
    never.telemetry.instrument_engine(database.engine)

    async def store(request: Any, context: Any) -> Any:
        await database.ping()
        return pb.GetModelResponse()

    async with running(tmp_path, telemetry=never.telemetry) as catalog:
        catalog.on("GetModel", store)
        await catalog.call("GetModel", GET)
        await catalog.call("GetModel", GET, metadata=(*catalog.admin, ("traceparent", UNSAMPLED)))
        assert never.spans.get_finished_spans() == ()
        # A caller that traces is followed whatever the share is.
        await catalog.call("GetModel", GET, metadata=(*catalog.admin, ("traceparent", PARENT)))
        assert len(never.spans.get_finished_spans()) >= 2
    await database.close()
    never.telemetry.shutdown()


@pytest.mark.parametrize("header", ["", "x", "00-" + "0" * 32 + "-b7ad6b7169203331-01", PARENT.upper(), PARENT + "-x"])
async def test_a_malformed_trace_parent_is_ignored(tmp_path: Path, collected: Collected, header: str) -> None:
    async with running(tmp_path, telemetry=collected.telemetry) as catalog:
        await catalog.call("GetModel", GET, metadata=(*catalog.admin, ("traceparent", header)))
    assert collected.named(f"{CATALOG}/GetModel").parent is None


async def test_when_off_the_link_is_not_in_the_chain(catalog: Running) -> None:
    assert "telemetry" not in catalog.server.chain.links_of(f"/{CATALOG}/GetModel")


def test_when_off_nothing_of_opentelemetry_is_loaded() -> None:
    program = (
        "import sys, redis.asyncio\n"  # redis-py loads the metrics SDK by itself where it is installed
        "before = set(sys.modules)\n"
        "from greenroomd.platform import server, channels, telemetry, logs\n"
        "assert telemetry.configure(telemetry.TelemetrySettings.from_environment({})) is telemetry.OFF\n"
        "print(*(name for name in set(sys.modules) - before if name.startswith('opentelemetry')))\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == ""


@pytest.mark.parametrize(
    ("environment", "enabled"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4317"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4317", "GREENROOM_TELEMETRY": "off"}, False),
        ({"GREENROOM_TELEMETRY": "on"}, True),
    ],
)
def test_settings(environment: dict[str, str], enabled: bool) -> None:
    assert TelemetrySettings.from_environment(environment).enabled is enabled


@pytest.mark.parametrize(
    "environment",
    [{"GREENROOM_TELEMETRY": "maybe"}, {"OTEL_TRACES_SAMPLER_ARG": "2"}, {"OTEL_TRACES_SAMPLER_ARG": "x"}],
)
def test_settings_that_cannot_be_used(environment: dict[str, str]) -> None:
    with pytest.raises(TelemetryConfigError, match=next(iter(environment))):
        TelemetrySettings.from_environment(environment)


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    out, root = io.StringIO(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logs("INFO", stream=out)
    yield out
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def calls(lines: io.StringIO) -> list[dict[str, Any]]:
    parsed = [json.loads(line) for line in lines.getvalue().splitlines()]
    return [line for line in parsed if line["event"] == "call"]


async def test_a_call_is_one_json_line(tmp_path: Path, collected: Collected, lines: io.StringIO) -> None:
    async with running(tmp_path, telemetry=collected.telemetry) as catalog:
        catalog.raises("GetModel", NotFound("MODEL_NOT_FOUND", "no"))
        await failure(
            catalog.call(
                "GetModel", GET, metadata=(*catalog.admin, ("traceparent", PARENT), ("x-request-id", "the-call"))
            )
        )
        token = catalog.token
    [line] = calls(lines)
    assert line.pop("duration_ms") >= 0
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "call",
        "level": "info",
        "method": f"/{CATALOG}/GetModel",
        "code": "NOT_FOUND",
        "reason": "MODEL_NOT_FOUND",
        "principal": "admin",
        "correlation_id": "the-call",
        "trace_id": TRACE,
    }
    assert token not in lines.getvalue()


async def test_a_defect_is_in_the_log_and_not_in_the_answer(tmp_path: Path, lines: io.StringIO) -> None:
    async with running(tmp_path) as catalog:
        catalog.raises("GetModel", KeyError(f"a defect that quotes {catalog.token}"))
        seen = await failure(catalog.call("GetModel", GET))
        assert "defect" not in seen.message
        token = catalog.token
    [line] = calls(lines)
    assert (line["level"], line["code"]) == ("error", "INTERNAL")
    assert "a defect that quotes gr_admin_…" in json.dumps(line["exception"], ensure_ascii=False)
    assert token not in lines.getvalue()
    assert seen.metadata["request_id"] == line["correlation_id"]


async def test_lines_of_libraries_come_out_the_same_way(catalog: Running, lines: io.StringIO) -> None:
    logging.getLogger("some.library").warning("it says %s", f"Bearer {catalog.token}")
    line = json.loads(lines.getvalue().splitlines()[-1])
    assert (line["event"], line["level"], line["logger"]) == ("it says Bearer gr_admin_…", "warning", "some.library")


def test_off_does_nothing() -> None:
    OFF.shutdown()
    assert not OFF.enabled
