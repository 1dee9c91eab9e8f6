"""What can go wrong in a search, each with its reason, its metadata and what to do next."""

from __future__ import annotations

from greenroomd.platform.errors import DeadlineExceeded, InvalidArgument, Unavailable
from greenroomd.platform.service import FormerNameMet


class ModelRenamed(FormerNameMet):
    def __init__(self, name: str, current: str) -> None:
        super().__init__("MODEL_RENAMED", f"{name} is now {current}; use that name", model=name, current_name=current)


class Malformed(InvalidArgument):
    """A filter or a sort order that cannot be read."""

    def __init__(self, reason: str, what: str, position: int, problem: str) -> None:
        super().__init__(
            reason,
            f"{what}, position {position}: {problem}; docs/search.md gives the grammar",
            position=str(position),
            problem=problem,
        )
        self.position = position
        """0-based, in characters."""
        self.problem = problem


class FilterMalformed(Malformed):
    def __init__(self, position: int, problem: str) -> None:
        super().__init__("FILTER_MALFORMED", "filter", position, problem)


class OrderMalformed(Malformed):
    def __init__(self, position: int, problem: str) -> None:
        super().__init__("ORDER_MALFORMED", "order_by", position, problem)


class PageTokenInvalid(InvalidArgument):
    def __init__(self) -> None:
        super().__init__(
            "PAGE_TOKEN_INVALID",
            "page_token is not one that this server gave for this query, filter and order; start at the first page",
        )


class IndexBehind(Unavailable):
    def __init__(self, service: str, wanted: int, reached: int) -> None:
        super().__init__(
            "INDEX_BEHIND",
            f"the index has followed the {service} log up to revision {reached}, not yet {wanted}; try again,"
            " or search without min_revisions for what is known so far",
            service=service,
            min_revision=str(wanted),
            revision=str(reached),
        )


class SearchTooSlow(DeadlineExceeded):
    def __init__(self, seconds: float) -> None:
        super().__init__(
            "DEADLINE_EXCEEDED",
            f"the search was stopped after {seconds:.1f} s; narrow it with parent, a stage, a tag or rarer words",
        )


class GenerationChangedError(Exception):
    """The index was emptied since the batch in hand was asked for. Never reaches a caller."""


class PositionLostError(Exception):
    """A source does not know the position that the index holds: it is another log, or one that was set back."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"{source}: {reason}")
        self.source = source
        self.reason = reason
