"""Which services a process can run: the table of `greenroomd serve --target=…`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

from greenroomd.config import SERVICES
from greenroomd.platform.service import BuiltService, ServiceContext

Build = Callable[[ServiceContext], BuiltService]

ALL = "all"

ASKS: Mapping[str, tuple[str, ...]] = {
    "artifact": (),
    "catalog": ("artifact", "lifecycle"),
    "lifecycle": ("catalog",),
    "search": ("catalog", "lifecycle"),
}
"""The siblings that each service calls. Those that a process does not run itself need an address."""


class TargetError(ValueError):
    """A target names a service that does not exist, or leaves a sibling without an address."""


def parse_target(target: str) -> tuple[str, ...]:
    """Return the services that a `--target` names: `all`, or some separated by commas. Raises TargetError."""
    names = SERVICES if target == ALL else tuple(part.strip() for part in target.split(","))
    if unknown := [name for name in names if name not in SERVICES]:
        raise TargetError(
            f"there is no service {', '.join(map(repr, unknown))}; choose {ALL}, or from {', '.join(SERVICES)}"
        )
    return tuple(service for service in SERVICES if service in names)


def sibling_addresses(services: tuple[str, ...], own: str, elsewhere: Mapping[str, str]) -> dict[str, str]:
    """Return where each sibling of the services is. Raises TargetError when one is nowhere."""
    needed = {sibling for service in services for sibling in ASKS[service]}
    addresses = {name: own if name in services else elsewhere.get(name, "") for name in needed}
    if missing := sorted(name for name, address in addresses.items() if not address):
        variables = ", ".join(f"GREENROOM_{name.upper()}_ADDRESS" for name in missing)
        raise TargetError(f"this process does not run {', '.join(missing)}; set {variables} to host:port")
    return addresses


def builder(service: str) -> Build:
    """Return the function that builds a service. Imports that service and no other."""
    build: Build = import_module(f"greenroomd.{service}.service").build
    return build
