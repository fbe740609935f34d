"""What a request to a model leaves behind while it is under way, by which a later attempt picks its answer up."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any


class RequestHandles:
    """Keeps the handle of one request. This one forgets; durable runs keep it with the attempt of their step."""

    async def recall(self) -> Mapping[str, Any] | None:
        """What the newest earlier attempt of this request has kept, if one has."""
        return None

    async def keep(self, handle: Mapping[str, Any]) -> None:
        """Keep what a later attempt would need. JSON, and nothing secret."""

    async def given_up(self) -> bool:
        """Whether nobody will come back for an answer that this attempt leaves unread."""
        return True


_handles: ContextVar[RequestHandles] = ContextVar("_handles", default=RequestHandles())  # noqa: B039 - it has no state


def current_handles() -> RequestHandles:
    """Where the request that is being made keeps its handle."""
    return _handles.get()


@contextmanager
def use_handles(handles: RequestHandles) -> Generator[None]:
    """Let the request that is made inside the block keep its handle in `handles`."""
    token = _handles.set(handles)
    try:
        yield
    finally:
        _handles.reset(token)
