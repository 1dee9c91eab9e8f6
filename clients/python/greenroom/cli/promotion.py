"""`promote approve reject cancel rollback transitions check`: what moves a version from stage to stage."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from greenroom.cli.exit_codes import PRECONDITION
from greenroom.cli.output import enum_word, print_json, print_line, print_table, when
from greenroom.cli.session import Json, current
from greenroom.cli.wording import for_person, gate_command, gate_short, short_name
from greenroom.lifecycle.v1.lifecycle_service_pb2 import ListChecksResponse, ListTransitionsResponse
from greenroom.lifecycle.v1.transition_pb2 import Transition

TransitionArgument = Annotated[
    str,
    typer.Argument(metavar="TRANSITION", help="Its name, NS/ID, or NS/MODEL/VERSION with one pending transition."),
]
Comment = Annotated[str, typer.Option("--comment", "--reason", help="Why; kept with the transition.")]
Expected = Annotated[str | None, typer.Option(help="Version that must hold the stage now, else nothing is done.")]


class CheckWord(StrEnum):
    """State of a check."""

    QUEUED = "queued"
    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"


class TransitionWord(StrEnum):
    """State of a transition."""

    PENDING = "pending"
    COMPLETED = "completed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    FAILED = "failed"


def promote(
    context: typer.Context,
    version: Annotated[str, typer.Argument(metavar="NS/MODEL/VERSION", help="Or a selector such as NS/MODEL@latest.")],
    stage: Annotated[str, typer.Argument(help="Stage to enter.")],
    reason: Annotated[str, typer.Option(help="Why; kept with the transition.")] = "",
    expected_current: Expected = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would happen.")] = False,
    require_complete: Annotated[bool, typer.Option("--require-complete", help="Exit 4 when left pending.")] = False,
    as_json: Json = False,
) -> None:
    """Ask to move a version to a stage. Exits 0 also when gates are open: the answer says what is missing."""
    with current(context).client() as client:
        transition = client.request_transition(
            version, stage, reason=reason, expected_current=expected_current, validate_only=dry_run
        )
    print_transition(transition, as_json=as_json)
    if require_complete and transition.state != Transition.STATE_COMPLETED:
        raise typer.Exit(PRECONDITION)


def approve(
    context: typer.Context, transition: TransitionArgument, comment: Comment = "", as_json: Json = False
) -> None:
    """Say yes to a pending transition; the last approval that is needed completes it."""
    with current(context).client() as client:
        print_transition(client.approve(transition, comment=comment), as_json=as_json)


def reject(
    context: typer.Context, transition: TransitionArgument, comment: Comment = "", as_json: Json = False
) -> None:
    """Say no to a pending transition and close it."""
    with current(context).client() as client:
        print_transition(client.reject(transition, comment=comment), as_json=as_json)


def cancel(
    context: typer.Context, transition: TransitionArgument, comment: Comment = "", as_json: Json = False
) -> None:
    """Take a pending transition back."""
    with current(context).client() as client:
        print_transition(client.cancel(transition, comment=comment), as_json=as_json)


def rollback(
    context: typer.Context,
    model: Annotated[str, typer.Argument(metavar="NS/MODEL")],
    stage: Annotated[str, typer.Argument(help="Stage to return to its previous holder.")] = "production",
    reason: Annotated[str, typer.Option(help="Why; kept with the transition.")] = "rolled back, no reason given",
    expected_current: Expected = None,
    as_json: Json = False,
) -> None:
    """Return a stage to its previous holder; again: one further back."""
    with current(context).client() as client:
        print_transition(
            client.rollback(model, stage, reason=reason, expected_current=expected_current), as_json=as_json
        )


def transitions(
    context: typer.Context,
    of: Annotated[str, typer.Argument(metavar="NAMESPACE|NS/MODEL")],
    state: Annotated[TransitionWord | None, typer.Option(help="Only those in this state.")] = None,
    as_json: Json = False,
) -> None:
    """List the transitions of a namespace or model, newest first."""
    model = of if "/" in of.removeprefix("namespaces/") else None
    namespace = of.removeprefix("namespaces/").partition("/")[0]
    with current(context).client() as client:
        found = list(client.list_transitions(namespace, model=model, state=state.value if state else None))
    if as_json:
        print_json(ListTransitionsResponse(transitions=found))
        return
    print_table(
        ("transition", "state", "versions", "stage", "requester", "created", "missing"),
        (
            (
                short_name(one.name),
                enum_word(Transition.State.Name(one.state)),
                " ".join(short_name(version) for version in one.versions),
                one.target_stage,
                one.requester.id,
                when(one.create_time),
                ", ".join(gate_short(gate) for gate in one.unmet_gates) or "-",
            )
            for one in found
        ),
        prose=("missing",),
        optional=("requester", "created"),
        empty=f"no transition of {of}{f' is {state}' if state else ''}",
    )


def check(
    context: typer.Context,
    version: Annotated[str, typer.Argument(metavar="NS/MODEL/VERSION")],
    name: Annotated[str | None, typer.Argument(metavar="CHECK", help="Unset lists the version's checks.")] = None,
    state: Annotated[CheckWord | None, typer.Argument(help="What to report.")] = None,
    summary: Annotated[str, typer.Option(help="The result in a sentence.")] = "",
    link: Annotated[str, typer.Option(help="Where to look at it.")] = "",
    as_json: Json = False,
) -> None:
    """Report the state of a check on a version, or list its checks."""
    if name is not None and state is None:
        raise typer.BadParameter(f"say what to report: {', '.join(CheckWord)}", param_hint="'STATE'")
    with current(context).client() as client:
        if name is None or state is None:
            checks = client.list_checks(version)
            if as_json:
                print_json(ListChecksResponse(checks=checks))
                return
        else:
            reported = client.report_check(version, name, state.value, summary=summary, link=link)
            if as_json:
                print_json(reported)
                return
            checks = [reported]
    print_table(
        ("check", "state", "summary", "reporter", "updated"),
        (
            (
                one.name.rpartition("/")[2],
                enum_word(one.State.Name(one.state)),
                one.summary,
                one.reporter.id,
                when(one.update_time),
            )
            for one in checks
        ),
        prose=("summary",),
        empty=f"no check of {version} was reported",
    )


def print_transition(transition: Transition, *, as_json: bool) -> None:
    """Print where a transition is, what it moved and what it still needs."""
    if as_json:
        print_json(transition)
        return
    versions = " ".join(short_name(version) for version in transition.versions)
    state = enum_word(Transition.State.Name(transition.state))
    dry = not transition.name
    outcome = f"would be {state} (dry run: nothing was changed)" if dry else f"{state} ({short_name(transition.name)})"
    print_line(f"{versions} to {transition.target_stage}: {outcome}")
    for move in transition.moves:
        how = "displaced" if move.displaced else "moved"
        verb = f"would be {how}" if dry else how
        print_line(f"  {short_name(move.version)} {verb} from {move.from_stage} to {move.to_stage}")
    name = versions if len(transition.versions) == 1 else short_name(transition.name)
    for gate in transition.unmet_gates:
        print_line(f"  {for_person(gate.message)}" + ("" if dry else ":"))
        if not dry:
            print_line(f"    {gate_command(gate, name)}")
    if transition.outcome_reason:
        print_line(f"  {for_person(transition.outcome_reason)}")
