"""Texts with places for the dependencies of a run: a subset of Handlebars.

    {{name}} {{owner.email}} {{tags.0}} {{lookup tags @index}}   a value, empty if it is missing
    {{#if vip}}…{{else if regular}}…{{else}}…{{/if}}             depending on whether a value is there and not empty
    {{#unless vip}}…{{/unless}}                                  the other way round
    {{#each orders}}{{@index}} {{id}} {{this.price}}{{/each}}    once for each item, whose fields come first
    {{#with owner}}{{email}} {{../name}}{{/with}}                inside a value, whose fields come first
    {{! a comment }} \\{{name}}                                  nothing, and braces as they are
    {{~name~}}                                                   without the white space around it

Blocks and comments alone on a line leave no empty line. Values are inserted as they are: these texts go to a model,
not into HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import NoneType
from typing import Any, Final, Generic, TypeAlias, cast

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from app.ai.exceptions import SpecError
from app.ai.run_context import AgentDepsT, RunContext
from app.ai.template_fields import Anything, Fields, UnknownField, fields_of_schema, fields_of_type

_TAG: Final = re.compile(
    r"(?P<escape>\\)?\{\{\{?(?P<before>~?)"
    r"(?:!--.*?--|\s*(?P<sign>[#/!^]?)\s*(?P<content>.*?)\s*)(?P<after>~?)\}?\}\}",
    re.DOTALL,
)
_SEGMENT: Final = r"(?:\w+|\[[^\]]*\])"
_PATH: Final = re.compile(
    rf"(?:\.\./)*(?:\./)?(?:(?:this|@(?:index|key|first|last|root)|[A-Za-z_]\w*|\[[^\]]*\])(?:\.{_SEGMENT})*|\.)|\.\."
)
_SEGMENTS: Final = re.compile(r"\[([^\]]*)\]|([^.\[\]]+)")
_BLOCKS: Final = ("if", "unless", "each", "with")


@dataclass
class _Block:
    kind: str
    path: str
    body: list[_Node] = field(default_factory=list["_Node"])
    otherwise: list[_Node] = field(default_factory=list["_Node"])
    continues: bool = False
    """Whether it began as `else if`, so that it ends where the block before it ends."""


@dataclass
class _Value:
    path: str
    key: str | None = None
    """The name of the item to look up, as a path."""


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
        _check(source, self._nodes, [_fields(deps_type, deps_schema)])

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
        if tag["escape"]:
            target.append(source[position : tag.start()] + tag[0].removeprefix("\\"))
            position = tag.end()
            continue
        start, end = _extent(source, tag)
        target.append(source[position : max(position, start)])
        position = end
        sign, content = tag["sign"], tag["content"]
        if sign == "#":
            target = _open(_block(source, content), target, opened)
        elif sign == "!" or content is None:
            continue
        elif sign == "/":
            target = _close(source, content, opened)
        elif sign == "^" or content.partition(" ")[0] == "else":
            if not opened or target is opened[-1][0].otherwise:
                raise SpecError(f"The template {source!r} has an `else` outside a block")
            target = opened[-1][0].otherwise
            if inner := content.removeprefix("else").strip():
                block = _block(source, inner)
                block.continues = True
                target = _open(block, target, opened)
        else:
            target.append(_value(source, content))
    if opened:
        raise SpecError(f"The template {source!r} does not close {opened[-1][0].kind!r}; end it by {{{{/…}}}}")
    target.append(source[position:])
    return nodes


def _extent(source: str, tag: re.Match[str]) -> tuple[int, int]:
    """Where the tag begins and ends, with the white space that it takes away."""
    start, end = tag.span()
    line_start, line_end = source.rfind("\n", 0, start) + 1, source.find("\n", end) + 1 or len(source)
    is_value = not tag["sign"] and tag["content"] is not None and tag["content"].partition(" ")[0] != "else"
    if not is_value and not (source[line_start:start] + source[end:line_end]).strip():
        start, end = line_start, line_end
    if tag["before"]:
        start = len(source[:start].rstrip())
    if tag["after"]:
        end = len(source) - len(source[end:].lstrip())
    return start, end


def _open(block: _Block, target: list[_Node], opened: list[tuple[_Block, list[_Node]]]) -> list[_Node]:
    target.append(block)
    opened.append((block, target))
    return block.body


def _close(source: str, content: str, opened: list[tuple[_Block, list[_Node]]]) -> list[_Node]:
    while opened and opened[-1][0].continues:
        opened.pop()
    if not opened or opened[-1][0].kind != content:
        raise SpecError(f"The template {source!r} closes {content!r}, which is not open")
    return opened.pop()[1]


def _block(source: str, content: str) -> _Block:
    kind, _, path = content.partition(" ")
    if kind not in _BLOCKS:
        raise SpecError(f"The template {source!r} has a block {kind!r}; there are {', '.join(_BLOCKS)}")
    return _Block(kind, _path(source, path.strip()))


def _value(source: str, content: str) -> _Value:
    match content.split():
        case ["lookup", path, key]:
            return _Value(_path(source, path), key if key.isdigit() else _path(source, key))
        case _:
            return _Value(_path(source, content))


def _path(source: str, text: str) -> str:
    if not _PATH.fullmatch(text):
        raise SpecError(f"The template {source!r} has {text!r} where the name of a field belongs, such as `owner.name`")
    return text


def _names(path: str) -> list[str]:
    """The names in a path; none for the value itself."""
    names = [literal or name for literal, name in _SEGMENTS.findall(path.removeprefix("./"))]
    return names[1:] if names[:1] == ["this"] else names


def _fields(deps_type: type[Any] | None, deps_schema: Mapping[str, Any] | None) -> Fields:
    if deps_type is not None and deps_type is not NoneType:
        return fields_of_type(deps_type)
    return Anything() if deps_schema is None else fields_of_schema(deps_schema, deps_schema)


def _check(source: str, nodes: Iterable[_Node], scopes: Sequence[Fields]) -> None:
    for node in nodes:
        if isinstance(node, str):
            continue
        value = _known(source, node.path, scopes)
        if isinstance(node, _Value):
            if node.key is not None and not node.key.isdigit():
                _known(source, node.key, scopes)
            continue
        inner = {"each": [*scopes, value.item()], "with": [*scopes, value]}.get(node.kind, scopes)
        _check(source, node.body, inner)
        _check(source, node.otherwise, scopes)


def _known(source: str, path: str, scopes: Sequence[Fields]) -> Fields:
    """What is known of the value at a path. Raises `SpecError` if there can be none."""
    path, scopes = _climbed(path, scopes)
    names = _names(path)
    if names and names[0].startswith("@"):
        if names.pop(0) != "@root":
            return Anything()
        scopes = scopes[:1]
    try:
        value = _field(names[0], scopes) if names else scopes[-1]
        for name in names[1:]:
            value = value.field(name)
    except UnknownField as err:
        raise SpecError(
            f"The template {source!r} uses {path!r}, which the dependencies do not have; fields: {err}"
        ) from err
    return value


def _field(name: str, scopes: Sequence[Fields]) -> Fields:
    unknown: UnknownField | None = None
    for scope in reversed(scopes):
        try:
            return scope.field(name)
        except UnknownField as err:
            unknown = unknown or err
    assert unknown is not None, "there is always a scope"
    raise unknown


def _climbed(path: str, scopes: Sequence[Any]) -> tuple[str, Sequence[Any]]:
    """A path without its steps to outer scopes, and the scopes that it is about."""
    while path.startswith(".."):
        path, scopes = path[2:].removeprefix("/") or "this", scopes[:-1] or scopes
    return path, scopes


def _render(nodes: Iterable[_Node], scopes: Sequence[Any]) -> str:
    return "".join(node if isinstance(node, str) else _render_node(node, scopes) for node in nodes)


def _render_node(node: _Value | _Block, scopes: Sequence[Any]) -> str:
    value = _look_up(node.path, scopes)
    if isinstance(node, _Value):
        if node.key is not None:
            value = _get(value, node.key if node.key.isdigit() else _look_up(node.key, scopes))
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
    path, scopes = _climbed(path, scopes)
    names = _names(path)
    if names and names[0].startswith("@") and names[0] != "@root":
        return next((scope.marks.get(names[0]) for scope in reversed(scopes) if isinstance(scope, _Item)), None)
    scopes = [scope.value if isinstance(scope, _Item) else scope for scope in scopes]
    if names and names[0] == "@root":
        scopes = scopes[:1]
        names.pop(0)
    if not names:
        return scopes[-1]
    value = next((found for scope in reversed(scopes) if (found := _get(scope, names[0])) is not None), None)
    for name in names[1:]:
        value = _get(value, name)
    return value


def _get(value: Any, name: Any) -> Any:
    if isinstance(value, Mapping):
        return cast("Mapping[Any, Any]", value).get(name)
    if isinstance(value, Sequence) and not isinstance(value, str):
        items = cast("Sequence[Any]", value)
        if str(name).isdigit():
            return items[int(name)] if int(name) < len(items) else None
        return len(items) if name == "length" else None
    name = str(name)
    return None if name.startswith("_") else getattr(value, name, None)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
