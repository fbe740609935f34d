"""A vLLM server."""

from __future__ import annotations

from app.ai.providers.compatible import NamedProvider

__all__ = ("VLLMProvider",)


class VLLMProvider(NamedProvider):
    """A vLLM server; see `SERVICES` for its address and its variables."""

    service = "vllm"
