"""The rules in the protos, on the real request messages."""

from __future__ import annotations

import math
from typing import Any
from uuid import uuid4

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from greenroom.artifact.v1 import artifact_service_pb2 as artifact
from greenroom.artifact.v1 import blob_pb2
from greenroom.catalog.v1 import catalog_service_pb2 as catalog_pb
from greenroom.catalog.v1 import facts_pb2, model_pb2, namespace_pb2, version_pb2
from greenroom.lifecycle.v1 import check_pb2, policy_pb2, stage_graph_pb2
from greenroom.lifecycle.v1 import lifecycle_service_pb2 as lifecycle
from greenroom.search.v1 import search_service_pb2 as search
from greenroom.type.v1 import value_pb2
from greenroomd.platform.validation import MOST_VIOLATIONS, Validator
from support.chained import Running, failure

DIGITS = "namespaces/demo/models/digits"
V1 = f"{DIGITS}/versions/1"
DIGEST = "sha256:" + "0" * 64


def violations(message: Message) -> dict[str, str]:
    descriptor: Any = message.DESCRIPTOR
    return {v.path: v.message for v in Validator(descriptor).violations(message)}


def version(**fields: Any) -> catalog_pb.CreateVersionRequest:
    return catalog_pb.CreateVersionRequest(parent=DIGITS, version=version_pb2.Version(artifact_digest=DIGEST, **fields))


def facts(**fields: Any) -> catalog_pb.CreateVersionRequest:
    return version(facts=facts_pb2.Facts(**fields))


def metric(**fields: Any) -> catalog_pb.CreateVersionRequest:
    fields.setdefault("name", "accuracy")
    return facts(metrics=[facts_pb2.Metric(**fields)])


def text_value(text: str) -> value_pb2.Value:
    return value_pb2.Value(string_value=text)


VALID: list[Message] = [
    catalog_pb.GetModelRequest(name=DIGITS),
    catalog_pb.GetModelRequest(name="namespaces/ab/models/a", view=catalog_pb.VIEW_FULL, min_revision=3),
    catalog_pb.ListModelsRequest(parent="namespaces/-", page_size=100_000),
    catalog_pb.ListModelsRequest(parent="namespaces/demo"),
    catalog_pb.ListNamespacesRequest(),
    catalog_pb.CreateNamespaceRequest(namespace=namespace_pb2.Namespace(name="namespaces/demo")),
    catalog_pb.CreateModelRequest(model=model_pb2.Model(name=DIGITS, uid="x" * 5000), request_id=str(uuid4())),
    catalog_pb.CreateModelRequest(model=model_pb2.Model(name=DIGITS, tags={"team": text_value("risk")})),
    version(semver="1.0.0-rc.1"),
    version(name="not looked at: output only"),
    metric(value=0.0),
    metric(value=-1e308),
    facts(params={"lr": value_pb2.Value(double_value=0.1)}, parents=[V1]),
    facts(environment=facts_pb2.Environment(libraries={f"lib{n}": "1" for n in range(2000)})),
    # An update names what it changes: what a creation requires need not be there.
    catalog_pb.UpdateModelRequest(
        model=model_pb2.Model(name=DIGITS, owner="ml"), update_mask=FieldMask(paths=["owner"])
    ),
    catalog_pb.UpdateVersionRequest(version=version_pb2.Version(name=V1, description="better")),
    catalog_pb.LookupVersionRequest(parent=DIGITS, number=1),
    artifact.CreateUploadRequest(parent="namespaces/demo", blob=blob_pb2.Blob(digest=DIGEST)),
    artifact.CreateArtifactRequest(parent="namespaces/demo", manifest=b"x" * 3 * 1024 * 1024),
    lifecycle.BatchGetVersionStatesRequest(parent=DIGITS, versions=[V1] * 1000),
    lifecycle.ReportCheckRequest(check=check_pb2.Check(name=f"{V1}/checks/bias", state=check_pb2.Check.STATE_PASSED)),
    search.SearchVersionsRequest(),
    search.SearchVersionsRequest(parent="namespaces/demo"),
]


@pytest.mark.parametrize("message", VALID, ids=lambda message: message.DESCRIPTOR.name)
def test_accepted(message: Message) -> None:
    assert violations(message) == {}


INVALID: list[tuple[Message, list[str]]] = [
    (catalog_pb.GetModelRequest(), ["name"]),
    *(
        (catalog_pb.GetModelRequest(name=name), ["name"])
        for name in (
            "digits",
            "demo/digits",
            "namespaces/demo",
            f"{DIGITS}/",
            f"{DIGITS}\n",
            f" {DIGITS}",
            "namespaces/demo/models/..",
            "namespaces/../models/digits",
            "namespaces/demo/models/.",
            "namespaces/demo/models/a/../b",
            "namespaces/demo/models/Digits",
            "namespaces/demo/models/dïgits",
            "namespaces/demo/models/a\0b",
            "namespaces/d/models/digits",
            "namespaces/demo/models/" + "a" * 128,
            "namespaces/" + "a" * 64 + "/models/digits",
            "namespaces/demo/models/-digits",
            "namespaces/-/models/digits",
            "x" * 100_000,
        )
    ),
    *(
        (catalog_pb.GetVersionRequest(name=f"{DIGITS}/versions/{number}"), ["name"])
        for number in ("0", "01", "-1", "1.0", "١", "1" * 19, "latest")
    ),
    (catalog_pb.GetModelRequest(name=DIGITS, min_revision=-1), ["min_revision"]),
    (catalog_pb.GetModelRequest(name=DIGITS, view=99), ["view"]),  # type: ignore[arg-type]
    (catalog_pb.ListNamespacesRequest(page_size=-1), ["page_size"]),
    (catalog_pb.ListNamespacesRequest(page_token="x" * 1025), ["page_token"]),
    (catalog_pb.ListNamespacesRequest(page_token="a\0b"), ["page_token"]),
    (catalog_pb.ListModelsRequest(parent="namespaces/"), ["parent"]),
    (catalog_pb.CreateModelRequest(), ["model"]),
    (catalog_pb.CreateModelRequest(model=model_pb2.Model()), ["model.name"]),
    (catalog_pb.CreateModelRequest(model=model_pb2.Model(name=DIGITS), request_id="1"), ["request_id"]),
    (
        catalog_pb.CreateModelRequest(model=model_pb2.Model(name="x", description="y" * 16385), request_id="?"),
        ["model.description", "model.name", "request_id"],
    ),
    (catalog_pb.UpdateModelRequest(model=model_pb2.Model(description="x")), ["model.name"]),
    (catalog_pb.UpdateVersionRequest(version=version_pb2.Version(description="x")), ["version.name"]),
    (
        catalog_pb.UpdateVersionRequest(version=version_pb2.Version(name=V1, description="x" * 16385)),
        ["version.description"],
    ),
    (catalog_pb.CreateVersionRequest(parent=DIGITS, version=version_pb2.Version()), ["version.artifact_digest"]),
    (version(semver="1.0"), ["version.semver"]),
    (version(semver="١.0.0"), ["version.semver"]),
    *((metric(value=value), ["version.facts.metrics[0].value"]) for value in (math.nan, math.inf, -math.inf)),
    (metric(name="é"), ["version.facts.metrics[0].name"]),
    (metric(step=-1), ["version.facts.metrics[0].step"]),
    (metric(direction=7), ["version.facts.metrics[0].direction"]),
    (
        facts(metrics=[facts_pb2.Metric(name="a"), facts_pb2.Metric(), facts_pb2.Metric(name="c", value=math.nan)]),
        ["version.facts.metrics[1].name", "version.facts.metrics[2].value"],
    ),
    (facts(metrics=[facts_pb2.Metric(name="a")] * 1001), ["version.facts.metrics"]),
    (facts(parents=[V1, "fraud/7"]), ["version.facts.parents[1]"]),
    (
        facts(params={"lr": value_pb2.Value(double_value=math.nan)}),
        ["version.facts.params['lr'].double_value"],
    ),
    (facts(params={"lr": value_pb2.Value()}), ["version.facts.params['lr'].kind"]),
    (facts(params={"": text_value("x")}), ["version.facts.params"]),
    (facts(params={"a" * 129: text_value("x")}), ["version.facts.params"]),
    (
        facts(params={"a": value_pb2.Value(list_value=value_pb2.ValueList(values=[text_value("x" * 4097)]))}),
        ["version.facts.params['a'].list_value.values[0].string_value"],
    ),
    (version(tags={f"t{n}": text_value("x") for n in range(101)}), ["version.tags"]),
    (
        facts(environment=facts_pb2.Environment(libraries={"numpy": "2" * 1025})),
        ["version.facts.environment.libraries['numpy']"],
    ),
    (catalog_pb.LookupVersionRequest(parent=DIGITS, number=0), ["number"]),
    (catalog_pb.LookupVersionRequest(parent=DIGITS, artifact_digest="sha256:abc"), ["artifact_digest"]),
    (artifact.FindMissingBlobsRequest(parent="namespaces/demo"), ["blobs"]),
    (
        artifact.FindMissingBlobsRequest(parent="namespaces/demo", blobs=[blob_pb2.Blob(digest=DIGEST, size_bytes=-1)]),
        ["blobs[0].size_bytes"],
    ),
    (
        artifact.CreateArtifactRequest(parent="namespaces/demo", manifest=b"x" * (3 * 1024 * 1024 + 1)),
        ["manifest"],
    ),
    (artifact.GetArtifactRequest(name="namespaces/demo/artifacts/sha256:" + "A" * 64), ["name"]),
    (lifecycle.BatchGetVersionStatesRequest(parent=DIGITS, versions=[V1] * 1001), ["versions"]),
    (lifecycle.ReportCheckRequest(check=check_pb2.Check(name=f"{V1}/checks/bias")), ["check.state"]),
    (
        lifecycle.UpdatePolicyRequest(
            policy=policy_pb2.Policy(
                name="namespaces/demo/policies/production",
                required_checks=["ok", "Not OK"],
                approvals=policy_pb2.ApprovalRequirement(count=21),
            )
        ),
        ["policy.approvals.count", "policy.required_checks[1]"],
    ),
    (
        lifecycle.UpdateStageGraphRequest(
            stage_graph=stage_graph_pb2.StageGraph(
                name="namespaces/demo/stageGraph", stages=[stage_graph_pb2.Stage(id="1st", capacity=-1)]
            )
        ),
        ["stage_graph.stages[0].capacity", "stage_graph.stages[0].id"],
    ),
    (lifecycle.ResolveRequest(selector="x" * 513), ["selector"]),
    (search.SearchVersionsRequest(parent="namespaces/-"), ["parent"]),
]


@pytest.mark.parametrize(("message", "paths"), INVALID, ids=lambda value: getattr(value, "DESCRIPTOR", value) and None)
def test_refused_with_every_path(message: Message, paths: list[str]) -> None:
    found = violations(message)
    assert sorted(found) == paths
    assert all(len(text) < 400 for text in found.values())


def test_a_million_keys_are_counted_not_visited() -> None:
    request = facts(environment=facts_pb2.Environment(libraries={str(n): "" for n in range(1_000_000)}))
    assert violations(request) == {
        "version.facts.environment.libraries": "has 1000000 entries; at most 2000 are accepted"
    }


def test_violations_stop_at_the_cap() -> None:
    request = facts(metrics=[facts_pb2.Metric(name="a", value=math.nan)] * 1000)
    assert len(violations(request)) == MOST_VIOLATIONS


def test_a_message_shows_what_was_sent_and_what_is_expected() -> None:
    text = violations(catalog_pb.GetModelRequest(name="fraud/7" + "x" * 100))["name"]
    assert text.startswith("'fraud/7" + "x" * 57 + "…' is not namespaces/{namespace}/models/{model} (")
    assert violations(version(semver="one"))["version.semver"] == (
        "'one' is not a semantic version such as 1.4.0 or 2.0.0-rc.1"
    )
    assert violations(catalog_pb.GetModelRequest())["name"].startswith("is required: namespaces/{namespace}/models/")


def test_deep_nesting_is_no_way_in() -> None:
    value = text_value("x")
    for _ in range(30):
        value = value_pb2.Value(list_value=value_pb2.ValueList(values=[value]))
    assert violations(facts(params={"a": value})) == {}


@given(st.text(max_size=200))
def test_any_name_is_judged(name: str) -> None:
    found = violations(catalog_pb.GetModelRequest(name=name))
    assert set(found) == {"name"}


@given(st.floats(), st.text(max_size=40), st.integers(-(2**63), 2**63 - 1))
def test_any_metric_is_judged(value: float, name: str, step: int) -> None:
    found = violations(metric(value=value, name=name, step=step))
    base = "version.facts.metrics[0]"
    assert (f"{base}.value" in found) is not math.isfinite(value)
    assert (f"{base}.step" in found) is (step < 0)


async def test_a_caller_sees_every_violation_at_once(catalog: Running) -> None:
    request = catalog_pb.CreateModelRequest(model=model_pb2.Model(name="x", owner="y" * 300), request_id="z")
    seen = await failure(catalog.call("CreateModel", request))
    assert (seen.code.name, seen.reason) == ("INVALID_ARGUMENT", "FIELD_INVALID")
    assert set(seen.violations) == {"model.name", "model.owner", "request_id"}
    assert seen.message.endswith("(2 more)")


async def test_a_hundred_violations_reach_the_caller(catalog: Running) -> None:
    request = facts(metrics=[facts_pb2.Metric(name="é" * 100, value=math.nan)] * 100)
    seen = await failure(catalog.call("CreateVersion", request))
    assert seen.reason == "FIELD_INVALID"
    assert len(seen.violations) > 10
    assert "more violations are not listed" in seen.violations[""]
