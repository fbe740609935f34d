"""The settings of a process: read once from the environment in `main`, passed on by argument."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "HOLDFAST_"
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})
MIB = 1024 * 1024

Seconds = Annotated[float, Field(gt=0)]
Bytes = Annotated[int, Field(gt=0)]
Names = Annotated[tuple[str, ...], NoDecode]


class Settings(BaseSettings):
    """Each field is read from HOLDFAST_<NAME>, only the database from DATABASE_URL. Times are in seconds."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid", populate_by_name=True
    )

    database_url: str | None = Field(default=None, validation_alias="DATABASE_URL")
    """None: the embedded Postgres of this directory."""
    state_dir: Path | None = None
    """Where the embedded Postgres keeps binaries and data; None: the usual place of this user."""

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    allowed_hosts: Names = ()
    """Host headers that a keyless server accepts besides localhost, 127.0.0.1 and [::1]."""
    api_key: SecretStr | None = None
    sse_ping_seconds: Seconds = 15
    idempotency_ttl_seconds: Seconds = 24 * 3600

    agents: Names = ("app.agents",)
    """Modules with an `AGENTS` dictionary, separated by commas."""
    application_version: str = Field(default="holdfast-1", min_length=1)
    """Pinned: runs are only continued by workers of the same version."""
    http_capabilities: Names = (
        "Capability",
        "ImageGeneration",
        "IncludeToolReturnSchemas",
        "Instrumentation",
        "ReinjectSystemPrompt",
        "SetToolMetadata",
        "Thinking",
        "ToolSearch",
        "WebSearch",
        "XSearch",
    )
    """What agents that come over HTTP may have: nothing that starts processes or reaches into this network."""
    max_prompt_bytes: Bytes = MIB
    max_step_bytes: Bytes = 8 * MIB

    worker_concurrency: int = Field(default=100, gt=0)
    tool_threads: int = Field(default=64, gt=0)
    queue_poll_seconds: Seconds = 0.1
    drain_seconds: Seconds = 10

    takeover_seconds: Seconds = 30
    """Age of a heartbeat after which a worker is dead although it still holds its lock (its host is lost)."""

    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$")

    @field_validator("agents", "allowed_hosts", "http_capabilities", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(item for item in (part.strip() for part in value.split(",")) if item)

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _keyless_only_on_loopback(self) -> Self:
        if self.host not in LOOPBACK_HOSTS and self.api_key is None:
            raise ValueError(
                f"{PREFIX}HOST={self.host} lets other machines in, but {PREFIX}API_KEY is not set. "
                f"Set {PREFIX}API_KEY to a long random text, or {PREFIX}HOST=127.0.0.1."
            )
        return self


class SettingsError(ValueError):
    """A setting cannot be used; each line of the message names the variable and what it must be."""


def load_settings(**overrides: object) -> Settings:
    """Settings from the environment, overridden by field name (`port=8001`). Raises SettingsError."""
    try:
        return Settings(**overrides)  # pyright: ignore[reportArgumentType]  # pydantic validates them
    except ValidationError as invalid:
        raise SettingsError("\n".join(_explain(error["loc"], error["msg"]) for error in invalid.errors())) from None


def _explain(location: tuple[int | str, ...], message: str) -> str:
    """Never repeats the value: it may be a secret."""
    if not location:
        return message.removeprefix("Value error, ")
    name = str(location[0])
    variable = name if name.isupper() else f"{PREFIX}{name.upper()}"
    return f"{variable}: {message}"
