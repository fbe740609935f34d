"""HTTP failures as the answer to the one request that they concern.

Left alone, the SDK ends the whole connection when one request cannot be sent, with every other call on it, and no
longer tells a call that never left from one whose answer was lost.
"""

from __future__ import annotations

import json
from typing import Any

import httpx2
from mcp.client.auth import OAuthFlowError

from app.ai.mcp.codes import CONNECTION_CLOSED, REFUSED, SESSION_LOST

_NOT_FOUND = 404
_FIRST_ERROR = 400
_FIRST_SERVER_ERROR = 500


class RefusalsClient(httpx2.AsyncClient):
    """Turns what goes wrong with a POST, after all that its `auth` could do, into a JSON-RPC error."""

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        if request.method != "POST":
            return await super().send(request, **options)
        try:
            response = await super().send(request, **options)
        except OAuthFlowError as err:
            return _answer(request, REFUSED, f"not authorized: {err}")
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as err:
            return _answer(request, REFUSED, f"no connection: {err or type(err).__name__}")
        except httpx2.TransportError as err:
            return _answer(request, CONNECTION_CLOSED, f"the connection broke: {err or type(err).__name__}")
        if response.status_code < _FIRST_ERROR:
            return response
        return await _error_answer(request, response)


async def _error_answer(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
    body = await response.aread()
    await response.aclose()
    status = f"HTTP {response.status_code} {response.reason_phrase}".strip()
    if response.status_code == _NOT_FOUND and "mcp-session-id" in request.headers:
        return _answer(request, SESSION_LOST, "the server does not know the session any more")
    if _is_rpc_error(body):
        headers = {"content-type": "application/json"}
        return httpx2.Response(response.status_code, headers=headers, content=body, request=request)
    # A gateway answers 502 or 504 also when the server behind it has taken the request.
    lost = response.status_code >= _FIRST_SERVER_ERROR
    return _answer(request, CONNECTION_CLOSED if lost else REFUSED, status)


def _answer(request: httpx2.Request, code: int, message: str) -> httpx2.Response:
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}
    content = json.dumps(error).encode()
    return httpx2.Response(503, headers={"content-type": "application/json"}, content=content, request=request)


def _is_rpc_error(body: bytes) -> bool:
    try:
        answer: Any = json.loads(body)
    except ValueError:
        return False
    return isinstance(answer, dict) and "jsonrpc" in answer and "error" in answer
