"""How talking to an MCP server fails when the model can do nothing about it.

AgentRunError
├── MCPServerUnavailable   the server could not be reached; nothing was sent, so asking again is safe
└── MCPCallLost            a call was sent and its answer never came: it may or may not have taken effect
"""

from __future__ import annotations

from typing import Any, Literal

from app.ai.exceptions import AgentRunError


class MCPServerUnavailable(AgentRunError):
    """The server did not start or could not be reached. Nothing was sent to it."""


class MCPCallLost(AgentRunError):
    """A tool call was sent but not answered: nobody knows whether it took effect. `reason` says what ended it."""

    def __init__(self, tool: str, reason: Literal["timeout", "connection"], detail: str):
        self.tool = tool
        self.reason: Literal["timeout", "connection"] = reason
        self.detail = detail
        super().__init__(f"The MCP tool {tool!r} was called and gave no answer ({reason}): {detail}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.tool, self.reason, self.detail)
