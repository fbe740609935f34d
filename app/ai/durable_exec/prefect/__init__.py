"""Agents on Prefect, which does not run here: each name refuses to be used and says what to use instead."""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict

from app.ai.durable_exec.absent import NeedsEngine

__all__ = ("PrefectAgent", "PrefectFunctionToolset", "PrefectMCPServer", "PrefectModel", "TaskConfig")


class TaskConfig(TypedDict, total=False):
    """How Prefect would run a task."""

    retries: int
    retry_delay_seconds: float | list[float]
    timeout_seconds: float
    cache_policy: Any
    persist_result: bool
    result_storage: Any
    log_prints: bool


class _NeedsPrefect(NeedsEngine):
    engine = "Prefect"


class PrefectAgent(_NeedsPrefect):
    """An agent whose runs are flows."""


class PrefectModel(_NeedsPrefect):
    """A model whose requests are tasks."""


class PrefectMCPServer(_NeedsPrefect):
    """An MCP server whose calls are tasks."""


class PrefectFunctionToolset(_NeedsPrefect):
    """Functions whose calls are tasks."""
