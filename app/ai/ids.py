"""Identifiers of runs and conversations."""

from __future__ import annotations

import os
import time
from uuid import UUID


def uuid7() -> UUID:
    """A random UUID of version 7: ids made later sort later, to the millisecond."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & (1 << 48) - 1) << 80 | random
    value = value & ~(0xF << 76) | 7 << 76
    value = value & ~(0b11 << 62) | 0b10 << 62
    return UUID(int=value)
