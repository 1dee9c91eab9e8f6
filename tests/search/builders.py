"""Changes of the catalog and of lifecycle as their watches deliver them, and the index that they go into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from greenroom.catalog.v1.facts_pb2 import Dataset, Facts, Metric
from greenroom.catalog.v1.model_pb2 import FormerName, Model
from greenroom.catalog.v1.version_pb2 import Version
from greenroom.catalog.v1.watch_pb2 import CatalogChange, CatalogResource
from greenroom.lifecycle.v1.alias_pb2 import Alias
from greenroom.lifecycle.v1.deployment_pb2 import Deployment
from greenroom.lifecycle.v1.model_rename_pb2 import ModelRename
from greenroom.lifecycle.v1.stage_graph_pb2 import Stage, StageGraph
from greenroom.lifecycle.v1.transition_pb2 import StageMove, Transition
from greenroom.lifecycle.v1.watch_pb2 import LifecycleChange, LifecycleResource
from greenroom.type.v1.actor_pb2 import Actor
from greenroomd.platform.changelog.log import ChangeLog
from greenroomd.platform.clock import SystemClock
from greenroomd.platform.database import Database
from greenroomd.platform.values import Value
from greenroomd.platform.wellknown import timestamp, values_to_proto
from greenroomd.search.convert import catalog_change, lifecycle_change, resource_bytes
from greenroomd.search.domain import CATALOG, LIFECYCLE, SourceBatch
from greenroomd.search.indexer import Indexer, Progress
from greenroomd.search.stores.postgres import PostgresIndexStore
from greenroomd.search.usecases import Page, Search, SearchRequest

EPOCH = datetime(2026, 10, 1, tzinfo=UTC)


def version(
    name: str,
    *,
    metrics: Sequence[Metric] = (),
    params: Mapping[str, Value] | None = None,
    tags: Mapping[str, Value] | None = None,
    datasets: Sequence[Dataset] = (),
    description: str = "",
    framework: str = "",
    task: str = "",
    semver: str = "",
    creator: str = "ada",
    create_time: datetime | None = None,
) -> Version:
    """Return a READY version; the artifact follows from its number."""
    number = int(name.rsplit("/", 1)[1])
    return Version(
        name=name,
        number=number,
        state=Version.STATE_READY,
        artifact_digest=f"sha256:{number:064x}",
        semver=semver,
        description=description,
        tags=values_to_proto(tags or {}),
        facts=Facts(
            framework=framework, task=task, metrics=metrics, params=values_to_proto(params or {}), datasets=datasets
        ),
        creator=Actor(id=creator, kind=Actor.KIND_USER),
        create_time=timestamp(create_time or EPOCH + timedelta(minutes=number)),
    )


def created(message: Version | Model) -> CatalogChange:
    return _catalog("created", message)


def updated(message: Version | Model) -> CatalogChange:
    return _catalog("updated", message)


def deleted(message: Version) -> CatalogChange:
    tombstone = Version()
    tombstone.CopyFrom(message)
    tombstone.state = Version.STATE_DELETED
    return _catalog("deleted", tombstone)


def _catalog(verb: str, message: Version | Model) -> CatalogChange:
    noun = "version" if isinstance(message, Version) else "model"
    change = CatalogChange(after=CatalogResource(**{noun: message}))  # type: ignore[arg-type]
    change.metadata.type = f"{noun}.{verb}"
    change.metadata.resource = message.name
    return change


def _lifecycle(kind: str, resource: str, after: LifecycleResource | None) -> LifecycleChange:
    change = LifecycleChange(after=after)
    change.metadata.type = kind
    change.metadata.resource = resource
    return change


def moved(*moves: tuple[str, str]) -> LifecycleChange:
    """A completed transition with moves of versions to stages."""
    transition = Transition(
        name="namespaces/demo/transitions/t",
        state=Transition.STATE_COMPLETED,
        moves=[StageMove(version=name, to_stage=stage) for name, stage in moves],
    )
    return _lifecycle("transition.completed", transition.name, LifecycleResource(transition=transition))


def requested(name: str, stage: str) -> LifecycleChange:
    transition = Transition(name="namespaces/demo/transitions/t", versions=[name], target_stage=stage)
    return _lifecycle("transition.requested", transition.name, LifecycleResource(transition=transition))


def alias_set(name: str, version_name: str) -> LifecycleChange:
    return _lifecycle("alias.set", name, LifecycleResource(alias=Alias(name=name, version=version_name)))


def alias_deleted(name: str) -> LifecycleChange:
    return _lifecycle("alias.deleted", name, None)


def deployed(
    name: str, version_name: str, state: Deployment.State.ValueType = Deployment.STATE_RUNNING, environment: str = ""
) -> LifecycleChange:
    deployment = Deployment(name=name, version=version_name, state=state, environment=environment)
    return _lifecycle("deployment.reported", name, LifecycleResource(deployment=deployment))


def graph_set(namespace: str, *stages: str) -> LifecycleChange:
    graph = StageGraph(name=f"namespaces/{namespace}/stageGraph", stages=[Stage(id=stage) for stage in stages])
    return _lifecycle("stage_graph.updated", graph.name, LifecycleResource(stage_graph=graph))


def renamed(former: str, name: str) -> tuple[CatalogChange, LifecycleChange]:
    """A renaming as both logs tell of it."""
    until = timestamp(EPOCH + timedelta(days=90))
    model = Model(name=name, former_names=[FormerName(name=former, redirect_expire_time=until)])
    rename = ModelRename(name=name, former_name=former, sequence=1, redirect_expire_time=until)
    return _catalog("renamed", model), _lifecycle("model.renamed", name, LifecycleResource(model_rename=rename))


@dataclass
class IndexUnderTest:
    """An index on a database of its own, fed by hand."""

    database: Database
    store: PostgresIndexStore
    log: ChangeLog
    indexer: Indexer
    search: Search
    revisions: dict[str, int] = field(default_factory=lambda: {CATALOG: 0, LIFECYCLE: 0})

    @classmethod
    def on(cls, url: str) -> IndexUnderTest:
        database = Database(url, "search")
        log = ChangeLog(database, resource_bytes)
        store = PostgresIndexStore(log)
        progress = Progress()
        indexer = Indexer(store, (), SystemClock(), progress)
        search = Search(store, indexer, progress, statement_timeout=5.0, longest_wait=10.0)
        return cls(database, store, log, indexer, search)

    def batch(self, *changes: CatalogChange | LifecycleChange) -> tuple[str, SourceBatch]:
        """Return changes with the next revisions of their source's log, as one message of its watch."""
        source = CATALOG if isinstance(changes[0], CatalogChange) else LIFECYCLE
        read: Any = catalog_change if source == CATALOG else lifecycle_change
        for change in changes:
            self.revisions[source] += 1
            change.metadata.revision = self.revisions[source]
        last = self.revisions[source]
        return source, SourceBatch([read(change) for change in changes], last, f"token-{last}")

    async def apply(self, *changes: CatalogChange | LifecycleChange, generation: int = 0) -> None:
        """Index changes of one source as one batch."""
        source, batch = self.batch(*changes)
        await self.indexer.apply(source, batch, generation)

    async def page(
        self,
        filter: str = "",
        *,
        query: str = "",
        order_by: str = "",
        parent: str = "",
        after: Sequence[str] = (),
        limit: int = 200,
        min_revisions: Sequence[tuple[str, int]] = (),
    ) -> Page:
        request = SearchRequest(parent, query, filter, order_by, after, limit, min_revisions)
        return await self.search.search_versions(request)

    async def names(self, filter: str = "", **options: Any) -> list[str]:
        """Return the names of the versions that a search finds, in order."""
        return [Version.FromString(hit.version).name for hit in (await self.page(filter, **options)).hits]

    async def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return everything that the index holds, for comparing two of them."""
        tables = ("versions", "models", "first_stages", "metrics", "params", "tags", "datasets", "aliases",
                  "deployments", "former_names", "positions")  # fmt: skip
        async with self.database.read() as connection:
            return {
                table: [tuple(row) for row in await connection.exec_driver_sql(f"SELECT * FROM {table} ORDER BY 1, 2")]
                for table in tables
            }
