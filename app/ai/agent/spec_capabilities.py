"""Capabilities in agent specs: by name, with plain data as arguments."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import NoneType, SimpleNamespace, UnionType
from typing import Any, Final, TypeAlias, Union, cast, get_args, get_origin, get_type_hints

from pydantic import BaseModel, TypeAdapter, ValidationError, model_serializer, model_validator
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError, PydanticUserError

from app.ai.capabilities import CAPABILITY_TYPES, AbstractCapability, PrefixTools
from app.ai.exceptions import SpecError
from app.ai.template import TemplateStr, text_or_template

CapabilityType: TypeAlias = type[AbstractCapability[Any]]

_NO_SCHEMA: Final = (
    PydanticInvalidForJsonSchema,
    PydanticSchemaGenerationError,
    PydanticUserError,
    NameError,
    TypeError,
)


class CapabilitySpec(BaseModel):
    """A capability as data: `name`, `{name: argument}`, `{name: {keyword: argument}}` or `{name: …, arguments: …}`."""

    name: str
    arguments: tuple[Any] | dict[str, Any] | None = None
    """One argument by position, or several by keyword."""

    @property
    def args(self) -> tuple[Any, ...]:
        """The arguments by position."""
        return self.arguments if isinstance(self.arguments, tuple) else ()

    @property
    def kwargs(self) -> dict[str, Any]:
        """The arguments by keyword."""
        return self.arguments if isinstance(self.arguments, dict) else {}

    @property
    def names(self) -> list[str]:
        """Its name, and those of the capabilities in its arguments."""
        inner = self.kwargs.get("capability") if self.name == PrefixTools.__name__ else None
        return [self.name, *(CapabilitySpec.model_validate(inner).names if inner is not None else ())]

    @model_validator(mode="before")
    @classmethod
    def _read(cls, entry: Any) -> Any:
        if isinstance(entry, str):
            return {"name": entry}
        fields: Mapping[str, Any] = cast("Mapping[str, Any]", entry) if isinstance(entry, Mapping) else {}
        if "name" in fields and fields.keys() <= {"name", "arguments"}:
            given: Any = fields.get("arguments")
            arguments: Any = tuple(cast("list[Any]", given)) if isinstance(given, list) else _as_arguments(given)
            return {"name": fields["name"], "arguments": arguments}
        if len(fields) != 1:
            raise ValueError(f"A capability of an agent spec is a name or `{{name: arguments}}`, not {entry!r}")
        name, arguments = next(iter(fields.items()))
        return {"name": name, "arguments": _as_arguments(arguments)}

    @model_serializer
    def _write(self) -> Any:
        if self.arguments is None:
            return self.name
        return {self.name: self.arguments[0] if isinstance(self.arguments, tuple) else self.arguments}


def _as_arguments(given: Any) -> Any:
    is_ready = given is None or isinstance(given, tuple | Mapping)
    return cast("Any", given) if is_ready else (given,)


@dataclass
class CapabilityReader:
    """Makes capabilities of what a spec says; `deps_type` or `deps_schema` is what templates are checked against."""

    custom: Sequence[CapabilityType] = ()
    deps_type: type[Any] = NoneType
    deps_schema: Mapping[str, Any] | None = None
    known: dict[str, CapabilityType] = field(init=False)

    def __post_init__(self) -> None:
        self.known = dict(CAPABILITY_TYPES)
        for type_ in self.custom:
            if not (isinstance(type_, type) and issubclass(type_, AbstractCapability)):  # pyright: ignore[reportUnnecessaryIsInstance] - whatever came
                raise SpecError(f"`custom_capability_types` holds capability classes, not {type_!r}")
            name = type_.get_serialization_name()
            if name is None:
                raise SpecError(f"The capability {type_.__name__} cannot stand in agent specs: it has no name there")
            self.known[name] = type_

    def read(self, entries: Iterable[Any]) -> list[AbstractCapability[Any]]:
        """The capabilities that the entries name.

        Raises `SpecError` for a name that is not known, and for arguments that the capability does not take.
        """
        return [self._made(entry) for entry in entries]

    def json_schema(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What an entry may look like, for editors, and the definitions that this refers to."""
        schema = _EditorSchema(self.known)
        return schema.entry, schema.definitions

    def _made(self, entry: Any) -> AbstractCapability[Any]:
        try:
            spec = CapabilitySpec.model_validate(entry)
        except ValidationError as err:
            raise SpecError(err.errors(include_url=False)[0]["msg"]) from err
        if spec.name not in self.known:
            raise SpecError(
                f"There is no capability {spec.name!r} for agent specs; there are {', '.join(sorted(self.known))}"
            )
        type_ = self.known[spec.name]
        hints = {name: parameter.hint for name, parameter in _parameters(type_).items()}
        keywords = {name: self._value(value, hints.get(name)) for name, value in spec.kwargs.items()}
        positional = [self._value(value, hint) for value, hint in zip(spec.args, [*hints.values(), None], strict=False)]
        try:
            return type_.from_spec(*positional, **keywords)
        except TypeError as err:
            raise SpecError(
                f"The capability {spec.name!r} of the agent spec does not take {spec.arguments!r}: {err}"
            ) from err

    def _value(self, value: Any, hint: Any) -> Any:
        """An argument: entries become capabilities, and texts with double braces templates, where these are taken."""
        if isinstance(value, list):
            return [self._value(item, hint) for item in cast("list[Any]", value)]
        if _mentions(hint, AbstractCapability):
            return self._made(value)
        if isinstance(value, str) and _mentions(hint, TemplateStr):
            return text_or_template(value, self.deps_type, self.deps_schema)
        return value


@dataclass
class _Parameter:
    """An argument that a spec may give."""

    hint: Any
    is_required: bool
    is_positional: bool


def _maker(type_: CapabilityType) -> Any:
    has_own = getattr(type_.from_spec, "__func__", None) is not getattr(AbstractCapability.from_spec, "__func__", None)
    return type_.from_spec if has_own else type_.__init__


def _signature(type_: CapabilityType) -> list[inspect.Parameter]:
    try:
        parameters = inspect.signature(_maker(type_)).parameters.values()
    except (TypeError, ValueError):
        return []
    return [parameter for parameter in parameters if parameter.name != "self"]


def _parameters(type_: CapabilityType) -> dict[str, _Parameter]:
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    names: dict[str, Any] = {}
    for owner in reversed(type_.__mro__):
        names |= vars(inspect.getmodule(owner) or object)
    return {
        parameter.name: _Parameter(
            _hint(parameter.annotation, names),
            is_required=parameter.default is parameter.empty,
            is_positional=parameter.kind is not parameter.KEYWORD_ONLY,
        )
        for parameter in _signature(type_)
        if parameter.kind not in variadic
    }


def _hint(annotation: Any, names: Mapping[str, Any]) -> Any:
    """The type that is meant, Any if it is only imported for type checkers."""
    if annotation is inspect.Parameter.empty:
        return Any
    try:
        return get_type_hints(SimpleNamespace(__annotations__={"it": annotation}), dict(names))["it"]
    except (NameError, TypeError, SyntaxError):
        return Any


def _mentions(hint: Any, wanted: type[Any]) -> bool:
    of = get_origin(hint) or hint
    return (isinstance(of, type) and issubclass(of, wanted)) or any(_mentions(arg, wanted) for arg in get_args(hint))


class _EditorSchema:
    """Builds what entries may look like; definitions are gathered, to stand at the top of the whole schema."""

    def __init__(self, known: Mapping[str, CapabilityType]):
        self.definitions: dict[str, Any] = {}
        long_form = {"name": {"enum": sorted(known)}, "arguments": {}}
        self.entry: dict[str, Any] = {
            "anyOf": [
                *(form for name, type_ in known.items() for form in self._forms(name, type_)),
                {"type": "object", "properties": long_form, "required": ["name"], "additionalProperties": False},
            ]
        }

    def _forms(self, name: str, type_: CapabilityType) -> list[dict[str, Any]]:
        """The name alone, with one argument, and with all by keyword."""
        parameters = _parameters(type_)
        schemas = {key: self._schema(parameter.hint) for key, parameter in parameters.items()}
        required = [key for key, parameter in parameters.items() if parameter.is_required]
        forms: list[dict[str, Any]] = [] if required else [{"const": name}]
        first = next((key for key, parameter in parameters.items() if parameter.is_positional), None)
        if first is not None and set(required) <= {first}:
            forms.append(_only(name, schemas[first]))
        arguments: dict[str, Any] = {"type": "object", "properties": schemas}
        if required:
            arguments["required"] = required
        if not any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in _signature(type_)):
            arguments["additionalProperties"] = False
        return [*forms, _only(name, arguments)]

    def _schema(self, hint: Any) -> dict[str, Any]:
        """What a spec may say for an argument of this type: of a union, the kinds that are data."""
        if _mentions(hint, AbstractCapability):
            entry = {"$ref": "#/properties/capabilities/items"}
            return {"type": "array", "items": entry} if get_origin(hint) in (list, Sequence) else entry
        if get_origin(hint) in (Union, UnionType):
            kinds = [schema for arg in get_args(hint) if (schema := self._data(arg))]
            return {"anyOf": kinds} if len(kinds) > 1 else kinds[0] if kinds else {}
        return self._data(hint) or {}

    def _data(self, hint: Any) -> dict[str, Any] | None:
        try:
            schema = TypeAdapter(hint).json_schema()
        except _NO_SCHEMA:
            return self._schema(hint) if get_origin(hint) in (Union, UnionType) else None
        self.definitions |= schema.pop("$defs", {})
        return schema


def _only(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {name: schema}, "required": [name], "additionalProperties": False}
