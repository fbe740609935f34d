"""The workflow `holdfast.run`: load the agent and its history, drive the loop, record the outcome. [replay-sensitive]

drive → result                     recorded as the run's output
      → deferred calls → decide → drive again (parked meanwhile, if the decisions are not there yet)
      → error                      recorded as RunError, whatever was raised
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, cast

import structlog
from dbos import DBOS
from pydantic import TypeAdapter

from app.ai import Agent
from app.ai.callbacks import call_user_function
from app.ai.mcp import opened_on_demand
from app.ai.messages import ModelRequest
from app.ai.retries import use_cooldowns
from app.ai.run import AgentRunResult
from app.ai.steps import use_steps
from app.ai.threads import use_executor
from app.ai.tools import DeferredToolRequests, DeferredToolResults
from app.ai.usage import RunUsage
from app.durable import history, names
from app.durable.dbos_internals import ControlError, OwnershipLost, current_owner
from app.durable.decisions import decide
from app.durable.failures import Departure, RunError
from app.durable.inputs import RunInput
from app.durable.journal import Instruments, Journal
from app.durable.outputs import checked_dict
from app.durable.pauses import SharedCooldowns
from app.durable.serializer import to_json
from app.durable.spec_agents import SpecAgents
from app.durable.steps import DurableSteps, follow_model
from app.telemetry import bind_run

log: Any = structlog.get_logger(__name__)

MAX_RECOVERY_ATTEMPTS = 20

DepsProvider = Callable[[dict[str, Any]], Any]
"""Makes the dependencies of an execution of what the request says; may be async."""

_request: TypeAdapter[ModelRequest] = TypeAdapter(ModelRequest)
_usage: TypeAdapter[RunUsage] = TypeAdapter(RunUsage)


@dataclass(frozen=True)
class RunExecutor:
    """Executes runs of the given agents in this process."""

    agents: Mapping[str, Agent[Any, Any]]
    spec_agents: SpecAgents
    instruments: Instruments
    threads: Executor
    """Where synchronous tools run: never DBOS's own threads, which its checkpoints need."""
    providers: Mapping[str, DepsProvider]

    async def execute(self, run: RunInput, run_id: str) -> dict[str, Any]:
        """One execution of a run, from its start or from where an earlier execution stopped."""
        agent = await self._agent(run)
        steps = DurableSteps(Journal(self.instruments, run_id, current_owner()))
        cooldowns = SharedCooldowns(self.instruments.engine)
        with use_steps(steps), use_executor(self.threads), use_cooldowns(cooldowns), opened_on_demand():
            result = await self._drive(agent, run, steps)
        return outcome_json(result)

    async def _drive(self, agent: Agent[Any, Any], run: RunInput, steps: DurableSteps) -> AgentRunResult[Any]:
        usage = RunUsage()
        settings: dict[str, Any] = {
            "conversation_id": run.conversation_id,
            "model": run.model,
            "model_settings": run.model_settings,
            "usage_limits": run.usage_limits,
            "metadata": run.metadata,
            "usage": usage,
            "event_stream_handler": follow_model,
            "deps": await self._deps(run),
            "output_type": None if run.output_schema is None else checked_dict(run.output_schema),
        }
        earlier = await history.load(self.instruments.engine, run.history)
        result = await agent.run(run.prompt, message_history=earlier, **settings)
        while isinstance(result.output, DeferredToolRequests):
            decided: DeferredToolResults = await decide(steps, result.output, closing_request(result), usage)
            result = await agent.run(message_history=result.all_messages(), deferred_tool_results=decided, **settings)
        return result

    async def _deps(self, run: RunInput) -> Any:
        """The dependencies of this execution. What a provider makes is never recorded: it may hold secrets."""
        provider = None if run.spec_version is not None else self.providers.get(run.agent)
        if provider is None:
            return run.deps
        return await call_user_function(provider, run.deps or {})

    async def _agent(self, run: RunInput) -> Agent[Any, Any]:
        if run.spec_version is not None:
            return await self.spec_agents.agent(run.agent, run.spec_version)
        name = run.agent
        if name not in self.agents:
            known = ", ".join(sorted(self.agents)) or "none"
            raise RunError(
                "UnknownAgent", f"This worker has no agent {name!r} (it has: {known}). Deploy it, then resume."
            )
        return self.agents[name]


def outcome_json(result: AgentRunResult[Any]) -> dict[str, Any]:
    """The recorded outcome of a successful run."""
    return {
        "status": "succeeded",
        "output": to_json(result.output),
        "output_type": type(result.output).__name__,
        "usage": _usage.dump_python(result.usage(), mode="json"),
        "closing_request": closing_request(result),
    }


def closing_request(result: AgentRunResult[Any]) -> dict[str, Any] | None:
    """The request that answers the tool calls of the last response, when the loop ended with one."""
    last = result.all_messages()[-1]
    return _request.dump_python(last, mode="json") if isinstance(last, ModelRequest) else None


_executor: RunExecutor | None = None


def serve_runs(executor: RunExecutor | None) -> None:
    """Let this process's `holdfast.run` workflows be executed by `executor`; None to stop."""
    global _executor
    _executor = executor


@DBOS.workflow(name=names.RUN_WORKFLOW, max_recovery_attempts=MAX_RECOVERY_ATTEMPTS)
async def run_workflow(spec: dict[str, Any]) -> dict[str, Any]:
    """The registered workflow. Every way out is one that DBOS can record, or one that is meant to record nothing."""
    run_id = DBOS.workflow_id
    if _executor is None or run_id is None:
        raise RunError("WorkerNotReady", "This process does not execute runs.")
    bind_run(run_id)
    log.info("run begins", agent=spec.get("agent"))
    try:
        outcome = await _executor.execute(RunInput.model_validate(spec), run_id)
        log.info("run succeeded")
        return outcome
    except BaseException as error:
        way = way_out(error, run_id)
        log.info("run stops", why=way.type if isinstance(way, RunError) else type(way).__name__)
        if way is error:
            raise
        raise way from error


def way_out(error: BaseException, run_id: str) -> BaseException:
    """What to raise from the workflow for an error inside it.

    DBOS writes no outcome for a BaseException of ours: such a run would stay PENDING for ever on a live worker.
    """
    leaves = list(_leaves(error))
    for leaf in leaves:
        if isinstance(leaf, ControlError | Departure):
            return leaf
    first = leaves[0]
    if isinstance(first, asyncio.CancelledError):
        task = asyncio.current_task()
        # Our own task is cancelled when the worker stops: the run goes on elsewhere, so nothing may be recorded.
        if task is not None and task.cancelling():
            return OwnershipLost(run_id)
    return RunError.of(first)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        for inner in group.exceptions:
            yield from _leaves(inner)
    else:
        yield error
