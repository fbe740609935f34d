"""What a server tells about a call that is under way, and where that goes."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcp.shared.dispatcher import ProgressFnT


@dataclass(frozen=True)
class MCPProgress:
    """How far a call has come, out of `total` if that is known, in the server's own unit."""

    progress: float
    total: float | None = None
    message: str | None = None


ProgressHandler = Callable[[MCPProgress], None]

_handler: ContextVar[ProgressHandler | None] = ContextVar("_handler", default=None)


@contextmanager
def on_progress(handler: ProgressHandler) -> Generator[None]:
    """Tell `handler` of the progress of MCP calls that are made inside the block, and nothing after its end."""
    live = True

    def tell(progress: MCPProgress) -> None:
        # The SDK delivers in tasks of its own, which may come too late.
        if live:
            handler(progress)

    token = _handler.set(tell)
    try:
        yield
    finally:
        live = False
        _handler.reset(token)


def progress_callback() -> ProgressFnT | None:
    """The SDK's callback for a call that is made now; None if nobody wants to know, so that none is asked for."""
    handler = _handler.get()
    if handler is None:
        return None

    async def tell(progress: float, total: float | None, message: str | None) -> None:
        # The wire format lets numbers through that JSON does not have.
        if math.isfinite(progress):
            handler(MCPProgress(progress, total if total is not None and math.isfinite(total) else None, message))

    return tell
