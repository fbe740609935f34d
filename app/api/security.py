"""Who may call: keys, and the rules that keep browser pages of strangers away from a service without keys."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import ProblemResponse
from app.api.schemas import Problem

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
_OPEN_PATHS = frozenset({"/livez", "/readyz", "/openapi.json", "/docs"})
_METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


@dataclass(frozen=True)
class AccessRules:
    """What a request has to fulfil before it is looked at.

    Without an `api_key` only requests for a loopback name, or one of `allowed_hosts`, are served: a page that rebinds
    its own DNS name to 127.0.0.1 still sends that name.
    """

    max_body_bytes: int
    api_key: str | None = field(default=None, repr=False)
    allowed_hosts: tuple[str, ...] = ()

    def refusal(self, scope: Scope) -> Problem | None:
        """Why the request is not served, if it is not."""
        headers = Headers(scope=scope)
        return self._caller_refusal(scope["path"], headers) or self._body_refusal(scope["method"], headers)

    def _caller_refusal(self, path: str, headers: Headers) -> Problem | None:
        if self.api_key is None:
            host = _host_name(headers.get("host", ""))
            if host in LOOPBACK_HOSTS or host in map(str.lower, self.allowed_hosts):
                return None
            return Problem(
                type="host_not_allowed",
                title="Misdirected request",
                status=421,
                detail=f"This service has no API key, so it does not answer for the host {host!r}.",
                field="Host",
                fix="Call it as localhost, add the name to HOLDFAST_ALLOWED_HOSTS, or set HOLDFAST_API_KEY.",
            )
        if path in _OPEN_PATHS or hmac.compare_digest(_key_given(headers).encode(), self.api_key.encode()):
            return None
        return Problem(
            type="unauthorized",
            title="Unauthorized",
            status=401,
            detail="The request has no valid API key.",
            field="Authorization",
            fix="Send `Authorization: Bearer <key>` or `x-api-key: <key>`.",
        )

    def _body_refusal(self, method: str, headers: Headers) -> Problem | None:
        has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        if method not in _METHODS_WITH_BODY or not has_body:
            return None
        media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            return Problem(
                type="unsupported_media_type",
                title="Unsupported media type",
                status=415,
                detail=f"The body has the media type {media_type!r}.",
                field="Content-Type",
                fix="Send JSON with `Content-Type: application/json`.",
            )
        return None


class Gate:
    """ASGI middleware that applies `AccessRules`."""

    def __init__(self, app: ASGIApp, rules: AccessRules) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request or refuse it."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        if problem := self._rules.refusal(scope):
            headers = {"WWW-Authenticate": "Bearer"} if problem.status == 401 else None
            return await ProblemResponse(problem, headers)(scope, receive, send)
        return await self._app(scope, self._limited(receive), send)

    def _limited(self, receive: Receive) -> Receive:
        received = 0

        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._rules.max_body_bytes:
                raise HTTPException(413, f"The body is larger than {self._rules.max_body_bytes} bytes.")
            return message

        return receive_limited


def _host_name(header: str) -> str:
    """The host without its port; IPv6 keeps its brackets."""
    name, bracket, _ = header.lower().partition("]")
    return name + bracket if bracket else name.partition(":")[0]


def _key_given(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
