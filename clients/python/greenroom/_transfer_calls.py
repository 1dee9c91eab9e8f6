"""Calls that move bytes: registering a version with its files, and fetching them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal

from greenroom._calls import Calls, resolved_version
from greenroom._connection import method_name
from greenroom._facts import Metrics, ParamValue, to_metrics, to_values
from greenroom._naming import AnyModel, AnyNamespace, AnyVersion, model_name, namespace_name
from greenroom._provenance import capture_code, capture_environment
from greenroom._pull import ArtifactPull, Pulled
from greenroom._push import ArtifactPush
from greenroom._resume import persist
from greenroom._telemetry import operation_span
from greenroom.artifact.v1.artifact_pb2 import Artifact
from greenroom.artifact.v1.artifact_service_pb2 import DamagedBlob, GetArtifactRequest, VerifyBlobsRequest
from greenroom.catalog.v1.catalog_service_pb2 import (
    CreateModelRequest,
    CreateNamespaceRequest,
    CreateVersionRequest,
    GetModelRequest,
    GetNamespaceRequest,
)
from greenroom.catalog.v1.facts_pb2 import CodeReference, Dataset, Environment, Facts, Producer
from greenroom.catalog.v1.model_pb2 import Model
from greenroom.catalog.v1.namespace_pb2 import Namespace
from greenroom.catalog.v1.version_pb2 import Version
from greenroom.errors import InvalidArgument, ModelExists, ModelNotFound, NamespaceExists, NamespaceNotFound
from greenroom.lifecycle.v1.lifecycle_service_pb2 import SetAliasRequest
from greenroom.manifest import is_digest
from greenroom.names import AliasName, ArtifactName, ModelName, VersionName
from greenroom.progress import Progress, ProgressCallback
from greenroom.roles import Role

AnyPath = str | os.PathLike[str]


class TransferCalls(Calls):
    """Push and pull."""

    async def push(
        self,
        model: AnyModel,
        path: AnyPath,
        *,
        metrics: Metrics | None = None,
        params: Mapping[str, ParamValue] | None = None,
        datasets: Iterable[Dataset] = (),
        code: Literal["auto"] | CodeReference | None = "auto",
        environment: Literal["auto"] | Environment | None = "auto",
        lockfile: AnyPath | None = None,
        producer: Producer | None = None,
        parents: Iterable[AnyVersion] = (),
        framework: str = "",
        framework_version: str = "",
        model_type: str = "",
        task: str = "",
        facts: Facts | None = None,
        description: str = "",
        tags: Mapping[str, ParamValue] | None = None,
        semver: str = "",
        aliases: Iterable[str] = (),
        roles: Mapping[str, Role | str] | None = None,
        create_model: bool = True,
        allow_duplicate: bool = False,
        progress: ProgressCallback | None = None,
    ) -> Version:
        """Upload files and register them as the next version of a model.

        Only bytes that the server lacks are sent, and nothing is visible before all of them are there.

        Args:
            model: `demo/digits`.
            path: a folder, or a single file. Links, devices and version-control folders are refused.
            metrics: numbers by name or by `name@dataset`; or `Metric` messages.
            params: hyperparameters; an int comes back as an int, a bool as a bool.
            datasets: what it was trained and judged on.
            code: `"auto"` reads the git work tree of the current folder, if it is one.
            environment: `"auto"` records Python, libraries, operating system and hardware of this process.
            lockfile: file whose digest is recorded with an automatic environment.
            producer: the run that made it.
            parents: versions that it was derived from.
            framework: such as `scikit-learn`.
            framework_version: version of the framework.
            model_type: such as `logistic-regression`.
            task: such as `image-classification`.
            facts: facts to start from; what is given above is put over or added to them.
            description: what to know about this version.
            tags: annotations.
            semver: semantic version, unique in the model.
            aliases: names to point to it once it is registered.
            roles: role by glob pattern on the relative path; unset: guessed by name.
            create_model: whether to create namespace and model when they are missing.
            allow_duplicate: whether another version of the model may have the same files.
            progress: called after every step.

        Raises:
            UnsafePath: a file may not be pushed.
            ModelNotFound, NamespaceNotFound: with `create_model=False`.
            ArtifactRegistered: a version with the same files exists; `metadata["version"]` names it.
            SemverTaken, FieldInvalid.
        """
        name = model_name(model)
        known = Facts()
        known.CopyFrom(facts or Facts())
        known.metrics.extend(to_metrics(metrics or {}))
        for key, value in to_values(params or {}, "params").items():
            known.params[key].CopyFrom(value)
        known.datasets.extend(datasets)
        known.parents.extend([str(await self._version(parent)) for parent in parents])
        if producer is not None:
            known.producer.CopyFrom(producer)
        known.framework = framework or known.framework
        known.framework_version = framework_version or known.framework_version
        known.model_type = model_type or known.model_type
        known.task = task or known.task
        await _add_provenance(known, code, environment, lockfile)
        labels = to_values(tags or {}, "tags")
        with operation_span("greenroom.push"):
            transfer = ArtifactPush(self._connection, name.parent, Path(path), roles, progress)
            await transfer.look()
            await self._ensure_model(name, create=create_model)
            artifact = await transfer.run()
            version = Version(
                artifact_digest=artifact.digest, semver=semver, facts=known, description=description, tags=labels
            )
            request = CreateVersionRequest(parent=str(name), version=version, allow_duplicate_artifact=allow_duplicate)
            created = (await persist(self._connection, self._connection.catalog.CreateVersion, request)).version
            for alias in aliases:
                alias_request = SetAliasRequest(
                    name=str(AliasName(name.namespace, name.model, alias)), version=created.name
                )
                await persist(self._connection, self._connection.lifecycle.SetAlias, alias_request)
        return created

    async def pull(
        self,
        selector: AnyVersion,
        destination: AnyPath,
        *,
        min_revision: int = 0,
        progress: ProgressCallback | None = None,
    ) -> Pulled:
        """Fetch the files of the version that a selector names now, verified byte by byte.

        A file that the folder has already is not fetched again; one of the same path with other bytes is replaced;
        others are left alone.

        Args:
            selector: `demo/digits@production`, `demo/digits/7`, `demo/digits@sha256:…` and so on.
            destination: folder to write to; made when missing.
            min_revision: resolve in a state at least as new as this revision of the lifecycle log.
            progress: called after every step.

        Raises:
            SelectorMalformed, SelectorUnresolved.
            DigestMismatch: what the server sent is not what was approved; nothing of it was given a name.
            UnsafePath: a path of the artifact, or a link in the folder, leads elsewhere; nothing was written there.
        """
        text = selector if isinstance(selector, str) else _selector(selector)
        with operation_span("greenroom.pull"):
            resolution = await self.resolve(text, min_revision=min_revision)
            pinned = text.rpartition("@")[2]
            if is_digest(pinned) and resolution.artifact_digest != pinned:
                raise InvalidArgument(f"the server resolved {text} to another artifact, {resolution.artifact_digest}")
            version = resolved_version(resolution)
            folder = Path(destination)
            transfer = ArtifactPull(self._connection, version, resolution.artifact_digest, folder, progress)
            files, fetched = await transfer.run()
        return Pulled(
            version=resolution.version,
            digest=resolution.artifact_digest,
            stage=resolution.stage,
            path=folder,
            files=files,
            bytes_fetched=fetched,
        )

    async def get_artifact(self, version: AnyVersion, *, digest: str | None = None) -> Artifact:
        """Return the artifact of a version with its manifest and files. Raises ArtifactNotFound.

        Args:
            version: the version.
            digest: digest of its artifact when it is known; saves a call.
        """
        name = await self._version(version)
        if digest is None:
            digest = (await self.resolve(name.short)).artifact_digest
        request = GetArtifactRequest(name=str(ArtifactName(name.namespace, digest)))
        return (await self._connection.unary(self._connection.artifact.GetArtifact, request)).artifact

    async def verify_blobs(
        self, namespace: AnyNamespace | None = None, *, progress: ProgressCallback | None = None
    ) -> list[DamagedBlob]:
        """Let the server read every stored blob and compare it with its digest; return those that are damaged.

        Args:
            namespace: look at what this namespace holds; unset means everything.
            progress: called as the server gets on.
        """
        parent = "namespaces/-" if namespace is None else str(namespace_name(namespace))
        request = VerifyBlobsRequest(parent=parent)
        damaged: list[DamagedBlob] = []
        with self._connection.calling(method_name(request)) as metadata:
            async for report in self._connection.artifact.VerifyBlobs(request, metadata=metadata):
                damaged += report.damaged
                if progress is not None:
                    done = (report.bytes_done, report.bytes_total, report.blobs_done, report.blobs_total)
                    progress(Progress("verifying", *done, ""))
        return damaged

    async def _ensure_model(self, name: ModelName, *, create: bool) -> None:
        """Fail before anything is sent when the model is missing and may not be created."""
        catalog = self._connection.catalog
        try:
            await self._connection.unary(catalog.GetModel, GetModelRequest(name=str(name)))
            return
        except (ModelNotFound, NamespaceNotFound):
            if not create:
                raise
        # Whoever else creates the same at this moment may be faster; that it exists is all that counts.
        with suppress(NamespaceExists):
            namespace = CreateNamespaceRequest(namespace=Namespace(name=str(name.parent)))
            try:
                await self._connection.unary(catalog.GetNamespace, GetNamespaceRequest(name=str(name.parent)))
            except NamespaceNotFound:
                await self._connection.unary(catalog.CreateNamespace, namespace)
        with suppress(ModelExists):
            await self._connection.unary(catalog.CreateModel, CreateModelRequest(model=Model(name=str(name))))


async def _add_provenance(
    known: Facts,
    code: Literal["auto"] | CodeReference | None,
    environment: Literal["auto"] | Environment | None,
    lockfile: AnyPath | None,
) -> None:
    if code == "auto":
        found = None if known.HasField("code") else await asyncio.to_thread(capture_code, Path.cwd())
    else:
        found = code
    if found is not None:
        known.code.CopyFrom(found)
    if environment == "auto":
        if not known.HasField("environment"):
            lock = None if lockfile is None else Path(lockfile)
            try:
                known.environment.CopyFrom(await asyncio.to_thread(capture_environment, lock))
            except OSError as error:
                raise InvalidArgument(f"cannot read {lockfile}: {error.strerror}") from error
    elif environment is not None:
        known.environment.CopyFrom(environment)


def _selector(version: VersionName | Version) -> str:
    return version.short if isinstance(version, VersionName) else VersionName.parse(version.name).short
