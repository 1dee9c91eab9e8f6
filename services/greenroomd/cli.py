"""`greenroomd`: run the services, migrate their schemas, hand out tokens."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command. Exits with 0 when it went well, 1 when it failed, 2 when it was called wrongly."""
    try:
        import greenroomd.commands as commands
    except ModuleNotFoundError as error:
        sys.exit(f"greenroomd needs {error.name}, which is not installed; run: pip install 'greenroom[server]'")
    options = parser().parse_args(arguments)
    try:
        commands.COMMANDS[options.command](options)
    except KeyboardInterrupt:
        sys.exit(130)
    except commands.EXPECTED_ERRORS as error:
        sys.exit(f"greenroomd {options.command}: {error}")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(prog="greenroomd", description="The Greenroom server.")
    subcommands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    up = subcommands.add_parser("up", help="start databases and services in one data folder and stay")
    up.add_argument("--data", type=Path, help="data folder; default $GREENROOM_DATA, then one in your home folder")
    _add_listening(up)

    serve = subcommands.add_parser("serve", help="run services on databases of your own; configured by GREENROOM_*")
    serve.add_argument("--target", default="all", help="all, or services separated by commas (default: all)")
    serve.add_argument("--migrate", action="store_true", help="bring the schemas up to date first")
    _add_listening(serve)

    migrate = subcommands.add_parser("migrate", help="bring the schemas up to date")
    migrate.add_argument("--target", default="all", help="all, or services separated by commas (default: all)")

    subcommands.add_parser("check-config", help="print the configuration, without secrets, or what is wrong with it")

    token = subcommands.add_parser("token", help="create or revoke a principal's token")
    actions = token.add_subparsers(dest="action", required=True, metavar="ACTION")
    create = actions.add_parser("create", help="add a principal, or give it a new token")
    revoke = actions.add_parser("revoke", help="remove a principal; its token stops working")
    for action in (create, revoke):
        action.add_argument("id", help="1 to 63 lower-case letters, digits and hyphens")
        action.add_argument("--principals", type=Path, help="principals file; default $GREENROOM_PRINCIPALS_FILE")
        action.add_argument("--data", type=Path, help="data folder of `greenroom up`, instead of --principals")
    create.add_argument("--role", action="append", required=True, help="viewer, contributor, approver, deployer, admin")
    create.add_argument("--kind", choices=("user", "service"), default="user", help="a person or a program")
    create.add_argument("--out", type=Path, required=True, help="file that the token is written to, mode 0600")
    return top


def _add_listening(command: argparse.ArgumentParser) -> None:
    command.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    command.add_argument("--port", type=int, default=7766, help="port to listen on; 0 for any free one (default: 7766)")
    command.add_argument(
        "--allow-plaintext-off-loopback",
        action="store_true",
        help="listen on a network without TLS, behind a proxy that adds it",
    )


if __name__ == "__main__":
    main()
