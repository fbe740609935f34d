"""The model of an MCP client, asked from inside a server's tool: what the protocol calls sampling."""

from __future__ import annotations

import base64
import warnings
from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING, Any

from app.ai.exceptions import UnexpectedModelBehavior, UserError
from app.ai.messages import (
    BinaryContent,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    RetryPromptPart,
    SystemPromptPart,
    TextContent,
    TextPart,
    ToolReturnPart,
    UserContent,
)
from app.ai.models import Model, ModelRequestParameters
from app.ai.profiles import ModelProfile, ModelProfileSpec
from app.ai.settings import ModelSettings
from app.ai.usage import RequestUsage

if TYPE_CHECKING:
    from mcp import ServerSession
    from mcp_types import CreateMessageResult, ModelPreferences, SamplingMessage

__all__ = "MCPSamplingModel", "MCPSamplingModelSettings"

_FINISH_REASONS = {"endTurn": "stop", "stopSequence": "stop", "maxTokens": "length", "toolUse": "tool_call"}


class MCPSamplingModelSettings(ModelSettings, total=False):
    """Settings of a request to an MCP client's model."""

    mcp_model_preferences: ModelPreferences
    """Which model the client should choose."""


class MCPSamplingModel(Model):
    """Asks the client at the other end of `session`, which chooses the model; it takes text, images and audio.

    The protocol wants an upper bound of tokens: `default_max_tokens` where the settings have none. It tells no usage.
    """

    def __init__(
        self,
        session: ServerSession,
        *,
        default_max_tokens: int = 16_384,
        settings: ModelSettings | None = None,
        profile: ModelProfileSpec | None = None,
    ):
        super().__init__(settings=settings, profile=profile or ModelProfile(supports_tools=False))
        self.session = session
        self.default_max_tokens = default_max_tokens

    @property
    def model_name(self) -> str:
        return "mcp-sampling"

    @property
    def system(self) -> str:
        return "MCP"

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        given, parameters = self.prepare_request(model_settings, model_request_parameters)
        settings: Any = given or {}
        result = await self._ask(
            [item for message in messages for item in _sampling_messages(message)],
            max_tokens=settings.get("max_tokens", self.default_max_tokens),
            system_prompt=self._system_prompt(messages, parameters) or None,
            temperature=settings.get("temperature"),
            stop_sequences=settings.get("stop_sequences"),
            model_preferences=settings.get("mcp_model_preferences"),
        )
        return _response(result)

    def _ask(self, messages: list[SamplingMessage], **options: Any) -> Awaitable[Any]:
        from mcp.shared.exceptions import MCPDeprecationWarning

        session: Any = self.session
        with warnings.catch_warnings():
            # The newest protocol has another way for this; clients of older ones are asked like that.
            warnings.simplefilter("ignore", MCPDeprecationWarning)
            return session.create_message(messages, **options)

    def _system_prompt(self, messages: list[ModelMessage], parameters: ModelRequestParameters) -> str:
        prompts = [
            part.content
            for message in messages
            if isinstance(message, ModelRequest)
            for part in message.parts
            if isinstance(part, SystemPromptPart)
        ]
        return "\n\n".join(filter(None, [*prompts, self.get_instructions(messages, parameters)]))


def _sampling_messages(message: ModelMessage) -> Iterable[SamplingMessage]:
    from mcp_types import SamplingMessage

    if isinstance(message, ModelResponse):
        if text := message.text:
            yield SamplingMessage(role="assistant", content=_content(text))
        return
    for part in message.parts:
        match part:
            case SystemPromptPart():
                pass
            case ToolReturnPart():
                yield SamplingMessage(role="user", content=_content(part.model_response_str()))
            case RetryPromptPart():
                yield SamplingMessage(role="user", content=_content(part.model_response()))
            case _:
                content = [part.content] if isinstance(part.content, str) else part.content
                for item in content:
                    yield SamplingMessage(role="user", content=_content(item))


def _content(item: UserContent) -> Any:
    from mcp_types import AudioContent, ImageContent
    from mcp_types import TextContent as Text

    match item:
        case str() as text:
            return Text(text=text)
        case TextContent():
            return Text(text=item.content)
        case BinaryContent() if item.is_image or item.is_audio:
            kind = ImageContent if item.is_image else AudioContent
            return kind(data=base64.b64encode(item.data).decode(), mime_type=item.media_type)
        case _:
            raise UserError(f"An MCP client's model takes text, images and audio, not {type(item).__name__}")


def _response(result: CreateMessageResult) -> ModelResponse:
    if result.role != "assistant" or result.content.type != "text":
        raise UnexpectedModelBehavior(
            f"The MCP client's model answered as {result.role} with {result.content.type}, not as assistant with text"
        )
    finish: Any = _FINISH_REASONS.get(result.stop_reason or "")
    return ModelResponse(
        parts=[TextPart(result.content.text)],
        usage=RequestUsage(),
        model_name=result.model,
        provider_name="MCP",
        finish_reason=finish,
    )
