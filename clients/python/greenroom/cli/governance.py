"""`create delete rename alias policy stages deployments deploy-report`: what surrounds a promotion."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from greenroom.cli.inputs import parse_stage_graph
from greenroom.cli.output import enum_word, print_json, print_line, print_table, short_digest, when
from greenroom.cli.session import Json, current
from greenroom.cli.wording import short_name
from greenroom.lifecycle.v1.lifecycle_service_pb2 import (
    ListAliasesResponse,
    ListDeploymentsResponse,
    ListPoliciesResponse,
)
from greenroom.lifecycle.v1.policy_pb2 import Policy


class DeploymentWord(StrEnum):
    """State of a deployment."""

    STARTING = "starting"
    RUNNING = "running"
    FAILED = "failed"
    STOPPED = "stopped"


def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAMESPACE|NS/MODEL")],
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    owner: Annotated[str, typer.Option(help="Who answers for the model.")] = "",
    as_json: Json = False,
) -> None:
    """Create a namespace, or a model in a namespace that exists."""
    with current(context).client() as client:
        if "/" in name.removeprefix("namespaces/"):
            model = client.create_model(name, description=description, owner=owner)
            if as_json:
                print_json(model)
            else:
                print_line(f"{short_name(model.name)} created")
        else:
            namespace = client.create_namespace(name, description=description)
            if as_json:
                print_json(namespace)
            else:
                print_line(f"{short_name(namespace.name)} created")


def rename(
    context: typer.Context,
    model: Annotated[str, typer.Argument(metavar="NS/MODEL")],
    model_id: Annotated[str, typer.Argument(metavar="NEW", help="The new id, without the namespace.")],
    etag: Annotated[str, typer.Option(help="Etag that the model must have now.")] = "",
    as_json: Json = False,
) -> None:
    """Give a model another name in its namespace. The former name goes on to work for a time."""
    with current(context).client() as client:
        renamed = client.rename_model(model, model_id, etag=etag)
    if as_json:
        print_json(renamed)
        return
    former = renamed.former_names[0]
    print_line(
        f"{short_name(former.name)} is now {short_name(renamed.name)}; the former name works until"
        f" {when(former.redirect_expire_time)}"
    )


def alias(
    context: typer.Context,
    target: Annotated[str, typer.Argument(metavar="NS/MODEL|NS/MODEL/VERSION")],
    name: Annotated[str | None, typer.Argument(metavar="ALIAS", help="Unset lists the model's aliases.")] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Remove the alias of NS/MODEL.")] = False,
    expected: Annotated[str | None, typer.Option(help="Version that the alias must point to now.")] = None,
    as_json: Json = False,
) -> None:
    """Point an alias to a version, remove it, or list the aliases of a model."""
    with current(context).client() as client:
        if name is not None and not delete and target.count("/") == 1 and "@" not in target:
            raise typer.BadParameter(
                f"name the version to point to, as in `greenroom alias {target}/1 {name}`; --delete removes the alias",
                param_hint="'NS/MODEL/VERSION'",
            )
        if name is None:
            aliases = client.list_aliases(target)
            if as_json:
                print_json(ListAliasesResponse(aliases=aliases))
                return
        else:
            changed = (
                client.delete_alias(target, name)
                if delete
                else client.set_alias(target, name, expected_version=expected)
            )
            if as_json:
                print_json(changed)
                return
            if delete:
                print_line(f"{short_name(changed.name)} removed; it was {short_name(changed.version)}")
                return
            aliases = [changed]
    print_table(
        ("alias", "version", "digest", "by", "at"),
        (
            (
                one.name.rpartition("/")[2],
                short_name(one.version),
                short_digest(one.artifact_digest),
                one.updater.id,
                when(one.update_time),
            )
            for one in aliases
        ),
        optional=("digest", "by"),
        empty=f"{target} has no alias; `greenroom alias {target}/VERSION ALIAS` makes one",
    )


def policy(
    context: typer.Context,
    namespace: Annotated[str, typer.Argument()],
    stage: Annotated[str | None, typer.Argument(help="Unset shows every stage.")] = None,
    require_check: Annotated[list[str] | None, typer.Option(help="Check that must have passed. Repeatable.")] = None,
    no_checks: Annotated[bool, typer.Option("--no-checks", help="Require no checks.")] = False,
    approvals: Annotated[int | None, typer.Option(min=0, max=20, help="How many people must say yes.")] = None,
    as_json: Json = False,
) -> None:
    """Show what a stage demands of a version, or change it."""
    if no_checks and require_check:
        raise typer.BadParameter("--no-checks and --require-check exclude each other")
    changing = bool(require_check) or no_checks or approvals is not None
    if changing and stage is None:
        raise typer.BadParameter("name the stage whose policy to change", param_hint="'STAGE'")
    with current(context).client() as client:
        if stage is None:
            policies = client.list_policies(namespace)
            if as_json:
                print_json(ListPoliciesResponse(policies=policies))
                return
        else:
            if changing:
                checks = [] if no_checks else require_check or None
                found = client.set_policy(namespace, stage, required_checks=checks, approvals=approvals)
            else:
                found = client.get_policy(namespace, stage)
            if as_json:
                print_json(found)
                return
            policies = [found]
    print_table(("stage", "required checks", "approvals"), (_policy_row(one) for one in policies))


def delete(
    context: typer.Context,
    version: Annotated[str, typer.Argument(metavar="NS/MODEL/VERSION")],
    as_json: Json = False,
) -> None:
    """Delete a version that no stage and no alias uses. A tombstone stays; its number is never given again."""
    with current(context).client() as client:
        deleted = client.delete_version(version)
    if as_json:
        print_json(deleted)
    else:
        print_line(f"{short_name(deleted.name)} deleted; `greenroom list --deleted` shows its tombstone")


def stages(
    context: typer.Context,
    namespace: Annotated[str, typer.Argument()],
    set_: Annotated[
        typer.FileText | None, typer.Option("--set", help="File with new stages, as --json prints them; - reads stdin.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the stages of a namespace and the moves between them, or replace them."""
    wanted = None if set_ is None else parse_stage_graph(set_.read(), namespace)
    with current(context).client() as client:
        graph = client.get_stage_graph(namespace) if wanted is None else client.set_stage_graph(wanted)
    if as_json:
        print_json(graph)
        return
    print_table(
        ("stage", "capacity", "displaced to", "next", "description"),
        (
            (
                stage.id,
                stage.capacity or "any",
                stage.displaced_to or "-",
                " ".join(edge.to_stage for edge in graph.edges if edge.from_stage == stage.id) or "-",
                stage.description or "-",
            )
            for stage in graph.stages
        ),
        prose=("next", "description"),
        optional=("description",),
    )


def deployments(
    context: typer.Context,
    model: Annotated[str, typer.Argument(metavar="NS/MODEL")],
    as_json: Json = False,
) -> None:
    """List where the versions of a model run."""
    with current(context).client() as client:
        found = client.list_deployments(model)
    if as_json:
        print_json(ListDeploymentsResponse(deployments=found))
        return
    print_table(
        ("deployment", "version", "state", "environment", "updated", "message"),
        (
            (
                one.name.rpartition("/")[2],
                short_name(one.version),
                enum_word(one.State.Name(one.state)),
                one.environment or "-",
                when(one.update_time),
                one.message or "-",
            )
            for one in found
        ),
        prose=("message",),
        empty=f"no deployment of {model} was reported",
    )


def deploy_report(
    context: typer.Context,
    version: Annotated[str, typer.Argument(metavar="NS/MODEL/VERSION")],
    deployment: Annotated[str, typer.Argument(help="Your name for the place.")],
    state: Annotated[DeploymentWord, typer.Argument()],
    environment: Annotated[str, typer.Option(help="Such as eu-prod.")] = "",
    message: Annotated[str, typer.Option(help="More for a person, such as the error.")] = "",
    as_json: Json = False,
) -> None:
    """Record that a version runs somewhere, or no longer does."""
    with current(context).client() as client:
        reported = client.report_deployment(version, deployment, state.value, environment=environment, message=message)
    if as_json:
        print_json(reported)
    else:
        print_line(f"{short_name(reported.version)} {state} at {deployment}")


def _policy_row(policy: Policy) -> tuple[str, str, int]:
    return policy.name.rpartition("/")[2], " ".join(policy.required_checks) or "-", policy.approvals.count
