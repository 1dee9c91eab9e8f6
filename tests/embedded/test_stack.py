"""Start, use, stop, start again; one server taken away and given back."""

import threading
from pathlib import Path

import pytest
import redis
from sqlalchemy.engine import make_url

from embedded.support import alive, query, valkey, working_in
from greenroomd.embedded import EmbeddedError, EmbeddedStack


def test_what_was_written_is_there_after_a_restart(data: Path) -> None:
    stack = EmbeddedStack(data)
    with stack:
        query(stack.endpoints, "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (7)")
        with valkey(stack.endpoints) as client:
            client.set("kept", "8")
        assert stack.died() is None
    assert working_in(data) == []
    with stack:
        assert query(stack.endpoints, "SELECT n FROM kept") == [7]
        with valkey(stack.endpoints) as client:
            assert client.get("kept") == b"8"
        assert stack.start() == stack.endpoints, "starting what runs changes nothing"
    stack.stop()


def test_settings_are_safe_and_nothing_listens_on_the_network(data: Path) -> None:
    with EmbeddedStack(data) as stack:
        shown = ("fsync", "full_page_writes", "synchronous_commit", "max_connections", "listen_addresses")
        values = query(stack.endpoints, *(f"SHOW {name}" for name in shown))
        assert dict(zip(shown, values, strict=True)) == {
            "fsync": "on",
            "full_page_writes": "on",
            "synchronous_commit": "on",
            "max_connections": "200",
            "listen_addresses": "",
        }
        assert query(stack.endpoints, "SELECT min(x) FROM (VALUES ('a'), ('B')) v(x)") == ["B"], "bytewise order"
        assert query(stack.endpoints, "SELECT upper('é')", "SELECT current_user") == ["É", "greenroom"]
        with valkey(stack.endpoints) as client:
            asked = client.config_get("port", "appendonly", "appendfsync", "maxmemory-policy")
        assert asked == {
            "port": "0",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
        }


def test_other_users_cannot_reach_the_sockets(running: EmbeddedStack, running_data: Path) -> None:
    sockets = [Path(running.endpoints.redis_url.removeprefix("unix://")), running_data / "run" / ".s.PGSQL.5432"]
    assert [path.stat().st_mode & 0o777 for path in sockets] == [0o700, 0o700]
    assert (running_data / "run").stat().st_mode & 0o777 == 0o700
    assert running_data.stat().st_mode & 0o066 == 0


def test_redis_can_be_taken_away_and_given_back(running: EmbeddedStack) -> None:
    endpoints = running.endpoints
    running.stop_redis()
    with valkey(endpoints) as client, pytest.raises(redis.ConnectionError):
        client.ping()
    assert query(endpoints, "SELECT 1") == [1]
    assert running.died() is None, "it was told to end"
    running.start_redis()
    with valkey(endpoints) as client:
        assert client.ping()


def test_postgres_can_be_taken_away_and_given_back(running: EmbeddedStack) -> None:
    endpoints = running.endpoints
    running.stop_postgres()
    with pytest.raises(OSError, match="No such file"):
        query(endpoints, "SELECT 1")
    with valkey(endpoints) as client:
        assert client.ping()
    assert running.died() is None
    running.start_postgres()
    assert query(endpoints, "SELECT 1") == [1]


def test_a_server_that_ends_by_itself_is_reported_with_its_log(running: EmbeddedStack) -> None:
    running.redis.process.kill()
    running.redis.process.wait()
    report = running.died()
    assert report is not None
    assert report.startswith("Valkey was ended by SIGKILL.")
    assert "Ready to accept connections" in report
    running.start_redis()
    assert running.died() is None
    running.postgres.process.kill()
    running.postgres.process.wait()
    report = running.died()
    assert report is not None
    assert report.startswith("PostgreSQL was ended by SIGKILL.")
    running.start_postgres()
    assert running.died() is None


def test_servers_outlive_the_thread_that_started_them(stack: EmbeddedStack) -> None:
    thread = threading.Thread(target=stack.start)
    thread.start()
    thread.join()
    pids = [stack.postgres.process.pid, stack.redis.process.pid]
    assert all(alive(pid) for pid in pids)
    assert query(stack.endpoints, "SELECT 1") == [1]
    assert stack.died() is None


@pytest.mark.parametrize("name", ["x" * 150, "with, comma: and space"], ids=["too long", "special characters"])
def test_a_path_that_cannot_hold_sockets_gets_a_short_folder_for_them(reachable: Path, name: str) -> None:
    data = reachable / name / "data"
    with EmbeddedStack(data, durable=False) as stack:
        endpoints = stack.endpoints
        host = make_url(endpoints.database_url).query["host"]
        assert isinstance(host, str)
        assert Path(host).stat().st_mode & 0o777 == 0o700
        assert query(endpoints, "SELECT 1") == [1]
        with valkey(endpoints) as client:
            assert client.ping()
    assert not Path(host).exists(), "removed with the sockets in it"
    with EmbeddedStack(data, durable=False) as stack:
        assert stack.endpoints == endpoints


def test_use_before_the_start_says_so(stack: EmbeddedStack) -> None:
    for use in (lambda: stack.endpoints, lambda: stack.postgres, stack.start_postgres, stack.stop_redis):
        with pytest.raises(EmbeddedError, match=r"Call start\(\) first"):
            use()
    assert stack.died() is None
    stack.stop()
