"""Agents as data: what a YAML or JSON file says about an agent."""

# Annotations stay evaluated: pydantic reads them.
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeAlias, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from typing_extensions import TypedDict

from app.ai.agent.options import AgentMetadata, AgentRetries
from app.ai.agent.spec_capabilities import CapabilityReader, CapabilitySpec, CapabilityType
from app.ai.capabilities import AbstractCapability, AgentCapability
from app.ai.concurrency import AnyConcurrencyLimit
from app.ai.event_stream import EventStreamHandler
from app.ai.exceptions import SpecError
from app.ai.instructions import AgentInstructions, Instructions
from app.ai.models import KnownModelName, Model
from app.ai.output import OutputSpec, StructuredDict
from app.ai.settings import ModelSettings, merge_model_settings
from app.ai.template import TemplateStr, text_or_template
from app.ai.tool_phase import EndStrategy
from app.ai.tools import Tool, ToolFuncEither
from app.ai.toolsets import AgentToolset

if TYPE_CHECKING:
    from app.ai.instrumentation.settings import InstrumentationSettings

SpecFormat: TypeAlias = Literal["yaml", "json"]
Json: TypeAlias = dict[str, Any]


def _source(text: Any) -> Any:
    return cast("TemplateStr[Any]", text).source if isinstance(text, TemplateStr) else text


Text: TypeAlias = Annotated[str, BeforeValidator(_source)]
"""A text, or the source of a template."""

_SCHEMA_LINE = "# yaml-language-server: $schema="
_SUFFIXES: Mapping[str, SpecFormat] = {".yaml": "yaml", ".yml": "yaml", ".json": "json"}
DEFAULT_SCHEMA_PATH = "./{stem}_schema.json"


class SpecOptions(TypedDict, total=False):
    """What can be said about an agent besides its spec; the options of `Agent`."""

    model: Model | KnownModelName | str | None
    output_type: OutputSpec[Any]
    instructions: AgentInstructions[Any]
    """Added to those of the spec."""
    system_prompt: str | Sequence[str]
    name: str | None
    description: TemplateStr[Any] | str | None
    model_settings: ModelSettings | None
    """Above those of the spec."""
    retries: int | AgentRetries | None
    validation_context: Any
    tools: Sequence[Tool[Any] | ToolFuncEither[Any, ...]]
    toolsets: Sequence[AgentToolset[Any]] | None
    defer_model_check: bool
    end_strategy: EndStrategy | None
    metadata: AgentMetadata[Any] | None
    tool_timeout: float | None
    max_concurrency: AnyConcurrencyLimit
    instrument: "InstrumentationSettings | bool | None"
    capabilities: Sequence[AgentCapability[Any]] | None
    """Added to those of the spec."""
    custom_capability_types: Sequence[type[AbstractCapability[Any]]]
    """Capabilities that the spec may name besides the built-in ones."""
    event_stream_handler: EventStreamHandler[Any] | None


def _old_field(newer_form: str) -> Any:
    # Not by pydantic's `deprecated`, which warns of each look at the field.
    return Field(default=None, description=f"Old: {newer_form}.", json_schema_extra={"deprecated": True})


class AgentSpec(BaseModel):
    """An agent as data. Texts with double braces are templates over the dependencies, see `TemplateStr`."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    json_schema_path: str | None = Field(default=None, alias="$schema")
    """Where an editor finds the schema of this file; means nothing else."""
    model: str | None = None
    """The model as `provider:name`."""
    name: str | None = None
    description: Text | None = None
    instructions: Text | list[Text] | None = None
    deps_schema: dict[str, Any] | None = None
    """JSON schema of the dependencies; templates are checked against it."""
    output_schema: dict[str, Any] | None = None
    """JSON schema of the output, an object; without one the output is text."""
    model_settings: dict[str, Any] | None = None
    retries: int | AgentRetries | None = None
    tool_retries: int | None = _old_field("use `retries: {tools: …}`")
    output_retries: int | None = _old_field("use `retries: {output: …}`")
    end_strategy: EndStrategy = "early"
    tool_timeout: float | None = None
    """Seconds that a tool call may take."""
    metadata: dict[str, Any] | None = None
    instrument: bool | None = _old_field("use the capability `Instrumentation`")
    capabilities: list[CapabilitySpec] = Field(default_factory=list[CapabilitySpec])
    """Each a name, or one with its arguments: `{Thinking: high}`."""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The spec that plain data describes. Raises `SpecError` that names the field."""
        return cls._of(data, "agent spec")

    @classmethod
    def from_text(cls, text: str, fmt: SpecFormat = "yaml") -> Self:
        """The spec that a YAML or JSON text describes."""
        return cls._of(_parse(text, fmt, "agent spec"), "agent spec")

    @classmethod
    def from_file(cls, path: Path | str, fmt: SpecFormat | None = None) -> Self:
        """The spec in a file; its suffix tells the format. ValueError for a suffix that is neither YAML nor JSON."""
        path = Path(path)
        fmt = fmt or _format_of(path)
        return cls._of(_parse(path.read_text(encoding="utf-8"), fmt, str(path)), str(path))

    def to_file(
        self,
        path: Path | str,
        fmt: SpecFormat | None = None,
        *,
        schema_path: Path | str | None = DEFAULT_SCHEMA_PATH,
        custom_capability_types: Sequence[CapabilityType] = (),
    ) -> None:
        """Write the fields that are set, and beside them a JSON schema for editors unless `schema_path` is None.

        `schema_path` may contain `{stem}`, the file's name without its suffix; it is relative to the file.
        """
        path = Path(path)
        fmt = fmt or _format_of(path)
        schema = str(schema_path).format(stem=path.stem) if schema_path is not None else None
        data = self.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"json_schema_path"})
        if schema is not None:
            (path.parent / schema).write_text(
                json.dumps(self.model_json_schema_with_capabilities(custom_capability_types), indent=2) + "\n",
                encoding="utf-8",
            )
        path.write_text(_yaml_text(data, schema) if fmt == "yaml" else _json_text(data, schema), encoding="utf-8")

    def agent_arguments(self, deps_type: type[Any], options: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of `Agent` for this spec.

        `options` are arguments that win over the spec, except that instructions are added and settings merged.
        """
        if self.model is None and options.get("model") is None:
            raise SpecError("The agent spec has no `model`; write one into it, or give `model`")
        given = {name: value for name, value in options.items() if value is not None}
        custom = given.pop("custom_capability_types", ())
        added = Instructions.of(given.get("instructions"))
        from_spec = {
            "model": self.model,
            "name": self.name,
            "description": self.description and self._text(self.description, deps_type),
            "retries": self._retries(),
            "end_strategy": self.end_strategy,
            "tool_timeout": self.tool_timeout,
            "metadata": self.metadata,
            "instrument": self._instrument(),
        }
        return {
            **from_spec,
            **given,
            "deps_type": deps_type,
            "output_type": self._output_type(given.get("output_type", str)),
            "instructions": [*self.all_instructions(deps_type), *added.literals, *added.functions],
            "capabilities": [*self.all_capabilities(deps_type, custom), *given.get("capabilities", ())],
            "model_settings": merge_model_settings(
                cast("ModelSettings | None", self.model_settings), given.get("model_settings")
            ),
        }

    @classmethod
    def _of(cls, data: Any, origin: str) -> Self:
        if not isinstance(data, Mapping):
            raise SpecError(f"The {origin} must be an object with fields such as `model`, not {type(data).__name__}")
        try:
            return cls.model_validate(data)
        except ValidationError as err:
            raise SpecError(_problem(origin, err)) from err

    def _instrument(self) -> bool | None:
        if self.instrument is not None:
            warnings.warn("In an agent spec write `capabilities: [Instrumentation]`", DeprecationWarning, stacklevel=4)
        return self.instrument

    def _retries(self) -> int | AgentRetries | None:
        given = {"tools": self.tool_retries, "output": self.output_retries}
        old = {category: budget for category, budget in given.items() if budget is not None}
        if not old:
            return self.retries
        warnings.warn(f"In an agent spec write `retries: {old}`", DeprecationWarning, stacklevel=4)
        if isinstance(self.retries, int):
            return cast("AgentRetries", {"tools": self.retries, "output": self.retries, **old})
        return cast("AgentRetries", {**old, **(self.retries or {})})

    def _output_type(self, given: Any) -> Any:
        return StructuredDict(self.output_schema) if given is str and self.output_schema is not None else given

    def all_instructions(self, deps_type: type[Any]) -> list[str | TemplateStr[Any]]:
        """The instructions, with templates over these dependencies."""
        own = self.instructions if isinstance(self.instructions, list) else [self.instructions]
        return [self._text(text, deps_type) for text in own if text is not None]

    def all_capabilities(
        self, deps_type: type[Any], custom: Sequence[CapabilityType] = ()
    ) -> list[AbstractCapability[Any]]:
        """The capabilities; the spec may name the `custom` ones besides the built-in ones."""
        schema = self.deps_schema if deps_type is NoneType else None
        return CapabilityReader(custom, deps_type, schema).read(self.capabilities)

    @classmethod
    def model_json_schema_with_capabilities(cls, custom_capability_types: Sequence[CapabilityType] = ()) -> Json:
        """The JSON schema of specs, with the arguments of each capability."""
        schema = cls.model_json_schema()
        entry, definitions = CapabilityReader(custom_capability_types).json_schema()
        schema["properties"]["capabilities"]["items"] = entry
        schema["$defs"] |= definitions
        return schema

    def _text(self, text: str, deps_type: type[Any]) -> str | TemplateStr[Any]:
        return text_or_template(text, deps_type, self.deps_schema if deps_type is NoneType else None)


def _problem(origin: str, err: ValidationError) -> str:
    first = err.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        names = ", ".join(field.alias or name for name, field in AgentSpec.model_fields.items())
        return f"The {origin} has no field {where!r}; fields: {names}"
    return f"The {origin} is wrong at {where!r}: {first['msg']}"


def _format_of(path: Path) -> SpecFormat:
    if path.suffix not in _SUFFIXES:
        raise ValueError(
            f"Cannot tell the format of {path.name!r} by its suffix; use .yaml, .yml or .json, or give `fmt`"
        )
    return _SUFFIXES[path.suffix]


def _parse(text: str, fmt: SpecFormat, origin: str) -> Any:
    import yaml  # not needed by agents that are written in Python

    try:
        return yaml.safe_load(text) if fmt == "yaml" else json.loads(text)
    except (yaml.YAMLError, ValueError) as err:
        raise SpecError(f"The {origin} is not {fmt.upper()}: {err}") from err


def _yaml_text(data: dict[str, Any], schema: str | None) -> str:
    import yaml

    head = f"{_SCHEMA_LINE}{schema}\n" if schema is not None else ""
    return head + yaml.safe_dump(data, sort_keys=False, allow_unicode=True)


def _json_text(data: dict[str, Any], schema: str | None) -> str:
    head = {"$schema": schema} if schema is not None else {}
    return json.dumps({**head, **data}, indent=2, ensure_ascii=False) + "\n"
