"""Bodies that only HTTP knows; runs and their parts are in `app.runs.records`."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.runs.records import AgentInfo, Record


class FieldProblem(BaseModel):
    """One of several things that are wrong with a request."""

    field: str
    detail: str


class Problem(BaseModel):
    """What went wrong, for people and programs (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="Which problem it is; docs/api.md lists them.")
    title: str
    status: int
    detail: str
    field: str | None = Field(default=None, description="The field, parameter or header that is wrong.")
    fix: str | None = Field(default=None, description="What to do about it.")
    errors: list[FieldProblem] | None = Field(default=None, description="All wrong fields of an invalid body or query.")

    def as_json(self) -> dict[str, Any]:
        """The problem as it is sent: without what does not apply."""
        return self.model_dump(mode="json", exclude_none=True)


class AgentList(Record):
    """The agents of this service."""

    agents: list[AgentInfo]


class Alive(Record):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Ready(Record):
    """The process can take requests."""

    status: Literal["ready"] = "ready"
