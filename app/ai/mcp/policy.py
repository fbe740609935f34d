"""What may be done with a server's tools: which are offered, which may be called again, which a person must approve."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypedDict

from typing_extensions import Unpack

from app.ai.run_context import RunContext
from app.ai.tools import ToolDefinition

ApprovalRule: TypeAlias = bool | Collection[str] | Callable[[RunContext[Any], ToolDefinition, dict[str, Any]], bool]
"""All calls or none, the calls of some tools, or those that a function picks."""


class PolicyOptions(TypedDict, total=False):
    """What a user may say about a server's tools."""

    trust_annotations: bool
    """Whether the server's word that a tool is read-only, idempotent or destructive is believed."""
    idempotent_tools: Iterable[str]
    """The server's names of tools whose call may simply be made again when its outcome is unknown."""
    approval_required: ApprovalRule | None
    """Which calls a person must approve; by default those that a trusted server calls destructive."""
    include_tools: Iterable[str] | None
    """The server's names of the only tools that are offered; by default all are."""
    exclude_tools: Iterable[str]
    """The server's names of tools that are not offered."""


@dataclass(frozen=True)
class Policy:
    """The configuration, and where it says nothing, the annotations of a server whose word is believed.

    Names are the server's own. Annotations of a server that is not trusted count for nothing.
    """

    trust_annotations: bool = False
    idempotent_tools: frozenset[str] = frozenset()
    include_tools: frozenset[str] | None = None
    exclude_tools: frozenset[str] = frozenset()
    approval_required: ApprovalRule | None = None

    @classmethod
    def of(cls, **options: Unpack[PolicyOptions]) -> Policy:
        """The policy that a user's options describe."""
        included = options.get("include_tools")
        rule = options.get("approval_required")
        return cls(
            trust_annotations=options.get("trust_annotations", False),
            idempotent_tools=_names(options.get("idempotent_tools", ())),
            include_tools=None if included is None else _names(included),
            exclude_tools=_names(options.get("exclude_tools", ())),
            approval_required=rule if rule is None or isinstance(rule, bool) or callable(rule) else _names(rule),
        )

    def offers(self, name: str) -> bool:
        """Whether agents see the tool."""
        return name not in self.exclude_tools and (self.include_tools is None or name in self.include_tools)

    def is_idempotent(self, name: str, tool_def: ToolDefinition) -> bool:
        """Whether a call whose outcome is unknown may simply be made again."""
        hints = self._believed(tool_def)
        return name in self.idempotent_tools or bool(hints.get("read_only_hint") or hints.get("idempotent_hint"))

    def needs_approval(self, name: str, ctx: RunContext[Any], tool_def: ToolDefinition, args: dict[str, Any]) -> bool:
        """Whether the call waits until a person agrees to it."""
        rule = self.approval_required
        if rule is None:
            hints = self._believed(tool_def)
            return bool(hints.get("destructive_hint")) and not hints.get("read_only_hint")
        if isinstance(rule, bool):
            return rule
        return rule(ctx, tool_def, args) if callable(rule) else name in rule

    def _believed(self, tool_def: ToolDefinition) -> dict[str, Any]:
        return (tool_def.metadata or {}).get("annotations") or {} if self.trust_annotations else {}


def _names(names: Iterable[str]) -> frozenset[str]:
    # There may be a single one: a plain string would count as its letters.
    return frozenset([names] if isinstance(names, str) else names)
