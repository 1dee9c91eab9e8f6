"""Owns a data folder until a line arrives on stdin or it is killed: python owner.py FOLDER [OPTION...].

--durable          keep fsync on
--no-death-signal  start the servers as on a system that cannot end them with their owner
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from signal import Signals

from greenroomd.embedded import EmbeddedStack
from greenroomd.embedded.identity import Account
from greenroomd.embedded.process import Child

folder, *options = sys.argv[1:]

if "--no-death-signal" in options:
    launch = Child.launch

    def without_death_signal(
        self: Child, command: Sequence[str | Path], account: Account, death_signal: Signals
    ) -> None:
        launch(self, command, account, 0)  # type: ignore[arg-type]

    Child.launch = without_death_signal  # type: ignore[method-assign]

stack = EmbeddedStack(Path(folder), durable="--durable" in options)
endpoints = stack.start()
facts = {
    "endpoints": {"database_url": endpoints.database_url, "redis_url": endpoints.redis_url},
    "pids": [stack.postgres.process.pid, stack.redis.process.pid],
    "uid": os.geteuid(),
}
print(json.dumps(facts), flush=True)
sys.stdin.readline()
stack.stop()
