"""Changes of models' names, as the sources tell of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Rename:
    """A model's change of name."""

    former: str
    current: str
    expire_time: datetime | None
    """Until when searches below the former name are searches below the current one."""

    def applied_to(self, name: str) -> str:
        """Return what a resource name is after it: another one when it is that of the model or of one below it."""
        return self.current + name.removeprefix(self.former) if top_of(name) == self.former else name


def top_of(name: str) -> str:
    """Return the model that a resource is or belongs to."""
    return "/".join(name.split("/")[:4])
