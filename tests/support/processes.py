"""Services as real processes, to be killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from greenroomd.platform.identity import create_principal
from greenroomd.platform.private_file import write_private

START_SECONDS = 60.0


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class Identities:
    """Principals of a test installation and the tokens they use."""

    folder: Path
    tokens: Mapping[str, str]

    @classmethod
    def create(cls, folder: Path) -> Identities:
        """Create an admin, a reviewer who approves, a viewer, and the services' own principal."""
        principals = folder / "principals.json"
        roles = {"admin": "admin", "reviewer": "approver", "viewer": "viewer", "ci": "deployer"}
        tokens = {id: create_principal(principals, id, roles=[role]) for id, role in roles.items()}
        services = create_principal(principals, "services", kind="service", roles=["service"])
        write_private(folder / "services.token", services)
        return cls(folder, tokens)

    def environment(self, database_url: str, redis_url: str) -> dict[str, str]:
        """Return what `greenroomd serve` needs to know."""
        blobs = self.folder / "blobs"
        blobs.mkdir(exist_ok=True)
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("GREENROOM_")},
            "GREENROOM_DATABASE_URL": database_url,
            "GREENROOM_REDIS_URL": redis_url,
            "GREENROOM_BLOB_STORE": str(blobs),
            "GREENROOM_PRINCIPALS_FILE": str(self.folder / "principals.json"),
            "GREENROOM_SERVICE_TOKEN_FILE": str(self.folder / "services.token"),
        }


@dataclass
class ServiceProcess:
    """A `greenroomd serve` on a fixed port. Its output goes to a file that a failing test can show."""

    target: str
    environment: Mapping[str, str]
    log: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start and return when health says SERVING."""
        command = [sys.executable, "-m", "greenroomd", "serve", "--target", self.target, "--port", str(self.port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=dict(self.environment), stdout=log, stderr=log)
        self.wait_serving()

    def wait_serving(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + START_SECONDS
        with grpc.insecure_channel(self.address, options=[("grpc.max_reconnect_backoff_ms", 100)]) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            while time.monotonic() < deadline:
                if self.process.poll() is not None:
                    raise AssertionError(f"{self.target} ended with {self.process.returncode}:\n{self.tail()}")
                try:
                    answer = health.Check(health_pb2.HealthCheckRequest(), timeout=1)
                except grpc.RpcError:
                    time.sleep(0.05)
                    continue
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    return
                time.sleep(0.05)
        raise AssertionError(f"{self.target} was not serving within {START_SECONDS:.0f} s:\n{self.tail()}")

    def kill(self) -> None:
        """End it as a crash would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def terminate(self) -> int:
        """Ask it to end and return its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def tail(self, lines: int = 40) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


ALL = ("artifact", "catalog", "lifecycle", "search")


def four_processes(
    environment: Mapping[str, str],
    folder: Path,
    targets: Sequence[str] = ALL,
) -> dict[str, ServiceProcess]:
    """Return a process for each target, each knowing where the others will be; none is started."""
    ports = {target: free_port() for target in targets}
    addresses = {f"GREENROOM_{target.upper()}_ADDRESS": f"127.0.0.1:{port}" for target, port in ports.items()}
    return {
        target: ServiceProcess(target, {**environment, **addresses}, folder / f"{target}.log", port)
        for target, port in ports.items()
    }


def processes_of(folder: Path) -> list[str]:
    """Return the command lines of processes that have something to do with a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            here = str((entry.parent / "cwd").readlink())
        except OSError:
            continue
        if str(folder) in line or here.startswith(str(folder)):
            found.append(line)
    return found
