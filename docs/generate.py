"""Writes docs/errors.md from the comments of the ErrorReason enum and the exit codes of the command line.

python docs/generate.py
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from greenroom.cli import exit_codes

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "errors.md"
SOURCE = "greenroom/error/v1/error_reason.proto"
PREFIX = "ERROR_REASON_"
HEAD = """# Errors

Written by `make docs` from the comments in `protos/greenroom/error/v1/error_reason.proto`.

A refused call carries a gRPC code and, as `google.rpc.Status` details, an `ErrorInfo` with domain `greenroom`, one of
these reasons and its metadata; `BadRequest` with the path of every wrong field; `PreconditionFailure` with every unmet
gate. In the SDK each reason is an exception of `greenroom.errors`.

| reason | code | what it means | metadata |
| --- | --- | --- | --- |
"""

TAIL = """

## Exit codes of the command line

| code | when |
| --- | --- |
"""


def main() -> None:
    PAGE.write_text(render(), encoding="utf-8")


def render() -> str:
    """Return the page."""
    rows = [row(name, comment) for name, comment in comments(error_reasons()) if name != f"{PREFIX}UNSPECIFIED"]
    codes = [
        f"| {code} | {meaning} |" for code, meaning in re.findall(r"^(\d+) +(.+)$", exit_codes.__doc__ or "", re.M)
    ]
    return HEAD + "\n".join(rows) + TAIL + "\n".join(codes) + "\n"


def error_reasons() -> FileDescriptorProto:
    """Return the compiled proto with its comments."""
    sys.path.insert(0, str(ROOT / "protos"))
    from generate import run

    with tempfile.NamedTemporaryFile(suffix=".binpb") as image:
        run([f"--descriptor_set_out={image.name}", "--include_source_info", SOURCE])
        return FileDescriptorSet.FromString(Path(image.name).read_bytes()).file[0]


def comments(file: FileDescriptorProto) -> list[tuple[str, str]]:
    """Return each value's name and the comment above it, in the order of the file."""
    above = {tuple(location.path): location.leading_comments for location in file.source_code_info.location}
    return [
        (value.name, " ".join(above[(5, 0, 2, index)].split())) for index, value in enumerate(file.enum_type[0].value)
    ]


def row(name: str, comment: str) -> str:
    code, _, rest = comment.partition(". ")
    meaning, _, metadata = rest.partition("Metadata: ")
    shown = metadata.rstrip(".") or "–"
    return (
        f"| `{name.removeprefix(PREFIX)}` | {code} | {meaning.strip() or '–'} | {'–' if shown == 'none' else shown} |"
    )


if __name__ == "__main__":
    main()
