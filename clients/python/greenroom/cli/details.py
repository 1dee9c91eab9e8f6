"""One model or version, laid out for a person."""

from __future__ import annotations

from collections.abc import Iterator

from greenroom._facts import from_value
from greenroom.artifact.v1.artifact_pb2 import File
from greenroom.catalog.v1.catalog_service_pb2 import GetModelResponse, GetVersionResponse
from greenroom.catalog.v1.version_pb2 import Version
from greenroom.cli.output import MISSING, enum_word, size, when
from greenroom.cli.wording import short_name

Row = tuple[str, str, str]


def model_fields(found: GetModelResponse) -> Iterator[tuple[str, str]]:
    """Yield what `show` prints of a model: itself, its newest version, its stages and aliases."""
    model = found.model
    yield "model", short_name(model.name)
    yield "uid", model.uid
    yield "description", model.description or "-"
    yield "owner", model.owner or "-"
    yield "created", f"{when(model.create_time)} by {model.creator.id}"
    for key, value in sorted(model.tags.items()):
        yield f"tag {key}", str(from_value(value))
    yield "latest", short_name(found.latest_version.name) if found.HasField("latest_version") else "no version yet"
    for index, holders in enumerate(found.state.stages):
        holding = " ".join(short_name(one) for one in holders.versions)
        if index == 0:
            holding += f"{' and ' if holding else ''}every version that was never moved"
        yield f"stage {holders.stage}", holding or "-"
    for alias in found.state.aliases:
        yield f"alias {alias.name.rpartition('/')[2]}", short_name(alias.version)


def version_fields(found: GetVersionResponse) -> Iterator[tuple[str, str]]:
    """Yield what `show` prints of a version: itself, where it stands, its facts and its files."""
    version = found.version
    yield "version", short_name(version.name)
    yield "uid", version.uid
    yield "state", enum_word(Version.State.Name(version.state))
    if version.HasField("delete_time"):
        yield "deleted", f"{when(version.delete_time)} by {version.deleter.id}"
    yield "artifact", f"{version.artifact_digest} ({size(version.artifact_size_bytes)})"
    if version.semver:
        yield "semver", version.semver
    yield "description", version.description or "-"
    yield "created", f"{when(version.create_time)} by {version.creator.id}"
    for key, value in sorted(version.tags.items()):
        yield f"tag {key}", str(from_value(value))
    yield "stage", found.state.stage or "-"
    yield "aliases", " ".join(found.state.aliases) or "-"
    for check in found.state.checks:
        yield f"check {check.name.rpartition('/')[2]}", _joined(enum_word(check.State.Name(check.state)), check.summary)
    for one in found.state.deployments:
        where = f"deployment {one.name.rpartition('/')[2]}"
        yield where, _joined(enum_word(one.State.Name(one.state)), one.environment, one.message)
    facts = version.facts
    if facts.framework:
        yield "framework", _joined(facts.framework, facts.framework_version)
    if facts.model_type:
        yield "model type", facts.model_type
    if facts.task:
        yield "task", facts.task
    for metric in facts.metrics:
        labels = [f"@{metric.dataset}" if metric.dataset else "", f"[{metric.slice}]" if metric.slice else ""]
        yield f"metric {metric.name}{''.join(labels)}", _joined(f"{metric.value:.6g}", metric.unit)
    for part, name, value_text in lineage_rows(version):
        yield _joined(part, name), value_text
    for file in found.artifact.files:
        role = enum_word(File.Role.Name(file.role))
        yield f"file {file.path}", f"{role}, {size(file.blob.size_bytes)}, {file.blob.digest}"


def lineage_rows(version: Version) -> list[Row]:
    """Return part, name and value of everything that a version was made from; MISSING where it is not known."""
    facts = version.facts
    rows: list[Row] = [
        ("dataset", dataset.name, _joined(dataset.digest or MISSING, dataset.location)) for dataset in facts.datasets
    ] or [("dataset", "", MISSING)]
    code = facts.code
    rows.append(("code", "commit", code.commit or MISSING))
    dirty = {True: "yes", False: "no"}[code.dirty] if code.HasField("dirty") else MISSING
    rows.append(("code", "uncommitted changes", dirty))
    rows.append(("code", "repository", code.repository or MISSING))
    rows += [("param", name, str(from_value(value))) for name, value in sorted(facts.params.items())] or [
        ("param", "", MISSING)
    ]
    environment = facts.environment
    rows.append(("environment", "python", environment.python_version or MISSING))
    rows.append(("environment", "operating system", environment.operating_system or MISSING))
    libraries = len(environment.libraries)
    rows.append(("environment", "libraries", f"{libraries} recorded" if libraries else MISSING))
    rows.append(("environment", "lock file", environment.lockfile_digest or MISSING))
    rows.append(("run", "producer", _joined(facts.producer.system, facts.producer.run_id) or MISSING))
    rows += [("parent", "", short_name(parent)) for parent in facts.parents]
    return rows


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)
