"""request_id and min_revision: the same answer again, and never one that is too old."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest
import sqlalchemy.exc

from greenroom.artifact.v1 import artifact_service_pb2 as artifact_pb
from greenroom.catalog.v1 import catalog_service_pb2 as pb
from greenroom.catalog.v1 import model_pb2, namespace_pb2
from greenroom.catalog.v1.watch_pb2 import CatalogResource
from greenroomd.platform.changelog.log import ChangeLog, FoundRequest, Recorded
from greenroomd.platform.context import current_call
from greenroomd.platform.database import Database
from greenroomd.platform.errors import AlreadyExists, NotFound, Unavailable
from greenroomd.platform.identity import Principals
from greenroomd.platform.interceptors import Chain, ServiceMisdeclaredError
from greenroomd.platform.service import BuiltService
from greenroomd.platform.telemetry import OFF
from support.chained import ARTIFACT, CATALOG, Running, failure, running

DIGITS = "namespaces/demo/models/digits"
METHOD = f"/{CATALOG}/CreateModel"
ID = str(uuid4())
REQUEST = pb.CreateModelRequest(model=model_pb2.Model(name=DIGITS, owner="ml"), request_id=ID)
EXISTS = AlreadyExists("MODEL_EXISTS", "it exists", model=DIGITS)


def answered(request: pb.CreateModelRequest = REQUEST, **resource: Any) -> FoundRequest:
    resource = resource or {"model": model_pb2.Model(name=DIGITS, uid="u-1", owner="ml")}
    digest = hashlib.sha256(request.SerializeToString(deterministic=True)).digest()
    return FoundRequest(digest, 7, CatalogResource(**resource).SerializeToString())


async def test_the_call_knows_its_request(catalog: Running) -> None:
    seen: list[tuple[str, bytes, str]] = []

    async def look(request: Any, context: Any) -> Any:
        call = current_call()
        seen.append((call.request_id, call.request_hash, call.principal.id if call.principal else ""))
        return pb.CreateModelResponse()

    catalog.on("CreateModel", look)
    await catalog.call("CreateModel", REQUEST)
    without = pb.CreateModelRequest(model=REQUEST.model)
    await catalog.call("CreateModel", without)
    assert seen == [(ID, answered().request_hash, "admin"), ("", b"", "admin")]
    assert catalog.requests.asked == 0, "nothing is looked up while calls succeed"


async def test_a_repeated_request_gets_its_first_answer(catalog: Running) -> None:
    catalog.raises("CreateModel", EXISTS)
    catalog.requests.done["admin", METHOD, ID] = answered()
    answer = await catalog.call("CreateModel", REQUEST)
    assert answer == pb.CreateModelResponse(model=model_pb2.Model(name=DIGITS, uid="u-1", owner="ml"), revision=7)


async def test_a_failure_that_is_no_repetition_stays_what_it_was(catalog: Running) -> None:
    catalog.raises("CreateModel", EXISTS)
    seen = await failure(catalog.call("CreateModel", REQUEST))
    assert (seen.reason, seen.metadata) == ("MODEL_EXISTS", {"model": DIGITS})


async def test_another_principals_request_id_is_another_request(catalog: Running) -> None:
    catalog.raises("CreateModel", EXISTS)
    catalog.requests.done["admin", METHOD, ID] = answered()
    seen = await failure(catalog.call("CreateModel", REQUEST, metadata=catalog.bearer("contributor", id="carl")))
    assert seen.reason == "MODEL_EXISTS"


async def test_a_reused_request_id_is_refused(catalog: Running) -> None:
    catalog.raises("CreateModel", EXISTS)
    other = pb.CreateModelRequest(model=model_pb2.Model(name=DIGITS, owner="other"), request_id=ID)
    catalog.requests.done["admin", METHOD, ID] = answered(other)
    seen = await failure(catalog.call("CreateModel", REQUEST))
    assert (seen.code, seen.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED")
    assert seen.metadata == {"request_id": ID, "method": METHOD}


async def test_an_entry_of_another_kind_answers_nothing(catalog: Running) -> None:
    catalog.raises("CreateModel", EXISTS)
    catalog.requests.done["admin", METHOD, ID] = answered(namespace=namespace_pb2.Namespace(name="namespaces/demo"))
    assert (await failure(catalog.call("CreateModel", REQUEST))).reason == "MODEL_EXISTS"


class UniqueViolation(Exception):
    sqlstate = "23505"


async def test_a_lost_race_without_a_first_answer_is_a_conflict(catalog: Running) -> None:
    catalog.raises("CreateModel", sqlalchemy.exc.IntegrityError("INSERT", {}, UniqueViolation()))
    seen = await failure(catalog.call("CreateModel", REQUEST))
    assert (seen.code, seen.reason) == (grpc.StatusCode.ABORTED, "CONFLICT")


async def test_a_log_that_cannot_be_asked_leaves_the_failure_alone(tmp_path: Path) -> None:
    class Away:
        async def head(self) -> int:
            return 0

        async def find_request(self, principal_id: str, method: str, request_id: str) -> FoundRequest | None:
            raise ConnectionRefusedError

    async with running(tmp_path, requests=Away()) as catalog:
        catalog.raises("CreateModel", Unavailable("DEPENDENCY_UNAVAILABLE", "artifact is away", dependency="artifact"))
        assert (await failure(catalog.call("CreateModel", REQUEST))).metadata == {"dependency": "artifact"}


async def test_a_mutation_outside_of_the_log_is_not_looked_up(tmp_path: Path) -> None:
    async with running(tmp_path, full_name=ARTIFACT) as artifact:
        artifact.raises("DeleteUpload", NotFound("UPLOAD_NOT_FOUND", "no"))
        request = artifact_pb.DeleteUploadRequest(name="namespaces/demo/uploads/u", request_id=ID)
        assert (await failure(artifact.call("DeleteUpload", request))).reason == "UPLOAD_NOT_FOUND"
        assert artifact.requests.asked == 0


async def nothing() -> None:
    pass


def test_a_service_whose_answers_cannot_be_repeated_is_refused_at_start(tmp_path: Path) -> None:
    async def head() -> int:
        return 0

    from greenroom.search.v1.watch_pb2 import SearchResource
    from greenroomd.platform.identity import create_principal

    create_principal(tmp_path / "principals.json", "admin", roles=("admin",))
    chain = Chain(Principals(tmp_path / "principals.json"), OFF)
    log: Any = None
    wrong = BuiltService("catalog", CATALOG, lambda server: None, log, SearchResource, nothing, nothing)
    with pytest.raises(ServiceMisdeclaredError, match=r"field 1 of greenroom\.catalog\.v1\.CreateNamespaceResponse"):
        chain.add(wrong)


async def test_with_the_real_log_one_of_many_repetitions_writes(database_url: str, tmp_path: Path) -> None:
    database = Database(database_url, "catalog")
    written: list[int] = []

    def encode(resource: object) -> bytes:
        return CatalogResource(model=resource).SerializeToString()  # type: ignore[arg-type]

    log = ChangeLog(database, encode)

    async def create(request: Any, context: Any) -> Any:
        async with log.write() as transaction:
            transaction.record(Recorded("model.created", request.model.name, "demo", request.model))
        written.append(transaction.revision)
        return pb.CreateModelResponse(model=request.model, revision=transaction.revision)

    async with running(tmp_path, requests=log) as catalog:
        catalog.on("CreateModel", create)
        answers = await asyncio.gather(*(catalog.call("CreateModel", REQUEST) for _ in range(8)))
        assert written == [1]
        assert answers == [pb.CreateModelResponse(model=REQUEST.model, revision=1)] * 8
        other = pb.CreateModelRequest(model=model_pb2.Model(name=DIGITS), request_id=ID)
        assert (await failure(catalog.call("CreateModel", other))).reason == "REQUEST_ID_REUSED"
        seen = await failure(catalog.call("GetModel", pb.GetModelRequest(name=DIGITS, min_revision=2)))
        assert seen.metadata == {"min_revision": "2", "revision": "1"}
        await catalog.call("GetModel", pb.GetModelRequest(name=DIGITS, min_revision=1))
    await database.close()


async def test_a_revision_that_the_log_has_not_reached_is_refused(catalog: Running) -> None:
    catalog.requests.revision = 5
    await catalog.call("GetModel", pb.GetModelRequest(name=DIGITS, min_revision=5))
    seen = await failure(catalog.call("GetModel", pb.GetModelRequest(name=DIGITS, min_revision=6)))
    assert (seen.code, seen.reason) == (grpc.StatusCode.OUT_OF_RANGE, "REVISION_AHEAD")
    assert seen.metadata == {"min_revision": "6", "revision": "5"}
