"""Google: the Gemini API, and the same API on Vertex AI."""

from __future__ import annotations

import os
from collections.abc import Callable

import httpx

from app.ai.exceptions import UserError
from app.ai.profiles import ModelProfile
from app.ai.profiles.google import google_model_profile
from app.ai.providers.http import HTTPProvider

__all__ = "GoogleProvider", "GoogleVertexProvider"


class GoogleProvider(HTTPProvider):
    """The Gemini API. A `base_url` includes the API's version.

    A key that is not given comes from GOOGLE_API_KEY or GEMINI_API_KEY. A given `http_client` is used on whatever loop
    and never closed.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        http_client: httpx.AsyncClient | None = None,
    ):
        api_key = api_key or os.environ.get("GOOGLE_API_KEY") or os.environ.get("GEMINI_API_KEY")
        if not api_key:
            raise UserError("Gemini needs an API key: set GOOGLE_API_KEY or give GoogleProvider(api_key=...).")
        super().__init__(
            "google-gla",
            base_url=base_url or "https://generativelanguage.googleapis.com/v1beta",
            api_key=api_key,
            key_header="x-goog-api-key",
            http_client=http_client,
        )

    def model_profile(self, model_name: str) -> ModelProfile:
        return google_model_profile(model_name)


class GoogleVertexProvider(HTTPProvider):
    """Gemini on Vertex AI.

    Access tokens are short-lived: give a function that returns a fresh one, which is asked before every request.
    Project, location and token come from GOOGLE_CLOUD_PROJECT, GOOGLE_CLOUD_LOCATION (else `global`) and
    GOOGLE_OAUTH_ACCESS_TOKEN when they are not given. A `base_url` ends with `/publishers/google`.
    """

    def __init__(
        self,
        *,
        project: str | None = None,
        location: str | None = None,
        access_token: str | Callable[[], str] | None = None,
        base_url: str | None = None,
        http_client: httpx.AsyncClient | None = None,
    ):
        token = access_token or os.environ.get("GOOGLE_OAUTH_ACCESS_TOKEN")
        project = project or os.environ.get("GOOGLE_CLOUD_PROJECT")
        if not token:
            raise UserError("Vertex AI needs an access token: GOOGLE_OAUTH_ACCESS_TOKEN or access_token=...")
        if not base_url and not project:
            raise UserError("Vertex AI needs a project: set GOOGLE_CLOUD_PROJECT or give project=...")
        self._token = token
        super().__init__(
            "google-vertex",
            base_url=base_url or _vertex_url(project, location or os.environ.get("GOOGLE_CLOUD_LOCATION") or "global"),
            api_key=None,
            http_client=http_client,
        )

    @property
    def headers(self) -> dict[str, str]:
        self._api_key = self._token() if callable(self._token) else self._token
        return super().headers

    def model_profile(self, model_name: str) -> ModelProfile:
        return google_model_profile(model_name)


def _vertex_url(project: str | None, location: str) -> str:
    host = "aiplatform.googleapis.com" if location == "global" else f"{location}-aiplatform.googleapis.com"
    return f"https://{host}/v1/projects/{project}/locations/{location}/publishers/google"
