"""What a run is started with. Stored as the workflow's input, so fields are only ever added, with defaults."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app.ai.messages import UserContent
from app.ai.usage import UsageLimits


class HistoryLink(BaseModel):
    """An earlier run of the conversation, pinned up to one of its steps (None: all of it)."""

    run_id: str
    through_step: int | None = None


class RunInput(BaseModel):
    """Input of `holdfast.run`. Carries references and settings, never secrets."""

    model_config = ConfigDict(extra="ignore")

    agent: str
    agent_version: str | None = None
    spec_version: int | None = None
    """Of an agent that came over HTTP: the version that the run keeps."""
    prompt: str | list[UserContent] | None = None
    conversation_id: str
    history: list[HistoryLink] = Field(default_factory=list[HistoryLink])
    model: str | None = None
    model_settings: dict[str, Any] | None = None
    usage_limits: UsageLimits | None = None
    metadata: dict[str, Any] | None = None
    deps: dict[str, Any] | None = None
    """The dependencies, or what their provider makes them of."""
    output_schema: dict[str, Any] | None = None
    """JSON schema of the output, in place of the agent's output type."""
