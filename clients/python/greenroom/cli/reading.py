"""`list search resolve show history lineage`: what is known."""

from __future__ import annotations

from typing import Annotated

import typer

from greenroom.catalog.v1.catalog_service_pb2 import (
    GetModelResponse,
    GetVersionResponse,
    ListModelsResponse,
    ListNamespacesResponse,
    ListVersionsResponse,
)
from greenroom.catalog.v1.version_pb2 import Version
from greenroom.cli.details import lineage_rows, model_fields, version_fields
from greenroom.cli.output import enum_word, print_fields, print_json, print_line, print_table, short_digest, when
from greenroom.cli.session import Json, current
from greenroom.cli.wording import short_name
from greenroom.lifecycle.v1.lifecycle_service_pb2 import ListStageHistoryResponse
from greenroom.lifecycle.v1.state_pb2 import StageHistoryEntry
from greenroom.search.v1.search_service_pb2 import SearchVersionsResponse


def list_(
    context: typer.Context,
    of: Annotated[str | None, typer.Argument(metavar="[NAMESPACE|NS/MODEL]", help="Unset lists all models.")] = None,
    namespaces: Annotated[bool, typer.Option("--namespaces", help="List namespaces.")] = False,
    deleted: Annotated[bool, typer.Option("--deleted", help="List tombstones of versions too.")] = False,
    as_json: Json = False,
) -> None:
    """List models, or the versions of a model with where each stands."""
    with current(context).client() as client:
        if namespaces:
            spaces = list(client.list_namespaces())
            if as_json:
                print_json(ListNamespacesResponse(namespaces=spaces))
            else:
                print_table(
                    ("namespace", "description"),
                    ((short_name(one.name), one.description or "-") for one in spaces),
                    prose=("description",),
                    empty="no namespace yet; `greenroom create NAMESPACE` or a first `greenroom push` makes one",
                )
        elif of is not None and "/" in of.removeprefix("namespaces/"):
            listed = list(client.list_versions_with_state(of, show_deleted=deleted))
            if as_json:
                versions = [one.version for one in listed]
                print_json(ListVersionsResponse(versions=versions, states=[one.state for one in listed]))
                return
            print_table(
                ("version", "stage", "aliases", "metrics", "by", "created", "digest"),
                (
                    (
                        short_name(one.version.name),
                        one.state.stage if one.version.state == Version.STATE_READY else "deleted",
                        " ".join(one.state.aliases) or "-",
                        _metrics(one.version),
                        one.version.creator.id,
                        when(one.version.create_time),
                        short_digest(one.version.artifact_digest),
                    )
                    for one in listed
                ),
                prose=("metrics", "aliases"),
                optional=("digest", "by"),
                empty=f"no version yet; `greenroom push {of} PATH` makes one",
            )
        else:
            models = list(client.list_models("-" if of is None else of))
            if as_json:
                print_json(ListModelsResponse(models=models))
                return
            print_table(
                ("model", "owner", "created", "description"),
                (
                    (short_name(one.name), one.owner or "-", when(one.create_time), one.description or "-")
                    for one in models
                ),
                prose=("description",),
                empty="no model yet; `greenroom push NAMESPACE/MODEL PATH` makes one",
            )


def search(
    context: typer.Context,
    query: Annotated[str, typer.Argument(help="Words to find; may be empty.")] = "",
    where: Annotated[str, typer.Option("--filter", "--where", help='Such as: stage = "production".')] = "",
    order_by: Annotated[str, typer.Option("--order-by", help="Such as: metric.accuracy desc.")] = "",
    within: Annotated[str, typer.Option("--in", help="Namespace or model to search in.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="Most hits to print.")] = 50,
    as_json: Json = False,
) -> None:
    """Find versions by text and by what is known of them."""
    with current(context).client() as client:
        hits = list(client.search(query, filter=where, order_by=order_by, within=within, limit=limit))
    if as_json:
        print_json(SearchVersionsResponse(hits=hits))
        return
    print_table(
        ("version", "stage", "aliases", "metrics", "description"),
        (
            (
                short_name(hit.version.name),
                hit.stage,
                " ".join(hit.aliases) or "-",
                _metrics(hit.version),
                hit.version.description or "-",
            )
            for hit in hits
        ),
        prose=("metrics", "aliases", "description"),
        empty="no version matches",
    )


def resolve(
    context: typer.Context,
    selector: Annotated[str, typer.Argument(help="NS/MODEL@STAGE, NS/MODEL@ALIAS, NS/MODEL@latest and so on.")],
    as_json: Json = False,
) -> None:
    """Tell which version, and which bytes, a selector names now."""
    with current(context).client() as client:
        resolution = client.resolve(selector)
    if as_json:
        print_json(resolution)
    else:
        print_line(f"{short_name(resolution.version)} {resolution.artifact_digest}")


def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="NAMESPACE, NS/MODEL, NS/MODEL/VERSION or a selector.")],
    as_json: Json = False,
) -> None:
    """Show everything that is known of a namespace, model or version."""
    with current(context).client() as client:
        found = client.show(name)
    if as_json:
        print_json(found)
    elif isinstance(found, GetModelResponse):
        print_fields(model_fields(found))
    elif isinstance(found, GetVersionResponse):
        print_fields(version_fields(found))
    else:
        namespace = found.namespace
        print_fields(
            (
                ("namespace", short_name(namespace.name)),
                ("description", namespace.description or "-"),
                ("created", f"{when(namespace.create_time)} by {namespace.creator.id}"),
            )
        )


def history(
    context: typer.Context,
    version: Annotated[str, typer.Argument(metavar="NS/MODEL/VERSION")],
    as_json: Json = False,
) -> None:
    """Print a version's way through the stages, the oldest first."""
    with current(context).client() as client:
        entries = client.history(version)
    if as_json:
        print_json(ListStageHistoryResponse(entries=entries))
        return
    print_table(
        ("time", "from", "to", "by", "reason"),
        (
            (
                when(entry.time),
                entry.from_stage or "-",
                entry.to_stage,
                f"{entry.actor.id} ({enum_word(entry.actor.Kind.Name(entry.actor.kind))})",
                _why(entry),
            )
            for entry in entries
        ),
        prose=("reason",),
    )


def lineage(
    context: typer.Context,
    version: Annotated[str, typer.Argument(metavar="NS/MODEL/VERSION")],
    as_json: Json = False,
) -> None:
    """Print what a version was made from: data, code, parameters, environment. What is unknown prints MISSING."""
    with current(context).client() as client:
        found = client.get_version(version)
    rows = lineage_rows(found)
    if as_json:
        parts = [{"part": part, "name": name, "value": value} for part, name, value in rows]
        print_json({"version": found.name, "artifactDigest": found.artifact_digest, "lineage": parts})
    else:
        print_table(("part", "name", "value"), rows, prose=("value",))


def _why(entry: StageHistoryEntry) -> str:
    if not entry.displaced:
        return entry.reason or "-"
    # The reason is that of the version which took the place.
    return f"made room for another version ({entry.reason})" if entry.reason else "made room for another version"


def _metrics(version: Version) -> str:
    shown = [
        f"{one.name}{'@' + one.dataset if one.dataset else ''}={one.value:.4g}" for one in version.facts.metrics[:3]
    ]
    return " ".join(shown) + (" …" if len(version.facts.metrics) > 3 else "") if shown else "-"
