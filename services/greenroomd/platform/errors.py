"""The one error tree of the server.

    GreenroomError
    ├── InvalidArgument      the request is wrong whatever the state of the system
    ├── Unauthenticated      no usable credential
    ├── PermissionDenied     the credential does not allow this
    ├── NotFound
    ├── AlreadyExists
    ├── FailedPrecondition   the request is fine, the state of the system is not
    ├── Aborted              somebody else was faster; read again and retry
    ├── OutOfRange           a position beyond what exists
    ├── ResourceExhausted    a quota, a full disk, a slow reader
    ├── Unavailable          a dependency is away; retry
    ├── DeadlineExceeded
    ├── DataLoss             stored bytes are no longer what they were
    └── Internal             a defect

Raised in domain code without knowledge of gRPC; one interceptor turns them into `google.rpc.Status`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar


class Code(Enum):
    """Canonical codes with their gRPC numbers (google/rpc/code.proto)."""

    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One wrong request field: `google.rpc.BadRequest.FieldViolation`."""

    path: str
    """Path from the request, such as `version.facts.metrics[2].name`."""
    message: str
    """What was wrong and what is accepted."""


@dataclass(frozen=True, slots=True)
class PreconditionViolation:
    """One unmet condition: `google.rpc.PreconditionFailure.Violation`."""

    type: str
    """Kind of condition in upper case, such as `CHECK` or `APPROVAL`."""
    subject: str
    """What it is about: a resource name, a check id."""
    message: str
    """What is missing and what would meet it."""


class GreenroomError(Exception):
    """An expected failure of a call.

    `reason` is a value of `greenroom.error.v1.ErrorReason` without its prefix; keyword arguments are the metadata
    that its comment lists.
    """

    code: ClassVar[Code]

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        violations: Sequence[FieldViolation] = (),
        preconditions: Sequence[PreconditionViolation] = (),
        **metadata: str,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.metadata = metadata
        self.violations = tuple(violations)
        self.preconditions = tuple(preconditions)


class InvalidArgument(GreenroomError):
    code = Code.INVALID_ARGUMENT


class Unauthenticated(GreenroomError):
    code = Code.UNAUTHENTICATED


class PermissionDenied(GreenroomError):
    code = Code.PERMISSION_DENIED


class NotFound(GreenroomError):
    code = Code.NOT_FOUND


class AlreadyExists(GreenroomError):
    code = Code.ALREADY_EXISTS


class FailedPrecondition(GreenroomError):
    code = Code.FAILED_PRECONDITION


class Aborted(GreenroomError):
    code = Code.ABORTED


class OutOfRange(GreenroomError):
    code = Code.OUT_OF_RANGE


class ResourceExhausted(GreenroomError):
    code = Code.RESOURCE_EXHAUSTED


class Unavailable(GreenroomError):
    code = Code.UNAVAILABLE


class DeadlineExceeded(GreenroomError):
    code = Code.DEADLINE_EXCEEDED


class DataLoss(GreenroomError):
    code = Code.DATA_LOSS


class Internal(GreenroomError):
    code = Code.INTERNAL


def conflict(
    message: str = "another writer changed the same thing at this moment; nothing was written, try again",
) -> Aborted:
    """Return the error for a writer that lost against another one."""
    return Aborted("CONFLICT", message)


def field_invalid(*violations: FieldViolation) -> InvalidArgument:
    """Return the error for violated request fields, all at once; the message names the first."""
    first = violations[0]
    more = f" ({len(violations) - 1} more)" if len(violations) > 1 else ""
    return InvalidArgument("FIELD_INVALID", f"{first.path}: {first.message}{more}", violations=violations)
