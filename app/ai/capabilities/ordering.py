"""In which order capabilities stand: the first one is the outermost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from app.ai.exceptions import UserError

if TYPE_CHECKING:
    from app.ai.capabilities.abstract import AbstractCapability

CapabilityPosition: TypeAlias = Literal["outermost", "innermost"]
"""A tier: before or after all capabilities that do not ask for it."""

CapabilityRef: TypeAlias = "type[AbstractCapability[Any]] | AbstractCapability[Any]"
"""Capabilities of a type, or a certain one."""


@dataclass
class CapabilityOrdering:
    """Where a capability wants to stand. What it leaves open stays as it was listed."""

    position: CapabilityPosition | None = None
    wraps: Sequence[CapabilityRef] = ()
    """Those that it stands outside of."""
    wrapped_by: Sequence[CapabilityRef] = ()
    """Those that it stands inside of."""
    requires: Sequence[type[AbstractCapability[Any]]] = ()
    """Those that must be there too."""


def in_order(capabilities: Sequence[AbstractCapability[Any]]) -> list[AbstractCapability[Any]]:
    """The capabilities as they want to stand. `UserError` if one is missing, or if they cannot all have their way."""
    orderings = [_ordering(capability) for capability in capabilities]
    if not any(orderings):
        return list(capabilities)
    inside: dict[int, set[int]] = {index: set() for index in range(len(capabilities))}
    """The indices of those that each one stands inside of."""
    for index, ordering in enumerate(orderings):
        if ordering is None:
            continue
        others = [other for other in range(len(capabilities)) if other != index]
        for other in others:
            other_ordering = orderings[other]
            is_apart = ordering.position != (other_ordering.position if other_ordering else None)
            if _matches(capabilities[other], ordering.wraps) or (ordering.position == "outermost" and is_apart):
                inside[other].add(index)
            if _matches(capabilities[other], ordering.wrapped_by) or (ordering.position == "innermost" and is_apart):
                inside[index].add(other)
        _check_requirements(capabilities[index], ordering, [capabilities[other] for other in others])
    return [capabilities[index] for index in _sorted(inside)]


def _sorted(inside: dict[int, set[int]]) -> Iterable[int]:
    sorter = TopologicalSorter(inside)
    try:
        sorter.prepare()
    except CycleError as err:
        raise UserError("The capabilities ask for an order that goes round in a circle") from err
    ready = set(sorter.get_ready())
    while ready:
        first = min(ready)
        yield first
        sorter.done(first)
        ready = (ready - {first}) | set(sorter.get_ready())


def _ordering(capability: AbstractCapability[Any]) -> CapabilityOrdering | None:
    found: list[CapabilityOrdering] = []
    capability.apply(lambda leaf: found.extend(filter(None, [leaf.get_ordering()])))
    own = capability.get_ordering()
    return own or (found[0] if found else None)


def _leaves(capability: AbstractCapability[Any]) -> list[AbstractCapability[Any]]:
    found = [capability]
    capability.apply(found.append)
    return found


def _matches(capability: AbstractCapability[Any], refs: Iterable[CapabilityRef]) -> bool:
    return any(
        isinstance(leaf, ref) if isinstance(ref, type) else leaf is ref for ref in refs for leaf in _leaves(capability)
    )


def _check_requirements(
    capability: AbstractCapability[Any], ordering: CapabilityOrdering, others: Sequence[AbstractCapability[Any]]
) -> None:
    for required in ordering.requires:
        if not any(_matches(other, [required]) for other in others):
            raise UserError(
                f"The capability {type(capability).__name__} needs a {required.__name__} beside it; add one"
            )
