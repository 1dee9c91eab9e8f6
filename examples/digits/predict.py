"""Load a model from a folder and predict the test digits: `python predict.py FOLDER`. Prints the accuracy as JSON.

joblib files are pickles: loading one runs what is in it. Load only what came verified from a registry that you trust,
as here, and never on a server.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import joblib
from data import load


def main() -> None:
    digits = load()
    model = joblib.load(Path(sys.argv[1]) / "model.joblib")
    print(json.dumps({"accuracy": float(model.score(digits.test_x, digits.test_y)), "rows": len(digits.test_y)}))


if __name__ == "__main__":
    main()
