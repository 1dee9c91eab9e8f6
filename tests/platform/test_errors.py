"""What a caller sees of a failure: code, reason, details, and never a driver's words."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import asyncpg
import grpc
import grpc.aio
import pytest
import redis.exceptions
import sqlalchemy.exc
from sqlalchemy.ext.asyncio import create_async_engine

from greenroom.catalog.v1 import catalog_service_pb2 as pb
from greenroom.error.v1.error_reason_pb2 import ErrorReason
from greenroomd.platform import errors
from greenroomd.platform.context import Call
from greenroomd.platform.errors import FieldViolation, GreenroomError, PreconditionViolation
from greenroomd.platform.failures import classify
from greenroomd.platform.status import ERROR_TYPES, SiblingCallError, from_rpc_error
from support.chained import Running, failure

GET = pb.GetModelRequest(name="namespaces/demo/models/digits")

DETAILS: dict[str, dict[str, Any]] = {
    "bare": {},
    "metadata": {"model": "namespaces/demo/models/digits"},
    "violations": {"violations": [FieldViolation("model.name", "is required"), FieldViolation("page_size", "is -1")]},
    "preconditions": {"preconditions": [PreconditionViolation("CHECK", "bias", "has not passed")]},
}


@pytest.mark.parametrize("details", DETAILS.values(), ids=DETAILS)
@pytest.mark.parametrize("error_type", ERROR_TYPES.values(), ids=lambda error_type: error_type.__name__)
async def test_every_code_with_every_kind_of_detail(
    catalog: Running, error_type: type[GreenroomError], details: dict[str, Any]
) -> None:
    catalog.raises("GetModel", error_type("MODEL_NOT_FOUND", "what was wrong, and what to do", **details))
    seen = await failure(catalog.call("GetModel", GET))
    assert seen.code.value[0] == error_type.code.value
    assert (seen.message, seen.reason, seen.domain) == (
        "what was wrong, and what to do",
        "MODEL_NOT_FOUND",
        "greenroom",
    )
    assert seen.metadata == {key: value for key, value in details.items() if isinstance(value, str)}
    assert seen.violations == {v.path: v.message for v in details.get("violations", ())}
    assert seen.preconditions == [(p.type, p.subject, p.message) for p in details.get("preconditions", ())]


def test_every_canonical_error_has_a_class() -> None:
    assert set(ERROR_TYPES) == set(errors.Code)


@pytest.mark.parametrize("details", DETAILS.values(), ids=DETAILS)
async def test_an_error_survives_the_hop_to_a_sibling(catalog: Running, details: dict[str, Any]) -> None:
    catalog.raises("GetModel", errors.FailedPrecondition("VERSION_IN_USE", "it is in use", **details))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await catalog.call("GetModel", GET)
    original = errors.FailedPrecondition("VERSION_IN_USE", "it is in use", **details)
    parsed = from_rpc_error(caught.value)
    assert type(parsed) is errors.FailedPrecondition
    for name in ("reason", "message", "metadata", "violations", "preconditions"):
        assert getattr(parsed, name) == getattr(original, name)


async def test_details_are_cut_to_what_trailers_can_carry(catalog: Running) -> None:
    violations = [FieldViolation(f"version.facts.metrics[{n}].name", "é" * 300) for n in range(100)]
    catalog.raises(
        "GetModel", errors.InvalidArgument("FIELD_INVALID", "é" * 5000, violations=violations, digests="a" * 80_000)
    )
    seen = await failure(catalog.call("GetModel", GET))
    assert (seen.code, seen.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    unmet = [PreconditionViolation("CHECK", f"check-{n}", "has not passed" * 10) for n in range(100)]
    catalog.raises("GetModel", errors.FailedPrecondition("GATES_UNMET", "not yet", preconditions=unmet))
    seen = await failure(catalog.call("GetModel", GET))
    assert seen.preconditions[0][1] == "check-0"
    assert "more are not listed" in seen.preconditions[-1][2]


class DriverError(Exception):
    """Stands for what a driver raises: only its SQLSTATE is looked at."""

    def __init__(self, sqlstate: str | None = None) -> None:
        super().__init__("secret words of a driver")
        self.sqlstate = sqlstate


def wrapped(sqlstate: str | None, **kwargs: Any) -> sqlalchemy.exc.DBAPIError:
    return sqlalchemy.exc.DBAPIError("SELECT secret", {}, DriverError(sqlstate), **kwargs)


def rpc_error(code: grpc.StatusCode) -> grpc.aio.AioRpcError:
    empty = grpc.aio.Metadata()
    return SiblingCallError(grpc.aio.AioRpcError(code, empty, empty, "secret words of a transport"), "lifecycle")


EXPECTED: list[tuple[Exception, str, str, dict[str, str]]] = [
    (wrapped("08006"), "UNAVAILABLE", "DEPENDENCY_UNAVAILABLE", {"dependency": "postgresql"}),
    (wrapped("57P01"), "UNAVAILABLE", "DEPENDENCY_UNAVAILABLE", {"dependency": "postgresql"}),
    (wrapped("57P03"), "UNAVAILABLE", "DEPENDENCY_UNAVAILABLE", {"dependency": "postgresql"}),
    (wrapped("53300"), "UNAVAILABLE", "DEPENDENCY_UNAVAILABLE", {"dependency": "postgresql"}),
    (wrapped("25006"), "UNAVAILABLE", "DEPENDENCY_UNAVAILABLE", {"dependency": "postgresql"}),
    (wrapped(None, connection_invalidated=True), "UNAVAILABLE", "DEPENDENCY_UNAVAILABLE", {"dependency": "postgresql"}),
    (sqlalchemy.exc.TimeoutError(), "UNAVAILABLE", "DEPENDENCY_UNAVAILABLE", {"dependency": "postgresql"}),
    (
        asyncpg.InterfaceError("connection is closed"),
        "UNAVAILABLE",
        "DEPENDENCY_UNAVAILABLE",
        {"dependency": "postgresql"},
    ),
    (
        asyncpg.ConnectionDoesNotExistError("secret"),
        "UNAVAILABLE",
        "DEPENDENCY_UNAVAILABLE",
        {"dependency": "postgresql"},
    ),
    (redis.exceptions.ConnectionError("secret"), "UNAVAILABLE", "DEPENDENCY_UNAVAILABLE", {"dependency": "redis"}),
    (redis.exceptions.TimeoutError("secret"), "UNAVAILABLE", "DEPENDENCY_UNAVAILABLE", {"dependency": "redis"}),
    (
        rpc_error(grpc.StatusCode.UNAVAILABLE),
        "UNAVAILABLE",
        "DEPENDENCY_UNAVAILABLE",
        {"dependency": "lifecycle"},
    ),
    (
        rpc_error(grpc.StatusCode.DEADLINE_EXCEEDED),
        "UNAVAILABLE",
        "DEPENDENCY_UNAVAILABLE",
        {"dependency": "lifecycle"},
    ),
    (rpc_error(grpc.StatusCode.UNKNOWN), "INTERNAL", "INTERNAL", {}),
    (wrapped("40001"), "ABORTED", "CONFLICT", {}),
    (wrapped("40P01"), "ABORTED", "CONFLICT", {}),
    (wrapped("55P03"), "ABORTED", "CONFLICT", {}),
    (wrapped("23505"), "ABORTED", "CONFLICT", {}),
    (wrapped("53100"), "RESOURCE_EXHAUSTED", "STORAGE_FULL", {}),
    (wrapped("42P01"), "INTERNAL", "INTERNAL", {"request_id": "the-call"}),
    (wrapped("23514"), "INTERNAL", "INTERNAL", {"request_id": "the-call"}),
    (FileNotFoundError("secret"), "INTERNAL", "INTERNAL", {"request_id": "the-call"}),
    (KeyError("secret"), "INTERNAL", "INTERNAL", {"request_id": "the-call"}),
    (TimeoutError("secret"), "INTERNAL", "INTERNAL", {"request_id": "the-call"}),
]


@pytest.mark.parametrize(("raised", "code", "reason", "metadata"), EXPECTED, ids=lambda value: repr(value)[:60])
async def test_what_a_drivers_exception_means(
    catalog: Running, raised: Exception, code: str, reason: str, metadata: dict[str, str]
) -> None:
    catalog.raises("GetModel", raised)
    seen = await failure(catalog.call("GetModel", GET, metadata=(*catalog.admin, ("x-request-id", "the-call"))))
    assert (seen.code.name, seen.reason, seen.metadata) == (code, reason, metadata)
    assert seen.reason in {name.removeprefix("ERROR_REASON_") for name in ErrorReason.keys()}  # noqa: SIM118
    assert "secret" not in f"{seen}"


async def test_a_database_that_refuses_connections_is_a_dependency() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        engine = create_async_engine(f"postgresql+asyncpg://nobody@127.0.0.1:{unused.getsockname()[1]}/none")
        with pytest.raises(OSError) as caught:
            async with engine.connect():
                pass
        await engine.dispose()
    seen = classify(caught.value, Call("/x"))
    assert (seen.reason, seen.metadata) == ("DEPENDENCY_UNAVAILABLE", {"dependency": "postgresql"})


async def test_a_handler_beyond_the_deadline_is_stopped(catalog: Running) -> None:
    stopped = asyncio.Event()

    async def slow(request: Any, context: Any) -> Any:
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()

    catalog.on("GetModel", slow)
    seen = await failure(catalog.call("GetModel", GET, timeout=0.2))
    assert seen.code is grpc.StatusCode.DEADLINE_EXCEEDED
    await asyncio.wait_for(stopped.wait(), 5)


async def test_the_correlation_id_comes_back_in_answers_and_failures(catalog: Running) -> None:
    async def id_sent_back(*extra: tuple[str, str]) -> str:
        call = catalog.call("GetModel", GET, metadata=(*catalog.admin, *extra))
        return str(dict(await call.trailing_metadata())["x-request-id"])

    assert await id_sent_back(("x-request-id", "abc-1")) == "abc-1"
    made = await id_sent_back()
    assert len(made) == 32
    for unacceptable in ("", "a b", "x" * 129):
        assert await id_sent_back(("x-request-id", unacceptable)) not in ("", unacceptable)
    catalog.raises("GetModel", errors.NotFound("MODEL_NOT_FOUND", "no"))
    assert await id_sent_back(("x-request-id", "abc-2")) == "abc-2"
