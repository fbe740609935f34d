"""Groq."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeAlias

from app.ai.models.known_names import PreviewGroqModelNames, ProductionGroqModelNames
from app.ai.models.openai import OpenAIChatModel, OpenAIStreamedResponse
from app.ai.models.parameters import ModelRequestParameters
from app.ai.native_tools import AbstractNativeTool, WebSearchTool
from app.ai.settings import ModelSettings

__all__ = (
    "GroqModel",
    "GroqModelName",
    "GroqModelSettings",
    "GroqStreamedResponse",
    "PreviewGroqModelNames",
    "ProductionGroqModelNames",
)

GroqModelName: TypeAlias = str | PreviewGroqModelNames | ProductionGroqModelNames
GroqStreamedResponse = OpenAIStreamedResponse


class GroqModelSettings(ModelSettings, total=False):
    """Settings of Groq."""

    groq_reasoning_format: Literal["hidden", "raw", "parsed"]


class GroqModel(OpenAIChatModel):
    """A model of Groq. Its compound models search the web by themselves; the tool says where."""

    default_provider = "groq"
    vendor_settings: ClassVar[Mapping[str, str]] = {"groq_reasoning_format": "reasoning_format"}

    def supported_native_tools(self) -> frozenset[type[AbstractNativeTool]]:
        return frozenset({WebSearchTool} if "compound" in self._model_name else ())

    def _native_tools_body(self, parameters: ModelRequestParameters) -> dict[str, Any]:
        domains: dict[str, list[str]] = {}
        for tool in parameters.native_tools:
            domains["include_domains"] = list(tool.allowed_domains or ())
            domains["exclude_domains"] = list(tool.blocked_domains or ())
        given = {name: listed for name, listed in domains.items() if listed}
        return {"search_settings": given} if given else {}
