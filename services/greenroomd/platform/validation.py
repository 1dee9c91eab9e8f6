"""Checks of request messages, made once per message type from the options in the protos.

`google.api.field_behavior` and `greenroom.options.v1.rules` say what a field must satisfy; here they become closures
over field descriptors. Every violated field is reported, with its path, up to 100.

    REQUIRED                unset, empty or zero is a violation; in a request with an `update_mask` only `name` is
    OUTPUT_ONLY             not looked at (but `name` in an update, which says what to update)
    IMMUTABLE `name`        required: the caller chooses it
    a message of one oneof  one member must be set
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from greenroom import names
from greenroom.options.v1 import options_pb2
from greenroomd.platform.errors import FieldViolation

MOST_VIOLATIONS = 100
LONGEST_TEXT = 1024
LONGEST_BYTES = 64 * 1024
MOST_ITEMS = 1000
SHOWN = 64
"""Characters of a refused value that its message repeats."""

UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

Violations = list[FieldViolation]
Check = Callable[[Any, str, Violations], None]
"""Looks at a value that stands at a path, and adds what is wrong with it."""


class _TooMany(Exception):
    """Enough violations were found."""


class Validator:
    """Checks messages of one type.

    Args:
        descriptor: the message type.
        in_stream: whether messages arrive on a request stream. Bytes fields are then not looked at, because looking
            at one copies it; whoever reads it checks its length.
    """

    def __init__(self, descriptor: Descriptor, *, in_stream: bool = False) -> None:
        self._check = _scalars_check(descriptor) if in_stream else _message_check(descriptor, False)

    def violations(self, message: Any) -> tuple[FieldViolation, ...]:
        """Return what is wrong with `message`; empty when nothing is."""
        found: Violations = []
        with suppress(_TooMany):
            self._check(message, "", found)
        return tuple(found)


def _add(found: Violations, path: str, message: str) -> None:
    found.append(FieldViolation(path, message))
    if len(found) >= MOST_VIOLATIONS:
        raise _TooMany


def _scalars_check(descriptor: Descriptor) -> Check:
    """Check by attribute instead of ListFields, which would copy the bytes of every chunk."""
    checks = [
        (field.name, check)
        for field in descriptor.fields
        if field.type not in (field.TYPE_BYTES, field.TYPE_MESSAGE) and not _is_repeated(field)
        if (check := _value_check(field, False)) is not None
    ]

    def check_message(message: Any, prefix: str, found: Violations) -> None:
        for name, check in checks:
            if value := getattr(message, name):
                check(value, prefix + name, found)

    return check_message


@cache
def _message_check(descriptor: Descriptor, partial: bool) -> Check:
    """Return the check of a message type; `partial` inside a resource of which an update names only some fields."""
    checks: dict[int, tuple[str, Check]] = {}
    required: list[tuple[str, str]] = []
    union = descriptor.oneofs[0].name if len(descriptor.oneofs) == 1 and _is_union(descriptor) else None

    def check_message(message: Message, prefix: str, found: Violations) -> None:
        present = message.ListFields()
        for field, value in present:
            entry = checks.get(field.number)
            if entry is not None:
                entry[1](value, prefix + entry[0], found)
        if required:
            set_names = {field.name for field, _ in present}
            for name, hint in required:
                if name not in set_names:
                    _add(found, prefix + name, f"is required{hint}")
        if union is not None and not present:
            _add(found, prefix + union, f"one of {', '.join(field.name for field in descriptor.fields)} must be set")

    # Filled after the closure exists, so that a message type that contains itself finds it.
    partial_below = partial or "update_mask" in descriptor.fields_by_name
    for field in descriptor.fields:
        behaviors = set(field.GetOptions().Extensions[field_behavior_pb2.field_behavior])
        identifies = field.name == "name" and (
            partial or (field_behavior_pb2.IMMUTABLE in behaviors and field_behavior_pb2.OUTPUT_ONLY not in behaviors)
        )
        if field_behavior_pb2.OUTPUT_ONLY in behaviors and not identifies:
            continue
        check = _field_check(field, partial_below)
        if check is not None:
            checks[field.number] = (field.name, check)
        if identifies or (field_behavior_pb2.REQUIRED in behaviors and not partial):
            required.append((field.name, _hint(field)))
    return check_message


def _is_union(descriptor: Descriptor) -> bool:
    return len(descriptor.oneofs[0].fields) == len(descriptor.fields) > 1


def _hint(field: FieldDescriptor) -> str:
    rules = _rules(field)
    if rules.resource:
        return f": {names.describe(rules.resource)}"
    return f": {rules.pattern_hint}" if rules.pattern_hint else ""


def _rules(field: FieldDescriptor) -> options_pb2.FieldRules:
    return field.GetOptions().Extensions[options_pb2.rules]


def _is_repeated(field: FieldDescriptor) -> bool:
    return bool(field.is_repeated)


def _is_map(field: FieldDescriptor) -> bool:
    return bool(field.message_type is not None and field.message_type.GetOptions().map_entry)


def _field_check(field: FieldDescriptor, partial: bool) -> Check | None:
    if _is_map(field):
        return _map_check(field, partial)
    if _is_repeated(field):
        return _list_check(field, partial)
    return _value_check(field, partial)


def _list_check(field: FieldDescriptor, partial: bool) -> Check:
    most = _rules(field).max_items or MOST_ITEMS
    check_value = _value_check(field, partial)

    def check_list(values: Any, path: str, found: Violations) -> None:
        if len(values) > most:
            _add(found, path, f"has {len(values)} entries; at most {most} are accepted")
        elif check_value is not None:
            for index, value in enumerate(values):
                check_value(value, f"{path}[{index}]", found)

    return check_list


def _map_check(field: FieldDescriptor, partial: bool) -> Check:
    rules = _rules(field)
    most = rules.max_items or MOST_ITEMS
    assert field.message_type is not None  # noqa: S101 - what _is_map has seen
    key_field, value_field = field.message_type.fields_by_name["key"], field.message_type.fields_by_name["value"]
    key_pattern = re.compile(rules.key_pattern, re.ASCII) if rules.key_pattern else None
    text_keys = key_field.type == FieldDescriptor.TYPE_STRING
    # The rules stand on the map; its values are described by the generated entry message.
    check_value = _value_check(value_field, partial, rules)

    def check_map(entries: Any, path: str, found: Violations) -> None:
        if len(entries) > most:
            _add(found, path, f"has {len(entries)} entries; at most {most} are accepted")
            return
        for key, value in entries.items():
            if text_keys:
                if len(key) > LONGEST_TEXT or "\0" in key:
                    _add(found, path, f"key {_shown(key)} is longer than {LONGEST_TEXT} characters or contains NUL")
                elif key_pattern is not None and not key_pattern.fullmatch(key):
                    _add(found, path, f"key {_shown(key)} does not match {rules.key_pattern}")
            if check_value is not None:
                check_value(value, f"{path}[{_shown(key) if text_keys else key}]", found)

    return check_map


def _value_check(field: FieldDescriptor, partial: bool, rules: options_pb2.FieldRules | None = None) -> Check | None:
    rules = rules or _rules(field)
    if field.message_type is not None:
        return _nested_check(field.message_type, partial)
    if field.type == field.TYPE_STRING:
        return _text_check(rules)
    if field.type == field.TYPE_BYTES:
        return _bytes_check(rules.max_length or LONGEST_BYTES)
    if field.type in (field.TYPE_DOUBLE, field.TYPE_FLOAT):
        return _number_check(rules, floating=True)
    if field.enum_type is not None:
        return _enum_check(field.enum_type)
    if field.type == field.TYPE_BOOL or not (rules.HasField("min") or rules.HasField("max")):
        return None
    return _number_check(rules, floating=False)


def _nested_check(descriptor: Descriptor, partial: bool) -> Check:
    check: Check | None = None

    def check_nested(value: Message, path: str, found: Violations) -> None:
        nonlocal check
        if check is None:  # on first use: a message type may contain itself
            check = _message_check(descriptor, partial)
        check(value, path + ".", found)

    return check_nested


def _text_check(rules: options_pb2.FieldRules) -> Check:
    longest = rules.max_length or LONGEST_TEXT
    pattern: re.Pattern[str] | None = None
    expected = ""
    if rules.resource:
        pattern, expected = names.template_pattern(rules.resource), names.describe(rules.resource)
    elif rules.pattern:
        pattern = re.compile(rules.pattern, re.ASCII)
        expected = rules.pattern_hint or f"a text that matches {rules.pattern}"
    elif rules.uuid:
        pattern, expected = UUID, "a UUID such as 3f2b8c1e-6f5d-4a53-9a2b-0d6c1e7f8a90"

    def check_text(value: str, path: str, found: Violations) -> None:
        if len(value) > longest:
            _add(found, path, f"has {len(value)} characters; at most {longest} are accepted")
        elif pattern is not None:
            if value and not pattern.fullmatch(value):
                precisely = names.describe(rules.resource, value) if rules.resource else expected
                _add(found, path, f"{_shown(value)} is not {precisely}")
        elif "\0" in value:
            _add(found, path, f"{_shown(value)} contains a NUL character")

    return check_text


def _bytes_check(longest: int) -> Check:
    def check_bytes(value: bytes, path: str, found: Violations) -> None:
        if len(value) > longest:
            _add(found, path, f"has {len(value)} bytes; at most {longest} are accepted")

    return check_bytes


def _number_check(rules: options_pb2.FieldRules, *, floating: bool) -> Check:
    least = rules.min if rules.HasField("min") else -math.inf
    most = rules.max if rules.HasField("max") else math.inf

    def check_number(value: float, path: str, found: Violations) -> None:
        if floating and not math.isfinite(value):
            _add(found, path, f"{value} is not a finite number; leave out what could not be computed")
        elif value < least:
            _add(found, path, f"{value} is less than {least}, the smallest accepted")
        elif value > most:
            _add(found, path, f"{value} is more than {most}, the largest accepted")

    return check_number


def _enum_check(descriptor: EnumDescriptor) -> Check:
    known = frozenset(descriptor.values_by_number)
    expected = ", ".join(value.name for value in descriptor.values if value.number)

    def check_enum(value: int, path: str, found: Violations) -> None:
        if value not in known:
            _add(found, path, f"{value} is not one of {expected}")

    return check_enum


def _shown(value: str) -> str:
    return repr(value if len(value) <= SHOWN else value[:SHOWN] + "…")
