"""Options of an agent that have newer forms: they still work, and warn."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, cast

from typing_extensions import TypedDict

from app.ai.agent.budgets import output_budget_of_run
from app.ai.agent.options import AgentRetries, OverrideOptions
from app.ai.capabilities import AbstractCapability, HistoryProcessor, PrepareOutputTools, PrepareTools, ProcessHistory
from app.ai.exceptions import UserError
from app.ai.native_tools import AgentNativeTool
from app.ai.tools import ToolsPrepareFunc
from app.ai.toolsets import AgentToolset, as_toolsets

_NEWER_FORMS = {
    "output_retries": "retries={'output': ...}",
    "tool_retries": "retries={'tools': ...}",
    "builtin_tools": "capabilities=[NativeTool(...)]",
    "history_processors": "capabilities=[ProcessHistory(...)]",
    "prepare_tools": "capabilities=[PrepareTools(...)]",
    "prepare_output_tools": "capabilities=[PrepareOutputTools(...)]",
    "mcp_servers": "toolsets=[...]",
}


class OldAgentOptions(TypedDict, total=False):
    """Each has a newer form, which the warning names."""

    output_retries: int
    tool_retries: int
    builtin_tools: Sequence[AgentNativeTool[Any]]
    history_processors: Sequence[HistoryProcessor]
    prepare_tools: ToolsPrepareFunc[Any] | None
    prepare_output_tools: ToolsPrepareFunc[Any] | None
    mcp_servers: Sequence[AgentToolset[Any]]


def warn_of_old_options(options: OldAgentOptions) -> None:
    """Warn of each option. Raises `UserError` for what was never one."""
    if unknown := sorted(options.keys() - _NEWER_FORMS.keys()):
        raise UserError(f"Agent has no option {', '.join(map(repr, unknown))}")
    for name in options:
        warnings.warn(f"`{name}` is deprecated, use `{_NEWER_FORMS[name]}`", DeprecationWarning, stacklevel=3)


def with_old_retries(retries: int | AgentRetries | None, options: OldAgentOptions) -> int | AgentRetries | None:
    """The budgets by category, those given by their old names included."""
    if not {"tool_retries", "output_retries"} & options.keys():
        return retries
    budgets: Any = {"tools": retries, "output": retries} if isinstance(retries, int) else dict(retries or {})
    for category, name in (("tools", "tool_retries"), ("output", "output_retries")):
        if name in options:
            budgets[category] = options[name]
    return budgets


def with_old_capabilities(
    capabilities: Sequence[AbstractCapability[Any]], options: OldAgentOptions
) -> list[AbstractCapability[Any]]:
    """The capabilities, and after them what the old options say as capabilities."""
    all_of_them = list(capabilities)
    all_of_them += [ProcessHistory(processor) for processor in options.get("history_processors") or ()]
    if prepare := options.get("prepare_tools"):
        all_of_them.append(PrepareTools(prepare))
    if prepare := options.get("prepare_output_tools"):
        all_of_them.append(PrepareOutputTools(prepare))
    return all_of_them


def checked_overrides(overrides: OverrideOptions[Any]) -> OverrideOptions[Any]:
    """Overrides by their present names. Raises `UserError` for unknown ones, and for retries of tools."""
    given: dict[str, Any] = dict(overrides)
    if "builtin_tools" in given:
        warnings.warn("`builtin_tools` is deprecated, use `native_tools`", DeprecationWarning, stacklevel=4)
        given["native_tools"] = given.pop("builtin_tools")
    if unknown := sorted(given.keys() - OverrideOptions.__annotations__.keys()):
        raise UserError(f"Agent.override has no option {', '.join(map(repr, unknown))}")
    output_budget_of_run(given.get("retries"), of_agent=0)
    if "toolsets" in given:
        given["toolsets"] = as_toolsets(given["toolsets"])
    return cast("OverrideOptions[Any]", given)
