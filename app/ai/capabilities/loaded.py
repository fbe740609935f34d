"""Which capabilities were loaded in a conversation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from app.ai.messages import LoadCapabilityCallPart, LoadCapabilityReturnPart, ModelMessage, ModelRequest, ModelResponse


@dataclass
class LoadedCapabilities:
    """Reads a conversation as it grows, each message but the newest one only once."""

    _asked: dict[str, str] = field(default_factory=dict[str, str])
    """The ids of the capabilities by those of the calls."""
    _loaded: set[str] = field(default_factory=set[str])
    _count: int = 0
    _last: ModelMessage | None = None

    def of(self, messages: Sequence[ModelMessage]) -> set[str]:
        """The ids of the capabilities that were loaded in these messages."""
        if self._count and (self._count > len(messages) or messages[self._count - 1] is not self._last):
            self._asked, self._loaded, self._count = {}, set(), 0
        # The newest request is replaced when it is ready to be sent.
        while self._count < len(messages) - 1:
            self._last = messages[self._count]
            self._loaded |= self._loaded_by(self._last)
            self._count += 1
        return self._loaded | (self._loaded_by(messages[-1]) if messages else set())

    def _loaded_by(self, message: ModelMessage) -> set[str]:
        if isinstance(message, ModelResponse):
            for part in message.parts:
                if isinstance(part, LoadCapabilityCallPart):
                    self._asked[part.tool_call_id] = str(part.args_as_dict().get("id"))
            return set()
        return {self._asked[call_id] for call_id in _answered(message) if call_id in self._asked}


def _answered(request: ModelRequest) -> list[str]:
    # A call that was denied, or skipped for a final result, is answered by a text.
    return [
        part.tool_call_id
        for part in request.parts
        if isinstance(part, LoadCapabilityReturnPart) and isinstance(part.content, Mapping)
    ]
