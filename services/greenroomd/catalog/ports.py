"""What the catalog needs from outside: a store, and two sibling services."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol
from uuid import UUID

from greenroomd.catalog.domain import ArtifactSummary, Model, Namespace, Renaming, Usage, Version
from greenroomd.platform.changelog.log import Recorded


class CatalogReader(Protocol):
    """Reads of one connection. What is not there is None; lists are in the order and the page that is asked for."""

    async def namespace(self, name: str) -> Namespace | None: ...

    async def namespaces(self, after: str, limit: int) -> Sequence[Namespace]: ...

    async def model(self, name: str) -> Model | None: ...

    async def models(self, namespace: str | None, after: str, limit: int) -> Sequence[Model]: ...

    async def version(self, name: str) -> Version | None: ...

    async def versions(self, model: str, before: int, limit: int, *, with_deleted: bool) -> Sequence[Version]:
        """Versions numbered below `before`, the highest first."""
        ...

    async def latest_version(self, model: str) -> Version | None:
        """The READY version with the highest number."""
        ...

    async def version_with_artifact(self, model: str, digest: str) -> Version | None:
        """The newest READY version with these bytes."""
        ...

    async def semvers(self, model: str) -> Sequence[tuple[str, str]]:
        """Semantic version and resource name of every READY version that has one."""
        ...

    async def existing_versions(self, names: Sequence[str]) -> set[str]:
        """Those of the names that are versions, deleted or not."""
        ...


class CatalogWriter(CatalogReader, Protocol):
    """A transaction: what it writes and records becomes visible together, at `revision`, or not at all."""

    @property
    def revision(self) -> int:
        """The revision that the transaction made; known after it has ended."""
        ...

    def record(self, change: Recorded) -> None: ...

    async def insert_namespace(self, namespace: Namespace) -> None:
        """Raises NamespaceExists."""
        ...

    async def insert_model(self, model: Model) -> None:
        """Raises ModelExists, NamespaceNotFound."""
        ...

    async def lock_model(self, name: str) -> Model | None:
        """Return the model, locked until the transaction ends."""
        ...

    async def save_model(self, model: Model) -> None: ...

    async def renaming(self, name: str) -> Renaming | None:
        """Return the renaming of a model that is under way."""
        ...

    async def begin_renaming(self, model: Model, target: str) -> Renaming:
        """Make a name the model's, and note that it is being given to it. Raises ModelExists."""
        ...

    async def rename_model(self, before: Model, after: Model) -> None:
        """Move the model and its versions, which are locked, to the new name; end the renaming under way."""
        ...

    async def next_number(self, model: str) -> int | None:
        """Take the next version number of a model, which stays locked until the transaction ends; None without one."""
        ...

    async def insert_version(self, version: Version) -> None:
        """Raises SemverTaken."""
        ...

    async def lock_version(self, name: str) -> Version | None:
        """Return the version, locked until the transaction ends."""
        ...

    async def save_version(self, version: Version) -> None: ...

    async def deletion_lease(self, name: str) -> UUID | None:
        """Return which DeleteVersion is deciding about a version; None when none is."""
        ...

    async def lock_leased_version(self, lease: UUID) -> Version | None:
        """Return the version that a DeleteVersion is deciding about, locked until the transaction ends."""
        ...

    async def save_leased_version(self, version: Version, lease: UUID | None) -> None:
        """Store a version together with which DeleteVersion is deciding about it."""
        ...


class CatalogStore(Protocol):
    def read(self) -> AbstractAsyncContextManager[CatalogReader]: ...

    def write(self) -> AbstractAsyncContextManager[CatalogWriter]: ...


class Artifacts(Protocol):
    """The artifact service, as far as the catalog asks it."""

    async def find(self, namespace: str, digest: str) -> ArtifactSummary | None:
        """Return a committed artifact of the namespace; None when there is none. Raises Unavailable."""
        ...


class Lifecycle(Protocol):
    """The lifecycle service, as far as the catalog asks it."""

    async def usage(self, version: str) -> Usage:
        """Return what holds a version, once transitions of its model that are being decided are. Raises Unavailable."""
        ...

    async def rename_model(self, name: str, renaming: Renaming, expire_time: datetime) -> None:
        """Move what belongs to a model to its new name, and lead the old name there until a time.

        Repeating it changes nothing. Raises Aborted when a later renaming was followed before, Unavailable.
        """
        ...
