"""LangChain's tools, without LangChain: its tools are known by what they can do."""

from typing import Any

from app.ai import Agent, ToolReturnPart
from app.ai.ext.langchain import LangChainToolset, tool_from_langchain
from tests.ai.scripted import call, scripted


class Listing:
    name = "list_directory"
    description = "List a directory."

    @property
    def args(self) -> dict[str, Any]:
        return {"path": {"type": "string"}, "depth": {"type": "integer", "default": 2}}

    def get_input_jsonschema(self) -> dict[str, Any]:
        return {"type": "object", "properties": self.args}

    def run(self, tool_input: dict[str, Any], /) -> str:
        return f"{tool_input['path']} down to {tool_input['depth']}"


def test_a_langchain_tool_keeps_its_name_description_and_schema():
    definition = tool_from_langchain(Listing()).tool_def
    assert (definition.name, definition.description) == ("list_directory", "List a directory.")
    assert definition.parameters_json_schema == {
        "type": "object",
        "properties": Listing().args,
        "required": ["path"],
        "additionalProperties": False,
    }


async def test_a_langchain_tool_runs_with_its_defaults():
    toolset = LangChainToolset([Listing()], id="files")
    model, script = scripted(call("list_directory", {"path": "/"}), "done")
    await Agent(model, toolsets=[toolset]).run("go")
    [part] = script.last_request.parts
    assert isinstance(part, ToolReturnPart)
    assert part.content == "/ down to 2"
    assert toolset.id == "files"
