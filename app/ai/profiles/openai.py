"""What OpenAI's models can do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from app.ai.profiles import ModelProfile
from app.ai.profiles.openai_schema import OpenAIJsonSchemaTransformer

__all__ = "OpenAIJsonSchemaTransformer", "OpenAIModelProfile", "OpenAISystemPromptRole", "openai_model_profile"

OpenAISystemPromptRole: TypeAlias = Literal["system", "developer", "user"]
"""The role that a system prompt is sent in."""

ThinkingStyle: TypeAlias = Literal["reasoning_effort", "reasoning", "thinking", "enable_thinking"]
"""How a request asks for thinking: an effort, an object `reasoning` with the effort, or switched on or off."""

CachePoints: TypeAlias = Literal["cache_control", "prompt_cache_breakpoint"] | None
"""How a server is told where a prefix to cache ends; None: it finds that out by itself."""


@dataclass(kw_only=True)
class OpenAIModelProfile(ModelProfile):
    """What a model behind an API like OpenAI's can do."""

    openai_supports_strict_tool_definition: bool = True
    """Whether the server can enforce schemas."""
    openai_supports_sampling_settings: bool = True
    """Whether temperature and its kin are accepted."""
    openai_unsupported_model_settings: Sequence[str] = ()
    """Settings that are left out of requests."""
    openai_supports_tool_choice_required: bool = True
    openai_supports_allowed_tools: bool = False
    """Whether the Responses API can be told which of the listed tools may be called."""
    openai_system_prompt_role: OpenAISystemPromptRole | None = None
    """None is `system`."""
    openai_max_tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    openai_supports_reasoning_effort_none: bool = False
    """Whether thinking can be switched off by the effort `none`."""
    openai_thinking_style: ThinkingStyle = "reasoning_effort"
    openai_supports_stream_options: bool = True
    """Whether the usage of a stream has to be asked for; other servers give it unasked and refuse the question."""
    openai_chat_supports_web_search: bool = False
    """Whether the Chat Completions API searches the web with this model."""
    openai_supports_encrypted_reasoning_content: bool = False
    """Whether the Responses API gives thoughts in a form that can be sent back without being stored there."""
    openai_chat_thinking_field: str | None = None
    """The field of a message in which the server gives thoughts, where it is none of the usual ones."""
    openai_chat_send_back_thinking_parts: Literal["auto", "tags", "field"] | Literal[False] = "auto"
    """How thoughts go back to the server that gave them: as they came, tagged in the text, in their field, not."""
    openai_chat_audio_input_encoding: Literal["base64", "uri"] = "base64"
    openai_chat_supports_file_urls: bool = False
    """Whether the server follows links to documents that stand as `file_data`."""
    openai_cache_points: CachePoints = None
    openai_document_link: Literal["file_url", "document_url"] | None = None
    """The kind of item by which the server follows links to documents itself; others get the bytes."""
    openai_takes_video: bool = False
    openai_thinking_in_content: bool = False
    """Whether thoughts go back as items of the message's content."""


_DRAWS = re.compile(r"gpt-5|o3|4\.1|4o")
_REASONING = re.compile(r"(o\d|gpt-5(?!.*-chat))")
_CAN_STOP_THINKING = re.compile(r"gpt-5\.\d")
_TAKES_CACHE_POINTS = re.compile(r"gpt-(5\.([6-9]|\d\d)|[6-9])")


def openai_model_profile(model_name: str) -> OpenAIModelProfile:
    """The profile of a model by its name."""
    reasons = bool(_REASONING.match(model_name))
    can_stop = bool(_CAN_STOP_THINKING.match(model_name))
    return OpenAIModelProfile(
        json_schema_transformer=OpenAIJsonSchemaTransformer,
        supports_json_schema_output=True,
        supports_json_object_output=True,
        supports_image_output=bool(_DRAWS.search(model_name)),
        supports_thinking=reasons,
        thinking_always_enabled=reasons and not can_stop,
        openai_supports_sampling_settings=not reasons,
        openai_supports_allowed_tools=True,
        openai_system_prompt_role="user" if model_name.startswith("o1-mini") else None,
        openai_supports_reasoning_effort_none=can_stop,
        openai_supports_encrypted_reasoning_content=reasons,
        openai_chat_supports_web_search="-search" in model_name,
        openai_cache_points="prompt_cache_breakpoint" if _TAKES_CACHE_POINTS.match(model_name) else None,
    )
