"""Messages between a run and its model, with their JSON form."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import pydantic

from app.ai.messages.content import (
    MULTI_MODAL_CONTENT_TYPES,
    CachePoint,
    MultiModalContent,
    TextContent,
    ToolReturn,
    ToolReturnContent,
    UserContent,
    is_multi_modal_content,
)
from app.ai.messages.deltas import (
    ModelResponsePartDelta,
    ProviderDetailsDelta,
    TextPartDelta,
    ThinkingPartDelta,
    ToolCallPartDelta,
)
from app.ai.messages.events import (
    AgentStreamEvent,
    BuiltinToolCallEvent,
    BuiltinToolResultEvent,
    FinalResultEvent,
    FunctionToolCallEvent,
    FunctionToolResultEvent,
    HandleResponseEvent,
    ModelResponseStreamEvent,
    OutputToolCallEvent,
    OutputToolResultEvent,
    PartDeltaEvent,
    PartEndEvent,
    PartKind,
    PartStartEvent,
)
from app.ai.messages.files import (
    AudioUrl,
    BinaryContent,
    BinaryImage,
    DocumentUrl,
    FileUrl,
    ForceDownloadMode,
    ImageUrl,
    UploadedFile,
    VideoUrl,
)
from app.ai.messages.request import (
    BaseToolReturnPart,
    InstructionPart,
    ModelRequest,
    ModelRequestPart,
    RetryPromptPart,
    SystemPromptPart,
    ToolOutcome,
    ToolPartKind,
    ToolReturnPart,
    UserPromptPart,
)
from app.ai.messages.response import (
    INVALID_JSON_KEY,
    BaseToolCallPart,
    BuiltinToolCallPart,
    BuiltinToolReturnPart,
    CompactionPart,
    FilePart,
    FinishReason,
    ModelResponse,
    ModelResponsePart,
    ModelResponseState,
    NativeToolCallPart,
    NativeToolReturnPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
)

ModelMessage: TypeAlias = Annotated[ModelRequest | ModelResponse, pydantic.Discriminator("kind")]
"""A message to or from the model."""

ModelMessagesTypeAdapter: pydantic.TypeAdapter[list[ModelMessage]] = pydantic.TypeAdapter(
    list[ModelMessage], config=pydantic.ConfigDict(defer_build=True, ser_json_bytes="base64", val_json_bytes="base64")
)
"""Reads and writes a list of messages as JSON."""

__all__ = (
    "INVALID_JSON_KEY",
    "MULTI_MODAL_CONTENT_TYPES",
    "AgentStreamEvent",
    "AudioUrl",
    "BaseToolCallPart",
    "BaseToolReturnPart",
    "BinaryContent",
    "BinaryImage",
    "BuiltinToolCallEvent",
    "BuiltinToolCallPart",
    "BuiltinToolResultEvent",
    "BuiltinToolReturnPart",
    "CachePoint",
    "CompactionPart",
    "DocumentUrl",
    "FilePart",
    "FileUrl",
    "FinalResultEvent",
    "FinishReason",
    "ForceDownloadMode",
    "FunctionToolCallEvent",
    "FunctionToolResultEvent",
    "HandleResponseEvent",
    "ImageUrl",
    "InstructionPart",
    "ModelMessage",
    "ModelMessagesTypeAdapter",
    "ModelRequest",
    "ModelRequestPart",
    "ModelResponse",
    "ModelResponsePart",
    "ModelResponsePartDelta",
    "ModelResponseState",
    "ModelResponseStreamEvent",
    "MultiModalContent",
    "NativeToolCallPart",
    "NativeToolReturnPart",
    "OutputToolCallEvent",
    "OutputToolResultEvent",
    "PartDeltaEvent",
    "PartEndEvent",
    "PartKind",
    "PartStartEvent",
    "ProviderDetailsDelta",
    "RetryPromptPart",
    "SystemPromptPart",
    "TextContent",
    "TextPart",
    "TextPartDelta",
    "ThinkingPart",
    "ThinkingPartDelta",
    "ToolCallPart",
    "ToolCallPartDelta",
    "ToolOutcome",
    "ToolPartKind",
    "ToolReturn",
    "ToolReturnContent",
    "ToolReturnPart",
    "UploadedFile",
    "UserContent",
    "UserPromptPart",
    "VideoUrl",
    "is_multi_modal_content",
)
