"""Generates the Python messages, stubs and type stubs of every proto, next to the hand-written client.

The proto package path is the Python import path, so nothing is rewritten: `greenroom/catalog/v1/model.proto`
becomes `greenroom.catalog.v1.model_pb2`. Run by `make gen` and by the build hook.
"""

from __future__ import annotations

import shutil
import sys
from importlib.metadata import distribution
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

PROTOS = Path(__file__).resolve().parent
PYTHON_ROOT = PROTOS.parent / "clients" / "python"
GENERATED_SUFFIXES = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi")


def main() -> None:
    """Generate everything. Raises SystemExit when a proto does not compile."""
    remove_generated()
    sources = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.glob("greenroom/**/*.proto"))
    # The gRPC plugins run on service files only: for a message file they would write an empty module.
    services = [source for source in sources if source.endswith("_service.proto")]
    run([f"--python_out={PYTHON_ROOT}", plugin("mypy"), f"--mypy_out={PYTHON_ROOT}", *sources])
    run([f"--grpc_python_out={PYTHON_ROOT}", plugin("mypy_grpc"), f"--mypy_grpc_out={PYTHON_ROOT}", *services])


def run(arguments: list[str]) -> None:
    includes = [f"-I{PROTOS}", f"-I{files('grpc_tools') / '_proto'}", f"-I{common_protos()}"]
    code = protoc.main(["protoc", *includes, *arguments])
    if code != 0:
        raise SystemExit(f"protoc failed with exit code {code}; its messages are above")


def common_protos() -> Path:
    """Return the folder that holds google/api/field_behavior.proto."""
    return Path(str(distribution("googleapis-common-protos").locate_file("")))


def plugin(name: str) -> str:
    """Return the protoc option that names a mypy-protobuf plugin, found beside this interpreter or on PATH."""
    program = f"protoc-gen-{name}"
    found = shutil.which(program, path=str(Path(sys.executable).parent)) or shutil.which(program)
    if found is None:
        raise SystemExit(f"{program} was not found; install the package mypy-protobuf (`make setup` does)")
    return f"--plugin={program}={found}"


def remove_generated() -> None:
    """Remove what an earlier run wrote, so that a removed proto leaves no module behind."""
    for suffix in GENERATED_SUFFIXES:
        for path in (PYTHON_ROOT / "greenroom").glob(f"**/*{suffix}"):
            path.unlink()


if __name__ == "__main__":
    main()
