"""What Amazon's models can do."""

from __future__ import annotations

from app.ai.profiles import InlineDefsJsonSchemaTransformer, ModelProfile

__all__ = ("amazon_model_profile",)


def amazon_model_profile(model_name: str) -> ModelProfile | None:
    """The profile of a model by its name."""
    return ModelProfile(json_schema_transformer=InlineDefsJsonSchemaTransformer)
