"""`greenroom push`, `pull` and `fsck`: what reads or writes bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from google.protobuf.json_format import MessageToDict

from greenroom.cli import exit_codes
from greenroom.cli.inputs import parse_dataset, parse_metric, parse_pair, parse_role, read_all
from greenroom.cli.output import print_json, print_line, size, tell
from greenroom.cli.progress_display import TransferDisplay
from greenroom.cli.session import Json, current
from greenroom.cli.wording import counted, short_name

Repeated = list[str] | None


def push(
    context: typer.Context,
    model: Annotated[str, typer.Argument(metavar="NAMESPACE/MODEL", help="Created when it does not exist.")],
    path: Annotated[Path, typer.Argument(help="A folder, or a single file.")],
    metric: Annotated[Repeated, typer.Option(help="name=0.97 or name@dataset=0.97. Repeatable.")] = None,
    param: Annotated[Repeated, typer.Option(help="key=value; numbers and true/false keep their type.")] = None,
    dataset: Annotated[Repeated, typer.Option(help="name=sha256:<hex>. Repeatable.")] = None,
    tag: Annotated[Repeated, typer.Option(help="key=value. Repeatable.")] = None,
    parent: Annotated[Repeated, typer.Option(help="Version that this one was derived from.")] = None,
    alias: Annotated[Repeated, typer.Option(help="Alias to point to the new version.")] = None,
    role: Annotated[Repeated, typer.Option(help="pattern=role: weight, config, code, doc or dataset.")] = None,
    description: Annotated[str, typer.Option(help="What to know about this version.")] = "",
    semver: Annotated[str, typer.Option(help="Semantic version, unique in the model.")] = "",
    framework: Annotated[str, typer.Option(help="Such as scikit-learn.")] = "",
    framework_version: Annotated[str, typer.Option(help="Version of the framework.")] = "",
    model_type: Annotated[str, typer.Option(help="Such as logistic-regression.")] = "",
    task: Annotated[str, typer.Option(help="Such as image-classification.")] = "",
    lockfile: Annotated[Path | None, typer.Option(help="Lock file whose digest to record.")] = None,
    code: Annotated[bool, typer.Option(help="Record the git commit of the current folder.")] = True,
    environment: Annotated[bool, typer.Option(help="Record Python, libraries and hardware.")] = True,
    create: Annotated[bool, typer.Option(help="Create namespace and model when missing.")] = True,
    allow_duplicate: Annotated[bool, typer.Option("--allow-duplicate", help="Accept files registered before.")] = False,
    as_json: Json = False,
) -> None:
    """Upload files and register them as the next version of a model."""
    options: dict[str, Any] = {
        "metrics": read_all(metric, parse_metric, "--metric"),
        "params": dict(read_all(param, parse_pair, "--param")),
        "datasets": read_all(dataset, parse_dataset, "--dataset"),
        "tags": dict(read_all(tag, parse_pair, "--tag")),
        "roles": dict(read_all(role, parse_role, "--role")),
    }
    with current(context).client() as client, TransferDisplay(quiet=as_json) as display:
        version = client.push(
            model,
            path,
            **options,
            parents=parent or (),
            aliases=alias or (),
            code="auto" if code else None,
            environment="auto" if environment else None,
            lockfile=lockfile,
            description=description,
            semver=semver,
            framework=framework,
            framework_version=framework_version,
            model_type=model_type,
            task=task,
            create_model=create,
            allow_duplicate=allow_duplicate,
            progress=display,
        )
    if as_json:
        print_json(version)
    else:
        print_line(f"{short_name(version.name)} registered: {version.artifact_digest}")


def pull(
    context: typer.Context,
    selector: Annotated[str, typer.Argument(help="NS/MODEL@STAGE, NS/MODEL@ALIAS, NS/MODEL/VERSION and so on.")],
    dest: Annotated[Path, typer.Argument(help="Folder to write to; made when missing.")],
    as_json: Json = False,
) -> None:
    """Fetch the files that a selector names now, verified byte by byte."""
    with current(context).client() as client, TransferDisplay(quiet=as_json) as display:
        pulled = client.pull(selector, dest, progress=display)
    if as_json:
        print_json(
            {
                "version": pulled.version,
                "artifactDigest": pulled.digest,
                "stage": pulled.stage,
                "path": str(pulled.path),
                "files": list(pulled.files),
                "bytesFetched": str(pulled.bytes_fetched),
            }
        )
        return
    tell(f"{counted(len(pulled.files), 'file')} in {pulled.path}, {size(pulled.bytes_fetched)} fetched, all verified")
    print_line(f"{short_name(pulled.version)} {pulled.digest}")


def fsck(
    context: typer.Context,
    namespace: Annotated[str | None, typer.Argument(help="Unset checks every namespace.")] = None,
    as_json: Json = False,
) -> None:
    """Let the server read every stored blob and compare it with its digest. Exits 8 when one is damaged."""
    with current(context).client() as client, TransferDisplay(quiet=as_json) as display:
        damaged = client.verify_blobs(namespace, progress=display)
    if as_json:
        print_json({"damaged": [MessageToDict(blob) for blob in damaged]})
    for found in damaged if not as_json else ():
        print_line(f"{found.blob.digest} ({size(found.blob.size_bytes)}): {found.problem}")
    if damaged:
        tell(f"{counted(len(damaged), 'blob')} damaged; restore them from a backup, or push the same files again")
        raise typer.Exit(exit_codes.VERIFICATION)
    if not as_json:
        print_line("every stored blob is what its digest says")
