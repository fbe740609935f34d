"""What a type checker knows about agents. Nothing here runs: `make types` reads it."""

from __future__ import annotations

from typing import assert_type

from pydantic import BaseModel

from app.ai import Agent, AgentRunResult, DeferredToolRequests, ModelRequest, RunContext, ToolOutput


class Foo(BaseModel):
    x: int


class Bar(BaseModel):
    y: int


def make_bool(x: int) -> bool:
    return bool(x)


async def make_int(x: int) -> int:
    return x


plain = Agent("test", defer_model_check=True)
assert_type(plain, Agent[None, str])
assert_type(Agent(output_type=Foo), Agent[None, Foo])
assert_type(Agent(output_type=[Foo, Bar]), Agent[None, Foo | Bar])
assert_type(Agent(output_type=[Foo, str, DeferredToolRequests]), Agent[None, Foo | str | DeferredToolRequests])
assert_type(Agent(output_type=make_bool), Agent[None, bool])
assert_type(Agent(output_type=make_int), Agent[None, int])
foo = Agent(deps_type=int, output_type=ToolOutput(Foo))
assert_type(foo, Agent[int, Foo])


@foo.tool(retries=2, idempotent=True)
def read(ctx: RunContext[int], path: str) -> str:
    return path * ctx.deps


@foo.output_validator
def check(ctx: RunContext[int], output: Foo) -> Foo:
    return output


async def results() -> None:
    assert_type((await foo.run("go", deps=1)).output, Foo)
    assert_type((await foo.run("go", deps=1, output_type=bool)).output, bool)
    assert_type(read(RunContext(deps=1, model=..., usage=...), "x"), str)  # pyright: ignore[reportArgumentType]
    await foo.run("go", deps="not an int")  # pyright: ignore[reportArgumentType]
    async with foo.iter("go", deps=1) as run:
        async for node in run:
            if foo.is_model_request_node(node):
                assert_type(node.request, ModelRequest)
    assert_type(run.result, AgentRunResult[Foo] | None)
