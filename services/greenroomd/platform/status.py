"""Errors on the wire, both ways: `GreenroomError` to `google.rpc.Status` in a server, and back in its callers.

So an error survives the hop between two services: same code, same reason, same details.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from greenroomd.platform import errors
from greenroomd.platform.errors import Code, FieldViolation, GreenroomError, PreconditionViolation

DOMAIN = "greenroom"
"""`ErrorInfo.domain` of every error of ours."""

BUDGET = 5000
"""Most bytes of message and details together: peers refuse trailers above 8 KiB, and the message is sent twice."""

LONGEST_MESSAGE = 800
LONGEST_VALUE = 512

ERROR_TYPES: dict[Code, type[GreenroomError]] = {
    error_type.code: error_type
    for error_type in (
        errors.InvalidArgument,
        errors.DeadlineExceeded,
        errors.NotFound,
        errors.AlreadyExists,
        errors.PermissionDenied,
        errors.ResourceExhausted,
        errors.FailedPrecondition,
        errors.Aborted,
        errors.OutOfRange,
        errors.Internal,
        errors.Unavailable,
        errors.DataLoss,
        errors.Unauthenticated,
    )
}

CREDENTIAL_CODES = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)

Metadata = Sequence[tuple[str, str | bytes]]


def to_status(error: GreenroomError) -> status_pb2.Status:
    """Return the status of an error, with as many of its violations as fit; a last one says how many were left out."""
    message = _cut(error.message, LONGEST_MESSAGE)
    status = status_pb2.Status(code=error.code.value, message=message)
    info = error_details_pb2.ErrorInfo(domain=DOMAIN, reason=error.reason)
    used = len(quote(message)) + len(message.encode())
    for key, value in error.metadata.items():
        cut = _cut(str(value), LONGEST_VALUE)
        if used + len(key) + len(cut.encode()) < BUDGET // 2:
            info.metadata[key] = cut
            used += len(key) + len(cut.encode()) + 8
    _pack(status, info)
    if error.violations:
        _pack(status, _bad_request(error.violations, BUDGET - used))
    if error.preconditions:
        _pack(status, _precondition_failure(error.preconditions, BUDGET - used))
    return status


def _bad_request(violations: Sequence[FieldViolation], budget: int) -> error_details_pb2.BadRequest:
    detail = error_details_pb2.BadRequest()
    for sent, violation in enumerate(violations):
        path, message = _cut(violation.path, LONGEST_VALUE), _cut(violation.message, LONGEST_VALUE)
        budget -= len(path.encode()) + len(message.encode()) + 8
        if budget < 0:
            rest = f"{len(violations) - sent} more violations are not listed"
            detail.field_violations.add(field="", description=rest)
            break
        detail.field_violations.add(field=path, description=message)
    return detail


def _precondition_failure(
    preconditions: Sequence[PreconditionViolation], budget: int
) -> error_details_pb2.PreconditionFailure:
    detail = error_details_pb2.PreconditionFailure()
    for sent, unmet in enumerate(preconditions):
        subject, message = _cut(unmet.subject, LONGEST_VALUE), _cut(unmet.message, LONGEST_VALUE)
        budget -= len(unmet.type) + len(subject.encode()) + len(message.encode()) + 12
        if budget < 0:
            rest = f"{len(preconditions) - sent} more are not listed"
            detail.violations.add(type="MORE", description=rest)
            break
        detail.violations.add(type=unmet.type, subject=subject, description=message)
    return detail


def _pack(status: status_pb2.Status, detail: Message) -> None:
    packed: AnyMessage = status.details.add()
    packed.Pack(detail)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


class SiblingCallError(grpc.aio.AioRpcError):
    """A failed call to another service, which knows to which. Raised by the channels of `Channels`."""

    def __init__(self, error: grpc.aio.AioRpcError, dependency: str) -> None:
        super().__init__(
            error.code(),
            error.initial_metadata(),
            error.trailing_metadata(),
            error.details(),
            error.debug_error_string(),
        )
        self.dependency = dependency


def from_rpc_error(error: grpc.aio.AioRpcError, dependency: str = "") -> GreenroomError:
    """Return the error that a failed call to another service stands for.

    What that service raised comes back as it was. A service that cannot be reached, or that refuses this one's own
    credential, is `Unavailable` with DEPENDENCY_UNAVAILABLE: the caller's request and token were fine.

    Args:
        error: what the call raised.
        dependency: the service that was called; known from the error when the channel came from `Channels`.
    """
    name = getattr(error, "dependency", "") or dependency or "another service"
    code = error.code()
    if code in CREDENTIAL_CODES and reason_of(error) in ("TOKEN_MISSING", "TOKEN_INVALID", "PERMISSION_MISSING"):
        return dependency_unavailable(name, f"{name} refused this service's own credential")
    status = _details(error)
    if status is not None:
        return _from_status(status)
    if code is grpc.StatusCode.UNAVAILABLE:
        return dependency_unavailable(name)
    if code in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED):
        return dependency_unavailable(name, f"{name} did not answer in time")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return errors.ResourceExhausted("MESSAGE_TOO_LARGE", f"a message between this service and {name} is too large")
    return errors.Internal("INTERNAL", f"{name} failed with {code.name}")


def dependency_unavailable(dependency: str, what: str = "") -> errors.Unavailable:
    """Return the error for a dependency that does not answer."""
    return errors.Unavailable(
        "DEPENDENCY_UNAVAILABLE",
        f"{what or f'{dependency} cannot be reached'}; nothing was written, try again",
        dependency=dependency,
    )


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """Return the reason that a failed call carries; empty when it carries none of ours."""
    status = _details(error)
    return "" if status is None else _info(status).reason


def _details(error: grpc.aio.AioRpcError) -> status_pb2.Status | None:
    """The status in the trailers, if it is one of ours."""
    call: Any = error
    try:
        status: status_pb2.Status | None = rpc_status.from_call(call)
    except ValueError:  # the trailers contradict the code: some proxy's doing
        return None
    return status if status is not None and _info(status).domain == DOMAIN else None


def _info(status: status_pb2.Status) -> error_details_pb2.ErrorInfo:
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        if detail.Unpack(info):
            break
    return info


def _from_status(status: status_pb2.Status) -> GreenroomError:
    info = _info(status)
    violations: list[FieldViolation] = []
    preconditions: list[PreconditionViolation] = []
    bad_request, failure = error_details_pb2.BadRequest(), error_details_pb2.PreconditionFailure()
    for detail in status.details:
        if detail.Unpack(bad_request):
            violations += [FieldViolation(v.field, v.description) for v in bad_request.field_violations]
        elif detail.Unpack(failure):
            preconditions += [PreconditionViolation(v.type, v.subject, v.description) for v in failure.violations]
    try:
        error_type = ERROR_TYPES[Code(status.code)]
    except ValueError:
        error_type = errors.Internal
    error = error_type(info.reason, status.message, violations=violations, preconditions=preconditions)
    error.metadata = dict(info.metadata)
    return error
