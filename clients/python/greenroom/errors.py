"""What can go wrong, as exceptions.

    GreenroomError                    everything below; carries code, reason, metadata, violations, preconditions
    ├── InvalidArgument               the request is wrong whatever the state of the system
    │   ├── FieldInvalid  PageTokenInvalid  RequestIdReused  AliasReserved  SelectorMalformed  FilterMalformed
    │   │   OrderMalformed  ManifestInvalid  UploadDigestMismatch  WatchTokenForeign  WatchTokenMalformed
    │   └── UnsafePath                a file name or a kind of file that no artifact may carry; also found locally
    ├── Unauthenticated               no usable credential
    │   ├── TokenMissing  TokenInvalid
    │   └── CredentialsMissing  CredentialsUnsafe                  found locally, before any call
    ├── PermissionDenied              the credential does not allow this
    │   └── PermissionMissing  SelfApproval
    ├── NotFound
    │   └── NamespaceNotFound  ModelNotFound  ModelRenamed  VersionNotFound  VersionDeleted  ArtifactNotFound
    │       BlobNotFound  UploadNotFound  TransitionNotFound  AliasNotFound  SelectorUnresolved
    ├── AlreadyExists
    │   └── NamespaceExists  ModelExists  SemverTaken  ArtifactRegistered  TransitionOpen
    ├── FailedPrecondition            the request is fine, the state of the system is not
    │   └── ArtifactMissing  BlobMissing  VersionInUse  StageUnknown  StageEdgeMissing  StageUnchanged  StageFull
    │       StageGraphInvalid  TransitionClosed  NothingToRollBackTo  GatesUnmet
    ├── Aborted                       somebody else was faster: read again and retry
    │   └── Conflict  EtagStale  ExpectedVersionMismatch
    ├── OutOfRange                    a position beyond what exists
    │   └── RevisionAhead  WatchPositionAhead  WatchPositionExpired  UploadOffsetMismatch  ReadOutOfRange
    ├── ResourceExhausted             a quota, a full disk, a slow reader
    │   └── MessageTooLarge  StorageFull  WatcherTooSlow
    ├── Unavailable                   the server or a dependency of it is away; the SDK has retried already
    │   └── DependencyUnavailable  IndexBehind
    ├── DeadlineExceeded
    ├── DataLoss                      bytes are not what they were
    │   ├── BlobCorrupt               found by the server
    │   └── DigestMismatch            found here: received bytes do not have the announced digest or size
    ├── Internal                      a defect of the server
    ├── Unimplemented                 the server is older than this client
    └── Cancelled

A server that is newer than this client may send a reason without a class here; the exception is then the one of its
canonical code, with `reason` as it came.
"""

from __future__ import annotations

from greenroom._error_codes import (
    BY_CODE,
    Aborted,
    AlreadyExists,
    Cancelled,
    CredentialsMissing,
    CredentialsUnsafe,
    DataLoss,
    DeadlineExceeded,
    DigestMismatch,
    FailedPrecondition,
    FieldViolation,
    GreenroomError,
    Internal,
    InvalidArgument,
    NotFound,
    OutOfRange,
    PermissionDenied,
    PreconditionViolation,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)
from greenroom._error_reasons import (
    BY_REASON,
    AliasNotFound,
    AliasReserved,
    ArtifactMissing,
    ArtifactNotFound,
    ArtifactRegistered,
    BlobCorrupt,
    BlobMissing,
    BlobNotFound,
    Conflict,
    DependencyUnavailable,
    EtagStale,
    ExpectedVersionMismatch,
    FieldInvalid,
    FilterMalformed,
    GatesUnmet,
    IndexBehind,
    ManifestInvalid,
    MessageTooLarge,
    ModelExists,
    ModelNotFound,
    ModelRenamed,
    NamespaceExists,
    NamespaceNotFound,
    NothingToRollBackTo,
    OrderMalformed,
    PageTokenInvalid,
    PermissionMissing,
    ReadOutOfRange,
    RequestIdReused,
    RevisionAhead,
    SelectorMalformed,
    SelectorUnresolved,
    SelfApproval,
    SemverTaken,
    StageEdgeMissing,
    StageFull,
    StageGraphInvalid,
    StageUnchanged,
    StageUnknown,
    StorageFull,
    TokenInvalid,
    TokenMissing,
    TransitionClosed,
    TransitionNotFound,
    TransitionOpen,
    UnsafePath,
    UploadDigestMismatch,
    UploadNotFound,
    UploadOffsetMismatch,
    VersionDeleted,
    VersionInUse,
    VersionNotFound,
    WatcherTooSlow,
    WatchPositionAhead,
    WatchPositionExpired,
    WatchTokenForeign,
    WatchTokenMalformed,
)

__all__ = [
    "BY_CODE",
    "BY_REASON",
    "Aborted",
    "AliasNotFound",
    "AliasReserved",
    "AlreadyExists",
    "ArtifactMissing",
    "ArtifactNotFound",
    "ArtifactRegistered",
    "BlobCorrupt",
    "BlobMissing",
    "BlobNotFound",
    "Cancelled",
    "Conflict",
    "CredentialsMissing",
    "CredentialsUnsafe",
    "DataLoss",
    "DeadlineExceeded",
    "DependencyUnavailable",
    "DigestMismatch",
    "EtagStale",
    "ExpectedVersionMismatch",
    "FailedPrecondition",
    "FieldInvalid",
    "FieldViolation",
    "FilterMalformed",
    "GatesUnmet",
    "GreenroomError",
    "IndexBehind",
    "Internal",
    "InvalidArgument",
    "ManifestInvalid",
    "MessageTooLarge",
    "ModelExists",
    "ModelNotFound",
    "ModelRenamed",
    "NamespaceExists",
    "NamespaceNotFound",
    "NotFound",
    "NothingToRollBackTo",
    "OrderMalformed",
    "OutOfRange",
    "PageTokenInvalid",
    "PermissionDenied",
    "PermissionMissing",
    "PreconditionViolation",
    "ReadOutOfRange",
    "RequestIdReused",
    "ResourceExhausted",
    "RevisionAhead",
    "SelectorMalformed",
    "SelectorUnresolved",
    "SelfApproval",
    "SemverTaken",
    "StageEdgeMissing",
    "StageFull",
    "StageGraphInvalid",
    "StageUnchanged",
    "StageUnknown",
    "StorageFull",
    "TokenInvalid",
    "TokenMissing",
    "TransitionClosed",
    "TransitionNotFound",
    "TransitionOpen",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "UnsafePath",
    "UploadDigestMismatch",
    "UploadNotFound",
    "UploadOffsetMismatch",
    "VersionDeleted",
    "VersionInUse",
    "VersionNotFound",
    "WatchPositionAhead",
    "WatchPositionExpired",
    "WatchTokenForeign",
    "WatchTokenMalformed",
    "WatcherTooSlow",
]
