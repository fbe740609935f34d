"""Which tools a request offers, and whether the model has to call one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, TypeAlias

from app.ai.exceptions import UserError
from app.ai.models.parameters import ModelRequestParameters
from app.ai.settings import ModelSettings, ToolOrOutput
from app.ai.tools import ToolDefinition

ChoiceMode: TypeAlias = Literal["auto", "required", "none"]


class OfferedTools(NamedTuple):
    """The tools of a request: all that there are, those that may be called now, and whether one has to be called."""

    every: Sequence[ToolDefinition]
    allowed: Sequence[ToolDefinition]
    mode: ChoiceMode
    restricted: bool = False
    """Whether only some were named to be called."""

    @property
    def forced(self) -> str | None:
        """The one tool that has to be called."""
        return self.allowed[0].name if self.restricted and self.mode == "required" and len(self.allowed) == 1 else None

    def listed(self, *, forces_one: bool = True) -> Sequence[ToolDefinition]:
        """What to list for an API that can be told which tool to call, or to call none, but not which of several.

        The rest stays listed where it can, because a list that changes costs the provider's cache.
        """
        return self.every if self.mode == "none" or (forces_one and self.forced) else self.allowed


def offer_tools(settings: ModelSettings, parameters: ModelRequestParameters) -> OfferedTools:
    """Work the `tool_choice` setting out.

    It is about function tools: output tools may be called in any case unless exactly named function tools are demanded.
    """
    choice = settings.get("tool_choice")
    functions, outputs = parameters.function_tools, parameters.output_tools
    every = [*functions, *outputs]
    to_finish: ChoiceMode = "required" if outputs and not parameters.allow_text_output else "auto"
    match choice:
        case "required":
            return OfferedTools(every, every, "required")
        case "none":
            return OfferedTools(every, outputs, to_finish if outputs else "none", restricted=bool(functions))
        case ToolOrOutput(function_tools=names):
            return OfferedTools(every, [*_named(names, functions), *outputs], to_finish, restricted=True)
        case None | "auto":
            return OfferedTools(every, every, to_finish)
        case names:
            return OfferedTools(every, _named(names, every), "required", restricted=True)


def _named(names: Sequence[str], tools: Iterable[ToolDefinition]) -> list[ToolDefinition]:
    by_name = {tool.name: tool for tool in tools}
    if unknown := [name for name in names if name not in by_name]:
        raise UserError(f"`tool_choice` names {unknown[0]!r}, but the tools are {sorted(by_name)}.")
    return [by_name[name] for name in names]
