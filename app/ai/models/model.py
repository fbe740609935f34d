"""The interface of a model, and how a request is fitted to it."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cached_property
from types import TracebackType
from typing import Any, Self

from app.ai.exceptions import UserError
from app.ai.messages import InstructionPart, ModelMessage, ModelRequest, ModelResponse
from app.ai.models.parameters import ModelRequestParameters
from app.ai.models.streamed_response import StreamedResponse
from app.ai.native_tools import AbstractNativeTool
from app.ai.profiles import DEFAULT_PROFILE, JsonSchemaTransformer, ModelProfile, ModelProfileSpec
from app.ai.settings import ModelSettings, ThinkingLevel, merge_model_settings
from app.ai.tools import RunContext, ToolDefinition
from app.ai.usage import RequestUsage


class Model(ABC):
    """A model that a run can ask. Entering it as an async context keeps its connections until exit."""

    # On the class, for models of others whose constructor does not call this one.
    _settings: ModelSettings | None = None
    _profile: ModelProfileSpec | None = None

    def __init__(self, *, settings: ModelSettings | None = None, profile: ModelProfileSpec | None = None):
        self._settings = settings
        self._profile = profile

    @property
    @abstractmethod
    def model_name(self) -> str:
        """The model's name at its provider."""

    @property
    @abstractmethod
    def system(self) -> str:
        """The provider's name, as in OpenTelemetry's `gen_ai.system`."""

    @property
    def model_id(self) -> str:
        """Provider and name, as `infer_model` takes them."""
        return f"{self.system}:{self.model_name}"

    @property
    def label(self) -> str:
        """A name to show to people, such as `Claude Sonnet 4.5`."""
        return _readable_name(self.model_name)

    @property
    def base_url(self) -> str | None:
        """Where the provider's API is, if it is reached over HTTP."""
        return None

    @property
    def settings(self) -> ModelSettings | None:
        """The model's own settings, the lowest layer of a request's settings."""
        return self._settings

    @cached_property
    def profile(self) -> ModelProfile:
        """What this model can do."""
        profile = self._profile(self.model_name) if callable(self._profile) else self._profile
        return profile or DEFAULT_PROFILE

    @property
    def can_stream(self) -> bool:
        """Whether `request_stream` works."""
        return type(self).request_stream is not Model.request_stream

    @abstractmethod
    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Ask the model and wait for the whole answer."""

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Ask the model and read the answer as it comes."""
        raise NotImplementedError(f"{type(self).__name__} does not stream")
        yield  # makes this a generator

    async def count_tokens(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> RequestUsage:
        """Ask the provider how many tokens a request would use."""
        raise NotImplementedError(f"{type(self).__name__} does not count tokens before a request")

    def prepare_request(
        self, model_settings: ModelSettings | None, model_request_parameters: ModelRequestParameters
    ) -> tuple[ModelSettings | None, ModelRequestParameters]:
        """Fit settings and parameters to this model. Doing it twice changes nothing more.

        The model's own settings come under the given ones, output mode `auto` is decided by the profile, and what
        the mode does not use is dropped. UserError if the model cannot do what is asked.
        """
        settings = merge_model_settings(self.settings, model_settings)
        parameters = self.customize_request_parameters(model_request_parameters)
        parameters = self._with_native_or_local_tools(parameters)
        if not self.profile.supports_tool_return_schema:
            parameters = _with_described_returns(parameters)
        settings, parameters = _resolve_thinking(settings, parameters, self.profile)
        parameters = _resolve_output_mode(parameters, self.profile)
        _refuse_unsupported(self, parameters)
        return settings, parameters

    def prepare_messages(self, messages: list[ModelMessage]) -> list[ModelMessage]:
        """Fit the history to this model, on a copy."""
        return messages

    def customize_request_parameters(self, model_request_parameters: ModelRequestParameters) -> ModelRequestParameters:
        """Rewrite the schemas of tools and outputs as the profile says; subclasses may do more."""
        transformer = self.profile.json_schema_transformer
        return model_request_parameters if transformer is None else _transformed(model_request_parameters, transformer)

    def supported_native_tools(self) -> frozenset[type[AbstractNativeTool]]:
        """The provider's own tools that the API has; none unless a subclass says so."""
        return frozenset()

    def _with_native_or_local_tools(self, parameters: ModelRequestParameters) -> ModelRequestParameters:
        """Of a native tool and the function that can stand in for it, only the one that this model can use."""
        supported = self.profile.supported_native_tools & self.supported_native_tools()
        native = [tool for tool in parameters.native_tools if isinstance(tool, tuple(supported))]
        ids = {tool.unique_id for tool in native}
        local = [tool for tool in parameters.function_tools if tool.unless_native not in ids]
        replaced = {tool.unless_native for tool in local}
        missing: set[type[Any]] = {
            type(tool) for tool in parameters.native_tools if tool.unique_id not in ids | replaced and not tool.optional
        }
        if missing:
            raise UserError(
                f"The model {self.model_name!r} has no native tool {_names(missing)}, only {_names(supported)}; "
                "give the capability a `local` tool to use instead"
            )
        if len(native) == len(parameters.native_tools) and len(local) == len(parameters.function_tools):
            return parameters
        return replace(parameters, native_tools=native, function_tools=local)

    @staticmethod
    def get_instructions(messages: Sequence[ModelMessage], parameters: ModelRequestParameters) -> str | None:
        """The instructions to send: those of the newest request, and those that ask for a prompted output."""
        if parameters.instruction_parts is not None:
            instructions = InstructionPart.join(parameters.instruction_parts)
        else:
            newest = next((message for message in reversed(messages) if isinstance(message, ModelRequest)), None)
            instructions = newest.instructions if newest else None
        return "\n\n".join(filter(None, (instructions, parameters.prompted_output_instructions))) or None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> bool | None:
        return None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(model_name={self.model_name!r})"


def _names(kinds: Iterable[type[Any]]) -> str:
    return ", ".join(sorted(kind.__name__ for kind in kinds)) or "none"


_DIGITS_OF_VERSION = 3  # longer ones are a date


def _readable_name(model_name: str) -> str:
    words: list[str] = []
    for word in model_name.rpartition("/")[2].split("-"):
        if words and word.isdigit() and words[-1].isdigit() and len(words[-1] + word) <= _DIGITS_OF_VERSION:
            words[-1] += f".{word}"
        else:
            words.append("GPT" if word.lower() == "gpt" else word[:1].upper() + word[1:])
    return " ".join(words)


def _transformed(
    parameters: ModelRequestParameters, transformer: type[JsonSchemaTransformer]
) -> ModelRequestParameters:
    def walk(schema: dict[str, Any], strict: bool | None) -> tuple[dict[str, Any], bool | None]:
        made = transformer(schema, strict=strict)
        walked = made.walk()
        return walked, made.is_strict_compatible if strict is None else strict

    def tool(definition: ToolDefinition) -> ToolDefinition:
        schema, strict = walk(definition.parameters_json_schema, definition.strict)
        return replace(definition, parameters_json_schema=schema, strict=strict)

    output = parameters.output_object
    if output is not None:
        schema, strict = walk(output.json_schema, output.strict)
        output = replace(output, json_schema=schema, strict=strict)
    return replace(
        parameters,
        function_tools=[tool(definition) for definition in parameters.function_tools],
        output_tools=[tool(definition) for definition in parameters.output_tools],
        output_object=output,
    )


def _with_described_returns(parameters: ModelRequestParameters) -> ModelRequestParameters:
    """What tools return, told in their descriptions, for models that have no place of its own for it."""
    if not any(tool.return_schema for tool in parameters.function_tools):
        return parameters

    def described(tool: ToolDefinition) -> ToolDefinition:
        if not tool.return_schema:
            return tool
        told = f"Returns:\n\n{json.dumps(tool.return_schema, indent=2)}"
        if tool.description and tool.description.endswith(told):
            return tool  # the second time
        return replace(tool, description=f"{tool.description or ''}\n\n{told}".strip())

    return replace(parameters, function_tools=[described(tool) for tool in parameters.function_tools])


def _resolve_thinking(
    settings: ModelSettings | None, parameters: ModelRequestParameters, profile: ModelProfile
) -> tuple[ModelSettings | None, ModelRequestParameters]:
    if not settings or "thinking" not in settings:
        return settings, parameters
    thinking: ThinkingLevel | None = settings["thinking"]
    if not profile.supports_thinking or (thinking is False and profile.thinking_always_enabled):
        thinking = None
    rest: Any = {key: value for key, value in settings.items() if key != "thinking"}
    return rest or None, replace(parameters, thinking=thinking)


def _resolve_output_mode(parameters: ModelRequestParameters, profile: ModelProfile) -> ModelRequestParameters:
    mode = parameters.output_mode
    if mode == "auto":
        mode = profile.default_structured_output_mode
        parameters = replace(parameters, output_mode=mode, allow_text_output=mode != "tool")
    match mode:
        case "native" | "prompted":
            parameters = replace(parameters, output_tools=[])
        case "tool" | "tool_or_text":
            parameters = replace(parameters, output_object=None)
        case _:
            parameters = replace(parameters, output_tools=[], output_object=None)
    asks = mode == "prompted" or (mode == "native" and profile.native_output_requires_schema_in_instructions)
    if asks and parameters.prompted_output_template is None:
        parameters = replace(parameters, prompted_output_template=profile.prompted_output_template)
    return parameters


def _refuse_unsupported(model: Model, parameters: ModelRequestParameters) -> None:
    profile = model.profile
    checks = (
        (bool(parameters.function_tools) and not profile.supports_tools, "tools"),
        (bool(parameters.output_tools) and not profile.supports_tools, "tool output"),
        (parameters.output_mode == "native" and not profile.supports_json_schema_output, "native structured output"),
        (parameters.allow_image_output and not profile.supports_image_output, "image output"),
    )
    for unsupported, what in checks:
        if unsupported:
            raise UserError(f"The model {model.model_name!r} does not support {what}.")
