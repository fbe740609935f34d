"""The gateway through which several providers are reached with one key."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from app.ai.exceptions import UserError
from app.ai.providers import Provider
from app.ai.providers.anthropic import AnthropicProvider
from app.ai.providers.google import GoogleVertexProvider
from app.ai.providers.groq import GroqProvider
from app.ai.providers.http import HTTPProvider
from app.ai.providers.openai import OpenAIProvider

__all__ = ("gateway_provider",)


class _GatewayAnthropicProvider(AnthropicProvider):
    """Shows the gateway's key as the gateway wants it, not as Anthropic does."""

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._api_key}"}


_Making = Callable[[str, str, "httpx.AsyncClient | None"], HTTPProvider]
_PROVIDERS: Mapping[str, tuple[str, _Making]] = {
    "anthropic": (
        "anthropic",
        lambda url, key, client: _GatewayAnthropicProvider(base_url=url, api_key=key, http_client=client),
    ),
    "google-vertex": (
        "google-vertex",
        lambda url, key, client: GoogleVertexProvider(
            base_url=f"{url}/v1beta1/publishers/google", access_token=key, http_client=client
        ),
    ),
    "groq": ("groq", lambda url, key, client: GroqProvider(base_url=url, api_key=key, http_client=client)),
    **dict.fromkeys(
        ("openai", "openai-chat", "openai-responses"),
        ("openai", lambda url, key, client: OpenAIProvider(base_url=url, api_key=key, http_client=client)),
    ),
}
"""The default route and the making of each provider."""

_REGION = re.compile(r"pylf_v\d+_([a-z]+)_")


def gateway_provider(
    upstream_provider: str,
    /,
    *,
    route: str | None = None,
    api_key: str | None = None,
    base_url: str | None = None,
    http_client: httpx.AsyncClient | None = None,
) -> Provider[Any]:
    """A provider that is reached through the gateway; `route` is another way there than the provider's own one.

    Key and address come from PYDANTIC_AI_GATEWAY_API_KEY and PYDANTIC_AI_GATEWAY_BASE_URL when they are not given; a
    key that names its region needs no address.
    """
    if upstream_provider not in _PROVIDERS:
        raise UserError(f"The gateway does not reach {upstream_provider!r}, only {', '.join(_PROVIDERS)}.")
    key = api_key or os.environ.get("PYDANTIC_AI_GATEWAY_API_KEY") or os.environ.get("PAIG_API_KEY")
    if not key:
        raise UserError("The gateway needs an API key: set PYDANTIC_AI_GATEWAY_API_KEY or give api_key=...")
    url = base_url or os.environ.get("PYDANTIC_AI_GATEWAY_BASE_URL") or _address_of(key)
    own_route, make = _PROVIDERS[upstream_provider]
    return make(f"{url.rstrip('/')}/{(route or own_route).strip('/')}", key, http_client)


def _address_of(key: str) -> str:
    found = _REGION.match(key)
    return f"https://gateway-{found[1]}.pydantic.dev/proxy" if found else "https://gateway.pydantic.dev/proxy"
