"""Agents whose runs are DBOS workflows. Loaded at first use, because only these names need DBOS."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.durable.agent import DBOSAgent as DBOSAgent
    from app.durable.agent import DBOSParallelExecutionMode as DBOSParallelExecutionMode
    from app.durable.agent_mcp import DBOSMCPServer as DBOSMCPServer
    from app.durable.agent_model import DBOSModel as DBOSModel
    from app.durable.agent_steps import StepConfig as StepConfig

_MODULE_OF = {
    "DBOSAgent": "app.durable.agent",
    "DBOSMCPServer": "app.durable.agent_mcp",
    "DBOSModel": "app.durable.agent_model",
    "DBOSParallelExecutionMode": "app.durable.agent",
    "StepConfig": "app.durable.agent_steps",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return sorted(_MODULE_OF)
