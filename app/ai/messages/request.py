"""What is sent to the model: the parts of a request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal, TypeAlias

import pydantic
import pydantic_core
from pydantic import PlainSerializer

from app.ai.messages.content import UserContent
from app.ai.messages.otel import otel_event, otel_message_parts
from app.ai.messages.tool_returns import NarrowedToolReturnPart
from app.ai.reprs import repr_without_defaults
from app.ai.stamps import generate_tool_call_id, now_utc
from app.ai.texts import RETRY_INSTRUCTION


@dataclass(repr=False)
class SystemPromptPart:
    """A system prompt, written by the developer. `dynamic_ref` names the function that makes it anew on each run."""

    content: str
    _: KW_ONLY
    timestamp: datetime = field(default_factory=now_utc)
    dynamic_ref: str | None = None
    part_kind: Literal["system-prompt"] = "system-prompt"

    otel_event = otel_event
    otel_message_parts = otel_message_parts
    __repr__ = repr_without_defaults


@dataclass(repr=False)
class UserPromptPart:
    """A user's prompt: a string, or text and files in order."""

    content: str | Sequence[UserContent]
    _: KW_ONLY
    timestamp: datetime = field(default_factory=now_utc)
    part_kind: Literal["user-prompt"] = "user-prompt"

    otel_event = otel_event
    otel_message_parts = otel_message_parts
    __repr__ = repr_without_defaults


def _jsonable_content(content: list[pydantic_core.ErrorDetails] | str) -> Any:
    if isinstance(content, str):
        return content
    # What was refused, and the context of a refusal, may be objects that JSON does not know.
    return [
        {**error, **_jsonable({key: value for key, value in error.items() if key in ("input", "ctx")})}
        for error in content
    ]


_jsonable = partial(pydantic_core.to_jsonable_python, serialize_unknown=True, bytes_mode="base64")


@dataclass(repr=False)
class RetryPromptPart:
    """Tells the model what was wrong with its answer or tool call, so that it tries again.

    `content` is text, or the errors of a failed pydantic validation.
    """

    content: Annotated[
        list[pydantic_core.ErrorDetails] | str,
        PlainSerializer(_jsonable_content, list[pydantic_core.ErrorDetails] | str, when_used="json"),
    ]
    _: KW_ONLY
    tool_name: str | None = None
    tool_call_id: str = field(default_factory=generate_tool_call_id)
    timestamp: datetime = field(default_factory=now_utc)
    part_kind: Literal["retry-prompt"] = "retry-prompt"

    def __post_init__(self) -> None:
        # JSON turns a location into a list; one form keeps parts equal before and after.
        if isinstance(self.content, list):
            self.content = [{**error, "loc": tuple(error["loc"])} for error in self.content]

    def model_response(self) -> str:
        """The retry prompt as text for the model."""
        if isinstance(self.content, str):
            description = self.content if self.tool_name else f"Not accepted:\n{self.content}"
        else:
            description = _describe_errors(self.content)
        return f"{description}\n\n{RETRY_INSTRUCTION}"

    otel_event = otel_event
    otel_message_parts = otel_message_parts
    __repr__ = repr_without_defaults


def _describe_errors(errors: Sequence[Mapping[str, Any]]) -> str:
    shown = [{key: value for key, value in error.items() if key not in ("ctx", "url")} for error in errors]
    plural = "" if len(errors) == 1 else "s"
    listed = pydantic_core.to_json(shown, indent=2, serialize_unknown=True, bytes_mode="base64").decode()
    return f"{len(errors)} validation error{plural}:\n```json\n{listed}\n```"


@dataclass(repr=False)
class InstructionPart:
    """One block of instructions; `dynamic` if a function made it, so that it may differ from request to request."""

    content: str
    _: KW_ONLY
    dynamic: bool = False
    part_kind: Literal["instruction"] = "instruction"

    @staticmethod
    def join(parts: Iterable[InstructionPart]) -> str | None:
        """The instructions' text: blocks with a blank line between, None if there are none."""
        return "\n\n".join(part.content for part in parts if part.content).strip() or None

    @staticmethod
    def sorted(parts: Iterable[InstructionPart]) -> list[InstructionPart]:
        """Static blocks first, so that a provider can cache them; the order is otherwise kept."""
        return sorted(parts, key=lambda part: part.dynamic)

    __repr__ = repr_without_defaults


ModelRequestPart: TypeAlias = Annotated[
    SystemPromptPart | UserPromptPart | NarrowedToolReturnPart | RetryPromptPart, pydantic.Discriminator("part_kind")
]


@dataclass(repr=False)
class ModelRequest:
    """A message to the model. `instructions` are the text that was valid for this request."""

    parts: Sequence[ModelRequestPart]
    _: KW_ONLY
    timestamp: datetime | None = None
    instructions: str | None = None
    kind: Literal["request"] = "request"
    run_id: str | None = None
    conversation_id: str | None = None
    metadata: dict[str, Any] | None = None

    @classmethod
    def user_text_prompt(cls, user_prompt: str, *, instructions: str | None = None) -> ModelRequest:
        """A request with one text prompt."""
        return cls(parts=[UserPromptPart(user_prompt)], instructions=instructions)

    __repr__ = repr_without_defaults
