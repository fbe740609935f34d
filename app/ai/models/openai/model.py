"""What both of OpenAI's APIs share."""

from __future__ import annotations

from dataclasses import replace

from app.ai.models.http import HTTPModel
from app.ai.models.parameters import ModelRequestParameters
from app.ai.profiles.openai import OpenAIJsonSchemaTransformer, OpenAIModelProfile
from app.ai.tools import ToolDefinition


class OpenAIHTTPModel(HTTPModel):
    """A model that is asked as OpenAI's are."""

    default_provider = "openai"

    def customize_request_parameters(self, model_request_parameters: ModelRequestParameters) -> ModelRequestParameters:
        given, parameters = model_request_parameters, super().customize_request_parameters(model_request_parameters)
        profile = self._openai_profile
        transformer = profile.json_schema_transformer
        enforces = profile.openai_supports_strict_tool_definition
        if enforces and transformer is not None and issubclass(transformer, OpenAIJsonSchemaTransformer):
            return parameters

        def told(tool: ToolDefinition, before: ToolDefinition) -> ToolDefinition:
            # Only that transformer knows what this server can enforce.
            return replace(tool, strict=before.strict if enforces else None)

        output, before = parameters.output_object, given.output_object
        return replace(
            parameters,
            function_tools=[*map(told, parameters.function_tools, given.function_tools)],
            output_tools=[*map(told, parameters.output_tools, given.output_tools)],
            output_object=output and replace(output, strict=before and before.strict),
        )

    @property
    def _openai_profile(self) -> OpenAIModelProfile:
        return OpenAIModelProfile.from_profile(self.profile)
