"""The body of a Responses request, apart from its input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from app.ai.exceptions import UserError
from app.ai.models.openai.body import (
    NAMES,
    OpenAIChatModelSettings,
    accepted_settings,
    json_schema_format,
    reasoning_effort,
)
from app.ai.models.parameters import ModelRequestParameters
from app.ai.models.tool_choice import offer_tools
from app.ai.native_tools import (
    CodeExecutionTool,
    FileSearchTool,
    ImageGenerationTool,
    MCPServerTool,
    ToolSearchTool,
    WebSearchTool,
    XSearchTool,
)
from app.ai.profiles.openai import OpenAIModelProfile
from app.ai.settings import ModelSettings
from app.ai.tools import ToolDefinition


class OpenAIResponsesModelSettings(OpenAIChatModelSettings, total=False):
    """Settings that only this API knows."""

    openai_reasoning_summary: Literal["auto", "concise", "detailed"]
    openai_text_verbosity: Literal["low", "medium", "high"]
    openai_previous_response_id: str
    """The response to go on from; `auto` takes the newest one of the history and sends only what came after it."""
    openai_conversation_id: str
    """The conversation at OpenAI to go on with, which holds what came before."""
    openai_send_reasoning_ids: bool
    """False leaves the ids of items out, for a history that the API would take for incomplete."""
    openai_reasoning_generate_summary: Literal["detailed", "concise"]
    """Old name of `openai_reasoning_summary`."""
    openai_truncation: Literal["auto", "disabled"]
    openai_background: bool
    """Let OpenAI make the answer in the background and store it, so that it outlives our connection and our process."""
    openai_reasoning_context: str
    openai_context_management: list[dict[str, Any]]
    openai_max_tool_calls: int
    openai_include_code_execution_outputs: bool
    openai_include_web_search_sources: bool
    openai_include_file_search_results: bool
    openai_include_raw_annotations: bool
    """Annotations of texts are kept in any case."""
    openai_native_tools: list[dict[str, Any]]
    """Tools of the API's own, as it describes them, beside those that `native_tools` can say."""
    openai_builtin_tools: list[dict[str, Any]]
    """Old name of `openai_native_tools`."""
    openai_include: list[str]
    """More to include in the answer than what we need by ourselves."""


_NAMES = {
    **{name: name for name in ("temperature", "top_p", "service_tier", "parallel_tool_calls")},
    "max_tokens": "max_output_tokens",
    "openai_top_logprobs": "top_logprobs",
    "openai_user": "user",
    "openai_store": "store",
    "openai_prompt_cache_key": "prompt_cache_key",
    "openai_truncation": "truncation",
    "openai_conversation_id": "conversation",
    "openai_context_management": "context_management",
    "openai_max_tool_calls": "max_tool_calls",
    **{name: NAMES[name] for name in ("openai_prompt_cache_retention", "openai_prompt_cache_options")},
    **{name: NAMES[name] for name in ("openai_service_tier", "openai_safety_identifier")},
}
_INCLUDED = {
    "openai_logprobs": "message.output_text.logprobs",
    "openai_include_code_execution_outputs": "code_interpreter_call.outputs",
    "openai_include_web_search_sources": "web_search_call.action.sources",
    "openai_include_file_search_results": "file_search_call.results",
}


def settings_body(
    settings: ModelSettings, parameters: ModelRequestParameters, profile: OpenAIModelProfile
) -> dict[str, Any]:
    """Settings and the form of the output."""
    given = accepted_settings(settings, profile)
    body: dict[str, Any] = {name: given[key] for key, name in _NAMES.items() if given.get(key) is not None}
    effort = given.get("openai_reasoning_effort") or reasoning_effort(parameters.thinking, profile)
    reasoning = {
        "effort": effort,
        "summary": _either(given, "openai_reasoning_summary", "openai_reasoning_generate_summary"),
    }
    reasoning["context"] = given.get("openai_reasoning_context")
    if parameters.thinking:
        reasoning["summary"] = reasoning["summary"] or "auto"
    text = {"format": _format(parameters, profile), "verbosity": given.get("openai_text_verbosity")}
    for name, options in (("reasoning", reasoning), ("text", text)):
        if options := {key: value for key, value in options.items() if value is not None}:
            body[name] = options
    if include := _include(given, parameters, profile):
        body["include"] = include
    return body


def _either(given: dict[str, Any], name: str, old_name: str) -> Any:
    return given.get(name, given.get(old_name))


def _format(parameters: ModelRequestParameters, profile: OpenAIModelProfile) -> dict[str, Any] | None:
    if parameters.output_mode == "native" and parameters.output_object:
        form = json_schema_format(parameters.output_object, profile)
        return {"type": form["type"], **form["json_schema"]}
    if parameters.output_mode == "prompted" and profile.supports_json_object_output and not parameters.function_tools:
        return {"type": "json_object"}
    return None


def _include(given: dict[str, Any], parameters: ModelRequestParameters, profile: OpenAIModelProfile) -> list[str]:
    include: list[str] = []
    if profile.openai_supports_encrypted_reasoning_content:
        include.append("reasoning.encrypted_content")
    if any(isinstance(tool, CodeExecutionTool) for tool in parameters.native_tools):
        include.append("code_interpreter_call.outputs")
    include += [name for key, name in _INCLUDED.items() if given.get(key)]
    return list(dict.fromkeys([*include, *given.get("openai_include", [])]))


def tools_body(
    settings: ModelSettings, parameters: ModelRequestParameters, profile: OpenAIModelProfile
) -> dict[str, Any]:
    """Tools on offer and whether one has to be called."""
    offered = offer_tools(settings, parameters)
    names_several = profile.openai_supports_allowed_tools and offered.restricted and len(offered.allowed) > 1
    listed = offered.every if names_several else offered.listed()
    searches = any(isinstance(tool, ToolSearchTool) for tool in parameters.native_tools)
    tools: list[dict[str, Any]] = [_native(tool) for tool in parameters.native_tools]
    tools += _either({**settings}, "openai_native_tools", "openai_builtin_tools") or []
    tools += [_function(tool, deferrable=searches) for tool in listed]
    if not tools:
        return {}
    choice: Any = {"type": "function", "name": offered.forced} if offered.forced else offered.mode
    if names_several:
        named = [{"type": "function", "name": tool.name} for tool in offered.allowed]
        choice = {"type": "allowed_tools", "mode": offered.mode, "tools": named}
    return {"tools": tools, "tool_choice": choice}


def _function(tool: ToolDefinition, *, deferrable: bool) -> dict[str, Any]:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters_json_schema,
        "strict": bool(tool.strict),  # true when it is left out
        **({"defer_loading": True} if tool.defer_loading and deferrable else {}),
    }


def _native(tool: Any) -> dict[str, Any]:
    match tool:
        case WebSearchTool() | XSearchTool() | FileSearchTool():
            return _search(tool)
        case CodeExecutionTool():
            return {"type": "code_interpreter", "container": {"type": "auto"}}
        case ImageGenerationTool():
            return _image_generation(tool)
        case MCPServerTool():
            return _mcp_server(tool)
        case ToolSearchTool(strategy=None):
            return {"type": "tool_search"}
        case _:
            raise UserError(f"The Responses API has no native tool {tool!r}.")


_SIZES: Final[Mapping[str, str]] = {"1:1": "1024x1024", "2:3": "1024x1536", "3:2": "1536x1024"}
"""The sizes of images by their aspect ratio."""


def _image_generation(tool: ImageGenerationTool) -> dict[str, Any]:
    size: str | None = tool.size
    if tool.aspect_ratio is not None and size is None:
        size = _SIZES.get(tool.aspect_ratio)
        if size is None:
            raise UserError(f"The Responses API makes images of {', '.join(_SIZES)}, not of {tool.aspect_ratio}.")
    return _given(
        type="image_generation",
        background=tool.background,
        input_fidelity=tool.input_fidelity,
        moderation=None if tool.moderation == "auto" else tool.moderation,
        output_compression=tool.output_compression,
        output_format=tool.output_format,
        partial_images=tool.partial_images or None,
        quality=tool.quality,
        size=size,
    )


_CONNECTOR = "x-openai-connector:"
"""How a tool names one of OpenAI's own connectors instead of a server's address."""


def _search(tool: WebSearchTool | XSearchTool | FileSearchTool) -> dict[str, Any]:
    match tool:
        case WebSearchTool():
            location = {"type": "approximate", **tool.user_location} if tool.user_location else None
            filters = {"allowed_domains": list(tool.allowed_domains)} if tool.allowed_domains else None
            size = tool.search_context_size
            return _given(type="web_search", search_context_size=size, user_location=location, filters=filters)
        case XSearchTool():
            return _x_search(tool)
        case FileSearchTool():
            return {"type": "file_search", "vector_store_ids": list(tool.file_store_ids)}


def _x_search(tool: XSearchTool) -> dict[str, Any]:
    return _given(
        type="x_search",
        allowed_x_handles=tool.allowed_x_handles,
        excluded_x_handles=tool.excluded_x_handles,
        from_date=tool.from_date and tool.from_date.date().isoformat(),
        to_date=tool.to_date and tool.to_date.date().isoformat(),
        enable_image_understanding=tool.enable_image_understanding or None,
        enable_video_understanding=tool.enable_video_understanding or None,
    )


def _mcp_server(tool: MCPServerTool) -> dict[str, Any]:
    is_connector = tool.url.startswith(_CONNECTOR)
    return _given(
        type="mcp",
        server_label=tool.id,
        server_url=None if is_connector else tool.url,
        connector_id=tool.url.removeprefix(_CONNECTOR) if is_connector else None,
        server_description=tool.description,
        authorization=tool.authorization_token,
        headers=tool.headers,
        allowed_tools=tool.allowed_tools,
        require_approval="never",  # there is nobody to ask in the middle of an answer
    )


def _given(**options: Any) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value is not None}
