"""The main job on real input: train, push, promote, watch, pull, verify, roll back. `make demo` runs it.

Everything is started here and nothing is left running. The data stays in a folder named at the end, for trying more.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from local_installation import Installation, Subscriber, own_folder, run

import greenroom

DIGITS = Path(__file__).parent / "digits"
MODEL = "demo/digits"
MISSING = {"KIND_CHECK": "the check {subject}", "KIND_APPROVAL": "an approval"}


class Story:
    """Tells each step in one line, with its time."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    @contextlib.contextmanager
    def step(self) -> Iterator[list[str]]:
        """Time a step; the lines that it puts into the list are printed when it is done."""
        began = time.monotonic()
        lines: list[str] = []
        yield lines
        for number, line in enumerate(lines):
            clock = f"{time.monotonic() - began:5.1f} s" if number == 0 else " " * 7
            print(f"{clock}  {line}", flush=True)

    def total(self) -> float:
        return time.monotonic() - self._started


def train(folder: Path, kind: str) -> dict[str, Any]:
    """Train a model in a process of its own; return what there is to know about it."""
    command = [sys.executable, DIGITS / "train.py", kind, folder]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def predict(folder: Path) -> dict[str, Any]:
    """Load what was pulled and predict, in a process of its own."""
    done = subprocess.run([sys.executable, DIGITS / "predict.py", folder], check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def short(name: str) -> str:
    """Return `demo/digits/2` for a resource name."""
    return "/".join(name.split("/")[1::2])


def moves(transition: Any) -> str:
    return ", ".join(
        f"{short(move['version'])} {move['fromStage']} → {move['toStage']}" for move in transition["moves"]
    )


def percent(accuracy: float) -> str:
    return f"{accuracy:.1%}"


def main() -> None:
    folder = own_folder()
    story = Story()
    with story.step() as say:
        installation = Installation(folder)
        try:
            address = installation.wait_until_up()
        except BaseException:
            installation.stop()
            raise
        say.append(f"PostgreSQL, Valkey and four services are up on {address}")
    try:
        tell(story, installation, folder)
    finally:
        with story.step() as say:
            installation.stop()
            say.append("Everything is stopped; no process is left")
    print(
        f"\nDone in {story.total():.0f} s. The registry of this demo is in {folder}; to try more:\n\n"
        f"  .venv/bin/greenroom up --data {installation.data}      in one terminal, then in another:\n"
        f"  .venv/bin/greenroom show {MODEL}\n"
        f"  .venv/bin/greenroom history {MODEL}/2\n"
        f"  .venv/bin/greenroom search --filter 'metric.accuracy > 0.97'\n"
        f"  .venv/bin/greenroom pull {MODEL}@production /tmp/digits\n"
        f"  .venv/bin/greenroom watch {MODEL} --from-revision 0\n"
    )


def tell(story: Story, installation: Installation, folder: Path) -> None:
    """Run the steps."""
    me = installation.environment
    with story.step() as say:
        plain = train(folder / "plain", "logistic-regression")
        better = train(folder / "better", "support-vector-machine")
        say.append(
            f"Trained two models on {plain['rows']} handwritten digits: {plain['model_type']}"
            f" ({percent(plain['accuracy'])} right), {better['model_type']} ({percent(better['accuracy'])})"
        )

    with story.step() as say:
        first, second = push(installation, folder / "plain", plain), push(installation, folder / "better", better)
        for version, number in ((first, 1), (second, 2)):
            facts = version.facts
            files = f"{version.artifact_size_bytes / 1024:.0f} KiB as {version.artifact_digest[:19]}…"
            commit = f"commit {facts.code.commit[:8]}" if facts.code.commit else "no commit"
            libraries = f"Python {facts.environment.python_version}, {len(facts.environment.libraries)} libraries"
            line = f"{MODEL}/{number}: {files} and {facts.metrics[0].name}, parameters,"
            line += f" dataset digest, {commit}, {libraries}"
            say.append(f"Pushed {line}" if number == 1 else f"   and {line}")

    with story.step() as say:
        subscriber = Subscriber(me, MODEL)
        run(me, "promote", f"{MODEL}/1", "staging", "--reason", "first candidate")
        subscriber.wait_for(1)
        transition = run(me, "promote", f"{MODEL}/1", "production", "--reason", "first release")
        say.append(f"Promoted by hand through staging: {moves(transition)}")

    with story.step() as say:
        run(me, "policy", "demo", "production", "--require-check", "holdout-accuracy", "--approvals", "1")
        run(me, "promote", f"{MODEL}/2", "staging", "--reason", "better candidate")
        say.append("From now on production demands a passed check and one approval")
        pending = run(me, "promote", f"{MODEL}/2", "production", "--reason", f"{percent(better['accuracy'])} right")
        missing = " and ".join(MISSING[gate["kind"]].format(**gate) for gate in pending["unmetGates"])
        state = pending["state"].removeprefix("STATE_")
        say.append(f"Requested production for {MODEL}/2: {state}, still missing {missing}")

    with story.step() as say:
        ci, reviewer = installation.principal("ci", "deployer"), installation.principal("reviewer", "approver")
        summary = f"{percent(better['accuracy'])} on {better['test_rows']} digits it never saw"
        run(ci, "check", f"{MODEL}/2", "holdout-accuracy", "passed", "--summary", summary)
        approved = run(reviewer, "approve", f"{MODEL}/2", "--comment", "reviewed the errors")
        say.append(f"CI reported the check, a reviewer approved, and that completed it: {moves(approved)}")

    with story.step() as say:
        subscriber.wait_for(4)
        say.append("A subscriber in another process received each stage change live:")
        for arrived, change in subscriber.received:
            metadata = change["metadata"]
            late = max(arrived - greenroom_time(metadata["time"]), 0) * 1000
            said = moves(change["after"]["transition"])
            say.append(f"   revision {metadata['revision']:>2}, {late:3.0f} ms after commit: {said}")

    serving = folder / "serving"
    with story.step() as say:
        say.append(check_pull(me, serving, 2, better))

    with story.step() as say:
        back = run(me, "rollback", MODEL, "production", "--reason", "the demo wants to see it")
        subscriber.wait_for(5)
        subscriber.stop()
        say.append(f"Rolled back in one call: {moves(back)}")
        say.append(check_pull(me, serving, 1, plain))


def push(installation: Installation, path: Path, known: dict[str, Any]) -> greenroom.Version:
    """Register a trained model with everything that is known about it, through the SDK."""
    credentials = json.loads((installation.data.parent / "credentials.json").read_text())
    with greenroom.connect(credentials["server"], credentials["token"]) as client:
        return client.push(
            MODEL,
            path,
            metrics={"accuracy@digits-test": known["accuracy"]},
            params=known["params"],
            datasets=[greenroom.Dataset(name="digits", digest=known["dataset_digest"])],
            framework="scikit-learn",
            framework_version=known["framework_version"],
            model_type=known["model_type"],
            task="image-classification",
            description=f"Reads handwritten digits; {percent(known['accuracy'])} right on the test part.",
        )


def check_pull(environment: dict[str, str], serving: Path, expected: int, known: dict[str, Any]) -> str:
    """Pull production in another process, load it in a third, and compare with what was promised."""
    pulled = run(environment, "pull", f"{MODEL}@production", serving)
    if short(pulled["version"]) != f"{MODEL}/{expected}":
        sys.exit(f"{MODEL}@production should be version {expected}, and is {pulled['version']}")
    answer = predict(serving)
    if answer["accuracy"] != known["accuracy"]:
        sys.exit(f"the pulled model is {answer['accuracy']} right, and {known['accuracy']} was promised")
    return (
        f"Pulled {MODEL}@production = version {expected}: {len(pulled['files'])} files verified; loaded in another"
        f" process, {percent(answer['accuracy'])} right, as stated"
    )


def greenroom_time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


if __name__ == "__main__":
    main()
