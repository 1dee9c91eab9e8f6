"""Both servers as one thing to start and stop."""

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from greenroomd.embedded.errors import EmbeddedError
from greenroomd.embedded.folder import DataFolder, open_folder
from greenroomd.embedded.postgres import Postgres
from greenroomd.embedded.valkey import Valkey


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the running servers are. Only the user they run as, and root, can connect."""

    database_url: str
    """For SQLAlchemy with asyncpg; role and database are `greenroom`, the role is a superuser."""

    redis_url: str
    """For redis-py."""


class EmbeddedStack:
    """A PostgreSQL and a Valkey in one data folder, alive as long as this process at most.

    Not safe for use from two threads at once; the thread that starts it may end. A process that forks itself
    into the background must do so first. As a context manager it is started on entry and stopped on exit.
    """

    def __init__(self, data_folder: Path, *, durable: bool = True) -> None:
        """Touch nothing yet. `durable=False` trades safety on a crash of the machine for speed, in tests."""
        self._path = data_folder
        self._durable = durable
        self._folder: DataFolder | None = None
        self._postgres: Postgres | None = None
        self._redis: Valkey | None = None

    @property
    def postgres(self) -> Postgres:
        """The PostgreSQL server. Raises EmbeddedError before the first start()."""
        if self._postgres is None:
            raise _not_started()
        return self._postgres

    @property
    def redis(self) -> Valkey:
        """The Valkey server. Raises EmbeddedError before the first start()."""
        if self._redis is None:
            raise _not_started()
        return self._redis

    @property
    def endpoints(self) -> Endpoints:
        """What start() returned. Raises EmbeddedError before the first start()."""
        return Endpoints(database_url=self.postgres.url, redis_url=self.redis.url)

    def start(self) -> Endpoints:
        """Start what does not run and return when both servers accept connections.

        The first start on a folder creates it, with the database. Later ones recover whatever the last owner
        left, also when it was killed. Raises EmbeddedError, with nothing left running, when that fails.
        """
        try:
            if self._folder is None:
                self._folder = open_folder(self._path)
                self._postgres = Postgres(self._folder, durable=self._durable)
                self._redis = Valkey(self._folder, durable=self._durable)
            self.redis.begin()
            self.postgres.begin()
            self.redis.await_ready()
            self.postgres.await_ready()
        except OSError as error:
            self.stop()
            raise EmbeddedError(
                f"The data folder {self._path} cannot be used: {error}. Greenroom needs a folder on a local disk "
                "with free space, whose content only it changes. Correct that and start again."
            ) from error
        except BaseException:
            self.stop()
            raise
        return self.endpoints

    def stop(self) -> None:
        """Shut both servers down cleanly and give the folder back. Does nothing when that is done.

        Takes a fraction of a second; a server that does not answer is ended harder, within 30 seconds in all.
        Raises EmbeddedError when even that fails; the folder then stays locked.
        """
        if self._folder is None:
            return
        try:
            if self._redis is not None:
                self._redis.stop()
        finally:
            if self._postgres is not None:
                self._postgres.stop()
        self._folder.close()
        self._folder = None

    def start_postgres(self) -> None:
        """Start PostgreSQL again after stop_postgres() or its death; EmbeddedError on a stopped stack."""
        self._require_open()
        self.postgres.begin()
        self.postgres.await_ready()

    def stop_postgres(self) -> None:
        """Shut PostgreSQL down and leave Valkey running."""
        self.postgres.stop()

    def start_redis(self) -> None:
        """Start Valkey again after stop_redis() or its death; EmbeddedError on a stopped stack."""
        self._require_open()
        self.redis.begin()
        self.redis.await_ready()

    def stop_redis(self) -> None:
        """Shut Valkey down and leave PostgreSQL running."""
        self.redis.stop()

    def died(self) -> str | None:
        """Which server ended without being told to, how, and the end of its log; None while all is well.

        Cheap; call it every second or so. It also keeps the servers' logs bounded.
        """
        if self._folder is None:
            return None
        return self.postgres.died() or self.redis.died()

    def __enter__(self) -> Self:
        """Start both servers."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop both servers."""
        self.stop()

    def _require_open(self) -> None:
        if self._folder is None:
            raise _not_started()


def _not_started() -> EmbeddedError:
    return EmbeddedError("The embedded databases are not running. Call start() first.")
