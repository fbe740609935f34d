"""Answering the tool calls of one response: output tools first, then functions, then what is answered outside.

Replay-sensitive: which calls are made, and in which order they start, may depend on nothing but the messages and
recorded results.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, TypeAlias

from pydantic import ValidationError

from app.ai.capabilities.combined import CombinedCapability
from app.ai.deferred import DeferredToolRequests, DeferredToolResults, ToolApproved, answers_by_id
from app.ai.event_stream import Emit
from app.ai.exceptions import ApprovalRequired, CallDeferred, ModelRetry, ToolRetryError, UnexpectedModelBehavior
from app.ai.messages import (
    FunctionToolCallEvent,
    FunctionToolResultEvent,
    ModelRequestPart,
    ModelResponse,
    OutputToolCallEvent,
    RetryPromptPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from app.ai.older_events import output_result_events
from app.ai.output_maker import OutputMaker
from app.ai.parallel import run_in_parallel
from app.ai.result import FinalResult
from app.ai.run_context import RunContext
from app.ai.steps import Steps
from app.ai.texts import (
    FINAL_RESULT_PROCESSED,
    OUTPUT_TOOL_FAILED,
    OUTPUT_TOOL_INVALID,
    OUTPUT_TOOL_NOT_USED,
    output_retries_exceeded,
    tool_retries_exceeded,
)
from app.ai.tool_manager import ToolManager, ValidatedCall, retry_error
from app.ai.tool_outcomes import (
    Answered,
    Deferred,
    ToolOutcome,
    answer_of,
    answer_of_unused,
    budget_exceeded,
    not_executed,
)
from app.ai.usage import RunUsage, UsageLimits

EndStrategy: TypeAlias = Literal["early", "graceful", "exhaustive"]
"""What becomes of the other tool calls of a response that also holds the final result."""

ToolAnswer: TypeAlias = Any
"""What a resumed call is answered with: an approval or denial, a value, a `ToolReturn` or a reason to try again."""


@dataclass(kw_only=True)
class ToolPhase:
    """Answers the tool calls of one response. Await `run`, then read `parts`, `final_result` and `deferred`."""

    response: ModelResponse
    manager: ToolManager
    ctx: RunContext[Any]
    steps: Steps
    outputs: OutputMaker
    end_strategy: EndStrategy
    usage: RunUsage
    usage_limits: UsageLimits
    emit: Emit
    capability: CombinedCapability[Any] = field(default_factory=CombinedCapability[Any])
    answers: Mapping[str, ToolAnswer] | None = None
    """What a resumed run was given for the open calls, by id; calls without an answer are done already."""
    answers_metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])

    final_result: FinalResult[Any] | None = None
    deferred: DeferredToolRequests = field(default_factory=DeferredToolRequests)
    _parts: list[ModelRequestPart] = field(default_factory=list[ModelRequestPart])
    _user_parts: list[ModelRequestPart] = field(default_factory=list[ModelRequestPart])

    @property
    def parts(self) -> list[ModelRequestPart]:
        """The answers, and after them what tools had to show as a user would."""
        return [*self._parts, *self._user_parts]

    async def run(self) -> None:
        """Answer all calls."""
        if self.answers is not None:
            await self._answer_resumed_calls(self.answers)
            await self._answer_deferred_calls()
            return
        await self._answer_output_calls(self._calls("output"))
        await self._answer_function_calls(self._calls("function"), self._calls("unknown"))
        await self._defer_calls([*self._calls("external"), *self._calls("unapproved")])
        await self._answer_deferred_calls()

    @property
    def _ends_deferred(self) -> bool:
        """Whether the result that was taken from a stream are calls that still will be answered."""
        return self.final_result is not None and isinstance(self.final_result.output, DeferredToolRequests)

    def _calls(self, kind: str) -> list[ToolCallPart]:
        return [call for call in self.response.tool_calls if self.manager.kind_of(call) == kind]

    # Output tools

    async def _answer_output_calls(self, calls: list[ToolCallPart]) -> None:
        streamed = next((call for call in calls if self._gave_result(call)), None)
        for call in calls:
            if call is streamed:
                # Its output was taken from the stream already.
                await self.emit(event := OutputToolCallEvent(call, args_valid=True))
                part = ToolReturnPart(call.tool_name, FINAL_RESULT_PROCESSED, call.tool_call_id)
            elif self.final_result is not None and self.end_strategy != "exhaustive":
                await self.emit(event := OutputToolCallEvent(call, args_valid=None))
                part = ToolReturnPart(call.tool_name, OUTPUT_TOOL_NOT_USED, call.tool_call_id)
            else:
                validated = await self.manager.validate(call, self.ctx)
                await self.emit(event := OutputToolCallEvent(call, args_valid=validated.valid))
                part = await self._answer_output_call(validated)
            self._parts.append(part)
            for told in output_result_events(event, part):
                await self.emit(told)

    def _gave_result(self, call: ToolCallPart) -> bool:
        return self.final_result is not None and self.final_result.tool_call_id == call.tool_call_id

    async def _answer_output_call(self, validated: ValidatedCall) -> ToolReturnPart | RetryPromptPart:
        call = validated.call
        if validated.error is not None:
            return self._output_failure(call, validated.error, OUTPUT_TOOL_INVALID)
        try:
            output = await self._output_of(validated)
        except (ValidationError, ModelRetry) as err:
            return self._output_failure(call, retry_error(call, err), OUTPUT_TOOL_FAILED)
        if self.final_result is None:
            self.final_result = FinalResult(output, call.tool_name, call.tool_call_id)
        return ToolReturnPart(call.tool_name, FINAL_RESULT_PROCESSED, call.tool_call_id)

    async def _output_of(self, validated: ValidatedCall) -> Any:
        toolset = self.outputs.schema.toolset
        assert toolset is not None and validated.tool is not None, "an output tool was called, so there is one"
        processor = toolset.processors[validated.call.tool_name]
        return await self.outputs.of_call(
            processor, validated.args, validated.ctx, validated.call, validated.tool.tool_def
        )

    def _output_failure(
        self, call: ToolCallPart, error: ToolRetryError, text_when_unused: str
    ) -> ToolReturnPart | RetryPromptPart:
        if self.final_result is not None:
            return ToolReturnPart(call.tool_name, text_when_unused, call.tool_call_id)
        if not self.manager.count_failure(call):
            raise self._budget_exceeded(output_retries_exceeded(self.manager.budget_of(call))) from error.__cause__
        return error.tool_retry

    # Function tools

    async def _answer_function_calls(self, calls: list[ToolCallPart], unknown: list[ToolCallPart]) -> None:
        if self.final_result is not None and self.end_strategy == "early":
            self._skip(calls)
            calls = []
        validated = [await self.manager.validate(call, self.ctx) for call in (*calls, *unknown)]
        await self._run_batch({index: call for index, call in enumerate(validated)}, {})

    def _skip(self, calls: list[ToolCallPart]) -> None:
        self._parts += [not_executed(call) for call in calls]

    async def _run_batch(
        self, calls: Mapping[int, ValidatedCall], answered: Mapping[int, Answered], *, told: bool = False
    ) -> None:
        """Make the calls; `answered` are calls of the same batch that need no more. Keys give the order of parts."""
        executable = {index: call for index, call in calls.items() if call.valid}
        self.usage_limits.check_before_tool_call(self._usage_after(len(executable)))
        for index in () if told else sorted({**calls, **answered}):
            await self.emit(
                FunctionToolCallEvent(calls[index].call, args_valid=calls[index].valid)
                if index in calls
                else FunctionToolCallEvent(self.response.tool_calls[index])
            )
        settled = dict(answered)
        for index, validated in calls.items():
            if validated.error is not None:
                settled[index] = Answered(self._function_failure(validated.call, validated.error))
        outcomes = await self._execute(executable, settled)
        for index in sorted(outcomes):
            self._keep(outcomes[index], calls.get(index))

    def _usage_after(self, calls: int) -> RunUsage:
        return self.usage + RunUsage(tool_calls=calls)

    def _keep(self, outcome: ToolOutcome, validated: ValidatedCall | None) -> None:
        if isinstance(outcome, Answered):
            self._parts.append(outcome.part)
            if outcome.content:
                self._user_parts.append(UserPromptPart(outcome.content))
            return
        assert validated is not None, "only a call that was made can be deferred"
        self._defer(validated.call, outcome.kind, outcome.metadata)

    def _function_failure(self, call: ToolCallPart, error: ToolRetryError) -> RetryPromptPart:
        if not self.manager.count_failure(call):
            budget = self.manager.budget_of(call)
            raise self._budget_exceeded(tool_retries_exceeded(call.tool_name, budget)) from error.__cause__
        return error.tool_retry

    async def _execute(
        self, calls: Mapping[int, ValidatedCall], settled: Mapping[int, Answered]
    ) -> dict[int, ToolOutcome]:
        """The outcomes of the calls and of what needs no call any more, each reported in its turn."""
        outcomes: dict[int, ToolOutcome] = {}

        async def report(index: int, outcome: ToolOutcome) -> None:
            if isinstance(outcome, Deferred) and self.final_result is not None and not self._ends_deferred:
                outcome = answer_of_unused(calls[index].call, outcome)
            outcomes[index] = outcome
            if isinstance(outcome, Answered):
                await self.emit(FunctionToolResultEvent(outcome.part, content=outcome.content))

        if calls:
            self.steps.reserve([validated.call for validated in calls.values()])
        indexes = sorted({**calls, **settled})
        if self.manager.must_run_sequentially(list(calls.values())):
            for index in indexes:
                await report(index, settled.get(index) or await self._execute_one(calls[index]))
        elif self.manager.reports_in_order():
            bodies = {
                index: self._execute_one(calls[index]) if index in calls else _as_body(settled[index])
                for index in indexes
            }
            await run_in_parallel(bodies, report, all_first=True)
        else:
            for index, outcome in settled.items():
                await report(index, outcome)
            await run_in_parallel({index: self._execute_one(call) for index, call in calls.items()}, report)
        return outcomes

    async def _execute_one(self, validated: ValidatedCall) -> ToolOutcome:
        call = validated.call
        try:
            value = await self.manager.execute(validated)
        except CallDeferred as err:
            return Deferred("external", err.metadata)
        except ApprovalRequired as err:
            return Deferred("unapproved", err.metadata)
        except ModelRetry as err:
            return Answered(self._function_failure(call, retry_error(call, err)))
        except ToolRetryError as err:
            return Answered(self._function_failure(call, err))
        answer = answer_of(call, value)
        self.usage.tool_calls += 1
        return answer

    # Calls that are answered outside the run

    async def _defer_calls(self, calls: list[ToolCallPart]) -> None:
        if self._ends_deferred:
            return
        if self.final_result is not None:
            self._skip(calls)
            return
        for call in calls:
            validated = await self.manager.validate(call, self.ctx)
            await self.emit(FunctionToolCallEvent(call, args_valid=validated.valid))
            if validated.error is None:
                kind = self.manager.kind_of(call)
                self._defer(call, "unapproved" if kind == "unapproved" else "external", None)
            else:
                part = self._function_failure(call, validated.error)
                self._parts.append(part)
                await self.emit(FunctionToolResultEvent(part))

    def _defer(
        self, call: ToolCallPart, kind: Literal["external", "unapproved"], metadata: dict[str, Any] | None
    ) -> None:
        (self.deferred.calls if kind == "external" else self.deferred.approvals).append(call)
        if metadata is not None:
            self.deferred.metadata[call.tool_call_id] = metadata

    async def _answer_deferred_calls(self) -> None:
        """Let the run's capabilities answer what was deferred; what they leave open stays deferred."""
        requests = self.deferred
        if not self.capability.overrides("handle_deferred_tool_calls") or not (requests.calls or requests.approvals):
            return
        body = partial(self.capability.handle_deferred_tool_calls, self.ctx, requests=requests)
        results = await self.steps.callback("handle_deferred_tool_calls", DeferredToolResults | None, body)
        if results is None:
            return
        requests.build_results(calls=results.calls, approvals=results.approvals, metadata=results.metadata)
        self.deferred = requests.remaining(results) or DeferredToolRequests()
        self.answers_metadata = results.metadata
        # They were told when they were deferred.
        await self._answer_resumed_calls(answers_by_id(results), told=True)

    # Calls that were answered outside the run

    async def _answer_resumed_calls(self, answers: Mapping[str, ToolAnswer], *, told: bool = False) -> None:
        to_make: dict[int, ValidatedCall] = {}
        answered: dict[int, Answered] = {}
        for index, call in enumerate(self.response.tool_calls):
            if call.tool_call_id not in answers:
                continue
            answer = answers[call.tool_call_id]
            if isinstance(answer, ToolApproved):
                to_make[index] = await self._validate_approved(call, answer)
            else:
                answered[index] = answer_of(call, answer)
        await self._run_batch(to_make, answered, told=told)

    async def _validate_approved(self, call: ToolCallPart, approval: ToolApproved) -> ValidatedCall:
        if approval.override_args is not None:
            call = replace(call, args=approval.override_args)
        metadata = self.answers_metadata.get(call.tool_call_id)
        return await self.manager.validate(call, self.ctx, approved=True, metadata=metadata)

    def _budget_exceeded(self, message: str) -> UnexpectedModelBehavior:
        return budget_exceeded(message, self.response)


async def _as_body(outcome: ToolOutcome) -> ToolOutcome:
    return outcome
