"""The output in one response, whole or as far as it has come: what streaming results are made of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from app.ai.deferred import DEFERRED_NOT_ALLOWED, DeferredToolRequests
from app.ai.exceptions import UnexpectedModelBehavior, UserError
from app.ai.messages import FinalResultEvent, ModelResponse, ToolCallPart
from app.ai.output_maker import OutputMaker, tool_output_context, validated_output
from app.ai.responses import text_of

if TYPE_CHECKING:
    from app.ai.output_schema import OutputSchema
    from app.ai.run_context import RunContext
    from app.ai.tool_manager import ToolManager


@dataclass(kw_only=True)
class ResponseOutput:
    """Makes the output of a response. Nothing is retried here: what is wrong is raised."""

    maker: OutputMaker
    manager: ToolManager
    ctx: RunContext[Any]
    """The context of output functions and validators."""

    async def of(self, response: ModelResponse, final: FinalResultEvent | None, *, allow_partial: bool) -> Any:
        """The output of a response in which `final` told of it.

        Raises `ValidationError`, `ModelRetry`, or `UnexpectedModelBehavior` if there is no output.
        """
        if not self.is_in(response, final):
            raise UnexpectedModelBehavior("The response that was streamed holds no output")
        ctx = replace(self.ctx, partial_output=allow_partial)
        if (call := self._output_call(response, final)) is not None:
            return await self._of_call(call, ctx)
        if deferred := self.deferred_of(response):
            if not (self.schema.allows_deferred_tools or self.maker.steps.may_wait):
                raise UserError(DEFERRED_NOT_ALLOWED)
            return deferred
        if self.schema.allows_image and response.images:
            return await self.maker.of_value(response.images[0], ctx)
        processor = self.schema.text_processor(ctx.model.profile)
        if processor is None:
            raise UnexpectedModelBehavior("The response that was streamed is no output")
        return await self.maker.of_text(processor, text_of(response), ctx)

    def is_in(self, response: ModelResponse, final: FinalResultEvent | None) -> bool:
        """Whether a response holds an output; in one that comes whole no `final` told of it."""
        if self._output_call(response, final) is not None:
            return True
        if final is not None:
            return final.tool_name is None
        if response.tool_calls:
            return self.deferred_of(response) is not None
        return bool(response.images or text_of(response))

    @property
    def schema(self) -> OutputSchema[Any]:
        """Everything that can be the output."""
        return self.maker.schema

    def deferred_of(self, response: ModelResponse) -> DeferredToolRequests | None:
        """The tool calls of a response that have to be answered outside the run, if any."""
        calls = [call for call in response.tool_calls if self.manager.kind_of(call) == "external"]
        approvals = [call for call in response.tool_calls if self.manager.kind_of(call) == "unapproved"]
        return DeferredToolRequests(calls=calls, approvals=approvals) if calls or approvals else None

    async def text(self, text: str, *, complete: bool) -> Any:
        """A text output as the output validators see it."""
        return await self.maker.of_value(text, replace(self.ctx, partial_output=not complete))

    def _output_call(self, response: ModelResponse, final: FinalResultEvent | None) -> ToolCallPart | None:
        calls = [call for call in response.tool_calls if self.manager.kind_of(call) == "output"]
        if final is not None:
            # What comes before the proof of a final result, or after it, is not the final result.
            wanted = (final.tool_name, final.tool_call_id)
            calls = [call for call in calls if (call.tool_name, call.tool_call_id) == wanted]
        return calls[0] if calls else None

    async def _of_call(self, call: ToolCallPart, ctx: RunContext[Any]) -> Any:
        toolset = self.schema.toolset
        assert toolset is not None, "an output tool was called, so there is one"
        processor = toolset.processors[call.tool_name]
        ctx = replace(
            ctx,
            tool_name=call.tool_name,
            tool_call_id=call.tool_call_id,
            retry=self.manager.retries.get(call.tool_name, 0),
            max_retries=self.manager.budget_of(call),
        )
        tool_def = self.manager.tools[call.tool_name].tool_def
        about = tool_output_context(processor, call, tool_def)
        args = await validated_output(self.maker.capability, processor, call.args or {}, ctx, about)
        return await self.maker.of_call(processor, args, ctx, call, tool_def)
