"""What the contract says, in the words of the command line: short names, and commands instead of RPCs.

The server's messages are true for every client, so they use resource names and the names of RPCs.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from greenroom.lifecycle.v1.transition_pb2 import UnmetGate

# A segment of a name, also one that is not valid, or a variable of a template.
_SEGMENT = r"(?:\{\w+\}|[\w.:-]*\w)"
_RESOURCE = re.compile(rf"\bnamespaces/{_SEGMENT}(?:/{_SEGMENT})*")

# With the error's metadata in braces, which for a list is what the missing resource would be listed under; and what
# stands there when the error has no such metadata.
_COMMANDS = {
    "CreateNamespace": ("greenroom create {namespace}", "greenroom create NAMESPACE"),
    "CreateModel": ("greenroom create {model}", "greenroom create NS/MODEL"),
    "ListVersions": ("greenroom list {version}", "greenroom list NS/MODEL"),
    "ListTransitions": ("greenroom transitions {transition}", "greenroom transitions NAMESPACE"),
    "ListAliases": ("greenroom alias {alias}", "greenroom alias NS/MODEL"),
}
_RPC = re.compile(rf"\b(?:{'|'.join(_COMMANDS)})\b")


def short_name(name: str) -> str:
    """Return the form that people type: `demo/digits/3`, `demo/digits@champion`; other kinds are named."""
    parts = name.split("/")
    if parts[0] != "namespaces":
        return name
    if len(parts) > 2 and parts[-2] == "aliases":
        return f"{short_name('/'.join(parts[:-2]))}@{parts[-1]}"
    shown = parts[1:2]
    for kind, value in zip(parts[2::2], parts[3::2], strict=False):
        shown += [value] if kind in {"models", "versions", "transitions"} else [kind, value]
    return "/".join(shown if len(parts) % 2 == 0 else [*shown, parts[-1]])


def for_person(text: str, metadata: Mapping[str, str] | None = None) -> str:
    """Return a message of the server with short names, and with commands where it names RPCs.

    Args:
        text: the message.
        metadata: the error's metadata, from which the commands get their arguments.
    """

    def command(found: re.Match[str]) -> str:
        return f"`{_command(found[0], metadata or {})}`"

    shortened = _RESOURCE.sub(lambda found: _short(found[0], quoted=text[: found.start()].endswith("'")), text)
    return _RPC.sub(command, shortened.replace("set allow_duplicate_artifact", "add --allow-duplicate"))


def _short(name: str, *, quoted: bool) -> str:
    # A namespace's short name is a bare word, which a sentence has to introduce.
    bare = name.count("/") == 1 and not quoted and "{" not in name
    return f"namespace {short_name(name)}" if bare else short_name(name)


def _command(rpc: str, metadata: Mapping[str, str]) -> str:
    command, general = _COMMANDS[rpc]
    names = {key: name for key, name in metadata.items() if name.startswith("namespaces/")}
    if rpc.startswith("List"):
        names = {key: _listed_under(name) for key, name in names.items()}
    try:
        return command.format_map({key: short_name(name) for key, name in names.items()})
    except KeyError:
        return general


def _listed_under(name: str) -> str:
    """Return what a resource is listed under; a selector stands for a version of its model."""
    return name.partition("@")[0] if "@" in name else name.rsplit("/", 2)[0]


def gate_short(gate: UnmetGate) -> str:
    """Return what a gate demands, in two or three words."""
    return f"check {gate.subject}" if gate.kind == UnmetGate.KIND_CHECK else "approval"


def gate_command(gate: UnmetGate, transition: str) -> str:
    """Return the command that brings what a gate demands; `transition` is how it can be named."""
    if gate.kind == UnmetGate.KIND_CHECK:
        return shlex.join(["greenroom", "check", short_name(gate.version), gate.subject, "passed"])
    return shlex.join(["greenroom", "approve", transition])


def counted(count: int, thing: str) -> str:
    """Return `1 file`, `2 files`."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def visible(text: str) -> str:
    """Return text that came from elsewhere so that it cannot move the cursor or break a line."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
