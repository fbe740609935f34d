"""Logs: one line each, JSON unless a person watches, with the run and step that they belong to and without secrets."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from contextlib import AbstractContextManager
from typing import Any, cast

import structlog
from structlog.typing import Processor

SECRET_WORDS = ("authorization", "api_key", "api-key", "apikey", "password", "secret", "cookie")
HIDDEN = "[hidden]"

# Loggers of libraries that tell at info what we tell ourselves, or every request.
CHATTY = ("dbos", "httpx", "httpx2", "httpcore", "httpcore2", "mcp", "alembic", "uvicorn.access", "watchfiles")


def set_up_logging(level: str = "info") -> None:
    """Send structlog and the standard library's logging through the same processors to stderr, once in a process."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        without_colours,
        hide_secrets,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=_rendering()))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # DBOS brings a handler of its own, in plain text, unless there is one.
    logging.getLogger("dbos").addHandler(logging.NullHandler())
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def bind_run(run_id: str, **context: object) -> None:
    """Put the run on every line that this task logs from here on."""
    structlog.contextvars.bind_contextvars(run_id=run_id, **context)


def about_step(step: int, attempt: int) -> AbstractContextManager[None]:
    """Put the step on every line that is logged within the block, by tools in threads too."""
    return structlog.contextvars.bound_contextvars(step=step, attempt=attempt)


def without_colours(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Drop uvicorn's second text of a line, which is meant for its own handler."""
    event.pop("color_message", None)
    return event


def hide_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace values under names that promise a secret, in nested dictionaries too."""
    for name, value in event.items():
        event[name] = _without_secrets(name, value)
    return event


def _without_secrets(name: str, value: Any) -> Any:
    if any(word in name.lower() for word in SECRET_WORDS):
        return HIDDEN
    if isinstance(value, dict):
        entries = cast(dict[object, Any], value)
        return {key: _without_secrets(str(key), item) for key, item in entries.items()}
    return value


def _rendering() -> list[Processor]:
    without_bookkeeping = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if sys.stderr.isatty():
        return [without_bookkeeping, structlog.dev.ConsoleRenderer()]
    return [without_bookkeeping, structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
