"""Who may call: keys, and the rules that keep browser pages of strangers away from a service without keys."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import ProblemResponse, to_problem
from app.api.schemas import Problem
from app.errors import HoldfastError
from app.runs import keys
from app.runs.keys import ANYBODY, BOOTSTRAP, Caller, Keys

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
OPEN_PATHS = frozenset({"/livez", "/readyz", "/openapi.json", "/docs"})
YAML_TYPES = frozenset({"application/yaml", "application/x-yaml", "text/yaml"})
_METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_DECISION_PATH = re.compile(r"/api/runs/[^/]+/(approvals|inputs)/.*")


UNAUTHORIZED = Problem(
    type="unauthorized",
    title="Unauthorized",
    status=401,
    detail="The request has no valid API key.",
    field="Authorization",
    fix="Send `Authorization: Bearer <key>` or `x-api-key: <key>`.",
)


def forbidden(caller: Caller, needed: keys.Scope) -> Problem:
    """The caller may not do this."""
    return Problem(
        type="forbidden",
        title="Forbidden",
        status=403,
        detail=f"The key {caller.name!r} lacks the scope {needed!r}.",
        field="Authorization",
        fix=f"Use a key with the scope: `holdfast keys create NAME --scope {needed}`.",
    )


def host_not_allowed(host: str, field: str = "Host") -> Problem:
    """The request is for a name that is not ours, or comes from a page that is not."""
    return Problem(
        type="host_not_allowed",
        title="Misdirected request",
        status=421,
        detail=f"This service has no API key, so it answers neither for nor to the host {host!r}.",
        field=field,
        fix="Call it as localhost, add the name to HOLDFAST_ALLOWED_HOSTS, or set HOLDFAST_API_KEY.",
    )


def unsupported_media_type(media_type: str) -> Problem:
    """The body is not what the route reads."""
    return Problem(
        type="unsupported_media_type",
        title="Unsupported media type",
        status=415,
        detail=f"The body has the media type {media_type!r}.",
        field="Content-Type",
        fix="Send JSON with `Content-Type: application/json`.",
    )


@dataclass(frozen=True)
class AccessRules:
    """What a request has to fulfil before it is looked at.

    Without an `api_key` only requests for a loopback name, or one of `allowed_hosts`, are served: a page that rebinds
    its own DNS name to 127.0.0.1 still sends that name. With one, every request needs it or a key made for the service.
    """

    max_body_bytes: int
    api_key: str | None = field(default=None, repr=False)
    allowed_hosts: tuple[str, ...] = ()

    def refusal(self, scope: Scope) -> Problem | None:
        """Why the request is not served whoever sent it, if it is not."""
        headers = Headers(scope=scope)
        return self._host_refusal(headers) or self._body_refusal(scope["method"], headers)

    def _host_refusal(self, headers: Headers) -> Problem | None:
        if self.api_key is not None:
            return None
        # A page may send a POST without a body to any address, unasked; its browser says whose page it is.
        origin = headers.get("origin", "")
        for name, given in (("Host", headers.get("host", "")), ("Origin", origin.partition("://")[2] or origin)):
            host = _host_name(given)
            if (name == "Host" or given) and host not in LOOPBACK_HOSTS | {*map(str.lower, self.allowed_hosts)}:
                return host_not_allowed(host, name)
        return None

    def _body_refusal(self, method: str, headers: Headers) -> Problem | None:
        has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        if method not in _METHODS_WITH_BODY or not has_body:
            return None
        media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        is_spec = method == "PUT" and media_type in YAML_TYPES
        return None if media_type == "application/json" or is_spec else unsupported_media_type(media_type)


class Gate:
    """ASGI middleware that applies `AccessRules` and finds out who calls: `scope["caller"]`."""

    def __init__(self, app: ASGIApp, rules: AccessRules, keys: Keys) -> None:
        self._app = app
        self._rules = rules
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request or refuse it."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        try:
            problem = self._rules.refusal(scope) or await self._caller_refusal(scope)
        except HoldfastError as error:
            problem = to_problem(error)
        if problem is not None:
            headers = {"WWW-Authenticate": "Bearer"} if problem.status == 401 else None
            return await ProblemResponse(problem, headers)(scope, receive, send)
        return await self._app(scope, self._limited(receive), send)

    async def _caller_refusal(self, scope: Scope) -> Problem | None:
        if scope["path"] in OPEN_PATHS:
            return None
        caller = scope["caller"] = await self._caller(Headers(scope=scope))
        if caller is None:
            return UNAUTHORIZED
        needed = scope_needed(scope["method"], scope["path"])
        return None if caller.may(needed) else forbidden(caller, needed)

    async def _caller(self, headers: Headers) -> Caller | None:
        if self._rules.api_key is None:
            return ANYBODY
        given = _key_given(headers)
        if hmac.compare_digest(given.encode(), self._rules.api_key.encode()):
            return BOOTSTRAP
        return await self._keys.caller(given)

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


def scope_needed(method: str, path: str) -> keys.Scope:
    """What a caller must be allowed for a request: one rule for all routes, so that no new one is open by mistake."""
    if method in ("GET", "HEAD", "OPTIONS"):
        return "read"
    if method not in ("POST", "DELETE"):
        return "admin"
    return "approve" if _DECISION_PATH.fullmatch(path) else "run"


def _host_name(header: str) -> str:
    """The host without its port; IPv6 keeps its brackets."""
    name, bracket, _ = header.lower().partition("]")
    return name + bracket if bracket else name.partition(":")[0]


def _key_given(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
