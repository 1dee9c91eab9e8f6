"""Turns a failed gRPC call into the exception of its reason."""

from __future__ import annotations

import re
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from grpc.aio import AioRpcError

from greenroom.errors import (
    BY_CODE,
    BY_REASON,
    FieldViolation,
    GreenroomError,
    PreconditionViolation,
)

_STATUS_KEY = "grpc-status-details-bin"

# What gRPC says before the cause; the address is in our own sentence.
_ATTEMPTS = re.compile(r"^failed to connect to all addresses; last error: (?:[A-Z_]+: )?(?:ipv[46]:\S+: )?")


def from_rpc_error(error: AioRpcError, server: str) -> GreenroomError:
    """Return the exception for a call to `server` that failed with `error`.

    Classes come from the reason; without a reason that this client knows, from the canonical code.
    """
    code = error.code()
    message = error.details() or ""
    reason = ""
    metadata: dict[str, str] = {}
    violations: list[FieldViolation] = []
    preconditions: list[PreconditionViolation] = []
    for detail in _details(error):
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo()
            detail.Unpack(info)
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            bad_request = error_details_pb2.BadRequest()
            detail.Unpack(bad_request)
            violations += [FieldViolation(one.field, one.description) for one in bad_request.field_violations]
        elif detail.Is(error_details_pb2.PreconditionFailure.DESCRIPTOR):
            failure = error_details_pb2.PreconditionFailure()
            detail.Unpack(failure)
            preconditions += [
                PreconditionViolation(one.type, one.subject, one.description) for one in failure.violations
            ]
    if not reason:
        reason, message = _explained(code, message, server)
    kind = BY_REASON.get(reason) or BY_CODE.get(code, GreenroomError)
    return kind(
        message,
        reason=reason,
        code=code,
        metadata=metadata,
        violations=violations,
        preconditions=preconditions,
    )


def _details(error: AioRpcError) -> list[Any]:
    for key, value in error.trailing_metadata() or ():
        if key == _STATUS_KEY and isinstance(value, bytes):
            try:
                return list(status_pb2.Status.FromString(value).details)
            except DecodeError:
                break  # what it would have said is lost; code and message still hold
    return []


def _explained(code: grpc.StatusCode, message: str, server: str) -> tuple[str, str]:
    """Return reason and message for a failure that no Greenroom service described."""
    if code is grpc.StatusCode.UNAVAILABLE:
        cause = _ATTEMPTS.sub("", message)
        return "", f"cannot reach Greenroom at {server} ({cause}): is it running? `greenroom up` starts one here"
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return "DEADLINE_EXCEEDED", f"{server} did not answer in time; whether it acted is unknown, repeating is safe"
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in message:
        return "MESSAGE_TOO_LARGE", f"a message is larger than the receiver accepts ({message})"
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return "", f"{server} does not know this call ({message}): it is older than this client, or not Greenroom"
    return "", message or code.name
