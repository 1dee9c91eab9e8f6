"""Deleting a version: a decision that two services take part in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from uuid import UUID, uuid4

from greenroomd.catalog.domain import Version, VersionState
from greenroomd.catalog.errors import VersionInUse, VersionNotFound
from greenroomd.catalog.ports import CatalogStore, Lifecycle
from greenroomd.catalog.usecases.rules import living_version, namespace_id
from greenroomd.platform.changelog.log import Recorded, Written
from greenroomd.platform.clock import Clock
from greenroomd.platform.context import caller
from greenroomd.platform.errors import conflict
from greenroomd.platform.etags import check_etag, new_etag


@dataclass(frozen=True, slots=True)
class Deletion:
    """Raises VersionNotFound, VersionInUse, Aborted, Unavailable."""

    store: CatalogStore
    lifecycle: Lifecycle
    clock: Clock

    async def delete(self, name: str, etag: str) -> Written[Version]:
        """Turn a version into a tombstone, unless the lifecycle service says that it is in use.

        The version is DELETING, committed, before lifecycle is asked, and lifecycle answers only after transitions
        that it is deciding: either such a transition sees DELETING and refuses, or the answer here sees its outcome.
        The lease tells two deletions apart: the later one takes over, and the earlier one then decides nothing. So
        does the next one after a crash.
        """
        lease = uuid4()
        tombstone = await self._begin(name, etag, lease)
        if tombstone is not None:
            return Written(tombstone, 0)
        try:
            usage = await self.lifecycle.usage(name)
            if usage.in_use:
                raise VersionInUse(name, usage.stage, usage.aliases)
            return await self._finish(name, lease)
        except BaseException:
            await self._give_up(lease)
            raise

    async def _begin(self, name: str, etag: str, lease: UUID) -> Version | None:
        """Make a version DELETING under a lease; return it instead when it is a tombstone already."""
        async with self.store.write() as transaction:
            version = await transaction.lock_version(name)
            if version is None:
                raise VersionNotFound(name)
            if version.state is VersionState.DELETED:
                return version
            check_etag(name, etag, version.etag)
            # A lease that readers see, not a change of the version: nothing is recorded.
            await transaction.save_leased_version(replace(version, state=VersionState.DELETING), lease)
        return None

    async def _finish(self, name: str, lease: UUID) -> Written[Version]:
        async with self.store.write() as transaction:
            deleting = await living_version(transaction, name)
            if await transaction.deletion_lease(name) != lease:
                raise conflict(f"another DeleteVersion of {name} took over; read the version to see what it decided")
            now = self.clock.now()
            after = replace(
                deleting,
                state=VersionState.DELETED,
                delete_time=now,
                update_time=now,
                deleter=caller(),
                etag=new_etag(),
            )
            await transaction.save_leased_version(after, None)
            before = replace(deleting, state=VersionState.READY)
            transaction.record(Recorded("version.deleted", name, namespace_id(after.namespace), after, before))
        return Written(after, transaction.revision)

    async def _give_up(self, lease: UUID) -> None:
        async with self.store.write() as transaction:
            # By the lease, which nobody may hold any more, rather than by the name, which may have changed.
            version = await transaction.lock_leased_version(lease)
            if version is not None:
                await transaction.save_leased_version(replace(version, state=VersionState.READY), None)
