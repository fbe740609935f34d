"""Settings of a model request that most providers understand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from typing_extensions import TypedDict

__all__ = (
    "ModelSettings",
    "ServiceTier",
    "ThinkingEffort",
    "ThinkingLevel",
    "ToolChoice",
    "ToolChoiceScalar",
    "ToolOrOutput",
    "merge_model_settings",
)

ThinkingEffort: TypeAlias = Literal["minimal", "low", "medium", "high", "xhigh"]
ThinkingLevel: TypeAlias = bool | ThinkingEffort
ServiceTier: TypeAlias = Literal["auto", "default", "flex", "priority"]


@dataclass
class ToolOrOutput:
    """A `tool_choice`: the model has to call one of these function tools, or finish by the run's output."""

    function_tools: list[str]


ToolChoiceScalar: TypeAlias = Literal["auto", "none", "required"]
ToolChoice: TypeAlias = ToolChoiceScalar | list[str] | ToolOrOutput | None


class ModelSettings(TypedDict, total=False):
    """Settings of a model request; a provider ignores the ones it does not know."""

    max_tokens: int
    """The most tokens to generate."""
    temperature: float
    top_p: float
    top_k: int
    timeout: float
    """Seconds to wait for the provider: to connect, for its answer, and between two pieces of a stream."""
    deadline: float
    """Seconds until the whole answer has to be there, other tries included; half an hour if it is not set."""
    parallel_tool_calls: bool
    tool_choice: ToolChoice
    seed: int
    presence_penalty: float
    frequency_penalty: float
    logit_bias: dict[str, int]
    """Token id to bias."""
    stop_sequences: list[str]
    extra_headers: dict[str, str]
    extra_body: object
    """Fields added to the body of the request as they are."""
    thinking: ThinkingLevel
    """Whether, or how hard, the model thinks before it answers."""
    service_tier: ServiceTier


def merge_model_settings(base: ModelSettings | None, overrides: ModelSettings | None) -> ModelSettings | None:
    """Merge two layers of settings, shallowly; `overrides` wins."""
    if base and overrides:
        merged: Any = {**base, **overrides}
        return merged
    return overrides or base
