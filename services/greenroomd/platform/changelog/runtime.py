"""One service's change log with everything that runs around it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from google.protobuf.message import Message

from greenroomd.platform.changelog.events import ChangeCodec
from greenroomd.platform.changelog.feed import ChangeFeed
from greenroomd.platform.changelog.log import ChangeLog
from greenroomd.platform.changelog.publisher import Publisher
from greenroomd.platform.changelog.streams import WatchStreams
from greenroomd.platform.changelog.subscription import Subscription
from greenroomd.platform.changelog.watch import Watcher
from greenroomd.platform.service import ServiceContext

ResponseT = TypeVar("ResponseT", bound=Message)


@dataclass(frozen=True, slots=True)
class LogRuntime:
    """The log, its feed and its way to Redis. Services build it first and hand `background` to the process."""

    log: ChangeLog
    feed: ChangeFeed
    codec: ChangeCodec[Any]
    background: tuple[Callable[[], Awaitable[None]], ...]

    @classmethod
    def build(
        cls, context: ServiceContext, encode: Callable[[object], bytes], change_type: type[Message]
    ) -> LogRuntime:
        """Put a service's log together.

        Args:
            context: what the process gives the service.
            encode: turns a domain object into the bytes of the service's `<Service>Resource`.
            change_type: the service's `<Service>Change`.
        """
        log = ChangeLog(context.database, encode)
        feed = ChangeFeed(log)
        codec = ChangeCodec(log.service, change_type)
        background: tuple[Callable[[], Awaitable[None]], ...] = (feed.run,)
        if context.redis is not None:
            publisher = Publisher(log, codec, context.redis)
            subscription = Subscription(context.redis, log.service, feed.wake)
            background = (feed.run, publisher.run, subscription.run)
        return cls(log, feed, codec, background)

    def streams(self, response_type: type[ResponseT]) -> WatchStreams[ResponseT]:
        """Return what answers the service's `WatchChanges`."""
        return WatchStreams(Watcher(self.log, self.feed), self.codec, response_type)
