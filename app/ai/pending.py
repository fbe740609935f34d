"""Messages that wait to be put into the conversation of a run that goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from app.ai.exceptions import UserError
from app.ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    RetryPromptPart,
    SystemPromptPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)

EnqueueContent: TypeAlias = UserContent | ModelRequestPart | ModelMessage
"""What can be enqueued: what a user may show, a part of a request, or a whole message."""

PendingMessagePriority: TypeAlias = Literal["asap", "when_idle"]
"""`asap` goes with the next request, or makes one where the run would end; `when_idle` waits for that end."""


@dataclass
class PendingMessage:
    """What one call of `enqueue` wants to put into the conversation."""

    messages: list[ModelMessage]
    priority: PendingMessagePriority = "asap"


@dataclass
class PendingMessages:
    """The queue of a run."""

    refusal: str | None = None
    """Why nothing can be enqueued, if so."""
    queue: list[PendingMessage] = field(default_factory=list[PendingMessage])
    """One list for the whole run: it is changed in place, because others look at it."""

    def enqueue(self, content: Sequence[EnqueueContent], priority: PendingMessagePriority) -> None:
        """Add messages made of the content. Raises `UserError` if they do not end in a request."""
        if not content:
            return
        if self.refusal is not None:
            raise UserError(self.refusal)
        messages = as_messages(content)
        if not isinstance(messages[-1], ModelRequest):
            raise UserError("What is enqueued must end in something for the model to answer, not in a response")
        self.queue.append(PendingMessage(messages, priority))

    def take(self, *priorities: PendingMessagePriority) -> list[ModelMessage]:
        """The messages of these priorities, in this order; they are pending no longer."""
        taken = [item for priority in priorities for item in self.queue if item.priority == priority]
        self.queue[:] = [item for item in self.queue if item.priority not in priorities]
        return [message for item in taken for message in item.messages]

    def __bool__(self) -> bool:
        return bool(self.queue)


def as_messages(content: Sequence[EnqueueContent]) -> list[ModelMessage]:
    """What neighbours of one kind make together: one user prompt, and one request of several parts."""
    messages: list[ModelMessage] = []
    shown: list[UserContent] = []
    parts: list[ModelRequestPart] = []

    def end_prompt() -> None:
        if shown:
            lone = shown[0] if len(shown) == 1 and isinstance(shown[0], str) else list(shown)
            parts.append(UserPromptPart(lone))
            shown.clear()

    def end_request() -> None:
        end_prompt()
        if parts:
            messages.append(ModelRequest(list(parts)))
            parts.clear()

    for item in content:
        if isinstance(item, ModelRequest | ModelResponse):
            end_request()
            messages.append(item)
        elif isinstance(item, SystemPromptPart | UserPromptPart | ToolReturnPart | RetryPromptPart):
            end_prompt()
            parts.append(item)
        else:
            shown.append(item)
    end_request()
    return messages
