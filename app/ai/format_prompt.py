"""Python data as XML, which models read well inside a prompt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, cast
from uuid import UUID
from xml.etree import ElementTree

from pydantic import BaseModel

__all__ = ("format_as_xml",)


def format_as_xml(
    obj: Any,
    root_tag: str | None = None,
    item_tag: str = "item",
    none_str: str = "null",
    indent: str | None = "  ",
    include_field_info: Literal["once"] | bool = False,
) -> str:
    """Write text, numbers, times, mappings, iterables, dataclasses and pydantic models as XML.

    Without `root_tag` the elements stand side by side. Items have `item_tag`, or the name of their class if they are
    dataclasses or models. `indent=None` writes one line. `include_field_info` adds titles and descriptions of fields
    as attributes, with `once` only where a field first occurs. Raises `TypeError` for what cannot be written.
    """
    writer = _Writer(item_tag, none_str, include_field_info)
    element = writer.element(root_tag, obj)
    if root_tag is None and element.text is None:
        return ("" if indent is None else "\n").join(_write(child, indent) for child in element)
    return _write(element, indent)


def _write(element: ElementTree.Element, indent: str | None) -> str:
    if indent is not None:
        ElementTree.indent(element, space=indent)
    element.tail = None
    return ElementTree.tostring(element, encoding="unicode")


@dataclass
class _Writer:
    item_tag: str
    none_str: str
    include_field_info: Literal["once"] | bool
    _described: set[tuple[type, str]] = field(default_factory=set[tuple[type, str]])

    def element(self, tag: str | None, value: Any) -> ElementTree.Element:
        if isinstance(value, BaseModel):
            computed = {name: getattr(value, name) for name in type(value).model_computed_fields}
            return self._record(tag, value, {**dict(value), **computed}, _model_info(type(value)))
        if is_dataclass(value) and not isinstance(value, type):
            record: Any = value
            values = {item.name: getattr(record, item.name) for item in fields(record)}
            return self._record(tag, record, values, _dataclass_info(record))
        element = ElementTree.Element(tag or self.item_tag)
        if (text := self._text(value)) is not None:
            element.text = text
        elif isinstance(value, Mapping):
            for key, item in cast("Mapping[Any, Any]", value).items():
                if not isinstance(key, str | int):
                    raise TypeError(f"Keys must be text or numbers to be written as XML, not {type(key)}")
                element.append(self.element(str(key), item))
        elif isinstance(value, Iterable):
            element.extend([self.element(None, item) for item in cast("Iterable[Any]", value)])
        else:
            raise TypeError(f"A value of {type(value)} cannot be written as XML")
        return element

    def _record(
        self, tag: str | None, record: Any, values: dict[str, Any], info: dict[str, dict[str, str]]
    ) -> ElementTree.Element:
        element = ElementTree.Element(tag or type(record).__name__)
        for name, value in values.items():
            child = self.element(name, value)
            if self._describes(record, name):
                child.attrib.update(info.get(name, {}))
            element.append(child)
        return element

    def _describes(self, record: object, name: str) -> bool:
        if self.include_field_info != "once":
            return self.include_field_info
        key = type(record), name
        is_first = key not in self._described
        self._described.add(key)
        return is_first

    def _text(self, value: Any) -> str | None:
        """The text of a single value; None if it is made of others."""
        if isinstance(value, Enum):
            value = value.value
        text: str | None = None
        match value:
            case None:
                text = self.none_str
            case str():
                text = value
            case bytes() | bytearray():
                text = value.decode(errors="ignore")
            case bool():
                text = str(value).lower()
            case int() | float() | Decimal() | timedelta() | UUID():
                text = str(value)
            case date() | time():
                text = value.isoformat()
            case _:
                pass
        return text


def _model_info(model: type[BaseModel]) -> dict[str, dict[str, str]]:
    infos = {**model.model_fields, **model.model_computed_fields}
    return {name: _info(info.title, info.description) for name, info in infos.items()}


def _dataclass_info(record: Any) -> dict[str, dict[str, str]]:
    return {item.name: _info(item.metadata.get("title"), item.metadata.get("description")) for item in fields(record)}


def _info(title: str | None, description: str | None) -> dict[str, str]:
    info = {"title": title, "description": description}
    return {key: value for key, value in info.items() if value}
