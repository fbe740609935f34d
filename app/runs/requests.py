"""What a client may ask for when it starts a run."""

import hashlib
import json
from collections.abc import Collection
from typing import Annotated, Any, Literal, Self, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    WithJsonSchema,
    field_validator,
    model_validator,
    with_config,
)
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from app.ai.messages import AudioUrl, DocumentUrl, ImageUrl, UserContent, VideoUrl
from app.ai.pending import PendingMessagePriority
from app.ai.settings import ModelSettings
from app.ai.usage import UsageLimits
from app.runs.json_schemas import output_schema_problem

MODEL_PATTERN = r"^[a-z0-9][a-z0-9_-]*:[!-~]+$"
MAX_TIMEOUT_SECONDS = 30 * 24 * 3600


def _is_number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PydanticCustomError("int_type", "Input should be a valid integer")
    return value


# As JSON schema has it: 5.0 is an integer, "5" and true are none.
_WholeNumber = BeforeValidator(_is_number)
Limit = Annotated[int, Field(ge=0), _WholeNumber] | None
Place = Annotated[int, Field(ge=1), _WholeNumber] | None


class RunUsageLimits(BaseModel):
    """Limits of one run; null switches a limit off."""

    model_config = ConfigDict(extra="forbid")

    request_limit: Limit = 50
    tool_calls_limit: Limit = None
    input_tokens_limit: Limit = None
    output_tokens_limit: Limit = None
    total_tokens_limit: Limit = None


@with_config(ConfigDict(extra="forbid"))
class RunModelSettings(ModelSettings):
    """Model settings as a request may give them; unknown ones are refused."""


class Decide(BaseModel):
    """A person's decision on a tool call."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "oneOf": [
                {"properties": {"approve": {"const": True}, "message": {"type": "null"}}},
                {"properties": {"approve": {"const": False}, "args": {"type": "null"}}},
            ]
        },
    )

    approve: Annotated[bool, Field(strict=True, description="Whether the call may be made.")]
    message: Annotated[
        str | None, Field(min_length=1, max_length=10_000, description="Told to the model when denied.")
    ] = None
    args: Annotated[
        dict[str, Any] | None, Field(description="Arguments for the call in place of the model's, when approved.")
    ] = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.approve and self.message is not None:
            raise PydanticCustomError(
                "not_allowed", "An approved call has no message.", {"fix": "Leave `message` out, or deny the call."}
            )
        if not self.approve and self.args is not None:
            raise PydanticCustomError(
                "not_allowed", "A denied call has no arguments.", {"fix": "Leave `args` out, or approve the call."}
            )
        return self


def _answer_schema(*given: str) -> JsonDict:
    """The bodies of a resume that give these fields, and none of the other fields that belong to an answer."""
    no: dict[str, JsonDict] = {
        "tool_call_id": _NULL,
        "error": _NULL,
        "run_again": {"const": False},
        "result": {"not": {}},
    }
    yes: dict[str, JsonDict] = {"tool_call_id": _TEXT, "error": _TEXT, "run_again": {"const": True}, "result": {}}
    return {"required": [*given], "properties": {name: (yes if name in given else no)[name] for name in no}}


_NULL: JsonDict = {"type": "null"}
_TEXT: JsonDict = {"type": "string"}
_RESUME_SCHEMA: JsonDict = {
    "oneOf": [
        _answer_schema(),
        *(_answer_schema("tool_call_id", answer) for answer in ("result", "error", "run_again")),
    ]
}


class ResumeRun(BaseModel):
    """Nothing, to let a failed or cancelled run go on; or a tool call of a waiting run, and what came of it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_RESUME_SCHEMA)

    tool_call_id: Annotated[
        str | None, Field(min_length=1, description="As `waiting_for` of the run names it; with one of the others.")
    ] = None
    result: Annotated[Any, Field(description="What the tool returned, or would have.")] = None
    error: Annotated[
        str | None, Field(min_length=1, max_length=10_000, description="Why there is no result; the model reads it.")
    ] = None
    run_again: Annotated[
        bool, Field(strict=True, description="Make the lost call once more, with a new idempotency key.")
    ] = False

    @model_validator(mode="after")
    def _one_answer(self) -> Self:
        given = sum(["result" in self.model_fields_set, self.error is not None, self.run_again])
        if self.tool_call_id is None and given:
            raise PydanticCustomError(
                "invalid_answer", "The tool call is not named.", {"fix": "Add `tool_call_id`, or send no body."}
            )
        if self.tool_call_id is not None and given != 1:
            raise PydanticCustomError(
                "invalid_answer",
                "Exactly one of result, error and run_again is needed.",
                {"fix": "Send `result` with what the tool returned, `error` with a text, or `run_again: true`."},
            )
        return self

    def as_decision(self) -> dict[str, Any]:
        """The answer as it is kept."""
        if self.run_again:
            return {"run_again": True}
        return {"result": self.result} if self.error is None else {"error": self.error}


def _flat(content: dict[str, Any]) -> dict[str, Any]:
    for name, value in content.items():
        items = cast("list[Any]", value) if isinstance(value, list) else []
        if isinstance(value, dict) or not all(isinstance(item, str) for item in items):
            raise PydanticCustomError(
                "not_flat",
                "{name} is not flat: forms hold texts, numbers, true, false, null and lists of texts.",
                {"name": name, "fix": "Send what the JSON schema of the question describes."},
            )
    return content


_FLAT_SCHEMA: JsonDict = {
    "type": "object",
    "additionalProperties": {
        "anyOf": [
            {"type": ["string", "number", "boolean", "null"]},
            {"type": "array", "items": {"type": "string"}},
        ]
    },
}
FormContent = Annotated[dict[str, Any], AfterValidator(_flat), WithJsonSchema(_FLAT_SCHEMA)]


_CONTENT_IF_ACCEPTED: list[JsonDict] = [
    {"properties": {"content": _NULL}},
    {"required": ["action"], "properties": {"action": {"const": "accept"}}},
]


class InputAnswer(BaseModel):
    """What a person did with one question: filled in its form, declined, or dismissed it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"anyOf": [*_CONTENT_IF_ACCEPTED]})

    action: Literal["accept", "decline", "cancel"]
    content: Annotated[
        FormContent | None, Field(description="The filled-in form, when accepted; it must fit its schema.")
    ] = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.action != "accept" and self.content is not None:
            raise PydanticCustomError(
                "not_allowed",
                "Only an accepted form has content.",
                {"fix": "Leave `content` out, or accept the question."},
            )
        return self


class AnswerInput(BaseModel):
    """Answers to what a tool call asks: one for all its questions, or one for each by name."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "oneOf": [
                {"required": ["action"], "properties": {"action": _TEXT, "answers": _NULL}},
                {"required": ["answers"], "properties": {"answers": {"type": "object"}, "action": _NULL}},
            ],
            "anyOf": [*_CONTENT_IF_ACCEPTED],
        },
    )

    action: Annotated[
        Literal["accept", "decline", "cancel"] | None, Field(description="For all questions; usually there is one.")
    ] = None
    content: Annotated[FormContent | None, Field(description="The form of the only question.")] = None
    answers: Annotated[
        dict[str, InputAnswer] | None,
        Field(description="By the names in `metadata.questions`, in their place."),
    ] = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.action is None) == (self.answers is None) or (self.content is not None and self.action != "accept"):
            raise PydanticCustomError(
                "invalid_answer",
                "Either an action for all questions or answers by name are needed.",
                {"fix": "Send `action` (with `content` if it is accept), or `answers`."},
            )
        return self

    def for_questions(self, names: Collection[str]) -> dict[str, InputAnswer]:
        """The answers by name."""
        if self.answers is not None:
            return self.answers
        assert self.action is not None, "one of the two is given"
        return {name: InputAnswer(action=self.action, content=self.content) for name in names}


def _no_local_download(content: UserContent) -> UserContent:
    # A client that could ask for private addresses would read the service's network through the model.
    if isinstance(content, ImageUrl | AudioUrl | VideoUrl | DocumentUrl) and content.force_download == "allow-local":
        raise PydanticCustomError(
            "not_allowed",
            "A request cannot make the service download from private addresses.",
            {"fix": "Use true or false for force_download."},
        )
    return content


def _prompt_kind(prompt: Any) -> str:
    return "text" if isinstance(prompt, str) else "parts"


Text = Annotated[str, Field(min_length=1)]
ContentPart = Annotated[UserContent, AfterValidator(_no_local_download)]
Prompt = Annotated[
    Annotated[Text, Tag("text")] | Annotated[list[ContentPart], Field(min_length=1), Tag("parts")],
    Discriminator(_prompt_kind),
]


class StartRun(BaseModel):
    """A prompt for an agent, and how its run shall go."""

    model_config = ConfigDict(extra="forbid")

    agent: Annotated[str, Field(min_length=1, description="Name of an agent: `GET /api/agents` lists them.")]
    prompt: Annotated[Prompt, Field(description="Text, or a list of content parts.")]
    conversation_id: Annotated[str | None, Field(description="Go on with this conversation; a new one if absent.")] = (
        None
    )
    model: Annotated[
        str | None,
        Field(pattern=MODEL_PATTERN, description="`provider:name` in place of the agent's model."),
    ] = None
    model_settings: RunModelSettings | None = None
    usage_limits: RunUsageLimits | None = None
    metadata: Annotated[dict[str, Any] | None, Field(description="Kept with the run and given back.")] = None
    timeout: Annotated[
        float | None,
        Field(gt=0, le=MAX_TIMEOUT_SECONDS, strict=True, description="Seconds that the run may take."),
    ] = None
    on_busy: Annotated[
        Literal["reject"], Field(description="What to do while the conversation has an unfinished run.")
    ] = "reject"
    deps: Annotated[
        dict[str, Any] | None,
        Field(description="Dependencies that fit `deps_schema` of the agent. They are stored: only references."),
    ] = None
    output_schema: Annotated[
        dict[str, Any] | None,
        Field(description="JSON schema of the output, an object, in place of the agent's output type."),
    ] = None

    @field_validator("output_schema")
    @classmethod
    def _is_usable(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if value is not None and (problem := output_schema_problem(value)):
            raise PydanticCustomError(
                "invalid_output_schema",
                "This is no JSON schema of an output: {problem}.",
                {"problem": problem, "fix": 'Send a JSON schema with `"type": "object"` at its top.'},
            )
        return value

    @field_validator("on_busy", mode="before")
    @classmethod
    def _only_reject(cls, value: Any) -> Any:
        if value in ("enqueue", "interrupt", "steer"):
            raise PydanticCustomError(
                "not_supported_yet", "Only `reject` is supported yet.", {"fix": 'Use "reject", or leave the field out.'}
            )
        return value

    def prompt_json(self) -> Any:
        """The prompt as JSON: text, or a list of published content parts."""
        return _PROMPT.dump_python(self.prompt, mode="json")

    def settings_json(self) -> dict[str, Any] | None:
        """The model settings as JSON."""
        return None if self.model_settings is None else _MODEL_SETTINGS.dump_python(self.model_settings, mode="json")

    def limits(self) -> UsageLimits | None:
        """The usage limits that were given, with defaults for the others."""
        return None if self.usage_limits is None else UsageLimits(**self.usage_limits.model_dump(exclude_unset=True))

    def fingerprint(self) -> str:
        """SHA-256 of the request in canonical JSON; requests that mean the same have the same one."""
        return _fingerprint(self.model_dump(mode="json", exclude_defaults=True))


class SendMessage(BaseModel):
    """What a user says to a run on its way."""

    model_config = ConfigDict(extra="forbid")

    content: Annotated[Prompt, Field(description="Text, or a list of content parts.")]
    priority: Annotated[
        PendingMessagePriority,
        Field(description="With the next model request, or not before the run would end."),
    ] = "asap"

    def content_json(self) -> Any:
        """The content as JSON: text, or a list of published content parts."""
        return _PROMPT.dump_python(self.content, mode="json")

    def fingerprint(self, run_id: str) -> str:
        """SHA-256 of what is sent to which run."""
        return _fingerprint({"message": run_id, **self.model_dump(mode="json", exclude_defaults=True)})


class RunEdits(BaseModel):
    """What a fork does otherwise than its source. Fields that are left out stay as they were."""

    model_config = ConfigDict(extra="forbid")

    prompt: Annotated[Prompt | None, Field(description="Only for a fork from the first step.")] = None
    model: Annotated[str | None, Field(pattern=MODEL_PATTERN)] = None
    model_settings: RunModelSettings | None = None
    usage_limits: RunUsageLimits | None = None
    metadata: dict[str, Any] | None = None

    def prompt_json(self) -> Any:
        """The new prompt as JSON; None if it stays."""
        return None if self.prompt is None else _PROMPT.dump_python(self.prompt, mode="json")

    def as_json(self) -> dict[str, Any]:
        """The edited fields of a run's input."""
        edits = self.model_dump(mode="json", exclude_unset=True)
        if self.prompt is None:
            edits.pop("prompt", None)
        else:
            edits["prompt"] = self.prompt_json()
        if self.usage_limits is not None:
            edits["usage_limits"] = UsageLimits(**self.usage_limits.model_dump(exclude_unset=True))
        return edits


class ForkRun(BaseModel):
    """Where a new run leaves the road of an earlier one, and what it does otherwise."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "anyOf": [{"properties": {name: {"type": "null"}}} for name in ("from_step", "from_message")]
        },
    )

    from_step: Annotated[
        Place,
        Field(description="This step and those after it are done anew; 1 if left out."),
    ] = None
    from_message: Annotated[
        Place,
        Field(description="In place of it: the `position` of a message of the run."),
    ] = None
    edits: RunEdits = Field(default_factory=RunEdits)

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.from_step is not None and self.from_message is not None:
            raise PydanticCustomError(
                "not_allowed", "A fork starts at a step or at a message.", {"fix": "Leave one of them out."}
            )
        return self

    def fingerprint(self, run_id: str) -> str:
        """SHA-256 of what is asked for."""
        return _fingerprint({"fork": run_id, **self.model_dump(mode="json", exclude_unset=True)})


def _fingerprint(meant: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(meant, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


_PROMPT: TypeAdapter[Any] = TypeAdapter(Prompt)
_MODEL_SETTINGS: TypeAdapter[Any] = TypeAdapter(RunModelSettings)
