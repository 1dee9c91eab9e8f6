"""Logs: one JSON object a line on stderr, or coloured lines when stderr is a terminal.

Every line written during a call carries its correlation id and trace id; a token that finds its way into a line is
masked. Lines of libraries that use the standard `logging` come out the same way.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from greenroomd.platform.context import current_call

SECRET = re.compile(r"gr_([a-z0-9-]+)_[A-Za-z0-9_\-]{8,}")
MASK = r"gr_\1_…"
STACKS = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))
"""Stacks without the values of local variables: those can be secrets, and rendering them stalls the event loop."""
ENCODER = json.JSONEncoder(ensure_ascii=False, default=repr, separators=(",", ":"))


def configure_logs(level: str = "INFO", *, stream: TextIO | None = None, json_lines: bool | None = None) -> None:
    """Send the process's logs to `stream`.

    Args:
        level: the least important level to write: DEBUG, INFO, WARNING or ERROR.
        stream: where to; stderr when None.
        json_lines: whether to write JSON; when None, JSON unless the stream is a terminal.
    """
    out = stream if stream is not None else sys.stderr
    as_json = not out.isatty() if json_lines is None else json_lines
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        add_time,
        add_call,
    ]
    render: list[Processor] = (
        [STACKS, structlog.processors.JSONRenderer(serializer=to_json)]
        if as_json
        else [structlog.dev.ConsoleRenderer(colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback)]
    )
    structlog.configure(
        processors=[*shared, *render, mask_line],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=stream is None,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render, mask_line],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(number, logging.WARNING) if number > logging.DEBUG else number)


def add_time(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    """Add when it happened, in UTC."""
    event["timestamp"] = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return event


def to_json(event: EventDict, default: Callable[[Any], Any]) -> str:
    """Return a line as JSON; an encoder made once costs a third of `json.dumps` with a fallback."""
    return ENCODER.encode(event)


def add_call(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    """Add what connects a line with its call."""
    call = current_call()
    if call.correlation_id:
        event.setdefault("correlation_id", call.correlation_id)
    if call.trace_parent:
        event.setdefault("trace_id", call.trace_parent[3:35])
    return event


def mask_line(logger: WrappedLogger, name: str, line: Any) -> Any:
    """Mask tokens in a rendered line."""
    return SECRET.sub(MASK, line) if isinstance(line, str) and "gr_" in line else line
