"""What a tool's docstring tells the model: the description, and a description of each parameter."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, TypeAlias

DocstringFormat: TypeAlias = Literal["google", "numpy", "sphinx", "auto"]
"""The style of a docstring; `auto` guesses it from the text."""


@dataclass
class Documentation:
    """A docstring, taken apart."""

    description: str | None = None
    """Empty if there is a docstring that only describes parameters."""
    parameters: dict[str, str] = field(default_factory=dict[str, str])


def read_docstring(function: Callable[..., Any], docstring_format: DocstringFormat) -> Documentation:
    """Take the docstring of `function` apart."""
    while isinstance(function, partial):
        function = function.func  # its own docstring is that of every partial
    text = inspect.getdoc(function)
    if not text:
        return Documentation()

    # Imported here because it takes longer than everything else in the core, and most imports make no tools.
    import griffe

    # The first line of a docstring tells nothing of its indentation.
    docstring = griffe.Docstring(f"\n{text}", lineno=1)
    # A style is recognised by sections between other lines only.
    between_lines = griffe.Docstring(f".\n{text}\n.", lineno=1)
    style = griffe.infer_docstring_style(between_lines)[0] if docstring_format == "auto" else docstring_format
    summary: str | None = None
    returns: str | None = None
    parameters: dict[str, str] = {}
    # "int: The price" is a type and a description, not a name and a description.
    options: dict[str, Any] = {"returns_named_value": False} if style == "google" else {}
    for section in docstring.parse(style, warnings=False, **options) if style else []:
        if section.kind is griffe.DocstringSectionKind.parameters:
            parameters.update({item.name: item.description for item in section.value})
        elif section.kind is griffe.DocstringSectionKind.returns:
            returns = _returns_block(section.value[0])
        elif section.kind is griffe.DocstringSectionKind.text and summary is None:
            summary = section.value
    return Documentation(_describe(summary if style else text, returns) or "", parameters)


def _describe(summary: str | None, returns: str | None) -> str | None:
    if returns is None:
        return summary
    return f"<summary>{summary}</summary>\n{returns}" if summary else returns


def _returns_block(item: Any) -> str:
    lines = [f"<type>{item.annotation}</type>"] if item.annotation else []
    lines.append(f"<description>{item.description}</description>")
    return "\n".join(["<returns>", *lines, "</returns>"])
