"""Serving what a server asks a model."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.ai.direct import model_request
from app.ai.exceptions import AgentRunError
from app.ai.messages import (
    BinaryContent,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    UserContent,
    UserPromptPart,
)
from app.ai.models import KnownModelName, Model, infer_model
from app.ai.settings import ModelSettings

if TYPE_CHECKING:
    from mcp_types import CreateMessageRequestParams, CreateMessageResult

Sampled = Callable[["CreateMessageRequestParams", ModelResponse], None]
"""Told of each answer of a model."""

_STOP_REASONS = {"stop": "endTurn", "length": "maxTokens"}


class SamplingRefused(AgentRunError):
    """A server asked more of the model than it may, or what cannot be asked."""


@dataclass(frozen=True)
class Sampling:
    """The model that a server may use, and how much of it."""

    model: Model | KnownModelName | str
    requests_per_call: int
    max_tokens: int

    async def ask(self, params: CreateMessageRequestParams) -> ModelResponse:
        """The model's answer to a server's request."""
        settings = ModelSettings(max_tokens=min(params.max_tokens, self.max_tokens))
        if params.temperature is not None:
            settings["temperature"] = params.temperature
        if params.stop_sequences:
            settings["stop_sequences"] = params.stop_sequences
        return await model_request(infer_model(self.model), _messages(params), model_settings=settings)

    @property
    def model_name(self) -> str:
        """The model's own name."""
        return infer_model(self.model).model_name

    def check_count(self, requests: int) -> None:
        """Raises SamplingRefused if one call may not ask so often."""
        if requests > self.requests_per_call:
            raise SamplingRefused(f"The model may be asked {self.requests_per_call} times in one call.")


def sampling_result(response: ModelResponse) -> CreateMessageResult:
    """The answer in the protocol's form."""
    from mcp_types import CreateMessageResult, TextContent

    text = "".join(part.content for part in response.parts if isinstance(part, TextPart))
    return CreateMessageResult(
        role="assistant",
        content=TextContent(text=text),
        model=response.model_name or "unknown",
        stop_reason=_STOP_REASONS.get(response.finish_reason or "stop"),
    )


def _messages(params: CreateMessageRequestParams) -> list[ModelMessage]:
    messages: list[ModelMessage] = []
    if params.system_prompt:
        messages.append(ModelRequest(parts=[SystemPromptPart(params.system_prompt)]))
    for message in params.messages:
        content = [_content(block) for block in message.content_as_list]
        if message.role == "user":
            text = content[0] if len(content) == 1 and isinstance(content[0], str) else None
            messages.append(ModelRequest(parts=[UserPromptPart(text or content)]))
        else:
            messages.append(ModelResponse(parts=_texts(content)))
    return messages


def _content(block: Any) -> UserContent:
    match block.type:
        case "text":
            return block.text
        case "image" | "audio":
            return BinaryContent(data=base64.b64decode(block.data), media_type=block.mime_type)
        case other:
            # Not declared among our capabilities, so no server should send it.
            raise SamplingRefused(f"The model takes no {other!r} content here.")


def _texts(content: Iterable[UserContent]) -> list[TextPart]:
    return [TextPart(block) for block in content if isinstance(block, str)]
