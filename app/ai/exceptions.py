"""Everything the agent core raises, as one tree.

    Exception
    ├── ModelRetry                        a tool or validator asks the model to try again
    ├── CallDeferred                      a tool call is answered later, outside the run
    ├── ApprovalRequired                  a tool call waits for a person's decision
    ├── ToolRetryError                    (signal) carries the retry part that goes to the model
    ├── SkipModelRequest                  (signal) use this response instead of asking the model
    ├── SkipToolValidation                (signal) use these arguments as they are
    ├── SkipToolExecution                 (signal) use this result instead of calling the tool
    ├── RuntimeError
    │   ├── UserError                     the developer used the library wrongly
    │   │   └── UndrainedPendingMessagesError   a run ended before it could deliver what was enqueued
    │   └── AgentRunError                 a run failed
    │       ├── UsageLimitExceeded
    │       ├── ConcurrencyLimitExceeded
    │       ├── UnexpectedModelBehavior   the model answered something unusable
    │       │   ├── ContentFilterError
    │       │   └── IncompleteToolCall
    │       └── ModelAPIError             the provider could not be reached
    │           ├── ModelHTTPError        the provider answered with an error status
    │           └── ModelCoolingDown      the provider asked for a pause that is not over yet
    └── ExceptionGroup
        └── FallbackExceptionGroup        every model of a FallbackModel failed

All of them survive `pickle` with their arguments.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypedDict, cast

from pydantic_core import core_schema

if TYPE_CHECKING:
    from app.ai.messages import ModelResponse, RetryPromptPart

__all__ = (
    "AgentRunError",
    "ApprovalRequired",
    "CallDeferred",
    "ConcurrencyLimitExceeded",
    "ContentFilterError",
    "FallbackExceptionGroup",
    "IncompleteToolCall",
    "ModelAPIError",
    "ModelCoolingDown",
    "ModelHTTPError",
    "ModelRetry",
    "SkipModelRequest",
    "SkipToolExecution",
    "SkipToolValidation",
    "ToolRetryError",
    "UndrainedPendingMessagesError",
    "UnexpectedModelBehavior",
    "UsageLimitExceeded",
    "UserError",
)


class _RetryData(TypedDict):
    message: str
    kind: Literal["model-retry"]


class ModelRetry(Exception):
    """Raise in a tool, output function or validator: the model sees the message and tries again."""

    message: str

    def __init__(self, message: str):
        self.message = message
        super().__init__(message)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and other.message == self.message

    def __hash__(self) -> int:
        return hash((type(self), self.message))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        """JSON form: `{"message": …, "kind": "model-retry"}`."""
        data_schema = core_schema.no_info_after_validator_function(
            cls._from_data,
            core_schema.typed_dict_schema(
                {
                    "message": core_schema.typed_dict_field(core_schema.str_schema()),
                    "kind": core_schema.typed_dict_field(core_schema.literal_schema(["model-retry"])),
                }
            ),
        )
        return core_schema.json_or_python_schema(
            json_schema=data_schema,
            python_schema=core_schema.union_schema([core_schema.is_instance_schema(cls), data_schema]),
            serialization=core_schema.plain_serializer_function_ser_schema(cls._to_data),
        )

    @classmethod
    def _from_data(cls, data: _RetryData) -> ModelRetry:
        return cls(data["message"])

    def _to_data(self) -> _RetryData:
        return {"message": self.message, "kind": "model-retry"}


class CallDeferred(Exception):
    """Raise in a tool: the call's result will be given later. `metadata` is for the application."""

    def __init__(self, metadata: dict[str, Any] | None = None):
        self.metadata = metadata
        super().__init__(metadata)


class ApprovalRequired(Exception):
    """Raise in a tool: the call runs only after a person approved it. `metadata` is for the application."""

    def __init__(self, metadata: dict[str, Any] | None = None):
        self.metadata = metadata
        super().__init__(metadata)


class ToolRetryError(Exception):
    """Signal inside the core: answer this call with the retry part that it carries."""

    def __init__(self, tool_retry: RetryPromptPart):
        self.tool_retry = tool_retry
        super().__init__(tool_retry)

    def __str__(self) -> str:
        content = self.tool_retry.content
        if isinstance(content, str):
            return content
        errors = [f"{'.'.join(map(str, error['loc']))}\n  {error['msg']}" for error in content]
        count = f"{len(errors)} validation error{'s' if len(errors) != 1 else ''}"
        return "\n".join([f"{count} for {self.tool_retry.tool_name or 'the output'}", *errors])


class SkipModelRequest(Exception):
    """Raise before a model request: use `response` instead. It counts as a request."""

    def __init__(self, response: ModelResponse):
        self.response = response
        super().__init__(response)


class SkipToolValidation(Exception):
    """Raise before a tool's arguments are validated: use `validated_args` as they are."""

    def __init__(self, validated_args: dict[str, Any]):
        self.validated_args = validated_args
        super().__init__(validated_args)


class SkipToolExecution(Exception):
    """Raise before a tool is called: use `result` instead."""

    def __init__(self, result: Any):
        self.result = result
        super().__init__(result)


class UserError(RuntimeError):
    """The library was used wrongly by the developer."""

    message: str

    def __init__(self, message: str):
        self.message = message
        super().__init__(message)


class UndrainedPendingMessagesError(UserError):
    """A run ended with enqueued messages that the way it was driven does not deliver."""


class SpecError(UserError, ValueError):
    """An agent spec, or a template in it, says something that cannot be."""


class AgentRunError(RuntimeError):
    """A run failed."""

    message: str

    def __init__(self, message: str):
        self.message = message
        super().__init__(message)

    def __str__(self) -> str:
        return self.message


class UsageLimitExceeded(AgentRunError):
    """A run used, or was about to use, more than its `UsageLimits` allow."""


class ConcurrencyLimitExceeded(AgentRunError):
    """Too many runs were already waiting for a free slot."""


class UnexpectedModelBehavior(AgentRunError):
    """The model answered something that cannot be used. `body` is the answer, pretty-printed when it is JSON."""

    body: str | None

    def __init__(self, message: str, body: str | None = None):
        self.body = None if body is None else _pretty(body)
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.body)

    def __str__(self) -> str:
        return f"{self.message}, body:\n{self.body}" if self.body else self.message


class ContentFilterError(UnexpectedModelBehavior):
    """The provider's content filter left nothing of the answer."""


class IncompleteToolCall(UnexpectedModelBehavior):
    """The token limit cut the answer off inside the arguments of a tool call."""


class ModelAPIError(AgentRunError):
    """A request to the provider failed before it answered."""

    model_name: str
    retry_at: datetime | None
    """When to ask again: as the provider said, or at once after an answer that broke off. None: not by itself."""

    def __init__(self, model_name: str, message: str):
        self.model_name = model_name
        self.retry_at = None
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.model_name, self.message), {"retry_at": self.retry_at}


class ModelHTTPError(ModelAPIError):
    """The provider answered with an error status (400 and above)."""

    status_code: int
    body: object | None

    def __init__(self, status_code: int, model_name: str, body: object | None = None):
        self.status_code = status_code
        self.body = body
        super().__init__(model_name, f"status_code: {status_code}, model_name: {model_name}, body: {body}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.status_code, self.model_name, self.body), {"retry_at": self.retry_at}

    @property
    def code(self) -> str | None:
        """The provider's word for the error, such as `rate_limit_exceeded`."""
        return next((found for name in ("code", "type", "status") if isinstance(found := self._told(name), str)), None)

    @property
    def request_id(self) -> str | None:
        """The provider's id of the request, for its support."""
        found = self._told("request_id")
        return found if isinstance(found, str) else None

    def _told(self, name: str) -> object:
        body: Any = self.body
        return cast("dict[str, object]", body).get(name) if isinstance(body, dict) else None


class ModelCoolingDown(ModelAPIError):
    """The provider was not asked: it has told this or another process to come back at `retry_at`."""

    def __init__(self, model_name: str, retry_at: datetime):
        super().__init__(model_name, f"The provider of {model_name} wants no requests before {retry_at.isoformat()}")
        self.retry_at = retry_at

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.model_name, self.retry_at)


class FallbackExceptionGroup(ExceptionGroup[Any]):
    """Every model of a `FallbackModel` failed; the group holds one exception per model."""


def _pretty(body: str) -> str:
    try:
        return json.dumps(json.loads(body), indent=2)
    except ValueError:
        return body
