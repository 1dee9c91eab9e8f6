"""Compiles the protos to the descriptor image that buf reads. The schema registry is not needed, nor any network.

python protos/image.py build/protos.binpb --with-comments
"""

from __future__ import annotations

import argparse
from pathlib import Path

from generate import PROTOS, run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", type=Path)
    parser.add_argument("--with-comments", action="store_true", help="keep what `buf lint` needs")
    options = parser.parse_args()
    sources = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.glob("greenroom/**/*.proto"))
    comments = ["--include_source_info"] if options.with_comments else []
    run([f"--descriptor_set_out={options.image}", "--include_imports", *comments, *sources])


if __name__ == "__main__":
    main()
