"""A model that is asked only so often at once."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from app.ai.concurrency import (
    AbstractConcurrencyLimiter,
    AnyConcurrencyLimit,
    ConcurrencyLimit,
    get_concurrency_context,
    normalize_to_limiter,
)
from app.ai.messages import ModelMessage, ModelResponse
from app.ai.models import KnownModelName, Model, ModelRequestParameters, StreamedResponse, infer_model
from app.ai.models.wrapper import WrapperModel
from app.ai.settings import ModelSettings
from app.ai.tools import RunContext
from app.ai.usage import RequestUsage

__all__ = "ConcurrencyLimitedModel", "limit_model_concurrency"


class ConcurrencyLimitedModel(WrapperModel):
    """Every request holds a slot of `limiter`; models that share a limiter share its slots."""

    def __init__(
        self, wrapped: Model | KnownModelName | str, limiter: int | ConcurrencyLimit | AbstractConcurrencyLimiter
    ):
        super().__init__(wrapped)
        self._limiter = normalize_to_limiter(limiter)

    @property
    def _source(self) -> str:
        return f"model:{self.model_name}"

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        async with get_concurrency_context(self._limiter, self._source):
            return await self.wrapped.request(messages, model_settings, model_request_parameters)

    async def count_tokens(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> RequestUsage:
        async with get_concurrency_context(self._limiter, self._source):
            return await self.wrapped.count_tokens(messages, model_settings, model_request_parameters)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        async with (
            get_concurrency_context(self._limiter, self._source),
            self.wrapped.request_stream(messages, model_settings, model_request_parameters, run_context) as stream,
        ):
            yield stream


def limit_model_concurrency(model: Model | KnownModelName | str, limiter: AnyConcurrencyLimit) -> Model:
    """The model with a limit; without one, the model itself."""
    return infer_model(model) if limiter is None else ConcurrencyLimitedModel(model, limiter)
