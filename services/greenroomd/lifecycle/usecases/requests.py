"""Requests to move versions: what they say, and whether they can be meant."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime

from greenroomd.lifecycle.domain import namespace_of, parent_of
from greenroomd.lifecycle.errors import ExpectedVersionMismatch, TransitionOpen
from greenroomd.lifecycle.ports import LifecycleReader
from greenroomd.platform.errors import FieldViolation, field_invalid

ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: no letter that looks like a digit, and in the order of the characters."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request to move versions, as the caller states it."""

    namespace: str
    versions: tuple[str, ...]
    target_stage: str
    reason: str
    expected_current_version: str
    """Empty when the caller expects nothing."""


def check_wanted(wanted: Wanted) -> None:
    """Raises InvalidArgument FIELD_INVALID with every field that does not fit the others."""
    violations = []
    seen: dict[str, int] = {}
    for index, version in enumerate(wanted.versions):
        if namespace_of(version) != wanted.namespace:
            message = f"is not in {wanted.namespace}; a transition moves versions of one namespace"
            violations.append(FieldViolation(f"versions[{index}]", message))
        first = seen.setdefault(parent_of(version), index)
        if first != index:
            message = f"is of the same model as versions[{first}]; a transition moves one version of a model"
            violations.append(FieldViolation(f"versions[{index}]", message))
    if expected := wanted.expected_current_version:
        if len(wanted.versions) > 1:
            message = "can be given for a single version only"
            violations.append(FieldViolation("expected_current_version", message))
        elif parent_of(expected) not in seen:
            message = f"is not of {next(iter(seen), 'the model')}, whose version is to move"
            violations.append(FieldViolation("expected_current_version", message))
    if violations:
        raise field_invalid(*violations)


def check_expected(where: str, expected: str, current: str) -> None:
    """Raises ExpectedVersionMismatch when the caller expects a version and another one, or none, is there."""
    if expected and expected != current:
        raise ExpectedVersionMismatch(where, expected, current)


async def check_none_open(reader: LifecycleReader, wanted: Wanted) -> None:
    """Raises TransitionOpen."""
    for transition in await reader.open_transitions(wanted.versions):
        if transition.target_stage == wanted.target_stage:
            version = next(version for version in transition.versions if version in wanted.versions)
            raise TransitionOpen(transition.name, version, wanted.target_stage)


def transition_id(now: datetime) -> str:
    """Return an id of 16 characters that sorts by time: 56 bits of microseconds, 24 random bits."""
    number = int(now.timestamp() * 1_000_000) << 24 | secrets.randbits(24)
    return "".join(ID_ALPHABET[number >> shift & 31] for shift in range(75, -5, -5))
