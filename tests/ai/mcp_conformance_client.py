"""A client for `@modelcontextprotocol/conformance`, made of our MCP servers: its last argument is the server's URL.

It does what a program can do alone. Where OAuth wants a person at a browser, it follows the redirect itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp.client.auth import OAuthClientProvider
from mcp.client.auth.extensions.client_credentials import (
    ClientCredentialsOAuthProvider,
    PrivateKeyJWTOAuthProvider,
    SignedJWTParameters,
)
from mcp.client.session import ClientRequestContext
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from mcp_types import ElicitRequestFormParams, ElicitRequestParams, ElicitResult
from pydantic import AnyUrl

from app.ai.mcp import MCPServerStreamableHTTP

URL = sys.argv[-1]
SCENARIO = os.environ.get("MCP_CONFORMANCE_SCENARIO", "")
GIVEN: dict[str, Any] = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")
REDIRECT = "http://localhost:3000/callback"
METADATA_URL = "https://conformance-test.local/client-metadata.json"


class Memory:
    """Tokens for as long as the program runs."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


class Browser:
    """Agrees to everything."""

    async def open(self, url: str) -> None:
        async with httpx2.AsyncClient() as client:
            answer = await client.get(url)
        self._query = parse_qs(urlsplit(answer.headers["location"]).query)

    async def result(self) -> AuthorizationCodeResult:
        found = {name: values[0] for name, values in self._query.items()}
        return AuthorizationCodeResult(code=found["code"], state=found.get("state"), iss=found.get("iss"))


def auth() -> httpx2.Auth | None:
    if not SCENARIO.startswith("auth/"):
        return None
    storage = Memory()
    if SCENARIO == "auth/client-credentials-basic":
        return ClientCredentialsOAuthProvider(URL, storage, GIVEN["client_id"], GIVEN["client_secret"])
    if SCENARIO == "auth/client-credentials-jwt":
        client_id, key = GIVEN["client_id"], GIVEN["private_key_pem"]
        algorithm = GIVEN.get("signing_algorithm", "ES256")
        signed = SignedJWTParameters(
            issuer=client_id, subject=client_id, signing_key=key, signing_algorithm=algorithm
        ).create_assertion_provider()
        return PrivateKeyJWTOAuthProvider(URL, storage, client_id, signed)
    metadata = OAuthClientMetadata(
        client_name="holdfast-conformance",
        redirect_uris=[AnyUrl(REDIRECT)],
        grant_types=["authorization_code", "refresh_token"],
        response_types=["code"],
    )
    if "client_id" in GIVEN:
        known = {**metadata.model_dump(exclude_none=True), "token_endpoint_auth_method": "client_secret_basic", **GIVEN}
        storage.client = OAuthClientInformationFull(**known)
    browser = Browser()
    return OAuthClientProvider(URL, metadata, storage, browser.open, browser.result, client_metadata_url=METADATA_URL)


async def accept_defaults(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
    """Fills in what the form suggests."""
    assert isinstance(params, ElicitRequestFormParams)
    fields: dict[str, dict[str, Any]] = params.requested_schema["properties"]
    content = {name: field["default"] for name, field in fields.items() if "default" in field}
    return ElicitResult(action="accept", content=content)


async def main() -> None:
    arguments = {"add_numbers": {"a": 5, "b": 3}}
    async with MCPServerStreamableHTTP(URL, auth=auth(), elicitation_callback=accept_defaults) as server:
        for tool in await server.list_tools():
            print(tool.name, await server.direct_call_tool(tool.name, arguments.get(tool.name, {})))


asyncio.run(main())
