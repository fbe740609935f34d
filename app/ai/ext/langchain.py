"""LangChain's tools as tools of an agent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from app.ai.tools import ObjectJsonSchema, Tool
from app.ai.toolsets import FunctionToolset

__all__ = "LangChainTool", "LangChainToolset", "tool_from_langchain"


class LangChainTool(Protocol):
    """What is used of a LangChain tool."""

    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def args(self) -> dict[str, Any]: ...
    def get_input_jsonschema(self) -> ObjectJsonSchema: ...
    def run(self, tool_input: dict[str, Any], /) -> Any: ...


def tool_from_langchain(langchain_tool: LangChainTool) -> Tool[Any]:
    """The tool with its own schema. LangChain validates the arguments when it runs; defaults are filled in before."""
    arguments = langchain_tool.args
    defaults = {name: argument["default"] for name, argument in arguments.items() if "default" in argument}
    required = sorted(arguments.keys() - defaults.keys())
    schema = {"additionalProperties": False, **langchain_tool.get_input_jsonschema()}

    def run(**given: Any) -> Any:
        return langchain_tool.run({**defaults, **given})

    return Tool.from_schema(
        run,
        name=langchain_tool.name,
        description=langchain_tool.description,
        json_schema={**schema, "required": required} if required else schema,
    )


class LangChainToolset(FunctionToolset[Any]):
    """LangChain tools as a toolset."""

    def __init__(self, tools: Sequence[LangChainTool], *, id: str | None = None):
        super().__init__([tool_from_langchain(tool) for tool in tools], id=id)
