"""HTTP failures as the answer to the one request that they concern.

Left alone, the SDK ends the whole connection when one request cannot be sent, with every other call on it, and no
longer tells a call that never left from one whose answer was lost.
"""

from __future__ import annotations

import json
from typing import Any

import httpx2

from app.ai.mcp.codes import CONNECTION_CLOSED, REFUSED, SESSION_LOST

_NOT_FOUND = 404
_FIRST_ERROR = 400
_FIRST_SERVER_ERROR = 500


class Refusals(httpx2.AsyncBaseTransport):
    """Turns what goes wrong with a POST into a JSON-RPC error."""

    def __init__(self, wrapped: httpx2.AsyncBaseTransport):
        self._wrapped = wrapped

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.method != "POST":
            return await self._wrapped.handle_async_request(request)
        try:
            response = await self._wrapped.handle_async_request(request)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as err:
            return _answer(REFUSED, f"no connection: {err or type(err).__name__}")
        except httpx2.TransportError as err:
            return _answer(CONNECTION_CLOSED, f"the connection broke: {err or type(err).__name__}")
        if response.status_code < _FIRST_ERROR:
            return response
        return await _error_answer(request, response)

    async def aclose(self) -> None:
        await self._wrapped.aclose()


async def _error_answer(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
    body = await response.aread()
    await response.aclose()
    status = f"HTTP {response.status_code} {response.reason_phrase}".strip()
    if response.status_code == _NOT_FOUND and "mcp-session-id" in request.headers:
        return _answer(SESSION_LOST, "the server does not know the session any more")
    if _is_rpc_error(body):
        return httpx2.Response(response.status_code, headers={"content-type": "application/json"}, content=body)
    # A gateway answers 502 or 504 also when the server behind it has taken the request.
    lost = response.status_code >= _FIRST_SERVER_ERROR
    return _answer(CONNECTION_CLOSED if lost else REFUSED, status)


def _answer(code: int, message: str) -> httpx2.Response:
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}
    return httpx2.Response(503, headers={"content-type": "application/json"}, content=json.dumps(error).encode())


def _is_rpc_error(body: bytes) -> bool:
    try:
        answer: Any = json.loads(body)
    except ValueError:
        return False
    return isinstance(answer, dict) and "jsonrpc" in answer and "error" in answer
