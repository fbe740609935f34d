"""Asking several models in turn, and asking one only so often at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.ai import Agent, ModelAPIError, ModelHTTPError, UserError
from app.ai.concurrency import AbstractConcurrencyLimiter, ConcurrencyLimit, ConcurrencyLimiter
from app.ai.exceptions import ConcurrencyLimitExceeded, FallbackExceptionGroup, UnexpectedModelBehavior
from app.ai.messages import ModelMessage, ModelResponse, TextPart
from app.ai.models.concurrency import ConcurrencyLimitedModel, limit_model_concurrency
from app.ai.models.fallback import FallbackModel
from app.ai.models.function import AgentInfo, FunctionModel
from app.ai.models.test import TestModel
from app.ai.settings import ModelSettings


def failing(error: Exception, name: str = "broken") -> FunctionModel:
    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        raise error

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        raise error
        yield ""

    return FunctionModel(answer, stream_function=stream, model_name=name)


def saying(text: str, settings: ModelSettings | None = None) -> FunctionModel:
    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse([TextPart(f"{text} {info.model_settings}")])

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        yield f"{text} {info.model_settings}"

    return FunctionModel(answer, stream_function=stream, model_name=text, settings=settings)


DOWN = ModelHTTPError(503, "broken")


async def test_the_next_model_answers_with_its_own_settings_when_one_fails():
    model = FallbackModel(failing(DOWN), saying("second", {"temperature": 1.0}))
    result = await Agent(model).run("go", model_settings={"max_tokens": 5})
    assert result.output == "second {'temperature': 1.0, 'max_tokens': 5}"
    assert result.response.model_name == "second"
    assert (model.model_name, model.system) == ("fallback:broken,second", "fallback:function,function")


async def test_a_stream_falls_back_until_it_is_open():
    async with Agent(FallbackModel(failing(DOWN), saying("second"))).run_stream("go") as result:
        assert await result.get_output() == "second None"


@pytest.mark.parametrize("streaming", [False, True])
async def test_when_all_fail_the_group_tells_why(streaming: bool):
    agent = Agent(FallbackModel(failing(DOWN), failing(ModelAPIError("other", "gone"))))
    with pytest.raises(FallbackExceptionGroup, match="All models") as caught:
        if streaming:
            async with agent.run_stream("go"):
                pass
        else:
            await agent.run("go")
    assert [str(error) for error in caught.value.exceptions] == [str(DOWN), "gone"]


async def test_other_errors_leave_at_once_unless_fallback_on_names_them():
    models = failing(KeyError("mine")), saying("second")
    with pytest.raises(KeyError):
        await Agent(FallbackModel(*models)).run("go")
    assert (await Agent(FallbackModel(*models, fallback_on=KeyError)).run("go")).output == "second None"
    assert (await Agent(FallbackModel(*models, fallback_on=lambda error: "mine" in str(error))).run("go")).output


async def test_a_function_of_the_response_may_refuse_it():
    async def is_first(response: ModelResponse) -> bool:
        return response.model_name == "first"

    model = FallbackModel(saying("first"), saying("second"), fallback_on=[ModelAPIError, is_first])
    assert (await Agent(model).run("go")).output == "second None"
    with pytest.raises(FallbackExceptionGroup) as caught:
        await Agent(FallbackModel(saying("first"), fallback_on=is_first)).run("go")
    assert isinstance(caught.value.exceptions[0], UnexpectedModelBehavior)


def test_a_fallback_is_named_after_its_models():
    model = FallbackModel(TestModel(), saying("other"))
    assert (model.model_name, model.system) == ("fallback:test,other", "fallback:test,function")
    assert (model.model_id, model.label) == ("fallback:test:test,function:other", "Test, else Other")


async def test_models_are_opened_and_closed_together():
    class Counting(TestModel):
        users = 0

        async def __aenter__(self):
            self.users += 1
            return self

        async def __aexit__(self, *args: object):
            self.users -= 1

    first, second = Counting(), Counting()
    async with FallbackModel(first, second):
        assert (first.users, second.users) == (1, 1)
    assert (first.users, second.users) == (0, 0)


def test_an_unknown_fallback_is_refused_at_once():
    with pytest.raises(UserError):
        FallbackModel(TestModel(), "nobody:x")


class Gate:
    """Counts those inside, and lets them out when told."""

    def __init__(self) -> None:
        self.inside = self.most = 0
        self.open = asyncio.Event()
        self.full = asyncio.Event()

    async def answer(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.full.set()
        await self.open.wait()
        self.inside -= 1
        return ModelResponse([TextPart("done")])


@pytest.mark.parametrize("limited", ["agent", "model"])
async def test_no_more_than_the_limit_go_on_at_once(limited: str):
    gate = Gate()
    limiter = ConcurrencyLimiter(2, name="pool")
    model = FunctionModel(gate.answer)
    if limited == "agent":
        agent = Agent(model, max_concurrency=limiter)
    else:
        agent = Agent(ConcurrencyLimitedModel(model, limiter))
    async with asyncio.TaskGroup() as group:
        runs = [group.create_task(agent.run("go")) for _ in range(5)]
        await gate.full.wait()
        async with asyncio.timeout(5):
            while limiter.waiting_count < 3:
                await asyncio.sleep(0)
        assert (limiter.running_count, limiter.available_count, limiter.name) == (2, 0, "pool")
        gate.open.set()
    assert [run.result().output for run in runs] == ["done"] * 5
    assert gate.most == 2 and limiter.running_count == 0


async def test_a_full_queue_refuses_and_a_failed_or_cancelled_run_gives_its_slot_back():
    gate = Gate()
    agent = Agent(FunctionModel(gate.answer), max_concurrency=ConcurrencyLimit(1, max_queued=1))
    limiter = agent.concurrency_limiter
    assert isinstance(limiter, ConcurrencyLimiter)
    running = asyncio.create_task(agent.run("go"))
    await gate.full.wait()
    waiting = asyncio.create_task(agent.run("go"))
    async with asyncio.timeout(5):
        while limiter.waiting_count < 1:
            await asyncio.sleep(0)
    with pytest.raises(ConcurrencyLimitExceeded, match="max_queued=1"):
        await agent.run("go")
    for task in (waiting, running):
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert (limiter.running_count, limiter.waiting_count) == (0, 0)
    gate.open.set()
    assert (await agent.run("go")).output == "done"


async def test_a_slot_that_comes_while_the_wait_is_given_up_is_not_lost():
    limiter = ConcurrencyLimiter(1)
    await limiter.acquire("first")
    waiting = asyncio.create_task(limiter.acquire("second"))
    await asyncio.sleep(0)
    limiter.release()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert limiter.running_count == 0


async def test_a_wait_for_a_slot_is_a_span_and_a_free_slot_has_none():
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    limiter = ConcurrencyLimiter(1, max_queued=3, name="pool", tracer=provider.get_tracer("test"))
    await limiter.acquire("first")
    waiting = asyncio.create_task(limiter.acquire("second"))
    async with asyncio.timeout(5):
        while limiter.waiting_count < 1:
            await asyncio.sleep(0)
    limiter.release()
    await waiting
    (span,) = exporter.get_finished_spans()
    assert span.name == "waiting for pool concurrency"
    assert dict(span.attributes or {}) == {
        "source": "second",
        "waiting_count": 1,
        "max_running": 1,
        "max_queued": 3,
        "limiter_name": "pool",
    }


async def test_a_limiter_of_ones_own_is_told_who_asks():
    log: list[str] = []

    class Mine(AbstractConcurrencyLimiter):
        async def acquire(self, source: str) -> None:
            log.append(source)

        def release(self) -> None:
            log.append("released")

    assert (await Agent(TestModel(), name="mine", max_concurrency=Mine()).run("go")).output
    async with Agent(ConcurrencyLimitedModel(TestModel(), Mine()), name="x").run_stream("go") as result:
        await result.get_output()
    assert log == ["agent:mine", "released", "model:test", "released"]


def test_no_limit_leaves_the_model_as_it_is():
    model = TestModel()
    assert limit_model_concurrency(model, None) is model
    assert isinstance(limit_model_concurrency(model, 3), ConcurrencyLimitedModel)
    with pytest.raises(ValueError, match="at least 1"):
        ConcurrencyLimiter(0)
