"""A model request as hooks see it."""

from __future__ import annotations

from dataclasses import dataclass

from app.ai.messages import ModelMessage
from app.ai.models.model import Model
from app.ai.models.parameters import ModelRequestParameters
from app.ai.settings import ModelSettings


@dataclass
class ModelRequestContext:
    """Everything that a request to a model is made of."""

    model: Model
    messages: list[ModelMessage]
    """The history, ending in the new request."""
    model_settings: ModelSettings | None
    model_request_parameters: ModelRequestParameters
