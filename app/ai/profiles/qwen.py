"""What Alibaba's Qwen models can do."""

from __future__ import annotations

import re

from app.ai.profiles import InlineDefsJsonSchemaTransformer, ModelProfile
from app.ai.profiles.openai import OpenAIModelProfile

__all__ = ("qwen_model_profile",)

_THINKS = re.compile(r"qwen-?3(?!.*(coder|instruct))|qwq")


def qwen_model_profile(model_name: str) -> ModelProfile | None:
    """The profile of a model by its name."""
    name = model_name.lower()
    if "qwen3-coder" in name or "qwen-3-coder" in name:
        return OpenAIModelProfile(
            json_schema_transformer=InlineDefsJsonSchemaTransformer,
            ignore_streamed_leading_whitespace=True,
            openai_supports_tool_choice_required=False,
            openai_supports_strict_tool_definition=False,
        )
    thinks = bool(_THINKS.search(name))
    return ModelProfile(
        json_schema_transformer=InlineDefsJsonSchemaTransformer,
        ignore_streamed_leading_whitespace=thinks,
        supports_thinking=thinks,
        thinking_always_enabled="qwq" in name,
    )
