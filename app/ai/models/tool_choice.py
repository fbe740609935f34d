"""Which tools a request offers, and whether the model has to call one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from app.ai.exceptions import UserError
from app.ai.models.parameters import ModelRequestParameters
from app.ai.settings import ModelSettings, ToolOrOutput
from app.ai.tools import ToolDefinition


class OfferedTools(NamedTuple):
    """The tools that a request offers, and whether the model has to call one."""

    tools: Sequence[ToolDefinition]
    mode: Literal["auto", "required"]


def offer_tools(settings: ModelSettings, parameters: ModelRequestParameters) -> OfferedTools:
    """Work the `tool_choice` setting out.

    It is about function tools: output tools stay on offer unless exactly named function tools are demanded.
    Tools that must not be called are left out, since servers differ most in how they are told so.
    """
    choice = settings.get("tool_choice")
    functions, outputs = parameters.function_tools, parameters.output_tools
    to_finish: Literal["auto", "required"] = "required" if outputs and not parameters.allow_text_output else "auto"
    match choice:
        case "required":
            return OfferedTools([*functions, *outputs], "required")
        case "none":
            return OfferedTools(outputs, to_finish)
        case ToolOrOutput(function_tools=names):
            return OfferedTools([*_named(names, functions), *outputs], to_finish)
        case None | "auto":
            return OfferedTools([*functions, *outputs], to_finish)
        case names:
            return OfferedTools(_named(names, [*functions, *outputs]), "required")


def _named(names: Sequence[str], tools: Iterable[ToolDefinition]) -> list[ToolDefinition]:
    by_name = {tool.name: tool for tool in tools}
    if unknown := [name for name in names if name not in by_name]:
        raise UserError(f"`tool_choice` names {unknown[0]!r}, but the tools are {sorted(by_name)}.")
    return [by_name[name] for name in names]
