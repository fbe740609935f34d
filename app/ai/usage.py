"""What a request or a run used, and the limits a run has to keep."""

from __future__ import annotations

from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field, fields
from itertools import chain
from typing import Annotated, Any

from pydantic import AliasChoices, BeforeValidator, Field
from typing_extensions import deprecated

from app.ai.exceptions import UsageLimitExceeded
from app.ai.reprs import repr_without_defaults

__all__ = "RequestUsage", "RunUsage", "Usage", "UsageBase", "UsageLimits"


def _details_or_empty(value: Any) -> Any:
    return {} if value is None else value


@dataclass(repr=False, kw_only=True)
class UsageBase:
    """Token counts shared by one request and a whole run."""

    input_tokens: Annotated[int, Field(validation_alias=AliasChoices("input_tokens", "request_tokens"))] = 0
    cache_write_tokens: int = 0
    cache_read_tokens: int = 0
    output_tokens: Annotated[int, Field(validation_alias=AliasChoices("output_tokens", "response_tokens"))] = 0
    input_audio_tokens: int = 0
    cache_audio_read_tokens: int = 0
    output_audio_tokens: int = 0
    details: Annotated[dict[str, int], BeforeValidator(_details_or_empty)] = field(default_factory=dict[str, int])

    @property
    def total_tokens(self) -> int:
        """Input and output tokens together."""
        return self.input_tokens + self.output_tokens

    @property
    @deprecated("`request_tokens` is deprecated, use `input_tokens`")
    def request_tokens(self) -> int:
        """Old name of `input_tokens`."""
        return self.input_tokens

    @property
    @deprecated("`response_tokens` is deprecated, use `output_tokens`")
    def response_tokens(self) -> int:
        """Old name of `output_tokens`."""
        return self.output_tokens

    def has_values(self) -> bool:
        """Whether any counter is set."""
        return any(getattr(self, item.name) for item in fields(self))

    def opentelemetry_attributes(self) -> dict[str, int]:
        """The usage under the names of OpenTelemetry's gen_ai conventions; zeros are left out."""
        named = {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cache_creation.input_tokens": self.cache_write_tokens,
            "cache_read.input_tokens": self.cache_read_tokens,
        }
        details = self.details | {
            "input_audio_tokens": self.input_audio_tokens,
            "cache_audio_read_tokens": self.cache_audio_read_tokens,
            "output_audio_tokens": self.output_audio_tokens,
        }
        named |= {f"details.{key}": value for key, value in details.items()}
        return {f"gen_ai.usage.{key}": value for key, value in named.items() if value}

    __repr__ = repr_without_defaults


@dataclass(repr=False, kw_only=True)
class RequestUsage(UsageBase):
    """What one model request used."""

    @property
    def requests(self) -> int:
        """Always one: this is the usage of a single request."""
        return 1

    def incr(self, incr_usage: RequestUsage) -> None:
        """Add another usage to this one, in place."""
        _add_tokens(self, incr_usage)

    @classmethod
    def extract(
        cls,
        data: Any,
        *,
        provider: str,
        provider_url: str,
        provider_fallback: str,
        api_flavor: str = "default",
        details: dict[str, int] | None = None,
    ) -> RequestUsage:
        """Read the usage from a provider's answer, in the form that the public price table knows of the provider.

        The provider is found by its address, its name, or the fallback. A usage without tokens if none is known.
        """
        from genai_prices import extract_usage  # a large table, and few ask

        for known_by in (
            {"provider_api_url": provider_url},
            {"provider_id": provider},
            {"provider_id": provider_fallback},
        ):
            with suppress(LookupError, ValueError):
                found: Any = extract_usage(data, **known_by, api_flavor=api_flavor).usage
                counts = {name: getattr(found, name, None) or 0 for name in _TOKEN_FIELDS}
                return cls(**counts, details=details or {})
        return cls(details=details or {})

    def __add__(self, other: RequestUsage) -> RequestUsage:
        total = copy(self)
        total.incr(other)
        return total


@dataclass(repr=False, kw_only=True)
class RunUsage(UsageBase):
    """What a run used so far. One object may be shared by several runs, which then count together."""

    requests: int = 0
    tool_calls: int = 0

    def incr(self, incr_usage: RunUsage | RequestUsage) -> None:
        """Add another usage to this one, in place. A `RequestUsage` does not change `requests`."""
        if isinstance(incr_usage, RunUsage):
            self.requests += incr_usage.requests
            self.tool_calls += incr_usage.tool_calls
        _add_tokens(self, incr_usage)

    def __call__(self) -> RunUsage:
        """The usage itself: runs and results offer `usage` both as a method and as a value."""
        return self

    def __add__(self, other: RunUsage | RequestUsage) -> RunUsage:
        total = copy(self)
        total.incr(other)
        return total


@deprecated("`Usage` is deprecated, use `RunUsage`")
class Usage(RunUsage):
    """Old name of `RunUsage`."""


_TOKEN_FIELDS = tuple(item.name for item in fields(UsageBase) if item.name != "details")


def _add_tokens(total: UsageBase, more: UsageBase) -> None:
    for name in _TOKEN_FIELDS:
        setattr(total, name, getattr(total, name) + getattr(more, name))
    # A new dict, because a copied usage still shares its details with the original.
    total.details = _summed(total.details, more.details)


def _summed(*details: dict[str, Any]) -> dict[str, int]:
    total: dict[str, int] = {}
    for key, count in chain.from_iterable(counts.items() for counts in details):
        if count is not None:  # some providers count nothing so
            total[key] = total.get(key, 0) + count
    return total


@dataclass(init=False, repr=False)
class UsageLimits:
    """Limits of a run; None switches a limit off."""

    request_limit: int | None = 50
    tool_calls_limit: int | None = None
    input_tokens_limit: int | None = None
    output_tokens_limit: int | None = None
    total_tokens_limit: int | None = None
    count_tokens_before_request: bool = False

    def __init__(
        self,
        *,
        request_limit: int | None = 50,
        tool_calls_limit: int | None = None,
        input_tokens_limit: int | None = None,
        output_tokens_limit: int | None = None,
        total_tokens_limit: int | None = None,
        count_tokens_before_request: bool = False,
        request_tokens_limit: int | None = None,
        response_tokens_limit: int | None = None,
    ):
        """`request_tokens_limit` and `response_tokens_limit` are old names of the limits on input and output tokens."""
        self.request_limit = request_limit
        self.tool_calls_limit = tool_calls_limit
        self.input_tokens_limit = request_tokens_limit if input_tokens_limit is None else input_tokens_limit
        self.output_tokens_limit = response_tokens_limit if output_tokens_limit is None else output_tokens_limit
        self.total_tokens_limit = total_tokens_limit
        self.count_tokens_before_request = count_tokens_before_request

    @property
    @deprecated("`request_tokens_limit` is deprecated, use `input_tokens_limit`")
    def request_tokens_limit(self) -> int | None:
        """Old name of `input_tokens_limit`."""
        return self.input_tokens_limit

    @property
    @deprecated("`response_tokens_limit` is deprecated, use `output_tokens_limit`")
    def response_tokens_limit(self) -> int | None:
        """Old name of `output_tokens_limit`."""
        return self.output_tokens_limit

    def has_token_limits(self) -> bool:
        """Whether any limit on tokens is set."""
        return any(
            limit is not None for limit in (self.input_tokens_limit, self.output_tokens_limit, self.total_tokens_limit)
        )

    def check_before_request(self, usage: RunUsage) -> None:
        """Raise `UsageLimitExceeded` if one more model request is not allowed."""
        if self.request_limit is not None and usage.requests >= self.request_limit:
            raise UsageLimitExceeded(f"One more model request would go over the request_limit of {self.request_limit}")
        _check("No more requests: over", "input_tokens", self.input_tokens_limit, usage.input_tokens)
        _check("No more requests: over", "total_tokens", self.total_tokens_limit, usage.total_tokens)

    def check_tokens(self, usage: RunUsage) -> None:
        """Raise `UsageLimitExceeded` if the tokens used so far are over a limit."""
        _check("Over", "input_tokens", self.input_tokens_limit, usage.input_tokens)
        _check("Over", "output_tokens", self.output_tokens_limit, usage.output_tokens)
        _check("Over", "total_tokens", self.total_tokens_limit, usage.total_tokens)

    def check_before_tool_call(self, projected_usage: RunUsage) -> None:
        """Raise `UsageLimitExceeded` if the usage including the calls about to start is over `tool_calls_limit`."""
        limit, projected = self.tool_calls_limit, projected_usage.tool_calls
        if limit is not None and projected > limit:
            raise UsageLimitExceeded(
                f"These tool calls would go over the tool_calls_limit of {limit} (tool_calls={projected})"
            )

    __repr__ = repr_without_defaults


def _check(what_happens: str, name: str, limit: int | None, used: int) -> None:
    if limit is not None and used > limit:
        raise UsageLimitExceeded(f"{what_happens} the {name}_limit of {limit} ({name}={used})")
