"""How a Python function becomes something that a model can call: its JSON schema, and the call itself."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import ConfigDict, Field, PydanticUserError, TypeAdapter
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema
from typing_extensions import TypedDict

from app.ai.callbacks import call_user_function, function_name
from app.ai.docstrings import DocstringFormat, Documentation, read_docstring
from app.ai.exceptions import UserError
from app.ai.json_schema import GenerateToolJsonSchema, inline_top_reference, is_model_like
from app.ai.messages import ToolReturn
from app.ai.run_context import RunContext

if TYPE_CHECKING:
    from app.ai.toolsets import SchemaValidatorProt

__all__ = "FunctionSchema", "function_schema"

_MADE_AGAIN = frozenset({"validator", "signature"})

AllowPartial = bool | Literal["off", "on", "trailing-strings"]


@dataclass(kw_only=True)
class FunctionSchema:
    """A function with the schema of its arguments."""

    function: Callable[..., Any]
    name: str
    description: str | None
    json_schema: dict[str, Any]
    """The schema of the arguments, always an object."""
    return_schema: dict[str, Any] | None
    """The schema of the return value, if the function declares one."""
    validator: SchemaValidatorProt
    """Turns JSON or a dict into the arguments by name."""
    takes_ctx: bool
    signature: inspect.Signature | None
    """How the arguments are passed; None passes all of them by keyword."""

    async def call(self, args: dict[str, Any], ctx: RunContext[Any]) -> Any:
        """Call the function with validated arguments; a sync function runs in a thread."""
        positional, keywords = self._bind(args)
        if self.takes_ctx:
            positional = [ctx, *positional]
        return await call_user_function(self.function, *positional, **keywords)

    @property
    def argument_names(self) -> list[str]:
        """The names of the arguments that the model fills in."""
        names = list(self.signature.parameters) if self.signature else []
        return names[1:] if self.takes_ctx else names

    def __getstate__(self) -> dict[str, Any]:
        # The validator of a function is made of types that have no name to be found by.
        return {name: value for name, value in vars(self).items() if not (self.signature and name in _MADE_AGAIN)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if "validator" not in state:
            again = function_schema(self.function, takes_ctx=self.takes_ctx, name=self.name)
            self.validator, self.signature = again.validator, again.signature

    def _bind(self, args: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        if self.signature is None:
            return [], args
        keywords = dict(args)
        positional: list[Any] = []
        parameters = list(self.signature.parameters.values())[1 if self.takes_ctx else 0 :]
        rest = next((parameter.name for parameter in parameters if parameter.kind is parameter.VAR_POSITIONAL), None)
        for parameter in parameters:
            by_position = parameter.kind is parameter.POSITIONAL_ONLY or (
                # What stands before *args can only be given by position once *args is given.
                rest in keywords and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
            )
            if by_position and parameter.name in keywords:
                positional.append(keywords.pop(parameter.name))
        if rest is not None:
            positional.extend(keywords.pop(rest, ()))
        return positional, keywords


def function_schema(
    function: Callable[..., Any],
    *,
    takes_ctx: bool | None = None,
    name: str | None = None,
    docstring_format: DocstringFormat = "auto",
    require_parameter_descriptions: bool = False,
    schema_generator: type[GenerateJsonSchema] = GenerateToolJsonSchema,
) -> FunctionSchema:
    """Describe `function`. `takes_ctx=None` looks whether its first parameter is annotated as `RunContext`.

    Raises `UserError`, naming the function and the fix, if a model could not call it.
    """
    name = name or function_name(function)
    signature, hints = _read_signature(function, name)
    parameters = list(signature.parameters.values())
    takes_ctx = _check_context(name, parameters, hints, takes_ctx)
    if takes_ctx:
        parameters = parameters[1:]
    documentation = read_docstring(function, docstring_format)
    if require_parameter_descriptions:
        _check_descriptions(name, parameters, hints, documentation)
    try:
        json_schema, validator = _schema_and_validator(name, parameters, hints, documentation, schema_generator)
        return_schema = _return_schema(hints, schema_generator)
    except PydanticUserError as err:
        raise UserError(
            f"Tool {name!r} cannot be described to a model: {err.message.splitlines()[0]} "
            "Annotate its parameters with types that pydantic can turn into a JSON schema."
        ) from err
    return FunctionSchema(
        function=function,
        name=name,
        description=documentation.description or json_schema.pop("description", documentation.description),
        json_schema=json_schema,
        return_schema=return_schema,
        validator=validator,
        takes_ctx=takes_ctx,
        signature=signature,
    )


def _read_signature(function: Callable[..., Any], name: str) -> tuple[inspect.Signature, dict[str, Any]]:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError) as err:
        raise UserError(f"Tool {name!r} has no signature that can be read; wrap it in a Python function") from err
    annotated = function.func if isinstance(function, partial) else function
    if not inspect.isroutine(annotated) and not isinstance(annotated, type):
        annotated = type(annotated).__call__
    return signature, _read_annotations(annotated, name)


def _read_annotations(function: Any, name: str) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except NameError:
        pass  # it may be a name that is local to where the tool is registered
    try:
        return get_type_hints(function, localns=_names_around_registration(), include_extras=True)
    except NameError as err:
        raise UserError(
            f"Tool {name!r} has an annotation that cannot be resolved: {err}. "
            "Import that name at the top of the module, outside `if TYPE_CHECKING`."
        ) from err


def _names_around_registration() -> dict[str, Any]:
    """The local names where a tool is being registered: its annotations may name types that are defined there."""
    frame = inspect.currentframe()
    while frame is not None and str(frame.f_globals.get("__name__", "")).startswith("app.ai."):
        frame = frame.f_back
    return dict(frame.f_locals) if frame is not None else {}


def _check_context(
    name: str, parameters: list[inspect.Parameter], hints: dict[str, Any], takes_ctx: bool | None
) -> bool:
    has_ctx = [_is_context(hints.get(parameter.name)) for parameter in parameters]
    first = bool(has_ctx) and has_ctx[0]
    if any(has_ctx[1:]):
        raise UserError(f"Tool {name!r} takes RunContext, but not as its first parameter; move it to the front")
    if takes_ctx is True and parameters and parameters[0].name not in hints:
        return True  # it is the context, whoever left out to say so
    if takes_ctx is True and not first:
        raise UserError(
            f"Tool {name!r} must have a first parameter annotated as RunContext; "
            "annotate it, or register a tool without context by `tool_plain`"
        )
    if takes_ctx is False and first:
        raise UserError(f"Tool {name!r} takes RunContext, so register it by `tool` and not by `tool_plain`")
    return first


def _is_context(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _is_context(get_args(annotation)[0])
    candidate = origin or annotation
    return isinstance(candidate, type) and issubclass(candidate, RunContext)


def _check_descriptions(
    name: str, parameters: list[inspect.Parameter], hints: dict[str, Any], documentation: Documentation
) -> None:
    missing = [
        parameter.name
        for parameter in parameters
        if parameter.name not in documentation.parameters and not _has_description(hints.get(parameter.name))
    ]
    if missing:
        raise UserError(f"Tool {name!r} lacks descriptions of {', '.join(missing)}; add them to its docstring")


def _has_description(annotation: Any) -> bool:
    metadata = getattr(annotation, "__metadata__", ())
    return any(isinstance(item, FieldInfo) and item.description for item in metadata)


def _schema_and_validator(
    name: str,
    parameters: list[inspect.Parameter],
    hints: dict[str, Any],
    documentation: Documentation,
    schema_generator: type[GenerateJsonSchema],
) -> tuple[dict[str, Any], SchemaValidatorProt]:
    flattened = _single_model(parameters, hints)
    if flattened is not None:
        adapter: TypeAdapter[Any] = TypeAdapter(hints[flattened])
        schema = inline_top_reference(adapter.json_schema(schema_generator=schema_generator))
        if description := documentation.parameters.get(flattened):
            schema.setdefault("description", description)
        return schema, NamedValidator(flattened, adapter)
    adapter = TypeAdapter(_arguments_type(name, parameters, hints, documentation))
    schema = adapter.json_schema(schema_generator=schema_generator)
    schema.pop("title", None)
    return schema, cast("SchemaValidatorProt", adapter.validator)


def _single_model(parameters: list[inspect.Parameter], hints: dict[str, Any]) -> str | None:
    if len(parameters) != 1 or parameters[0].default is not inspect.Parameter.empty:
        return None
    if parameters[0].kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
        return None
    return parameters[0].name if is_model_like(hints.get(parameters[0].name)) else None


def _arguments_type(
    name: str, parameters: list[inspect.Parameter], hints: dict[str, Any], documentation: Documentation
) -> Any:
    fields: dict[str, Any] = {}
    extra: dict[str, Any] = {"closed": True}
    config = ConfigDict(arbitrary_types_allowed=False)
    for parameter in parameters:
        annotation = hints.get(parameter.name, Any)
        if parameter.kind is parameter.VAR_KEYWORD:
            # Untyped keywords are additionalProperties: true, which a TypedDict says by its config.
            extra = {} if annotation is Any else {"extra_items": annotation}
            config = ConfigDict(extra="allow") if annotation is Any else config
        else:
            fields[parameter.name] = _field(parameter, annotation, documentation.parameters.get(parameter.name))
    arguments: Any = TypedDict(name, fields, **extra)  # pyright: ignore[reportGeneralTypeIssues, reportArgumentType]
    arguments.__pydantic_config__ = config
    return arguments


def _field(parameter: inspect.Parameter, annotation: Any, description: str | None) -> Any:
    if parameter.kind is parameter.VAR_POSITIONAL:
        annotation = list[annotation]
    metadata: list[Any] = []
    if get_origin(annotation) is Annotated:
        annotation, *metadata = get_args(annotation)
    if description is not None:
        # First, so that a description in the annotation itself wins.
        metadata.insert(0, Field(description=description))
    default = parameter.default
    if default is not parameter.empty:
        metadata.append(default if isinstance(default, FieldInfo) else Field(default=default))
    required = default is parameter.empty or (isinstance(default, FieldInfo) and default.is_required())
    field_type: Any = Annotated[(annotation, *metadata)] if metadata else annotation
    return Required[field_type] if required else NotRequired[field_type]


def _return_schema(hints: dict[str, Any], schema_generator: type[GenerateJsonSchema]) -> dict[str, Any] | None:
    returned: Any = hints.get("return", ToolReturn)
    if get_origin(returned) is ToolReturn:
        [returned] = get_args(returned)
    if returned is ToolReturn:
        return None
    try:
        schema: TypeAdapter[Any] = TypeAdapter(returned)
        return schema.json_schema(mode="serialization", schema_generator=schema_generator)
    except PydanticUserError:
        # What a tool returns may be any Python object; only its arguments must have a schema.
        return None


@dataclass
class NamedValidator:
    """Validates a whole object and hands it on as the argument of that name."""

    name: str
    adapter: TypeAdapter[Any]

    def validate_json(
        self, input: str | bytes | bytearray, /, *, allow_partial: AllowPartial = False, context: Any = None
    ) -> dict[str, Any]:
        value = self.adapter.validator.validate_json(input, allow_partial=allow_partial, context=context)
        return {self.name: value}

    def validate_python(
        self, input: Any, /, *, allow_partial: AllowPartial = False, context: Any = None
    ) -> dict[str, Any]:
        value = self.adapter.validator.validate_python(input, allow_partial=allow_partial, context=context)
        return {self.name: value}
