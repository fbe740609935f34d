"""What becomes of what the model sent as its output: it is validated, and given to the output function if any."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, Union, cast, get_args, get_origin, get_type_hints

import pydantic_core
from pydantic import PydanticUserError, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from app.ai.callbacks import call_with_optional_context, function_name, wants_context
from app.ai.exceptions import ModelRetry, UserError
from app.ai.function_schema import AllowPartial, FunctionSchema, NamedValidator, function_schema
from app.ai.json_schema import (
    GenerateToolJsonSchema,
    free_name,
    inline_top_reference,
    is_model_like,
    with_shared_definitions,
)
from app.ai.run_context import RunContext

if TYPE_CHECKING:
    from app.ai.output import OutputValidatorFunc
    from app.ai.steps import Steps
    from app.ai.toolsets.abstract import SchemaValidatorProt

OUTPUT_KEY = "response"
"""The key that wraps an output which is not itself an object."""

_FENCE = re.compile(r"```[\w-]*\s*(.*?)(?:\n\s*```|```\s*\Z|\Z)", re.DOTALL)


class TextProcessor(Protocol):
    """Makes the output of a text."""

    @property
    def function(self) -> Callable[..., Any] | None:
        """The user's function that has a say, if any."""
        ...

    @property
    def result_type(self) -> Any:
        """The type of the output, as far as it is known."""
        ...

    def validate(self, text: str, *, allow_partial: AllowPartial = False, context: Any = None) -> Any:
        """Check the text, or with `allow_partial` its beginning. Raises `ValidationError`."""
        ...

    async def call(self, validated: Any, ctx: RunContext[Any]) -> Any:
        """The output. Raises `ModelRetry`."""
        ...

    def value_of(self, validated: Any) -> Any:
        """What `validate` gave, as hooks see it."""
        ...

    def with_value(self, value: Any, validated: Any) -> Any:
        """What `call` takes for a value that hooks gave; `validated` is what it was before, if there was anything."""
        ...


class _TextAsItIs:
    """What `validate` gives is the text itself."""

    def value_of(self, validated: str) -> str:
        return validated

    def with_value(self, value: str, validated: str | None) -> str:
        return value


@dataclass
class PlainText(_TextAsItIs):
    """The text is the output."""

    function: Callable[..., Any] | None = None
    result_type: Any = str

    def validate(self, text: str, *, allow_partial: AllowPartial = False, context: Any = None) -> str:
        return text

    async def call(self, validated: str, ctx: RunContext[Any]) -> str:
        return validated


@dataclass
class TextFunction(_TextAsItIs):
    """A function makes the output of the whole text."""

    function: Callable[..., Any]

    def __post_init__(self) -> None:
        if not _takes_text(self.function):
            name = function_name(self.function)
            raise UserError(
                f"TextOutput({name}) cannot give {name} the model's text; "
                "it takes a function of one `str`, with a RunContext before it or without"
            )

    @property
    def result_type(self) -> Any:
        return return_type(self.function)

    def validate(self, text: str, *, allow_partial: AllowPartial = False, context: Any = None) -> str:
        return text

    async def call(self, validated: str, ctx: RunContext[Any]) -> Any:
        return await call_with_optional_context(self.function, ctx, validated)


@dataclass(kw_only=True)
class ObjectProcessor:
    """One structured output: an object that the model sends, and what becomes of it."""

    name: str
    """The name of the type or function."""
    description: str | None
    json_schema: dict[str, Any]
    """What the model has to send, always an object."""
    outer_key: str | None
    """The key under which the value stands, if it is not itself an object."""
    arguments: SchemaValidatorProt
    """Gives the arguments of the function, or the output under `OUTPUT_KEY`."""
    function_schema: FunctionSchema | None
    result_type: Any

    @property
    def function(self) -> Callable[..., Any] | None:
        return self.function_schema.function if self.function_schema else None

    @property
    def is_none(self) -> bool:
        """Whether this is the plain None."""
        return self.function_schema is None and self.result_type is NoneType

    def validate(self, text: str, *, allow_partial: AllowPartial = False, context: Any = None) -> dict[str, Any]:
        return self.validate_json(text, allow_partial=allow_partial, context=context)

    def validate_json(
        self, input: str | bytes | bytearray, /, *, allow_partial: AllowPartial = False, context: Any = None
    ) -> dict[str, Any]:
        text = input if isinstance(input, str) else input.decode()
        return self.arguments.validate_json(unfenced(text), allow_partial=allow_partial, context=context)

    def validate_python(
        self, input: Any, /, *, allow_partial: AllowPartial = False, context: Any = None
    ) -> dict[str, Any]:
        return self.arguments.validate_python(input, allow_partial=allow_partial, context=context)

    async def call(self, validated: dict[str, Any], ctx: RunContext[Any]) -> Any:
        if self.function_schema is None:
            return validated[OUTPUT_KEY]
        return await self.function_schema.call(validated, ctx)

    def value_of(self, validated: dict[str, Any]) -> Any:
        return validated if self._only_key is None else validated.get(self._only_key)

    def with_value(self, value: Any, validated: dict[str, Any] | None) -> dict[str, Any]:
        return value if self._only_key is None else {self._only_key: value}

    @property
    def _only_key(self) -> str | None:
        """The key of the output, or of the function's only argument; a function of several gets them all."""
        if self.function_schema is None:
            return OUTPUT_KEY
        names = self.function_schema.argument_names
        return names[0] if len(names) == 1 else None


class UnionProcessor:
    """One of several structured outputs, sent as `{"result": {"kind": …, "data": …}}`."""

    def __init__(self, options: Sequence[ObjectProcessor]):
        self.options: dict[str, ObjectProcessor] = {}
        for option in options:
            self.options[free_name(option.name, self.options)] = option
        literal: Any = Literal
        kinds = literal[tuple(self.options)]
        choice: Any = _typed_dict("Choice", {"kind": kinds, "data": dict[str, Any]})
        self._envelope: TypeAdapter[Any] = TypeAdapter(_typed_dict("Choices", {"result": choice}))
        self.json_schema = _choice_schema(self.options)
        self.result_type: Any = union_of([option.result_type for option in options])

    @property
    def function(self) -> Callable[..., Any] | None:
        return next((option.function for option in self.options.values() if option.function), None)

    def validate(
        self, text: str, *, allow_partial: AllowPartial = False, context: Any = None
    ) -> tuple[ObjectProcessor, dict[str, Any]]:
        envelope = self._envelope.validator.validate_json(unfenced(text), allow_partial=allow_partial)
        choice = envelope.get("result", {})
        if "data" not in choice:
            raise ModelRetry("The output has not come so far yet")
        option = self.options[choice["kind"]]
        return option, option.validate_python(choice["data"], allow_partial=allow_partial, context=context)

    async def call(self, validated: tuple[ObjectProcessor, dict[str, Any]], ctx: RunContext[Any]) -> Any:
        option, data = validated
        return await option.call(data, ctx)

    def validate_python(
        self, input: Any, /, *, allow_partial: AllowPartial = False, context: Any = None
    ) -> tuple[ObjectProcessor, dict[str, Any]]:
        text = pydantic_core.to_json(input).decode()
        return self.validate(text, allow_partial=allow_partial, context=context)

    def value_of(self, validated: tuple[ObjectProcessor, dict[str, Any]]) -> Any:
        option, data = validated
        return option.value_of(data)

    def with_value(
        self, value: Any, validated: tuple[ObjectProcessor, dict[str, Any]] | None
    ) -> tuple[ObjectProcessor, dict[str, Any]]:
        options = list(self.options.values())
        fitting = (option for option in options if option.result_type is type(value))
        option = next(fitting, validated[0] if validated else options[0])
        return option, option.with_value(value, None)


async def run_output_validators(
    output: Any, ctx: RunContext[Any], validators: Sequence[OutputValidatorFunc[Any]], steps: Steps, result_type: Any
) -> Any:
    """Pass an output through the validators in turn. Raises `ModelRetry`."""
    for validator in validators:
        body = partial(call_with_optional_context, validator, ctx, output)
        output = await steps.callback(f"output:{function_name(validator)}", result_type, body)
    return output


def object_processor(output: Any) -> ObjectProcessor:
    """The processor of a type, or of a function whose arguments the model fills in."""
    return _function_processor(output) if is_function(output) else _type_processor(output)


def unfenced(text: str) -> str:
    """The JSON inside a Markdown fence, or the text as it is. Models add fences however one asks."""
    stripped = text.strip()
    if stripped.startswith(("{", "[")):
        return stripped
    fence = _FENCE.search(stripped)
    return fence.group(1).strip() if fence else text


def is_function(output: Any) -> bool:
    if isinstance(output, type) or get_origin(output) is not None:
        return False
    # Special forms of typing can be called too, only to say that they cannot.
    return callable(output) and type(output).__module__ not in ("typing", "typing_extensions")


def _function_processor(function: Callable[..., Any]) -> ObjectProcessor:
    schema = function_schema(function)
    return ObjectProcessor(
        name=schema.name,
        description=schema.description,
        json_schema=schema.json_schema,
        outer_key=None,
        arguments=schema.validator,
        function_schema=schema,
        result_type=return_type(function),
    )


def _takes_text(function: Any) -> bool:
    if not callable(function):
        return False
    try:
        signature = inspect.signature(function)
        before = (None,) if wants_context(function, other_arguments=1) else ()
        *context, text = signature.bind(*before, "text").arguments
    except ValueError:
        return True  # built in, such as int
    except TypeError:
        return False
    hints = _type_hints(function)
    return _may_be_text(hints.get(text, str)) and not any(hints.get(name) is str for name in context)


def _may_be_text(hint: Any) -> bool:
    origin = get_origin(hint) or hint
    if origin in (Union, UnionType):
        return any(_may_be_text(option) for option in get_args(hint))
    if origin is Annotated:
        return _may_be_text(get_args(hint)[0])
    return not isinstance(origin, type) or issubclass(origin, str) or issubclass(str, origin)


def _type_processor(type_: Any) -> ObjectProcessor:
    name = getattr(type_, "__name__", None) or str(type_)
    try:
        return _schema_processor(type_, name)
    except PydanticUserError as err:
        raise UserError(
            f"The output type {name} cannot be described to a model: {err.message.splitlines()[0]} "
            "Use a type that pydantic can turn into a JSON schema."
        ) from err


def _schema_processor(type_: Any, name: str) -> ObjectProcessor:
    if is_model_like(get_origin(type_) or type_):
        adapter: TypeAdapter[Any] = TypeAdapter(type_)
        schema = inline_top_reference(adapter.json_schema(schema_generator=GenerateToolJsonSchema))
        name = schema.get("title", name)
        arguments: Any = NamedValidator(OUTPUT_KEY, adapter)
        outer_key = None
    else:
        adapter = TypeAdapter(_typed_dict("Output", {OUTPUT_KEY: type_}))
        schema = adapter.json_schema(schema_generator=GenerateToolJsonSchema)
        schema.pop("title", None)
        arguments = _ValidatorOfWrapped(adapter.validator)
        outer_key = OUTPUT_KEY
    return ObjectProcessor(
        name=name,
        description=schema.pop("description", None),
        json_schema=schema,
        outer_key=outer_key,
        arguments=arguments,
        function_schema=None,
        result_type=type_,
    )


def _typed_dict(name: str, fields: dict[str, Any]) -> Any:
    make: Any = TypedDict
    return make(name, fields)


@dataclass
class _ValidatorOfWrapped:
    """Validates `{"response": value}`, also with the value as a string of JSON.

    Not a validator on the value itself: in one, pydantic knows nothing of partial values.
    """

    wrapped: Any

    def validate_json(
        self, input: str | bytes | bytearray, /, *, allow_partial: AllowPartial = False, context: Any = None
    ) -> dict[str, Any]:
        try:
            return self.wrapped.validate_json(input, allow_partial=allow_partial, context=context)
        except ValidationError:
            try:
                unpacked = _unpacked(pydantic_core.from_json(input))
            except ValueError:
                unpacked = None
            if unpacked is None:
                raise
        return self.validate_python(unpacked, allow_partial=allow_partial, context=context)

    def validate_python(
        self, input: Any, /, *, allow_partial: AllowPartial = False, context: Any = None
    ) -> dict[str, Any]:
        try:
            return self.wrapped.validate_python(input, allow_partial=allow_partial, context=context)
        except ValidationError:
            unpacked = _unpacked(input)
            if unpacked is None:
                raise
        return self.wrapped.validate_python(unpacked, allow_partial=allow_partial, context=context)


def _unpacked(output: Any) -> dict[str, Any] | None:
    """The output with its value read from JSON, if it is a string that holds some other value."""
    value = cast("dict[str, Any]", output).get(OUTPUT_KEY) if isinstance(output, dict) else None
    if not isinstance(value, str):
        return None
    try:
        parsed = pydantic_core.from_json(value)
    except ValueError:
        return None
    return None if parsed == value else {OUTPUT_KEY: parsed}


def _choice_schema(options: Mapping[str, ObjectProcessor]) -> dict[str, Any]:
    schemas, definitions = with_shared_definitions([option.json_schema for option in options.values()])
    choices = [_choice(kind, option, schema) for (kind, option), schema in zip(options.items(), schemas, strict=True)]
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"result": {"anyOf": choices}},
        "required": ["result"],
        "additionalProperties": False,
    }
    return {**schema, "$defs": definitions} if definitions else schema


def _choice(kind: str, option: ObjectProcessor, schema: dict[str, Any]) -> dict[str, Any]:
    data = {key: value for key, value in schema.items() if key != "title"}
    choice = {
        "type": "object",
        "properties": {"kind": {"type": "string", "const": kind}, "data": data},
        "required": ["kind", "data"],
        "additionalProperties": False,
        "title": option.name,
    }
    return {**choice, "description": option.description} if option.description else choice


def return_type(function: Callable[..., Any]) -> Any:
    return _type_hints(function).get("return", Any)


def _type_hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except (NameError, TypeError):
        return {}


def union_of(types: Sequence[Any]) -> Any:
    """The union of types that are known only at run time."""
    return Union[tuple(types)]  # noqa: UP007 - `|` needs them in the source
