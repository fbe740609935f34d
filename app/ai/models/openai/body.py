"""The body of a Chat Completions request, apart from its messages."""

from __future__ import annotations

import warnings
from typing import Any, Literal

from app.ai.exceptions import UserError
from app.ai.models import ModelRequestParameters
from app.ai.models.tool_choice import offer_tools
from app.ai.native_tools import WebSearchTool
from app.ai.output_modes import OutputObjectDefinition
from app.ai.profiles.openai import OpenAIModelProfile
from app.ai.settings import ModelSettings, ThinkingLevel
from app.ai.tools import ToolDefinition


class OpenAIChatModelSettings(ModelSettings, total=False):
    """Settings that only this API knows."""

    openai_reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"]
    openai_logprobs: bool
    openai_top_logprobs: int
    openai_user: str
    openai_store: bool | None
    openai_prediction: dict[str, Any]
    openai_prompt_cache_key: str
    openai_prompt_cache_retention: Literal["in_memory", "24h"]
    openai_prompt_cache_options: dict[str, Any]
    openai_service_tier: Literal["auto", "default", "flex", "priority", "scale"]
    openai_safety_identifier: str
    openai_continuous_usage_stats: bool
    """Ask for the usage with every piece of a stream."""


_SAMPLING = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "logit_bias")
NAMES = {
    **{name: name for name in (*_SAMPLING, "seed", "service_tier")},
    "stop_sequences": "stop",
    "openai_reasoning_effort": "reasoning_effort",
    "openai_logprobs": "logprobs",
    "openai_top_logprobs": "top_logprobs",
    "openai_user": "user",
    "openai_store": "store",
    "openai_prediction": "prediction",
    "openai_prompt_cache_key": "prompt_cache_key",
    "openai_prompt_cache_retention": "prompt_cache_retention",
    "openai_prompt_cache_options": "prompt_cache_options",
    "openai_service_tier": "service_tier",
    "openai_safety_identifier": "safety_identifier",
}


def tools_body(
    settings: ModelSettings, parameters: ModelRequestParameters, profile: OpenAIModelProfile
) -> dict[str, Any]:
    """Tools on offer and whether one has to be called."""
    offered = offer_tools(settings, parameters)
    can_force = profile.openai_supports_tool_choice_required
    tools = offered.listed(forces_one=can_force)
    if not tools:
        return {}
    choice: Any = offered.mode
    if offered.mode == "required":
        named = {"type": "function", "function": {"name": offered.forced}} if offered.forced else "required"
        choice = named if can_force else "auto"
    body: dict[str, Any] = {"tools": [_tool(tool) for tool in tools], "tool_choice": choice}
    if "parallel_tool_calls" in settings:
        body["parallel_tool_calls"] = settings["parallel_tool_calls"]
    return body


def native_tools_body(parameters: ModelRequestParameters, profile: OpenAIModelProfile) -> dict[str, Any]:
    """Searching the web, which a few models do here; UserError for any other tool of the provider's own."""
    body: dict[str, Any] = {}
    for tool in parameters.native_tools:
        if not (isinstance(tool, WebSearchTool) and profile.openai_chat_supports_web_search):
            raise UserError(f"The Chat Completions API has no native tool {tool!r} for this model.")
        options: dict[str, Any] = {"search_context_size": tool.search_context_size}
        if tool.user_location:
            options["user_location"] = {"type": "approximate", "approximate": tool.user_location}
        body["web_search_options"] = options
    return body


def _tool(tool: ToolDefinition) -> dict[str, Any]:
    function: dict[str, Any] = {
        "name": tool.name,
        "description": tool.description or "",
        "parameters": tool.parameters_json_schema,
    }
    if tool.strict:
        function["strict"] = True
    return {"type": "function", "function": function}


def output_body(parameters: ModelRequestParameters, profile: OpenAIModelProfile) -> dict[str, Any]:
    """The form of the output, where the server is to enforce it."""
    if parameters.output_mode == "native" and parameters.output_object:
        return {"response_format": json_schema_format(parameters.output_object, profile)}
    # With tools on offer, JSON mode would keep some models from calling them.
    if parameters.output_mode == "prompted" and profile.supports_json_object_output and not parameters.function_tools:
        return {"response_format": {"type": "json_object"}}
    return {}


def json_schema_format(output: OutputObjectDefinition, profile: OpenAIModelProfile) -> dict[str, Any]:
    """A form that the server enforces."""
    json_schema: dict[str, Any] = {"name": output.name or "result", "schema": output.json_schema}
    if output.description:
        json_schema["description"] = output.description
    if profile.openai_supports_strict_tool_definition:
        json_schema["strict"] = bool(output.strict)
    return {"type": "json_schema", "json_schema": json_schema}


def settings_body(
    settings: ModelSettings, thinking: ThinkingLevel | None, profile: OpenAIModelProfile
) -> dict[str, Any]:
    """Settings under the API's names."""
    given = accepted_settings(settings, profile)
    body = {name: given[key] for key, name in NAMES.items() if given.get(key) is not None}
    if "max_tokens" in given:
        body[profile.openai_max_tokens_field] = given["max_tokens"]
    if thinking is not None and "reasoning_effort" not in body:
        body |= _thinking_body(thinking, profile)
    return body


def _thinking_body(thinking: ThinkingLevel, profile: OpenAIModelProfile) -> dict[str, Any]:
    match profile.openai_thinking_style:
        case "thinking":
            return {"thinking": {"type": "enabled" if thinking else "disabled"}}
        case "enable_thinking":
            return {"enable_thinking": thinking is not False}
        case "reasoning":
            return {"reasoning": {"enabled": thinking} if isinstance(thinking, bool) else {"effort": thinking}}
        case "reasoning_effort":
            effort = reasoning_effort(thinking, profile)
            return {"reasoning_effort": effort} if effort else {}


def accepted_settings(settings: ModelSettings, profile: OpenAIModelProfile) -> dict[str, Any]:
    """The settings without those that the model refuses; a warning names them."""
    given: dict[str, Any] = {**settings}
    for name in profile.openai_unsupported_model_settings:
        given.pop(name, None)
    refused = () if profile.openai_supports_sampling_settings else _SAMPLING
    if dropped := [name for name in refused if given.pop(name, None) is not None]:
        warnings.warn(f"Reasoning models do not take {', '.join(dropped)}; left out", UserWarning, stacklevel=2)
    return given


def reasoning_effort(thinking: ThinkingLevel | None, profile: OpenAIModelProfile) -> str | None:
    """The effort that a level of thinking means; None leaves it to the model."""
    if thinking is None:
        return None
    if thinking is True:
        return "medium"
    if thinking is False:
        return "none" if profile.openai_supports_reasoning_effort_none else None
    return thinking
