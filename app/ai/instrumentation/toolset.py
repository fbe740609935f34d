"""Tool calls as spans."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import Span, StatusCode

from app.ai.exceptions import ApprovalRequired, CallDeferred, ModelRetry
from app.ai.instrumentation.settings import (
    InstrumentationSettings,
    as_attribute,
    attributes_of_run,
    schema_attribute,
)
from app.ai.messages import RetryPromptPart, ToolReturn
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
        new = self.settings.version >= _NEW_NAMES
        attributes = self._attributes(name, tool_args, ctx)
        with self.settings.tracer.start_as_current_span(
            f"execute_tool {name}" if new else "running tool",
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                result = await self.wrapped.call_tool(name, tool_args, ctx, tool)
            except (CallDeferred, ApprovalRequired) as deferral:
                self._tell_deferral(span, deferral)
                raise
            except ModelRetry as retry:
                self._tell_result(span, RetryPromptPart(retry.message, tool_name=name).model_response())
                _tell_error(span, retry)
                raise
            except BaseException as error:
                _tell_error(span, error)
                raise
            self._tell_result(span, _value_of(result))
            return result

    def _attributes(self, name: str, args: dict[str, Any], ctx: RunContext[Any]) -> dict[str, AttributeValue]:
        new = self.settings.version >= _NEW_NAMES
        attributes: dict[str, AttributeValue] = {
            **attributes_of_run(),
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": name,
            "gen_ai.tool.call.id": ctx.tool_call_id or "",
            "logfire.msg": f"running tool: {name}",
        }
        if not self.settings.include_content:
            return attributes
        attributes["gen_ai.tool.call.arguments" if new else "tool_arguments"] = as_attribute(args)
        told = {**attributes, self._result_name: "{}"}
        return {**attributes, "logfire.json_schema": schema_attribute(told)}

    @property
    def _result_name(self) -> str:
        return "gen_ai.tool.call.result" if self.settings.version >= _NEW_NAMES else "tool_response"

    def _tell_result(self, span: Span, result: Any) -> None:
        if self.settings.include_content and span.is_recording():
            span.set_attribute(self._result_name, as_attribute(result))

    def _tell_deferral(self, span: Span, deferral: CallDeferred | ApprovalRequired) -> None:
        span.set_attribute("pydantic_ai.tool.deferral.name", type(deferral).__name__)
        if deferral.metadata is not None and self.settings.include_content:
            span.set_attribute("pydantic_ai.tool.deferral.metadata", as_attribute(deferral.metadata))
        if self.settings.version < _DEFERRAL_IS_NO_ERROR:
            _tell_error(span, deferral)


def _value_of(result: Any) -> Any:
    return result.return_value if isinstance(result, ToolReturn) else result


def _tell_error(span: Span, error: BaseException) -> None:
    span.record_exception(error, escaped=True)
    span.set_status(StatusCode.ERROR, f"{type(error).__name__}: {error}")
