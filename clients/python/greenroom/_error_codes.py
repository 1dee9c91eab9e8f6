"""The base of all exceptions and one class for each canonical code. `greenroom.errors` draws the tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import grpc


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One wrong request field."""

    path: str
    """Path from the request, such as `version.facts.metrics[2].name`."""
    message: str
    """What was wrong and what is accepted."""


@dataclass(frozen=True, slots=True)
class PreconditionViolation:
    """One unmet condition."""

    type: str
    """Kind of condition, such as `CHECK` or `APPROVAL`."""
    subject: str
    """What it is about: a resource name, a check id."""
    message: str
    """What is missing and what would meet it."""


class GreenroomError(Exception):
    """A call that failed.

    Attributes:
        code: the canonical code.
        reason: a value of `greenroom.error.v1.ErrorReason` without its prefix, such as `MODEL_NOT_FOUND`; empty when
            the failure happened before a Greenroom service could say why.
        message: what was wrong, what was expected and what to do.
        metadata: the dynamic parts of the message; the enum's comments list the keys of each reason.
        violations: every wrong request field.
        preconditions: every unmet condition.
    """

    CODE: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNKNOWN
    REASON: ClassVar[str] = ""

    def __init__(
        self,
        message: str,
        *,
        reason: str | None = None,
        code: grpc.StatusCode | None = None,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[FieldViolation] = (),
        preconditions: Sequence[PreconditionViolation] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = self.REASON if reason is None else reason
        self.code = code or self.CODE
        self.metadata = dict(metadata or {})
        self.violations = tuple(violations)
        self.preconditions = tuple(preconditions)


class InvalidArgument(GreenroomError):
    """The request is wrong whatever the state of the system."""

    CODE = grpc.StatusCode.INVALID_ARGUMENT


class Unauthenticated(GreenroomError):
    """There is no usable credential."""

    CODE = grpc.StatusCode.UNAUTHENTICATED


class PermissionDenied(GreenroomError):
    """The credential does not allow this."""

    CODE = grpc.StatusCode.PERMISSION_DENIED


class NotFound(GreenroomError):
    """What the request names does not exist."""

    CODE = grpc.StatusCode.NOT_FOUND


class AlreadyExists(GreenroomError):
    """What the request would create exists."""

    CODE = grpc.StatusCode.ALREADY_EXISTS


class FailedPrecondition(GreenroomError):
    """The request is fine, the state of the system is not."""

    CODE = grpc.StatusCode.FAILED_PRECONDITION


class Aborted(GreenroomError):
    """Somebody else was faster; read again and retry."""

    CODE = grpc.StatusCode.ABORTED


class OutOfRange(GreenroomError):
    """A position beyond what exists."""

    CODE = grpc.StatusCode.OUT_OF_RANGE


class ResourceExhausted(GreenroomError):
    """A quota, a full disk or a slow reader."""

    CODE = grpc.StatusCode.RESOURCE_EXHAUSTED


class Unavailable(GreenroomError):
    """The server, or something it needs, cannot be reached."""

    CODE = grpc.StatusCode.UNAVAILABLE


class DeadlineExceeded(GreenroomError):
    """The answer did not come in time; whether the server acted is unknown."""

    CODE = grpc.StatusCode.DEADLINE_EXCEEDED


class DataLoss(GreenroomError):
    """Bytes are not what they were."""

    CODE = grpc.StatusCode.DATA_LOSS


class Internal(GreenroomError):
    """A defect of the server; its log has the details under the request id."""

    CODE = grpc.StatusCode.INTERNAL


class Unimplemented(GreenroomError):
    """The server does not know the call: it is older than this client, or not Greenroom."""

    CODE = grpc.StatusCode.UNIMPLEMENTED


class Cancelled(GreenroomError):
    """The call was cancelled."""

    CODE = grpc.StatusCode.CANCELLED


BY_CODE: dict[grpc.StatusCode, type[GreenroomError]] = {
    kind.CODE: kind
    for kind in (
        InvalidArgument,
        Unauthenticated,
        PermissionDenied,
        NotFound,
        AlreadyExists,
        FailedPrecondition,
        Aborted,
        OutOfRange,
        ResourceExhausted,
        Unavailable,
        DeadlineExceeded,
        DataLoss,
        Internal,
        Unimplemented,
        Cancelled,
    )
}
"""The class of each canonical code."""


class CredentialsMissing(Unauthenticated):
    """No server or no token was given, and none was found."""


class CredentialsUnsafe(Unauthenticated):
    """A file with a token can be read by other users of this machine."""


class DigestMismatch(DataLoss):
    """Received bytes do not have the announced digest or size. Nothing of them was given a name."""
