"""Whose model one is that another provider serves, told by its name."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from app.ai.profiles import ModelProfile
from app.ai.profiles.amazon import amazon_model_profile
from app.ai.profiles.cohere import cohere_model_profile
from app.ai.profiles.deepseek import deepseek_model_profile
from app.ai.profiles.google import GoogleJsonSchemaTransformer
from app.ai.profiles.harmony import harmony_model_profile
from app.ai.profiles.meta import meta_model_profile
from app.ai.profiles.moonshotai import moonshotai_model_profile
from app.ai.profiles.qwen import qwen_model_profile


def _google(model_name: str) -> ModelProfile:
    # Behind another provider's API only the schemas are as Google's models want them.
    return ModelProfile(json_schema_transformer=GoogleJsonSchemaTransformer)


_FAMILIES: Sequence[tuple[re.Pattern[str], Callable[[str], ModelProfile | None]]] = [
    (re.compile(r"(meta-)?llama|meta-"), meta_model_profile),
    (re.compile(r"qwen|qwq"), qwen_model_profile),
    (re.compile(r"nova-|amazon"), amazon_model_profile),
    (re.compile(r"gemini|gemma"), _google),
    (re.compile(r"deepseek"), deepseek_model_profile),
    (re.compile(r"command|c4ai"), cohere_model_profile),
    (re.compile(r"kimi|moonshot"), moonshotai_model_profile),
    (re.compile(r"gpt-oss"), harmony_model_profile),
]


def family_profile(model_name: str) -> ModelProfile | None:
    """What its maker's family says of a model, such as `meta-llama/llama-4`; None for a family that we do not know."""
    name = model_name.lower().rpartition("/")[2]
    return next((profile(name) for beginning, profile in _FAMILIES if beginning.match(name)), None)
