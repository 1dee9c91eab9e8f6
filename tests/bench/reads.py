"""Unary reads beside an empty handler that gives the same answer."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.message import Message

from bench.installation import MODEL, VERSIONS, Installation
from bench.load import calls_per_second
from bench.measure import Line, cpu_seconds, in_turns
from greenroom.catalog.v1 import catalog_service_pb2 as catalog_pb
from greenroom.lifecycle.v1 import lifecycle_service_pb2 as lifecycle_pb

EMPTY_HANDLER = "an empty grpc.aio handler with the same answer"


async def resolve(made: Installation) -> list[Line]:
    """Resolve of a stage, 64 in flight."""
    request = lifecycle_pb.ResolveRequest(selector="bench/digits@production")
    answer = await made.stubs().lifecycle.Resolve(request)
    return await beside_empty(made, "Resolve namespace/model@production", "calls/s", request, answer)


async def get_version(made: Installation) -> list[Line]:
    """GetVersion, 64 in flight."""
    request = catalog_pb.GetVersionRequest(name=f"{MODEL}/versions/{VERSIONS}")
    answer = await made.stubs().catalog.GetVersion(request)
    return await beside_empty(made, "GetVersion", "calls/s", request, answer)


async def list_versions(made: Installation) -> list[Line]:
    """Pages of 100 versions, 16 in flight."""
    request = catalog_pb.ListVersionsRequest(parent=MODEL, page_size=100)
    answer = await made.stubs().catalog.ListVersions(request)
    assert len(answer.versions) == 100
    return await beside_empty(made, "ListVersions, page of 100", "pages/s", request, answer, in_flight=16)


async def beside_empty(
    made: Installation, name: str, unit: str, request: Message, answer: Message, in_flight: int = 64
) -> list[Line]:
    package = request.DESCRIPTOR.file.package
    service = package.split(".")[1].capitalize()
    path = f"/{package}.{service}Service/{request.DESCRIPTOR.name.removesuffix('Request')}"
    body = request.SerializeToString()
    reference_address, reference_pid = await made.start_reference({path: answer.SerializeToString()})

    async def measure(address: str, pid: int) -> Sequence[float]:
        before = cpu_seconds(pid)
        rate, calls = await calls_per_second(
            address, path, made.token, lambda slot: body, in_flight=in_flight, seconds=1.2
        )
        return rate, (cpu_seconds(pid) - before) / calls * 1e6

    async def ours() -> Sequence[float]:
        return await measure(made.server.address, made.pid)

    async def reference() -> Sequence[float]:
        return await measure(reference_address, reference_pid)

    await ours()  # connections of the pool, prepared statements
    rate, cpu = await in_turns(ours, reference)
    made.stop_reference()
    return [
        Line(f"{name}, {in_flight} in flight", unit, *rate, EMPTY_HANDLER),
        Line(f"{name}: CPU of the server process", "µs/call", *cpu, EMPTY_HANDLER),
    ]
