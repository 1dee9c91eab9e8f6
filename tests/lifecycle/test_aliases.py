"""Aliases: set, moved with an expectation, deleted; names that are not theirs."""

from __future__ import annotations

from typing import Any

import grpc

from greenroom.lifecycle.v1 import lifecycle_service_pb2 as pb
from support.lifecycle import DEMO, DIGITS, Team
from support.server import refused


def set_alias(team: Team, alias: str, version: str, as_: str = "requester", **fields: str) -> Any:
    request = pb.SetAliasRequest(name=f"{DIGITS}/aliases/{alias}", version=version, **fields)
    return team.as_(as_).SetAlias(request)


async def test_an_alias_moves_and_goes(team: Team) -> None:
    first, second = await team.versions(2)
    created = await set_alias(team, "champion", first)
    assert (created.alias.version, created.alias.updater.id) == (first, "requester")
    assert (await team.resolve("demo/digits@champion")).version == first
    moved = await set_alias(team, "champion", second, expected_version=first, etag=created.alias.etag)
    resolution = await team.resolve("demo/digits@champion")
    assert (resolution.version, resolution.stage) == (second, "development")
    assert (resolution.artifact_digest, resolution.revision) == (moved.alias.artifact_digest, moved.revision)
    await set_alias(team, "another", second)
    listed = (await team.as_("viewer").ListAliases(pb.ListAliasesRequest(parent=DIGITS))).aliases
    assert [alias.name.rsplit("/", 1)[1] for alias in listed] == ["another", "champion"]

    delete = team.as_("requester").DeleteAlias
    stale = await refused(delete(pb.DeleteAliasRequest(name=moved.alias.name, etag=created.alias.etag)))
    assert (stale.code, stale.reason) == (grpc.StatusCode.ABORTED, "ETAG_STALE")
    gone = await delete(pb.DeleteAliasRequest(name=moved.alias.name, etag=moved.alias.etag))
    assert gone.alias == moved.alias
    missing = await refused(delete(pb.DeleteAliasRequest(name=moved.alias.name)))
    assert (missing.code, missing.reason) == (grpc.StatusCode.NOT_FOUND, "ALIAS_NOT_FOUND")
    assert (await refused(team.resolve("demo/digits@champion"))).reason == "SELECTOR_UNRESOLVED"

    changes = await team.changes()
    assert [change.metadata.type for change in changes] == ["alias.set", "alias.set", "alias.set", "alias.deleted"]
    assert set(changes[1].metadata.related_resources) == {first, second}
    assert changes[1].before.alias == created.alias


async def test_what_the_caller_expects(team: Team) -> None:
    first, second = await team.versions(2)
    none = await refused(set_alias(team, "champion", first, expected_version=second))
    assert (none.code, none.reason) == (grpc.StatusCode.ABORTED, "EXPECTED_VERSION_MISMATCH")
    assert none.metadata == {"expected_version": second, "current_version": ""}
    new = await refused(set_alias(team, "champion", first, etag="0123"))
    assert (new.code, new.reason) == (grpc.StatusCode.ABORTED, "ETAG_STALE")
    await set_alias(team, "champion", first)
    wrong = await refused(set_alias(team, "champion", second, expected_version=second))
    assert wrong.metadata == {"expected_version": second, "current_version": first}


async def test_reserved_names(team: Team) -> None:
    version = await team.version()
    for alias in ("latest", "production", "development", "7", "1.2.3", "v1.2.3", "deadbeef" * 4):
        refusal = await refused(set_alias(team, alias, version, as_="admin"))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "ALIAS_RESERVED")
        assert refusal.metadata == {"alias": alias}
    upper = await refused(set_alias(team, "Production", version, as_="admin"))
    assert (upper.reason, set(upper.fields)) == ("FIELD_INVALID", {"name"})
    assert await team.types() == []


async def test_versions_that_cannot_be_pointed_to(team: Team) -> None:
    version = await team.version()
    other = await refused(set_alias(team, "champion", f"{DEMO}/models/other/versions/1"))
    assert set(other.fields) == {"version"}
    assert (await refused(set_alias(team, "champion", f"{DIGITS}/versions/9"))).reason == "VERSION_NOT_FOUND"
    await team.delete(version)
    assert (await refused(set_alias(team, "champion", version))).reason == "VERSION_DELETED"


async def test_a_version_with_an_alias_is_not_deleted(team: Team) -> None:
    version = await team.version()
    await set_alias(team, "champion", version)
    refusal = await refused(team.delete(version))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "VERSION_IN_USE")
    assert refusal.metadata["aliases"] == "champion"


async def test_moving_an_alias_is_a_permission_of_its_own(team: Team) -> None:
    version = await team.version()
    for principal in ("viewer", "reviewer", "ci"):
        refusal = await refused(set_alias(team, "champion", version, as_=principal))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_MISSING")
