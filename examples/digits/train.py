"""Train a classifier on the digits that scikit-learn ships: `python train.py KIND FOLDER`.

Writes the model with its code and a card into FOLDER and prints what there is to know about it as JSON.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path

import joblib
import sklearn
from data import load
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

KINDS = {
    "logistic-regression": (LogisticRegression, {"C": 0.1, "max_iter": 500}),
    "support-vector-machine": (SVC, {"C": 10.0, "gamma": 0.02}),
}


def main() -> None:
    kind, folder = sys.argv[1], Path(sys.argv[2])
    make, params = KINDS[kind]
    digits = load()
    model = make_pipeline(StandardScaler(), make(**params)).fit(digits.train_x, digits.train_y)
    accuracy = float(model.score(digits.test_x, digits.test_y))

    folder.mkdir(parents=True, exist_ok=True)
    joblib.dump(model, folder / "model.joblib")
    (folder / "config.json").write_text(json.dumps({"image": [8, 8], "scale": "standard", **params}, indent=2))
    for code in ("predict.py", "data.py"):
        shutil.copy(Path(__file__).parent / code, folder / code)
    (folder / "README.md").write_text(f"# Digits, {kind}\n\n{accuracy:.1%} right on {len(digits.test_y)} digits.\n")
    known = {
        "model_type": kind,
        "params": params,
        "accuracy": accuracy,
        "rows": len(digits.train_y) + len(digits.test_y),
        "test_rows": len(digits.test_y),
        "dataset_digest": "sha256:" + hashlib.sha256(digits.bytes).hexdigest(),
        "framework_version": sklearn.__version__,
    }
    print(json.dumps(known))


if __name__ == "__main__":
    main()
