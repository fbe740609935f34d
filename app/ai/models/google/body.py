"""The body of a Gemini request, apart from its contents."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, cast

from app.ai.exceptions import UserError
from app.ai.models.parameters import ModelRequestParameters
from app.ai.models.tool_choice import offer_tools
from app.ai.native_tools import CodeExecutionTool, FileSearchTool, ImageGenerationTool, WebFetchTool, WebSearchTool
from app.ai.output_modes import OutputObjectDefinition
from app.ai.profiles.google import GoogleModelProfile
from app.ai.settings import ModelSettings, ThinkingLevel
from app.ai.tools import ToolDefinition


class GoogleModelSettings(ModelSettings, total=False):
    """Settings that only this API knows."""

    google_safety_settings: list[dict[str, Any]]
    google_thinking_config: dict[str, Any]
    """The API's own `thinkingConfig`, instead of the setting `thinking`."""
    google_labels: dict[str, str]
    google_cached_content: str
    google_service_tier: str
    google_response_modalities: list[str]
    google_speech_config: dict[str, Any]
    google_media_resolution: str
    google_video_resolution: str
    google_logprobs: bool
    google_top_logprobs: int


_CONFIG_NAMES = {
    "max_tokens": "maxOutputTokens",
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "stop_sequences": "stopSequences",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "google_thinking_config": "thinkingConfig",
    "google_video_resolution": "mediaResolution",
    "google_media_resolution": "mediaResolution",
    "google_response_modalities": "responseModalities",
    "google_speech_config": "speechConfig",
    "google_logprobs": "responseLogprobs",
    "google_top_logprobs": "logprobs",
}
_NAMES = {
    "google_safety_settings": "safetySettings",
    "google_labels": "labels",
    "google_cached_content": "cachedContent",
    "google_service_tier": "serviceTier",
}
_OBJECTS = {"thinkingConfig", "speechConfig"}
_SNAKE = re.compile("_([a-z])")
_BUDGETS: Mapping[ThinkingLevel, int] = {
    True: -1,  # as the model sees fit
    False: 0,
    "minimal": 512,
    "low": 2048,
    "medium": 8192,
    "high": 24576,
    "xhigh": 24576,
}
_LEVELS: Mapping[ThinkingLevel, str] = {
    "minimal": "minimal",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
}


_IMAGE_SIZES: Final = ("512", "1K", "2K", "4K")


def settings_body(
    settings: ModelSettings, parameters: ModelRequestParameters, profile: GoogleModelProfile
) -> dict[str, Any]:
    """Settings and the form of the output."""
    given: dict[str, Any] = {**settings}
    config = {name: given[key] for key, name in _CONFIG_NAMES.items() if given.get(key) is not None}
    if parameters.thinking is not None:
        config.setdefault("thinkingConfig", _thinking(parameters.thinking, profile))
    images = [tool for tool in parameters.native_tools if isinstance(tool, ImageGenerationTool)]
    if parameters.allow_image_output or images:
        config["responseModalities"] = ["TEXT", "IMAGE"]
    for tool in images:
        options = {"aspectRatio": tool.aspect_ratio, "imageSize": tool.size if tool.size in _IMAGE_SIZES else None}
        if given_options := {name: value for name, value in options.items() if value is not None}:
            config["imageConfig"] = given_options
    if parameters.output_mode == "native" and parameters.output_object:
        config["responseMimeType"] = "application/json"
        config["responseJsonSchema"] = _named(parameters.output_object)
    elif parameters.output_mode == "prompted" and profile.supports_json_object_output and not parameters.function_tools:
        config["responseMimeType"] = "application/json"
    for name in _OBJECTS & config.keys():
        config[name] = _in_api_case(config[name])
    body = {name: given[key] for key, name in _NAMES.items() if given.get(key) is not None}
    return {"generationConfig": config, **body}


def _in_api_case(value: Any) -> Any:
    """An object of the API with its keys as the API spells them, also if they were spelled as Python does."""
    if isinstance(value, list):
        return [_in_api_case(item) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    return {_SNAKE.sub(lambda found: found[1].upper(), key): _in_api_case(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def _named(output: OutputObjectDefinition) -> dict[str, Any]:
    names = {"title": output.name, "description": output.description}
    return output.json_schema | {key: name for key, name in names.items() if name}


def _thinking(level: ThinkingLevel, profile: GoogleModelProfile) -> dict[str, Any]:
    config: dict[str, Any] = {"includeThoughts": level is not False}
    if not profile.google_supports_thinking_level:
        return {**config, "thinkingBudget": _BUDGETS[level]}
    return {**config, "thinkingLevel": _LEVELS[level]} if level in _LEVELS else config


def tools_body(
    settings: ModelSettings, parameters: ModelRequestParameters, profile: GoogleModelProfile, *, tells_tools: bool
) -> dict[str, Any]:
    """Tools on offer and whether one has to be called; `tells_tools` if the API tells how its own ones were called."""
    offered = offer_tools(settings, parameters)
    restricts = offered.mode == "required" and offered.restricted
    listed = offered.every if restricts or offered.mode == "none" else offered.allowed
    tools = [native for tool in parameters.native_tools if (native := _native(tool))]
    config: dict[str, Any] = {}
    if tools and listed and tells_tools and profile.google_supports_tool_combination:
        config["includeServerSideToolInvocations"] = True
    if listed:
        tools.append({"functionDeclarations": [_declaration(tool) for tool in listed]})
        if offered.mode != "auto":
            names = {"allowedFunctionNames": [tool.name for tool in offered.allowed]} if restricts else {}
            config["functionCallingConfig"] = {"mode": "NONE" if offered.mode == "none" else "ANY", **names}
    if not tools:
        return {}
    return {"tools": tools, **({"toolConfig": config} if config else {})}


def _declaration(tool: ToolDefinition) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description or "",
        "parametersJsonSchema": tool.parameters_json_schema,
        **({"responseJsonSchema": tool.return_schema} if tool.return_schema else {}),
    }


def _native(tool: Any) -> dict[str, Any] | None:
    match tool:
        case WebSearchTool():
            excluded = {"excludeDomains": list(tool.blocked_domains)} if tool.blocked_domains else {}
            return {"googleSearch": excluded}
        case WebFetchTool():
            return {"urlContext": {}}
        case CodeExecutionTool():
            return {"codeExecution": {}}
        case FileSearchTool():
            return {"fileSearch": {"fileSearchStoreNames": list(tool.file_store_ids)}}
        case ImageGenerationTool():
            return None  # a kind of output here
        case _:
            raise UserError(f"Gemini has no native tool {tool!r}.")
