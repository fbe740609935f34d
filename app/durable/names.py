"""Every name that is stored in Postgres. Names are data: only ever added to, and pinned by a test.

A recorded step whose name differs from the one its replay draws makes the run fail as `diverged`.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

APPLICATION: Final = "holdfast"
APPLICATION_VERSION: Final = "holdfast-1"

RUN_WORKFLOW: Final = "holdfast.run"
RUN_QUEUE: Final = "runs"
SERIALIZER: Final = "holdfast_json_v1"

EVENT_CHANNEL: Final = "holdfast_events"
WORKER_LOCK_NAMESPACE: Final = 0x486F6C64
"""First key of the two-int advisory lock that a worker holds for its life ("Hold")."""

STEP_KINDS: Final = ("model", "tool", "mcp", "output", "decision", "callback", "list_tools", "sampling", "messages")
OUTCOMES: Final = ("returned", "retry", "deferred", "failed", "unknown")
STATE_EVENTS: Final = (
    "run_queued",
    "run_running",
    "run_waiting",
    "run_succeeded",
    "run_failed",
    "run_cancelled",
    "run_taken_over",
)
TERMINAL_EVENTS: Final = ("run_succeeded", "run_failed", "run_cancelled")
STEP_EVENTS: Final = (
    "attempt",
    "part_start",
    "part_delta",
    "part_end",
    "final_result",
    "function_tool_call",
    "function_tool_result",
    "tool_progress",
)
MESSAGE_EVENTS: Final = ("message_sent", "message_taken")
TABLES: Final = (
    "run_cursors",
    "run_events",
    "attempts",
    "approvals",
    "idempotency_keys",
    "workers",
    "api_keys",
    "tool_definitions",
    "cooldowns",
    "agents",
    "sent_messages",
)
VIEWS: Final = ("runs", "steps", "messages", "tool_calls")
WAIT_KINDS: Final = ("approval", "external", "outcome_unknown", "input")

RETRY_AT: Final = "retry_at"
"""What a run waits for that has nothing to ask: the moment when a provider wants to be asked again."""

MODEL_STEP: Final = "model"
DECISION_STEP: Final = "decision"
MESSAGES_STEP: Final = "messages"


def tool_step(tool: str) -> str:
    """Name of the step that calls a function tool."""
    return f"tool:{tool}"


def mcp_step(tool: str) -> str:
    """Name of the step that calls a tool of an MCP server."""
    return f"mcp:{tool}"


def sampling_step(tool: str) -> str:
    """Name of the step in which a model answers what a tool of an MCP server asked it."""
    return f"sampling:{tool}"


def list_tools_step(toolset_id: str) -> str:
    """Name of the step that lists the tools of a remote toolset."""
    return f"list_tools:{toolset_id}"


# The published names of the durable façade.

ModelOperation: TypeAlias = Literal["request", "request_stream"]
MCPOperation: TypeAlias = Literal["get_tools", "call_tool"]


def agent_run_workflow(agent: str) -> str:
    """Name of the workflow of `DBOSAgent.run`."""
    return f"{agent}.run"


def agent_run_sync_workflow(agent: str) -> str:
    """Name of the workflow of `DBOSAgent.run_sync`."""
    return f"{agent}.run_sync"


def agent_model_step(prefix: str, operation: ModelOperation) -> str:
    """Name of the step in which a `DBOSModel` asks its model."""
    return f"{prefix}__model.{operation}"


def agent_mcp_step(prefix: str, server: str, operation: MCPOperation) -> str:
    """Name of the step in which a `DBOSMCPServer` asks the server with that id."""
    return f"{prefix}__mcp_server__{server}.{operation}"
