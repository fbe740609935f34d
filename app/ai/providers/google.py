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
    """The Gemini API, or with `vertexai` the same API on Vertex AI. A given `http_client` is never closed.

    Gemini's key comes from GOOGLE_API_KEY or GEMINI_API_KEY when it is not given. Vertex AI takes access tokens, which
    are short-lived: give a function that returns a fresh one, which is asked before every request. Project, location
    and token come from GOOGLE_CLOUD_PROJECT, GOOGLE_CLOUD_LOCATION (else `global`) and GOOGLE_OAUTH_ACCESS_TOKEN when
    they are not given. A `base_url` includes the API's version, on Vertex AI all up to `/publishers/google`.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        vertexai: bool = False,
        project: str | None = None,
        location: str | None = None,
        access_token: str | Callable[[], str] | None = None,
        base_url: str | None = None,
        http_client: httpx.AsyncClient | None = None,
    ):
        self._token: str | Callable[[], str] | None = None
        if vertexai or project or location or access_token:
            api_key = None
            self._token = _vertex_token(access_token)
            base_url = base_url or _vertex_url(project, location)
        else:
            api_key = _gemini_key(api_key)
        super().__init__(
            "google-vertex" if self._token else "google-gla",
            base_url=base_url or "https://generativelanguage.googleapis.com/v1beta",
            api_key=api_key,
            key_header=None if self._token else "x-goog-api-key",
            http_client=http_client,
        )

    @property
    def headers(self) -> dict[str, str]:
        if self._token:
            self._api_key = self._token() if callable(self._token) else self._token
        return super().headers

    @classmethod
    def model_profile(cls, model_name: str) -> ModelProfile:
        return google_model_profile(model_name)


class GoogleVertexProvider(GoogleProvider):
    """`GoogleProvider` for Vertex AI."""

    def __init__(
        self,
        *,
        project: str | None = None,
        location: str | None = None,
        access_token: str | Callable[[], str] | None = None,
        base_url: str | None = None,
        http_client: httpx.AsyncClient | None = None,
    ):
        super().__init__(
            vertexai=True,
            project=project,
            location=location,
            access_token=access_token,
            base_url=base_url,
            http_client=http_client,
        )


def _gemini_key(given: str | None) -> str:
    if key := given or os.environ.get("GOOGLE_API_KEY") or os.environ.get("GEMINI_API_KEY"):
        return key
    raise UserError("Gemini needs an API key: set GOOGLE_API_KEY or give GoogleProvider(api_key=...).")


def _vertex_token(given: str | Callable[[], str] | None) -> str | Callable[[], str]:
    if token := given or os.environ.get("GOOGLE_OAUTH_ACCESS_TOKEN"):
        return token
    raise UserError("Vertex AI needs an access token: GOOGLE_OAUTH_ACCESS_TOKEN or access_token=...")


def _vertex_url(given_project: str | None, given_location: str | None) -> str:
    project = given_project or os.environ.get("GOOGLE_CLOUD_PROJECT")
    location = given_location or os.environ.get("GOOGLE_CLOUD_LOCATION") or "global"
    if not project:
        raise UserError("Vertex AI needs a project: set GOOGLE_CLOUD_PROJECT or give project=...")
    host = "aiplatform.googleapis.com" if location == "global" else f"{location}-aiplatform.googleapis.com"
    return f"https://{host}/v1beta1/projects/{project}/locations/{location}/publishers/google"
