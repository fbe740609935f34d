"""Groq."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias, cast

from pydantic import BaseModel, ValidationError

from app.ai.exceptions import ModelHTTPError
from app.ai.messages import (
    ModelMessage,
    ModelResponse,
    ModelResponseStreamEvent,
    TextPart,
    ToolCallPart,
)
from app.ai.models.http_stream import OpenAnswer, WholeStreamedResponse
from app.ai.models.known_names import PreviewGroqModelNames, ProductionGroqModelNames
from app.ai.models.openai import OpenAIChatModel, OpenAIStreamedResponse
from app.ai.models.parameters import ModelRequestParameters
from app.ai.models.streamed_response import StreamedResponse
from app.ai.native_tools import AbstractNativeTool, WebSearchTool
from app.ai.settings import ModelSettings
from app.ai.tools import RunContext

__all__ = (
    "GroqModel",
    "GroqModelName",
    "GroqModelSettings",
    "GroqStreamedResponse",
    "PreviewGroqModelNames",
    "ProductionGroqModelNames",
)

GroqModelName: TypeAlias = str | PreviewGroqModelNames | ProductionGroqModelNames


def failed_generation(error: ModelHTTPError) -> TextPart | ToolCallPart | None:
    """What the model said when Groq refused its tool call; the run can tell it what is wrong. None for other errors."""
    body: Any = error.body
    if not isinstance(body, dict) or error.code != "tool_use_failed":
        return None
    said = str(cast("dict[str, Any]", body).get("failed_generation") or "")
    try:
        call = _FailedCall.model_validate_json(said)
    except ValidationError:
        return TextPart(said)
    return ToolCallPart(call.name, call.arguments)


class _FailedCall(BaseModel):
    name: str
    arguments: dict[str, Any] | str


@dataclass
class GroqStreamedResponse(OpenAIStreamedResponse):
    """An answer of Groq that is still being read."""

    def _take(self, data: str) -> list[ModelResponseStreamEvent]:
        try:
            return super()._take(data)
        except ModelHTTPError as error:
            if (part := failed_generation(error)) is None:
                raise
        self._ended = self._done = self._anything_came = True
        self.finish_reason = "error"
        return self._parts_manager.handle_part(vendor_part_id=None, part=part)


class GroqModelSettings(ModelSettings, total=False):
    """Settings of Groq."""

    groq_reasoning_format: Literal["hidden", "raw", "parsed"]


class GroqModel(OpenAIChatModel):
    """A model of Groq. Its compound models search the web by themselves; the tool says where."""

    default_provider = "groq"
    vendor_settings: ClassVar[Mapping[str, str]] = {"groq_reasoning_format": "reasoning_format"}

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        try:
            return await super().request(messages, model_settings, model_request_parameters)
        except ModelHTTPError as error:
            return self._refused(error)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        async with AsyncExitStack() as stack:
            try:
                stream = await stack.enter_async_context(
                    super().request_stream(messages, model_settings, model_request_parameters, run_context)
                )
            except ModelHTTPError as error:
                stream = WholeStreamedResponse(model_request_parameters, self._refused(error))
            yield stream

    def _refused(self, error: ModelHTTPError) -> ModelResponse:
        if (part := failed_generation(error)) is None:
            raise error
        return ModelResponse(
            parts=[part],
            model_name=self.model_name,
            provider_name=self.system,
            provider_url=self.base_url,
            finish_reason="error",
        )

    def _streamed(self, answer: OpenAnswer, parameters: ModelRequestParameters) -> GroqStreamedResponse:
        return GroqStreamedResponse(parameters, answer, profile=self._openai_profile)

    def supported_native_tools(self) -> frozenset[type[AbstractNativeTool]]:
        return frozenset({WebSearchTool} if "compound" in self._model_name else ())

    def _native_tools_body(self, parameters: ModelRequestParameters) -> dict[str, Any]:
        domains: dict[str, list[str]] = {}
        for tool in parameters.native_tools:
            domains["include_domains"] = list(tool.allowed_domains or ())
            domains["exclude_domains"] = list(tool.blocked_domains or ())
        given = {name: listed for name, listed in domains.items() if listed}
        return {"search_settings": given} if given else {}
