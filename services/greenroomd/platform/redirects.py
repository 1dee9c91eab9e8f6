"""Former names and where they lead: what the services that know renamed resources have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from greenroomd.platform.clock import Clock
from greenroomd.platform.errors import NotFound

SEGMENTS = 4
"""Of the names that can change: `namespaces/{namespace}/models/{model}`. Everything below changes with them."""


@dataclass(frozen=True, slots=True)
class Redirect:
    """Where a former name leads."""

    current: str
    expire_time: datetime | None
    """From when on it only says that there was a renaming; None when it leads there for ever."""


@dataclass(frozen=True, slots=True)
class FormerNames:
    """Implements `service.Redirects`."""

    find: Callable[[Collection[str]], Awaitable[Mapping[str, Redirect]]]
    """Returns the redirects of those names that are former ones."""
    gone: Callable[[str, str], NotFound]
    """Makes the error for a former name that no longer leads to the current one."""
    clock: Clock

    async def current_names(self, names: Collection[str]) -> Mapping[str, str]:
        tops = {name: "/".join(name.split("/")[:SEGMENTS]) for name in names if name.count("/") >= SEGMENTS - 1}
        if not tops:
            return {}
        redirects = await self.find(set(tops.values()))
        now = self.clock.now()
        for former, redirect in redirects.items():
            if redirect.expire_time is not None and redirect.expire_time <= now:
                raise self.gone(former, redirect.current)
        return {name: redirects[top].current + name[len(top) :] for name, top in tops.items() if top in redirects}
