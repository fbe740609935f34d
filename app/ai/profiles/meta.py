"""What Meta's Llama models can do."""

from __future__ import annotations

from app.ai.profiles import InlineDefsJsonSchemaTransformer, ModelProfile

__all__ = ("meta_model_profile",)


def meta_model_profile(model_name: str) -> ModelProfile | None:
    """The profile of a model by its name."""
    return ModelProfile(json_schema_transformer=InlineDefsJsonSchemaTransformer)
