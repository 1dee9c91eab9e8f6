"""Deployments: where serving systems say that versions run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from greenroomd.lifecycle.domain import Deployment, DeploymentState, namespace_id, namespace_of, parent_of
from greenroomd.lifecycle.ports import Catalog, LifecycleStore
from greenroomd.lifecycle.usecases.renaming import check_not_renamed
from greenroomd.platform.changelog.log import Recorded, Written
from greenroomd.platform.clock import Clock
from greenroomd.platform.context import caller
from greenroomd.platform.errors import FieldViolation, field_invalid


@dataclass(frozen=True, slots=True)
class DeploymentReport:
    """A deployment as a serving system reports it."""

    name: str
    version: str
    state: DeploymentState
    environment: str
    message: str


@dataclass(frozen=True, slots=True)
class Deployments:
    store: LifecycleStore
    catalog: Catalog
    clock: Clock

    async def report(self, report: DeploymentReport) -> Written[Deployment]:
        """Record that a version runs somewhere, or no longer does; also one that has been deleted since it started."""
        model = parent_of(report.name)
        if parent_of(report.version) != model:
            raise field_invalid(FieldViolation("deployment.version", f"is not a version of {model}"))
        await self.catalog.version(report.version)
        async with self.store.write() as transaction:
            await transaction.lock(namespace_of(model), [report.name], within=[model])
            before = await transaction.deployment(report.name)
            now = self.clock.now()
            same = before is not None and before.version == report.version
            deployment = Deployment(
                name=report.name,
                version=report.version,
                state=report.state,
                environment=report.environment,
                message=report.message,
                reporter=caller(),
                start_time=before.start_time if before is not None and same else now,
                update_time=now,
            )
            await transaction.save_deployment(deployment)
            transaction.record(
                Recorded("deployment.reported", report.name, namespace_id(model), deployment, before, (report.version,))
            )
        return Written(deployment, transaction.revision)

    async def list(self, model: str) -> Sequence[Deployment]:
        async with self.store.read() as reader:
            found = await reader.deployments(model)
            if not found:
                await check_not_renamed(reader, model)
        return found
