"""How a run ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

from app.ai.output import OutputDataT
from app.ai.reprs import repr_without_defaults


@dataclass(repr=False)
class FinalResult(Generic[OutputDataT]):
    """The output of a run, with the call of the output tool that gave it, if one did."""

    output: OutputDataT
    tool_name: str | None = None
    tool_call_id: str | None = None

    __repr__ = repr_without_defaults
