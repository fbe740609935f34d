"""Texts with places for the dependencies of a run: a subset of Handlebars.

    {{name}} {{owner.email}}                               a value, empty if it is missing
    {{#if vip}}…{{else}}…{{/if}}  {{#unless vip}}…{{/unless}}   depending on whether a value is there and not empty
    {{#each orders}}{{@index}} {{id}} {{this.price}}{{/each}}   once for each item, whose fields come first
    {{#with owner}}{{email}} {{../name}}{{/with}}          inside a value, whose fields come first
    {{! a comment }}                                       nothing

Values are inserted as they are: these texts go to a model, not into HTML.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import NoneType
from typing import Any, Final, Generic, TypeAlias, cast, get_type_hints

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from app.ai.exceptions import SpecError
from app.ai.run_context import AgentDepsT, RunContext

_TAG: Final = re.compile(r"\{\{\{?\s*([#/!]?)\s*(.*?)\s*\}?\}\}", re.DOTALL)
_PATH: Final = re.compile(r"(\.\./)*(this|[A-Za-z_]\w*|@(index|key|first|last))(\.\w+)*|\.")
_BLOCKS: Final = ("if", "unless", "each", "with")


@dataclass
class _Block:
    kind: str
    path: str
    body: list[_Node] = field(default_factory=list["_Node"])
    otherwise: list[_Node] = field(default_factory=list["_Node"])


@dataclass
class _Value:
    path: str


_Node: TypeAlias = str | _Value | _Block


class TemplateStr(Generic[AgentDepsT]):
    """A text over the dependencies of a run; as instructions it is rendered for each request."""

    def __init__(
        self,
        source: str,
        *,
        deps_type: type[Any] | None = None,
        deps_schema: Mapping[str, Any] | None = None,
    ):
        """Raises `SpecError` for a text that is no template, or that uses fields which the dependencies do not have."""
        self.source = source
        self._nodes = _parse(source)
        fields = _fields(deps_type, deps_schema)
        if fields is not None:
            _check(source, self._nodes, fields)

    def render(self, deps: AgentDepsT) -> str:
        """The text for these dependencies: an object, whose attributes are the fields, or a mapping."""
        return _render(self._nodes, [deps])

    def __call__(self, ctx: RunContext[AgentDepsT]) -> str:
        return self.render(ctx.deps)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def read(value: Any, info: core_schema.ValidationInfo) -> TemplateStr[Any]:
            if isinstance(value, TemplateStr):
                return cast("TemplateStr[Any]", value)
            if not isinstance(value, str) or "{{" not in value:
                raise PydanticCustomError("template", "A template is a text with double braces, such as {{{{name}}}}")
            about: Mapping[str, Any] = info.context or {}
            return TemplateStr(value, deps_type=about.get("deps_type"), deps_schema=about.get("deps_schema"))

        return core_schema.with_info_plain_validator_function(
            read, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string"}

    def __str__(self) -> str:
        return self.source

    def __repr__(self) -> str:
        return f"TemplateStr({self.source!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TemplateStr) and cast("TemplateStr[Any]", other).source == self.source

    def __hash__(self) -> int:
        return hash(self.source)


def text_or_template(
    text: str, deps_type: type[Any] | None, deps_schema: Mapping[str, Any] | None
) -> str | TemplateStr[Any]:
    """A template if the text has double braces, otherwise the text itself."""
    return TemplateStr(text, deps_type=deps_type, deps_schema=deps_schema) if "{{" in text else text


def _parse(source: str) -> list[_Node]:
    nodes: list[_Node] = []
    target, opened, position = nodes, list[tuple[_Block, list[_Node]]](), 0
    for tag in _TAG.finditer(source):
        target.append(source[position : tag.start()])
        position = tag.end()
        sign, content = tag.groups()
        if sign == "#":
            block = _block(source, content)
            target.append(block)
            opened.append((block, target))
            target = block.body
        elif sign == "!":
            continue
        elif sign == "/":
            if not opened or opened[-1][0].kind != content:
                raise SpecError(f"The template {source!r} closes {content!r}, which is not open")
            target = opened.pop()[1]
        elif content == "else":
            if not opened or target is opened[-1][0].otherwise:
                raise SpecError(f"The template {source!r} has an `else` outside a block")
            target = opened[-1][0].otherwise
        else:
            target.append(_Value(_path(source, content)))
    if opened:
        raise SpecError(f"The template {source!r} does not close {opened[-1][0].kind!r}; end it by {{{{/…}}}}")
    target.append(source[position:])
    return nodes


def _block(source: str, content: str) -> _Block:
    kind, _, path = content.partition(" ")
    if kind not in _BLOCKS:
        raise SpecError(f"The template {source!r} has a block {kind!r}; there are {', '.join(_BLOCKS)}")
    return _Block(kind, _path(source, path.strip()))


def _path(source: str, text: str) -> str:
    if not _PATH.fullmatch(text):
        raise SpecError(f"The template {source!r} has {text!r} where the name of a field belongs, such as `owner.name`")
    return text


def _fields(deps_type: type[Any] | None, deps_schema: Mapping[str, Any] | None) -> set[str] | None:
    """The names that a template may begin with; None if they are not known."""
    if deps_type is None or deps_type is NoneType:
        return set(deps_schema.get("properties", {})) if deps_schema is not None else None
    if issubclass(deps_type, BaseModel):
        return {*deps_type.model_fields, *deps_type.model_computed_fields}
    if dataclasses.is_dataclass(deps_type) or hasattr(deps_type, "__required_keys__"):
        return {*get_type_hints(deps_type), *(name for name in dir(deps_type) if not name.startswith("_"))}
    return None


def _check(source: str, nodes: Iterable[_Node], fields: set[str]) -> None:
    for node in nodes:
        if isinstance(node, str):
            continue
        name = node.path.partition(".")[0]
        if name not in fields and name not in ("this", "") and not name.startswith("@"):
            known = ", ".join(sorted(fields)) or "none"
            raise SpecError(
                f"The template {source!r} uses {name!r}, which the dependencies do not have; fields: {known}"
            )
        if isinstance(node, _Block):
            # Inside these, names are first of all those of a value whose type is not known.
            own_fields = node.kind in ("each", "with")
            _check(source, node.otherwise if own_fields else [*node.body, *node.otherwise], fields)


def _render(nodes: Iterable[_Node], scopes: Sequence[Any]) -> str:
    return "".join(node if isinstance(node, str) else _render_node(node, scopes) for node in nodes)


def _render_node(node: _Value | _Block, scopes: Sequence[Any]) -> str:
    value = _look_up(node.path, scopes)
    if isinstance(node, _Value):
        return _text(value)
    if node.kind == "each":
        body = [_render(node.body, [*scopes, item]) for item in _items(value)]
        return "".join(body) if body else _render(node.otherwise, scopes)
    if node.kind == "with" and value:
        return _render(node.body, [*scopes, value])
    chosen = node.body if bool(value) == (node.kind == "if") else node.otherwise
    return _render(chosen, scopes)


@dataclass
class _Item:
    """An item of a list or mapping, and where it stands there."""

    value: Any
    marks: Mapping[str, Any]


def _items(value: Any) -> list[_Item]:
    """The items of a list, or the values of a mapping."""
    pairs: list[tuple[Any, Any]] = (
        list(cast("Mapping[Any, Any]", value).items()) if isinstance(value, Mapping) else list(enumerate(value or ()))
    )
    last = len(pairs) - 1
    return [
        _Item(item, {"@index": index, "@key": key, "@first": index == 0, "@last": index == last})
        for index, (key, item) in enumerate(pairs)
    ]


def _look_up(path: str, scopes: Sequence[Any]) -> Any:
    while path.startswith("../"):
        path, scopes = path.removeprefix("../"), scopes[:-1] or scopes
    if path.startswith("@"):
        return next((scope.marks.get(path) for scope in reversed(scopes) if isinstance(scope, _Item)), None)
    scopes = [scope.value if isinstance(scope, _Item) else scope for scope in scopes]
    first, *rest = path.split(".") if path != "." else ["this"]
    if first == "this":
        value = scopes[-1]
    else:
        value = next((found for scope in reversed(scopes) if (found := _get(scope, first)) is not None), None)
    for name in rest:
        value = _get(value, name)
    return value


def _get(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return cast("Mapping[str, Any]", value).get(name)
    return None if name.startswith("_") else getattr(value, name, None)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
