"""Tools of providers as capabilities, and the tools of ours that stand in for them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from app.ai import Agent, BinaryImage, RunContext, UserError
from app.ai.capabilities import (
    MCP,
    AbstractCapability,
    ImageGeneration,
    NativeTool,
    ToolSearch,
    WebFetch,
    WebSearch,
    XSearch,
)
from app.ai.messages import FilePart, ModelResponse, ToolReturnPart
from app.ai.models.test import TestModel
from app.ai.native_tools import (
    NATIVE_TOOL_TYPES,
    AbstractNativeTool,
    CodeExecutionTool,
    ImageGenerationTool,
    MCPServerTool,
    ToolSearchTool,
    WebFetchTool,
    WebSearchTool,
    XSearchTool,
)
from app.ai.profiles import ModelProfile
from app.ai.tools import Tool
from app.ai.toolsets import FunctionToolset
from tests.ai.scripted import call, scripted

WITHOUT = ModelProfile(supported_native_tools=frozenset())


def search(query: str) -> str:
    """Search."""
    return f"found {query}"


def offered(script: Any) -> tuple[list[str], list[Any]]:
    parameters = script.infos[0].model_request_parameters
    return [tool.name for tool in parameters.function_tools], parameters.native_tools


@pytest.mark.parametrize("local", [search, Tool(search), FunctionToolset([search])])
async def test_a_local_tool_stands_in_where_the_model_has_no_native_one(local: Any):
    agent: Agent[None, str] = Agent(capabilities=[WebSearch(local=local, search_context_size="high")])
    model, script = scripted("done")
    await agent.run("go", model=model)
    assert offered(script) == ([], [WebSearchTool(search_context_size="high")])
    model, script = scripted(call("search", {"query": "x"}), "done", profile=WITHOUT)
    await agent.run("go", model=model)
    assert offered(script) == (["search"], [])
    part = script.last_request.parts[0]
    assert isinstance(part, ToolReturnPart) and part.content == "found x"


async def test_without_a_local_tool_such_a_model_is_refused():
    with pytest.raises(UserError, match="no native tool WebFetchTool, only none; give the capability a `local` tool"):
        await Agent(TestModel(), capabilities=[WebFetch()]).run("go")


async def test_what_only_the_native_tool_can_keep_to_leaves_no_local_tool():
    capability = WebSearch(local=search, allowed_domains=["example.org"])
    assert capability.get_toolset() is None
    with pytest.raises(UserError, match="no native tool WebSearchTool"):
        await Agent(TestModel(), capabilities=[capability]).run("go")
    with pytest.raises(UserError, match="cannot keep to allowed_domains"):
        WebSearch(native=False, local=search, allowed_domains=["example.org"])


async def test_only_the_local_tool():
    model, script = scripted("done")
    await Agent(model, capabilities=[WebSearch(native=False, local=search)]).run("go")
    assert offered(script) == (["search"], [])
    with pytest.raises(UserError, match="neither a native nor a local tool"):
        WebSearch(native=False)
    with pytest.raises(UserError, match="no local tool 'bing'"):
        WebSearch(local="bing")


async def test_a_function_chooses_a_native_tool_for_each_request():
    def choose(ctx: RunContext[bool]) -> WebSearchTool | None:
        return WebSearchTool(max_uses=1) if ctx.deps else None

    for deps, native in ((True, [WebSearchTool(max_uses=1)]), (False, [])):
        model, script = scripted("done")
        await Agent(model, deps_type=bool, capabilities=[WebSearch(native=choose, local=False)]).run("go", deps=deps)
        assert offered(script) == ([], native)


async def test_native_tools_of_agents_and_runs_add_up_and_can_be_overridden():
    model, script = scripted("done", "done")
    agent = Agent(model, capabilities=[NativeTool(WebSearchTool())])
    await agent.run("go", capabilities=[NativeTool(CodeExecutionTool())])
    assert offered(script)[1] == [WebSearchTool(), CodeExecutionTool()]
    with agent.override(native_tools=[WebFetchTool()]):
        await agent.run("go")
    assert script.infos[1].model_request_parameters.native_tools == [WebFetchTool()]


async def test_another_model_makes_images_for_one_that_cannot():
    image = BinaryImage(b"png", media_type="image/png")
    painter, script = scripted(ModelResponse([FilePart(image)]), profile=ModelProfile(supports_image_output=True))
    model, _ = scripted(call("generate_image", {"prompt": "a cat"}), "done", profile=WITHOUT)
    result = await Agent(model, capabilities=[ImageGeneration(fallback_model=painter, quality="high")]).run("go")
    assert result.output == "done" and script.infos[0].model_request_parameters.native_tools == [
        ImageGenerationTool(quality="high")
    ]
    with pytest.raises(UserError, match="`local` or `fallback_model`, not both"):
        ImageGeneration(fallback_model=painter, local=search)


async def test_another_model_searches_posts_for_one_that_cannot():
    searcher, script = scripted("three posts")
    model, asked = scripted(call("x_search", {"query": "cats"}), "done", profile=WITHOUT)
    await Agent(model, capabilities=[XSearch(fallback_model=searcher, allowed_x_handles=["cat"])]).run("go")
    assert script.infos[0].model_request_parameters.native_tools == [XSearchTool(allowed_x_handles=["cat"])]
    part = asked.last_request.parts[0]
    assert isinstance(part, ToolReturnPart) and part.content == "three posts"


def test_a_server_is_used_by_the_provider_or_over_a_connection_of_ours():
    capability = MCP("https://mcp.example.org/sse", authorization_token="secret", allowed_tools=["a"])
    assert list(capability.get_native_tools()) == [
        MCPServerTool(
            id="mcp.example.org-sse",
            url="https://mcp.example.org/sse",
            authorization_token="secret",
            allowed_tools=["a"],
        )
    ]
    toolset = capability.get_toolset()
    assert toolset is not None
    leaves: list[Any] = []
    toolset.apply(leaves.append)
    assert [type(leaf).__name__ for leaf in leaves] == ["MCPServerSSE"] and leaves[0].id == "mcp.example.org-sse"
    assert list(MCP("https://mcp.example.org/mcp", native=False).get_native_tools()) == []


async def test_an_optional_native_tool_is_left_out_where_the_model_has_none():
    agent: Agent[None, str] = Agent(capabilities=[NativeTool(CodeExecutionTool(optional=True))])
    model, script = scripted("done", profile=WITHOUT)
    await agent.run("go", model=model)
    assert offered(script) == ([], [])


async def test_the_provider_searches_tools_where_its_own_strategy_is_asked_for():
    late = Tool(search, defer_loading=True)
    agent: Agent[None, str] = Agent(tools=[late], capabilities=[ToolSearch(strategy="regex")])
    model, script = scripted("done")
    await agent.run("go", model=model)
    assert offered(script) == (["search"], [ToolSearchTool(strategy="regex")])
    with pytest.raises(UserError, match="ToolSearchTool"):
        await agent.run("go", model=scripted("done", profile=WITHOUT)[0])


async def test_the_old_name_of_the_method_still_counts_and_is_told_of():
    class Coder(AbstractCapability[None]):
        def get_builtin_tools(self) -> list[CodeExecutionTool]:
            return [CodeExecutionTool()]

    model, script = scripted("done")
    with pytest.warns(DeprecationWarning, match="use `get_native_tools`"):
        await Agent(model, capabilities=[Coder()]).run("go")
    assert offered(script) == ([], [CodeExecutionTool()])


def test_native_tools_are_read_by_their_kind():
    adapter: TypeAdapter[AbstractNativeTool] = TypeAdapter(AbstractNativeTool)
    for tool in (WebSearchTool(max_uses=2), MCPServerTool(id="a", url="u"), ToolSearchTool(strategy="bm25")):
        assert adapter.validate_python(adapter.dump_python(tool)) == tool
        assert adapter.validate_json(adapter.dump_json(tool)) == tool
    assert NATIVE_TOOL_TYPES["x_search"] is XSearchTool


def test_native_tools_have_names_for_people():
    labels = [tool.label for tool in (WebSearchTool(), MCPServerTool(id="docs", url="u"))]
    assert labels == ["Web Search", "MCP: docs"]


def test_options_of_images_reach_the_native_tool():
    capability: ImageGeneration[None] = ImageGeneration(
        input_fidelity="high", moderation="low", output_compression=50, aspect_ratio="1:1", size="2K"
    )
    wanted = ImageGenerationTool(
        input_fidelity="high", moderation="low", output_compression=50, aspect_ratio="1:1", size="2K"
    )
    assert capability.get_native_tools() == [wanted]
