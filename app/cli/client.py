"""The HTTP API as the command line sees it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
from httpx_sse import connect_sse

Json = dict[str, Any]

_READ_SECONDS = 60.0  # the server pings each 15 s
_RECONNECT_SECONDS = 1.0
_MAX_RECONNECTS = 30


class Refused(Exception):
    """The service did not do what was asked; `problem` is its problem+json."""

    def __init__(self, problem: Json) -> None:
        super().__init__(problem.get("detail") or problem.get("title"))
        self.problem = problem


class Unreachable(Exception):
    """No service answers at the given URL."""


class ApiClient:
    """Calls one service."""

    def __init__(self, url: str, api_key: str | None = None) -> None:
        headers = {"accept": "application/json"} | ({"x-api-key": api_key} if api_key else {})
        timeout = httpx.Timeout(10.0, read=_READ_SECONDS)
        self.url = url.rstrip("/")
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=timeout)

    def start(self, body: Json, *, idempotency_key: str | None = None) -> Json:
        """Start a run."""
        return self.post("runs", body, idempotency_key=idempotency_key)

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Json:
        """A resource below /api."""
        return self._call("GET", f"/api/{path}", params=params)

    def post(self, path: str, body: Json | None = None, *, idempotency_key: str | None = None) -> Json:
        """Do something to a resource below /api."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else None
        return self._call("POST", f"/api/{path}", json=body, headers=headers)

    def put(self, path: str, content: bytes, media_type: str) -> Json:
        """Make a resource below /api what the content says."""
        return self._call("PUT", f"/api/{path}", content=content, headers={"content-type": media_type})

    def delete(self, path: str) -> None:
        """Remove a resource below /api."""
        self._call("DELETE", f"/api/{path}")

    def follow(self, run_id: str, after: int = 0) -> Iterator[Json]:
        """The run's events until it is finished, over as many connections as it takes."""
        failures = 0
        while True:
            try:
                for event in self._stream(run_id, after):
                    after, failures = event["seq"], 0
                    yield event
                # A terminal event may be followed by others: a failed run can be resumed.
                if self.get(f"runs/{run_id}")["status"] in ("succeeded", "failed", "cancelled"):
                    return
            except (httpx.TransportError, Unreachable, Refused) as error:
                failures += 1
                if failures > _MAX_RECONNECTS or not _may_pass(error):
                    raise
            time.sleep(_RECONNECT_SECONDS)

    def _stream(self, run_id: str, after: int) -> Iterator[Json]:
        headers = {"Last-Event-ID": str(after)}
        with connect_sse(self._http, "GET", f"/api/runs/{run_id}/events", headers=headers) as source:
            if source.response.status_code == 204:
                return
            if source.response.is_error:
                source.response.read()
                raise _refused(source.response)
            for message in source.iter_sse():
                if message.data:
                    yield json.loads(message.data)

    def _call(self, method: str, path: str, **options: Any) -> Json:
        try:
            response = self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise Unreachable(f"No Holdfast service answers at {self.url}: {error}") from error
        if response.is_error:
            raise _refused(response)
        return response.json() if response.content else {}


def _refused(response: httpx.Response) -> Refused:
    try:
        return Refused(response.json())
    except ValueError:
        return Refused({"status": response.status_code, "detail": f"The service answered {response.status_code}."})


def _may_pass(error: Exception) -> bool:
    return not isinstance(error, Refused) or error.problem.get("status", 0) >= 500
