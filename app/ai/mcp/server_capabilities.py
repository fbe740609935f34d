"""What a server says that it can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from mcp_types import ServerCapabilities as SDKCapabilities


@dataclass(frozen=True, kw_only=True)
class ServerCapabilities:
    """What a server offers, and of which listings it tells when they change."""

    experimental: list[str] | None = None
    """The names of what it offers beyond the protocol."""
    logging: bool = False
    prompts: bool = False
    prompts_list_changed: bool = False
    resources: bool = False
    resources_list_changed: bool = False
    tools: bool = False
    tools_list_changed: bool = False
    completions: bool = False

    @classmethod
    def of(cls, said: SDKCapabilities) -> Self:
        """The SDK's capabilities as ours."""
        return cls(
            experimental=list(said.experimental) if said.experimental else None,
            logging=said.logging is not None,
            prompts=said.prompts is not None,
            prompts_list_changed=bool(said.prompts and said.prompts.list_changed),
            resources=said.resources is not None,
            resources_list_changed=bool(said.resources and said.resources.list_changed),
            tools=said.tools is not None,
            tools_list_changed=bool(said.tools and said.tools.list_changed),
            completions=said.completions is not None,
        )
