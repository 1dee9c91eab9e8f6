"""What the server can be told, all of it by environment variables; `greenroomd check-config` prints what it heard.

    GREENROOM_DATABASE_URL           postgresql://user:password@host/database; GREENROOM_<SERVICE>_DATABASE_URL for one
    GREENROOM_REDIS_URL              redis://host:6379/0 or unix:///path; empty: watches poll
    GREENROOM_BLOB_STORE             folder of the blobs
    GREENROOM_PRINCIPALS_FILE        who may call; `greenroomd token create` writes it
    GREENROOM_SERVICE_TOKEN_FILE     token that the services show each other
    GREENROOM_<SERVICE>_ADDRESS      host:port of a service that another process runs
    GREENROOM_UPLOAD_EXPIRY_SECONDS  idle time after which an unfinished upload is removed; default a day
    GREENROOM_RENAME_REDIRECT_SECONDS  how long a model's former name leads to it; default 90 days
    GREENROOM_LOG_LEVEL              DEBUG, INFO (default), WARNING or ERROR
    GREENROOM_TELEMETRY, OTEL_*      see docs/telemetry.md

Secrets come in files or in the environment, never in arguments, which every user of a machine can read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

SERVICES = ("artifact", "catalog", "lifecycle", "search")
"""Every service, in the order in which they start."""

PASSWORD = re.compile(r"(?<=:)[^:@/]+(?=@)")

DAY = 24 * 60 * 60


class ConfigError(Exception):
    """The configuration cannot be used. The message lists everything that is wrong with it."""


@dataclass(frozen=True, slots=True)
class Config:
    """A complete configuration."""

    database_urls: Mapping[str, str] = field(repr=False)
    """SQLAlchemy URL by service."""
    redis_url: str | None = field(repr=False)
    blob_store: Path
    principals_file: Path
    service_token_file: Path
    addresses: Mapping[str, str]
    """`host:port` of the services that other processes run, by service."""
    upload_expiry_seconds: float = DAY
    rename_redirect_seconds: float = 90 * DAY
    log_level: str = "INFO"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Config:
        """Read the configuration.

        Raises:
            ConfigError: a required variable is missing or one has a value that it cannot have.
        """
        problems: list[str] = []
        common = environment.get("GREENROOM_DATABASE_URL", "")
        urls = {service: environment.get(f"GREENROOM_{service.upper()}_DATABASE_URL") or common for service in SERVICES}
        if missing := [service for service, url in urls.items() if not url]:
            problems.append(
                f"no database for {', '.join(missing)}: set GREENROOM_DATABASE_URL to postgresql://user@host/database"
            )
        elif wrong := [url for url in urls.values() if not url.startswith(("postgresql://", "postgresql+asyncpg://"))]:
            problems.append(f"{PASSWORD.sub('…', wrong[0])} is not a PostgreSQL URL: it starts with postgresql://")
        paths = {}
        for variable, meaning in (
            ("GREENROOM_BLOB_STORE", "the folder of the blobs"),
            ("GREENROOM_PRINCIPALS_FILE", "the file that says who may call"),
            ("GREENROOM_SERVICE_TOKEN_FILE", "the file with the token that the services show each other"),
        ):
            if not environment.get(variable):
                problems.append(f"{variable} is not set: it names {meaning}")
            paths[variable] = Path(environment.get(variable, ""))
        seconds = {}
        for variable, default in (
            ("GREENROOM_UPLOAD_EXPIRY_SECONDS", DAY),
            ("GREENROOM_RENAME_REDIRECT_SECONDS", 90 * DAY),
        ):
            seconds[variable] = environment.get(variable, "") or str(default)
            if not re.fullmatch(r"\d{1,9}(\.\d+)?", seconds[variable]):
                problems.append(f"{variable} is {seconds[variable]!r}; it is a number of seconds")
        if problems:
            raise ConfigError("\n".join(problems))
        return cls(
            database_urls={service: with_driver(url) for service, url in urls.items()},
            redis_url=environment.get("GREENROOM_REDIS_URL") or None,
            blob_store=paths["GREENROOM_BLOB_STORE"],
            principals_file=paths["GREENROOM_PRINCIPALS_FILE"],
            service_token_file=paths["GREENROOM_SERVICE_TOKEN_FILE"],
            addresses={
                service: address
                for service in SERVICES
                if (address := environment.get(f"GREENROOM_{service.upper()}_ADDRESS", ""))
            },
            upload_expiry_seconds=float(seconds["GREENROOM_UPLOAD_EXPIRY_SECONDS"]),
            rename_redirect_seconds=float(seconds["GREENROOM_RENAME_REDIRECT_SECONDS"]),
            log_level=environment.get("GREENROOM_LOG_LEVEL", "INFO"),
        )

    def describe(self) -> dict[str, str]:
        """Return what a person may see of it: no passwords."""
        return {
            **{f"database ({service})": PASSWORD.sub("…", url) for service, url in self.database_urls.items()},
            "redis": PASSWORD.sub("…", self.redis_url) if self.redis_url else "none: watches poll",
            "blob store": str(self.blob_store),
            "principals": str(self.principals_file),
            "service token": str(self.service_token_file),
            **{f"address ({service})": address for service, address in self.addresses.items()},
            "upload expiry": f"{self.upload_expiry_seconds:g} s",
            "rename redirect": f"{self.rename_redirect_seconds:g} s",
            "log level": self.log_level,
        }


def with_driver(url: str) -> str:
    """Return a PostgreSQL URL as SQLAlchemy wants it."""
    return url.replace("postgresql://", "postgresql+asyncpg://", 1)
