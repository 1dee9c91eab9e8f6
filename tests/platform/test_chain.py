"""The chain: its order, what it serves, and what it refuses to serve."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_health.v1 import health_pb2, health_pb2_grpc

from greenroom.artifact.v1 import artifact_service_pb2 as artifact_pb
from greenroom.artifact.v1 import artifact_service_pb2_grpc
from greenroom.catalog.v1 import catalog_service_pb2 as pb
from greenroom.catalog.v1 import watch_pb2
from greenroom.lifecycle.v1 import lifecycle_service_pb2
from greenroom.search.v1 import search_service_pb2
from greenroomd.platform.interceptors import OPEN_METHODS, ORDER, ServiceMisdeclaredError, methods_of
from support.chained import ARTIFACT, CATALOG, Running, failure, running

DIGITS = "namespaces/demo/models/digits"

SERVICES = [
    module.DESCRIPTOR.services_by_name[name]
    for module, name in (
        (pb, "CatalogService"),
        (artifact_pb, "ArtifactService"),
        (lifecycle_service_pb2, "LifecycleService"),
        (search_service_pb2, "SearchService"),
    )
]


def test_order() -> None:
    assert ORDER == (
        "request_id",
        "telemetry",
        "errors",
        "authentication",
        "authorisation",
        "validation",
        "freshness",
        "idempotency",
        "redirection",
    )


def test_open_methods_are_health_and_reflection() -> None:
    assert {path.split("/")[1] for path in OPEN_METHODS} == {
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }


async def test_a_method_has_only_the_links_that_it_needs(catalog: Running) -> None:
    chain = catalog.server.chain
    every_call = ("request_id", "errors", "authentication", "authorisation", "validation")
    assert chain.links_of(f"/{CATALOG}/GetModel") == (*every_call, "freshness")
    assert chain.links_of(f"/{CATALOG}/CreateModel") == (*every_call, "idempotency")
    assert chain.links_of(f"/{CATALOG}/WatchChanges") == every_call


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_every_rpc_says_what_the_chain_must_know(service: Any) -> None:
    methods = methods_of(service)
    assert {method.name for method in methods} == {method.name for method in service.methods}
    own = service.full_name.split(".")[1]
    assert all(method.permission.startswith(own + ".") for method in methods)


async def test_nothing_is_answered_without_a_token(catalog: Running) -> None:
    for method in catalog.behaviors.service.methods:
        refused = await failure(catalog.call(method.name, b"", metadata=()))
        assert (refused.code, refused.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING"), method.name


async def test_health_and_reflection_need_no_token(catalog: Running) -> None:
    health = health_pb2_grpc.HealthStub(catalog.channel)
    for service in ("", CATALOG):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    info: Any = catalog.channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")

    async def list_services() -> AsyncIterator[bytes]:
        yield b"\x3a\x00"  # ServerReflectionRequest.list_services = ""

    answers = [bytes(answer) async for answer in info(list_services())]
    assert CATALOG.encode() in answers[0]


@pytest.mark.parametrize(
    "path",
    [
        f"/{CATALOG}/GetModel/",
        f"/{CATALOG}//GetModel",
        f"//{CATALOG}/GetModel",
        f"/{CATALOG}/getModel",
        f"/{CATALOG}/GetModel?x=1",
        f"/{CATALOG}/../{CATALOG}/GetModel",
        f"/{CATALOG}/GetModel%20",
        f"/{CATALOG}/NoSuchMethod",
        "/grpc.health.v1.Health/../Check",
        "/grpc.health.v1.Health/List",
        "/greenroom.catalog.v2.CatalogService/GetModel",
    ],
)
async def test_only_exact_paths_are_served(catalog: Running, path: str) -> None:
    for metadata in ((), catalog.admin):
        call: Any = catalog.channel.unary_unary(path)
        refused = await failure(call(b"", metadata=metadata, timeout=10))
        assert refused.code is grpc.StatusCode.UNIMPLEMENTED


def service_with(**options: Any) -> Any:
    """A service whose one RPC has these options and no others."""
    file = descriptor_pb2.FileDescriptorProto(name="odd.proto", package="odd", syntax="proto3")
    file.message_type.add(name="Nothing")
    method = file.service.add(name="Odd").method.add(name="Do", input_type=".odd.Nothing", output_type=".odd.Nothing")
    for name, value in options.items():
        setattr(method.options, name, value)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool.FindServiceByName("odd.Odd")


def test_an_rpc_without_a_permission_is_refused_at_start() -> None:
    with pytest.raises(ServiceMisdeclaredError, match=r"odd\.Odd\.Do has no permission"):
        methods_of(service_with(idempotency_level=descriptor_pb2.MethodOptions.IDEMPOTENT))


def test_an_rpc_without_an_idempotency_level_is_refused_at_start() -> None:
    # The option as it lies on the wire: field 50701, length-delimited.
    options = descriptor_pb2.MethodOptions.FromString(b"\xea\xe0\x18\x05odd.x")
    service = service_with()
    undeclared = service.methods[0]
    file = descriptor_pb2.FileDescriptorProto()
    service.file.CopyToProto(file)
    file.service[0].method[0].options.CopyFrom(options)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    with pytest.raises(ServiceMisdeclaredError, match=r"odd\.Odd\.Do does not say whether it may be repeated"):
        methods_of(pool.FindServiceByName(undeclared.containing_service.full_name))


async def test_a_stream_of_responses_passes_the_same_links(catalog: Running) -> None:
    async def three(request: Any, context: Any) -> AsyncIterator[Any]:
        for revision in (1, 2, 3):
            yield watch_pb2.WatchChangesResponse(through_revision=revision)

    catalog.on("WatchChanges", three)
    received = [r.through_revision async for r in catalog.call("WatchChanges", watch_pb2.WatchChangesRequest())]
    assert received == [1, 2, 3]
    wrong = await failure(catalog.call("WatchChanges", watch_pb2.WatchChangesRequest(after_revision=-1)))
    assert list(wrong.violations) == ["after_revision"]


async def test_a_cancelled_stream_closes_its_handler(catalog: Running) -> None:
    import asyncio

    closed = asyncio.Event()

    async def endless(request: Any, context: Any) -> AsyncIterator[Any]:
        try:
            while True:
                yield watch_pb2.WatchChangesResponse()
                await asyncio.sleep(0.01)
        finally:
            closed.set()

    catalog.on("WatchChanges", endless)
    call = catalog.call("WatchChanges", watch_pb2.WatchChangesRequest())
    await call.read()
    call.cancel()
    await asyncio.wait_for(closed.wait(), 5)


async def test_a_stream_of_requests_is_checked_message_by_message(tmp_path: Path) -> None:
    async with running(tmp_path, full_name=ARTIFACT) as artifact:
        received: list[int] = []

        async def write(requests: Any, context: Any) -> Any:
            async for request in requests:
                received.append(len(request.data))
            return artifact_pb.WriteUploadResponse()

        artifact.on("WriteUpload", write)
        stub: Any = artifact_service_pb2_grpc.ArtifactServiceStub(artifact.channel)

        async def chunks(offset: int) -> AsyncIterator[artifact_pb.WriteUploadRequest]:
            yield artifact_pb.WriteUploadRequest(name="namespaces/demo/uploads/u-1", data=b"x" * 1000)
            yield artifact_pb.WriteUploadRequest(offset=offset, data=b"y" * 2000)

        await stub.WriteUpload(chunks(0), metadata=artifact.admin)
        assert received == [1000, 2000]
        wrong = await failure(stub.WriteUpload(chunks(-1), metadata=artifact.admin))
        assert (wrong.reason, list(wrong.violations)) == ("FIELD_INVALID", ["offset"])
        assert received == [1000, 2000, 1000]


async def test_bytes_that_are_no_message_are_the_callers_mistake(catalog: Running) -> None:
    wrong = await failure(catalog.call("GetModel", b"\x0a\xff\xff\xff\xff\x0f"))
    assert (wrong.code, wrong.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert "greenroom.catalog.v1.GetModelRequest" in wrong.message
    not_text = await failure(catalog.call("GetModel", b"\x0a\x02\xc3\x28"))
    assert not_text.code is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_message_beyond_the_limit_is_refused_by_the_transport(catalog: Running) -> None:
    oversize = await failure(catalog.call("GetModel", pb.GetModelRequest(name="x" * (4 * 1024 * 1024 + 1))))
    assert oversize.code is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_compressed_request_is_not_unpacked(catalog: Running) -> None:
    bomb = pb.GetModelRequest(name="a" * (64 * 1024 * 1024))
    assert len(gzip.compress(bomb.SerializeToString(), 1)) < 1024 * 1024
    async with grpc.aio.insecure_channel(
        catalog.address,
        compression=grpc.Compression.Gzip,
        options=[("grpc.max_send_message_length", -1)],
    ) as channel:
        call: Any = channel.unary_unary(f"/{CATALOG}/GetModel", request_serializer=pb.GetModelRequest.SerializeToString)
        refused = await failure(call(bomb, metadata=catalog.admin, timeout=20))
    assert refused.code is grpc.StatusCode.UNIMPLEMENTED, "refused for its encoding, before anything was unpacked"
