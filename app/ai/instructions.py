"""Instructions: what the model is told anew with every request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

from app.ai.callbacks import call_with_optional_context
from app.ai.checks import expect
from app.ai.messages import InstructionPart
from app.ai.run_context import AgentDepsT, RunContext
from app.ai.tools import SystemPromptFunc

AgentInstructions: TypeAlias = str | SystemPromptFunc[AgentDepsT] | Sequence[str | SystemPromptFunc[AgentDepsT]] | None
"""Text, a function that gives text, or several of them."""


@dataclass
class Instructions:
    """Literal instructions, and functions that are asked for each request."""

    literals: list[str] = field(default_factory=list[str])
    functions: list[Callable[..., Any]] = field(default_factory=list[Callable[..., Any]])

    @classmethod
    def of(cls, *sources: AgentInstructions[Any]) -> Instructions:
        """Gather instructions from several sources, in order."""
        gathered = cls()
        for source in sources:
            several = isinstance(source, Sequence) and not isinstance(source, str)
            items: Sequence[Any] = cast("Sequence[Any]", source) if several else [source]
            for item in items:
                if isinstance(item, str):
                    gathered.literals.append(item)
                elif item is not None:
                    expect("instructions", item, "texts and functions", function=True)
                    gathered.functions.append(item)
        return gathered

    def __bool__(self) -> bool:
        return bool(self.literals or self.functions)

    async def parts(self, ctx: RunContext[Any]) -> list[InstructionPart]:
        """The blocks for one request: all literals as one, then one for each function that has something to say."""
        parts: list[InstructionPart] = []
        if literal := "\n".join(self.literals).strip():
            parts.append(InstructionPart(literal))
        for function in self.functions:
            if text := await call_with_optional_context(function, ctx):
                parts.append(InstructionPart(text, dynamic=True))
        return parts
