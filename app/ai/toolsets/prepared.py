"""A toolset's tools, described anew at each step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from app.ai.callbacks import call_user_function
from app.ai.exceptions import UserError
from app.ai.run_context import AgentDepsT, RunContext
from app.ai.steps import current_steps
from app.ai.tools import ToolDefinition, ToolsPrepareFunc
from app.ai.toolsets.abstract import ToolsetTool
from app.ai.toolsets.wrapper import WrapperToolset


@dataclass
class PreparedToolset(WrapperToolset[AgentDepsT]):
    """The same tools as `prepare_func` describes them; it may change or drop definitions, not add or rename them."""

    prepare_func: ToolsPrepareFunc[AgentDepsT]

    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        tools = await self.wrapped.get_tools(ctx)
        body = partial(call_user_function, self.prepare_func, ctx, [tool.tool_def for tool in tools.values()])
        prepared = await current_steps.get().callback("prepare_tools", list[ToolDefinition] | None, body)
        definitions = {definition.name: definition for definition in prepared or ()}
        if unknown := sorted(definitions.keys() - tools.keys()):
            raise UserError(
                f"The prepare function of {self.label} gave tools that it was not given: {unknown}. "
                "Add tools with `FunctionToolset.add_function`, rename them with `toolset.renamed(...)`."
            )
        return {name: replace(tools[name], tool_def=definition) for name, definition in definitions.items()}
