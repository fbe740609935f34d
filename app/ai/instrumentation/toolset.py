"""Tool calls as spans."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from opentelemetry.trace import Span

from app.ai.callbacks import wants_context
from app.ai.exceptions import ApprovalRequired, CallDeferred, ModelRetry
from app.ai.function_schema import NamedValidator
from app.ai.instrumentation.settings import (
    InstrumentationSettings,
    as_attribute,
    as_compact_attribute,
    attributes_of_run,
    schema_attribute,
    tell_error,
)
from app.ai.messages import RetryPromptPart, ToolReturn
from app.ai.output_processors import ObjectProcessor, TextProcessor, UnionProcessor
from app.ai.run_context import RunContext
from app.ai.toolsets import ToolsetTool, WrapperToolset

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

_NEW_NAMES = 3
"""The first version whose spans are named by the conventions."""
_DEFERRAL_IS_NO_ERROR = 5


@dataclass
class InstrumentedToolset(WrapperToolset[Any]):
    """Makes a span for each tool call."""

    settings: InstrumentationSettings

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> Any:
        call = partial(self.wrapped.call_tool, name, tool_args, ctx, tool)
        args = tool_args if ctx.tool_call is None else ctx.tool_call.args_as_json_str()
        return await in_tool_span(self.settings, "tool", name, args, ctx.tool_call_id, call)


def arguments_of_output_function(processor: TextProcessor, validated: Any) -> Any:
    """What an output function is called with, as the model sent it."""
    if isinstance(processor, UnionProcessor):
        return arguments_of_output_function(*validated)
    if isinstance(processor, ObjectProcessor):
        # A lone model is sent as the object itself.
        return processor.value_of(validated) if isinstance(processor.arguments, NamedValidator) else validated
    assert processor.function is not None, "a text that no function takes makes no span"
    return {_text_parameter(processor.function): validated}


def _text_parameter(function: Callable[..., Any]) -> str:
    try:
        names = list(inspect.signature(function).parameters)
    except ValueError:  # built in
        return "text"
    return names[wants_context(function, other_arguments=1)]


async def in_tool_span(
    settings: InstrumentationSettings,
    what: Literal["tool", "output function"],
    name: str,
    args: Any,
    call_id: str | None,
    call: Callable[[], Awaitable[Any]],
) -> Any:
    """Call a tool or an output function inside a span of its own."""
    told = _ToolSpan(settings, what, name)
    with settings.tracer.start_as_current_span(
        f"execute_tool {name}" if settings.version >= _NEW_NAMES else f"running {what}",
        attributes=told.attributes(args, call_id),
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            result = await call()
        except (CallDeferred, ApprovalRequired) as deferral:
            told.tell_deferral(span, deferral)
            raise
        except ModelRetry as retry:
            told.tell_result(span, RetryPromptPart(retry.message, tool_name=name).model_response())
            tell_error(span, retry)
            raise
        except BaseException as error:
            tell_error(span, error)
            raise
        told.tell_result(span, _value_of(result))
        return result


@dataclass
class _ToolSpan:
    settings: InstrumentationSettings
    what: str
    name: str

    def attributes(self, args: Any, call_id: str | None) -> dict[str, AttributeValue]:
        attributes: dict[str, AttributeValue] = {
            **attributes_of_run(),
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": self.name,
            "logfire.msg": f"running {self.what}: {self.name}",
        }
        if call_id is not None:
            attributes["gen_ai.tool.call.id"] = call_id
        objects: tuple[str, ...] = ()
        if self.settings.include_content:
            new = self.settings.version >= _NEW_NAMES
            arguments = "gen_ai.tool.call.arguments" if new else "tool_arguments"
            attributes[arguments] = as_compact_attribute(args, self.settings)
            objects = (arguments, self._result_name)
        plain = ["gen_ai.tool.name", *(["gen_ai.tool.call.id"] if call_id is not None else [])]
        return {**attributes, "logfire.json_schema": schema_attribute(objects=objects, plain=plain)}

    @property
    def _result_name(self) -> str:
        return "gen_ai.tool.call.result" if self.settings.version >= _NEW_NAMES else "tool_response"

    def tell_result(self, span: Span, result: Any) -> None:
        if self.settings.include_content and span.is_recording():
            compact = self.what == "tool"
            told = as_compact_attribute(result, self.settings) if compact else as_attribute(result)
            span.set_attribute(self._result_name, told)

    def tell_deferral(self, span: Span, deferral: CallDeferred | ApprovalRequired) -> None:
        span.set_attribute("pydantic_ai.tool.deferral.name", type(deferral).__name__)
        if deferral.metadata is not None and self.settings.include_content:
            span.set_attribute("pydantic_ai.tool.deferral.metadata", as_attribute(deferral.metadata))
        if self.settings.version < _DEFERRAL_IS_NO_ERROR:
            tell_error(span, deferral)


def _value_of(result: Any) -> Any:
    return result.return_value if isinstance(result, ToolReturn) else result
