"""The lifecycle's proto face: parse, call a use case, convert."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from greenroom.lifecycle.v1 import lifecycle_service_pb2 as pb
from greenroom.lifecycle.v1.lifecycle_service_pb2_grpc import LifecycleServiceServicer
from greenroom.lifecycle.v1.watch_pb2 import WatchChangesRequest, WatchChangesResponse
from greenroomd.lifecycle import convert, convert_state
from greenroomd.lifecycle.convert_transition import transition_to_proto
from greenroomd.lifecycle.domain import CheckState, DeploymentState, TransitionState, namespace_of
from greenroomd.lifecycle.errors import ModelRenamed
from greenroomd.lifecycle.ports import Catalog, LifecycleStore
from greenroomd.lifecycle.usecases.aliases import Aliases
from greenroomd.lifecycle.usecases.checks import Checks, Report
from greenroomd.lifecycle.usecases.deployments import DeploymentReport, Deployments
from greenroomd.lifecycle.usecases.renaming import Renamings
from greenroomd.lifecycle.usecases.requests import Wanted
from greenroomd.lifecycle.usecases.resolve import Resolver
from greenroomd.lifecycle.usecases.rollback import Rollbacks
from greenroomd.lifecycle.usecases.rules import StageRules
from greenroomd.lifecycle.usecases.states import States
from greenroomd.lifecycle.usecases.transitions import Transitions
from greenroomd.platform.changelog.streams import WatchStreams
from greenroomd.platform.clock import Clock
from greenroomd.platform.pagination import next_page_token, read_page
from greenroomd.platform.redirects import FormerNames


@dataclass(frozen=True, slots=True)
class UseCases:
    """Everything that the lifecycle does."""

    rules: StageRules
    transitions: Transitions
    rollbacks: Rollbacks
    checks: Checks
    aliases: Aliases
    deployments: Deployments
    states: States
    resolver: Resolver
    renamings: Renamings
    redirects: FormerNames

    @classmethod
    def build(cls, store: LifecycleStore, catalog: Catalog, clock: Clock) -> UseCases:
        redirects = FormerNames(store.redirects, ModelRenamed, clock)
        return cls(
            StageRules(store, catalog, clock),
            Transitions(store, catalog, clock),
            Rollbacks(store, catalog, clock),
            Checks(store, catalog, clock),
            Aliases(store, catalog, clock),
            Deployments(store, catalog, clock),
            States(store, catalog),
            Resolver(store, catalog, redirects),
            Renamings(store),
            redirects,
        )


class LifecycleHandler(LifecycleServiceServicer):
    """Implements `greenroom.lifecycle.v1.LifecycleService`; what each RPC promises stands in the proto."""

    def __init__(self, usecases: UseCases, streams: WatchStreams[WatchChangesResponse]) -> None:
        self._do = usecases
        self._streams = streams

    async def GetStageGraph(self, request: pb.GetStageGraphRequest, context: Any) -> pb.GetStageGraphResponse:
        graph = await self._do.rules.get_graph(namespace_of(request.name))
        return pb.GetStageGraphResponse(stage_graph=convert.graph_to_proto(graph))

    async def UpdateStageGraph(self, request: pb.UpdateStageGraphRequest, context: Any) -> pb.UpdateStageGraphResponse:
        written = await self._do.rules.update_graph(convert.graph_from_proto(request.stage_graph))
        return pb.UpdateStageGraphResponse(stage_graph=convert.graph_to_proto(written.value), revision=written.revision)

    async def GetPolicy(self, request: pb.GetPolicyRequest, context: Any) -> pb.GetPolicyResponse:
        return pb.GetPolicyResponse(policy=convert.policy_to_proto(await self._do.rules.get_policy(request.name)))

    async def ListPolicies(self, request: pb.ListPoliciesRequest, context: Any) -> pb.ListPoliciesResponse:
        policies = await self._do.rules.list_policies(request.parent)
        return pb.ListPoliciesResponse(policies=[convert.policy_to_proto(policy) for policy in policies])

    async def UpdatePolicy(self, request: pb.UpdatePolicyRequest, context: Any) -> pb.UpdatePolicyResponse:
        written = await self._do.rules.update_policy(convert.policy_from_proto(request.policy))
        return pb.UpdatePolicyResponse(policy=convert.policy_to_proto(written.value), revision=written.revision)

    async def RequestTransition(
        self, request: pb.RequestTransitionRequest, context: Any
    ) -> pb.RequestTransitionResponse:
        wanted = Wanted(
            namespace=request.parent,
            versions=tuple(request.versions),
            target_stage=request.target_stage,
            reason=request.reason,
            expected_current_version=request.expected_current_version,
        )
        written = await self._do.transitions.request(wanted, validate_only=request.validate_only)
        return pb.RequestTransitionResponse(transition=transition_to_proto(written.value), revision=written.revision)

    async def GetTransition(self, request: pb.GetTransitionRequest, context: Any) -> pb.GetTransitionResponse:
        transition = await self._do.transitions.get(request.name)
        return pb.GetTransitionResponse(transition=transition_to_proto(transition))

    async def ListTransitions(self, request: pb.ListTransitionsRequest, context: Any) -> pb.ListTransitionsResponse:
        page = read_page(request)
        rows = await self._do.transitions.list(
            request.parent,
            request.model or None,
            TransitionState(request.state) if request.state else None,
            page.after[0] if page.after else "",
            page.size + 1,
        )
        more = len(rows) > page.size
        rows = rows[: page.size]
        return pb.ListTransitionsResponse(
            transitions=[transition_to_proto(row) for row in rows],
            next_page_token=next_page_token(request, (rows[-1].name,) if more else None),
        )

    async def ApproveTransition(
        self, request: pb.ApproveTransitionRequest, context: Any
    ) -> pb.ApproveTransitionResponse:
        written = await self._do.transitions.approve(request.name, request.comment, request.etag)
        return pb.ApproveTransitionResponse(transition=transition_to_proto(written.value), revision=written.revision)

    async def RejectTransition(self, request: pb.RejectTransitionRequest, context: Any) -> pb.RejectTransitionResponse:
        written = await self._do.transitions.reject(request.name, request.comment, request.etag)
        return pb.RejectTransitionResponse(transition=transition_to_proto(written.value), revision=written.revision)

    async def CancelTransition(self, request: pb.CancelTransitionRequest, context: Any) -> pb.CancelTransitionResponse:
        written = await self._do.transitions.cancel(request.name, request.comment, request.etag)
        return pb.CancelTransitionResponse(transition=transition_to_proto(written.value), revision=written.revision)

    async def Rollback(self, request: pb.RollbackRequest, context: Any) -> pb.RollbackResponse:
        written = await self._do.rollbacks.roll_back(
            request.name, request.stage, request.reason, request.expected_current_version
        )
        return pb.RollbackResponse(transition=transition_to_proto(written.value), revision=written.revision)

    async def ReportCheck(self, request: pb.ReportCheckRequest, context: Any) -> pb.ReportCheckResponse:
        check = request.check
        written = await self._do.checks.report(Report(check.name, CheckState(check.state), check.summary, check.link))
        return pb.ReportCheckResponse(
            check=convert.check_to_proto(written.value.check),
            revision=written.revision,
            completed_transitions=written.value.completed,
        )

    async def ListChecks(self, request: pb.ListChecksRequest, context: Any) -> pb.ListChecksResponse:
        checks = await self._do.checks.list(request.parent)
        return pb.ListChecksResponse(checks=[convert.check_to_proto(check) for check in checks])

    async def GetModelState(self, request: pb.GetModelStateRequest, context: Any) -> pb.GetModelStateResponse:
        model = await self._do.states.model(request.name)
        return pb.GetModelStateResponse(state=convert_state.model_to_proto(model))

    async def BatchGetVersionStates(
        self, request: pb.BatchGetVersionStatesRequest, context: Any
    ) -> pb.BatchGetVersionStatesResponse:
        versions, revision = await self._do.states.versions(request.parent, request.versions)
        return pb.BatchGetVersionStatesResponse(
            states=[convert_state.version_to_proto(version) for version in versions], revision=revision
        )

    async def ListStageHistory(self, request: pb.ListStageHistoryRequest, context: Any) -> pb.ListStageHistoryResponse:
        moves = await self._do.states.history(request.parent)
        return pb.ListStageHistoryResponse(entries=[convert_state.past_move_to_proto(move) for move in moves])

    async def SetAlias(self, request: pb.SetAliasRequest, context: Any) -> pb.SetAliasResponse:
        written = await self._do.aliases.set(request.name, request.version, request.expected_version, request.etag)
        return pb.SetAliasResponse(alias=convert.alias_to_proto(written.value), revision=written.revision)

    async def DeleteAlias(self, request: pb.DeleteAliasRequest, context: Any) -> pb.DeleteAliasResponse:
        written = await self._do.aliases.delete(request.name, request.etag)
        return pb.DeleteAliasResponse(alias=convert.alias_to_proto(written.value), revision=written.revision)

    async def ListAliases(self, request: pb.ListAliasesRequest, context: Any) -> pb.ListAliasesResponse:
        aliases = await self._do.aliases.list(request.parent)
        return pb.ListAliasesResponse(aliases=[convert.alias_to_proto(alias) for alias in aliases])

    async def ReportDeployment(self, request: pb.ReportDeploymentRequest, context: Any) -> pb.ReportDeploymentResponse:
        deployment = request.deployment
        report = DeploymentReport(
            name=deployment.name,
            version=deployment.version,
            state=DeploymentState(deployment.state),
            environment=deployment.environment,
            message=deployment.message,
        )
        written = await self._do.deployments.report(report)
        return pb.ReportDeploymentResponse(
            deployment=convert.deployment_to_proto(written.value), revision=written.revision
        )

    async def ListDeployments(self, request: pb.ListDeploymentsRequest, context: Any) -> pb.ListDeploymentsResponse:
        deployments = await self._do.deployments.list(request.parent)
        return pb.ListDeploymentsResponse(deployments=[convert.deployment_to_proto(row) for row in deployments])

    async def RenameModel(self, request: pb.RenameModelRequest, context: Any) -> pb.RenameModelResponse:
        written = await self._do.renamings.follow(convert.rename_from_proto(request.model_rename))
        return pb.RenameModelResponse(model_rename=convert.rename_to_proto(written.value), revision=written.revision)

    async def Resolve(self, request: pb.ResolveRequest, context: Any) -> pb.ResolveResponse:
        resolution = await self._do.resolver.resolve(request.selector)
        return pb.ResolveResponse(resolution=convert_state.resolution_to_proto(resolution))

    async def WatchChanges(self, request: WatchChangesRequest, context: Any) -> AsyncIterator[WatchChangesResponse]:
        async for response in self._streams.stream(request):
            yield response
