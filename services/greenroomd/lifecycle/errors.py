"""What can go wrong in the lifecycle, each with its reason, its metadata and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from greenroomd.platform.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    PreconditionViolation,
)
from greenroomd.platform.service import FormerNameMet


class ModelRenamed(FormerNameMet):
    def __init__(self, name: str, current: str) -> None:
        super().__init__("MODEL_RENAMED", f"{name} is now {current}; use that name", model=name, current_name=current)


class VersionDeleted(NotFound):
    def __init__(self, name: str, delete_time: datetime | None, deleter: str) -> None:
        when = delete_time.isoformat() if delete_time else ""
        super().__init__(
            "VERSION_DELETED",
            f"{name} was deleted by {deleter} at {when}; use another version",
            version=name,
            delete_time=when,
            deleted_by=deleter,
        )


class VersionBeingDeleted(Aborted):
    def __init__(self, name: str) -> None:
        super().__init__("CONFLICT", f"a deletion of {name} is being decided at this moment; try again")


class MovedMeanwhile(Aborted):
    def __init__(self) -> None:
        super().__init__(
            "CONFLICT", "another transition moved the same versions at this moment; nothing was written, try again"
        )


class StageUnknown(FailedPrecondition):
    def __init__(self, stage: str, known: Sequence[str]) -> None:
        super().__init__(
            "STAGE_UNKNOWN",
            f"the namespace has no stage {stage!r}; its stages are {', '.join(known)}",
            stage=stage,
            known_stages=",".join(known),
        )


class StageEdgeMissing(FailedPrecondition):
    def __init__(self, version: str, from_stage: str, to_stage: str, reachable: Sequence[str]) -> None:
        instead = f"it can move to {', '.join(reachable)}" if reachable else "no move leads out of that stage"
        super().__init__(
            "STAGE_EDGE_MISSING",
            f"{version} is in {from_stage} and there is no edge {from_stage} -> {to_stage}; {instead}",
            from_stage=from_stage,
            to_stage=to_stage,
            reachable=",".join(reachable),
        )


class StageUnchanged(FailedPrecondition):
    def __init__(self, version: str, stage: str) -> None:
        super().__init__(
            "STAGE_UNCHANGED", f"{version} is in {stage} already; nothing is to be done", version=version, stage=stage
        )


class StageFull(FailedPrecondition):
    def __init__(self, stage: str, capacity: int, holders: int) -> None:
        super().__init__(
            "STAGE_FULL",
            f"{stage} holds {holders} of the model's versions, its capacity is {capacity}, and the graph names no"
            " stage for displaced versions; move one away first, or set displaced_to",
            stage=stage,
            capacity=str(capacity),
            holders=str(holders),
        )


class StageGraphInvalid(FailedPrecondition):
    def __init__(self, name: str, problems: Sequence[PreconditionViolation]) -> None:
        more = f" ({len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(
            "STAGE_GRAPH_INVALID",
            f"{name} was not changed: {problems[0].message}{more}",
            preconditions=problems,
        )


class ExpectedVersionMismatch(Aborted):
    def __init__(self, where: str, expected: str, current: str) -> None:
        holder = current or "no version"
        super().__init__(
            "EXPECTED_VERSION_MISMATCH",
            f"{where} is {holder}, not {expected} as you expected; look at what changed, then decide again",
            expected_version=expected,
            current_version=current,
        )


class TransitionNotFound(NotFound):
    def __init__(self, name: str) -> None:
        super().__init__(
            "TRANSITION_NOT_FOUND",
            f"there is no {name}; ListTransitions shows the transitions of the namespace",
            transition=name,
        )


class TransitionClosed(FailedPrecondition):
    def __init__(self, name: str, state: str) -> None:
        super().__init__(
            "TRANSITION_CLOSED",
            f"{name} is {state.lower()}, no longer pending; request a new transition if the version should still move",
            transition=name,
            state=state,
        )


class TransitionOpen(AlreadyExists):
    def __init__(self, transition: str, version: str, stage: str) -> None:
        super().__init__(
            "TRANSITION_OPEN",
            f"{transition} would move {version} to {stage} already; approve or cancel that one",
            transition=transition,
        )


class SelfApproval(PermissionDenied):
    def __init__(self, transition: str, principal: str, why: str) -> None:
        super().__init__(
            "SELF_APPROVAL",
            f"{principal} {why} and cannot approve {transition}; ask somebody else who may approve",
            transition=transition,
            principal=principal,
        )


class NothingToRollBackTo(FailedPrecondition):
    def __init__(self, model: str, stage: str) -> None:
        super().__init__(
            "NOTHING_TO_ROLL_BACK_TO",
            f"no earlier holder of {stage} of {model} is left to return to; promote a version instead",
            model=model,
            stage=stage,
        )


class AliasReserved(InvalidArgument):
    def __init__(self, alias: str) -> None:
        super().__init__(
            "ALIAS_RESERVED",
            f"{alias!r} cannot be an alias: it is a stage, latest, or reads like a number, version or digest;"
            " choose a word such as champion",
            alias=alias,
        )


class AliasNotFound(NotFound):
    def __init__(self, name: str) -> None:
        super().__init__("ALIAS_NOT_FOUND", f"there is no {name}; ListAliases shows those of the model", alias=name)


class SelectorMalformed(InvalidArgument):
    def __init__(self, selector: str, position: int, problem: str) -> None:
        super().__init__(
            "SELECTOR_MALFORMED",
            f"selector {selector!r} cannot be read at position {position}: {problem}",
            selector=selector,
            position=str(position),
            problem=problem,
        )


class SelectorUnresolved(NotFound):
    def __init__(self, selector: str, why: str) -> None:
        super().__init__("SELECTOR_UNRESOLVED", f"{selector} names nothing: {why}", selector=selector)
