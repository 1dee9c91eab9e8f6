"""`greenroom watch`: changes as they happen."""

from __future__ import annotations

from enum import StrEnum
from itertools import islice
from typing import Annotated, Any, cast

import typer
from google.protobuf.json_format import MessageToDict

from greenroom._watch import Change, Service
from greenroom.cli.inputs import read_all
from greenroom.cli.output import enum_word, print_json, print_line, tell
from greenroom.cli.session import Json, current
from greenroom.cli.wording import short_name
from greenroom.lifecycle.v1.check_pb2 import Check
from greenroom.lifecycle.v1.deployment_pb2 import Deployment


class ServiceWord(StrEnum):
    """A service with a log."""

    CATALOG = "catalog"
    ARTIFACT = "artifact"
    LIFECYCLE = "lifecycle"
    SEARCH = "search"


def watch(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="[NAMESPACE|NS/MODEL|NS/MODEL/VERSION]")] = None,
    service: Annotated[list[ServiceWord] | None, typer.Option(help="Default: catalog and lifecycle.")] = None,
    kind: Annotated[list[str] | None, typer.Option("--type", help="Such as transition.completed or alias.*")] = None,
    from_revision: Annotated[int | None, typer.Option(min=0, help="Start after it; 0 replays everything.")] = None,
    resume: Annotated[list[str] | None, typer.Option(help="service=token, from an earlier watch.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after so many changes.")] = None,
    as_json: Json = False,
) -> None:
    """Print changes as they happen, one a line; goes on by itself when the server returns."""
    services = cast(list[Service], [str(one) for one in service or (ServiceWord.CATALOG, ServiceWord.LIFECYCLE)])
    with (
        current(context).client() as client,
        client.watch(
            services,
            names=[name] if name else (),
            types=kind or (),
            from_revision=from_revision,
            resume_token=dict(read_all(resume, _token, "--resume")),
        ) as changes,
    ):
        changes.start()
        if not as_json:
            tell(f"watching {name or 'everything'} at {client.server}; Ctrl-C ends it")
        for change in islice(changes, limit):
            if as_json:
                print_json(change_document(change), indent=None)
            else:
                print_line(_line(change))


def change_document(change: Change) -> dict[str, Any]:
    """Return a change as it is printed with `--json`: the contract's message, its service and where to resume."""
    return {"service": change.service, **MessageToDict(change.message), "resumeToken": change.resume_token}


def _line(change: Change) -> str:
    at = f"{change.time:%Y-%m-%d %H:%M:%S}Z"
    return f"{at}  {change.service} {change.revision}  {change.type}  {_about(change)}  by {change.actor}"


def _about(change: Change) -> str:
    """Return what a change is about, and where that stands now."""
    name = short_name(change.resource)
    after = cast(Any, change.message).after
    match (after.WhichOneof("resource"), change.type):
        case ("transition", _):
            versions = " ".join(short_name(version) for version in after.transition.versions)
            return f"{versions} to {after.transition.target_stage}"
        case ("alias", "alias.set"):
            return f"{name} = {short_name(after.alias.version)}"
        case ("check", _):
            version, _, check = name.partition("/checks/")
            return f"{version} {check} {enum_word(Check.State.Name(after.check.state))}"
        case ("deployment", _):
            deployment = after.deployment
            where = name.rpartition("/")[2]
            return f"{short_name(deployment.version)} {enum_word(Deployment.State.Name(deployment.state))} at {where}"
        case _:
            return name


def _token(text: str) -> tuple[str, str]:
    service, separator, token = text.partition("=")
    if not separator or service not in set(ServiceWord):
        raise ValueError(f"{text!r} is not service=token with a service of {', '.join(ServiceWord)}")
    return service, token
