"""xAI, asked by its Responses API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias, cast

from app.ai.messages import ModelMessage
from app.ai.models.openai import OpenAIResponsesModel
from app.ai.models.parameters import ModelRequestParameters
from app.ai.native_tools import AbstractNativeTool, ImageGenerationTool, ToolSearchTool, XSearchTool
from app.ai.settings import ModelSettings

__all__ = "XaiModel", "XaiModelName", "XaiModelSettings"

XaiModelName: TypeAlias = str


class XaiModelSettings(ModelSettings, total=False):
    """Settings of xAI."""

    xai_logprobs: bool
    xai_top_logprobs: int
    xai_user: str
    xai_store_messages: bool
    """Whether xAI keeps the conversation; it does not unless it is told to."""
    xai_previous_response_id: str
    xai_include_encrypted_content: bool
    xai_include_code_execution_output: bool
    xai_include_web_search_output: bool


_NAMES = {
    "xai_logprobs": "openai_logprobs",
    "xai_top_logprobs": "openai_top_logprobs",
    "xai_user": "openai_user",
    "xai_previous_response_id": "openai_previous_response_id",
    "xai_include_code_execution_output": "openai_include_code_execution_outputs",
    "xai_include_web_search_output": "openai_include_web_search_sources",
}


class XaiModel(OpenAIResponsesModel):
    """A model of xAI."""

    default_provider = "xai"

    def supported_native_tools(self) -> frozenset[type[AbstractNativeTool]]:
        return super().supported_native_tools() - {ImageGenerationTool, ToolSearchTool} | {XSearchTool}

    async def _body(
        self, messages: Sequence[ModelMessage], settings: ModelSettings, parameters: ModelRequestParameters
    ) -> dict[str, Any]:
        given = cast("dict[str, Any]", settings)
        renamed: dict[str, Any] = {**given, **{ours: given[name] for name, ours in _NAMES.items() if name in given}}
        renamed.setdefault("openai_store", given.get("xai_store_messages", False))
        if given.get("xai_include_encrypted_content"):
            renamed["openai_include"] = ["reasoning.encrypted_content", *given.get("openai_include", [])]
        return await super()._body(messages, cast("ModelSettings", renamed), parameters)
