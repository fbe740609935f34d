"""Capabilities in agent specs: by name, with plain data as arguments."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import NoneType
from typing import Any, Final, TypeAlias, cast, get_args, get_origin, get_type_hints

from pydantic import BaseModel, TypeAdapter, ValidationError, model_serializer, model_validator
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError, PydanticUserError

from app.ai import capabilities as ready_made
from app.ai.capabilities import AbstractCapability, PrefixTools
from app.ai.exceptions import SpecError
from app.ai.template import TemplateStr, text_or_template

CapabilityType: TypeAlias = type[AbstractCapability[Any]]

CAPABILITY_TYPES: Final[Mapping[str, CapabilityType]] = {
    name: type_
    for type_ in (
        ready_made.IncludeToolReturnSchemas,
        ready_made.ImageGeneration,
        ready_made.Instrumentation,
        ready_made.MCP,
        ready_made.MCPServers,
        ready_made.NativeTool,
        PrefixTools,
        ready_made.ReinjectSystemPrompt,
        ready_made.SetToolMetadata,
        ready_made.Thinking,
        ready_made.ToolSearch,
        ready_made.WebFetch,
        ready_made.WebSearch,
        ready_made.XSearch,
    )
    if (name := type_.get_serialization_name()) is not None
}
"""Those whose arguments can be written down; the others take functions, so they are for agents in Python."""

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

    @model_validator(mode="before")
    @classmethod
    def _read(cls, entry: Any) -> Any:
        if isinstance(entry, str):
            return {"name": entry}
        fields: Mapping[str, Any] = cast("Mapping[str, Any]", entry) if isinstance(entry, Mapping) else {}
        if "name" in fields and fields.keys() <= {"name", "arguments"}:
            return {"name": fields["name"], "arguments": _as_arguments(fields.get("arguments"))}
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
            name = type_.get_serialization_name()
            if name is None:
                raise SpecError(f"The capability {type_.__name__} cannot stand in agent specs: it has no name there")
            self.known[name] = type_

    def read(self, entries: Iterable[Any]) -> list[AbstractCapability[Any]]:
        """The capabilities that the entries name.

        Raises `SpecError` for a name that is not known, and for arguments that the capability does not take.
        """
        return [self._made(entry) for entry in entries]

    def json_schema(self) -> dict[str, Any]:
        """What an entry may look like, for editors."""
        return {"anyOf": [option for name, type_ in self.known.items() for option in _forms(name, type_)]}

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
        keywords = spec.kwargs
        if type_ is PrefixTools and "capability" in keywords:
            keywords = {**keywords, "capability": self._made(keywords["capability"])}
        try:
            positional, keywords = self._with_templates(type_, spec.args, keywords)
            return type_.from_spec(*positional, **keywords)
        except TypeError as err:
            raise SpecError(
                f"The capability {spec.name!r} of the agent spec does not take {spec.arguments!r}: {err}"
            ) from err

    def _with_templates(
        self, type_: CapabilityType, positional: Sequence[Any], keywords: Mapping[str, Any]
    ) -> tuple[list[Any], dict[str, Any]]:
        """Texts with double braces become templates where the capability takes one."""
        hints = {name: hint for name, (hint, _) in _parameters(type_).items()}
        named = dict(zip(hints, positional, strict=False))
        changed = {
            name: text_or_template(value, self.deps_type, self.deps_schema)
            for name, value in {**named, **keywords}.items()
            if isinstance(value, str) and _takes_template(hints.get(name))
        }
        return (
            [changed.get(name, value) for name, value in named.items()] + list(positional[len(named) :]),
            {name: changed.get(name, value) for name, value in keywords.items()},
        )


def _parameters(type_: CapabilityType) -> dict[str, tuple[Any, bool]]:
    """The arguments that a spec may give: their types, and whether they must be given."""
    has_own = getattr(type_.from_spec, "__func__", None) is not getattr(AbstractCapability.from_spec, "__func__", None)
    maker: Any = type_.from_spec if has_own else type_.__init__
    try:
        hints = get_type_hints(maker, vars(inspect.getmodule(type_)) if inspect.getmodule(type_) else None)
        parameters = inspect.signature(maker).parameters.values()
    except (NameError, TypeError, ValueError):
        return {}
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {
        parameter.name: (hints.get(parameter.name, Any), parameter.default is parameter.empty)
        for parameter in parameters
        if parameter.name != "self" and parameter.kind not in variadic
    }


def _takes_template(hint: Any) -> bool:
    return TemplateStr in (hint, get_origin(hint)) or any(map(_takes_template, get_args(hint)))


def _forms(name: str, type_: CapabilityType) -> list[dict[str, Any]]:
    """The name alone, with one argument, and with all by keyword."""
    parameters = _parameters(type_)
    schemas = {parameter: _schema(hint) for parameter, (hint, _) in parameters.items()}
    required = [parameter for parameter, (_, is_required) in parameters.items() if is_required]
    forms: list[dict[str, Any]] = [] if required else [{"const": name}]
    if schemas and len(required) <= 1:
        forms.append(_only(name, schemas[required[0] if required else next(iter(schemas))]))
    arguments: dict[str, Any] = {"type": "object", "properties": schemas}
    forms.append(_only(name, {**arguments, "required": required} if required else arguments))
    return forms


def _only(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {name: schema}, "required": [name], "additionalProperties": False}


def _schema(hint: Any) -> dict[str, Any]:
    try:
        schema = TypeAdapter(hint).json_schema()
    except _NO_SCHEMA:
        return {}
    # Definitions would have to move to the top of the whole schema.
    return {} if "$defs" in schema else schema
