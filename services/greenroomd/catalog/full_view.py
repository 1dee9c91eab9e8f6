"""What full views add to the catalog's own answers: the artifact's files and where versions stand.

The messages of the sibling services are passed on as they are, so this is between handler and adapters: no use case
decides anything here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from greenroom.artifact.v1.artifact_pb2 import Artifact
from greenroom.lifecycle.v1.state_pb2 import ModelState, VersionState


class ArtifactView(Protocol):
    """The artifact service. Raises Unavailable when it is away."""

    async def artifact(self, namespace: str, digest: str) -> Artifact: ...


class LifecycleView(Protocol):
    """The lifecycle service. Raises Unavailable when it is away."""

    async def model_state(self, model: str) -> ModelState: ...

    async def version_states(self, model: str, versions: Sequence[str]) -> Sequence[VersionState]:
        """States in the order of `versions`."""
        ...
