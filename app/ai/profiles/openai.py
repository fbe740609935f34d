"""What OpenAI's models can do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from app.ai.profiles import ModelProfile

__all__ = "OpenAIModelProfile", "openai_model_profile"

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
    openai_supports_tool_choice_required: bool = True
    openai_supports_allowed_tools: bool = False
    """Whether the Responses API can be told which of the listed tools may be called."""
    openai_system_prompt_role: Literal["system", "developer", "user"] = "system"
    openai_max_tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    openai_supports_reasoning_effort_none: bool = False
    """Whether thinking can be switched off by the effort `none`."""
    openai_thinking_style: ThinkingStyle = "reasoning_effort"
    openai_supports_stream_options: bool = True
    """Whether the usage of a stream has to be asked for; other servers give it unasked and refuse the question."""
    openai_supports_web_search: bool = False
    """Whether the Chat Completions API searches the web with this model."""
    openai_supports_encrypted_reasoning_content: bool = False
    """Whether the Responses API gives thoughts in a form that can be sent back without being stored there."""

    openai_cache_points: CachePoints = None
    openai_document_link: Literal["file_url", "document_url"] | None = None
    """The kind of item by which the server follows links to documents itself; others get the bytes."""
    openai_takes_video: bool = False
    openai_thinking_in_content: bool = False
    """Whether thoughts go back as items of the message's content."""


_REASONING = re.compile(r"(o\d|gpt-5(?!.*-chat))")
_CAN_STOP_THINKING = re.compile(r"gpt-5\.\d")
_TAKES_CACHE_POINTS = re.compile(r"gpt-(5\.([6-9]|\d\d)|[6-9])")


def openai_model_profile(model_name: str) -> OpenAIModelProfile:
    """The profile of a model by its name."""
    reasons = bool(_REASONING.match(model_name))
    can_stop = bool(_CAN_STOP_THINKING.match(model_name))
    return OpenAIModelProfile(
        supports_json_schema_output=True,
        supports_json_object_output=True,
        supports_thinking=reasons,
        thinking_always_enabled=reasons and not can_stop,
        openai_supports_sampling_settings=not reasons,
        openai_supports_allowed_tools=True,
        openai_system_prompt_role="user" if model_name.startswith("o1-mini") else "system",
        openai_supports_reasoning_effort_none=can_stop,
        openai_supports_encrypted_reasoning_content=reasons,
        openai_supports_web_search="-search" in model_name,
        openai_cache_points="prompt_cache_breakpoint" if _TAKES_CACHE_POINTS.match(model_name) else None,
    )
