"""Failed calls as exceptions: by reason, else by canonical code."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc.aio import AioRpcError, Metadata

from greenroom import errors
from greenroom._failures import from_rpc_error
from greenroom.cli.exit_codes import exit_code
from greenroom.error.v1.error_reason_pb2 import ErrorReason

REASONS = [value.name.removeprefix("ERROR_REASON_") for value in ErrorReason.DESCRIPTOR.values if value.number]


def failed(code: grpc.StatusCode, message: str = "", *details: object, raw: bytes | None = None) -> AioRpcError:
    status = status_pb2.Status(code=code.value[0], message=message)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)  # type: ignore[arg-type]
        status.details.append(packed)
    trailing = Metadata()
    if details or raw is not None:
        trailing.add("grpc-status-details-bin", status.SerializeToString() if raw is None else raw)
    return AioRpcError(code, Metadata(), trailing, details=message)


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_has_a_class(reason: str) -> None:
    assert reason in errors.BY_REASON, f"add a class for {reason} to _error_reasons.py"
    assert getattr(errors, errors.BY_REASON[reason].__name__) is errors.BY_REASON[reason]


def test_no_class_is_of_a_reason_that_does_not_exist() -> None:
    assert set(errors.BY_REASON) == set(REASONS)


def test_every_class_is_exported_and_drawn_in_the_tree() -> None:
    assert errors.__doc__
    for name in errors.__all__:
        if isinstance(getattr(errors, name), type) and issubclass(getattr(errors, name), errors.GreenroomError):
            assert name in errors.__doc__


@pytest.mark.parametrize("reason", REASONS)
def test_a_class_has_the_code_that_the_contract_gives_the_reason(reason: str) -> None:
    info = error_details_pb2.ErrorInfo(reason=reason, domain="greenroom", metadata={"model": "demo/digits"})
    kind = errors.BY_REASON[reason]
    error = from_rpc_error(failed(kind.CODE, "what to do", info), "server:1")
    assert type(error) is kind
    assert (error.reason, error.code, error.message) == (reason, kind.CODE, "what to do")
    assert error.metadata == {"model": "demo/digits"}


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_without_a_reason_the_code_decides(code: grpc.StatusCode) -> None:
    error = from_rpc_error(failed(code, "something"), "server:1")
    known = errors.BY_CODE.get(code, errors.GreenroomError)
    assert isinstance(error, known)
    assert error.code is code
    assert error.message


def test_a_reason_of_a_newer_server_falls_back_to_its_code() -> None:
    info = error_details_pb2.ErrorInfo(reason="INVENTED_LATER")
    error = from_rpc_error(failed(grpc.StatusCode.ABORTED, "later", info), "server:1")
    assert type(error) is errors.Aborted
    assert error.reason == "INVENTED_LATER"


def test_violations_and_preconditions_come_along() -> None:
    bad = error_details_pb2.BadRequest()
    bad.field_violations.add(field="version.facts.metrics[2].name", description="no spaces")
    unmet = error_details_pb2.PreconditionFailure()
    unmet.violations.add(type="CHECK", subject="bias-test", description="has not run")
    error = from_rpc_error(failed(grpc.StatusCode.FAILED_PRECONDITION, "gates", bad, unmet), "server:1")
    assert error.violations == (errors.FieldViolation("version.facts.metrics[2].name", "no spaces"),)
    assert error.preconditions == (errors.PreconditionViolation("CHECK", "bias-test", "has not run"),)


def test_details_that_cannot_be_read_do_not_hide_the_failure() -> None:
    error = from_rpc_error(failed(grpc.StatusCode.NOT_FOUND, "gone", raw=b"\xff\xff\xff"), "server:1")
    assert type(error) is errors.NotFound
    assert error.message == "gone"


def test_an_unreachable_server_is_named_with_what_to_do() -> None:
    error = from_rpc_error(failed(grpc.StatusCode.UNAVAILABLE, "connection refused"), "127.0.0.1:7766")
    assert "127.0.0.1:7766" in error.message
    assert "greenroom up" in error.message


def test_the_transports_size_limit_has_its_reason() -> None:
    error = from_rpc_error(failed(grpc.StatusCode.RESOURCE_EXHAUSTED, "Received message larger than max"), "s")
    assert type(error) is errors.MessageTooLarge


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.InvalidArgument, 2),
        (errors.SelectorMalformed, 2),
        (errors.RevisionAhead, 2),
        (errors.ModelNotFound, 3),
        (errors.SelectorUnresolved, 3),
        (errors.GatesUnmet, 4),
        (errors.StageEdgeMissing, 4),
        (errors.EtagStale, 5),
        (errors.ModelExists, 5),
        (errors.SelfApproval, 6),
        (errors.TokenInvalid, 6),
        (errors.CredentialsMissing, 6),
        (errors.Unavailable, 7),
        (errors.DeadlineExceeded, 7),
        (errors.DigestMismatch, 8),
        (errors.UnsafePath, 8),
        (errors.ManifestInvalid, 8),
        (errors.StorageFull, 9),
        (errors.Internal, 1),
        (errors.Unimplemented, 1),
        (errors.GreenroomError, 1),
    ],
)
def test_exit_codes_follow_the_class(kind: type[errors.GreenroomError], code: int) -> None:
    assert exit_code(kind("x")) == code
