"""Tools: functions that a model may call, and how they are described to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Concatenate, Generic, Literal, TypeAlias, cast

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import SchemaValidator, core_schema
from typing_extensions import ParamSpec, TypedDict

from app.ai.callbacks import call_user_function, resolve
from app.ai.deferred import (
    DeferredToolApprovalResult,
    DeferredToolCallResult,
    DeferredToolRequests,
    DeferredToolResult,
    DeferredToolResults,
    ToolApproved,
    ToolDenied,
)
from app.ai.docstrings import DocstringFormat
from app.ai.exceptions import UserError
from app.ai.function_schema import FunctionSchema, function_schema
from app.ai.json_schema import GenerateToolJsonSchema
from app.ai.messages import ToolPartKind
from app.ai.native_tools import AgentNativeTool, NativeToolFunc
from app.ai.reprs import repr_without_defaults
from app.ai.run_context import AgentDepsT, RunContext, RunContextAgentDepsT
from app.ai.steps import current_steps

__all__ = (
    "AgentBuiltinTool",
    "AgentDepsT",
    "AgentNativeTool",
    "ArgsValidatorFunc",
    "BuiltinToolFunc",
    "DeferredToolApprovalResult",
    "DeferredToolCallResult",
    "DeferredToolRequests",
    "DeferredToolResult",
    "DeferredToolResults",
    "DocstringFormat",
    "GenerateToolJsonSchema",
    "NativeToolFunc",
    "ObjectJsonSchema",
    "RunContext",
    "RunContextAgentDepsT",
    "SystemPromptFunc",
    "Tool",
    "ToolApproved",
    "ToolDefaults",
    "ToolDefinition",
    "ToolDenied",
    "ToolFuncContext",
    "ToolFuncEither",
    "ToolFuncPlain",
    "ToolKind",
    "ToolOptions",
    "ToolParams",
    "ToolPrepareFunc",
    "ToolSelector",
    "ToolsPrepareFunc",
    "UnnamedToolOptions",
    "matches_tool_selector",
)

ToolParams = ParamSpec("ToolParams", default=...)
"""The parameters of a tool function."""

ObjectJsonSchema: TypeAlias = dict[str, Any]
"""A JSON schema whose type is object."""

ToolKind: TypeAlias = Literal["function", "output", "external", "unapproved"]
"""Who answers a call: a function, the end of the run, someone outside it, or a function once a person agrees."""


def _no_parameters() -> ObjectJsonSchema:
    return {"type": "object", "properties": {}}


@dataclass(repr=False, kw_only=True)
class ToolDefinition:
    """A tool as it is described to the model."""

    name: str
    """The name that the model calls."""
    parameters_json_schema: ObjectJsonSchema = field(default_factory=_no_parameters)
    """The schema of the arguments, always an object."""
    description: str | None = None
    """What the tool does, in words for the model."""
    outer_typed_dict_key: str | None = None
    """The key that wraps an output which is not itself an object."""
    strict: bool | None = None
    """Whether the provider shall enforce the schema; None leaves it to the model's adapter."""
    sequential: bool = False
    """Whether a call to this tool makes its whole batch run one after another."""
    kind: ToolKind = "function"
    """Who answers a call."""
    metadata: dict[str, Any] | None = None
    """Data for the application; the model never sees it."""
    timeout: float | None = None
    """Seconds that one call may take."""
    defer_loading: bool = False
    """Whether the tool stays hidden until it has been searched for."""
    return_schema: ObjectJsonSchema | None = None
    """The schema of what the tool returns, if it is known; in a request only when the model is told."""
    include_return_schema: bool | None = None
    """Whether the model is told the return schema."""
    unless_native: str | None = None
    """The id of the provider's own tool in whose place this one stands, for models that do not have it."""
    tool_kind: ToolPartKind | None = None
    """Which class of message parts holds the calls and their answers, for tools that have their own."""

    @property
    def defer(self) -> bool:
        """Whether a call is answered outside the run."""
        return self.kind in ("external", "unapproved")

    __repr__ = repr_without_defaults


SystemPromptFunc: TypeAlias = (
    Callable[[RunContext[AgentDepsT]], str | None]
    | Callable[[RunContext[AgentDepsT]], Awaitable[str | None]]
    | Callable[[], str | None]
    | Callable[[], Awaitable[str | None]]
)
"""A function that gives a system prompt or instructions."""

ToolFuncContext: TypeAlias = Callable[Concatenate[RunContext[AgentDepsT], ToolParams], Any]
"""A tool function that takes the run's context first."""

ToolFuncPlain: TypeAlias = Callable[ToolParams, Any]
"""A tool function without context."""

ToolFuncEither: TypeAlias = ToolFuncContext[AgentDepsT, ToolParams] | ToolFuncPlain[ToolParams]
"""A tool function with or without context."""

ArgsValidatorFunc: TypeAlias = Callable[Concatenate[RunContext[AgentDepsT], ToolParams], Awaitable[None] | None]
"""Looks at the validated arguments of a call and raises `ModelRetry` if they will not do."""

ToolPrepareFunc: TypeAlias = Callable[
    [RunContext[AgentDepsT], ToolDefinition], Awaitable[ToolDefinition | None] | ToolDefinition | None
]
"""Changes how a tool is described in one step, or hides it by None."""

ToolsPrepareFunc: TypeAlias = Callable[
    [RunContext[AgentDepsT], list[ToolDefinition]], Awaitable[list[ToolDefinition] | None] | list[ToolDefinition] | None
]
"""Changes how a list of tools is described in one step; None hides them all."""


ToolSelector: TypeAlias = (
    Literal["all"]
    | Sequence[str]
    | Mapping[str, Any]
    | Callable[[RunContext[AgentDepsT], ToolDefinition], bool | Awaitable[bool]]
)
"""All tools, tools by name, tools whose metadata holds these values, or what a function picks at each step."""

# Older names.
AgentBuiltinTool = AgentNativeTool
BuiltinToolFunc = NativeToolFunc


async def matches_tool_selector(
    selector: ToolSelector[AgentDepsT], ctx: RunContext[AgentDepsT], tool_def: ToolDefinition
) -> bool:
    """Whether a selector picks a tool."""
    if selector == "all":
        return True
    if isinstance(selector, Mapping):
        return _holds(tool_def.metadata or {}, cast("Mapping[str, Any]", selector))
    if callable(selector):
        return await resolve(selector(ctx, tool_def))
    return tool_def.name in selector


def _holds(held: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    # Mappings inside are looked into; comparing the items as sets would want all values hashable.
    return all(key in held and _fits(held[key], value) for key, value in wanted.items())


def _fits(held: Any, wanted: Any) -> bool:
    if isinstance(held, Mapping) and isinstance(wanted, Mapping):
        return _holds(cast("Mapping[str, Any]", held), cast("Mapping[str, Any]", wanted))
    return held == wanted


class ToolDefaults(TypedDict, total=False):
    """What can be said about all functions of a toolset when they become tools."""

    docstring_format: DocstringFormat
    require_parameter_descriptions: bool
    schema_generator: type[GenerateJsonSchema]
    strict: bool | None
    """Whether the provider shall enforce the schema."""
    sequential: bool
    """Whether a call makes its whole batch run one after another."""
    requires_approval: bool
    """Whether each call waits for a person's decision."""
    metadata: dict[str, Any] | None
    """Data for the application; the model never sees it."""
    defer_loading: bool
    """Whether the tool stays hidden until the model searches for it."""
    include_return_schema: bool | None
    """Whether the model is told the schema of the return value."""


class UnnamedToolOptions(ToolDefaults, total=False):
    """What can be said about one function when it becomes a tool, besides what it is called."""

    retries: int | None
    """How often a failing call may be tried again; by default what the toolset, then the agent says."""
    prepare: ToolPrepareFunc[Any] | None
    args_validator: ArgsValidatorFunc[Any, ...] | None
    timeout: float | None
    """Seconds that one call may take."""
    idempotent: bool
    """Whether a durable run may simply make a call again when it cannot know whether it happened."""


class ToolOptions(UnnamedToolOptions, total=False):
    """What can be said about one function when it becomes a tool."""

    name: str | None
    """The name for the model; by default the function's."""
    description: str | None
    """What the tool does, for the model; by default from the docstring."""


@dataclass(init=False)
class Tool(Generic[AgentDepsT]):
    """A function that a model may call."""

    function: Callable[..., Any]
    takes_ctx: bool
    max_retries: int | None
    name: str
    description: str | None
    prepare: ToolPrepareFunc[AgentDepsT] | None
    args_validator: ArgsValidatorFunc[AgentDepsT, ...] | None
    docstring_format: DocstringFormat
    require_parameter_descriptions: bool
    strict: bool | None
    sequential: bool
    requires_approval: bool
    metadata: dict[str, Any] | None
    timeout: float | None
    defer_loading: bool
    include_return_schema: bool | None
    idempotent: bool
    function_schema: FunctionSchema = field(repr=False)

    def __init__(  # noqa: PLR0913 - keyword-only, one for each thing that can be said about a tool
        self,
        function: ToolFuncEither[AgentDepsT, ...],
        *,
        takes_ctx: bool | None = None,
        max_retries: int | None = None,
        name: str | None = None,
        description: str | None = None,
        prepare: ToolPrepareFunc[AgentDepsT] | None = None,
        args_validator: ArgsValidatorFunc[AgentDepsT, ...] | None = None,
        docstring_format: DocstringFormat = "auto",
        require_parameter_descriptions: bool = False,
        schema_generator: type[GenerateJsonSchema] = GenerateToolJsonSchema,
        strict: bool | None = None,
        sequential: bool = False,
        requires_approval: bool = False,
        metadata: dict[str, Any] | None = None,
        timeout: float | None = None,
        defer_loading: bool = False,
        include_return_schema: bool | None = None,
        function_schema: FunctionSchema | None = None,
        idempotent: bool = False,
    ):
        """Describe `function` to models; `ToolOptions` tells the arguments.

        `takes_ctx=None` looks at the function's first parameter. Raises `UserError` for a signature that no model
        could call.
        """
        schema = function_schema or _describe(
            function,
            takes_ctx=takes_ctx,
            name=name,
            docstring_format=docstring_format,
            require_parameter_descriptions=require_parameter_descriptions,
            schema_generator=schema_generator,
        )
        self.function = function
        self.function_schema = schema
        self.takes_ctx = schema.takes_ctx
        self.max_retries = max_retries
        self.name = name or schema.name
        self.description = description or schema.description
        self.prepare = prepare
        self.args_validator = args_validator
        self.docstring_format = docstring_format
        self.require_parameter_descriptions = require_parameter_descriptions
        self.strict = strict
        self.sequential = sequential
        self.requires_approval = requires_approval
        self.metadata = metadata
        self.timeout = _positive_timeout(self.name, timeout)
        self.defer_loading = defer_loading
        self.include_return_schema = include_return_schema
        self.idempotent = idempotent

    @classmethod
    def from_schema(
        cls,
        function: Callable[..., Any],
        name: str,
        description: str | None,
        json_schema: ObjectJsonSchema,
        *,
        takes_ctx: bool = False,
        sequential: bool = False,
        args_validator: ArgsValidatorFunc[Any, ...] | None = None,
    ) -> Tool[Any]:
        """A tool whose arguments are described by a JSON schema of yours and not validated."""
        schema = FunctionSchema(
            function=function,
            name=name,
            description=description,
            json_schema=json_schema,
            return_schema=None,
            validator=SchemaValidator(core_schema.dict_schema(keys_schema=core_schema.str_schema())),
            takes_ctx=takes_ctx,
            signature=None,
        )
        return cls(function, sequential=sequential, args_validator=args_validator, function_schema=schema)

    @property
    def tool_def(self) -> ToolDefinition:
        """How the model sees the tool before `prepare` had a say."""
        return ToolDefinition(
            name=self.name,
            description=self.description,
            parameters_json_schema=self.function_schema.json_schema,
            strict=self.strict,
            sequential=self.sequential,
            kind="unapproved" if self.requires_approval else "function",
            metadata=self.metadata,
            timeout=self.timeout,
            defer_loading=self.defer_loading,
            return_schema=self.function_schema.return_schema,
            include_return_schema=self.include_return_schema,
        )

    async def prepare_tool_def(self, ctx: RunContext[AgentDepsT]) -> ToolDefinition | None:
        """How the model sees the tool in this step; None if it does not."""
        if self.prepare is None:
            return self.tool_def
        body = partial(call_user_function, self.prepare, ctx, self.tool_def)
        return await current_steps.get().callback(f"prepare:{self.name}", ToolDefinition | None, body)


# The method's parameter of the same name hides the function.
_describe = function_schema


def _positive_timeout(tool_name: str, timeout: float | None) -> float | None:
    if timeout is not None and timeout <= 0:
        raise UserError(f"Tool {tool_name!r} has a timeout of {timeout} seconds; it must be greater than zero")
    return timeout
