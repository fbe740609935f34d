"""MCP servers whose listings and calls are DBOS steps."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, Self

from dbos import DBOS
from pydantic import TypeAdapter

from app.ai.exceptions import ApprovalRequired, CallDeferred, ModelRetry, UserError
from app.ai.mcp import MCPServer, opened_on_demand
from app.ai.run_context import RunContext
from app.ai.tools import ToolDefinition
from app.ai.toolsets import AbstractToolset, ToolsetTool, WrapperToolset
from app.durable import names
from app.durable.agent_steps import StepConfig, in_workflow, record_step
from app.durable.envelopes import Envelope, control_flow, read_result, returned

_definitions: TypeAdapter[list[ToolDefinition]] = TypeAdapter(list[ToolDefinition])


@dataclass
class DBOSMCPServer(WrapperToolset[Any]):
    """Lists and calls the tools of an MCP server in steps when used by a workflow, and plainly anywhere else.

    A replay rebuilds the tools from the recorded definitions and does not contact the server. A call that was under
    way when the process died is made again, with the same `idempotency_key` in its `_meta`.
    """

    step_name_prefix: str = field(kw_only=True)
    step_config: StepConfig = field(default_factory=StepConfig, kw_only=True)

    def __post_init__(self) -> None:
        if not self._server.id:
            raise UserError(
                f"{self._server.label} ({self._server.target}) needs an `id`: its steps are recorded under that name"
            )

    @property
    def id(self) -> str | None:
        return self.wrapped.id

    async def __aenter__(self) -> Self:
        with opened_on_demand() if in_workflow() else nullcontext():
            return await super().__aenter__()

    async def get_tools(self, ctx: RunContext[Any]) -> dict[str, ToolsetTool[Any]]:
        if not in_workflow():
            return await self.wrapped.get_tools(ctx)

        async def listing() -> list[dict[str, Any]]:
            found = [tool.tool_def for tool in (await self.wrapped.get_tools(ctx)).values()]
            return _definitions.dump_python(found, mode="json")

        recorded = await record_step(self._step("get_tools"), self.step_config, listing)
        definitions = _definitions.validate_python(recorded)
        return {definition.name: self._server.tool_for_tool_def(definition) for definition in definitions}

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> Any:
        if not in_workflow():
            return await self.wrapped.call_tool(name, tool_args, ctx, tool)

        async def call() -> Envelope:
            key = f"{DBOS.workflow_id}:{DBOS.step_id}"
            try:
                return returned(await self.wrapped.call_tool(name, tool_args, replace(ctx, idempotency_key=key), tool))
            except (ModelRetry, CallDeferred, ApprovalRequired) as signal:
                # An answer to the model, not a failure: DBOS must not try the step again.
                return control_flow(signal)

        return read_result(await record_step(self._step("call_tool"), self.step_config, call, of_span=True))

    def visit_and_replace(
        self, visitor: Callable[[AbstractToolset[Any]], AbstractToolset[Any]]
    ) -> AbstractToolset[Any]:
        # What is recorded under the server's name must stay the server's.
        return self

    @property
    def _server(self) -> MCPServer:
        if not isinstance(self.wrapped, MCPServer):
            raise UserError(f"A DBOSMCPServer goes around an MCP server, not around {self.wrapped.label}")
        return self.wrapped

    def _step(self, operation: names.MCPOperation) -> str:
        return names.agent_mcp_step(self.step_name_prefix, self.wrapped.id or "", operation)
