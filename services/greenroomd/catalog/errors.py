"""What can go wrong in the catalog, each with its reason, its metadata and what to do next."""

from __future__ import annotations

from datetime import datetime

from greenroomd.platform.errors import AlreadyExists, FailedPrecondition, NotFound
from greenroomd.platform.service import FormerNameMet


class NamespaceNotFound(NotFound):
    def __init__(self, name: str) -> None:
        super().__init__(
            "NAMESPACE_NOT_FOUND",
            f"there is no {name}; check the spelling, or create it with CreateNamespace",
            namespace=name,
        )


class NamespaceExists(AlreadyExists):
    def __init__(self, name: str) -> None:
        super().__init__("NAMESPACE_EXISTS", f"{name} exists already; use it, or choose another id", namespace=name)


class ModelNotFound(NotFound):
    def __init__(self, name: str) -> None:
        super().__init__(
            "MODEL_NOT_FOUND",
            f"there is no {name}; check the spelling, or create it with CreateModel",
            model=name,
        )


class ModelExists(AlreadyExists):
    def __init__(self, name: str) -> None:
        super().__init__("MODEL_EXISTS", f"{name} exists already; use it, or choose another id", model=name)


class ModelNameTaken(AlreadyExists):
    def __init__(self, name: str, current: str) -> None:
        super().__init__(
            "MODEL_EXISTS",
            f"{name} is a former name of {current}, and no other model can have it; choose another id",
            model=current,
        )


class ModelRenamed(FormerNameMet):
    def __init__(self, name: str, current: str) -> None:
        super().__init__("MODEL_RENAMED", f"{name} is now {current}; use that name", model=name, current_name=current)


class VersionNotFound(NotFound):
    def __init__(self, name: str, missing: str = "") -> None:
        """Args: the version as it was named; what does not exist, where that is not simply what was named."""
        problem = missing or f"there is no {name}"
        super().__init__("VERSION_NOT_FOUND", f"{problem}; ListVersions shows the versions of the model", version=name)


class VersionDeleted(NotFound):
    def __init__(self, name: str, delete_time: datetime | None, deleter: str) -> None:
        when = delete_time.isoformat() if delete_time else ""
        super().__init__(
            "VERSION_DELETED",
            f"{name} was deleted by {deleter} at {when}; use another version",
            version=name,
            delete_time=when,
            deleted_by=deleter,
        )


class SemverTaken(AlreadyExists):
    def __init__(self, semver: str, version: str) -> None:
        super().__init__(
            "SEMVER_TAKEN",
            f"{version} carries the semantic version {semver} already; choose the next one",
            semver=semver,
            version=version,
        )


class ArtifactRegistered(AlreadyExists):
    def __init__(self, digest: str, version: str) -> None:
        super().__init__(
            "ARTIFACT_REGISTERED",
            f"{version} has the same bytes ({digest}); use it, or set allow_duplicate_artifact",
            artifact_digest=digest,
            version=version,
        )


class ArtifactMissing(FailedPrecondition):
    def __init__(self, namespace: str, digest: str) -> None:
        super().__init__(
            "ARTIFACT_MISSING",
            f"{namespace} has no committed artifact {digest}; upload its blobs and commit its manifest first",
            namespace=namespace,
            digest=digest,
        )


class VersionInUse(FailedPrecondition):
    def __init__(self, name: str, stage: str, aliases: tuple[str, ...]) -> None:
        holding = f"is in stage {stage}" + (f" and is the alias {', '.join(aliases)}" if aliases else "")
        super().__init__(
            "VERSION_IN_USE",
            f"{name} {holding}; archive it and move its aliases before deleting it",
            version=name,
            stage=stage,
            aliases=",".join(aliases),
        )
