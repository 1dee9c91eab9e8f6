"""What a kill leaves behind, and that the next start copes with it without losing anything acknowledged."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncpg
import pytest
import redis

from embedded.support import Started, alive, eventually, owner, query, valkey, working_in
from greenroomd.embedded import EmbeddedStack


def test_killed_owner_leaves_no_orphan_and_no_acknowledged_write_is_lost(data: Path) -> None:
    with owner(data, "--durable") as process:
        started = process.started()
        query(started.endpoints, "CREATE TABLE written (n int PRIMARY KEY)")
        rows, keys = asyncio.run(_write_until_killed(started, process.process.kill))
        process.process.wait()
        eventually(lambda: not working_in(data), "both servers end with their owner", seconds=5)
    assert rows > 20
    assert keys > 20
    with EmbeddedStack(data) as stack:
        assert query(stack.endpoints, f"SELECT count(*) FROM written WHERE n < {rows}") == [rows]
        with valkey(stack.endpoints) as client:
            assert client.exists(*(f"key-{n}" for n in range(keys))) == keys


async def _write_until_killed(started: Started, kill: Callable[[], None]) -> tuple[int, int]:
    """Write to both servers, kill their owner after a while; how many rows and keys were acknowledged."""

    async def rows() -> int:
        connection = await asyncpg.connect(started.endpoints.database_url.replace("+asyncpg", ""))
        written = 0
        try:
            while True:
                await connection.execute("INSERT INTO written VALUES ($1)", written)
                written += 1
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return written
        finally:
            connection.terminate()

    async def keys() -> int:
        client = redis.asyncio.Redis.from_url(started.endpoints.redis_url)
        written = 0
        try:
            while True:
                await client.set(f"key-{written}", written)
                written += 1
        except (OSError, redis.RedisError):
            return written
        finally:
            await client.aclose()

    asyncio.get_running_loop().call_later(0.5, kill)
    done_rows, done_keys = await asyncio.gather(rows(), keys())
    return done_rows, done_keys


@pytest.mark.timeout(30)  # PostgreSQL itself gives up a data folder that was taken from it, after a minute
def test_servers_left_running_by_a_system_without_death_signals_are_ended(data: Path) -> None:
    with owner(data, "--no-death-signal") as process:
        started = process.started()
        query(started.endpoints, "CREATE TABLE kept (n int)")
        process.process.kill()
        process.process.wait()
    time.sleep(0.1)
    assert all(alive(pid) for pid in started.pids), "this test needs orphans"
    with EmbeddedStack(data, durable=False) as stack:
        assert not any(alive(pid) for pid in started.pids)
        assert query(stack.endpoints, "SELECT count(*) FROM kept") == [0]


def test_a_kill_during_initialisation_is_forgotten(data: Path) -> None:
    with owner(data) as process:
        eventually(lambda: any(data.glob("postgres.new-*/base")), "initdb has begun")
        process.process.kill()
        process.process.wait()
    assert not (data / "postgres").exists(), "the kill came too late for this test"
    with EmbeddedStack(data, durable=False) as stack:
        assert query(stack.endpoints, "SELECT 1") == [1]
        assert list(data.glob("postgres.new-*")) == []


@pytest.mark.parametrize("kind", ["zombie", "another program", "nothing"])
def test_a_pid_file_that_names_no_server_does_not_keep_it_from_starting(
    stack: EmbeddedStack, data: Path, kind: str
) -> None:
    stack.start()
    stack.postgres.process.kill()
    stack.stop()
    pid_file = data / "postgres" / "postmaster.pid"
    killed, rest = pid_file.read_text().split("\n", 1)
    with _program_of(pid_file.stat().st_uid, zombie=kind == "zombie") as pid:
        pid_file.write_text("" if kind == "nothing" else f"{pid}\n{rest}")
        stack.start()
        assert query(stack.endpoints, "SELECT 1") == [1]
        assert pid_file.read_text().split("\n", 1)[0] not in {killed, str(pid)}


@contextmanager
def _program_of(uid: int, *, zombie: bool) -> Iterator[int]:
    with subprocess.Popen(["sleep", "60"], user=uid if os.geteuid() == 0 else None) as program:
        if zombie:
            program.kill()
            eventually(lambda: not alive(program.pid), "the program has ended")
            assert Path(f"/proc/{program.pid}").exists(), "and was not reaped"
        try:
            yield program.pid
        finally:
            program.kill()


def test_postgres_starts_although_sessions_of_the_killed_one_linger(stack: EmbeddedStack, data: Path) -> None:
    endpoints = stack.start()

    async def busy() -> None:
        connection = await asyncpg.connect(endpoints.database_url.replace("+asyncpg", ""))
        work = asyncio.create_task(connection.execute("SELECT sum(i) FROM generate_series(1, 6000000) i"))
        await asyncio.sleep(0.1)
        sessions = set(working_in(data / "postgres"))
        stack.postgres.process.kill()
        stack.postgres.process.wait()
        assert any(alive(pid) for pid in sessions), "this test needs a session that does not notice at once"
        await asyncio.to_thread(stack.start_postgres)
        assert not any(alive(pid) for pid in sessions), "never two at work on the same data"
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await work
        connection.terminate()

    asyncio.run(busy())
    assert query(endpoints, "SELECT 1") == [1]


def test_a_second_owner_is_refused_and_told_who_the_first_is(running: EmbeddedStack, running_data: Path) -> None:
    with owner(running_data) as second:
        message = second.refusal()
    assert "EmbeddedError" in message
    assert f"in use by process {os.getpid()}" in message
    assert query(running.endpoints, "SELECT 1") == [1], "the first one goes on undisturbed"


def test_the_next_owner_need_not_wait_for_the_killed_one(data: Path) -> None:
    for _ in range(3):
        with owner(data) as process:
            query(process.started().endpoints, "SELECT 1")
            os.kill(process.process.pid, signal.SIGKILL)
            process.process.wait()
    with EmbeddedStack(data, durable=False) as stack:
        assert query(stack.endpoints, "SELECT 1") == [1]
