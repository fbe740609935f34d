"""What a model's answer cost, by its provider's own words or the public price table."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, cast

from app.ai.messages import ModelResponse


async def cost_usd(response: ModelResponse) -> float | None:
    """The cost in dollars; None if nobody knows it. The price table is large, so it is not read on the event loop."""
    told: Any = (response.provider_details or {}).get("cost")
    if isinstance(told, dict):
        told = cast("dict[str, Any]", told).get("total_cost")
    if isinstance(told, int | float):
        return float(told)
    return await asyncio.to_thread(_price, response)


def _price(response: ModelResponse) -> float | None:
    if response.model_name and response.usage.has_values():
        # A model that nobody has a price for, or counts that contradict each other.
        with suppress(LookupError, ValueError):
            return float(response.cost().total_price)
    return None
