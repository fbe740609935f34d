"""Azure OpenAI and Azure AI Foundry."""

from __future__ import annotations

import os

import httpx

from app.ai.exceptions import UserError
from app.ai.profiles import ModelProfile
from app.ai.profiles.families import family_profile
from app.ai.profiles.openai import openai_model_profile
from app.ai.providers.http import HTTPProvider

__all__ = ("AzureProvider",)


class AzureProvider(HTTPProvider):
    """OpenAI's and others' models on Azure, by its `v1` API, or by the older API of an `api_version`.

    Endpoint, version and key come from AZURE_OPENAI_ENDPOINT, OPENAI_API_VERSION and AZURE_OPENAI_API_KEY when they
    are not given. A `base_url` replaces the address that is made of the endpoint; its query, such as an `api-version`,
    goes with every request.
    """

    def __init__(
        self,
        *,
        azure_endpoint: str | None = None,
        api_version: str | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        http_client: httpx.AsyncClient | None = None,
    ):
        endpoint = azure_endpoint or os.environ.get("AZURE_OPENAI_ENDPOINT")
        api_key = api_key or os.environ.get("AZURE_OPENAI_API_KEY")
        if not base_url and not endpoint:
            raise UserError("Azure needs an endpoint: set AZURE_OPENAI_ENDPOINT or give azure_endpoint=...")
        if not api_key:
            raise UserError("Azure needs an API key: set AZURE_OPENAI_API_KEY or give api_key=...")
        version = api_version or os.environ.get("OPENAI_API_VERSION")
        self._deployments_of = None if base_url or version in ("v1", "preview") else version
        root = f"{(endpoint or '').rstrip('/')}/openai"
        super().__init__(
            "azure",
            base_url=base_url or (root if self._deployments_of else f"{root}/v1"),
            api_key=api_key,
            key_header="api-key",
            http_client=http_client,
        )

    @classmethod
    def model_profile(cls, model_name: str) -> ModelProfile:
        return openai_model_profile(model_name).update(family_profile(model_name))

    def path(self, path: str, model_name: str) -> str:
        if not self._deployments_of:
            return path
        # The older API has a deployment's name in the address; its Responses API never had.
        deployment = "" if path.startswith("/responses") else f"/deployments/{model_name}"
        return f"{deployment}{path}?api-version={self._deployments_of}"
