"""What the catalog does, by topic: one function for each RPC that needs a decision."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from greenroomd.catalog.ports import Artifacts, CatalogStore, Lifecycle
from greenroomd.catalog.usecases.deletion import Deletion
from greenroomd.catalog.usecases.lookup import Lookup
from greenroomd.catalog.usecases.models import Models
from greenroomd.catalog.usecases.renaming import Renamings
from greenroomd.catalog.usecases.versions import Versions
from greenroomd.platform.clock import Clock


@dataclass(frozen=True, slots=True)
class Catalog:
    """All use cases of the catalog."""

    models: Models
    versions: Versions
    lookup: Lookup
    deletion: Deletion
    renamings: Renamings

    @classmethod
    def on(
        cls, store: CatalogStore, artifacts: Artifacts, lifecycle: Lifecycle, clock: Clock, redirect: timedelta
    ) -> Catalog:
        """Return the use cases on a store and the sibling services; former names lead on for `redirect`."""
        return cls(
            Models(store, clock),
            Versions(store, artifacts, clock),
            Lookup(store),
            Deletion(store, lifecycle, clock),
            Renamings(store, lifecycle, clock, redirect),
        )
