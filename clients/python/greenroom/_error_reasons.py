"""One exception class for each reason that a server gives. `greenroom.errors` draws the tree."""

from __future__ import annotations

from greenroom._error_codes import (
    Aborted,
    AlreadyExists,
    DataLoss,
    DeadlineExceeded,
    FailedPrecondition,
    GreenroomError,
    Internal,
    InvalidArgument,
    NotFound,
    OutOfRange,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
)


class UnsafePath(InvalidArgument):
    """A file name, or a kind of file, that no artifact may carry. Metadata: `path`, `problem`."""

    REASON = "FILE_PATH_UNSAFE"


class FieldInvalid(InvalidArgument):
    """A request field is missing or malformed. `BadRequest` lists every violated field path."""

    REASON = "FIELD_INVALID"


class PageTokenInvalid(InvalidArgument):
    """A page token that this server did not issue for this request."""

    REASON = "PAGE_TOKEN_INVALID"


class RequestIdReused(InvalidArgument):
    """The same `request_id` came before with another request. Metadata: `request_id`, `method`."""

    REASON = "REQUEST_ID_REUSED"


class MessageTooLarge(ResourceExhausted):
    """A message is larger than the server accepts. Sent by the transport, without details."""

    REASON = "MESSAGE_TOO_LARGE"


class DependencyUnavailable(Unavailable):
    """A dependency cannot be reached; repeat the call with the same request id. Metadata: `dependency`."""

    REASON = "DEPENDENCY_UNAVAILABLE"


class Conflict(Aborted):
    """Two writers met and this one lost; nothing was written; read again and retry."""

    REASON = "CONFLICT"


class EtagStale(Aborted):
    """The resource changed since the caller read it. Metadata: `resource`, `etag` sent, `current_etag`."""

    REASON = "ETAG_STALE"


class RevisionAhead(OutOfRange):
    """`min_revision` is beyond this log. Metadata: `min_revision`, `revision`."""

    REASON = "REVISION_AHEAD"


class TokenMissing(Unauthenticated):
    """The call carries no bearer token."""

    REASON = "TOKEN_MISSING"


class TokenInvalid(Unauthenticated):
    """The token is malformed, unknown, revoked or expired; which one is not said."""

    REASON = "TOKEN_INVALID"


class PermissionMissing(PermissionDenied):
    """The principal does not hold the permission. Metadata: `permission`, `principal`."""

    REASON = "PERMISSION_MISSING"


class WatchTokenForeign(InvalidArgument):
    """The resume token belongs to another log: another installation or service. Metadata: `service`."""

    REASON = "WATCH_TOKEN_FOREIGN"


class WatchPositionAhead(OutOfRange):
    """The watch would start beyond the end of the log. Metadata: `after_revision`, `revision`."""

    REASON = "WATCH_POSITION_AHEAD"


class WatchPositionExpired(OutOfRange):
    """The watch would start before the oldest change that is kept. Metadata: `oldest_revision`."""

    REASON = "WATCH_POSITION_EXPIRED"


class WatchTokenMalformed(InvalidArgument):
    """The resume token is malformed."""

    REASON = "WATCH_TOKEN_MALFORMED"


class WatcherTooSlow(ResourceExhausted):
    """The subscriber reads slower than changes happen; resume from its last token.

    Metadata: `resume_token`.
    """

    REASON = "WATCHER_TOO_SLOW"


class NamespaceNotFound(NotFound):
    """The namespace does not exist. Metadata: `namespace`."""

    REASON = "NAMESPACE_NOT_FOUND"


class NamespaceExists(AlreadyExists):
    """The namespace exists. Metadata: `namespace`."""

    REASON = "NAMESPACE_EXISTS"


class ModelNotFound(NotFound):
    """The model does not exist. Metadata: `model`."""

    REASON = "MODEL_NOT_FOUND"


class ModelExists(AlreadyExists):
    """The model exists. Metadata: `model`."""

    REASON = "MODEL_EXISTS"


class ModelRenamed(NotFound):
    """The model was renamed, and its former name no longer leads to it. Metadata: `model`, `current_name`."""

    REASON = "MODEL_RENAMED"


class VersionNotFound(NotFound):
    """The version does not exist. Metadata: `version`."""

    REASON = "VERSION_NOT_FOUND"


class VersionDeleted(NotFound):
    """The version existed and was deleted. Metadata: `version`, `delete_time`, `deleted_by`."""

    REASON = "VERSION_DELETED"


class SemverTaken(AlreadyExists):
    """Another version of the model carries this semantic version. Metadata: `semver`, `version`."""

    REASON = "SEMVER_TAKEN"


class ArtifactRegistered(AlreadyExists):
    """A version of the model has the same artifact. Metadata: `artifact_digest`, `version`."""

    REASON = "ARTIFACT_REGISTERED"


class VersionInUse(FailedPrecondition):
    """The version holds a stage or an alias and cannot be deleted.

    Metadata: `version`, `stage`, `aliases`.
    """

    REASON = "VERSION_IN_USE"


class ArtifactMissing(FailedPrecondition):
    """No committed artifact with this digest in the namespace. Metadata: `namespace`, `digest`."""

    REASON = "ARTIFACT_MISSING"


class ArtifactNotFound(NotFound):
    """The namespace has no such artifact. Metadata: `artifact`."""

    REASON = "ARTIFACT_NOT_FOUND"


class BlobNotFound(NotFound):
    """The namespace holds no reference to this blob. Metadata: `digest`."""

    REASON = "BLOB_NOT_FOUND"


class BlobMissing(FailedPrecondition):
    """The manifest names blobs that were not uploaded. Metadata: `digests`."""

    REASON = "BLOB_MISSING"


class UploadNotFound(NotFound):
    """The upload session is unknown, finished or expired. Metadata: `upload`."""

    REASON = "UPLOAD_NOT_FOUND"


class UploadOffsetMismatch(OutOfRange):
    """Bytes were sent for another offset than the committed one. Metadata: `offset`, `committed_size`."""

    REASON = "UPLOAD_OFFSET_MISMATCH"


class UploadDigestMismatch(InvalidArgument):
    """The uploaded bytes do not have the announced digest or size. Metadata: `expected`, `actual`."""

    REASON = "DIGEST_MISMATCH"


class ManifestInvalid(InvalidArgument):
    """The manifest is not an OCI image manifest as CNCF ModelPack describes it. Metadata: `problem`."""

    REASON = "MANIFEST_INVALID"


class BlobCorrupt(DataLoss):
    """Stored bytes no longer have their digest. Metadata: `digest`."""

    REASON = "BLOB_CORRUPT"


class ReadOutOfRange(OutOfRange):
    """A read starts beyond the end of the blob. Metadata: `offset`, `size`."""

    REASON = "READ_OUT_OF_RANGE"


class StorageFull(ResourceExhausted):
    """The blob store has no space left; nothing was acknowledged."""

    REASON = "STORAGE_FULL"


class StageUnknown(FailedPrecondition):
    """The namespace's stage graph has no such stage. Metadata: `stage`, `known_stages`."""

    REASON = "STAGE_UNKNOWN"


class StageEdgeMissing(FailedPrecondition):
    """The stage graph has no edge for this move. Metadata: `from_stage`, `to_stage`, `reachable`."""

    REASON = "STAGE_EDGE_MISSING"


class StageUnchanged(FailedPrecondition):
    """The version is in the target stage already. Metadata: `version`, `stage`."""

    REASON = "STAGE_UNCHANGED"


class ExpectedVersionMismatch(Aborted):
    """The stage or alias holds another version than the caller expected.

    Metadata: `expected_version`, `current_version`.
    """

    REASON = "EXPECTED_VERSION_MISMATCH"


class TransitionNotFound(NotFound):
    """The transition does not exist. Metadata: `transition`."""

    REASON = "TRANSITION_NOT_FOUND"


class TransitionClosed(FailedPrecondition):
    """The transition is no longer pending. Metadata: `transition`, `state`."""

    REASON = "TRANSITION_CLOSED"


class SelfApproval(PermissionDenied):
    """The requester or the version's author tried to approve. Metadata: `transition`, `principal`."""

    REASON = "SELF_APPROVAL"


class NothingToRollBackTo(FailedPrecondition):
    """No earlier holder of the stage to return to. Metadata: `model`, `stage`."""

    REASON = "NOTHING_TO_ROLL_BACK_TO"


class StageGraphInvalid(FailedPrecondition):
    """The stage graph contradicts itself or drops a stage in use. `PreconditionFailure` lists each problem."""

    REASON = "STAGE_GRAPH_INVALID"


class AliasReserved(InvalidArgument):
    """The alias name is reserved: a stage, `latest`, a number or a digest. Metadata: `alias`."""

    REASON = "ALIAS_RESERVED"


class AliasNotFound(NotFound):
    """The alias does not exist. Metadata: `alias`."""

    REASON = "ALIAS_NOT_FOUND"


class SelectorMalformed(InvalidArgument):
    """The selector cannot be read. Metadata: `selector`, `position` (0-based), `problem`."""

    REASON = "SELECTOR_MALFORMED"


class SelectorUnresolved(NotFound):
    """The selector is well formed and names nothing. Metadata: `selector`."""

    REASON = "SELECTOR_UNRESOLVED"


class TransitionOpen(AlreadyExists):
    """The version has an open transition to this stage. Metadata: `transition`."""

    REASON = "TRANSITION_OPEN"


class StageFull(FailedPrecondition):
    """The target stage is full and names no stage for displaced versions.

    Metadata: `stage`, `capacity`, `holders`.
    """

    REASON = "STAGE_FULL"


class GatesUnmet(FailedPrecondition):
    """Gates that the operation needs are unmet; `PreconditionFailure` lists each.

    Metadata: `version`, `stage`.
    """

    REASON = "GATES_UNMET"


class FilterMalformed(InvalidArgument):
    """The search filter cannot be read. Metadata: `position` (0-based), `problem`."""

    REASON = "FILTER_MALFORMED"


class OrderMalformed(InvalidArgument):
    """The sort order cannot be read. Metadata: `position` (0-based), `problem`."""

    REASON = "ORDER_MALFORMED"


class IndexBehind(Unavailable):
    """The index has not reached the revision asked for within the deadline.

    Metadata: `service`, `min_revision`, `revision`.
    """

    REASON = "INDEX_BEHIND"


def _with_reason(kind: type[GreenroomError]) -> list[type[GreenroomError]]:
    found = [kind] if kind.REASON else []
    return found + [deeper for child in kind.__subclasses__() for deeper in _with_reason(child)]


BY_REASON: dict[str, type[GreenroomError]] = {
    **{kind.REASON: kind for kind in _with_reason(GreenroomError)},
    "INTERNAL": Internal,
    "DEADLINE_EXCEEDED": DeadlineExceeded,
}
"""The class of each value of `greenroom.error.v1.ErrorReason`, without its prefix."""
