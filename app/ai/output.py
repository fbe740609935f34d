"""How a run's output is specified: types, functions, and markers that say how the model shall give them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, cast

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema
from typing_extensions import TypeAliasType, TypeVar

from app.ai.deferred import DeferredToolRequests
from app.ai.exceptions import UserError
from app.ai.output_modes import OutputMode, OutputObjectDefinition, StructuredOutputMode
from app.ai.run_context import RunContext

if TYPE_CHECKING:
    from app.ai.messages import ToolCallPart
    from app.ai.tools import ToolDefinition

__all__ = (
    "DeferredToolRequests",
    "DeferredToolRequestsOutput",
    "NativeOutput",
    "OutputContext",
    "OutputDataT",
    "OutputMode",
    "OutputObjectDefinition",
    "OutputSpec",
    "OutputTypeOrFunction",
    "OutputValidatorFunc",
    "PromptedOutput",
    "StructuredDict",
    "StructuredOutputMode",
    "TextOutput",
    "TextOutputFunc",
    "ToolOutput",
)

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

OutputDataT = TypeVar("OutputDataT", default=str, covariant=True)
"""The type of a run's output."""

OutputTypeOrFunction = TypeAliasType(
    "OutputTypeOrFunction", type[T_co] | Callable[..., Awaitable[T_co] | T_co], type_params=(T_co,)
)
"""A type that the model fills in, or a function whose arguments it fills in."""

TextOutputFunc = TypeAliasType(
    "TextOutputFunc",
    Callable[[str], Awaitable[T_co] | T_co] | Callable[[RunContext[Any], str], Awaitable[T_co] | T_co],
    type_params=(T_co,),
)
"""Makes the output of the model's text."""

OutputValidatorFunc: TypeAlias = Callable[[RunContext[Any], T], Awaitable[T] | T] | Callable[[T], Awaitable[T] | T]
"""Looks at an output: gives it back, perhaps changed, or raises `ModelRetry`."""

DeferredToolRequestsOutput: TypeAlias = "type[DeferredToolRequests]"


@dataclass(kw_only=True)
class OutputContext:
    """What hooks are told about an output besides the output itself."""

    mode: OutputMode
    """How the model gave it."""
    output_type: Any
    """Its type, as far as it is known."""
    object_def: OutputObjectDefinition | None = None
    """The object that the model was asked for, in native and prompted mode."""
    has_function: bool = False
    """Whether a function makes the output of what the model gave."""
    function_name: str | None = None
    tool_call: ToolCallPart | None = None
    """The call of an output tool."""
    tool_def: ToolDefinition | None = None


@dataclass(init=False)
class ToolOutput(Generic[OutputDataT]):
    """The model gives this output by calling an output tool."""

    output: OutputTypeOrFunction[OutputDataT]
    name: str | None
    description: str | None
    max_retries: int | None
    strict: bool | None

    def __init__(
        self,
        type_: OutputTypeOrFunction[OutputDataT],
        *,
        name: str | None = None,
        description: str | None = None,
        max_retries: int | None = None,
        strict: bool | None = None,
    ):
        """`max_retries=None` takes the run's output budget."""
        self.output = type_
        self.name = name
        self.description = description
        self.max_retries = max_retries
        self.strict = strict


@dataclass(init=False)
class NativeOutput(Generic[OutputDataT]):
    """The model gives one of these outputs as JSON that its provider keeps to the schema."""

    outputs: OutputTypeOrFunction[OutputDataT] | Sequence[OutputTypeOrFunction[OutputDataT]]
    name: str | None
    description: str | None
    strict: bool | None
    template: str | Literal[False] | None

    def __init__(
        self,
        outputs: OutputTypeOrFunction[OutputDataT] | Sequence[OutputTypeOrFunction[OutputDataT]],
        *,
        name: str | None = None,
        description: str | None = None,
        strict: bool | None = None,
        template: str | Literal[False] | None = None,
    ):
        self.outputs = outputs
        self.name = name
        self.description = description
        self.strict = strict
        self.template = template


@dataclass(init=False)
class PromptedOutput(Generic[OutputDataT]):
    """The model gives one of these outputs as JSON because the instructions ask for it."""

    outputs: OutputTypeOrFunction[OutputDataT] | Sequence[OutputTypeOrFunction[OutputDataT]]
    name: str | None
    description: str | None
    template: str | Literal[False] | None

    def __init__(
        self,
        outputs: OutputTypeOrFunction[OutputDataT] | Sequence[OutputTypeOrFunction[OutputDataT]],
        *,
        name: str | None = None,
        description: str | None = None,
        template: str | Literal[False] | None = None,
    ):
        """`{schema}` in the template stands for the JSON schema; False sends no such instructions."""
        self.outputs = outputs
        self.name = name
        self.description = description
        self.template = template


@dataclass
class TextOutput(Generic[OutputDataT]):
    """The function makes the output of the model's text."""

    output_function: TextOutputFunc[OutputDataT]


OutputSpec = TypeAliasType(
    "OutputSpec",
    OutputTypeOrFunction[T_co]
    | ToolOutput[T_co]
    | NativeOutput[T_co]
    | PromptedOutput[T_co]
    | TextOutput[T_co]
    | Sequence["OutputSpec[T_co]"],
    type_params=(T_co,),
)
"""One output or several: types, functions, markers, unions and sequences of them."""


def StructuredDict(
    json_schema: JsonSchemaValue, name: str | None = None, description: str | None = None
) -> type[dict[str, Any]]:
    """A dict type with a JSON schema of yours, to be used as an output type.

    The model sees the schema; what it sends is not checked against it. Raises `UserError` if the schema is not an
    object or refers to itself.
    """
    schema = _without_references(json_schema, json_schema.get("$defs", {}), ())
    schema.pop("$defs", None)
    if schema.get("type") != "object":
        raise UserError("StructuredDict needs a JSON schema with `type: object` at its top")
    if name:
        schema["title"] = name
    if description:
        schema["description"] = description

    class _StructuredDict(dict[str, Any]):
        __is_model_like__ = True

        @classmethod
        def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
            return core_schema.dict_schema(keys_schema=core_schema.str_schema(), values_schema=core_schema.any_schema())

        @classmethod
        def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
            return dict(schema)

    _StructuredDict.__name__ = _StructuredDict.__qualname__ = name or str(schema.get("title") or "_StructuredDict")
    return _StructuredDict


def _without_references(schema: Any, definitions: dict[str, Any], inside: tuple[str, ...]) -> Any:
    """The schema with every `$ref` replaced by what it refers to."""
    if isinstance(schema, list):
        return [_without_references(item, definitions, inside) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    fields = cast("dict[str, Any]", schema)
    reference = fields.get("$ref")
    if not isinstance(reference, str):
        return {
            key: value if key == "$defs" else _without_references(value, definitions, inside)
            for key, value in fields.items()
        }
    name = reference.removeprefix("#/$defs/")
    if name in inside:
        raise UserError(f"StructuredDict cannot take a schema that refers to itself ({reference})")
    if name not in definitions:
        raise UserError(f"The schema of a StructuredDict refers to {reference!r}, which it does not define")
    rest = {key: value for key, value in fields.items() if key != "$ref"}
    referred = _without_references(_as_object(definitions[name]), definitions, (*inside, name))
    return {**referred, **rest}


def _as_object(schema: Any) -> Any:
    """The schema; `true` and `false`, which are schemas too, as objects that mean the same."""
    same: dict[str, Any] = {"not": {}}
    return schema if not isinstance(schema, bool) else {} if schema else same
