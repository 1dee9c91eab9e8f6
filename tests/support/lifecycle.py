"""A team at work in one namespace: versions to move, and people to move them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from greenroom.catalog.v1 import catalog_service_pb2 as catalog_pb
from greenroom.catalog.v1.model_pb2 import Model
from greenroom.catalog.v1.namespace_pb2 import Namespace
from greenroom.catalog.v1.version_pb2 import Version
from greenroom.lifecycle.v1 import lifecycle_service_pb2 as pb
from greenroom.lifecycle.v1.check_pb2 import Check
from greenroom.lifecycle.v1.policy_pb2 import ApprovalRequirement, Policy
from greenroom.lifecycle.v1.transition_pb2 import Transition
from greenroom.lifecycle.v1.watch_pb2 import LifecycleChange, WatchChangesRequest
from greenroomd.platform.identity import create_principal
from support.artifacts import commit
from support.server import RunningServer, Stubs, open_stubs

DEMO = "namespaces/demo"
DIGITS = f"{DEMO}/models/digits"

PEOPLE = {"author": "admin", "requester": "contributor", "reviewer-2": "approver", "reviewer-3": "approver"}
"""Principals beside those of every test installation, with their roles."""


@dataclass
class Team:
    """Calls of the lifecycle service, short. Versions are made by `author`; moves are asked for by `requester`."""

    server: RunningServer
    digests: list[str] = field(default_factory=list)

    @classmethod
    async def start(cls, server: RunningServer) -> Team:
        """Create the principals, the namespace and the model demo/digits."""
        for id, role in PEOPLE.items():
            add_principal(server, id, role)
        team = cls(server)
        await team.namespace(DEMO)
        await team.model(DIGITS)
        return team

    def as_(self, principal: str) -> Any:
        """Return the lifecycle service as a principal."""
        return self.server.as_(principal).lifecycle

    @property
    def catalog(self) -> Any:
        """The catalog as who makes versions."""
        return self.server.as_("author").catalog

    async def namespace(self, name: str) -> None:
        await self.catalog.CreateNamespace(catalog_pb.CreateNamespaceRequest(namespace=Namespace(name=name)))

    async def model(self, name: str) -> str:
        await self.catalog.CreateModel(catalog_pb.CreateModelRequest(model=Model(name=name)))
        return name

    async def version(self, model: str = DIGITS, content: bytes = b"weights", semver: str = "") -> str:
        """Register a version and return its name."""
        namespace = model.rsplit("/models/", 1)[0]
        digest = await commit(self.server.as_("author"), namespace, {"weights.bin": content})
        request = catalog_pb.CreateVersionRequest(
            parent=model, version=Version(artifact_digest=digest, semver=semver), allow_duplicate_artifact=True
        )
        return str((await self.catalog.CreateVersion(request)).version.name)

    async def versions(self, count: int, model: str = DIGITS) -> list[str]:
        return [await self.version(model) for _ in range(count)]

    async def delete(self, version: str) -> None:
        await self.catalog.DeleteVersion(catalog_pb.DeleteVersionRequest(name=version))

    def request(self, version: str | Sequence[str], stage: str, as_: str = "requester", **fields: Any) -> Any:
        """Ask for a move; to be awaited."""
        versions = [version] if isinstance(version, str) else list(version)
        fields.setdefault("parent", DEMO)
        request = pb.RequestTransitionRequest(versions=versions, target_stage=stage, **fields)
        return self.as_(as_).RequestTransition(request)

    async def move(self, version: str | Sequence[str], *stages: str, **fields: Any) -> Transition:
        """Move through stages that demand nothing; return the last transition."""
        for stage in stages:
            transition = (await self.request(version, stage, **fields)).transition
            assert transition.state == Transition.STATE_COMPLETED, transition
        return transition  # type: ignore[no-any-return]

    async def promote(self, version: str | Sequence[str], **fields: Any) -> Transition:
        """Move to production by way of staging."""
        return await self.move(version, "staging", "production", **fields)

    def approve(self, transition: str, as_: str = "reviewer", **fields: Any) -> Any:
        return self.as_(as_).ApproveTransition(pb.ApproveTransitionRequest(name=transition, **fields))

    def rollback(self, model: str = DIGITS, stage: str = "production", **fields: Any) -> Any:
        fields.setdefault("reason", "worse")
        return self.as_("reviewer").Rollback(pb.RollbackRequest(name=model, stage=stage, **fields))

    def check(self, version: str, id: str, state: int = Check.STATE_PASSED, **fields: Any) -> Any:
        check = Check(name=f"{version}/checks/{id}", state=state, **fields)  # type: ignore[arg-type]
        return self.as_("ci").ReportCheck(pb.ReportCheckRequest(check=check))

    async def policy(self, *checks: str, approvals: int = 0, stage: str = "production") -> Policy:
        policy = Policy(
            name=f"{DEMO}/policies/{stage}",
            required_checks=checks,
            approvals=ApprovalRequirement(count=approvals),
        )
        answer = await self.as_("admin").UpdatePolicy(pb.UpdatePolicyRequest(policy=policy))
        return answer.policy  # type: ignore[no-any-return]

    async def transition(self, name: str) -> Transition:
        answer = await self.as_("viewer").GetTransition(pb.GetTransitionRequest(name=name))
        return answer.transition  # type: ignore[no-any-return]

    async def holders(self, model: str = DIGITS) -> dict[str, list[str]]:
        """Return the numbers of the versions by stage, stages without any left out."""
        answer = await self.as_("viewer").GetModelState(pb.GetModelStateRequest(name=model))
        return {
            holders.stage: [version.rsplit("/", 1)[1] for version in holders.versions]
            for holders in answer.state.stages
            if holders.versions
        }

    async def resolve(self, selector: str) -> Any:
        return (await self.as_("viewer").Resolve(pb.ResolveRequest(selector=selector))).resolution

    async def changes(self, after: int = 0) -> list[LifecycleChange]:
        """Return the changes of the log after a revision, up to its end now."""
        stream = self.as_("viewer").WatchChanges(WatchChangesRequest(after_revision=after, bookmark_interval_ms=50))
        found: list[LifecycleChange] = []
        bookmarks = 0
        async for response in stream:
            found.extend(response.changes)
            bookmarks += not response.changes
            if bookmarks == 2:  # the first says where the stream stands, before anything is read
                stream.cancel()
                return found
        return found

    async def types(self, after: int = 0) -> list[str]:
        return [change.metadata.type for change in await self.changes(after)]

    async def head(self) -> int:
        answer = await self.as_("viewer").GetModelState(pb.GetModelStateRequest(name=DIGITS))
        return int(answer.state.revision)


def add_principal(server: RunningServer, id: str, role: str) -> Stubs:
    """Create a principal, or give one a new token, and return stubs that carry the token."""
    token = create_principal(server.identities.folder / "principals.json", id, roles=[role])
    server.application.server.chain._identity._next_look = 0.0  # type: ignore[attr-defined]
    stubs = server.opened[id] = open_stubs(server.address, token)
    return stubs
