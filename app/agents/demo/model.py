"""The demo model as the agent uses it: an ordinary OpenAI chat model whose server comes up with its first request."""

from __future__ import annotations

from app.agents.demo.model_server import MODEL, base_url
from app.ai.models.openai import OpenAIChatModel
from app.ai.providers.openai import OpenAIProvider


class DemoProvider(OpenAIProvider):
    """Where the demo model of this process is. Asking for the address starts it."""

    def __init__(self) -> None:
        # Given here, so that neither the address nor the key of a real provider is taken from the environment.
        super().__init__(base_url="http://127.0.0.1", api_key="demo")

    @property
    def name(self) -> str:
        return "demo"

    @property
    def base_url(self) -> str:
        return base_url()


class DemoModel(OpenAIChatModel):
    """The demo model."""

    def __init__(self) -> None:
        super().__init__(MODEL, provider=DemoProvider())
