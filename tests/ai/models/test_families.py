"""What a model can do, told by its name and by the provider that serves it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from app.ai.messages import (
    BinaryContent,
    DocumentUrl,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ThinkingPart,
    UserPromptPart,
)
from app.ai.models.openai import OpenAIChatModel
from app.ai.models.parameters import ModelRequestParameters
from app.ai.profiles import InlineDefsJsonSchemaTransformer, JsonSchemaTransformer, ModelProfile
from app.ai.profiles.anthropic import anthropic_model_profile
from app.ai.profiles.deepseek import deepseek_model_profile
from app.ai.profiles.google import GoogleJsonSchemaTransformer, google_model_profile
from app.ai.profiles.grok import GrokModelProfile, grok_model_profile
from app.ai.profiles.groq import GroqModelProfile, groq_model_profile
from app.ai.profiles.harmony import harmony_model_profile
from app.ai.profiles.mistral import mistral_model_profile
from app.ai.profiles.openai import OpenAIJsonSchemaTransformer, OpenAIModelProfile, openai_model_profile
from app.ai.profiles.qwen import qwen_model_profile
from app.ai.profiles.zai import zai_model_profile
from app.ai.providers.openai import OpenAIProvider
from app.ai.providers.openrouter import OpenRouterProvider
from app.ai.settings import ModelSettings
from app.ai.tools import ToolDefinition
from tests.ai.models.apis import CHAT
from tests.ai.models.apis import streamed as streamed_answer
from tests.ai.models.chat_server import as_json, serve, stream

INLINE, OPENAI, GOOGLE = InlineDefsJsonSchemaTransformer, OpenAIJsonSchemaTransformer, GoogleJsonSchemaTransformer


@pytest.mark.parametrize(
    ("provider", "model", "transformer"),
    [
        ("openai:OpenAIProvider", "gpt-5", OPENAI),
        ("azure:AzureProvider", "gpt-4o", OPENAI),
        ("azure:AzureProvider", "Llama-3.3", INLINE),
        ("openrouter:OpenRouterProvider", "google/gemini-2.5-pro", GOOGLE),
        ("openrouter:OpenRouterProvider", "meta-llama/llama-4", INLINE),
        ("openrouter:OpenRouterProvider", "anthropic/claude-sonnet-4", OPENAI),
        ("groq:GroqProvider", "qwen/qwen3-32b", INLINE),
        ("ollama:OllamaProvider", "gemma3", GOOGLE),
        ("alibaba:AlibabaProvider", "qwen-max", INLINE),
        ("deepseek:DeepSeekProvider", "deepseek-chat", OPENAI),
        ("moonshotai:MoonshotAIProvider", "kimi-k2", OPENAI),
        ("google:GoogleProvider", "gemini-3-pro", GOOGLE),
    ],
)
def test_a_provider_class_tells_the_profile_of_its_models(
    provider: str, model: str, transformer: type[JsonSchemaTransformer]
):
    module, _, name = provider.partition(":")
    profile: ModelProfile = getattr(import_module(f"app.ai.providers.{module}"), name).model_profile(model)
    assert profile.json_schema_transformer is transformer


def test_families_know_the_ways_of_their_models():
    def told(profile: ModelProfile | None, field: str) -> Any:
        assert profile is not None
        return getattr(profile, field)

    assert told(deepseek_model_profile("deepseek-r1"), "ignore_streamed_leading_whitespace")
    assert not told(deepseek_model_profile("deepseek-chat"), "ignore_streamed_leading_whitespace")
    assert not told(qwen_model_profile("qwen3-coder"), "openai_supports_tool_choice_required")
    assert told(qwen_model_profile("qwen3-32b"), "supports_thinking")
    assert not told(harmony_model_profile("gpt-oss-120b"), "openai_supports_tool_choice_required")
    assert told(mistral_model_profile("magistral-small"), "thinking_always_enabled")
    assert told(zai_model_profile("glm-4.7"), "supports_thinking")
    for name, searches in (("grok-4", True), ("grok-3", False)):
        grok = grok_model_profile(name)
        assert isinstance(grok, GrokModelProfile) and grok.grok_supports_builtin_tools is searches
    for name, searches in (("groq/compound", True), ("llama-3.3", False)):
        groq = groq_model_profile(name)
        assert isinstance(groq, GroqModelProfile) and groq.groq_always_has_web_search_builtin_tool is searches


def test_openai_anthropic_and_google_know_their_models():
    assert openai_model_profile("o1-mini").openai_system_prompt_role == "user"
    assert openai_model_profile("gpt-5").openai_system_prompt_role is None
    assert openai_model_profile("gpt-4o-search-preview").openai_chat_supports_web_search
    assert openai_model_profile("gpt-5").supports_image_output
    assert anthropic_model_profile("claude-sonnet-4-5").thinking_tags == ("<thinking>", "</thinking>")
    assert anthropic_model_profile("claude-opus-4-8").anthropic_supports_system_messages
    assert not anthropic_model_profile("claude-opus-4-5").anthropic_supports_system_messages
    assert google_model_profile("gemini-2.5-flash-image").supports_image_output


def test_a_profile_takes_what_another_one_sets():
    strictless = OpenAIModelProfile(openai_supports_strict_tool_definition=False)
    both = strictless.update(ModelProfile(default_structured_output_mode="native"))
    assert both == OpenAIModelProfile(
        openai_supports_strict_tool_definition=False, default_structured_output_mode="native"
    )
    assert strictless.update(None) == strictless == OpenAIModelProfile.from_profile(strictless)


@pytest.mark.parametrize(("name", "strict"), [("openai/gpt-5", True), ("meta-llama/llama-4", None)])
def test_only_schemas_that_are_made_for_it_are_strict_by_themselves(name: str, strict: bool | None):
    tool = ToolDefinition(name="t", parameters_json_schema={"type": "object", "properties": {}, "required": []})
    model = OpenAIChatModel(name, provider=OpenRouterProvider(api_key="k"))
    _, parameters = model.prepare_request(None, ModelRequestParameters(function_tools=[tool]))
    assert parameters.function_tools[0].strict is strict


async def test_settings_that_a_model_does_not_take_are_left_out():
    profile = OpenAIModelProfile(openai_unsupported_model_settings=("temperature",))
    body = await sent([HELLO], profile, settings={"temperature": 0.5, "top_p": 0.5})
    assert ("temperature" in body, body["top_p"]) == (False, 0.5)


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        (OpenAIModelProfile(), {"content": "Hi", "reasoning": "Hm"}),
        (OpenAIModelProfile(openai_chat_send_back_thinking_parts=False), {"content": "Hi"}),
        (
            OpenAIModelProfile(openai_chat_send_back_thinking_parts="tags"),
            {"content": "<think>\nHm\n</think>\n\nHi"},
        ),
        (
            OpenAIModelProfile(openai_chat_send_back_thinking_parts="field", openai_chat_thinking_field="thoughts"),
            {"content": "Hi", "thoughts": "Hm"},
        ),
    ],
)
async def test_thoughts_go_back_as_the_profile_says(profile: OpenAIModelProfile, message: dict[str, str]):
    thought = ThinkingPart("Hm", id="reasoning", provider_name="openai")
    body = await sent([HELLO, ModelResponse([thought, TextPart("Hi")]), HELLO], profile)
    assert body["messages"][1] == {"role": "assistant", **message}


@pytest.mark.parametrize("streamed", [False, True])
async def test_thoughts_come_from_the_field_that_the_profile_names(streamed: bool):
    profile = OpenAIModelProfile(openai_chat_thinking_field="thoughts")
    message = {"content": "Hi", "thoughts": "Hm"}
    answer = as_json({"choices": [{"message": message, "finish_reason": "stop"}]})
    if streamed:
        answer = stream({"choices": [{"delta": message, "finish_reason": "stop"}]})
    with serve([answer]) as server:
        provider = OpenAIProvider(base_url=server.url, api_key="k")
        async with OpenAIChatModel("m", provider=provider, profile=profile) as model:
            ask = streamed_from if streamed else whole_from
            response = await ask(model)
    assert response.parts == [ThinkingPart("Hm", id="thoughts", provider_name="openai"), TextPart("Hi")]


async def test_sound_and_documents_go_as_the_profile_says():
    profile = OpenAIModelProfile(openai_chat_audio_input_encoding="uri", openai_chat_supports_file_urls=True)
    sound = BinaryContent(b"la", media_type="audio/wav")
    link = DocumentUrl("https://files.test/a.pdf")
    body = await sent([ModelRequest([UserPromptPart([sound, link])])], profile)
    heard, read = body["messages"][0]["content"]
    assert heard["input_audio"] == {"data": sound.data_uri, "format": "wav"}
    assert read["file"]["file_data"] == link.url


HELLO = ModelRequest.user_text_prompt("Hello")


async def sent(
    messages: list[ModelMessage], profile: OpenAIModelProfile, settings: ModelSettings | None = None
) -> dict[str, Any]:
    with serve([as_json(CHAT.answer)]) as server:
        provider = OpenAIProvider(base_url=server.url, api_key="k")
        async with OpenAIChatModel("m", provider=provider, profile=profile) as model:
            await model.request(messages, settings, ModelRequestParameters())
        return server.requests[0]


async def whole_from(model: OpenAIChatModel) -> ModelResponse:
    return await model.request([HELLO], None, ModelRequestParameters())


async def streamed_from(model: OpenAIChatModel) -> ModelResponse:
    return await streamed_answer(model, [HELLO])
