"""A model around another model: the place to add to what models do."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from types import TracebackType
from typing import Any, Self

from app.ai.messages import ModelMessage, ModelResponse, ModelResponseStreamEvent
from app.ai.models import KnownModelName, Model, ModelRequestParameters, StreamedResponse, infer_model
from app.ai.native_tools import AbstractNativeTool
from app.ai.profiles import ModelProfile
from app.ai.settings import ModelSettings
from app.ai.tools import RunContext
from app.ai.usage import RequestUsage

__all__ = "CompletedStreamedResponse", "WrapperModel"


class WrapperModel(Model):
    """Passes everything on to `wrapped`; override what shall differ."""

    wrapped: Model

    def __init__(self, wrapped: Model | KnownModelName | str):
        super().__init__()
        self.wrapped = infer_model(wrapped)

    @property
    def model_name(self) -> str:
        return self.wrapped.model_name

    @property
    def system(self) -> str:
        return self.wrapped.system

    @property
    def model_id(self) -> str:
        return self.wrapped.model_id

    @property
    def label(self) -> str:
        return self.wrapped.label

    @property
    def base_url(self) -> str | None:
        return self.wrapped.base_url

    @property
    def settings(self) -> ModelSettings | None:
        return self.wrapped.settings

    @cached_property
    def profile(self) -> ModelProfile:
        return self.wrapped.profile

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        return await self.wrapped.request(messages, model_settings, model_request_parameters)

    @property
    def can_stream(self) -> bool:
        return self.wrapped.can_stream

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        async with self.wrapped.request_stream(
            messages, model_settings, model_request_parameters, run_context
        ) as stream:
            yield stream

    async def count_tokens(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> RequestUsage:
        return await self.wrapped.count_tokens(messages, model_settings, model_request_parameters)

    def prepare_request(
        self, model_settings: ModelSettings | None, model_request_parameters: ModelRequestParameters
    ) -> tuple[ModelSettings | None, ModelRequestParameters]:
        return self.wrapped.prepare_request(model_settings, model_request_parameters)

    def prepare_messages(self, messages: list[ModelMessage]) -> list[ModelMessage]:
        return self.wrapped.prepare_messages(messages)

    def customize_request_parameters(self, model_request_parameters: ModelRequestParameters) -> ModelRequestParameters:
        return self.wrapped.customize_request_parameters(model_request_parameters)

    def supported_native_tools(self) -> frozenset[type[AbstractNativeTool]]:
        return self.wrapped.supported_native_tools()

    async def __aenter__(self) -> Self:
        await self.wrapped.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> bool | None:
        return await self.wrapped.__aexit__(exc_type, exc, tb)

    def __getattr__(self, item: str) -> Any:
        # Guards against endless recursion while `wrapped` is not set yet, as in unpickling.
        if item == "wrapped":
            raise AttributeError(item)
        return getattr(self.wrapped, item)


@dataclass
class CompletedStreamedResponse(StreamedResponse):
    """A response that is complete already: no events, `get` returns it."""

    response: ModelResponse

    def __post_init__(self) -> None:
        self._state = "complete"
        self._usage = self.response.usage

    @classmethod
    def of(cls, response: ModelResponse) -> Self:
        """A response that needs no request."""
        return cls(ModelRequestParameters(), response)

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        return
        yield  # makes this a generator

    def get(self) -> ModelResponse:
        return self.response

    @property
    def model_name(self) -> str:
        return self.response.model_name or ""

    @property
    def provider_name(self) -> str | None:
        return self.response.provider_name

    @property
    def provider_url(self) -> str | None:
        return self.response.provider_url

    @property
    def timestamp(self) -> datetime:
        return self.response.timestamp
