"""Calls about what surrounds a promotion: stages, policies, aliases and deployments."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from greenroom._calls import Calls
from greenroom._naming import AnyModel, AnyNamespace, AnyVersion, model_name, namespace_name
from greenroom.lifecycle.v1.alias_pb2 import Alias
from greenroom.lifecycle.v1.deployment_pb2 import Deployment
from greenroom.lifecycle.v1.lifecycle_service_pb2 import (
    DeleteAliasRequest,
    GetPolicyRequest,
    GetStageGraphRequest,
    ListAliasesRequest,
    ListDeploymentsRequest,
    ListPoliciesRequest,
    ReportDeploymentRequest,
    SetAliasRequest,
    UpdatePolicyRequest,
    UpdateStageGraphRequest,
)
from greenroom.lifecycle.v1.policy_pb2 import ApprovalRequirement, Policy
from greenroom.lifecycle.v1.stage_graph_pb2 import StageGraph
from greenroom.names import AliasName, DeploymentName, PolicyName, StageGraphName

DeploymentState = Literal["starting", "running", "failed", "stopped"]


class GovernanceCalls(Calls):
    """Stages, policies, aliases and deployments."""

    async def get_stage_graph(self, namespace: AnyNamespace, *, min_revision: int = 0) -> StageGraph:
        """Return the stages of a namespace and the moves between them. Raises NamespaceNotFound."""
        name = StageGraphName(namespace_name(namespace).namespace)
        request = GetStageGraphRequest(name=str(name), min_revision=min_revision)
        return (await self._connection.unary(self._connection.lifecycle.GetStageGraph, request)).stage_graph

    async def set_stage_graph(self, stage_graph: StageGraph) -> StageGraph:
        """Replace the stages of the namespace that the graph names; its etag is checked when set.

        Raises:
            NamespaceNotFound, EtagStale.
            StageGraphInvalid: `preconditions` lists each problem.
        """
        request = UpdateStageGraphRequest(stage_graph=stage_graph)
        return (await self._connection.unary(self._connection.lifecycle.UpdateStageGraph, request)).stage_graph

    async def get_policy(self, namespace: AnyNamespace, stage: str, *, min_revision: int = 0) -> Policy:
        """Return what a stage demands. Raises NamespaceNotFound, StageUnknown."""
        name = PolicyName(namespace_name(namespace).namespace, stage)
        request = GetPolicyRequest(name=str(name), min_revision=min_revision)
        return (await self._connection.unary(self._connection.lifecycle.GetPolicy, request)).policy

    async def list_policies(self, namespace: AnyNamespace, *, min_revision: int = 0) -> list[Policy]:
        """Return what every stage demands, in the order of the stages. Raises NamespaceNotFound."""
        request = ListPoliciesRequest(parent=str(namespace_name(namespace)), min_revision=min_revision)
        return list((await self._connection.unary(self._connection.lifecycle.ListPolicies, request)).policies)

    async def set_policy(
        self,
        namespace: AnyNamespace,
        stage: str,
        *,
        required_checks: Iterable[str] | None = None,
        approvals: int | None = None,
        etag: str = "",
    ) -> Policy:
        """Change what a stage demands; what is None stays as it is.

        Args:
            namespace: the namespace.
            stage: the stage.
            required_checks: ids of the checks that must have passed.
            approvals: how many people must say yes.
            etag: the policy that was read; unset takes the present one, read just before.

        Raises:
            NamespaceNotFound, StageUnknown.
            EtagStale: somebody else changed it meanwhile.
        """
        policy = await self.get_policy(namespace, stage)
        if required_checks is not None:
            del policy.required_checks[:]
            policy.required_checks.extend(required_checks)
        if approvals is not None:
            policy.approvals.CopyFrom(ApprovalRequirement(count=approvals))
        policy.etag = etag or policy.etag
        request = UpdatePolicyRequest(policy=policy)
        return (await self._connection.unary(self._connection.lifecycle.UpdatePolicy, request)).policy

    async def set_alias(
        self,
        version: AnyVersion,
        alias: str,
        *,
        expected_version: AnyVersion | None = None,
        etag: str = "",
    ) -> Alias:
        """Point an alias to a version, creating it when it is new.

        Args:
            version: version to point to.
            alias: name, such as `champion`.
            expected_version: version that it must point to now.
            etag: the alias that was read; checked when set.

        Raises:
            VersionNotFound, AliasReserved, ExpectedVersionMismatch, EtagStale.
        """
        target = await self._version(version)
        expected = "" if expected_version is None else str(await self._version(expected_version))
        name = AliasName(target.namespace, target.model, alias)
        request = SetAliasRequest(name=str(name), version=str(target), expected_version=expected, etag=etag)
        return (await self._connection.unary(self._connection.lifecycle.SetAlias, request)).alias

    async def delete_alias(self, model: AnyModel, alias: str, *, etag: str = "") -> Alias:
        """Remove an alias and return it as it was. Raises AliasNotFound, EtagStale."""
        name = model_name(model)
        request = DeleteAliasRequest(name=str(AliasName(name.namespace, name.model, alias)), etag=etag)
        return (await self._connection.unary(self._connection.lifecycle.DeleteAlias, request)).alias

    async def list_aliases(self, model: AnyModel, *, min_revision: int = 0) -> list[Alias]:
        """Return the aliases of a model by name."""
        request = ListAliasesRequest(parent=str(model_name(model)), min_revision=min_revision)
        return list((await self._connection.unary(self._connection.lifecycle.ListAliases, request)).aliases)

    async def report_deployment(
        self,
        version: AnyVersion,
        deployment: str,
        state: DeploymentState,
        *,
        environment: str = "",
        message: str = "",
    ) -> Deployment:
        """Record that a version runs somewhere, or no longer does.

        Args:
            version: version that runs there.
            deployment: the reporter's name for the place.
            state: `starting`, `running`, `failed` or `stopped`.
            environment: such as `eu-prod`.
            message: more for a person, such as the error.

        Raises:
            VersionNotFound.
        """
        target = await self._version(version)
        report = Deployment(
            name=str(DeploymentName(target.namespace, target.model, deployment)),
            version=str(target),
            state=Deployment.State.Value(f"STATE_{state.upper()}"),
            environment=environment,
            message=message,
        )
        request = ReportDeploymentRequest(deployment=report)
        return (await self._connection.unary(self._connection.lifecycle.ReportDeployment, request)).deployment

    async def list_deployments(self, model: AnyModel, *, min_revision: int = 0) -> list[Deployment]:
        """Return where the versions of a model run."""
        request = ListDeploymentsRequest(parent=str(model_name(model)), min_revision=min_revision)
        return list((await self._connection.unary(self._connection.lifecycle.ListDeployments, request)).deployments)
