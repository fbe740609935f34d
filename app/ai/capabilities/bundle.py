"""A capability without a class of one's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeVar

from app.ai.capabilities.abstract import AbstractCapability
from app.ai.instructions import AgentInstructions, Instructions
from app.ai.run_context import AgentDepsT
from app.ai.settings import ModelSettings
from app.ai.template import TemplateStr
from app.ai.tools import Tool, ToolFuncEither
from app.ai.toolsets import AbstractToolset, AgentToolset, CombinedToolset, FunctionToolset, as_toolset

if TYPE_CHECKING:
    from app.ai.native_tools import AgentNativeTool
    from app.ai.run_state import AgentModelSettings

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


class Capability(AbstractCapability[AgentDepsT]):
    """Instructions, tools and settings that belong together. Functions can be added by its decorators, too."""

    def __init__(
        self,
        *,
        id: str | None = None,
        description: TemplateStr[AgentDepsT] | str | None = None,
        defer_loading: bool = False,
        instructions: AgentInstructions[AgentDepsT] = None,
        tools: Sequence[Tool[AgentDepsT] | ToolFuncEither[AgentDepsT, ...]] = (),
        toolsets: Sequence[AgentToolset[AgentDepsT]] = (),
        native_tools: Sequence[AgentNativeTool[AgentDepsT]] = (),
        model_settings: AgentModelSettings[AgentDepsT] | None = None,
    ):
        super().__init__(id=id, description=description, defer_loading=defer_loading)
        self._instructions = Instructions.of(instructions)
        self._functions = FunctionToolset[AgentDepsT](tools, id=id)
        self._toolsets = [as_toolset(toolset) for toolset in toolsets]
        self._native_tools = list(native_tools)
        self._model_settings = model_settings
        self.tool = self._functions.tool
        """Decorator for a tool that takes the run's context first."""
        self.tool_plain = self._functions.tool_plain
        """Decorator for a tool without context."""

    @classmethod
    def from_spec(
        cls,
        *,
        id: str | None = None,
        description: TemplateStr[Any] | str | None = None,
        defer_loading: bool = False,
        instructions: TemplateStr[Any] | str | list[TemplateStr[Any] | str] | None = None,
        model_settings: dict[str, Any] | None = None,
    ) -> Self:
        """What can be written down: no functions."""
        settings = None if model_settings is None else ModelSettings(**model_settings)
        return cls(
            id=id,
            description=description,
            defer_loading=defer_loading,
            instructions=instructions,
            model_settings=settings,
        )

    def instructions(self, func: FunctionT) -> FunctionT:
        """Decorator for a function that gives instructions."""
        self._instructions.functions.append(func)
        return func

    def get_instructions(self) -> AgentInstructions[AgentDepsT]:
        return [*self._instructions.literals, *self._instructions.functions]

    def get_toolset(self) -> AbstractToolset[AgentDepsT]:
        return CombinedToolset([self._functions, *self._toolsets]) if self._toolsets else self._functions

    def get_native_tools(self) -> Sequence[AgentNativeTool[AgentDepsT]]:
        return self._native_tools

    def get_model_settings(self) -> AgentModelSettings[AgentDepsT] | None:
        return self._model_settings
