"""The tools of one step of a run: which there are, whether a call to them is valid, and the call itself."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, TypeAlias

from pydantic import ValidationError

from app.ai.callbacks import call_user_function
from app.ai.capabilities.combined import CombinedCapability
from app.ai.capabilities.lifecycle import TOOL_VALIDATE_HOOKS, tool_validate
from app.ai.exceptions import ModelRetry, ToolRetryError
from app.ai.messages import InstructionPart, ModelResponse, RetryPromptPart, ToolCallPart, ToolPartKind
from app.ai.output_maker import tool_output_context, validated_output
from app.ai.output_processors import ObjectProcessor
from app.ai.run_context import RunContext
from app.ai.steps import current_steps
from app.ai.texts import unknown_tool
from app.ai.tools import ToolDefinition, ToolKind
from app.ai.toolsets.abstract import AbstractToolset, ToolsetTool

ParallelExecutionMode: TypeAlias = Literal["parallel", "sequential", "parallel_ordered_events"]
"""`parallel` reports results as they come, `parallel_ordered_events` in the order of the calls once all are there."""

_mode: ContextVar[ParallelExecutionMode] = ContextVar("parallel_execution_mode", default="parallel")


@dataclass(kw_only=True)
class ValidatedCall:
    """A tool call whose arguments were looked at."""

    call: ToolCallPart
    tool: ToolsetTool[Any] | None
    """None if there is no such tool."""
    ctx: RunContext[Any]
    args: dict[str, Any] = field(default_factory=dict[str, Any])
    error: ToolRetryError | None = None
    """What the model has to correct; None if the call can be made."""

    @property
    def valid(self) -> bool:
        return self.error is None


@dataclass(kw_only=True)
class ToolManager:
    """The tools of one step. Retries are counted by tool name, over steps in which the tool fails in a row."""

    toolset: AbstractToolset[Any]
    capability: CombinedCapability[Any] = field(default_factory=CombinedCapability[Any])
    default_max_retries: int
    """The budget of tools that have none of their own, and of tools that do not exist."""
    step_toolset: AbstractToolset[Any] | None = None
    tools: dict[str, ToolsetTool[Any]] = field(default_factory=dict[str, ToolsetTool[Any]])
    retries: dict[str, int] = field(default_factory=dict[str, int])
    failed: set[str] = field(default_factory=set[str])
    """The tools that failed in this step."""

    async def for_run_step(self, ctx: RunContext[Any]) -> ToolManager:
        """The manager of the next step."""
        retries = {name: self.retries.get(name, 0) + 1 for name in sorted(self.failed)}
        ctx = replace(ctx, retries=retries, max_retries=self.default_max_retries)
        step_toolset = await self.toolset.for_run_step(ctx)
        tools = await step_toolset.get_tools(ctx)
        return replace(self, step_toolset=step_toolset, tools=tools, retries=retries, failed=set())

    @property
    def tool_defs(self) -> list[ToolDefinition]:
        """The definitions of all tools, output tools included."""
        return [tool.tool_def for tool in self.tools.values()]

    async def get_instructions(self, ctx: RunContext[Any]) -> list[InstructionPart]:
        """What the toolsets want the model to know."""
        assert self.step_toolset is not None, "instructions are asked for once the tools of the step are known"
        given = await self.step_toolset.get_instructions(ctx)
        parts = [given] if isinstance(given, str | InstructionPart) else given or ()
        return [InstructionPart(part, dynamic=True) if isinstance(part, str) else part for part in parts]

    def kind_of(self, call: ToolCallPart) -> ToolKind | Literal["unknown"]:
        """Who answers a call."""
        tool = self.tools.get(call.tool_name)
        return tool.tool_def.kind if tool else "unknown"

    def with_kinds(self, response: ModelResponse) -> ModelResponse:
        """The response with calls of tools that have their own class of parts as such."""
        if not any(self._kind_of_parts(call) for call in response.tool_calls):
            return response
        parts = [
            ToolCallPart.narrow_type(replace(part, tool_kind=kind))
            if isinstance(part, ToolCallPart) and (kind := self._kind_of_parts(part))
            else part
            for part in response.parts
        ]
        return replace(response, parts=parts)

    def _kind_of_parts(self, call: ToolCallPart) -> ToolPartKind | None:
        tool = self.tools.get(call.tool_name)
        return tool.tool_def.tool_kind if tool else None

    def budget_of(self, call: ToolCallPart) -> int:
        """How often the tool may fail in a row before the run does."""
        tool = self.tools.get(call.tool_name)
        return tool.max_retries if tool else self.default_max_retries

    def count_failure(self, call: ToolCallPart) -> bool:
        """Note that a call failed. False if that was once too often."""
        self.failed.add(call.tool_name)
        return self.retries.get(call.tool_name, 0) < self.budget_of(call)

    async def validate(
        self, call: ToolCallPart, ctx: RunContext[Any], *, approved: bool = False, metadata: Any = None
    ) -> ValidatedCall:
        """Check a call. What the model has to correct is in the answer, not raised."""
        tool = self.tools.get(call.tool_name)
        validated = ValidatedCall(
            call=call,
            tool=tool,
            ctx=replace(
                ctx,
                tool_name=call.tool_name,
                tool_call_id=call.tool_call_id,
                tool_call=call,
                retries=self.retries,
                retry=self.retries.get(call.tool_name, 0),
                max_retries=self.budget_of(call),
                tool_call_approved=approved,
                tool_call_metadata=metadata,
            ),
        )
        if tool is None:
            validated.error = retry_error(call, ModelRetry(unknown_tool(call.tool_name, list(self.tools))))
            return validated
        try:
            validated.args = await self._validated_args(call, tool, validated.ctx)
        except (ValidationError, ModelRetry) as err:
            validated.error = retry_error(call, err)
        return validated

    async def _validated_args(self, call: ToolCallPart, tool: ToolsetTool[Any], ctx: RunContext[Any]) -> dict[str, Any]:
        if isinstance(tool.args_validator, ObjectProcessor):
            about = tool_output_context(tool.args_validator, call, tool.tool_def)
            return await validated_output(self.capability, tool.args_validator, call.args or {}, ctx, about)

        async def validate(raw: str | dict[str, Any]) -> dict[str, Any]:
            args = _parse(raw, tool, ctx)
            if tool.args_validator_func is not None:
                body = partial(call_user_function, tool.args_validator_func, ctx, **args)
                await current_steps.get().callback(f"validate:{call.tool_name}", None, body)
            return args

        if not self.capability.overrides(*TOOL_VALIDATE_HOOKS):
            return await validate(call.args if call.args is not None else {})
        return await tool_validate(self.capability, ctx, call, tool.tool_def, validate)

    async def execute(self, validated: ValidatedCall) -> Any:
        """Make a valid call. Raises whatever the tool raises."""
        assert validated.tool is not None and self.step_toolset is not None, "only a valid call can be made"
        return await self.step_toolset.call_tool(
            validated.call.tool_name, validated.args, validated.ctx, validated.tool
        )

    def must_run_sequentially(self, calls: list[ValidatedCall]) -> bool:
        """Whether the calls of a batch have to wait for each other."""
        return _mode.get() == "sequential" or any(call.tool and call.tool.tool_def.sequential for call in calls)

    @staticmethod
    def reports_in_order() -> bool:
        """Whether results are reported in the order of the calls."""
        return _mode.get() == "parallel_ordered_events"

    @staticmethod
    @contextmanager
    def parallel_execution_mode(mode: ParallelExecutionMode) -> Generator[None]:
        """How the batches of runs inside the block are executed."""
        token = _mode.set(mode)
        try:
            yield
        finally:
            _mode.reset(token)


def retry_error(call: ToolCallPart, reason: ValidationError | ModelRetry | str) -> ToolRetryError:
    """What the model has to correct in a call."""
    error = ToolRetryError(
        RetryPromptPart(describe_problem(reason), tool_name=call.tool_name, tool_call_id=call.tool_call_id)
    )
    if isinstance(reason, Exception):
        error.__cause__ = reason
    return error


def describe_problem(reason: ValidationError | ModelRetry | str) -> Any:
    """The content of a retry prompt."""
    if isinstance(reason, ValidationError):
        # Links and contexts are noise to a model, and contexts may hold objects that no JSON can.
        return reason.errors(include_url=False, include_context=False)
    return reason if isinstance(reason, str) else reason.message


def _parse(raw: str | dict[str, Any], tool: ToolsetTool[Any], ctx: RunContext[Any]) -> dict[str, Any]:
    if isinstance(raw, str):
        return tool.args_validator.validate_json(raw or "{}", context=ctx.validation_context)
    return tool.args_validator.validate_python(raw or {}, context=ctx.validation_context)
