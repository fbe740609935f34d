"""A model that asks others in turn until one answers."""

from __future__ import annotations

import inspect
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cached_property
from types import TracebackType
from typing import Any, Self, TypeAlias, cast, get_type_hints

from app.ai.callbacks import resolve
from app.ai.exceptions import FallbackExceptionGroup, ModelAPIError, UnexpectedModelBehavior
from app.ai.messages import ModelMessage, ModelResponse
from app.ai.models import KnownModelName, Model, ModelRequestParameters, StreamedResponse, infer_model
from app.ai.profiles import ModelProfile
from app.ai.settings import ModelSettings
from app.ai.tools import RunContext
from app.ai.usage import RequestUsage

__all__ = "ExceptionHandler", "FallbackModel", "FallbackOn", "ResponseHandler"

ExceptionHandler: TypeAlias = Callable[[Exception], bool] | Callable[[Exception], Awaitable[bool]]
"""Says of an error whether the next model shall be asked."""
ResponseHandler: TypeAlias = Callable[[ModelResponse], bool] | Callable[[ModelResponse], Awaitable[bool]]
"""Says of a response whether it is refused, so that the next model is asked."""

_Condition: TypeAlias = type[Exception] | ExceptionHandler | ResponseHandler
FallbackOn: TypeAlias = _Condition | Sequence[_Condition]
"""What makes the next model be asked: exception types, and functions of an exception or of a response.

A function whose parameter is annotated as `ModelResponse` looks at responses, any other one at exceptions.
"""


class FallbackModel(Model):
    """Asks its models in turn until one answers, each with its own settings and profile.

    If none does, `FallbackExceptionGroup` holds why. A stream falls back only until it is open.
    """

    def __init__(
        self,
        default_model: Model | KnownModelName | str,
        *fallback_models: Model | KnownModelName | str,
        fallback_on: FallbackOn = (ModelAPIError,),
    ):
        super().__init__()
        self.models = [infer_model(model) for model in (default_model, *fallback_models)]
        conditions = cast("Sequence[Any]", fallback_on) if isinstance(fallback_on, Sequence) else [fallback_on]
        self._exception_types = tuple(condition for condition in conditions if isinstance(condition, type))
        functions = [condition for condition in conditions if not isinstance(condition, type)]
        self._response_functions = [function for function in functions if _takes_response(function)]
        self._exception_functions = [function for function in functions if not _takes_response(function)]

    @property
    def model_name(self) -> str:
        return f"fallback:{','.join(model.model_name for model in self.models)}"

    @property
    def model_id(self) -> str:
        return f"fallback:{','.join(model.model_id for model in self.models)}"

    @property
    def label(self) -> str:
        return ", else ".join(model.label for model in self.models)

    @property
    def system(self) -> str:
        return f"fallback:{','.join(model.system for model in self.models)}"

    @property
    def base_url(self) -> str | None:
        return self.models[0].base_url

    @cached_property
    def profile(self) -> ModelProfile:
        """That of the first model: it decides how the run reads an answer that the profile says how to read."""
        return self.models[0].profile

    @property
    def can_stream(self) -> bool:
        return all(model.can_stream for model in self.models)

    def prepare_request(
        self, model_settings: ModelSettings | None, model_request_parameters: ModelRequestParameters
    ) -> tuple[ModelSettings | None, ModelRequestParameters]:
        """Leaves it to the models, each of which may be able to do something else."""
        return model_settings, model_request_parameters

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        failures: list[Exception] = []
        for model in self.models:
            try:
                response = await model.request(
                    model.prepare_messages(messages), model_settings, model_request_parameters
                )
            except Exception as failure:
                if not await self._falls_back_on(failure):
                    raise
                failures.append(failure)
                continue
            if not await self._refuses(response):
                self._tell_chosen(model, model_settings, model_request_parameters)
                return response
            failures.append(UnexpectedModelBehavior(f"The response of {model.model_name} was refused by fallback_on"))
        raise _none_answered(failures)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        failures: list[Exception] = []
        for model in self.models:
            async with AsyncExitStack() as stack:
                try:
                    stream = await stack.enter_async_context(
                        model.request_stream(
                            model.prepare_messages(messages), model_settings, model_request_parameters, run_context
                        )
                    )
                except Exception as failure:
                    if not await self._falls_back_on(failure):
                        raise
                    failures.append(failure)
                    continue
                self._tell_chosen(model, model_settings, model_request_parameters)
                yield stream
                return
        raise _none_answered(failures)

    def _tell_chosen(
        self, model: Model, model_settings: ModelSettings | None, parameters: ModelRequestParameters
    ) -> None:
        # Without instrumentation nobody wants to know.
        if (instrumented := sys.modules.get("app.ai.models.instrumented")) is not None:
            _, prepared = model.prepare_request(model_settings, parameters)
            instrumented.tell_chosen_model(self, model, prepared)

    async def count_tokens(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> RequestUsage:
        first = self.models[0]
        return await first.count_tokens(first.prepare_messages(messages), model_settings, model_request_parameters)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for model in self.models:
                await stack.enter_async_context(model)
            stack.pop_all()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> bool | None:
        async with AsyncExitStack() as stack:
            for model in self.models:
                stack.push_async_exit(model)
        return None

    async def _falls_back_on(self, failure: Exception) -> bool:
        return isinstance(failure, self._exception_types) or await _any(self._exception_functions, failure)

    async def _refuses(self, response: ModelResponse) -> bool:
        return await _any(self._response_functions, response)


async def _any(conditions: Sequence[Callable[..., Any]], value: Any) -> bool:
    for condition in conditions:
        if await resolve(condition(value)):
            return True
    return False


def _takes_response(function: Callable[..., Any]) -> bool:
    try:
        hints = get_type_hints(function)
        first = next(iter(inspect.signature(function).parameters), None)
    except (NameError, TypeError, ValueError):
        return False
    return first is not None and hints.get(first) is ModelResponse


def _none_answered(failures: list[Exception]) -> FallbackExceptionGroup:
    return FallbackExceptionGroup("All models from FallbackModel failed", failures)
