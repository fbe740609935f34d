"""Making an output of what the model sent: validation, output function and validators, with the hooks around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from app.ai.callbacks import function_name
from app.ai.capabilities.combined import CombinedCapability
from app.ai.capabilities.lifecycle import (
    OUTPUT_PROCESS_HOOKS,
    OUTPUT_VALIDATE_HOOKS,
    output_process,
    output_validate,
)
from app.ai.messages import BinaryImage
from app.ai.output import OutputContext
from app.ai.output_processors import ObjectProcessor, TextProcessor, UnionProcessor, run_output_validators
from app.ai.steps import Steps

if TYPE_CHECKING:
    from app.ai.function_schema import AllowPartial
    from app.ai.instrumentation.settings import InstrumentationSettings
    from app.ai.messages import ToolCallPart
    from app.ai.output import OutputValidatorFunc
    from app.ai.output_schema import OutputSchema
    from app.ai.run_context import RunContext
    from app.ai.tools import ToolDefinition

Processor: TypeAlias = TextProcessor | ObjectProcessor


def tool_output_context(processor: ObjectProcessor, call: ToolCallPart, tool_def: ToolDefinition) -> OutputContext:
    """What hooks are told about the output in the call of an output tool."""
    return _context(processor, mode="tool", tool_call=call, tool_def=tool_def)


def _context(processor: Processor, **about: Any) -> OutputContext:
    function = processor.function
    return OutputContext(
        output_type=processor.result_type,
        has_function=function is not None,
        function_name=function_name(function) if function is not None else None,
        **about,
    )


async def validated_output(
    capability: CombinedCapability[Any],
    processor: Processor,
    raw: str | dict[str, Any],
    ctx: RunContext[Any],
    about: OutputContext,
) -> Any:
    """What the processor takes. Raises `ValidationError` or `ModelRetry`."""
    if not (isinstance(processor, ObjectProcessor | UnionProcessor) and capability.overrides(*OUTPUT_VALIDATE_HOOKS)):
        return _validate(processor, raw, ctx)
    seen: list[Any] = []

    async def validate(changed: Any) -> Any:
        seen.append(_validate(processor, changed, ctx))
        return processor.value_of(seen[-1])

    value = await output_validate(capability, ctx, about, raw, validate)
    return processor.with_value(value, seen[-1] if seen else None)


def _validate(processor: Processor, raw: str | dict[str, Any], ctx: RunContext[Any]) -> Any:
    allow_partial: AllowPartial = "trailing-strings" if ctx.partial_output else False
    if isinstance(raw, str):
        return processor.validate(raw, allow_partial=allow_partial, context=ctx.validation_context)
    assert isinstance(processor, ObjectProcessor | UnionProcessor), "only these are sent as objects"
    return processor.validate_python(raw, allow_partial=allow_partial, context=ctx.validation_context)


@dataclass
class OutputMaker:
    """Makes the outputs of a run. Nothing is retried here: what is wrong is raised."""

    schema: OutputSchema[Any]
    validators: Sequence[OutputValidatorFunc[Any]]
    steps: Steps
    capability: CombinedCapability[Any] = field(default_factory=CombinedCapability[Any])
    instrumentation: InstrumentationSettings | None = None

    async def of_text(self, processor: TextProcessor, text: str, ctx: RunContext[Any]) -> Any:
        """The output in a text."""
        is_object = isinstance(processor, ObjectProcessor | UnionProcessor)
        mode = self.schema.mode_for(ctx.model.profile) if is_object else "text"
        about = _context(processor, mode=mode, object_def=self.schema.object_definition if is_object else None)
        validated = await validated_output(self.capability, processor, text, ctx, about)
        name = function_name(processor.function) if processor.function is not None else "text"
        return await self._processed(processor, validated, ctx, about, name)

    async def of_call(
        self,
        processor: ObjectProcessor,
        validated: dict[str, Any],
        ctx: RunContext[Any],
        call: ToolCallPart,
        tool_def: ToolDefinition,
    ) -> Any:
        """The output in the call of an output tool, whose arguments are valid."""
        return await self._processed(
            processor, validated, ctx, tool_output_context(processor, call, tool_def), call.tool_name
        )

    async def of_value(self, value: BinaryImage | str | None, ctx: RunContext[Any]) -> Any:
        """What is an output as it stands: an image, a text that is being streamed, or nothing."""
        about = OutputContext(mode="image" if isinstance(value, BinaryImage) else "text", output_type=type(value))
        if not self.capability.overrides(*OUTPUT_PROCESS_HOOKS):
            return await self._approved(ctx, value)
        return await output_process(self.capability, ctx, about, value, partial(self._approved, ctx))

    async def _processed(
        self, processor: Processor, validated: Any, ctx: RunContext[Any], about: OutputContext, name: str
    ) -> Any:
        if not self.capability.overrides(*OUTPUT_PROCESS_HOOKS):
            return await self._approved(ctx, await self._called(processor, validated, ctx, name))

        async def process(value: Any) -> Any:
            changed = processor.with_value(value, validated)
            return await self._approved(ctx, await self._called(processor, changed, ctx, name))

        return await output_process(self.capability, ctx, about, processor.value_of(validated), process)

    async def _called(self, processor: Processor, validated: Any, ctx: RunContext[Any], name: str) -> Any:
        body = partial(processor.call, validated, ctx)
        if processor.function is None:
            return await body()
        if self.instrumentation is not None and not ctx.partial_output:
            from app.ai.instrumentation import toolset as spans  # brings OpenTelemetry

            args = spans.arguments_of_output_function(processor, validated)
            body = partial(
                spans.in_tool_span, self.instrumentation, "output function", name, args, ctx.tool_call_id, body
            )
        return await self._steps(ctx).callback(f"output:{name}", processor.result_type, body)

    async def _approved(self, ctx: RunContext[Any], output: Any) -> Any:
        return await run_output_validators(output, ctx, self.validators, self._steps(ctx), self.schema.result_type)

    def _steps(self, ctx: RunContext[Any]) -> Steps:
        # What was made of half an output decides nothing, so nobody records it.
        return Steps() if ctx.partial_output else self.steps
