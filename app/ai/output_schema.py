"""How an output specification turns into what the model is offered, and into processors of what it sends."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from types import NoneType, UnionType
from typing import Any, Generic, Literal, Union, cast, get_args, get_origin

from pydantic import TypeAdapter
from typing_extensions import TypeAliasType

from app.ai.deferred import DeferredToolRequests
from app.ai.exceptions import UserError
from app.ai.json_schema import free_name, with_shared_definitions
from app.ai.messages import BinaryImage
from app.ai.output import (
    NativeOutput,
    OutputDataT,
    OutputMode,
    OutputObjectDefinition,
    OutputSpec,
    PromptedOutput,
    TextOutput,
    ToolOutput,
)
from app.ai.output_processors import (
    ObjectProcessor,
    PlainText,
    TextFunction,
    TextProcessor,
    UnionProcessor,
    is_function,
    object_processor,
    return_type,
    union_of,
)
from app.ai.profiles import ModelProfile
from app.ai.run_context import AgentDepsT, RunContext
from app.ai.texts import OUTPUT_TOOL_DESCRIPTION
from app.ai.tools import ToolDefinition
from app.ai.toolsets.abstract import AbstractToolset, ToolsetTool

OUTPUT_TOOL_NAME = "final_result"
_NOT_IN_TOOL_NAMES = re.compile(r"[^a-zA-Z0-9_-]")


class OutputToolset(AbstractToolset[AgentDepsT]):
    """The tools by which a model gives its output."""

    def __init__(self, outputs: Sequence[ToolOutput[Any]]):
        self.max_retries = 1
        """The budget of each tool that has none of its own."""
        self.processors: dict[str, ObjectProcessor] = {}
        self._definitions: dict[str, ToolDefinition] = {}
        self._own_retries: dict[str, int | None] = {}
        for output in outputs:
            processor = object_processor(output.output)
            several = len(outputs) > 1
            tool_name = self._free_name(output.name or _tool_name(processor, several), given=output.name)
            self.processors[tool_name] = processor
            self._own_retries[tool_name] = output.max_retries
            self._definitions[tool_name] = ToolDefinition(
                name=tool_name,
                description=_describe(processor, output.description, several),
                parameters_json_schema=processor.json_schema,
                outer_typed_dict_key=processor.outer_key,
                strict=output.strict,
                kind="output",
            )

    def with_max_retries(self, max_retries: int) -> OutputToolset[AgentDepsT]:
        """The same tools with the budget of a run."""
        changed = copy(self)
        changed.max_retries = max_retries
        return changed

    @property
    def id(self) -> str:
        return "<output>"

    @property
    def label(self) -> str:
        return "the agent's output tools"

    @property
    def tool_defs(self) -> list[ToolDefinition]:
        """The definitions of all output tools."""
        return list(self._definitions.values())

    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        return {
            name: ToolsetTool(
                toolset=self,
                tool_def=definition,
                max_retries=self.max_retries if (own := self._own_retries[name]) is None else own,
                args_validator=self.processors[name],
            )
            for name, definition in self._definitions.items()
        }

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[AgentDepsT], tool: ToolsetTool[AgentDepsT]
    ) -> Any:
        return await self.processors[name].call(tool_args, ctx)

    def _free_name(self, name: str, *, given: str | None) -> str:
        if given is not None and given in self.processors:
            raise UserError(f"Two outputs are named {name!r}; give one of them another `ToolOutput(name=...)`")
        return free_name(name, self.processors)


def _tool_name(processor: ObjectProcessor, several: bool) -> str:
    return f"{OUTPUT_TOOL_NAME}_{_NOT_IN_TOOL_NAMES.sub('', processor.name)}" if several else OUTPUT_TOOL_NAME


def _describe(processor: ObjectProcessor, given: str | None, several: bool) -> str:
    if description := _joined(given, processor.description):
        return description
    return f"{processor.name}: {OUTPUT_TOOL_DESCRIPTION}" if several else OUTPUT_TOOL_DESCRIPTION


def _joined(given: str | None, own: str | None) -> str | None:
    """The description that is given with an output, and that of its type."""
    return f"{given.rstrip('.')}. {own}" if given and own else given or own


@dataclass(kw_only=True)
class OutputSchema(Generic[OutputDataT]):
    """Everything that can be the output of a run."""

    mode: OutputMode
    text: TextProcessor | None = None
    """What becomes of a plain text; None if text is no output."""
    json: ObjectProcessor | UnionProcessor | None = None
    """What becomes of a text that is JSON, in native and prompted mode."""
    object_definition: OutputObjectDefinition | None = None
    prompted_template: str | Literal[False] | None = None
    toolset: OutputToolset[Any] | None = None
    allows_none: bool = False
    allows_image: bool = False
    allows_deferred_tools: bool = False
    result_type: Any = Any
    """The type of the output, as far as it is known."""

    def text_processor(self, profile: ModelProfile) -> TextProcessor | None:
        """What makes an output of a response's text, given what `auto` means for the model."""
        return self.json if self.mode in ("auto", "native", "prompted") else self.text

    def mode_for(self, profile: ModelProfile) -> OutputMode:
        """How a model gives the output."""
        return profile.default_structured_output_mode if self.mode == "auto" else self.mode

    @property
    def tool_defs(self) -> list[ToolDefinition]:
        """The output tools."""
        return self.toolset.tool_defs if self.toolset else []


@dataclass
class _Outputs:
    """An output specification, sorted by kind."""

    texts: list[TextProcessor] = field(default_factory=list[TextProcessor])
    tools: list[ToolOutput[Any]] = field(default_factory=list[ToolOutput[Any]])
    by_tool: bool = False
    """Whether a `ToolOutput` says that the output comes by tool; bare types leave it to the model's profile."""
    markers: list[NativeOutput[Any] | PromptedOutput[Any]] = field(
        default_factory=list[NativeOutput[Any] | PromptedOutput[Any]]
    )
    none: bool = False
    image: bool = False
    deferred: bool = False

    def add(self, output: Any) -> None:
        match output:
            case ToolOutput():
                _refuse_markers_inside(output, [cast("ToolOutput[Any]", output).output])
                self.tools.append(cast("ToolOutput[Any]", output))
                self.by_tool = True
            case NativeOutput() | PromptedOutput():
                self.markers.append(cast("NativeOutput[Any] | PromptedOutput[Any]", output))
            case TextOutput():
                self.texts.append(TextFunction(cast("TextOutput[Any]", output).output_function))
            case _ if output is str:
                self.texts.append(PlainText())
            case _ if output in (None, NoneType):
                self.none = True
            case _ if output is DeferredToolRequests:
                self.deferred = True
            case _ if output is BinaryImage:
                self.image = True
            case _:
                if isinstance(output, str | bytes | int | float | Mapping):
                    raise UserError(
                        f"`output_type` takes types, functions and markers such as ToolOutput, not {output!r}"
                    )
                self.tools.append(ToolOutput(output))

    def check(self) -> None:
        """Raise `UserError` for what cannot go together."""
        if not (self.tools or self.markers or self.texts or self.image):
            if not (self.none or self.deferred):
                raise UserError("There is no output type; give at least one, such as str")
            lone = "None" if self.none else "DeferredToolRequests"
            raise UserError(f"{lone} cannot be the only output; put a type beside it, such as str")
        if len(self.texts) > 1:
            raise UserError("An agent can have only one text output: str or one TextOutput")
        if self.markers and (len(self.markers) > 1 or self.tools or self.texts):
            name = type(self.markers[0]).__name__
            raise UserError(f"{name} must be the only structured output; put all types into the one {name}([...])")


def output_schema(spec: OutputSpec[OutputDataT]) -> OutputSchema[OutputDataT]:
    """Read an output specification. Raises `UserError` if its parts cannot go together."""
    outputs = _Outputs()
    for output in _flatten(spec):
        outputs.add(output)
    outputs.check()
    schema = _marker_schema(outputs) if outputs.markers else _tool_or_text_schema(outputs)
    schema.allows_none = outputs.none
    schema.allows_image = outputs.image
    schema.allows_deferred_tools = outputs.deferred
    schema.result_type = union_of(list(_result_types(spec)))
    return schema


def output_json_schema(spec: OutputSpec[Any]) -> dict[str, Any]:
    """The JSON schema of everything that can be the output, in the order of the specification."""
    schemas: list[dict[str, Any]] = []
    for type_ in _result_types(spec):
        adapter: TypeAdapter[Any] = TypeAdapter(type_)
        schema = adapter.json_schema(mode="serialization")
        schemas += [] if schema in schemas else [schema]
    if len(schemas) == 1:
        return schemas[0]
    options, definitions = with_shared_definitions(schemas)
    return {"anyOf": options, "$defs": definitions} if definitions else {"anyOf": options}


def _result_types(spec: Any) -> Iterator[Any]:
    for output in _flatten(spec):
        match output:
            case ToolOutput():
                yield from _result_types(cast("ToolOutput[Any]", output).output)
            case NativeOutput() | PromptedOutput():
                yield from _result_types(cast("NativeOutput[Any] | PromptedOutput[Any]", output).outputs)
            case TextOutput():
                yield from _flatten(return_type(cast("TextOutput[Any]", output).output_function))
            case _ if is_function(output):
                yield from _flatten(return_type(output))
            case _:
                yield output


def _flatten(spec: Any) -> Iterator[Any]:
    if isinstance(spec, TypeAliasType):
        spec = spec.__value__
    if isinstance(spec, Sequence) and not isinstance(spec, str):
        for item in cast("Sequence[Any]", spec):
            yield from _flatten(item)
    elif get_origin(spec) in (Union, UnionType):
        for item in get_args(spec):
            yield from _flatten(item)
    else:
        yield spec


def _marker_schema(outputs: _Outputs) -> OutputSchema[Any]:
    marker = outputs.markers[0]
    types = list(_flatten(marker.outputs))
    if not types:
        raise UserError(f"{type(marker).__name__}(...) needs at least one type or function")
    _refuse_markers_inside(marker, types)
    if any(output in (None, NoneType, DeferredToolRequests, BinaryImage) for output in types):
        kind = type(marker).__name__
        raise UserError(f"Put None, DeferredToolRequests and BinaryImage beside {kind}(...), not inside")
    options = [object_processor(output) for output in types]
    processor, definition = _json_output(options, marker.name, marker.description)
    if isinstance(marker, NativeOutput):
        definition.strict = marker.strict
    return OutputSchema(
        mode="native" if isinstance(marker, NativeOutput) else "prompted",
        json=processor,
        object_definition=definition,
        prompted_template=marker.template,
    )


def _refuse_markers_inside(marker: Any, outputs: Sequence[Any]) -> None:
    for output in outputs:
        if isinstance(output, ToolOutput | NativeOutput | PromptedOutput | TextOutput):
            outer, inner = type(marker).__name__, type(cast("object", output)).__name__
            raise UserError(f"{outer}(...) takes types and functions, not {inner}(...); put the two side by side")


def _tool_or_text_schema(outputs: _Outputs) -> OutputSchema[Any]:
    text = outputs.texts[0] if outputs.texts else None
    if not outputs.tools:
        mode: OutputMode = "text" if text else "image"
        return OutputSchema(mode=mode, text=text)
    toolset = OutputToolset[Any]([*outputs.tools, *([ToolOutput(NoneType)] if outputs.none else [])])
    schema: OutputSchema[Any] = OutputSchema(mode="tool", text=text, toolset=toolset)
    if text is None and not outputs.by_tool:
        options = [processor for processor in toolset.processors.values() if not processor.is_none]
        schema.mode = "auto"
        schema.json, schema.object_definition = _json_output(options)
    return schema


def _json_output(
    options: Sequence[ObjectProcessor], name: str | None = None, description: str | None = None
) -> tuple[ObjectProcessor | UnionProcessor, OutputObjectDefinition]:
    processor = options[0] if len(options) == 1 else UnionProcessor(options)
    definition = OutputObjectDefinition(
        json_schema=processor.json_schema,
        name=name or (_NOT_IN_TOOL_NAMES.sub("", options[0].name) if len(options) == 1 else None),
        description=_joined(description, options[0].description if len(options) == 1 else None),
    )
    return processor, definition
