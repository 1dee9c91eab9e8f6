"""Tokens, roles, and the file that knows them."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import grpc
import pytest

from greenroom.catalog.v1 import catalog_service_pb2 as pb
from greenroomd.platform.context import Principal
from greenroomd.platform.identity import (
    ROLES,
    IdentityError,
    Principals,
    create_principal,
    read_principals,
    revoke_principal,
    roles_with,
)
from support.chained import Running, failure

GET = pb.GetModelRequest(name="namespaces/demo/models/digits")
CREATE = pb.CreateNamespaceRequest()

GARBAGE = [
    "Bearer",
    "Bearer ",
    "Bearer x",
    "Bearer gr_",
    "Bearer gr__",
    "Bearer gr_admin",
    "Bearer gr_admin_",
    "Bearer gr_admin_wrong",
    "Bearer gr_nobody_wrong",
    "Bearer  gr_admin_wrong",
    "Basic YWRtaW46YWRtaW4=",
    "gr_admin_wrong",
    "Bearer " + "a.b.c" * 100,
    "Bearer gr_admin_" + "x" * 7000,
    "Bearer gr_../../etc/passwd_x",
    "Bearer gr_admin_%00",
]


@pytest.mark.parametrize("header", GARBAGE, ids=lambda header: header[:30])
async def test_every_wrong_token_is_answered_alike(catalog: Running, header: str) -> None:
    seen = await failure(catalog.call("GetModel", GET, metadata=(("authorization", header),)))
    reference = await failure(catalog.call("GetModel", GET, metadata=(("authorization", "Bearer gr_a_b"),)))
    assert (seen.code, seen.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")
    assert seen == reference


def test_an_oversize_token_is_not_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "principals.json"
    create_principal(path, "admin", roles=("admin",))
    assert Principals(path).authenticate("gr_admin_" + "x" * 1_000_000) is None


async def test_the_scheme_is_case_insensitive(catalog: Running) -> None:
    for scheme in ("Bearer", "bearer", "BEARER"):
        await catalog.call("GetModel", GET, metadata=(("authorization", f"{scheme} {catalog.token}"),))


async def test_a_role_allows_what_it_covers_and_nothing_else(catalog: Running) -> None:
    viewer = catalog.bearer("viewer", id="vera")
    await catalog.call("GetModel", GET, metadata=viewer)
    denied = await failure(catalog.call("CreateNamespace", CREATE, metadata=viewer))
    assert (denied.code, denied.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_MISSING")
    assert denied.metadata == {"permission": "catalog.namespaces.create", "principal": "vera"}
    for words in ("vera", "catalog.namespaces.create", "admin"):
        assert words in denied.message
    # Permission comes before validation: nobody learns the rules of what they may not call.
    assert denied.violations == {}


@pytest.mark.parametrize(
    ("role", "permission", "allowed"),
    [
        ("viewer", "catalog.versions.get", True),
        ("viewer", "artifact.blobs.read", True),
        ("viewer", "lifecycle.selectors.resolve", True),
        ("viewer", "catalog.versions.create", False),
        ("contributor", "artifact.uploads.write", True),
        ("contributor", "lifecycle.transitions.request", True),
        ("contributor", "lifecycle.transitions.approve", False),
        ("contributor", "lifecycle.checks.report", False),
        ("approver", "lifecycle.transitions.approve", True),
        ("approver", "catalog.versions.create", False),
        ("deployer", "lifecycle.deployments.report", True),
        ("deployer", "lifecycle.transitions.approve", False),
        ("service", "catalog.changes.watch", True),
        ("service", "catalog.versions.create", False),
        ("admin", "catalog.namespaces.create", True),
    ],
)
def test_roles(role: str, permission: str, allowed: bool) -> None:
    assert Principal("x", "user", ROLES[role]).holds(permission) is allowed
    assert role == "service" or (role in roles_with(permission)) is allowed


def test_a_principal_without_grants_holds_nothing() -> None:
    assert not Principal("x", "user", ()).holds("catalog.models.get")


def test_the_file_has_no_secret_and_is_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "private" / "principals.json"
    token = create_principal(path, "admin", roles=("admin",))
    assert token.split("_", 2)[2] not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(p.name for p in path.parent.iterdir()) == [".principals.json.lock", "principals.json"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_file_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "principals.json"
    create_principal(path, "admin", roles=("admin",))
    path.chmod(mode)
    with pytest.raises(IdentityError, match=f"chmod 600 {path}"):
        Principals(path)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"principals": 1}',
        '{"principals": [{}]}',
        '{"principals": [{"id": "A", "kind": "user", "roles": ["admin"], "secret_sha256": "00"}]}',
        '{"principals": [{"id": "a", "kind": "user", "roles": ["root"], "secret_sha256": "' + "00" * 32 + '"}]}',
        '{"principals": [{"id": "a", "kind": "user", "roles": ["admin"], "secret_sha256": "00"}]}',
        '{"principals": [{"id": "a", "kind": "robot", "roles": ["admin"], "secret_sha256": "' + "00" * 32 + '"}]}',
    ],
)
def test_a_malformed_file_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "principals.json"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(IdentityError, match=str(path)):
        Principals(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(IdentityError, match="greenroom up"):
        Principals(tmp_path / "principals.json")


@pytest.mark.parametrize("id", ["", "A", "a_b", "-a", "a-", "a" * 64, "../a", "a b"])
def test_unacceptable_ids(tmp_path: Path, id: str) -> None:
    with pytest.raises(IdentityError, match="is not an id"):
        create_principal(tmp_path / "principals.json", id, roles=("admin",))


def test_unknown_roles(tmp_path: Path) -> None:
    for roles in ((), ("root",)):
        with pytest.raises(IdentityError, match="the roles are viewer"):
            create_principal(tmp_path / "principals.json", "a", roles=roles)


def test_the_file_is_read_again_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "principals.json"
    first = create_principal(path, "admin", roles=("admin",))
    principals = Principals(path)
    second = create_principal(path, "ci", kind="service", roles=("contributor", "deployer"))
    monkeypatch.setattr("greenroomd.platform.identity.RELOAD_SECONDS", 0.0)
    ci = principals.authenticate(second)
    assert ci is not None
    assert (ci.id, ci.kind, ci.holds("lifecycle.checks.report")) == ("ci", "service", True)
    revoke_principal(path, "admin")
    assert principals.authenticate(first) is None
    with pytest.raises(IdentityError, match="it has ci"):
        revoke_principal(path, "admin")
    renewed = create_principal(path, "ci", kind="service", roles=("viewer",))
    assert principals.authenticate(second) is None
    assert principals.authenticate(renewed) is not None
    path.write_text("{")
    assert principals.authenticate(renewed) is not None, "a file that is being repaired locks nobody out"


def test_additions_at_once_are_all_kept(tmp_path: Path) -> None:
    path = tmp_path / "principals.json"
    threads = [
        threading.Thread(target=create_principal, args=(path, f"p{n}"), kwargs={"roles": ("viewer",)})
        for n in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {entry.id for entry in read_principals(path)} == {f"p{n}" for n in range(12)}


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "principals.json"
    create_principal(path, "admin", roles=("admin",))
    before = json.loads(path.read_text())

    def full(descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("greenroomd.platform.identity.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        create_principal(path, "other", roles=("viewer",))
    assert json.loads(path.read_text()) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == [".principals.json.lock", "principals.json"]


def test_a_token_made_a_moment_ago_works_at_once(tmp_path: Path) -> None:
    path = tmp_path / "principals.json"
    create_principal(path, "first", roles=["viewer"])
    principals = Principals(path)
    assert principals.authenticate("gr_second_x") is None
    token = create_principal(path, "second", roles=["viewer"])
    found = principals.authenticate(token)
    assert found is not None
    assert found.id == "second"
