"""The command line. `greenroom --help` lists the commands; `exit_codes` says what the exit codes mean."""

from __future__ import annotations

from importlib.metadata import version as distribution_version
from pathlib import Path
from typing import Annotated

import typer

from greenroom.cli import governance, promotion, reading, telemetry, transfer, up, watching
from greenroom.cli.session import ReportingGroup, current

app = typer.Typer(
    name="greenroom",
    cls=ReportingGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="A model registry that speaks gRPC: enforced stages, ordered events, verified bytes.",
    epilog="Exit codes: 0 done, 1 other failure, 2 wrong usage or request, 3 not found, 4 state does not allow it, "
    "5 conflict, 6 no credential or permission, 7 unreachable or too slow, 8 verification failed, "
    "9 quota or disk, 130 interrupted.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(value: bool) -> None:
    if value:
        print(f"greenroom {distribution_version('greenroom')}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    server: Annotated[str | None, typer.Option(help="host:port; https:// in front for TLS.")] = None,
    token_file: Annotated[Path | None, typer.Option(help="File that holds the token.")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds that a call may take.")] = 30.0,
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True)] = False,
) -> None:
    """Server and token come from these options, GREENROOM_SERVER and GREENROOM_TOKEN, or what `greenroom up` wrote."""
    session = current(context)
    session.server, session.token_file, session.timeout = server, token_file, timeout
    telemetry.set_up()


_START = "Start"
_MOVE = "Versions"
_STAGES = "Stages"
_READ = "Read"
_ADMIN = "Rules and reports"

app.command(
    rich_help_panel=_START,
    add_help_option=False,  # `greenroom up --help` is answered by the server program
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)(up.up)

app.command(rich_help_panel=_MOVE)(transfer.push)
app.command(rich_help_panel=_MOVE)(transfer.pull)
app.command(rich_help_panel=_MOVE)(governance.create)
app.command(rich_help_panel=_MOVE)(governance.delete)
app.command(rich_help_panel=_MOVE)(governance.rename)

app.command(rich_help_panel=_STAGES)(promotion.promote)
app.command(rich_help_panel=_STAGES)(promotion.approve)
app.command(rich_help_panel=_STAGES)(promotion.reject)
app.command(rich_help_panel=_STAGES)(promotion.cancel)
app.command(rich_help_panel=_STAGES)(promotion.rollback)
app.command(rich_help_panel=_STAGES)(promotion.check)
app.command(rich_help_panel=_STAGES)(promotion.transitions)

app.command(rich_help_panel=_READ)(reading.resolve)
app.command(rich_help_panel=_READ)(reading.show)
app.command("list", rich_help_panel=_READ)(reading.list_)
app.command(rich_help_panel=_READ)(reading.search)
app.command(rich_help_panel=_READ)(reading.history)
app.command(rich_help_panel=_READ)(reading.lineage)
app.command(rich_help_panel=_READ)(watching.watch)

app.command(rich_help_panel=_ADMIN)(transfer.fsck)
app.command(rich_help_panel=_ADMIN)(governance.alias)
app.command(rich_help_panel=_ADMIN)(governance.policy)
app.command(rich_help_panel=_ADMIN)(governance.stages)
app.command(rich_help_panel=_ADMIN)(governance.deployments)
app.command("deploy-report", rich_help_panel=_ADMIN)(governance.deploy_report)


def main() -> None:
    """Run the command line; the entry point of the `greenroom` script."""
    app()
