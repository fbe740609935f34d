"""Token counts and times as OpenAI's APIs give them, and all that speak them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

from app.ai.usage import RequestUsage


class TokenDetails(BaseModel, extra="allow"):
    """A breakdown of a token count."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    audio_tokens: int | None = None


class Usage(BaseModel, extra="allow"):
    """Token counts."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_cache_hit_tokens: int | None = None
    cached_tokens: int | None = None
    cost: Any = None
    prompt_tokens_details: TokenDetails | None = None
    completion_tokens_details: TokenDetails | None = None

    def as_request_usage(self) -> RequestUsage:
        """The counts under our names."""
        prompt = self.prompt_tokens_details or TokenDetails()
        completion = self.completion_tokens_details or TokenDetails()
        return RequestUsage(
            input_tokens=self.prompt_tokens or 0,
            output_tokens=self.completion_tokens or 0,
            cache_read_tokens=prompt.cached_tokens or self.prompt_cache_hit_tokens or self.cached_tokens or 0,
            cache_write_tokens=prompt.cache_write_tokens or 0,
            input_audio_tokens=prompt.audio_tokens or 0,
            output_audio_tokens=completion.audio_tokens or 0,
            details=whole_numbers(self.__pydantic_extra__)
            | whole_numbers(completion.model_dump(exclude={"cached_tokens", "cache_write_tokens"})),
        )


def whole_numbers(counts: Mapping[str, Any] | None) -> dict[str, int]:
    """The counts among a provider's details; it gives prices and times there, too."""
    return {key: value for key, value in (counts or {}).items() if type(value) is int}


def iso_time(seconds: object) -> str | None:
    """A Unix time as text; None for what is none."""
    if isinstance(seconds, int | float) and seconds:
        with suppress(ValueError, OverflowError, OSError):
            return datetime.fromtimestamp(seconds, tz=UTC).isoformat()
    return None
