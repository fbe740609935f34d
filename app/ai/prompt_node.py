"""The first node of a run: from the prompt and the history, it decides how the run begins. [replay-sensitive]"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from app.ai.deferred import DeferredToolResults
from app.ai.exceptions import UserError
from app.ai.history import open_calls
from app.ai.loop import AgentNode, CallToolsNode, ModelRequestNode
from app.ai.messages import (
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    SystemPromptPart,
    UserContent,
    UserPromptPart,
)
from app.ai.output import OutputDataT
from app.ai.request_preparation import dynamic_prompts, dynamic_refs, system_prompt_parts, with_dynamic_prompts
from app.ai.resume import resumed_answers
from app.ai.run_context import AgentDepsT
from app.ai.run_state import RunState, build_run_context


@dataclass
class UserPromptNode(AgentNode[AgentDepsT, OutputDataT]):
    """Decides, from the prompt and the history, what the run begins with."""

    user_prompt: str | Sequence[UserContent] | None
    deferred_tool_results: DeferredToolResults | None = field(default=None, kw_only=True, repr=False)
    instructions_functions: list[Callable[..., Any]] = field(default_factory=list[Callable[..., Any]], kw_only=True)
    system_prompts: tuple[str, ...] = field(default=(), kw_only=True)
    system_prompt_functions: list[Callable[..., Any]] = field(default_factory=list[Callable[..., Any]], kw_only=True)
    system_prompt_dynamic_functions: dict[str, Callable[..., Any]] = field(
        default_factory=dict[str, Callable[..., Any]], kw_only=True
    )

    async def run(self, ctx: RunState) -> ModelRequestNode[Any, Any] | CallToolsNode[Any, Any]:
        await self._refresh_dynamic_prompts(ctx)
        if self.deferred_tool_results is not None:
            return await self._resume_open_calls(ctx, self.deferred_tool_results)
        history = ctx.state.message_history
        if self.user_prompt is None and history:
            return await self._continue_history(ctx)
        if history and isinstance(history[-1], ModelResponse) and open_calls(history):
            raise UserError(
                "The message_history ends with open tool calls, so it cannot take a new prompt: answer them by "
                "`deferred_tool_results`, or close them by `app.ai.history.close_open_calls`"
            )
        return await self._ask(ctx)

    async def _ask(self, ctx: RunState) -> ModelRequestNode[Any, Any]:
        parts: list[ModelRequestPart] = [] if ctx.state.message_history else [*await self._system_prompts(ctx)]
        if self.user_prompt is not None:
            parts.append(UserPromptPart(self.user_prompt))
        return ModelRequestNode(ModelRequest(parts))

    async def _continue_history(self, ctx: RunState) -> ModelRequestNode[Any, Any] | CallToolsNode[Any, Any]:
        last = ctx.state.message_history[-1]
        if isinstance(last, ModelRequest):
            ctx.state.message_history.pop()
            ctx.deps.prompt = _prompt_of(last)
            return ModelRequestNode(last, is_resuming=True)
        if last.tool_calls or not ctx.deps.instructions:
            await _enter_tool_phase(ctx)
            return CallToolsNode(last)
        return await self._ask(ctx)

    async def _resume_open_calls(self, ctx: RunState, results: DeferredToolResults) -> CallToolsNode[Any, Any]:
        response, answers = resumed_answers(ctx.state.message_history, results)
        await _enter_tool_phase(ctx)
        return CallToolsNode(
            response, tool_call_results=answers, tool_call_metadata=results.metadata, user_prompt=self.user_prompt
        )

    async def _system_prompts(self, ctx: RunState) -> list[SystemPromptPart]:
        if not self.system_prompt_functions:
            return [SystemPromptPart(literal) for literal in self.system_prompts]
        body = partial(
            system_prompt_parts,
            build_run_context(ctx),
            self.system_prompts,
            self.system_prompt_functions,
            self.system_prompt_dynamic_functions,
        )
        return await ctx.deps.steps.callback("system_prompt", list[SystemPromptPart], body)

    async def _refresh_dynamic_prompts(self, ctx: RunState) -> None:
        history = ctx.state.message_history
        known = self.system_prompt_dynamic_functions
        functions = {ref: known[ref] for ref in sorted(dynamic_refs(history) & known.keys())}
        if functions:
            body = partial(dynamic_prompts, build_run_context(ctx), functions)
            texts = await ctx.deps.steps.callback("system_prompt", dict[str, str], body)
            history[:] = with_dynamic_prompts(history, texts)


async def _enter_tool_phase(ctx: RunState) -> None:
    """Make the tools known when a run begins with the tool calls of its history."""
    ctx.deps.tool_manager = await ctx.deps.tool_manager.for_run_step(build_run_context(ctx))


def _prompt_of(request: ModelRequest) -> str | Sequence[UserContent] | None:
    contents = [part.content for part in request.parts if isinstance(part, UserPromptPart)]
    if len(contents) <= 1:
        return contents[0] if contents else None
    prompt: list[UserContent] = []
    for content in contents:
        prompt += [content] if isinstance(content, str) else content
    return prompt


AgentRunNode: TypeAlias = (
    UserPromptNode[AgentDepsT, OutputDataT]
    | ModelRequestNode[AgentDepsT, OutputDataT]
    | CallToolsNode[AgentDepsT, OutputDataT]
)
"""Any node of the loop."""
