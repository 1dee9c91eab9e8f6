"""`make bench`: measure Greenroom beside references in the same run; prints a table and writes build/bench.json."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    sys.path[0] = str(ROOT / "tests")
    from bench.suite import BENCHMARKS, run

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", help=f"which ones to run; default all of {', '.join(BENCHMARKS)}")
    parser.add_argument("--mib", type=int, default=256, help="size of the large file (default: 256)")
    options = parser.parse_args()
    if unknown := set(options.only) - set(BENCHMARKS):
        parser.error(f"{', '.join(sorted(unknown))}: there are {', '.join(BENCHMARKS)}")
    asyncio.run(run(options.only or list(BENCHMARKS), options.mib << 20, ROOT / "build" / "bench.json"))


if __name__ == "__main__":
    main()
