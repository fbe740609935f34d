"""Capabilities in agent specs: by name, with plain data as arguments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, cast

from app.ai.capabilities import (
    AbstractCapability,
    IncludeToolReturnSchemas,
    Instrumentation,
    ReinjectSystemPrompt,
    SetToolMetadata,
    Thinking,
    ToolSearch,
)
from app.ai.exceptions import UserError

CapabilityType = type[AbstractCapability[Any]]

BUILT_IN: Final[Sequence[CapabilityType]] = (
    IncludeToolReturnSchemas,
    Instrumentation,
    ReinjectSystemPrompt,
    SetToolMetadata,
    Thinking,
    ToolSearch,
)
"""Those whose arguments can be written down; the others take functions, so they are for agents in Python."""


def capabilities_of(entries: Iterable[Any], custom: Sequence[CapabilityType]) -> list[AbstractCapability[Any]]:
    """The capabilities that the entries of a spec name.

    An entry is a name, `{name: argument}`, `{name: {keyword: argument}}` or `{name: …, arguments: …}`. Raises
    `UserError` for a name that is not known, and for arguments that the capability does not take.
    """
    known = {_name_of(type_): type_ for type_ in (*BUILT_IN, *custom)}
    return [_made(entry, known) for entry in entries]


def _name_of(type_: CapabilityType) -> str:
    named = getattr(type_, "get_serialization_name", None)
    return named() if named is not None else type_.__name__


def _made(entry: Any, known: Mapping[str, CapabilityType]) -> AbstractCapability[Any]:
    name, arguments = _read(entry)
    if name not in known:
        raise UserError(f"There is no capability {name!r} for agent specs; there are {', '.join(sorted(known))}")
    make: Any = getattr(known[name], "from_spec", known[name])
    try:
        if isinstance(arguments, Mapping):
            return make(**arguments)
        return make() if arguments is None else make(arguments)
    except TypeError as err:
        raise UserError(f"The capability {name!r} of the agent spec does not take {arguments!r}: {err}") from err


def _read(entry: Any) -> tuple[str, Any]:
    if isinstance(entry, str):
        return entry, None
    fields: Mapping[str, Any] = cast("Mapping[str, Any]", entry) if isinstance(entry, Mapping) else {}
    if "name" in fields and fields.keys() <= {"name", "arguments"}:
        return str(fields["name"]), fields.get("arguments")
    if len(fields) == 1:
        return next(iter(fields.items()))
    raise UserError(f"A capability of an agent spec is a name or `{{name: arguments}}`, not {entry!r}")
