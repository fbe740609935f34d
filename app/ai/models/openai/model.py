"""What both of OpenAI's APIs share."""

from __future__ import annotations

from dataclasses import replace

from app.ai.models.http import HTTPModel
from app.ai.models.openai.body import with_strictness
from app.ai.models.parameters import ModelRequestParameters
from app.ai.profiles.openai import OpenAIModelProfile


class OpenAIHTTPModel(HTTPModel):
    """A model that is asked as OpenAI's are."""

    default_provider = "openai"

    def customize_request_parameters(self, model_request_parameters: ModelRequestParameters) -> ModelRequestParameters:
        parameters = super().customize_request_parameters(model_request_parameters)
        profile = self._openai_profile
        return replace(
            parameters,
            function_tools=[with_strictness(tool, profile) for tool in parameters.function_tools],
            output_tools=[with_strictness(tool, profile) for tool in parameters.output_tools],
        )

    @property
    def _openai_profile(self) -> OpenAIModelProfile:
        return OpenAIModelProfile.from_profile(self.profile)
