"""MCP servers of an agent as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.ai.capabilities.abstract import AbstractCapability
from app.ai.exceptions import UserError
from app.ai.run_context import AgentDepsT
from app.ai.toolsets import AbstractToolset, CombinedToolset


@dataclass
class MCPServers(AbstractCapability[AgentDepsT]):
    """Lets an agent use MCP servers, each described by its name as in the `mcpServers` of a JSON file.

    `${NAME}` in any text stands for the environment variable. Raises `UserError` that names the server and the key.
    """

    servers: Mapping[str, Any]
    _toolset: AbstractToolset[AgentDepsT] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        from app.ai.mcp.config_file import server_of_entry  # brings the MCP client

        try:
            servers = [server_of_entry(name, entry, place="MCPServers") for name, entry in self.servers.items()]
        except ValueError as err:
            raise UserError(str(err)) from err
        self._toolset = CombinedToolset(servers)

    @classmethod
    def from_spec(cls, **servers: Any) -> MCPServers[Any]:
        """`MCPServers: {time: {command: …, args: […]}, search: {url: …, headers: {…}}}`."""
        return cls(servers)

    def get_toolset(self) -> AbstractToolset[AgentDepsT]:
        return self._toolset
