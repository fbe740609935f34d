"""A model behind the Chat Completions API."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from types import TracebackType
from typing import Any, Literal, Self, cast

import httpx

from app.ai.exceptions import ModelAPIError, ModelHTTPError, UserError
from app.ai.messages import ModelMessage, ModelResponse
from app.ai.models import Model, ModelRequestParameters, StreamedResponse, check_allow_model_requests
from app.ai.models.openai.answers import Completion, error_body, read_answer, to_response
from app.ai.models.openai.body import OpenAIChatModelSettings, output_body, settings_body, tools_body, with_strictness
from app.ai.models.openai.messages import to_chat_messages
from app.ai.models.openai.streaming import OpenAIStreamedResponse, describe
from app.ai.profiles import ModelProfileSpec
from app.ai.profiles.openai import OpenAIModelProfile
from app.ai.providers import Provider, infer_provider
from app.ai.retries import send_with_retries
from app.ai.settings import ModelSettings
from app.ai.tools import RunContext

__all__ = "OpenAIChatModel", "OpenAIChatModelSettings"


class OpenAIChatModel(Model):
    """A model behind the Chat Completions API, of OpenAI or any server that speaks it.

    A request that fails raises ModelHTTPError for an error status, ModelAPIError when the connection fails or breaks,
    and UnexpectedModelBehavior for an answer that cannot be understood.
    """

    def __init__(
        self,
        model_name: str,
        *,
        provider: Provider[httpx.AsyncClient] | Literal["openai"] = "openai",
        profile: ModelProfileSpec | None = None,
        settings: ModelSettings | None = None,
    ):
        found = infer_provider(provider) if isinstance(provider, str) else provider
        super().__init__(settings=settings, profile=profile or found.model_profile)
        self._model_name = model_name
        self._provider = found

    @property
    def model_name(self) -> str:
        return self._model_name

    @property
    def system(self) -> str:
        return self._provider.name

    @property
    def base_url(self) -> str:
        return self._provider.base_url

    @property
    def client(self) -> httpx.AsyncClient:
        """The HTTP client of the running event loop."""
        return self._provider.client

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        check_allow_model_requests()
        settings, parameters = self.prepare_request(model_settings, model_request_parameters)
        body = await self._body(messages, settings or {}, parameters)
        async with self._sent(body, settings or {}) as response:
            try:
                text = (await response.aread()).decode(errors="replace")
            except httpx.TransportError as err:
                raise ModelAPIError(
                    self._model_name, f"The answer of {self._model_name} broke off: {describe(err)}"
                ) from err
        return to_response(
            read_answer(Completion, text, self._model_name),
            model_name=self._model_name,
            provider_name=self.system,
            provider_url=self.base_url,
            thinking_tags=self.profile.thinking_tags,
        )

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        check_allow_model_requests()
        settings, parameters = self.prepare_request(model_settings, model_request_parameters)
        options = {"include_usage": True}
        if settings and settings.get("openai_continuous_usage_stats"):
            options["continuous_usage_stats"] = True
        body = await self._body(messages, settings or {}, parameters)
        async with self._sent({**body, "stream": True, "stream_options": options}, settings or {}) as response:
            streamed = OpenAIStreamedResponse(
                parameters,
                http_response=response,
                requested_model=self._model_name,
                provider=self.system,
                url=self.base_url,
                profile=self.profile,
            )
            async with aclosing(streamed):
                yield streamed

    def customize_request_parameters(self, model_request_parameters: ModelRequestParameters) -> ModelRequestParameters:
        parameters, profile = model_request_parameters, self._openai_profile
        return replace(
            parameters,
            function_tools=[with_strictness(tool, profile) for tool in parameters.function_tools],
            output_tools=[with_strictness(tool, profile) for tool in parameters.output_tools],
        )

    async def __aenter__(self) -> Self:
        await self._provider.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._provider.__aexit__(exc_type, exc, tb)

    @property
    def _openai_profile(self) -> OpenAIModelProfile:
        return OpenAIModelProfile.from_profile(self.profile)

    @asynccontextmanager
    async def _sent(self, body: dict[str, Any], settings: ModelSettings) -> AsyncGenerator[httpx.Response]:
        """Send a request; the response is open until the block ends, so that leaving it early stops the model."""
        try:
            response = await send_with_retries(lambda: self._send(body, settings))
        except httpx.TransportError as err:
            raise ModelAPIError(self._model_name, f"Could not reach {self.base_url}: {describe(err)}") from err
        try:
            if not response.is_success:
                raise await self._http_error(response)
            yield response
        finally:
            await response.aclose()

    async def _send(self, body: dict[str, Any], settings: ModelSettings) -> httpx.Response:
        timeout = settings.get("timeout")
        url = httpx.URL(self.base_url)
        request = self.client.build_request(
            "POST",
            url.copy_with(path=f"{url.path.rstrip('/')}/chat/completions"),
            # Escaped, because half a surrogate pair in somebody's text has no UTF-8.
            content=json.dumps(body),
            headers={"Content-Type": "application/json", **self._provider.headers, **settings.get("extra_headers", {})},
            timeout=httpx.USE_CLIENT_DEFAULT if timeout is None else timeout,
        )
        return await self.client.send(request, stream=True)

    async def _http_error(self, response: httpx.Response) -> ModelHTTPError:
        try:
            text = self._provider.redact((await response.aread()).decode(errors="replace"))
        except httpx.TransportError:
            text = ""
        return ModelHTTPError(response.status_code, self._model_name, error_body(text))

    async def _body(
        self, messages: Sequence[ModelMessage], settings: ModelSettings, parameters: ModelRequestParameters
    ) -> dict[str, Any]:
        if parameters.native_tools:
            raise UserError("The Chat Completions API has no native tools.")
        chat = await to_chat_messages(
            messages,
            instructions=self.get_instructions(messages, parameters),
            provider_name=self.system,
            system_role=self._openai_profile.openai_system_prompt_role,
        )
        return {
            "model": self._model_name,
            "messages": chat,
            **tools_body(settings, parameters, self._openai_profile),
            **output_body(parameters, self._openai_profile),
            **settings_body(settings, parameters.thinking, self._openai_profile),
            **cast("dict[str, Any]", settings.get("extra_body", {})),
        }


"""+"""
