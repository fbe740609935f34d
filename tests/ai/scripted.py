"""A model that answers as a test says, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from app.ai.messages import ModelMessage, ModelRequest, ModelResponse, ModelResponsePart, TextPart, ToolCallPart
from app.ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from app.ai.profiles import ModelProfile

Answer = ModelResponse | ModelResponsePart | str | Sequence[ModelResponsePart] | Exception


class Script:
    """The model's answers, one for each request, and the requests that it got."""

    def __init__(self, *answers: Answer):
        self.answers = list(answers)
        self.requests: list[list[ModelMessage]] = []
        self.infos: list[AgentInfo] = []

    @property
    def last_request(self) -> ModelRequest:
        """The newest message of the newest request."""
        message = self.requests[-1][-1]
        assert isinstance(message, ModelRequest)
        return message

    def answer(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        self.requests.append(list(messages))
        self.infos.append(info)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return as_response(answer)

    async def stream(
        self, messages: list[ModelMessage], info: AgentInfo
    ) -> AsyncIterator[str | dict[int, DeltaToolCall]]:
        for index, part in enumerate(self.answer(messages, info).parts):
            if isinstance(part, TextPart):
                for word in part.content.split(" "):
                    yield word + " "
            elif isinstance(part, ToolCallPart):
                yield {index: DeltaToolCall(part.tool_name, part.args_as_json_str(), tool_call_id=part.tool_call_id)}


def as_response(answer: ModelResponse | ModelResponsePart | str | Sequence[ModelResponsePart]) -> ModelResponse:
    if isinstance(answer, ModelResponse):
        return answer
    if isinstance(answer, str):
        return ModelResponse([TextPart(answer)])
    return ModelResponse(list(answer) if isinstance(answer, Sequence) else [answer])


def scripted(*answers: Answer, profile: ModelProfile | None = None) -> tuple[FunctionModel, Script]:
    """A model with a script, and the script."""
    script = Script(*answers)
    return FunctionModel(script.answer, stream_function=script.stream, profile=profile), script


def call(tool_name: str, args: dict[str, object] | str | None = None, id: str | None = None) -> ToolCallPart:
    """A tool call; its id is the tool's name unless given."""
    return ToolCallPart(tool_name, args, id or tool_name)
