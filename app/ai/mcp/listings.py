"""What a server listed, kept until it says that it changed, its connection ends, or time is up."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

CHANGES: Final = {
    "notifications/tools/list_changed": ("tools",),
    "notifications/resources/list_changed": ("resources", "resource templates"),
}
"""Which listings a notification is about."""


@dataclass
class Listings:
    """The listings of one connection."""

    changes: Counter[str] = field(default_factory=Counter[str])
    """How often the server said that a kind of listing changed."""
    _kept: dict[str, tuple[float, Any]] = field(default_factory=dict[str, tuple[float, Any]])

    def get(self, kind: str) -> Any | None:
        """A listing that still holds."""
        until, listing = self._kept.get(kind, (0.0, None))
        return listing if time.monotonic() < until else None

    def keep(self, kind: str, listing: Any, *, seconds: float, asked_at: int) -> None:
        """Keep a listing, unless it changed since the server was asked: when `changes` said `asked_at`."""
        if self.changes[kind] == asked_at:
            self._kept[kind] = (time.monotonic() + seconds, listing)

    def notice(self, notification: str) -> None:
        """Forget what a notification of the server is about."""
        for kind in CHANGES.get(notification, ()):
            self.changes[kind] += 1
            self._kept.pop(kind, None)
